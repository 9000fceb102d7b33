//! What can go wrong, and what that says about the server's state.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::acl::InvalidAcl;
use crate::connect_string::InvalidConnectString;
use crate::create_mode::InvalidTtl;
use crate::path::InvalidPath;
use crate::proto::{DecodeError, ErrorCode};
use crate::session::{Cause, Ending, Failure};
use crate::tls_error::{TlsError, TlsFault};

/// Why an operation gave no result: what kind of failure, of which operation, on which path.
///
/// [`outcome`](Self::outcome) says whether the operation may have taken effect.
///
/// ```no_run
/// # async fn example(client: znode::Client) {
/// use znode::{ErrorKind, Outcome, Version};
///
/// if let Err(error) = client.delete("/job", Version::ANY).await {
///     match (error.kind(), error.outcome()) {
///         (ErrorKind::NoNode, _) => println!("{} is gone", error.path().unwrap_or_default()),
///         (_, Outcome::Unknown) => println!("{}: look before trying again", error.op()),
///         _ if error.is_session_over() => println!("connect again"),
///         _ => println!("it was not done: {error}"),
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    op: &'static str,
    path: Option<Box<str>>,
    op_index: Option<usize>,
    outcome: Outcome,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kinds of failure, one for each thing that a caller can do about it.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{CreateMode, ErrorKind};
///
/// match client.create("/leader", "host-1", CreateMode::Ephemeral).await {
///     Ok(created) => println!("we lead since {}", created.stat.czxid),
///     Err(error) if error.kind() == ErrorKind::NodeExists => println!("somebody else leads"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The node does not exist; of a create, its parent.
    NoNode,
    /// The node exists already.
    NodeExists,
    /// The node has another version.
    BadVersion,
    /// The node has children.
    NotEmpty,
    /// The access control list denies it.
    NoAuth,
    /// The access control list is empty, malformed, or names nobody.
    InvalidAcl,
    /// The parent is ephemeral.
    NoChildrenForEphemerals,
    /// The session is known to its server alone, and may not become another: it has no ephemeral
    /// nodes (`localSessionsEnabled` without `localSessionsUpgradingEnabled`).
    EphemeralOnLocalSession,
    /// The server refuses the arguments, as the deletion of a reserved node.
    BadArguments,
    /// The path cannot be one; refused before anything was sent.
    InvalidPath,
    /// The connect string cannot be one.
    InvalidConnectString,
    /// The time to live cannot be stored; refused before anything was sent.
    InvalidTtl,
    /// The request is larger than a server accepts; refused before it was sent.
    TooLarge,
    /// Too many requests of this client wait for their turn already; refused before it was sent.
    Overloaded,
    /// The connection was lost before the answer came. The session may live on.
    ConnectionLoss,
    /// The caller's time for the answer is over; see [`Reply::timeout`](crate::Reply::timeout).
    Timeout,
    /// No server confirmed the session within the connect timeout.
    ConnectTimeout,
    /// No server confirmed the session within the connect timeout, and the newest reason is TLS; or
    /// there are `tls://` servers and no way to speak to them, before anything was sent. The source
    /// is a [`TlsError`].
    Tls(TlsFault),
    /// The session is over.
    SessionExpired,
    /// A server refused an identity; the session is over for this client.
    AuthFailed,
    /// The session was closed by this client.
    Closed,
    /// The server is read-only.
    NotReadOnly,
    /// No such watch stands.
    NoWatcher,
    /// A hard quota would be exceeded.
    QuotaExceeded,
    /// The server does not know the operation, or has it switched off.
    Unimplemented,
    /// The data of a node is not what it is read as, or a value cannot be written as data.
    InvalidData,
    /// The server could not decode the request.
    Marshalling,
    /// The server's answer could not be decoded.
    Protocol,
    /// Any other answer of a server.
    Other(ErrorCode),
}

