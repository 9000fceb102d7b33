//! What has become of a task.

use std::panic::resume_unwind;

use tokio::task::JoinError;

/// What a task has returned, if it has; `None` if it was given up, or its runtime has ended.
///
/// # Panics
/// If the task has: with what that has said.
pub(crate) fn joined<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(returned) => Some(returned),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}
