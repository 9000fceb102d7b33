//! The list of servers as a shuffled ring, with a pause once it has gone round in vain.

use std::time::Duration;

use super::provider::{Attempt, HostProvider};
use super::seeded::Seeded;
use crate::connect_string::HostPort;

/// The pause after the first lap in vain; it doubles with each further lap.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause: a server that is back is found within about a second, and an ensemble
/// that is down is not hammered by its clients.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Servers in a random order that stays, so that clients spread and each knows its next one.
///
/// When the list changes, enough clients move that the load is even again, and no more: the
/// probabilities are those of ZooKeeper's own client (ZOOKEEPER-1355).
///
/// ```
/// use std::collections::BTreeSet;
/// use znode::{ConnectString, HostProvider, ShuffledRing};
///
/// let ensemble: ConnectString = "zk1,zk2,zk3".parse()?;
/// let mut ring = ShuffledRing::new(ensemble.hosts().to_vec(), 7);
/// let lap: BTreeSet<_> = (0..3).map(|_| ring.next().host).collect();
/// assert_eq!(lap.len(), ring.size(), "each is tried once");
/// # Ok::<(), znode::InvalidConnectString>(())
/// ```
#[derive(Debug)]
pub struct ShuffledRing {
    hosts: Vec<HostPort>,
    /// Who is tried next.
    next: usize,
    /// How many were tried since a session was last confirmed. A server that accepts connections
    /// and then drops them does not reset it, so it is not hammered either.
    tried: usize,
    /// While the load of a changed list is being spread.
    spread: Option<Spread>,
    random: Seeded,
}

/// Two lists to draw from until both are used up: the servers that have joined, and those that
/// have stayed.
#[derive(Debug)]
struct Spread {
    joined: Vec<HostPort>,
    stayed: Vec<HostPort>,
    /// With which probability one that has joined is drawn.
    joined_odds: Odds,
}

/// A probability as a fraction.
#[derive(Debug, Clone, Copy)]
struct Odds {
    of: usize,
    out_of: usize,
}

impl ShuffledRing {
    /// A ring of `hosts`, shuffled by `seed`.
    ///
    /// # Panics
    /// If there is no host: a connect string has at least one.
    pub fn new(mut hosts: Vec<HostPort>, seed: u64) -> Self {
        assert!(!hosts.is_empty(), "a connect string names at least one host");
        let mut random = Seeded::new(seed);
        random.shuffle(&mut hosts);
        Self { hosts, next: 0, tried: 0, spread: None, random }
    }

    fn next_host(&mut self) -> HostPort {
        if let Some(host) = self.spread.as_mut().and_then(|spread| spread.draw(&mut self.random)) {
            return host;
        }
        self.spread = None;
        let host = self.hosts[self.next].clone();
        self.next = (self.next + 1) % self.hosts.len();
        host
    }
}

impl HostProvider for ShuffledRing {
    fn next(&mut self) -> Attempt {
        let host = self.next_host();
        let lap = self.tried / self.hosts.len();
        let is_lap = self.tried.is_multiple_of(self.hosts.len());
        let pause = if is_lap { pause(lap, &mut self.random) } else { Duration::ZERO };
        self.tried = self.tried.saturating_add(1);
        Attempt { host, pause }
    }

    fn confirmed(&mut self, _: &HostPort) {
        self.tried = 0;
        self.spread = None;
    }

    fn size(&self) -> usize {
        self.hosts.len()
    }

    fn update(&mut self, mut hosts: Vec<HostPort>, current: Option<&HostPort>) -> bool {
        self.random.shuffle(&mut hosts);
        let before = self.hosts.len();
        let (stayed, joined): (Vec<_>, Vec<_>) =
            hosts.iter().cloned().partition(|host| self.hosts.contains(host));
        let (after, kept) = (hosts.len(), stayed.len());
        let has_stayed = current.is_some_and(|current| hosts.contains(current));
        (self.hosts, self.next) = (hosts, 0);

        let (leaves, joined_odds) = if after > before {
            // Room has been made: so many clients move to it that all have their share.
            let leaves = Odds { of: after - before, out_of: after }.draw(&mut self.random);
            (!has_stayed || leaves, Odds { of: 1, out_of: 1 })
        } else if has_stayed {
            (false, Odds { of: 1, out_of: 1 })
        } else {
            // Those whose server has gone fill up both lists, each to its share.
            let stayed_odds =
                Odds { of: kept * (before - after), out_of: after * (before - kept).max(1) };
            (true, stayed_odds.against())
        };
        self.spread = leaves.then_some(Spread { joined, stayed, joined_odds });
        leaves && current.is_some()
    }
}

