//! Asking again: what does no harm if done twice is repeated until a server has answered it.

use std::future::Future;
use std::time::Duration;

use znode::{Client, Error, ErrorKind, RetryPolicy};

/// The pauses between two attempts. The client itself waits for a connection, so they matter only
/// where connections are made and lost again at once.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Repeats `op` while its connection is lost; ends with the session at the latest.
///
/// # Errors
/// A server's refusal, or the end of the session.
pub(crate) async fn until_answered<T, F>(client: &Client, op: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    RetryPolicy::exponential(PAUSE_MIN, PAUSE_MAX).run_if(client, is_lost, op).await
}

/// Whether no answer came, and the session may live on.
pub(crate) fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::ConnectionLoss
}
