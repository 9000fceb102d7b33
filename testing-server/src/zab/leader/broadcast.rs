//! The leader proposes what was prepared, counts who has it on the disk, and says what is decided.

use bytes::Bytes;
use znode::proto::{OpCode, Zxid};

use super::reconfig::designated;
use super::{Leader, LearnerHandler, Phase, Stage};
use crate::node::Node;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::peer::planted::{Bug, Planted};
use crate::peer::{Prepared, QuorumPeer, Role};
use crate::pipeline::gate::{Waiting, Work};
use crate::pipeline::txn::{Change, Txn};
use crate::quorum::{Quorums, Sid};
use crate::zab::history::{Entry, History};
use crate::zab::packet::{Kind, QuorumPacket, put};

/// The last place of an epoch that is given to a transaction: one more would run into the next
/// epoch (ZOOKEEPER-1277).
pub(crate) const COUNTER_MAX: u32 = 0xffff_fffe;

impl Node {
    /// Has a transaction logged by everybody who votes. What it does and answers waits for that.
    pub(crate) fn propose(
        &mut self,
        to: Option<ReplyTo>,
        op: OpCode,
        cxid: znode::proto::Xid,
        mut txn: Txn,
        out: &mut Outbox,
    ) {
        let zxid = txn.zxid;
        // A place in the order is a leader's to give. What another server wrote to its log would
        // have the number of something else.
        if !self.orders_writes() {
            txn.change.discard(&mut self.tree.acls);
            self.outstanding.take_back(&mut self.tree.acls);
            return self.take_back_zxid();
        }
        let range = self.log_entry(cxid, &mut txn, out);
        let bytes = Bytes::copy_from_slice(out.bytes(&range));
        let since = self.now;
        if to.is_some() {
            self.wait(Waiting { to, op, since, large: 0, work: Work::Commit });
        }
        if let Change::Reconfig { config, .. } = &txn.change {
            self.config_seen((**config).clone(), out);
        }
        out.append(zxid, range);
        let Some(QuorumPeer { role: Role::Leading(leader), history, prepared, planted, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        leader.sizes.note(bytes.len());
        prepared.push_back(Prepared { to, op, since, txn });
        let packet = out.encode_packet(|out| put(Kind::Proposal, zxid, Some(&bytes), out));
        for (link, learner) in leader.listeners() {
            let forgets = planted.is(Bug::NotForwarded) && learner.stage != Stage::Serving;
            if !learner.is_observer && !forgets {
                out.send(link, packet.clone());
            }
        }
        if let Err(why) = history.push(Entry { zxid, bytes }) {
            return out.halt(format!("this leader has lost count: {why}"));
        }
        if zxid.counter() >= COUNTER_MAX {
            self.step_down("the epoch has no place left", out);
        }
    }

    /// A learner has transactions on its disk, up to this one.
    pub(super) fn learner_acks(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let Some(QuorumPeer { role: Role::Leading(leader), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let zxid = packet.zxid;
        // Every learner acknowledges its new leader once more as soon as it serves.
        if zxid.counter() == 0 {
            return Ok(());
        }
        if zxid > history.last_logged() {
            return Err(format!("it acknowledges {zxid}, which nobody has proposed"));
        }
        let Some(learner) = leader.learners.get_mut(&link) else { return Ok(()) };
        if learner.is_observer {
            return Err("an observer acknowledges transactions".to_owned());
        }
        if zxid > learner.acked {
            learner.acked = zxid;
            self.count_acks(out);
        }
        Ok(())
    }

    /// Decides whatever a quorum has on its disks.
    pub(crate) fn count_acks(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), me, quorums, history, planted, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        if leader.phase != Phase::Broadcast {
            return;
        }
        let before = history.committed;
        let decided = leader.newly_decided(*me, quorums, history, *planted);
        if let Some(decided) = decided.filter(|_| leader.successor.is_none()) {
            let next = quorums.proposed.clone().filter(|next| next.version <= decided);
            let acked_by = |sid| leader.acked_by(*me, history, sid);
            let next = next.map(|next| (designated(*me, quorums, &next, acked_by), next));
            // What comes behind is for the next leader to decide.
            let decided = match &next {
                Some((leader, next)) if leader != me => next.version,
                _ => decided,
            };
            history.committed = decided;
            let fresh = history.tail().filter(|entry| entry.zxid > before);
            for entry in fresh.take_while(|entry| entry.zxid <= decided) {
                match &next {
                    Some((designated, next)) if next.version == entry.zxid => {
                        leader.tell_activated(*designated, entry, out);
                    }
                    _ => leader.tell_decided(entry, out),
                }
            }
            if let Some((designated, config)) = next {
                self.reconfigured(designated, config, out);
                // Fewer may have to agree on what comes behind.
                return self.count_acks(out);
            }
        }
        // Also what was decided before may only now be on the leader's own disk.
        self.apply_ready(out);
        self.answer_syncs(out);
    }
}

impl Leader {
    /// Up to where a server has everything on its disk.
    fn acked_by(&self, me: Sid, history: &History, sid: Sid) -> Zxid {
        let mine = (sid == me).then_some(history.persisted);
        let learners = self.learners.values().filter(|learner| learner.sid == sid);
        let others = learners.filter_map(LearnerHandler::counted);
        others.chain(mine).max().unwrap_or(Zxid(i64::MIN))
    }

    /// The last transaction that a quorum has on its disks, if it is not known to be decided.
    fn newly_decided(
        &self,
        me: Sid,
        quorums: &Quorums,
        history: &History,
        planted: Planted,
    ) -> Option<Zxid> {
        let mut places: Vec<Zxid> =
            self.learners.values().filter_map(LearnerHandler::counted).collect();
        places.push(history.persisted);
        places.retain(|zxid| *zxid > history.committed);
        places.sort_unstable();
        places.into_iter().rev().find(|zxid| {
            let agrees = |sid| self.acked_by(me, history, sid) >= *zxid;
            planted.is(Bug::NoQuorum)
                || (planted.is(Bug::OldVotersAlone) && quorums.committed.is_quorum(agrees))
                || (planted.is(Bug::NewVotersAlone) && quorums.last_seen().is_quorum(agrees))
                || quorums.is_quorum(agrees)
        })
    }

    /// Tells everybody that a transaction is decided.
    fn tell_decided(&self, entry: &Entry, out: &mut Outbox) {
        let zxid = entry.zxid;
        let commit = out.encode_packet(|out| put(Kind::Commit, zxid, None, out));
        let mut inform = None;
        for (link, learner) in self.listeners() {
            let packet = if learner.is_observer {
                let bytes = Some(&entry.bytes[..]);
                inform.get_or_insert_with(|| {
                    out.encode_packet(|out| put(Kind::Inform, zxid, bytes, out))
                })
            } else {
                &commit
            };
            out.send(link, packet.clone());
        }
    }
}

impl LearnerHandler {
    /// Up to where it has acknowledged, if that counts.
    fn counted(&self) -> Option<Zxid> {
        let counts = matches!(self.stage, Stage::Synchronized | Stage::Serving);
        (counts && !self.is_observer).then_some(self.acked)
    }
}
