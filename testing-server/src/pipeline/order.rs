//! Gives each transaction its place in the order of all writes, and has it written.

use std::ops::Range;

use znode::proto::{ErrorCode, FRAME_LEN_MAX, OpCode, SessionId, Xid, Zxid};

use super::gate::{Waiting, Work};
use super::txn::{Change, Txn};
use crate::log::record::put_txn;
use crate::node::Node;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::peer::Role;
use crate::zab::leader::Phase;
use crate::zab::stream::ENTRY_LEN_MAX;

impl Node {
    /// Whether this server gives transactions their places: one that stands alone, or leads an
    /// epoch that has begun.
    pub(crate) fn orders_writes(&self) -> bool {
        self.peer.as_ref().is_none_or(
            |peer| matches!(&peer.role, Role::Leading(leader) if leader.phase == Phase::Broadcast),
        )
    }

    /// The number of the transaction that is prepared now.
    pub(crate) fn next_zxid(&mut self) -> Zxid {
        self.outstanding.begin();
        self.last_prepared.0 += 1;
        self.last_prepared
    }

    /// Gives the last number back: nothing was made of it.
    pub(crate) fn take_back_zxid(&mut self) {
        self.last_prepared.0 -= 1;
    }

    /// Takes a place in the order, and has whatever is decided for it written. Nothing happens
    /// where others order the writes, or do from now on.
    pub(crate) fn put_in_order(
        &mut self,
        to: Option<ReplyTo>,
        op: OpCode,
        cxid: Xid,
        session: SessionId,
        out: &mut Outbox,
        decide: impl FnOnce(&mut Self, Zxid) -> Change,
    ) {
        if !self.orders_writes() {
            return;
        }
        let zxid = self.next_zxid();
        let change = decide(self, zxid);
        let txn = Txn { zxid, time_ms: self.wall_ms(self.now), session, change, digest: None };
        self.append(to, op, cxid, txn, out);
    }

    /// Has a transaction written; what it does and answers waits for that.
    pub(crate) fn append(
        &mut self,
        to: Option<ReplyTo>,
        op: OpCode,
        cxid: Xid,
        mut txn: Txn,
        out: &mut Outbox,
    ) {
        if !matches!(txn.change, Change::Error(_)) {
            txn.digest = self.outstanding.digest();
        }
        if self.peer.is_some() {
            return self.propose(to, op, cxid, txn, out);
        }
        let durable = self.settings.durable;
        let entry = if durable { self.log_entry(cxid, &mut txn, out) } else { 0..0 };
        out.append(txn.zxid, entry);
        self.wait(Waiting { to, op, since: self.now, large: 0, work: Work::Apply(txn) });
    }

    /// What a log holds of a transaction. Kept out of the way of a disk in memory.
    ///
    /// One that is too long does nothing instead: a leader would send its learners what they refuse
    /// to read, and so would every leader after it, and no server that is like Apache's could read
    /// the log. A request may well ask for one, since identities stand in it by one word, and bytes
    /// that are no text become three each.
    #[inline(never)]
    pub(crate) fn log_entry(&mut self, cxid: Xid, txn: &mut Txn, out: &mut Outbox) -> Range<usize> {
        let range = out.entry(|bytes| put_txn(txn, cxid, &self.tree.acls, bytes));
        if range.len() <= self.entry_len_max() {
            return range;
        }
        tracing::warn!(zxid = %txn.zxid, len = range.len(), "refusing a transaction: too long");
        out.take_back_entry(&range);
        let refused = Change::Error(ErrorCode::MarshallingError);
        std::mem::replace(&mut txn.change, refused).discard(&mut self.tree.acls);
        self.outstanding.take_back(&mut self.tree.acls);
        txn.digest = None;
        out.entry(|bytes| put_txn(txn, cxid, &self.tree.acls, bytes))
    }

    /// How long a transaction may be: Apache's servers read twice as much of each other, and of
    /// their logs, as a client may send.
    pub(crate) fn entry_len_max(&self) -> usize {
        let max = self.settings.rules.frame_len_max.max(FRAME_LEN_MAX).saturating_mul(2);
        let peers = if self.peer.is_some() { ENTRY_LEN_MAX } else { ALONE_LEN_MAX };
        max.min(peers)
    }
}

/// The longest transaction of a server that stands alone, whose clients may send as much as it is
/// told to let them: a log has its length in four bytes.
const ALONE_LEN_MAX: usize = 0x7fff_ffff;
