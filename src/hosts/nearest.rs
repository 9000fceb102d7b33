//! Some servers before all others: those of the client's own zone, as long as they are there.

use std::time::Duration;

use super::provider::{Attempt, HostProvider};
use super::seeded::Seeded;
use super::shuffled::pause;
use crate::connect_string::HostPort;

/// Tries near servers before far ones, and returns home when a near one is back.
///
/// ```
/// use znode::{HostPort, HostProvider, NearestFirst};
///
/// let [near, far] = ["zk-here", "zk-there"].map(|host| HostPort::new(host, 2181));
/// let mut hosts = NearestFirst::new(vec![far.clone(), near.clone()], vec![near.clone()], 7);
/// assert_eq!(hosts.next().host, near);
/// hosts.confirmed(&far);
/// assert_eq!(hosts.better(), Some(near));
/// ```
#[derive(Debug)]
pub struct NearestFirst {
    /// Which servers are near; the list may name others, or only some of them.
    near: Vec<HostPort>,
    /// The near servers of the list, shuffled, and behind them the far ones, shuffled.
    order: Vec<HostPort>,
    near_count: usize,
    /// Who is tried next; every search begins at home.
    next: usize,
    tried: usize,
    /// Who has confirmed the session last.
    current: Option<HostPort>,
    /// Which near server is offered next as better.
    offered: usize,
    random: Seeded,
}

impl NearestFirst {
    /// Prefers those of `hosts` that are in `near`.
    ///
    /// # Panics
    /// If there is no host: a connect string has at least one.
    pub fn new(hosts: Vec<HostPort>, near: Vec<HostPort>, seed: u64) -> Self {
        let mut provider = Self {
            near,
            order: Vec::new(),
            near_count: 0,
            next: 0,
            tried: 0,
            current: None,
            offered: 0,
            random: Seeded::new(seed),
        };
        provider.arrange(hosts);
        provider
    }

    fn arrange(&mut self, hosts: Vec<HostPort>) {
        assert!(!hosts.is_empty(), "a connect string names at least one host");
        let (mut near, mut far): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|host| self.near.contains(host));
        self.random.shuffle(&mut near);
        self.random.shuffle(&mut far);
        self.near_count = near.len();
        near.append(&mut far);
        (self.order, self.next) = (near, 0);
    }
}

impl HostProvider for NearestFirst {
    fn next(&mut self) -> Attempt {
        let lap = self.tried / self.order.len();
        let pause = if self.next == 0 { pause(lap, &mut self.random) } else { Duration::ZERO };
        let host = self.order[self.next].clone();
        self.next = (self.next + 1) % self.order.len();
        self.tried = self.tried.saturating_add(1);
        Attempt { host, pause }
    }

    fn confirmed(&mut self, host: &HostPort) {
        (self.next, self.tried) = (0, 0);
        self.current = Some(host.clone());
    }

    fn size(&self) -> usize {
        self.order.len()
    }

    fn update(&mut self, hosts: Vec<HostPort>, current: Option<&HostPort>) -> bool {
        self.arrange(hosts);
        current.is_some_and(|current| !self.order.contains(current))
    }

    fn better(&mut self) -> Option<HostPort> {
        let near = self.order.get(..self.near_count)?;
        if near.is_empty() || near.contains(self.current.as_ref()?) {
            return None;
        }
        self.offered = (self.offered + 1) % near.len();
        Some(near[self.offered].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(port: u16) -> HostPort {
        HostPort::new("h", port)
    }

    fn provider() -> NearestFirst {
        NearestFirst::new((1..6).map(host).collect(), vec![host(2), host(4)], 1)
    }

    #[test]
    fn near_servers_come_first_and_every_search_begins_with_them() {
        let mut provider = provider();
        let mut first: Vec<_> = (0..2).map(|_| provider.next().host.port()).collect();
        first.sort_unstable();
        assert_eq!(first, [2, 4]);
        assert!(![2, 4].contains(&provider.next().host.port()));
        provider.confirmed(&host(1));
        assert!([2, 4].contains(&provider.next().host.port()));
    }

    #[test]
    fn a_far_server_is_left_for_a_near_one_and_a_near_one_is_not() {
        let mut provider = provider();
        assert_eq!(provider.better(), None);
        provider.confirmed(&host(4));
        assert_eq!(provider.better(), None);
        provider.confirmed(&host(5));
        let offers = [provider.better(), provider.better()].map(|host| host.unwrap().port());
        assert!(offers == [2, 4] || offers == [4, 2]);
    }

    #[test]
    fn without_near_servers_it_is_a_ring_that_pauses() {
        let mut provider = NearestFirst::new(vec![host(1)], vec![host(9)], 1);
        assert_eq!(provider.next().pause, Duration::ZERO);
        assert_eq!(provider.better(), None);
        assert!(!provider.next().pause.is_zero());
    }
}
