//! The list of servers as a shuffled ring, with a pause once it has gone round in vain.

use std::time::Duration;

use super::seeded::Seeded;
use crate::connect_string::HostPort;

/// The pause after the first lap in vain; it doubles with each further lap.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause: a server that is back is found within about a second, and an ensemble
/// that is down is not hammered by its clients.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Servers in a random order that stays, so that clients spread and each knows its next one.
#[derive(Debug)]
pub(crate) struct ShuffledRing {
    hosts: Vec<HostPort>,
    /// Who is tried next.
    next: usize,
    /// How many were tried since a session was last confirmed. A server that accepts connections
    /// and then drops them does not reset it, so it is not hammered either.
    tried: usize,
    jitter: Seeded,
}

impl ShuffledRing {
    /// # Panics
    /// If there is no host: a connect string has at least one.
    pub(crate) fn new(mut hosts: Vec<HostPort>, seed: u64) -> Self {
        assert!(!hosts.is_empty(), "a connect string names at least one host");
        let mut jitter = Seeded::new(seed);
        // Fisher and Yates, from the end.
        for last in (1..hosts.len()).rev() {
            let bound = u64::try_from(last + 1).expect("a usize fits");
            let other = usize::try_from(jitter.below(bound)).expect("below a usize");
            hosts.swap(last, other);
        }
        Self { hosts, next: 0, tried: 0, jitter }
    }

    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// The next server, and how long to wait before it is tried.
    pub(crate) fn advance(&mut self) -> (HostPort, Duration) {
        let host = self.hosts[self.next].clone();
        self.next = (self.next + 1) % self.hosts.len();
        let lap = self.tried / self.hosts.len();
        let pause = if self.tried.is_multiple_of(self.hosts.len()) {
            self.pause(lap)
        } else {
            Duration::ZERO
        };
        self.tried = self.tried.saturating_add(1);
        (host, pause)
    }

    /// A session was confirmed by the server tried last.
    pub(crate) fn confirmed(&mut self) {
        self.tried = 0;
    }

    /// None before the first lap; then doubling, the upper half of it random, so that clients
    /// that lost the same server do not come back in step.
    fn pause(&mut self, lap: usize) -> Duration {
        let Some(doublings) = lap.checked_sub(1) else {
            return Duration::ZERO;
        };
        let doublings = u32::try_from(doublings.min(16)).expect("at most 16");
        let longest = PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX);
        let half = longest / 2;
        let micros = u64::try_from(half.as_micros()).expect("at most a second");
        half + Duration::from_micros(self.jitter.below(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(n: u16) -> Vec<HostPort> {
        (0..n).map(|i| HostPort::new("h", i + 1)).collect()
    }

    #[test]
    fn every_host_is_tried_once_a_lap_and_the_first_lap_has_no_pause() {
        let mut ring = ShuffledRing::new(hosts(5), 3);
        let mut ports = Vec::new();
        for _ in 0..5 {
            let (host, pause) = ring.advance();
            ports.push(host.port());
            assert_eq!(pause, Duration::ZERO);
        }
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_are_reset_by_a_confirmed_session_only() {
        let mut ring = ShuffledRing::new(hosts(2), 3);
        let mut pauses: Vec<_> = (0..40).map(|_| ring.advance().1).collect();
        pauses.retain(|pause| !pause.is_zero());
        assert_eq!(pauses.len(), 19);
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN);
        assert!(*pauses.last().unwrap() >= PAUSE_MAX / 2);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        ring.confirmed();
        assert_eq!(ring.advance().1, Duration::ZERO);
    }

    #[test]
    fn different_seeds_give_different_orders() {
        let order = |seed| {
            let mut ring = ShuffledRing::new(hosts(8), seed);
            (0..8).map(|_| ring.advance().0.port()).collect::<Vec<_>>()
        };
        assert_ne!(order(1), order(2));
        assert_eq!(order(1), order(1));
    }
}
