//! The leader brings a learner to its own history, and waits for a quorum to have it.

use znode::proto::{JutePut, Zxid};

use super::{LearnerHandler, Phase, Stage};
use crate::node::Node;
use crate::node::input::ConnId;
use crate::node::outbox::Outbox;
use crate::peer::planted::Bug;
use crate::peer::{QuorumPeer, Role};
use crate::quorum::text::print;
use crate::zab::history::Plan;
use crate::zab::packet::{Kind, QuorumPacket, SNAPSHOT_END, put};

impl Node {
    /// Sends a learner that has promised what it lacks, all in one step: what is decided later it
    /// hears of as everybody does, so nothing can fall in between, and nothing comes twice
    /// (ZOOKEEPER-4785).
    ///
    /// What is decided goes before the packet that names the new leader, what is only proposed
    /// behind it: some servers forget proposals that come before (ZOOKEEPER-4394).
    pub(super) fn synchronize(&mut self, link: ConnId, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        let first_zxid = leader.first_zxid();
        let is_broadcast = leader.phase == Phase::Broadcast;
        // What this leader began with is decided once it leads; nothing newer is, unless it does.
        let decided = match leader.phase {
            Phase::Broadcast => history.committed,
            _ => history.last_logged(),
        };
        let Some(learner) = leader.learners.get_mut(&link) else { return };
        let Stage::Promised(last) = learner.stage else { return };
        learner.stage = Stage::Synchronizing(decided);
        let is_observer = learner.is_observer;
        let (plan, sid) = (history.plan(last, decided), learner.sid);
        // What goes over as a whole is what is applied; what is decided beyond comes behind it.
        let body = (plan == Plan::Snap).then(|| self.snapshot_body());
        let Some(QuorumPeer { history, quorums, planted, .. }) = self.peer.as_deref_mut() else {
            return;
        };
        // What the leader began with it completes; what is proposed later may come to nothing.
        let config = print(if is_broadcast { &quorums.committed } else { quorums.last_seen() });
        let named = |out: &mut Vec<u8>| {
            put(Kind::NewLeader, first_zxid, Some(config.as_bytes()), out);
        };
        let too_early = planted.is(Bug::LeaderNamedTooEarly);
        tracing::debug!(%sid, %last, ?plan, %decided, "synchronizing a learner");
        let place = match plan {
            Plan::Diff(place) => {
                let zxid = if place == decided { last } else { decided };
                Self::say(link, Kind::Diff, zxid, out);
                place
            }
            Plan::Trunc(place) => {
                Self::say(link, Kind::Trunc, place, out);
                place
            }
            Plan::Snap => {
                let zxid = self.last_processed;
                Self::say(link, Kind::Snap, zxid, out);
                out.packet(link, |out| {
                    out.extend_from_slice(&body.unwrap_or_default());
                    out.put_buffer(Some(SNAPSHOT_END));
                });
                zxid
            }
        };
        if too_early {
            out.packet(link, named);
        }
        let mut proposed = Vec::new();
        for entry in history.behind(place) {
            if entry.zxid <= decided {
                let bytes = Some(&entry.bytes[..]);
                out.packet(link, |out| put(Kind::Proposal, entry.zxid, bytes, out));
                Self::say(link, Kind::Commit, entry.zxid, out);
            } else if !is_observer {
                put(Kind::Proposal, entry.zxid, Some(&entry.bytes[..]), &mut proposed);
            }
        }
        if !too_early {
            out.packet(link, named);
        }
        if !proposed.is_empty() {
            out.packet(link, |out| out.extend_from_slice(&proposed));
        }
    }

    /// A learner acknowledges that it has, on its disk, what it was sent.
    pub(super) fn learner_synchronized(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return Ok(());
        };
        let expected = leader.first_zxid();
        let Some(learner) = leader.learners.get_mut(&link) else { return Ok(()) };
        let Stage::Synchronizing(decided) = learner.stage else { return Ok(()) };
        if (packet.kind, packet.zxid) != (Kind::Ack, expected) {
            let (kind, zxid) = (packet.kind, packet.zxid);
            return Err(format!("{kind:?} {zxid} instead of an Ack of {expected}"));
        }
        learner.stage = Stage::Synchronized;
        learner.acked = decided;
        match leader.phase {
            Phase::Broadcast => {
                learner.stage = Stage::Serving;
                Self::say(link, Kind::UpToDate, Zxid(-1), out);
                self.count_acks(out);
            }
            _ => self.count_synchronized(out),
        }
        Ok(())
    }

    /// Once a quorum has the leader's history, all of it is decided.
    pub(crate) fn count_synchronized(&mut self, out: &mut Outbox) {
        let now = self.now;
        let Some(QuorumPeer {
            role: Role::Leading(leader), me, quorums, history, settings, ..
        }) = self.peer.as_deref_mut()
        else {
            return;
        };
        let synchronized = |learner: &LearnerHandler| learner.stage == Stage::Synchronized;
        if leader.phase != Phase::Synchronization
            || history.persisted < history.last_logged()
            || !leader.is_quorum(*me, quorums, synchronized)
        {
            return;
        }
        leader.phase = Phase::Broadcast;
        leader.next_ping = now + settings.tick / 2;
        history.committed = history.last_logged();
        let (epoch, first_zxid) = (leader.epoch, leader.first_zxid());
        self.apply_ready(out);
        self.sharp_behind(self.last_processed);
        self.complete_config(out);
        self.begin_epoch(epoch, first_zxid);
        self.sessions.restart(now);
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return;
        };
        for (link, learner) in &mut leader.learners {
            if learner.stage == Stage::Synchronized {
                learner.stage = Stage::Serving;
                learner.heard = now;
                Self::say(*link, Kind::UpToDate, Zxid(-1), out);
            }
        }
        tracing::info!(epoch, "a quorum follows; serving");
    }
}
