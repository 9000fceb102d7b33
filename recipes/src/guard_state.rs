//! What the holder of a guard may believe, and each change of it.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::FutureExt;
use futures::stream::{Stream, StreamExt};
use tokio::time::Instant;
use znode::{State, StateStream};

use crate::holding::Holding;
use crate::loss::{Lost, LostReason};

/// What the holder of a guard may believe.
///
/// ```
/// use znode_recipes::{GuardState, LostReason};
///
/// assert!(GuardState::Held.is_held() && !GuardState::Held.is_suspect());
/// assert!(GuardState::Lost(LostReason::Deleted).is_lost());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuardState {
    /// The session is connected, and nobody was seen to delete the node.
    Held,
    /// The connection is down, or its server is cut off from its quorum. The lock may be held or
    /// lost; if the session survives it is held again, with the same token.
    #[non_exhaustive]
    Suspect {
        /// Until when nobody else can have the lock, all the same; it may have passed. See
        /// [`Guard::deadline`](crate::Guard::deadline).
        until: Instant,
    },
    /// The lock is lost for ever.
    Lost(LostReason),
}

/// The states of a guard; see [`Guard::states`](crate::Guard::states).
///
/// ```no_run
/// # async fn example(guard: znode_recipes::Guard) {
/// use futures::StreamExt;
/// use znode_recipes::{GuardState, GuardStates};
///
/// let mut states: GuardStates = guard.states();
/// while let Some(state) = states.next().await {
///     if let GuardState::Suspect { until, .. } = state {
///         println!("nobody else has it before {until:?}");
///     }
/// }
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct GuardStates {
    holding: Holding,
    lost: Lost,
    states: StateStream,
    last: Option<GuardState>,
}

impl GuardState {
    /// What the state of a session says about what it holds, where that is assured up to `until`.
    pub(crate) fn of(state: State, until: Instant) -> Self {
        match (LostReason::of(state), state) {
            (Some(reason), _) => Self::Lost(reason),
            (None, State::Connected) => Self::Held,
            (None, _) => Self::Suspect { until },
        }
    }

    /// Whether the lock is held, as far as can be known.
    pub fn is_held(self) -> bool {
        matches!(self, Self::Held)
    }

    /// Whether the lock may be held or lost.
    pub fn is_suspect(self) -> bool {
        matches!(self, Self::Suspect { .. })
    }

    /// Whether the lock is lost for ever.
    pub fn is_lost(self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl GuardStates {
    pub(crate) fn new(holding: &Holding) -> Self {
        let (lost, states) = (holding.lost().clone(), holding.client().states());
        Self { holding: holding.clone(), lost, states, last: None }
    }
}

impl Stream for GuardStates {
    type Item = GuardState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GuardState>> {
        if self.last.is_some_and(GuardState::is_lost) {
            return Poll::Ready(None);
        }
        // The verdict first: that a node is gone is older news than what the session does now.
        if let Poll::Ready(reason) = self.lost.poll_unpin(cx) {
            let lost = Some(GuardState::Lost(reason));
            self.last = lost;
            return Poll::Ready(lost.filter(|_| reason != LostReason::Released));
        }
        loop {
            let change = ready!(self.states.poll_next_unpin(cx));
            let state = change.map_or(GuardState::Lost(LostReason::Closed), |change| {
                GuardState::of(change.state, self.holding.deadline())
            });
            let is_news =
                self.last.map(|last| mem::discriminant(&last)) != Some(mem::discriminant(&state));
            if is_news {
                self.last = Some(state);
                return Poll::Ready(Some(state));
            }
        }
    }
}

impl fmt::Debug for GuardStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardStates").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn only_a_server_of_the_quorum_vouches_for_a_lock() {
        let until = now();
        for (state, held) in [
            (State::Connected, GuardState::Held),
            (State::ConnectedReadOnly, GuardState::Suspect { until }),
            (State::Suspect, GuardState::Suspect { until }),
            (State::Connecting, GuardState::Suspect { until }),
            (State::Expired, GuardState::Lost(LostReason::SessionExpired)),
            (State::AuthFailed, GuardState::Lost(LostReason::AuthFailed)),
            (State::Closed, GuardState::Lost(LostReason::Closed)),
        ] {
            assert_eq!(GuardState::of(state, until), held, "{state}");
        }
    }
}
