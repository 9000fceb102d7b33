//! Gives each transaction its place in the order of all writes, and has it written.

use std::ops::Range;

use znode::proto::{OpCode, Xid, Zxid};

use super::gate::{Waiting, Work};
use super::txn::{Change, Txn};
use crate::log::record::put_txn;
use crate::node::Node;
use crate::node::outbox::{Outbox, ReplyTo};

impl Node {
    /// The number of the transaction that is prepared now.
    pub(crate) fn next_zxid(&mut self) -> Zxid {
        self.last_prepared.0 += 1;
        self.last_prepared
    }

    /// Gives the last number back: nothing was made of it.
    pub(crate) fn take_back_zxid(&mut self) {
        self.last_prepared.0 -= 1;
    }

    /// Has a transaction written; what it does and answers waits for that.
    pub(crate) fn append(
        &mut self,
        to: Option<ReplyTo>,
        op: OpCode,
        mut txn: Txn,
        out: &mut Outbox,
    ) {
        if !matches!(txn.change, Change::Error(_)) {
            txn.digest = self.outstanding.digest();
        }
        let cxid = to.map_or(Xid(0), |to| to.xid);
        if self.peer.is_some() {
            if to.is_some() {
                self.wait(Waiting { to, op, since: self.now, large: 0, work: Work::Commit });
            }
            return self.propose(to, op, cxid, txn, out);
        }
        let entry = if self.settings.durable { self.log_entry(cxid, &txn, out) } else { 0..0 };
        out.append(txn.zxid, entry);
        self.wait(Waiting { to, op, since: self.now, large: 0, work: Work::Apply(txn) });
    }

    /// What a log holds of a transaction. Kept out of the way of a disk in memory.
    #[inline(never)]
    pub(crate) fn log_entry(&self, cxid: Xid, txn: &Txn, out: &mut Outbox) -> Range<usize> {
        out.entry(|bytes| put_txn(txn, cxid, &self.tree.acls, bytes))
    }
}
