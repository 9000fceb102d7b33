//! Requests that wait for their turn on the wire, in call order.

use std::collections::VecDeque;
use std::fmt;

use super::input::{Request, WatchEffect};
use crate::proto::OpCode;

/// The `outgoingQueue` of ZooKeeper's own client.
#[derive(Debug)]
pub(super) struct Outgoing<R> {
    queue: VecDeque<Waiting<R>>,
}

/// A request whose body had to be kept.
pub(super) struct Waiting<R> {
    pub(super) op: OpCode,
    pub(super) body: Box<[u8]>,
    pub(super) watch: WatchEffect,
    /// `None` is a request of the session's own, whose answer nobody waits for.
    pub(super) reply: Option<R>,
}

/// The record may hold secrets.
impl<R: fmt::Debug> fmt::Debug for Waiting<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("op", &self.op)
            .field("body", &self.body.len())
            .field("watch", &self.watch)
            .field("reply", &self.reply)
            .finish()
    }
}

impl<R> Outgoing<R> {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, request: Request<'_, R>) {
        let Request { op, body, watch, reply } = request;
        self.queue.push_back(Waiting { op, body: body.into(), watch, reply: Some(reply) });
    }

    pub(super) fn push_own(&mut self, op: OpCode, body: Box<[u8]>, reply: Option<R>) {
        self.queue.push_back(Waiting { op, body, watch: WatchEffect::None, reply });
    }

    /// Puts a request in front of all others.
    pub(super) fn push_first(
        &mut self,
        op: OpCode,
        body: Box<[u8]>,
        watch: WatchEffect,
        reply: Option<R>,
    ) {
        self.queue.push_front(Waiting { op, body, watch, reply });
    }

    pub(super) fn pop(&mut self) -> Option<Waiting<R>> {
        self.queue.pop_front()
    }
}