/// What a failure says about the server's state.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use znode::{Client, Outcome};
///
/// let error = Client::connect("not a host").await.unwrap_err();
/// assert_eq!(error.outcome(), Outcome::NotSent);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The request never left this process: it did not take effect, and may be made again.
    NotSent,
    /// A server refused the request: it did not take effect.
    Rejected,
    /// The request was written and no answer came: it may or may not have taken effect.
    Unknown,
}

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation, named as the method of [`Client`](crate::Client) is.
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// The path that the operation was about, as the caller gave it.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Of a failed [`multi`](crate::Client::multi): which of its operations failed, from 0.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{Op, Version};
    ///
    /// let ops = [Op::check("/ready", 3), Op::delete("/job", Version::ANY)];
    /// if let Err(error) = client.multi(ops).await {
    ///     println!("operation {:?} on {:?} failed", error.op_index(), error.path());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn op_index(&self) -> Option<usize> {
        self.op_index
    }

    /// Whether the operation may have taken effect.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether every later operation of this client will fail, too.
    pub fn is_session_over(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::SessionExpired
                | ErrorKind::AuthFailed
                | ErrorKind::Closed
                | ErrorKind::ConnectTimeout
                | ErrorKind::Tls(_)
        )
    }

    // ---- how errors are made ------------------------------------------------------------------

    fn new(kind: ErrorKind, op: &'static str, outcome: Outcome) -> Self {
        Self { kind, op, path: None, op_index: None, outcome, source: None }
    }

    fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn with_path(mut self, path: Option<&str>) -> Self {
        self.path = path.map(Box::from);
        self
    }

    pub(crate) fn with_op_index(mut self, index: usize) -> Self {
        self.op_index = Some(index);
        self
    }

    /// Adds why the newest connection could not be made; that it was TLS is a kind of its own.
    pub(crate) fn with_io_source(mut self, source: Option<Arc<io::Error>>) -> Self {
        let Some(source) = source else { return self };
        match TlsError::of(&source) {
            Some(tls) if self.kind == ErrorKind::ConnectTimeout => {
                self.kind = ErrorKind::Tls(tls.fault());
                self.caused_by(tls)
            }
            _ => {
                self.source = Some(source);
                self
            }
        }
    }

    pub(crate) fn tls(error: TlsError) -> Self {
        Self::new(ErrorKind::Tls(error.fault()), "connect", Outcome::NotSent).caused_by(error)
    }

    /// Of a write whose reply was lost: what kept us from finding out what became of it.
    pub(crate) fn unproven(self, op: &'static str, path: &str) -> Self {
        self.renamed(op, path).but_unknown()
    }

    /// Of an operation that is made of several requests: whatever stopped it, nobody knows.
    pub(crate) fn but_unknown(mut self) -> Self {
        self.outcome = Outcome::Unknown;
        self
    }

    /// Of an operation that is made of several requests: what the caller has asked for.
    pub(crate) fn renamed(self, op: &'static str, path: &str) -> Self {
        Self { op, op_index: None, ..self }.with_path(Some(path))
    }

    pub(crate) fn bad_arguments(op: &'static str, what: String) -> Self {
        Self::refused(op, ErrorKind::BadArguments).caused_by(io::Error::other(what))
    }

    pub(crate) fn invalid_data(
        op: &'static str,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::refused(op, ErrorKind::InvalidData).caused_by(source)
    }

    /// Nothing was sent.
    pub(crate) fn refused(op: &'static str, kind: ErrorKind) -> Self {
        Self::new(kind, op, Outcome::NotSent)
    }

    pub(crate) fn timeout(op: &'static str) -> Self {
        Self::new(ErrorKind::Timeout, op, Outcome::Unknown)
    }

    pub(crate) fn rejected(op: &'static str, code: ErrorCode) -> Self {
        Self::new(ErrorKind::from(code), op, Outcome::Rejected)
    }

    pub(crate) fn invalid_path(op: &'static str, path: InvalidPath) -> Self {
        let named = path.path().to_owned();
        Self::new(ErrorKind::InvalidPath, op, Outcome::NotSent)
            .with_path(Some(&named))
            .caused_by(path)
    }

    pub(crate) fn invalid_acl(op: &'static str, acl: InvalidAcl) -> Self {
        Self::new(ErrorKind::InvalidAcl, op, Outcome::NotSent).caused_by(acl)
    }

    pub(crate) fn invalid_ttl(op: &'static str, ttl: InvalidTtl) -> Self {
        Self::new(ErrorKind::InvalidTtl, op, Outcome::NotSent).caused_by(ttl)
    }

    pub(crate) fn invalid_connect_string(invalid: InvalidConnectString) -> Self {
        Self::new(ErrorKind::InvalidConnectString, "connect", Outcome::NotSent).caused_by(invalid)
    }

    pub(crate) fn too_large(op: &'static str, len: usize, max: usize) -> Self {
        let what = format!("the request has {len} bytes; servers accept {max}");
        Self::new(ErrorKind::TooLarge, op, Outcome::NotSent).caused_by(io::Error::other(what))
    }

    pub(crate) fn undecodable(op: &'static str, error: DecodeError) -> Self {
        Self::new(ErrorKind::Protocol, op, Outcome::Unknown).caused_by(error)
    }

    pub(crate) fn unexpected(op: &'static str, what: Cow<'static, str>) -> Self {
        let source = io::Error::new(io::ErrorKind::InvalidData, what);
        Self::new(ErrorKind::Protocol, op, Outcome::Unknown).caused_by(source)
    }

    pub(crate) fn ended(op: &'static str, ending: Ending) -> Self {
        Self::new(ErrorKind::from(ending), op, Outcome::NotSent)
    }

    pub(crate) fn close_not_told() -> Self {
        Self::new(ErrorKind::ConnectionLoss, "close", Outcome::Unknown)
    }

    pub(crate) fn failed(op: &'static str, failure: Failure) -> Self {
        let kind = match failure.cause {
            Cause::ConnectionLoss => ErrorKind::ConnectionLoss,
            Cause::Overload => ErrorKind::Overloaded,
            Cause::Ended(ending) => ErrorKind::from(ending),
        };
        let outcome = if failure.sent { Outcome::Unknown } else { Outcome::NotSent };
        Self::new(kind, op, outcome)
    }
}

