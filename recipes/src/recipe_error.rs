//! What can go wrong with a recipe that is not a lock.

use std::error::Error as StdError;
use std::fmt;

use znode::{InvalidPath, Outcome};

use crate::error::{LockError, LockErrorKind};

/// Why a barrier, a queue, a counter or another recipe could not do what it was asked.
///
/// A failed request of the client is its source; [`client_error`](Self::client_error) gives it
/// with its type.
///
/// ```
/// use znode::Outcome;
/// use znode_recipes::{RecipeError, RecipeErrorKind};
///
/// fn told(error: &RecipeError) -> String {
///     match error.kind() {
///         RecipeErrorKind::Foreign => format!("{} is somebody else's", error.path()),
///         RecipeErrorKind::Client if error.outcome() == Outcome::Rejected => {
///             format!("{}: {:?}", error.path(), error.client_error())
///         }
///         _ if error.is_session_over() => "connect again".to_owned(),
///         _ if error.outcome() == Outcome::Unknown => format!("look at {}", error.path()),
///         kind => format!("{}: {kind}", error.path()),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone)]
pub struct RecipeError {
    kind: RecipeErrorKind,
    path: Box<str>,
    cause: Cause,
    /// Whether something that was asked before the failure may have taken effect.
    may_be_done: bool,
}

/// The kinds of failure, one for each thing that a caller can do about it.
///
/// ```
/// use znode_recipes::RecipeErrorKind;
///
/// assert_eq!(RecipeErrorKind::Foreign.to_string(), "it belongs to another recipe");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecipeErrorKind {
    /// The path cannot be one of this recipe; nothing was sent.
    InvalidPath,
    /// What was asked for can never be done, whatever the servers say; nothing was sent.
    InvalidArgument,
    /// A value is not what its type allows: one that was to be written was not, and of one that was
    /// read the last good one before it is kept.
    InvalidValue,
    /// What stands at the path was not written by this recipe. It was left as it is.
    Foreign,
    /// Numbers are used up: of a counter, or of a parent's sequential children.
    Exhausted,
    /// What is there is not what was expected: somebody else was faster, or it was done otherwise
    /// before. Nothing was done.
    Conflict,
    /// What was held, as the claim to an item, is not held any more; nothing was done.
    Lost,
    /// A request of the client failed; the source is a [`znode::Error`].
    Client,
    /// A server's answer has other parts than the question had.
    Protocol,
}

#[derive(Debug, Clone)]
enum Cause {
    Client(znode::Error),
    InvalidPath(InvalidPath),
    Told(Told),
}

/// What there is to say of a failure that has no other cause.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Told(String);

impl RecipeError {
    /// The kind of failure.
    pub fn kind(&self) -> RecipeErrorKind {
        self.kind
    }

    /// The path that it is about, as the caller gave it or below that.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The failure of the client that caused this one, if one did.
    pub fn client_error(&self) -> Option<&znode::Error> {
        match &self.cause {
            Cause::Client(error) => Some(error),
            _ => None,
        }
    }

    /// Whether what was asked for may have taken effect.
    pub fn outcome(&self) -> Outcome {
        match self.client_error() {
            _ if self.may_be_done => Outcome::Unknown,
            Some(error) => error.outcome(),
            None if self.kind == RecipeErrorKind::Protocol => Outcome::Unknown,
            None => Outcome::NotSent,
        }
    }

    /// Whether the session is over, so that everything else asked of this client will fail, too.
    pub fn is_session_over(&self) -> bool {
        self.client_error().is_some_and(znode::Error::is_session_over)
    }

    // ---- how errors are made ------------------------------------------------------------------

    fn new(kind: RecipeErrorKind, path: &str, cause: Cause) -> Self {
        Self { kind, path: path.into(), cause, may_be_done: false }
    }

    pub(crate) fn invalid_path(invalid: InvalidPath) -> Self {
        let path = invalid.path().to_owned();
        Self::new(RecipeErrorKind::InvalidPath, &path, Cause::InvalidPath(invalid))
    }

