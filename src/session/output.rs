//! What a session wants done: one list, in order, with the bytes to send beside it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::watches::WatcherId;
use crate::connect_string::HostPort;
use crate::proto::{ErrorCode, EventType, SessionId, Xid, Zxid};
use crate::sasl::SaslError;
use crate::secret::Secret;
use crate::state::State;

/// One thing to be done.
#[derive(Debug)]
pub enum Output<R> {
    /// Make a connection to this host; answer with `Connected` or `Broken`.
    Connect(HostPort),
    /// Write the next so many of the outbox's bytes.
    Send(usize),
    /// See what is at this host, beside the connection; answer with `Probed`.
    Probe(HostPort),
    /// Drop the connection, or the attempt to make one. No `Broken` is expected for it.
    Disconnect,
    /// A server has confirmed the session.
    Established(Established),
    /// The server knows by SASL whose the session is.
    SaslAuthenticated,
    /// SASL has failed; the session ends with it.
    SaslFailed(SaslError),
    /// The session has entered a state.
    State(State),
    /// A request is answered; happens exactly once for each.
    Reply(R, Result<Answer, Failure>),
    /// A watcher is told something.
    Notify(WatcherId, Notice),
}

/// A session that a server has confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Established {
    /// Its number.
    pub session_id: SessionId,
    /// Its password.
    pub password: Secret,
    /// The timeout that the server granted.
    pub timeout: Duration,
}

/// What a session can tell of itself at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Requests that are sent and not answered.
    pub in_flight: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
    /// Watchers that stand; those of the default watcher are not counted.
    pub watches: usize,
    /// Pings that were sent.
    pub pings: u64,
    /// The time between the last ping and its answer.
    pub last_ping: Duration,
    /// The time between the sending of a request and its answer, of the newest answer.
    pub last_latency: Duration,
    /// The longest such time so far.
    pub max_latency: Duration,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The number of the request; 0 if the session has answered by itself.
    pub xid: Xid,
    /// The newest transaction that the server had applied; of a write, its own.
    pub zxid: Zxid,
    /// Success, or why not.
    pub code: ErrorCode,
    /// The record that follows a success.
    pub body: Bytes,
}

impl Answer {
    /// A success that no server had to be asked for, or of which it told nothing else.
    pub(super) fn done(xid: Xid) -> Self {
        Self { xid, zxid: Zxid::ZERO, code: ErrorCode::Ok, body: Bytes::new() }
    }
}

/// Why a request was never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What came in between.
    pub cause: Cause,
    /// Whether the request had been written: then nobody knows whether it took effect.
    pub sent: bool,
}

/// What came between a request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The connection was lost; the session may live on.
    ConnectionLoss,
    /// Too many requests wait already.
    Overload,
    /// The session is over.
    Ended(Ending),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// No server confirmed the session in time.
    ConnectTimeout,
    /// A server disowned it, answered with another one, or was not heard for its timeout.
    Expired,
    /// A server refused an identity.
    AuthFailed,
    /// This client closed it, and a server has confirmed that.
    Closed,
    /// This client closed it and no server could be told: it is left to expire.
    LeftToExpire,
    /// This client left it alive and stopped.
    Detached,
}

impl Ending {
    /// The state that a session so ended is in.
    pub fn state(self) -> State {
        match self {
            Self::ConnectTimeout | Self::Closed | Self::LeftToExpire | Self::Detached => {
                State::Closed
            }
            Self::Expired => State::Expired,
            Self::AuthFailed => State::AuthFailed,
        }
    }
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Its node changed. A one-shot watcher hears nothing further.
    Event {
        /// What happened.
        kind: EventType,
        /// To which node, chroot included.
        path: Arc<str>,
        /// In which transaction, where the server tells.
        zxid: Option<Zxid>,
    },
    /// The connection was down and stands again, and so does the watch: changes in between were
    /// not told.
    Gap,
    /// The watch was removed; hears nothing further.
    Removed {
        /// Which kind of watch it was.
        kind: EventType,
        /// Where it stood, chroot included.
        path: Arc<str>,
    },
    /// The server knows no persistent watches; hears nothing further.
    Unsupported,
    /// The session is over; hears nothing further.
    Over(Ending),
}

/// The ordered list of things to be done, reused from step to step.
pub struct Outbox<R> {
    list: Vec<Output<R>>,
    bytes: Vec<u8>,
}

impl<R> Default for Outbox<R> {
    fn default() -> Self {
        Self { list: Vec::new(), bytes: Vec::new() }
    }
}

/// The bytes may hold secrets.
impl<R: fmt::Debug> fmt::Debug for Outbox<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.len();
        f.debug_struct("Outbox").field("list", &self.list).field("bytes", &bytes).finish()
    }
}

impl<R> Outbox<R> {
    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes everything: the things to be done, and the bytes that its `Send`s refer to in turn.
    pub fn drain(&mut self) -> (std::vec::Drain<'_, Output<R>>, &[u8]) {
        (self.list.drain(..), &self.bytes)
    }

    /// Forgets bytes that were drained; keeps the memory unless it has grown beyond `keep`.
    pub fn clear(&mut self, keep: usize) {
        self.list.clear();
        self.bytes.clear();
        self.bytes.shrink_to(keep);
    }

    pub(super) fn push(&mut self, output: Output<R>) {
        self.list.push(output);
    }

    /// Appends a frame whose payload `write` writes; adjoining frames become one `Send`.
    pub(super) fn frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        let len = self.bytes.len() - start;
        let payload = u32::try_from(len - 4).expect("a request is bounded by the frame limit");
        self.bytes[start..start + 4].copy_from_slice(&payload.to_be_bytes());
        match self.list.last_mut() {
            Some(Output::Send(total)) => *total += len,
            _ => self.list.push(Output::Send(len)),
        }
    }
}
