//! A learner connects to its leader and promises to follow nobody of an earlier epoch.

use znode::Moment;
use znode::proto::{Decoder, Zxid};

use super::{Learner, Phase};
use crate::node::Node;
use crate::node::input::{ConnId, EpochKind, LinkKind};
use crate::node::outbox::Outbox;
use crate::peer::planted::Bug;
use crate::peer::{QuorumPeer, Role};
use crate::quorum::Sid;
use crate::zab::leader::{EPOCH_MAX, put_promise};
use crate::zab::packet::{Kind, LearnerInfo, PROTOCOL, QuorumPacket, put_record};

/// How often a learner tries to connect before it looks for another leader.
const DIALS_MAX: u32 = 5;

impl Node {
    /// Begins to follow, or to observe.
    pub(crate) fn follow(&mut self, leader: Sid, out: &mut Outbox) {
        let now = self.now;
        let Some(peer) = self.peer.as_deref_mut() else { return };
        // One that is no member follows, too: so it is ready by the time that it is to vote.
        let is_observer = peer.quorums.committed.is_observer(peer.me);
        if is_observer {
            peer.election.observe();
        }
        tracing::info!(me = %peer.me, %leader, is_observer, "following");
        let give_up = now + peer.settings.init_limit;
        let learner = Learner::new(leader, is_observer, now, give_up);
        peer.role = Role::Learning(Box::new(learner));
        self.learner_tick(out);
    }

    /// Lets time pass for a learner.
    pub(crate) fn learner_tick(&mut self, out: &mut Outbox) {
        let now = self.now;
        let Some(QuorumPeer { role: Role::Learning(learner), quorums, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        if now >= learner.give_up {
            return self.step_down("the leader has fallen silent", out);
        }
        if learner.phase != Phase::Dialing || now < learner.redial {
            return;
        }
        if learner.dials >= DIALS_MAX {
            return self.step_down("the leader cannot be reached", out);
        }
        let Some(member) = quorums.member(learner.leader) else {
            return self.step_down("nobody knows where the leader is", out);
        };
        let addresses = member.addresses.iter();
        let addresses = addresses.map(|address| (address.host.clone(), address.quorum_port));
        learner.dials += 1;
        // Until the answer is here.
        learner.redial = Moment::NEVER;
        out.dial(LinkKind::Quorum, learner.leader, addresses.collect());
    }

    /// The connection to a leader has come about, or has not.
    pub(crate) fn leader_dialed(&mut self, to: Sid, link: Option<ConnId>, out: &mut Outbox) {
        let now = self.now;
        let Some(QuorumPeer {
            role: Role::Learning(learner), settings, epochs, me, quorums, ..
        }) = self.peer.as_deref_mut()
        else {
            return link.into_iter().for_each(|link| out.close(link));
        };
        if learner.leader != to || learner.phase != Phase::Dialing {
            return link.into_iter().for_each(|link| out.close(link));
        }
        let Some(link) = link else {
            learner.redial = now + settings.redial_pause;
            return;
        };
        learner.link = Some(link);
        learner.phase = Phase::Informed;
        let kind = if learner.is_observer { Kind::ObserverInfo } else { Kind::FollowerInfo };
        let zxid = Zxid(i64::from(epochs.accepted) << 32);
        let config_version = quorums.committed.version.0;
        let info = LearnerInfo { sid: me.0, protocol: PROTOCOL, config_version };
        out.packet(link, |out| put_record(kind, zxid, &info, out));
    }

    /// The leader asks for a promise. One of an earlier epoch than was promised before is none.
    pub(super) fn leader_asks(
        &mut self,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        if packet.kind != Kind::LeaderInfo {
            return Err(format!("{:?} instead of an epoch", packet.kind));
        }
        let version: i32 = Decoder::new(packet.data.unwrap_or_default()).read().unwrap_or_default();
        if version < PROTOCOL {
            return Err(format!("it speaks version {version:#x}"));
        }
        let Some(QuorumPeer { role: Role::Learning(learner), epochs, planted, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let epoch = packet.zxid.epoch();
        if epoch > EPOCH_MAX {
            return Err(format!("epoch {epoch} cannot be"));
        }
        learner.epoch = epoch;
        if epoch < epochs.accepted {
            return Err(format!("epoch {epoch}, after {} was promised", epochs.accepted));
        }
        if planted.is(Bug::PromiseNotWritten) {
            let current = epochs.current;
            self.promise(Some(current), out);
            return Ok(());
        }
        if epoch <= epochs.accepted {
            self.promise(None, out);
            return Ok(());
        }
        learner.phase = Phase::SavingAccepted;
        out.save_epoch(EpochKind::Accepted, epoch);
        Ok(())
    }

    /// The promise is written down, and may be given.
    pub(crate) fn learner_promised(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Learning(learner), epochs, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        if learner.phase == Phase::SavingAccepted && epochs.accepted >= learner.epoch {
            let current = epochs.current;
            self.promise(Some(current), out);
        }
    }

    fn promise(&mut self, current: Option<u32>, out: &mut Outbox) {
        let last_processed = self.last_processed;
        let Some(QuorumPeer {
            role: Role::Learning(learner), history, is_trusted, planted, ..
        }) = self.peer.as_deref_mut()
        else {
            return;
        };
        let Some(link) = learner.link else { return };
        learner.phase = Phase::Promised;
        let mut last = history.last_logged().max(last_processed);
        if planted.is(Bug::TailNotCounted) {
            last = last_processed;
        }
        let last = if *is_trusted { last } else { Zxid(-1) };
        out.packet(link, |out| put_promise(last, current, out));
    }
}