    /// Of something that this recipe could never do.
    pub(crate) fn invalid_argument(path: &str, what: impl Into<String>) -> Self {
        Self::told(RecipeErrorKind::InvalidArgument, path, what)
    }

    /// Of a node that says something else than this recipe would.
    pub(crate) fn foreign(path: &str, what: impl Into<String>) -> Self {
        Self::told(RecipeErrorKind::Foreign, path, what)
    }

    /// Of a value that its type does not allow.
    pub(crate) fn invalid_value(path: &str, what: impl Into<String>) -> Self {
        Self::told(RecipeErrorKind::InvalidValue, path, what)
    }

    /// Of a version that is to be there, and is not.
    pub(crate) fn missing_version(path: &str, version: u64) -> Self {
        Self::foreign(path, format!("somebody has deleted what version {version} says"))
    }

    pub(crate) fn exhausted(path: &str, what: impl Into<String>) -> Self {
        Self::told(RecipeErrorKind::Exhausted, path, what)
    }

    /// Of something that does not fit what is there.
    pub(crate) fn conflict(path: &str, what: impl Into<String>) -> Self {
        Self::told(RecipeErrorKind::Conflict, path, what)
    }

    pub(crate) fn lost(path: &str, what: impl Into<String>) -> Self {
        Self::told(RecipeErrorKind::Lost, path, what)
    }

    fn told(kind: RecipeErrorKind, path: &str, what: impl Into<String>) -> Self {
        Self::new(kind, path, Cause::Told(Told(what.into())))
    }

    /// Of something that was asked before, and that nothing is known of.
    pub(crate) fn but_unknown(mut self) -> Self {
        self.may_be_done = true;
        self
    }

    pub(crate) fn unexpected(path: &str, what: impl Into<String>) -> Self {
        Self::told(RecipeErrorKind::Protocol, path, what)
    }

    pub(crate) fn client(path: &str, error: znode::Error) -> Self {
        Self::new(RecipeErrorKind::Client, path, Cause::Client(error))
    }

    /// Of a lock that this recipe could not have.
    pub(crate) fn of_lock(error: &LockError) -> Self {
        let path = error.path().unwrap_or_default();
        if let Some(client) = error.client_error() {
            return Self::client(path, client.clone());
        }
        let kind = match error.kind() {
            LockErrorKind::InvalidPath => RecipeErrorKind::InvalidPath,
            LockErrorKind::SequenceExhausted => RecipeErrorKind::Exhausted,
            LockErrorKind::OtherRecipe => RecipeErrorKind::Foreign,
            LockErrorKind::Duplicate | LockErrorKind::Unsatisfiable => {
                RecipeErrorKind::InvalidArgument
            }
            LockErrorKind::PlaceDeleted | LockErrorKind::LockLost | LockErrorKind::Suspect => {
                RecipeErrorKind::Lost
            }
            LockErrorKind::Client => RecipeErrorKind::Client,
            LockErrorKind::Protocol => RecipeErrorKind::Protocol,
        };
        let told = error.source().map_or_else(|| error.kind().to_string(), ToString::to_string);
        Self::told(kind, path, told)
    }
}

impl fmt::Display for RecipeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidPath => "invalid path",
            Self::InvalidArgument => "it can never be done",
            Self::InvalidValue => "the value is not valid",
            Self::Foreign => "it belongs to another recipe",
            Self::Exhausted => "numbers are used up",
            Self::Conflict => "something else is there than was expected",
            Self::Lost => "it is not held any more",
            Self::Client => "a request failed",
            Self::Protocol => "the server's answer does not fit the question",
        })
    }
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recipe {:?}: {}", self.path, self.kind)
    }
}

impl StdError for RecipeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Cause::Client(error) => Some(error),
            Cause::InvalidPath(error) => Some(error),
            Cause::Told(told) => Some(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_about_where_and_leaves_why_to_its_source() {
        let error = RecipeError::invalid_argument("/barrier", "nobody is to come");
        assert_eq!(error.to_string(), "recipe \"/barrier\": it can never be done");
        assert_eq!(error.source().unwrap().to_string(), "nobody is to come");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(!error.is_session_over());
    }
}
