//! What the holder of a guard may believe, and each change of it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::FutureExt;
use futures::stream::{Stream, StreamExt};
use znode::{Client, State, StateStream};

use crate::loss::{Lost, LostReason};

/// What the holder of a guard may believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuardState {
    /// The session is connected, and nobody was seen to delete the node.
    Held,
    /// The connection is down, or its server is cut off from its quorum. The lock may be held or
    /// lost; if the session survives it is held again, with the same token.
    Suspect,
    /// The lock is lost for ever.
    Lost(LostReason),
}

/// The states of a guard; see [`Guard::states`](crate::Guard::states).
#[must_use = "streams do nothing unless polled"]
pub struct GuardStates {
    lost: Lost,
    states: StateStream,
    last: Option<GuardState>,
}

impl GuardState {
    /// What the state of a session says about what it holds.
    pub(crate) fn of(state: State) -> Self {
        match (LostReason::of(state), state) {
            (Some(reason), _) => Self::Lost(reason),
            (None, State::Connected) => Self::Held,
            (None, _) => Self::Suspect,
        }
    }
}

impl GuardStates {
    pub(crate) fn new(client: &Client, lost: Lost) -> Self {
        Self { lost, states: client.states(), last: None }
    }
}

impl Stream for GuardStates {
    type Item = GuardState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GuardState>> {
        if matches!(self.last, Some(GuardState::Lost(_))) {
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
                GuardState::of(change.state)
            });
            if self.last != Some(state) {
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

    #[test]
    fn only_a_server_of_the_quorum_vouches_for_a_lock() {
        for (state, held) in [
            (State::Connected, GuardState::Held),
            (State::ConnectedReadOnly, GuardState::Suspect),
            (State::Suspect, GuardState::Suspect),
            (State::Connecting, GuardState::Suspect),
            (State::Expired, GuardState::Lost(LostReason::SessionExpired)),
            (State::AuthFailed, GuardState::Lost(LostReason::AuthFailed)),
            (State::Closed, GuardState::Lost(LostReason::Closed)),
        ] {
            assert_eq!(GuardState::of(state), held, "{state}");
        }
    }
}
