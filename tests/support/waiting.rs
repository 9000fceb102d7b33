//! Waiting for what must happen, and looking at what has not happened yet.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;

/// A guard that fails a test which would hang; nothing is ever measured with it. Elections, and
/// starts of Java, take their seconds.
pub const GUARD: Duration = Duration::from_secs(60);

/// Waits for what must happen soon, or fails the test at the caller's line.
#[track_caller]
pub fn soon<F: Future>(what: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match timeout(GUARD, what).await {
            Ok(output) => output,
            Err(_) => panic!("nothing came of what was awaited at {caller}"),
        }
    }
}

/// Whether a future has not been resolved by what has been delivered so far.
pub fn is_pending<F: Future + Unpin>(what: &mut F) -> bool {
    what.now_or_never().is_none()
}

/// Reads a stream up to what is waited for.
#[track_caller]
pub fn reach<S>(items: &mut S, wanted: S::Item) -> impl Future<Output = ()>
where
    S: Stream<Item: PartialEq> + Unpin,
{
    soon(async move { while items.next().await.expect("the stream goes on") != wanted {} })
}

/// Polls a future until it is ready, or drops it after it was pending for so many times.
pub async fn drop_at<F: Future>(pending: usize, what: F) -> Option<F::Output> {
    let mut what = Box::pin(what);
    let mut seen = 0;
    poll_fn(|cx| {
        if let Poll::Ready(output) = what.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        seen += 1;
        if seen == pending { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}
