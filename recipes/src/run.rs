//! Work that ends with the lock that it needs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::FutureExt;

use crate::error::LockError;
use crate::holding::Holding;
use crate::loss::Lost;

/// Work that ends with the lock that it needs; see [`Guard::run`](crate::Guard::run).
///
/// ```no_run
/// # async fn work() -> u32 { 7 }
/// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
/// let run: znode_recipes::Run<_> = guard.run(work());
/// println!("done while it was held: {}", run.await?);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Run<F> {
    /// Gone once the lock is.
    work: Option<Pin<Box<F>>>,
    holding: Holding,
    lost: Lost,
    lock: Arc<str>,
}

impl<F> Run<F> {
    pub(crate) fn new(work: F, holding: &Holding, lock: &Arc<str>) -> Self {
        let (holding, lost) = (holding.clone(), holding.lost().clone());
        Self { work: Some(Box::pin(work)), holding, lost, lock: Arc::clone(lock) }
    }
}

impl<F: Future> Future for Run<F> {
    type Output = Result<F::Output, LockError>;

    /// # Panics
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // After the process stood still this may be the first to have its turn: it looks for
        // itself, and decides it.
        let _ = self.holding.lost_by_now();
        if let Poll::Ready(reason) = self.lost.poll_unpin(cx) {
            self.work = None;
            return Poll::Ready(Err(LockError::lost(&self.lock, reason)));
        }
        let work = self.work.as_mut().expect("it is polled until it is ready");
        let output = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(Ok(output))
    }
}

impl<F> fmt::Debug for Run<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("lock", &self.lock).finish_non_exhaustive()
    }
}
