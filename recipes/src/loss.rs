//! How a holder learns that it holds no more.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::StreamExt;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use znode::{Client, ErrorKind, EventType, State};

use crate::contender::Contender;

/// Why a guard holds nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LostReason {
    /// The session has expired: a server said so, or its timeout has gone by without an answer.
    #[error("the session expired")]
    SessionExpired,
    /// A server refused an identity, which ended the session for this client.
    #[error("the session ended as a server refused an identity")]
    AuthFailed,
    /// The client was closed or detached.
    #[error("the session was closed")]
    Closed,
    /// Somebody else deleted the node.
    #[error("its node was deleted by somebody else")]
    Deleted,
    /// The guard was released or dropped.
    #[error("it was released")]
    Released,
}

/// Resolves once a guard holds nothing any more; see [`Guard::lost`](crate::Guard::lost).
///
/// Clones resolve alike, and awaiting one again later gives the same answer.
#[derive(Clone)]
#[must_use = "futures do nothing unless awaited"]
pub struct Lost {
    verdict: Shared<BoxFuture<'static, LostReason>>,
    /// What the verdict was: a shared future answers each of its clones once only.
    reason: Option<LostReason>,
}

/// Decides once why a guard holds nothing any more; the first reason stays.
#[derive(Debug)]
pub(crate) struct Verdict(Mutex<Option<oneshot::Sender<LostReason>>>);

/// Watches over a held node until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchman(AbortHandle);

impl LostReason {
    /// Why what a session stands for is lost in this state, if it is.
    pub(crate) fn of(state: State) -> Option<Self> {
        match state {
            State::Expired => Some(Self::SessionExpired),
            State::AuthFailed => Some(Self::AuthFailed),
            State::Closed => Some(Self::Closed),
            state if state.is_terminal() => Some(Self::Closed),
            _ => None,
        }
    }

    /// Whether the whole session is over, not this lock alone.
    pub fn is_session_over(self) -> bool {
        match self {
            Self::SessionExpired | Self::AuthFailed | Self::Closed => true,
            Self::Deleted | Self::Released => false,
        }
    }
}

impl Verdict {
    pub(crate) fn new() -> (Arc<Self>, Lost) {
        let (sender, receiver) = oneshot::channel();
        // Nobody can decide any more when a runtime has shut down, and the session with it.
        let reason = receiver.map(|reason| reason.unwrap_or(LostReason::Closed));
        let lost = Lost { verdict: reason.boxed().shared(), reason: None };
        (Arc::new(Self(Mutex::new(Some(sender)))), lost)
    }

    pub(crate) fn decide(&self, reason: LostReason) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Nobody may be listening.
            let _ = sender.send(reason);
        }
    }
}

impl Lost {
    /// The reason, if it is decided already.
    pub(crate) fn decided(&self) -> Option<LostReason> {
        self.clone().now_or_never()
    }
}

impl Watchman {
    /// Begins to watch over the node of a contender, off the path of whoever waits for it.
    pub(crate) fn over(contender: &Contender, verdict: Arc<Verdict>) -> Self {
        let (client, path) = (contender.client().clone(), contender.path().to_owned());
        let task = contender.runtime().spawn(async move {
            // A session that is over takes the node with it, so it is asked first.
            let reason = tokio::select! {
                biased;
                reason = session_end(&client) => reason,
                () = deletion(&client, &path) => LostReason::Deleted,
            };
            tracing::debug!(path, %reason, "lost");
            verdict.decide(reason);
        });
        Self(task.abort_handle())
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

/// Waits until the node is deleted. Never returns if that cannot be known.
async fn deletion(client: &Client, path: &str) {
    loop {
        match client.until_answered(|| client.get_data_watched(path)).await {
            Ok((_, _, watcher)) => match watcher.await {
                Ok(event) if event.kind == EventType::NodeDeleted => return,
                // Somebody wrote to it, or removed the watch.
                Ok(_) => {}
                Err(_) => pending::<()>().await,
            },
            Err(error) if error.kind() == ErrorKind::NoNode => return,
            Err(error) => {
                tracing::debug!(path, %error, "the node cannot be watched");
                pending::<()>().await;
            }
        }
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Future for Lost {
    type Output = LostReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LostReason> {
        if self.reason.is_none() {
            self.reason = Some(ready!(self.verdict.poll_unpin(cx)));
        }
        self.reason.map_or(Poll::Pending, Poll::Ready)
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lost").field(&self.decided()).finish()
    }
}
