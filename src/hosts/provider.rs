//! The question that a session asks before each attempt to connect.

use std::fmt;
use std::time::Duration;

use crate::connect_string::HostPort;

/// A server to try, and how long to wait before.
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
