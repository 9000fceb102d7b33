//! Requests that are on the wire and wait for their answers, which come in the same order.

use std::collections::VecDeque;

use super::input::WatchEffect;
use crate::moment::Moment;
use crate::proto::{OpCode, Xid};

/// The `pendingQueue` of ZooKeeper's own client, and the counter of its xids.
#[derive(Debug)]
pub(super) struct Pending<R> {
    queue: VecDeque<Sent<R>>,
    next_xid: i32,
}

/// A request that was written.
#[derive(Debug)]
pub(super) struct Sent<R> {
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    pub(super) sent_at: Moment,
    pub(super) watch: WatchEffect,
    /// `None` is a request of the session's own, whose answer nobody waits for.
    pub(super) reply: Option<R>,
    /// The record, where the answer may ask for it; see `fallback`.
    pub(super) body: Option<Box<[u8]>>,
}

impl<R> Pending<R> {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new(), next_xid: 1 }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds a request and gives it its number; after the largest comes 1 again, as the negative
    /// ones have meanings of their own.
    pub(super) fn push(
        &mut self,
        now: Moment,
        op: OpCode,
        watch: WatchEffect,
        reply: Option<R>,
        body: Option<Box<[u8]>>,
    ) -> Xid {
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        self.queue.push_back(Sent { xid, op, sent_at: now, watch, reply, body });
        xid
    }

    /// The request that `xid` answers: the oldest, or none and the connection is out of order.
    pub(super) fn answered(&mut self, xid: Xid) -> Option<Sent<R>> {
        if self.queue.front()?.xid == xid { self.queue.pop_front() } else { None }
    }

    pub(super) fn pop(&mut self) -> Option<Sent<R>> {
        self.queue.pop_front()
    }

    #[cfg(test)]
    pub(super) fn start_at(&mut self, xid: i32) {
        self.next_xid = xid;
    }
}
