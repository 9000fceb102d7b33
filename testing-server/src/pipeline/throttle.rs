//! Holds requests back while too many are under way, in the order in which they came.
//!
//! It stands before everything else: what is held has not been looked at. One that has waited for
//! too long goes on like any other, so that the order is kept, and is refused where it would have
//! been answered. What a client has left behind is dropped with its connection.

use std::collections::VecDeque;
use std::time::Duration;

use znode::Moment;
use znode::proto::{Decoder, ErrorCode, OpCode, RequestHeader};

use super::gate::Work;
use crate::node::Node;
use crate::node::connection::Phase;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};

/// How requests are held back.
#[derive(Debug, Clone, Default)]
pub(crate) struct ThrottleSettings {
    /// How many may be under way before others are held; no limit if nothing is said:
    /// `request_throttle_max_requests`.
    pub(crate) requests_max: Option<usize>,
    /// How long one may be held before it is refused: `throttled_op_wait_time`.
    pub(crate) wait_max: Option<Duration>,
    /// Whether the connection of one that was held for longer than its session's timeout is closed:
    /// `request_stale_latency_check`.
    pub(crate) drop_late: bool,
}

/// A request that is held.
#[derive(Debug)]
struct Held {
    conn: ConnId,
    /// All of the frame.
    bytes: Box<[u8]>,
    since: Moment,
    /// How many bytes it has if it is large.
    large: usize,
}

/// The requests that are held, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    queue: VecDeque<Held>,
    /// How many bytes of large requests are among them.
    large: usize,
}

impl Throttle {
    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many bytes of large requests are held.
    pub(crate) fn large_bytes(&self) -> usize {
        self.large
    }

    fn push(&mut self, held: Held) {
        self.large += held.large;
        self.queue.push_back(held);
    }

    fn pop(&mut self) -> Option<Held> {
        let held = self.queue.pop_front()?;
        self.large -= held.large;
        Some(held)
    }
}

impl Node {
    /// Whether a request must wait before anything is done about it.
    pub(super) fn must_hold(&self) -> bool {
        let max = self.settings.rules.throttle.requests_max;
        !self.throttle.is_empty() || max.is_some_and(|max| self.under_way() >= max)
    }

    fn under_way(&self) -> usize {
        self.gate.len() + self.lines.len()
    }

    /// Has a request wait.
    pub(super) fn hold(&mut self, conn: ConnId, bytes: &[u8]) {
        let large = std::mem::take(&mut self.large_request);
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.outstanding += 1;
        }
        self.throttle.push(Held { conn, bytes: bytes.into(), since: self.now, large });
    }

    /// Lets on what need no longer wait.
    pub(crate) fn release_held(&mut self, out: &mut Outbox) {
        let max = self.settings.rules.throttle.requests_max.unwrap_or(usize::MAX);
        while let Some(held) = self.throttle.queue.front() {
            let is_left = self.connections.get(held.conn).is_none();
            if !is_left && self.under_way() >= max {
                return;
            }
            let Some(held) = self.throttle.pop() else { return };
            let Some(connection) = self.connections.get_mut(held.conn) else { continue };
            connection.outstanding -= 1;
            self.large_request = held.large;
            self.let_on(&held, out);
            self.large_request = 0;
        }
    }

    fn let_on(&mut self, held: &Held, out: &mut Outbox) {
        let Some(connection) = self.connections.get(held.conn) else { return };
        // Behind the end of its session, what a client has sent is ignored.
        let Phase::Open(slot) = connection.phase else { return };
        let timeout = self.sessions.get(slot).map(|session| session.timeout);
        let waited = self.now.since(held.since);
        if self.settings.rules.throttle.drop_late && timeout.is_some_and(|timeout| waited > timeout)
        {
            return self.close(held.conn, out);
        }
        let mut from = Decoder::new(&held.bytes);
        let Ok(header) = from.read::<RequestHeader>() else {
            return self.close(held.conn, out);
        };
        let to = ReplyTo { conn: held.conn, xid: header.xid };
        let release = self.settings.rules.release;
        let op = OpCode::try_from(header.op).ok().filter(|op| release.knows(*op));
        let is_exempt = matches!(op, None | Some(OpCode::Ping | OpCode::CloseSession));
        let is_late = self.settings.rules.throttle.wait_max.is_some_and(|max| waited > max);
        if let (Some(op), true, false) = (op, is_late, is_exempt) {
            self.stats.throttled += 1;
            if self.sessions.touch(self.now, slot) {
                self.in_turn(to, op, Work::Refuse(ErrorCode::ThrottledOp), out);
            }
            return;
        }
        self.submit(self.now, to, slot, op, from, out);
    }
}
