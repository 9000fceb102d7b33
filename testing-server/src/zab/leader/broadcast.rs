//! The leader proposes what was prepared, counts who has it on the disk, and says what is decided.

use bytes::Bytes;
use znode::proto::{OpCode, Zxid};

use super::reconfig::designated;
use super::{LearnerHandler, Phase, Stage};
use crate::node::Node;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::peer::planted::Bug;
use crate::peer::{Prepared, QuorumPeer, Role};
use crate::pipeline::txn::{Change, Txn};
use crate::zab::history::Entry;
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
        txn: Txn,
        out: &mut Outbox,
    ) {
        let zxid = txn.zxid;
        let range = self.log_entry(cxid, &txn, out);
        let bytes = Bytes::copy_from_slice(out.bytes(&range));
        let since = self.now;
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
        let mut reconfigured = None;
        let before = history.committed;
        let acked = |learner: &LearnerHandler| {
            let counts = matches!(learner.stage, Stage::Synchronized | Stage::Serving);
            if counts && !learner.is_observer { learner.acked } else { Zxid(i64::MIN) }
        };
        let acked_by = |sid| {
            let mine = (sid == *me).then_some(history.persisted);
            let others = leader.learners.values().filter(|learner| learner.sid == sid).map(acked);
            others.chain(mine).max().unwrap_or(Zxid(i64::MIN))
        };
        let mut places: Vec<Zxid> = leader.learners.values().map(acked).collect();
        places.push(history.persisted);
        places.retain(|zxid| *zxid > before);
        places.sort_unstable();
        let decides = |zxid: &&Zxid| {
            let agrees = |sid| acked_by(sid) >= **zxid;
            planted.is(Bug::NoQuorum)
                || (planted.is(Bug::OldVotersAlone) && quorums.committed.is_quorum(agrees))
                || (planted.is(Bug::NewVotersAlone) && quorums.last_seen().is_quorum(agrees))
                || quorums.is_quorum(agrees)
        };
        let decided = places.iter().rev().find(decides).filter(|_| leader.successor.is_none());
        if let Some(decided) = decided.copied() {
            let next = quorums.proposed.clone().filter(|next| next.version <= decided);
            let next = next.map(|next| (designated(*me, quorums, &next, &acked_by), next));
            // What comes behind is for the next leader to decide.
            let decided = match &next {
                Some((leader, next)) if leader != me => next.version,
                _ => decided,
            };
            history.committed = decided;
            for entry in history.tail().filter(|entry| entry.zxid > before) {
                if entry.zxid > decided {
                    break;
                }
                let zxid = entry.zxid;
                if let Some((designated, next)) = &next
                    && next.version == zxid
                {
                    leader.tell_activated(*designated, entry, out);
                    continue;
                }
                let commit = out.encode_packet(|out| put(Kind::Commit, zxid, None, out));
                let mut inform = None;
                for (link, learner) in leader.listeners() {
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
            reconfigured = next;
        }
        if let Some((designated, config)) = reconfigured {
            self.reconfigured(designated, config, out);
            // Fewer may have to agree on what comes behind.
            return self.count_acks(out);
        }
        // Also what was decided before may only now be on the leader's own disk.
        self.apply_ready(out);
        self.answer_syncs(out);
    }
}
