//! What can be wrong with TLS: known also to clients that were built without it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::connect_string::HostPort;

/// Why there is no TLS connection: what is wrong, with which host, and what the TLS library said.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::error::Error;
/// use znode::{Client, ErrorKind, TlsError, TlsFault};
///
/// let error = Client::connect("tls://zk1:2281").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Tls(TlsFault::NotConfigured));
/// let tls: &TlsError = error.source().unwrap().downcast_ref().unwrap();
/// assert_eq!(tls.fault(), TlsFault::NotConfigured);
/// assert_eq!(tls.host(), Some("tls://zk1:2281"));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TlsError {
    fault: TlsFault,
    /// `tls://host:port`, of a connection.
    host: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What is wrong, one for each thing that somebody has to do about it.
///
/// ```no_run
/// # async fn example() -> Result<(), znode::Error> {
/// use znode::{ErrorKind, TlsFault};
///
/// match znode::Client::connect("tls://zk1:2281").await.map_err(|error| error.kind()) {
///     Err(ErrorKind::Tls(TlsFault::Expired)) => println!("renew the certificate"),
///     Err(ErrorKind::Tls(fault)) => println!("{fault}"),
///     _ => println!("it is not TLS"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// There are `tls://` servers, and neither `ConnectOptions::tls` nor a connector that speaks
    /// TLS; or the crate was built without its feature `tls`.
    NotConfigured,
    /// The roots, the client's certificate or its key cannot be used.
    InvalidOptions,
    /// The configured name of a server can stand in no certificate.
    InvalidName,
    /// The certificate of the server is for other names than the configured one.
    WrongName,
    /// The certificate of the server was issued by nobody who is trusted.
    UnknownIssuer,
    /// The certificate of the server has expired.
    Expired,
    /// The certificate of the server is not valid yet.
    NotYetValid,
    /// The certificate of the server has been revoked.
    Revoked,
    /// The certificate of the server is not valid for another reason.
    BadCertificate,
    /// The server has refused, as it does without a client certificate that it trusts.
    Refused,
    /// What the server says is no TLS, or none of a version and cipher that both sides know.
    Handshake,
}

impl TlsError {
    /// What is wrong.
    pub fn fault(&self) -> TlsFault {
        self.fault
    }

    /// With which server, as `tls://host:port`; `None` if it is the options.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    pub(crate) fn not_configured(host: &HostPort) -> Self {
        Self { fault: TlsFault::NotConfigured, host: Some(host.to_string()), source: None }
    }

    /// What a failed attempt to connect has in it, if it is of this kind.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().cloned()
    }
}

#[cfg(feature = "tls")]
impl TlsError {
    pub(crate) fn new(fault: TlsFault) -> Self {
        Self { fault, host: None, source: None }
    }

    pub(crate) fn with_host(mut self, host: &HostPort) -> Self {
        self.host = Some(host.to_string());
        self
    }

    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConfigured => "not configured: it takes the feature and ConnectOptions::tls",
            Self::InvalidOptions => "certificates or keys of the options cannot be used",
            Self::InvalidName => "the configured name can stand in no certificate",
            Self::WrongName => "the server's certificate is for another name",
            Self::UnknownIssuer => "the server's certificate is from an unknown issuer",
            Self::Expired => "the server's certificate has expired",
            Self::NotYetValid => "the server's certificate is not valid yet",
            Self::Revoked => "the server's certificate has been revoked",
            Self::BadCertificate => "the server's certificate is not valid",
            Self::Refused => "refused by the server",
            Self::Handshake => "no handshake with the server",
        })
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{host}: {}", self.fault),
            None => write!(f, "{}", self.fault),
        }
    }
}

impl StdError for TlsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error.fault {
            TlsFault::NotConfigured => io::ErrorKind::Unsupported,
            TlsFault::InvalidOptions | TlsFault::InvalidName => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