impl From<ErrorCode> for ErrorKind {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NoNode => Self::NoNode,
            ErrorCode::NodeExists => Self::NodeExists,
            ErrorCode::BadVersion => Self::BadVersion,
            ErrorCode::NotEmpty => Self::NotEmpty,
            ErrorCode::NoAuth => Self::NoAuth,
            ErrorCode::InvalidAcl => Self::InvalidAcl,
            ErrorCode::NoChildrenForEphemerals => Self::NoChildrenForEphemerals,
            ErrorCode::EphemeralOnLocalSession => Self::EphemeralOnLocalSession,
            ErrorCode::BadArguments => Self::BadArguments,
            ErrorCode::SessionExpired => Self::SessionExpired,
            ErrorCode::AuthFailed => Self::AuthFailed,
            ErrorCode::NotReadOnly => Self::NotReadOnly,
            ErrorCode::NoWatcher => Self::NoWatcher,
            ErrorCode::QuotaExceeded => Self::QuotaExceeded,
            ErrorCode::Unimplemented | ErrorCode::ReconfigDisabled => Self::Unimplemented,
            ErrorCode::MarshallingError => Self::Marshalling,
            other => Self::Other(other),
        }
    }
}

impl From<Ending> for ErrorKind {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::ConnectTimeout => Self::ConnectTimeout,
            Ending::Expired => Self::SessionExpired,
            Ending::AuthFailed => Self::AuthFailed,
            Ending::Closed | Ending::LeftToExpire | Ending::Detached => Self::Closed,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNode => "node does not exist",
            Self::NodeExists => "node exists already",
            Self::BadVersion => "version does not match",
            Self::NotEmpty => "node has children",
            Self::NoAuth => "not authorised",
            Self::InvalidAcl => "invalid access control list",
            Self::NoChildrenForEphemerals => "ephemeral nodes cannot have children",
            Self::EphemeralOnLocalSession => "a local session cannot have ephemeral nodes",
            Self::BadArguments => "bad arguments",
            Self::InvalidPath => "invalid path",
            Self::InvalidConnectString => "invalid connect string",
            Self::InvalidTtl => "invalid time to live",
            Self::TooLarge => "request too large",
            Self::Overloaded => "too many requests wait already",
            Self::ConnectionLoss => "connection lost",
            Self::Timeout => "no answer in time",
            Self::ConnectTimeout => "no server confirmed the session in time",
            Self::Tls(fault) => return write!(f, "TLS: {fault}"),
            Self::SessionExpired => "session expired",
            Self::AuthFailed => "authentication failed",
            Self::Closed => "session closed",
            Self::NotReadOnly => "server is read-only",
            Self::NoWatcher => "no such watch",
            Self::QuotaExceeded => "quota exceeded",
            Self::Unimplemented => "not implemented by the server",
            Self::InvalidData => "the data is not what it is taken for",
            Self::Marshalling => "the server could not decode the request",
            Self::Protocol => "the server's answer could not be decoded",
            Self::Other(code) => return fmt::Display::fmt(code, f),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.op)?;
        if let Some(path) = &self.path {
            write!(f, " {path:?}")?;
        }
        if let Some(index) = self.op_index {
            write!(f, " (operation {index})")?;
        }
        write!(f, ": {}", self.kind)?;
        match self.outcome {
            Outcome::Unknown => f.write_str("; it may have taken effect"),
            Outcome::NotSent | Outcome::Rejected => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_operation_path_and_outcome() {
        let lost = Failure { cause: Cause::ConnectionLoss, sent: true };
        let error = Error::failed("set_data", lost).with_path(Some("/a"));
        assert_eq!(error.to_string(), "set_data \"/a\": connection lost; it may have taken effect");
        let refused = Error::rejected("delete", ErrorCode::NotEmpty).with_path(Some("/a"));
        assert_eq!(refused.to_string(), "delete \"/a\": node has children");
        assert_eq!(refused.outcome(), Outcome::Rejected);
    }
}
