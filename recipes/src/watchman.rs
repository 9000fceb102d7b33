//! Who watches over a held node: over its session and its deadline, and, once somebody wants to
//! know of it, over the node itself and what is written in it.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, mem};

use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::StreamExt;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use znode::{Client, ErrorKind, EventType};

use crate::contender::Contender;
use crate::holding::Holding;
use crate::loss::LostReason;

/// What Curator writes into a holder's node to ask it to let go.
pub(crate) const REVOKE: &[u8] = b"__REVOKE__";

/// Watches over a held node until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchman {
    task: AbortHandle,
    /// Somebody waits for news that only a watch on the node brings.
    is_asked: Arc<Notify>,
    revoked: Revoked,
}

/// Resolves when somebody has asked a holder to let go; see
/// [`Guard::revoked`](crate::Guard::revoked). Clones resolve alike.
///
/// ```no_run
/// # async fn work() {}
/// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
/// tokio::select! {
///     () = work() => {}
///     _ = guard.revoked() => println!("somebody else wants it"),
/// }
/// guard.release().await
/// # }
/// ```
#[derive(Clone)]
#[must_use = "futures do nothing unless awaited"]
pub struct Revoked(Revocation);

#[derive(Clone)]
enum Revocation {
    Awaited(Shared<BoxFuture<'static, ()>>),
    Told,
}

impl Watchman {
    /// Begins to watch over the node of a contender, off the path of whoever waits for it.
    pub(crate) fn over(contender: &Contender, holding: Holding) -> Self {
        let is_asked = Arc::new(Notify::new());
        let asked = Arc::clone(&is_asked);
        let (revoker, receiver) = oneshot::channel();
        let task = contender.runtime().spawn(async move {
            let (client, path) = (holding.client(), holding.node());
            let watched = async {
                // Who lets go without having wanted to know is spared the request.
                asked.notified().await;
                deletion(client, path, revoker).await;
            };
            let kept =
                async { if holding.is_strict() { holding.kept().await } else { pending().await } };
            // A session that is over takes the node with it, so it is asked first.
            let reason = tokio::select! {
                biased;
                reason = session_end(client) => reason,
                () = watched => LostReason::Deleted,
                reason = kept => reason,
            };
            tracing::debug!(path = %path, %reason, "lost");
            holding.decide(reason);
        });
        // A node that is gone without having been revoked never will be.
        let revoked = async move {
            if receiver.await.is_err() {
                pending::<()>().await;
            }
        };
        let revoked = Revoked(Revocation::Awaited(revoked.boxed().shared()));
        Self { task: task.abort_handle(), is_asked, revoked }
    }

    /// Somebody waits for news: the node is watched from now on.
    pub(crate) fn ask(&self) {
        self.is_asked.notify_one();
    }

    pub(crate) fn revoked(&self) -> Revoked {
        self.revoked.clone()
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Future for Revoked {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Revocation::Awaited(told) = &mut self.0 {
            if told.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
            drop(mem::replace(&mut self.0, Revocation::Told));
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revoked")
    }
}

/// Waits until the session is over.
async fn session_end(client: &Client) -> LostReason {
    let mut states = client.states();
    while let Some(change) = states.next().await {
        if let Some(reason) = LostReason::of(change.state) {
            return reason;
        }
    }
    LostReason::Closed
}

/// Waits until the node is deleted, and tells if its data asks for it. Never returns if that cannot
/// be known.
async fn deletion(client: &Client, path: &str, revoker: oneshot::Sender<()>) {
    let mut revoker = Some(revoker);
    loop {
        match client.until_answered(|| client.get_data_watched(path)).await {
            Ok((data, _, watcher)) => {
                if let Some(revoker) = revoker.take_if(|_| data == REVOKE) {
                    // Nobody may be listening.
                    let _ = revoker.send(());
                }
                match watcher.await {
                    Ok(event) if event.kind == EventType::NodeDeleted => return,
                    // Somebody wrote to it, or removed the watch.
                    Ok(_) => {}
                    Err(_) => pending::<()>().await,
                }
            }
            Err(error) if error.kind() == ErrorKind::NoNode => return,
            Err(error) => {
                tracing::debug!(path, %error, "the node cannot be watched");
                pending::<()>().await;
            }
        }
    }
}
