//! The leader finds an epoch that is new to a quorum, and makes sure that none of them knows more.

use znode::proto::{Decoder, JutePut, Zxid};

use super::{Leader, LearnerHandler, Phase, Stage};
use crate::election::UNTRUSTED;
use crate::node::Node;
use crate::node::input::{ConnId, EpochKind};
use crate::node::outbox::Outbox;
use crate::peer::{QuorumPeer, Role};
use crate::quorum::Sid;
use crate::zab::packet::{Kind, LearnerInfo, PROTOCOL, QuorumPacket, put, put_record};

/// How many learners may not have said who they are: as many as there can be servers, which all
/// say so at once.
const SILENT_MAX: usize = 256;

/// The last epoch that there can be: a zxid has a sign.
pub(crate) const EPOCH_MAX: u32 = 0x7fff_ffff;

impl Node {
    /// Begins to lead, which comes to nothing unless a quorum follows in time.
    pub(crate) fn lead(&mut self, out: &mut Outbox) {
        let now = self.now;
        self.forget_config_unlogged(out);
        let Some(peer) = self.peer.as_deref_mut() else { return };
        let give_up = now + peer.settings.init_limit;
        let leader = Leader::new(peer.epochs.accepted + 1, give_up);
        tracing::info!(me = %peer.me, last = %peer.history.last_logged(), "leading");
        peer.role = Role::Leading(Box::new(leader));
        out.listen(true);
        self.count_informed(out);
    }