impl Spread {
    fn draw(&mut self, random: &mut Seeded) -> Option<HostPort> {
        let joined =
            !self.joined.is_empty() && (self.stayed.is_empty() || self.joined_odds.draw(random));
        if joined { self.joined.pop() } else { self.stayed.pop() }
    }
}

impl Odds {
    fn draw(self, random: &mut Seeded) -> bool {
        let as_u64 = |number: usize| u64::try_from(number).expect("a usize fits");
        random.below(as_u64(self.out_of)) < as_u64(self.of)
    }

    fn against(self) -> Self {
        Self { of: self.out_of.saturating_sub(self.of), out_of: self.out_of }
    }
}

/// How long to wait before a lap: not at all before the first; then doubling, the upper half of it
/// random, so that clients that lost the same server do not come back in step.
pub(super) fn pause(lap: usize, random: &mut Seeded) -> Duration {
    let Some(doublings) = lap.checked_sub(1) else { return Duration::ZERO };
    let doublings = u32::try_from(doublings.min(16)).expect("at most 16");
    let longest = PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX);
    let half = longest / 2;
    let micros = u64::try_from(half.as_micros()).expect("at most a second");
    half + Duration::from_micros(random.below(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(ports: std::ops::Range<u16>) -> Vec<HostPort> {
        ports.map(|port| HostPort::new("h", port)).collect()
    }

    #[test]
    fn every_host_is_tried_once_a_lap_and_the_first_lap_has_no_pause() {
        let mut ring = ShuffledRing::new(hosts(1..6), 3);
        let mut ports = Vec::new();
        for _ in 0..5 {
            let Attempt { host, pause } = ring.next();
            ports.push(host.port());
            assert_eq!(pause, Duration::ZERO);
        }
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_are_reset_by_a_confirmed_session_only() {
        let mut ring = ShuffledRing::new(hosts(1..3), 3);
        let mut pauses: Vec<_> = (0..40).map(|_| ring.next().pause).collect();
        pauses.retain(|pause| !pause.is_zero());
        assert_eq!(pauses.len(), 19);
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN);
        assert!(*pauses.last().unwrap() >= PAUSE_MAX / 2);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        ring.confirmed(&HostPort::new("h", 1));
        assert_eq!(ring.next().pause, Duration::ZERO);
    }

    #[test]
    fn different_seeds_give_different_orders() {
        let order = |seed| {
            let mut ring = ShuffledRing::new(hosts(1..9), seed);
            (0..8).map(|_| ring.next().host.port()).collect::<Vec<_>>()
        };
        assert_ne!(order(1), order(2));
        assert_eq!(order(1), order(1));
    }

    /// How the load lies after many clients, spread evenly, have been given a new list.
    fn spread(before: &[HostPort], after: &[HostPort], clients: u64) -> Vec<u64> {
        let mut load = vec![0; after.len()];
        for client in 0..clients {
            let mut ring = ShuffledRing::new(before.to_vec(), client * 7919 + 1);
            let mut current = ring.next().host;
            ring.confirmed(&current);
            if ring.update(after.to_vec(), Some(&current)) {
                current = ring.next().host;
            }
            let at = after.iter().position(|host| *host == current);
            load[at.expect("nobody stays with a server that has gone")] += 1;
        }
        load
    }

    #[test]
    fn a_changed_list_spreads_the_load_evenly() {
        let cases = [
            (hosts(1..4), hosts(1..6)),  // grown
            (hosts(1..6), hosts(1..4)),  // shrunk
            (hosts(1..6), hosts(3..8)),  // exchanged
            (hosts(1..6), hosts(4..8)),  // shrunk and exchanged
            (hosts(1..4), hosts(7..10)), // replaced
        ];
        for (before, after) in cases {
            let load = spread(&before, &after, 6000);
            let share = 6000 / u64::try_from(after.len()).unwrap();
            for on_one in &load {
                assert!(on_one.abs_diff(share) < share / 8, "{before:?} to {after:?}: {load:?}");
            }
        }
    }

    #[test]
    fn an_unchanged_list_moves_nobody() {
        let list = hosts(1..6);
        for seed in 0..100 {
            let mut ring = ShuffledRing::new(list.clone(), seed);
            let current = ring.next().host;
            assert!(!ring.update(list.clone(), Some(&current)));
        }
    }

    #[test]
    fn after_the_spread_the_ring_is_the_new_list() {
        let mut ring = ShuffledRing::new(hosts(1..3), 1);
        let current = ring.next().host;
        ring.update(hosts(5..9), Some(&current));
        let mut ports: Vec<_> = (0..4).map(|_| ring.next().host.port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, [5, 6, 7, 8]);
        let mut ports: Vec<_> = (0..4).map(|_| ring.next().host.port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, [5, 6, 7, 8]);
    }
}
