//! The question that a session asks before each attempt to connect.

use std::fmt;
use std::time::Duration;

use crate::connect_string::HostPort;

/// A server to try, and how long to wait before.
///
/// ```
/// use std::time::Duration;
/// use znode::{Attempt, HostPort, HostProvider, ShuffledRing};
///
/// let mut ring = ShuffledRing::new(vec![HostPort::new("zk1", 2181)], 7);
/// let Attempt { host, pause } = ring.next();
/// assert_eq!((host.to_string(), pause), ("zk1:2181".to_owned(), Duration::ZERO));
/// assert!(!ring.next().pause.is_zero(), "it was tried in vain");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The server.
    pub host: HostPort,
    /// Wait so long before trying it.
    pub pause: Duration,
}

/// Chooses among servers. It is pure: it is given no clock, and must draw what looks random from a
/// seed, so that a simulated run replays.
///
/// A provider is asked for one server after the other until one of them has confirmed the session;
/// that a server merely accepts connections is no reason to stop backing off.
///
/// ```
/// use std::time::Duration;
/// use znode::{Attempt, ConnectOptions, HostPort, HostProvider};
///
/// /// Servers in the order written, with a second between two laps.
/// #[derive(Debug)]
/// struct InOrder {
///     hosts: Vec<HostPort>,
///     tried: usize,
/// }
///
/// impl HostProvider for InOrder {
///     fn next(&mut self) -> Attempt {
///         let at = self.tried % self.hosts.len();
///         let is_lap = at == 0 && self.tried > 0;
///         let pause = if is_lap { Duration::from_secs(1) } else { Duration::ZERO };
///         self.tried += 1;
///         Attempt { host: self.hosts[at].clone(), pause }
///     }
///
///     fn confirmed(&mut self, _: &HostPort) {
///         self.tried = 0;
///     }
///
///     fn size(&self) -> usize {
///         self.hosts.len()
///     }
///
///     fn update(&mut self, hosts: Vec<HostPort>, current: Option<&HostPort>) -> bool {
///         (self.hosts, self.tried) = (hosts, 0);
///         current.is_some_and(|current| !self.hosts.contains(current))
///     }
/// }
///
/// let options = ConnectOptions::new().host_provider(|hosts, _| InOrder { hosts, tried: 0 });
/// # let _ = options;
/// ```
pub trait HostProvider: fmt::Debug + Send + 'static {
    /// The next server to try.
    fn next(&mut self) -> Attempt;

    /// This server has confirmed the session.
    fn confirmed(&mut self, host: &HostPort);

    /// How many servers there are, at least one: they share the time that may be spent on
    /// connecting before the session is lost.
    fn size(&self) -> usize;

    /// Replaces the list, which is never empty. `current` is the server that the session is
    /// connected to. Returns whether it should be left, to spread the load of many clients.
    fn update(&mut self, hosts: Vec<HostPort>, current: Option<&HostPort>) -> bool;

    /// A server that would be better than the one connected to, if there is one. It is probed in
    /// the background, and gone to when it is there.
    fn better(&mut self) -> Option<HostPort> {
        None
    }
}