    /// A learner has connected. Of too many who say nothing, the first is let go.
    pub(crate) fn learner_connected(&mut self, link: ConnId, out: &mut Outbox) {
        let now = self.now;
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return out.close(link);
        };
        let learner = LearnerHandler {
            sid: Sid(-1),
            is_observer: true,
            stage: Stage::Connected,
            acked: Zxid::ZERO,
            heard: now,
            unanswered: std::collections::VecDeque::new(),
            answered: 0,
        };
        leader.learners.insert(link, learner);
        let silent = leader.learners.iter().filter(|(_, known)| known.stage == Stage::Connected);
        if silent.clone().count() > SILENT_MAX {
            let first = silent.min_by_key(|(link, known)| (known.heard, **link));
            if let Some(first) = first.map(|(link, _)| *link) {
                self.learner_lost(first);
                out.close(first);
            }
        }
    }

    /// A learner says who it is, and the epoch that it has promised to last.
    pub(super) fn learner_informs(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let Some(QuorumPeer { role: Role::Leading(leader), quorums, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let is_observer = match packet.kind {
            Kind::FollowerInfo => false,
            Kind::ObserverInfo => true,
            other => return Err(format!("it begins with {other:?}")),
        };
        let data = packet.data.ok_or("it does not say who it is")?;
        let info: LearnerInfo = Decoder::new(data).read().map_err(|error| error.to_string())?;
        if info.protocol < PROTOCOL {
            return Err(format!("it speaks version {:#x}", info.protocol));
        }
        if info.config_version > quorums.committed.version.0 {
            return Err(format!("its configuration {:x} is newer", info.config_version));
        }
        let promised = packet.zxid.epoch();
        if promised >= EPOCH_MAX {
            return Err(format!("it has promised epoch {promised}, and there is no later one"));
        }
        // A server that comes back may do so before its old connection is known to be broken.
        let sid = Sid(info.sid);
        let old = leader.learners.iter().find(|(_, learner)| learner.sid == sid);
        let old = old.map(|(link, _)| *link);
        let Some(learner) = leader.learners.get_mut(&link) else { return Ok(()) };
        learner.sid = sid;
        learner.is_observer = is_observer;
        learner.stage = Stage::Informed;
        if leader.phase == Phase::Discovery {
            leader.epoch = leader.epoch.max(promised + 1);
        }
        if let Some(old) = old {
            self.learner_lost(old);
            out.close(old);
        }
        self.count_informed(out);
        self.ask_promises(out);
        Ok(())
    }

    fn count_informed(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), me, quorums, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        let informed = |learner: &LearnerHandler| learner.stage == Stage::Informed;
        if leader.phase != Phase::Discovery || !leader.is_quorum(*me, quorums, informed) {
            return;
        }
        leader.phase = Phase::SavingAccepted;
        out.save_epoch(EpochKind::Accepted, leader.epoch);
    }

    /// The leader's own promise is written down.
    pub(crate) fn leader_promised(&mut self, accepted: u32, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return;
        };
        if leader.phase == Phase::SavingAccepted && accepted >= leader.epoch {
            leader.phase = Phase::Promises;
            self.establish_config(out);
            self.ask_promises(out);
            self.count_promises(out);
        }
    }

    /// Tells the epoch to whoever has not been told.
    fn ask_promises(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return;
        };
        if leader.phase < Phase::Promises {
            return;
        }
        let zxid = leader.first_zxid();
        for (link, learner) in &mut leader.learners {
            if learner.stage == Stage::Informed {
                learner.stage = Stage::Asked;
                out.packet(*link, |out| put_record(Kind::LeaderInfo, zxid, &PROTOCOL, out));
            }
        }
    }

    /// A learner has promised to follow nobody of an earlier epoch.
    pub(super) fn learner_promises(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        if packet.kind != Kind::AckEpoch {
            return Err(format!("{:?} instead of a promise", packet.kind));
        }
        let last_processed = self.last_processed;
        let data = packet.data.ok_or("a promise without an epoch")?;
        let current: i32 = Decoder::new(data).read().map_err(|error| error.to_string())?;
        let Some(QuorumPeer { role: Role::Leading(leader), history, epochs, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let ours = (i64::from(epochs.current), history.last_logged().max(last_processed));
        // Nobody has a transaction at the first place of an epoch: whoever stands there knows no
        // more than anybody else who takes part in it.
        let last = if packet.zxid.counter() == 0 { Zxid::ZERO } else { packet.zxid };
        let theirs = (i64::from(current), last);
        let is_counted = leader.phase <= Phase::SavingCurrent;
        // -1 stands for a promise that was given before, and is no new one.
        if is_counted && current != -1 && theirs > ours {
            let why = format!("a learner knows more: {theirs:?} against {ours:?}");
            self.step_down(&why, out);
            return Ok(());
        }
        if let Some(learner) = leader.learners.get_mut(&link) {
            learner.stage = Stage::Promised(packet.zxid);
        }
        self.count_promises(out);
        if self.peer.as_deref().is_some_and(QuorumPeer::is_synchronizing) {
            self.synchronize(link, out);
        }
        Ok(())
    }

    fn count_promises(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), me, quorums, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        let promised = |learner: &LearnerHandler| match learner.stage {
            // Who has lost data is no proof of anything.
            Stage::Promised(last) => last != UNTRUSTED,
            _ => false,
        };
        if leader.phase != Phase::Promises || !leader.is_quorum(*me, quorums, promised) {
            return;
        }
        leader.phase = Phase::SavingCurrent;
        out.save_epoch(EpochKind::Current, leader.epoch);
    }

    /// It is written down that the epoch has begun: whoever has promised gets the history.
    pub(crate) fn epoch_began(&mut self, current: u32, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return;
        };
        if leader.phase != Phase::SavingCurrent || current < leader.epoch {
            return;
        }
        leader.phase = Phase::Synchronization;
        let links: Vec<ConnId> = leader.learners.keys().copied().collect();
        for link in links {
            self.synchronize(link, out);
        }
        self.count_synchronized(out);
    }

    /// Tells a learner something without data.
    pub(super) fn say(link: ConnId, kind: Kind, zxid: Zxid, out: &mut Outbox) {
        out.packet(link, |out| put(kind, zxid, None, out));
    }
}

/// An epoch as a promise carries it.
pub(crate) fn put_promise(zxid: Zxid, current: Option<u32>, out: &mut Vec<u8>) {
    let mut data = Vec::new();
    data.put(&current.map_or(-1, |epoch| i32::try_from(epoch).unwrap_or(i32::MAX)));
    put(Kind::AckEpoch, zxid, Some(&data), out);
}
