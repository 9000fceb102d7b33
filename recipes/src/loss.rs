//! That a holder holds no more, and why: decided once, told to everybody who waits for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures::future::{BoxFuture, FutureExt, Shared};
use tokio::sync::oneshot;
use znode::State;

/// Why a guard holds nothing any more.
///
/// ```
/// use znode_recipes::LostReason;
///
/// assert!(LostReason::SessionExpired.is_session_over());
/// assert!(!LostReason::Deleted.is_session_over());
/// ```
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
    /// Of a [strict](crate::LockOptions::strict) guard: its deadline has passed, as it could not be
    /// renewed in time. Nobody has taken it away yet, as far as is known.
    #[error("it could not be renewed before its deadline")]
    Overdue,
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
///
/// ```no_run
/// # async fn example(guard: znode_recipes::Guard) {
/// let lost: znode_recipes::Lost = guard.lost();
/// tokio::spawn(async move { println!("stop all work: {:?}", lost.await) });
/// # }
/// ```
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
            Self::Overdue | Self::Deleted | Self::Released => false,
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
