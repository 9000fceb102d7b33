//! Requests that are on the wire and wait for their answers, which come in the same order.

use std::collections::VecDeque;

use super::input::{Limits, WatchEffect};
use crate::moment::Moment;
use crate::proto::{OpCode, Xid};

/// The `pendingQueue` of ZooKeeper's own client, and the counter of its xids.
#[derive(Debug)]
pub(super) struct Pending<R> {
    queue: VecDeque<Sent<R>>,
    /// How many bytes the records of those in the queue have.
    bytes: usize,
    next_xid: i32,
}

/// A request that was written.
#[derive(Debug)]
pub(super) struct Sent<R> {
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    /// How many bytes its record has.
    pub(super) len: usize,
    pub(super) sent_at: Moment,
    pub(super) watch: WatchEffect,
    /// `None` is a request of the session's own, whose answer nobody waits for.
    pub(super) reply: Option<R>,
    /// The record, where the answer may ask for it; see `fallback`.
    pub(super) body: Option<Box<[u8]>>,
}

impl<R> Pending<R> {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new(), bytes: 0, next_xid: 1 }
    }

    /// Whether another request may be under way.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.queue.is_empty()
            || (self.queue.len() < limits.in_flight_max && self.bytes < limits.in_flight_bytes_max)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The number of the next request; after the largest comes 1 again, as the negative ones have
    /// meanings of their own.
    pub(super) fn take_xid(&mut self) -> Xid {
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        xid
    }

    /// Adds a request and gives it its number.
    pub(super) fn push(
        &mut self,
        now: Moment,
        op: OpCode,
        len: usize,
        watch: WatchEffect,
        reply: Option<R>,
        body: Option<Box<[u8]>>,
    ) -> Xid {
        let xid = self.take_xid();
        self.bytes += len;
        self.queue.push_back(Sent { xid, op, len, sent_at: now, watch, reply, body });
        xid
    }

    /// The request that `xid` answers: the oldest, or none and the connection is out of order.
    pub(super) fn answered(&mut self, xid: Xid) -> Option<Sent<R>> {
        if self.queue.front()?.xid == xid { self.pop() } else { None }
    }

    /// What the oldest asks for.
    pub(super) fn front_op(&self) -> Option<OpCode> {
        self.queue.front().map(|sent| sent.op)
    }

    pub(super) fn pop(&mut self) -> Option<Sent<R>> {
        let sent = self.queue.pop_front()?;
        self.bytes -= sent.len;
        Some(sent)
    }

    #[cfg(test)]
    pub(super) fn front_xid(&self) -> Option<i32> {
        self.queue.front().map(|sent| sent.xid.0)
    }

    #[cfg(test)]
    pub(super) fn start_at(&mut self, xid: i32) {
        self.next_xid = xid;
    }
}
