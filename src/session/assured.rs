//! Until when the ensemble certainly keeps a session, as far as its client can prove it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::moment::Moment;

/// How many touches are remembered to each session timeout; between two of them no other is.
const TOUCHES_PER_TIMEOUT: u32 = 32;

/// How many touches are remembered in all: two timeouts' worth. Who looks further back has lost
/// the session.
const TOUCHES_MAX: usize = 64;

/// What a client has seen of its session being kept alive.
///
/// A server answers pings by itself, so an answer proves little: a follower reports to its leader,
/// who alone lets sessions expire, in half ticks only, and may be cut off from it. A *committed
/// write* proves that the leader talked to our server then, and that server had by then reported
/// whatever had reached it half a tick before. So the newest packet that was answered half a tick
/// before the write was sent is one that the leader knows of, and it lets nobody expire who was
/// heard of within the timeout.
///
/// A client sends something every third of its timeout, so that packet was sent a third and half a
/// tick before the write at the most, unless answers were slow; the earlier moment counts.
#[derive(Debug)]
pub(super) struct Assured {
    /// The tick of the ensemble, if it was told.
    tick: Option<Duration>,
    timeout: Duration,
    /// How far apart touches are, which every answer asks.
    spacing: Duration,
    /// When the newest handshake was sent that the leader took part in.
    handshaken_at: Moment,
    /// Packets that this connection has answered, the newest last.
    touches: VecDeque<Touch>,
    until: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Touch {
    sent_at: Moment,
    answered_at: Moment,
}

impl Assured {
    pub(super) fn new(tick: Option<Duration>) -> Self {
        Self {
            tick,
            timeout: Duration::ZERO,
            spacing: Duration::ZERO,
            handshaken_at: Moment::START,
            touches: VecDeque::new(),
            until: Moment::START,
        }
    }

    /// When the session may be over at the earliest.
    pub(super) fn until(&self) -> Moment {
        self.until
    }

    /// A server has confirmed the session with `timeout`, having asked the leader. What an earlier
    /// server has answered says nothing any more: it may never have passed that on.
    pub(super) fn handshaken(&mut self, sent_at: Moment, timeout: Duration) {
        self.timeout = timeout;
        self.spacing = timeout / TOUCHES_PER_TIMEOUT;
        self.handshaken_at = sent_at;
        self.touches.clear();
        self.until = sent_at + timeout - timeout / 3 - self.half_tick();
    }

    /// A packet that was sent at `sent_at` has been answered; `committed` says that it was a write
    /// which a quorum has.
    pub(super) fn answered(&mut self, now: Moment, sent_at: Moment, committed: bool) {
        if committed {
            let half_tick = self.half_tick();
            let is_reported = |touch: &&Touch| touch.answered_at + half_tick <= sent_at;
            let reported = self.touches.iter().rev().find(is_reported);
            // The leader itself has confirmed the handshake.
            let reported = reported.map_or(self.handshaken_at, |touch| touch.sent_at);
            let until = sent_at + self.timeout - self.timeout / 3 - half_tick;
            self.until = self.until.max(until.min(reported + self.timeout));
        }
        if self.touches.back().is_none_or(|last| now >= last.answered_at + self.spacing) {
            if self.touches.len() == TOUCHES_MAX {
                self.touches.pop_front();
            }
            self.touches.push_back(Touch { sent_at, answered_at: now });
        }
    }

    /// Half of the ensemble's tick. Unless its operator has lowered the limit, no session has a
    /// timeout of less than two ticks.
    fn half_tick(&self) -> Duration {
        self.tick.map_or(self.timeout / 4, |tick| tick / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(12);
    const TICK: Duration = Duration::from_secs(2);

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    /// Shaken hands at 100 s: heard of at 100 − 4 − 1, kept for 12.
    fn assured() -> Assured {
        let mut assured = Assured::new(Some(TICK));
        assured.handshaken(at(100), T);
        assured
    }

    #[test]
    fn a_handshake_and_a_committed_write_move_it_and_a_ping_does_not() {
        let mut assured = assured();
        assert_eq!(assured.until(), at(107));
        assured.answered(at(103), at(103), false);
        assert_eq!(assured.until(), at(107));
        assured.answered(at(106), at(105), true);
        assert_eq!(assured.until(), at(112), "from the sending on, and not from the answer");
    }

    #[test]
    fn nothing_is_owed_to_what_the_leader_may_not_have_heard_of() {
        let mut assured = assured();
        // A ping at 104 s, whose answer is slow; and a write at 109, which its server passed on
        // before it passed on that it had heard from us. The leader knows of the handshake only.
        assured.answered(at(110), at(104), false);
        assured.answered(at(110), at(109), true);
        assert_eq!(assured.until(), at(112));
        assert!(assured.until() < at(109) - T / 3 - TICK / 2 + T, "the rule of thumb says more");
        // Half a tick later it has heard of the ping, and of no more.
        assured.answered(at(111), at(111), true);
        assert_eq!(assured.until(), at(116));
    }

    #[test]
    fn another_server_starts_anew() {
        let mut assured = assured();
        assured.answered(at(104), at(104), false);
        assured.answered(at(106), at(106), true);
        assert_eq!(assured.until(), at(113));
        assured.handshaken(at(108), T);
        assert_eq!(assured.until(), at(115));
        assured.answered(at(109), at(109), true);
        assert_eq!(assured.until(), at(116));
    }

    #[test]
    fn of_a_tick_that_was_not_told_the_largest_is_assumed() {
        let mut assured = Assured::new(None);
        assured.handshaken(at(100), T);
        assert_eq!(assured.until(), at(100) - T / 3 - T / 4 + T);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut assured = assured();
        for second in 100..10_000 {
            assured.answered(at(second), at(second), second % 2 == 0);
            assert!(assured.until() <= at(second) - T / 3 - TICK / 2 + T);
        }
        assert!(assured.touches.len() <= TOUCHES_MAX);
        assert_eq!(assured.until(), at(9998) - T / 3 - TICK / 2 + T);
    }
}
