//! What can go wrong with a lock.

use std::error::Error as StdError;
use std::fmt;

use znode::{ErrorKind, InvalidPath, Outcome};

use crate::loss::LostReason;
use crate::sequence::Refusal;

/// Why a lock was not acquired, not released, or did not admit a write.
///
/// A failed request of the client is its source; [`client_error`](Self::client_error) gives it
/// with its type.
///
/// ```
/// use znode::Outcome;
/// use znode_recipes::LockError;
///
/// fn told(error: &LockError) -> String {
///     let lock = error.path().unwrap_or("a lock");
///     match (error.client_error(), error.op_index()) {
///         _ if error.is_session_over() => "connect again".to_owned(),
///         (Some(error), Some(index)) => format!("{lock}: operation {index} failed: {error}"),
///         _ if error.outcome() == Outcome::Unknown => format!("{lock}: look what was written"),
///         _ => format!("{lock}: {:?}", error.kind()),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone)]
pub struct LockError {
    kind: LockErrorKind,
    path: Option<Box<str>>,
    cause: Cause,
    /// Of a guarded transaction: how many checks come before the caller's operations.
    checks: usize,
}

/// The kinds of failure, one for each thing that a caller can do about it.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{LockErrorKind, Mutex};
///
/// match Mutex::new(&client, "/locks/invoice-run").lock().await {
///     Err(error) if error.kind() == LockErrorKind::OtherRecipe => println!("no mutex: {error}"),
///     locked => locked?.release().await?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockErrorKind {
    /// The path of the lock cannot be one; nothing was sent.
    InvalidPath,
    /// The server has numbered 2³¹ children of the lock's node and goes on with negative numbers,
    /// which clients do not order alike. The node must be deleted and made anew.
    SequenceExhausted,
    /// The path is used for something else, too: neither would exclude the other.
    OtherRecipe,
    /// The same lock was named twice; nothing was sent.
    Duplicate,
    /// More permits were asked for than there are; nothing was sent.
    Unsatisfiable,
    /// Somebody else deleted our place in line, again and again.
    PlaceDeleted,
    /// The lock is not held any more.
    LockLost,
    /// The connection was down for as long as a guarded write may be parked; nothing was sent, and
    /// the lock may be held or lost.
    Suspect,
    /// A request of the client failed; the source is a [`znode::Error`].
    Client,
    /// A server's answer has other parts than the question had.
    Protocol,
}

#[derive(Debug, Clone)]
enum Cause {
    None,
    Client(znode::Error),
    InvalidPath(InvalidPath),
    Refusal(Refusal),
    Lost(LostReason),
    Told(Told),
}

/// What there is to say of a failure that has no other cause.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Told(String);

impl LockError {
    /// The kind of failure.
    pub fn kind(&self) -> LockErrorKind {
        self.kind
    }

    /// The path of the lock, as the caller gave it; `None` where the error was made from a
    /// [`LostReason`] alone.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The failure of the client that caused this one, if one did.
    pub fn client_error(&self) -> Option<&znode::Error> {
        match &self.cause {
            Cause::Client(error) => Some(error),
            _ => None,
        }
    }

    /// Of a guarded write: whether it may have taken effect. If it has, then while the lock was
    /// held.
    pub fn outcome(&self) -> Outcome {
        match (&self.cause, self.kind) {
            (Cause::Client(error), _) => error.outcome(),
            (_, LockErrorKind::Protocol) => Outcome::Unknown,
            _ => Outcome::NotSent,
        }
    }

    /// Of a guarded [`multi`](crate::GuardedClient::multi): which of its operations failed,
    /// from 0; `None` if the check of the lock did.
    pub fn op_index(&self) -> Option<usize> {
        self.client_error()?.op_index()?.checked_sub(self.checks)
    }

    /// Whether the session is over, so that everything else asked of this client will fail, too.
    pub fn is_session_over(&self) -> bool {
        match &self.cause {
            Cause::Client(error) => error.is_session_over(),
            Cause::Lost(reason) => reason.is_session_over(),
            Cause::None | Cause::InvalidPath(_) | Cause::Refusal(_) | Cause::Told(_) => false,
        }
    }

    // ---- how errors are made ------------------------------------------------------------------

    fn new(kind: LockErrorKind, path: Option<Box<str>>, cause: Cause) -> Self {
        Self { kind, path, cause, checks: 1 }
    }

    pub(crate) fn invalid_path(invalid: InvalidPath) -> Self {
        let path = Some(invalid.path().into());
        Self::new(LockErrorKind::InvalidPath, path, Cause::InvalidPath(invalid))
    }

