//! SASL: how a client proves who it is, as conversations that know no socket.
//!
//! A [`SaslMechanism`] begins a [`SaslConversation`] on each connection. The session carries its
//! tokens to the server and back before anything else is sent. `DigestMd5` is ready, behind the
//! feature `sasl`; others, as GSSAPI, can be made outside of this crate.

#[cfg(feature = "sasl")]
#[doc(hidden)]
pub mod challenge;
#[cfg(feature = "sasl")]
#[doc(hidden)]
pub mod digest;
#[cfg(feature = "sasl")]
mod digest_md5;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::connect_string::HostPort;

#[cfg(feature = "sasl")]
pub use digest_md5::DigestMd5;

/// A way to prove who one is.
///
/// Like the session that drives it, it is pure: what looks random comes from `random`, and nothing
/// waits. What takes time, as to get a ticket, is to be done before.
///
/// ```
/// use znode::HostPort;
/// use znode::sasl::{SaslConversation, SaslError, SaslMechanism, SaslStep};
///
/// /// Shows a ticket, and believes whoever accepts it.
/// #[derive(Debug)]
/// struct Ticket(znode::Secret);
///
/// impl SaslMechanism for Ticket {
///     fn begin(&self, _: &HostPort, _: [u8; 16]) -> Box<dyn SaslConversation> {
///         Box::new(Shown(self.0.clone()))
///     }
/// }
///
/// #[derive(Debug)]
/// struct Shown(znode::Secret);
///
/// impl SaslConversation for Shown {
///     fn open(&mut self) -> Result<Vec<u8>, SaslError> {
///         Ok(self.0.expose().to_vec())
///     }
///
///     fn answer(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslError> {
///         match token {
///             Some(_) => Ok(SaslStep::Done),
///             None => Err(SaslError::new("the server has no login configured")),
///         }
///     }
/// }
///
/// let options = znode::ConnectOptions::new().sasl(Ticket("let me in".into()));
/// # let _ = options;
/// ```
pub trait SaslMechanism: fmt::Debug + Send + Sync + 'static {
    /// Begins a conversation with a server on a new connection. `random` is drawn from the seed of
    /// [`ConnectOptions::seed`](crate::ConnectOptions::seed), anew for each.
    fn begin(&self, host: &HostPort, random: [u8; 16]) -> Box<dyn SaslConversation>;
}

impl<M: SaslMechanism + ?Sized> SaslMechanism for Arc<M> {
    fn begin(&self, host: &HostPort, random: [u8; 16]) -> Box<dyn SaslConversation> {
        (**self).begin(host, random)
    }
}

/// One conversation; on the next connection there will be another.
///
/// ```
/// use znode::sasl::{SaslConversation, SaslError, SaslStep};
///
/// /// Says who it is, and has no more to say (EXTERNAL, RFC 4422).
/// #[derive(Debug)]
/// struct External(&'static str);
///
/// impl SaslConversation for External {
///     fn open(&mut self) -> Result<Vec<u8>, SaslError> {
///         Ok(self.0.into())
///     }
///
///     fn answer(&mut self, _: Option<&[u8]>) -> Result<SaslStep, SaslError> {
///         Ok(SaslStep::Done)
///     }
/// }
///
/// let mut talk = External("bob");
/// assert_eq!(talk.open()?, b"bob");
/// assert_eq!(talk.answer(Some(b""))?, SaslStep::Done);
/// # Ok::<(), SaslError>(())
/// ```
pub trait SaslConversation: fmt::Debug + Send {
    /// The first token, which the client sends; may be empty.
    ///
    /// # Errors
    /// Why there can be none: the session ends with `AuthFailed`.
    fn open(&mut self) -> Result<Vec<u8>, SaslError>;

    /// A token came from the server: what follows? A server without a login configured sends none.
    ///
    /// # Errors
    /// Why the server is not believed: the session ends with `AuthFailed`.
    fn answer(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslError>;
}

/// What follows on a server's token.
///
/// ```
/// use znode::sasl::SaslStep;
///
/// let step = SaslStep::Send(b"secret".to_vec());
/// assert_eq!(format!("{step:?}"), "Send(***)", "it does not print its token");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum SaslStep {
    /// Send this token, and wait for the next.
    Send(Vec<u8>),
    /// The conversation is over, and both sides believe each other.
    Done,
}

impl fmt::Debug for SaslStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send(_) => "Send(***)",
            Self::Done => "Done",
        })
    }
}

/// Why a conversation has failed.
///
/// ```
/// use std::error::Error;
/// use znode::sasl::SaslError;
///
/// let error = SaslError::new("the ticket is old").caused_by(std::fmt::Error);
/// assert_eq!(error.to_string(), "SASL: the ticket is old");
/// assert!(error.source().is_some());
/// ```
#[derive(Debug)]
pub struct SaslError {
    what: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl SaslError {
    /// A failure in words, which must hold no secret.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// The same with a cause, which must hold no secret.
    #[must_use]
    pub fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SASL: {}", self.what)
    }
}

impl StdError for SaslError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
