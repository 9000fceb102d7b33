//! What a session is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::sasl::Sasl;
use super::watches::WatcherId;
use crate::connect_string::HostPort;
use crate::hosts::HostProvider;
use crate::proto::{OpCode, SessionId, WatcherType, Zxid};
use crate::secret::Secret;

/// What a session is made from.
#[derive(Debug)]
pub struct Config {
    /// Who chooses among the servers.
    pub hosts: Box<dyn HostProvider>,
    /// The session timeout to ask for.
    pub session_timeout: Duration,
    /// How long the first connection may take, all hosts and attempts together.
    pub connect_timeout: Duration,
    /// Whether a read-only server will do.
    pub read_only: bool,
    /// The session to resume.
    pub resume: Option<Resume>,
    /// How much may wait.
    pub limits: Limits,
    /// How the session proves who it is.
    pub sasl: Option<Sasl>,
    /// The tick of the ensemble, where it is known.
    pub tick: Option<Duration>,
}

/// How much may wait at once, for an answer or for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many requests may be under way; at least one always may.
    pub in_flight_max: usize,
    /// How many bytes they may have together; one request may always be under way.
    pub in_flight_bytes_max: usize,
    /// How many further requests may wait for their turn; more are refused.
    pub waiting_max: usize,
}

/// What a session is resumed by.
#[derive(Debug, Clone)]
pub struct Resume {
    /// Its number.
    pub session_id: SessionId,
    /// Its password.
    pub password: Secret,
    /// The newest transaction that it has seen.
    pub last_zxid: Zxid,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a, R> {
    /// A caller asks for an operation.
    Submit(Request<'a, R>),
    /// A watcher is no longer wanted, whether its watch stands already or not; whoever waits is
    /// answered once the server keeps no watch for it.
    Unwatch(WatcherId, Option<R>),
    /// Stop once what was asked for is answered, and leave the session alive.
    Detach,
    /// The connection that [`Output::Connect`](super::Output::Connect) asked for stands.
    Connected,
    /// It could not be made, or it broke.
    Broken,
    /// A whole frame came in, without its length.
    Received(Bytes),
    /// The list of servers is another now; it is not empty.
    UpdateHosts(Vec<HostPort>),
    /// What [`Output::Probe`](super::Output::Probe) asked about.
    Probed(HostPort, Probed),
    /// Time has passed, at least up to the session's deadline.
    Tick,
}

/// What was found at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// A server that accepts writes.
    Writable,
    /// A server that was cut off from its quorum.
    ReadOnly,
    /// A server that does not say which.
    Reachable,
    /// No server, or none that serves.
    Unreachable,
}

impl Probed {
    /// Whether there is a server at all.
    pub fn is_reachable(self) -> bool {
        self != Self::Unreachable
    }
}

/// An operation that a caller asks for.
pub struct Request<'a, R> {
    /// The operation.
    pub op: OpCode,
    /// Its record, encoded.
    pub body: &'a [u8],
    /// What its success does to watches.
    pub watch: WatchEffect,
    /// Whom to answer. The session never looks inside.
    pub reply: R,
}

/// The record may hold secrets.
impl<R: fmt::Debug> fmt::Debug for Request<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("op", &self.op)
            .field("body", &self.body.len())
            .field("watch", &self.watch)
            .field("reply", &self.reply)
            .finish()
    }
}

/// What the success of a request does to the watches of this session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEffect {
    /// Nothing.
    None,
    /// It leaves a watch.
    Register(Registration),
    /// It removes all watches of one type at one path.
    Remove {
        /// The path, chroot included.
        path: Arc<str>,
        /// Which of them.
        kind: WatcherType,
    },
}

/// A watch to be left by a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The path, chroot included.
    pub path: Arc<str>,
    /// What is watched.
    pub want: Want,
    /// Whom to tell.
    pub watcher: WatcherId,
}

/// What a request asks to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The data of a node that must exist.
    Data,
    /// A node that may not exist: the watch stands either way.
    Existence,
    /// The children of a node that must exist.
    Children,
    /// Everything about one node, until removed.
    Persistent,
    /// Everything about a node and all below it, until removed.
    PersistentRecursive,
}
