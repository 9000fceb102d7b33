//! What a session is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::watches::WatcherId;
use crate::connect_string::HostPort;
use crate::proto::{OpCode, SessionId, WatcherType, Zxid};

/// What a session is made from.
#[derive(Debug, Clone)]
pub struct Config {
    /// The servers, in any order: they are shuffled by the seed.
    pub hosts: Vec<HostPort>,
    /// The session timeout to ask for.
    pub session_timeout: Duration,
    /// How long the first connection may take, all hosts and attempts together.
    pub connect_timeout: Duration,
    /// Whether a read-only server will do.
    pub read_only: bool,
    /// The session to resume.
    pub resume: Option<Resume>,
    /// Where shuffling and jitter come from.
    pub seed: u64,
    /// How many requests may wait for an answer at once; further ones wait in call order.
    pub in_flight_max: usize,
}

/// What a session is resumed by.
#[derive(Debug, Clone)]
pub struct Resume {
    /// Its number.
    pub session_id: SessionId,
    /// Its password.
    pub password: Vec<u8>,
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
    /// Time has passed, at least up to the session's deadline.
    Tick,
}

/// An operation that a caller asks for.
#[derive(Debug)]
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
