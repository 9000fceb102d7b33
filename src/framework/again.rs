//! Asking again: what does no harm if done twice is repeated until a server has answered it.

use std::future::Future;
use std::time::Duration;

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::retry::RetryPolicy;

/// The pauses between two attempts. The client itself waits for a connection, so they matter only
/// where connections are made and lost again at once.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often in all something is asked for whose reply is lost each time, and which has not taken
/// effect: a server may close the connection at it, because it takes no frame that large, and would
/// do so for ever.
pub(super) const ATTEMPTS_MAX: usize = 10;

impl Client {
    /// Repeats `op` while its connection is lost, or [too many requests wait
    /// already](crate::ConnectOptions::waiting_max), and ends with the session at the latest. For
    /// reads, and for writes that do no harm when they are done twice.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let children = client.until_answered(|| client.get_children("/workers")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A server's refusal, or the end of the session.
    ///
    /// # Cancel safety
    /// As that of `op`: at most one attempt is under way.
    ///
    /// # Panics
    /// If it has to pause outside a tokio runtime with time enabled.
    pub async fn until_answered<T, F>(&self, op: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        RetryPolicy::exponential(PAUSE_MIN, PAUSE_MAX).run_if(self, is_unanswered, op).await
    }
}

/// Whether no server has answered, and the session may live on.
pub(super) fn is_unanswered(error: &Error) -> bool {
    is_lost(error) || error.kind() == ErrorKind::Overloaded
}

/// Whether no answer came, and the session may live on.
pub(super) fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::ConnectionLoss
}