    pub(crate) fn refused(path: &str, refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::RolledOver(_) => LockErrorKind::SequenceExhausted,
            Refusal::OtherRecipe(_) => LockErrorKind::OtherRecipe,
        };
        Self::new(kind, Some(path.into()), Cause::Refusal(refusal))
    }

    /// Of a path that a client cannot name.
    pub(crate) fn out_of_reach(path: &str) -> Self {
        Self::told(LockErrorKind::InvalidPath, path, "it is not below the client's chroot".into())
    }

    /// Of the root, which has no siblings.
    pub(crate) fn no_place_beside(path: &str) -> Self {
        Self::told(LockErrorKind::InvalidPath, path, "nothing can stand beside it".into())
    }

    pub(crate) fn not_a_tombstone(path: &str, beside: &str) -> Self {
        let what = format!("{beside:?} is not what a holder has left there");
        Self::told(LockErrorKind::OtherRecipe, path, what)
    }

    pub(crate) fn not_a_count(path: &str, len: usize) -> Self {
        let what = format!("a shared count has 4 bytes or none, and this has {len}");
        Self::told(LockErrorKind::OtherRecipe, path, what)
    }

    pub(crate) fn unsatisfiable(path: &str, count: u32, limit: u32) -> Self {
        let what = format!("{count} permits were asked for, of {limit}");
        Self::told(LockErrorKind::Unsatisfiable, path, what)
    }

    fn told(kind: LockErrorKind, path: &str, what: String) -> Self {
        Self::new(kind, Some(path.into()), Cause::Told(Told(what)))
    }

    pub(crate) fn place_deleted(path: &str) -> Self {
        Self::new(LockErrorKind::PlaceDeleted, Some(path.into()), Cause::None)
    }

    pub(crate) fn lost(path: &str, reason: LostReason) -> Self {
        let cause = Cause::Lost(reason);
        Self::new(LockErrorKind::LockLost, Some(path.into()), cause)
    }

    pub(crate) fn suspect(path: &str) -> Self {
        Self::new(LockErrorKind::Suspect, Some(path.into()), Cause::None)
    }

    /// Of a transaction whose first operation checks the lock's node.
    pub(crate) fn guarded(path: &str, error: znode::Error) -> Self {
        Self::guarded_by(path, error, 1)
    }

    /// Of a transaction whose first operations check the nodes of several locks.
    pub(crate) fn guarded_by(path: &str, error: znode::Error, checks: usize) -> Self {
        let is_check = error.op_index().is_some_and(|index| index < checks);
        let is_missing = is_check && error.kind() == ErrorKind::NoNode;
        let error = if is_missing || error.is_session_over() {
            Self::lost_by(path, error)
        } else {
            Self::client(path, error)
        };
        Self { checks, ..error }
    }

    pub(crate) fn duplicate(path: &str) -> Self {
        Self::new(LockErrorKind::Duplicate, Some(path.into()), Cause::None)
    }

    pub(crate) fn client(path: &str, error: znode::Error) -> Self {
        let cause = Cause::Client(error);
        Self::new(LockErrorKind::Client, Some(path.into()), cause)
    }

    pub(crate) fn unexpected(path: &str) -> Self {
        Self::new(LockErrorKind::Protocol, Some(path.into()), Cause::None)
    }

    /// Of something that only a holder can do: whatever the client met, the lock is lost.
    pub(crate) fn lost_by(path: &str, error: znode::Error) -> Self {
        Self { kind: LockErrorKind::LockLost, ..Self::client(path, error) }
    }
}

/// So that a holder can give up with `?` when its lock is lost.
impl From<LostReason> for LockError {
    fn from(reason: LostReason) -> Self {
        Self::new(LockErrorKind::LockLost, None, Cause::Lost(reason))
    }
}

impl fmt::Display for LockErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidPath => "invalid path",
            Self::SequenceExhausted => "sequence numbers are used up",
            Self::OtherRecipe => "the path belongs to another recipe",
            Self::Duplicate => "it was named twice",
            Self::Unsatisfiable => "there will never be as much",
            Self::PlaceDeleted => "the place in line was deleted by somebody else",
            Self::LockLost => "the lock is not held any more",
            Self::Suspect => "the connection is down, and the lock may be held or lost",
            Self::Client => "a request failed",
            Self::Protocol => "the server's answer does not fit the question",
        })
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "lock {path:?}: {}", self.kind),
            None => write!(f, "lock: {}", self.kind),
        }
    }
}

impl StdError for LockError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Cause::None => None,
            Cause::Client(error) => Some(error),
            Cause::InvalidPath(invalid) => Some(invalid),
            Cause::Refusal(refusal) => Some(refusal),
            Cause::Told(told) => Some(told),
            Cause::Lost(reason) => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_lock_and_leaves_the_cause_to_the_source() {
        let error = LockError::lost("/a", LostReason::Deleted);
        assert_eq!(error.to_string(), "lock \"/a\": the lock is not held any more");
        assert_eq!(error.source().unwrap().to_string(), "its node was deleted by somebody else");
        let error = LockError::from(LostReason::SessionExpired);
        assert_eq!(error.to_string(), "lock: the lock is not held any more");
        assert!(error.is_session_over());
    }
}
