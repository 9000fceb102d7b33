//! The leader makes another configuration of the ensemble the present one, and hands over to
//! another leader where it is none in that.

use znode::proto::{JutePut, Zxid};

use super::{Leader, LearnerHandler, Stage};
use crate::node::Node;
use crate::node::outbox::Outbox;
use crate::peer::{QuorumPeer, Role};
use crate::quorum::{QuorumConfig, Quorums, Sid};
use crate::zab::history::Entry;
use crate::zab::packet::{Kind, put};

/// Who is to lead in the next configuration: this leader, if it votes there and is found where it
/// is now; otherwise of its voters the one that has logged the most, so that nothing is lost.
pub(super) fn designated(
    me: Sid,
    quorums: &Quorums,
    next: &QuorumConfig,
    acked_by: impl Fn(Sid) -> Zxid,
) -> Sid {
    if quorums.committed.keeps_voter(me, next) {
        return me;
    }
    let others = next.voters().filter(|sid| *sid != me);
    others.max_by_key(|sid| (acked_by(*sid), std::cmp::Reverse(*sid))).unwrap_or(me)
}

impl Leader {
    /// Tells everybody that a reconfiguration is decided, and who leads from now on.
    pub(super) fn tell_activated(&self, designated: Sid, entry: &Entry, out: &mut Outbox) {
        let mut data = Vec::new();
        data.put(&designated.0);
        let zxid = entry.zxid;
        let commit = out.encode_packet(|out| put(Kind::CommitAndActivate, zxid, Some(&data), out));
        data.extend_from_slice(&entry.bytes);
        let inform = out.encode_packet(|out| put(Kind::InformAndActivate, zxid, Some(&data), out));
        for (link, learner) in self.listeners() {
            out.send(link, if learner.is_observer { inform.clone() } else { commit.clone() });
        }
    }
}

impl Node {
    /// A configuration may have been seen, and the transaction that makes it have been lost with
    /// the power: then nobody can have agreed on it, and a leader does not bring it about.
    pub(super) fn forget_config_unlogged(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { quorums, history, .. }) = self.peer.as_deref() else { return };
        let version = quorums.last_seen().version;
        if version.counter() > 0 && version > history.last_logged() {
            self.config_seen(quorums.committed.clone(), out);
        }
    }

    /// A configuration that servers are started with has no version until a leader leads with it:
    /// then it has that of the epoch, and is newer than what any other server is started with
    /// (ZOOKEEPER-1783).
    pub(super) fn establish_config(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), quorums, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        if quorums.last_seen().version == Zxid::ZERO {
            let version = leader.first_zxid();
            let config = QuorumConfig { version, ..quorums.committed.clone() };
            self.config_seen(config, out);
        }
    }

    /// A quorum of the newest configuration that this leader knows follows: with its history, that
    /// is agreed on as well.
    pub(super) fn complete_config(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), me, quorums, .. }) =
            self.peer.as_deref()
        else {
            return;
        };
        let Some(next) = quorums.proposed.clone() else { return };
        let acked_by = |sid| {
            let learners = leader.learners.values().filter(|learner| learner.sid == sid);
            let acked = learners.filter(|learner| !learner.is_observer);
            acked.map(|learner| learner.acked).max().unwrap_or(Zxid(i64::MIN))
        };
        let designated = designated(*me, quorums, &next, acked_by);
        self.reconfigured(designated, next, out);
    }

    /// A reconfiguration is decided.
    pub(super) fn reconfigured(&mut self, designated: Sid, config: QuorumConfig, out: &mut Outbox) {
        self.config_agreed(config, Some(designated), out);
        let Some(QuorumPeer { role: Role::Leading(leader), me, .. }) = self.peer.as_deref_mut()
        else {
            return;
        };
        if designated != *me {
            tracing::info!(%designated, "handing over to the leader of the new configuration");
            leader.successor = Some(designated);
        }
    }

    /// Whether a quorum of a configuration has this leader's history, itself included: or there
    /// would be nobody to go on once it is the present one.
    pub(crate) fn is_quorum_synced(&self, config: &QuorumConfig) -> bool {
        let Some(QuorumPeer { role: Role::Leading(leader), me, .. }) = self.peer.as_deref() else {
            return false;
        };
        let synced = |learner: &LearnerHandler| {
            !learner.is_observer && matches!(learner.stage, Stage::Synchronized | Stage::Serving)
        };
        config.is_quorum(|sid| {
            let mut learners = leader.learners.values();
            sid == *me || learners.any(|learner| learner.sid == sid && synced(learner))
        })
    }

    /// The last learner of a leader that has handed over may have left it: then there is nothing to
    /// wait for, unless a client waits for the reconfiguration itself.
    pub(crate) fn hand_over_alone(&mut self, out: &mut Outbox) {
        let last_processed = self.last_processed;
        if let Some(QuorumPeer { role: Role::Leading(leader), quorums, .. }) = self.peer.as_deref()
            && leader.learners.is_empty()
            && last_processed >= quorums.committed.version
        {
            self.hand_over(out);
        }
    }

    /// Without its learners, a leader that has handed over learns from its successor.
    pub(super) fn hand_over(&mut self, out: &mut Outbox) -> bool {
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref() else {
            return false;
        };
        let Some(successor) = leader.successor else { return false };
        self.take_role(successor, out);
        true
    }
}
