//! Signs of life: a leader without a quorum stops, and a `sync` is answered only by one that has
//! proved to be the leader still.

use znode::proto::{Decoder, OpCode, Zxid};

use super::{LearnerHandler, PendingSync, Phase, Stage, SyncFrom};
use crate::node::Node;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::peer::{QuorumPeer, Role};
use crate::zab::packet::{Kind, QuorumPacket, SessionInfo, put};

impl Node {
    /// Lets time pass for a leader.
    pub(crate) fn leader_tick(&mut self, out: &mut Outbox) {
        let now = self.now;
        let Some(QuorumPeer { role: Role::Leading(leader), settings, me, quorums, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        if leader.phase != Phase::Broadcast {
            if now >= leader.give_up {
                self.step_down("no quorum has followed in time", out);
            }
            return;
        }
        if now < leader.next_ping {
            return;
        }
        leader.next_ping = now + settings.tick / 2;
        let (init, sync) = (settings.init_limit + settings.sync_limit, settings.sync_limit);
        let is_alive = |learner: &LearnerHandler| match learner.stage {
            Stage::Synchronized | Stage::Serving => now.since(learner.heard) <= sync,
            _ => now.since(learner.heard) <= init,
        };
        let follows = |learner: &LearnerHandler| {
            matches!(learner.stage, Stage::Synchronized | Stage::Serving) && is_alive(learner)
        };
        if !leader.is_quorum(*me, quorums, follows) {
            if !self.hand_over(out) {
                self.step_down("no quorum follows any more", out);
            }
            return;
        }
        let silent: Vec<ConnId> = leader
            .learners
            .iter()
            .filter(|(_, learner)| !is_alive(learner))
            .map(|(link, _)| *link)
            .collect();
        self.ping_learners(out);
        for link in silent {
            tracing::warn!(?link, "a learner has fallen silent");
            self.learner_lost(link);
            out.close(link);
        }
    }

    fn ping_learners(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        leader.pings += 1;
        let round = leader.pings;
        let zxid = history.last_logged();
        let ping = out.encode_packet(|out| put(Kind::Ping, zxid, None, out));
        // One that is not told to serve yet passes pings over.
        for (link, learner) in &mut leader.learners {
            if learner.stage == Stage::Serving {
                learner.unanswered.push_back(round);
                out.send(*link, ping.clone());
            }
        }
    }

    /// A learner gives a sign of life, and passes on those of its clients.
    pub(super) fn learner_pings(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let now = self.now;
        let mut from = Decoder::new(packet.data.unwrap_or_default());
        while from.remaining() > 0 {
            let touched: SessionInfo = from.read().map_err(|error| error.to_string())?;
            let slot = self.sessions.find(touched.session);
            if let Some(slot) = slot.filter(|slot| !self.is_local(*slot)) {
                self.sessions.touch(now, slot);
            }
        }
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return Ok(());
        };
        if let Some(learner) = leader.learners.get_mut(&link)
            && let Some(round) = learner.unanswered.pop_front()
        {
            learner.answered = round;
        }
        self.answer_syncs(out);
        Ok(())
    }

    /// Answers a `sync` once everything proposed so far is decided, and a quorum has answered a
    /// ping that was sent after it arrived. Without the latter, a leader that was deposed while it
    /// was stopped would vouch for old data.
    pub(super) fn sync_later(&mut self, to: SyncFrom, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        let after = history.last_logged();
        let proof = leader.pings + 1;
        leader.syncs.push_back(PendingSync { to, after, proof });
        if leader.proving.is_none() {
            leader.proving = Some(proof);
            self.ping_learners(out);
        }
        self.answer_syncs(out);
    }

    /// A `sync` of a client of this very server.
    pub(crate) fn sync_as_leader(&mut self, to: ReplyTo, out: &mut Outbox) {
        self.sync_later(SyncFrom::Client(to), out);
    }

    /// Answers whatever is proved by now.
    pub(super) fn answer_syncs(&mut self, out: &mut Outbox) {
        loop {
            let last_processed = self.last_processed;
            let Some(QuorumPeer { role: Role::Leading(leader), me, quorums, .. }) =
                self.peer.as_deref_mut()
            else {
                return;
            };
            let is_proved = |leader: &super::Leader, proof: u64| {
                let answered = |learner: &LearnerHandler| learner.answered >= proof;
                leader.is_quorum(*me, quorums, answered)
            };
            if leader.proving.is_some_and(|proof| is_proved(leader, proof)) {
                leader.proving = None;
            }
            let Some(first) = leader.syncs.front() else { return };
            let (proof, after) = (first.proof, first.after);
            if !is_proved(leader, proof) {
                if leader.proving.is_none() {
                    leader.proving = Some(proof);
                    if leader.pings < proof {
                        self.ping_learners(out);
                    }
                }
                return;
            }
            if after > last_processed {
                return;
            }
            let Some(sync) = leader.syncs.pop_front() else { return };
            match sync.to {
                SyncFrom::Learner(link) if leader.learners.contains_key(&link) => {
                    Self::say(link, Kind::Sync, Zxid::ZERO, out);
                }
                SyncFrom::Learner(_) => {}
                SyncFrom::Client(to) => self.complete(to, OpCode::Sync, out),
            }
        }
    }
}
