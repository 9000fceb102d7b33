//! A learner takes over its leader's history, and has it on the disk before it says so.

use bytes::Bytes;
use znode::proto::Zxid;

use super::Phase;
use crate::log::snapshot::Snapshot;
use crate::node::Node;
use crate::node::input::{ConnId, EpochKind};
use crate::node::outbox::Outbox;
use crate::peer::planted::Bug;
use crate::peer::{QuorumPeer, Role};
use crate::zab::history::Entry;
use crate::zab::packet::{Kind, QuorumPacket, put};

impl Node {
    /// A packet from the leader. A leader that breaks the rules is followed no longer.
    pub(crate) fn learner_packet(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) {
        let now = self.now;
        let Some(QuorumPeer { role: Role::Learning(learner), settings, .. }) =
            self.peer.as_deref_mut()
        else {
            return out.close(link);
        };
        if learner.link != Some(link) {
            return out.close(link);
        }
        let limit = if learner.phase < Phase::Acknowledged {
            settings.init_limit
        } else {
            settings.sync_limit
        };
        learner.give_up = now + limit;
        let phase = learner.phase;
        let outcome = match phase {
            Phase::Informed => self.leader_asks(packet, out),
            Phase::Promised => self.leader_plans(packet, out),
            Phase::Receiving | Phase::SavingHistory | Phase::Acknowledged => {
                self.leader_brings(packet, out)
            }
            Phase::Serving => self.leader_says(packet, out),
            Phase::Dialing | Phase::SavingAccepted | Phase::AwaitingSnapshot => {
                Err(format!("{:?} while it was to wait", packet.kind))
            }
        };
        if let Err(why) = outcome {
            let why = format!("the leader breaks the rules in {phase:?}: {why}");
            self.step_down(&why, out);
        }
    }

    /// What is to be done with the history that this server has.
    fn leader_plans(&mut self, packet: &QuorumPacket<'_>, out: &mut Outbox) -> Result<(), String> {
        let Some(QuorumPeer {
            role: Role::Learning(learner), history, is_trusted, planted, ..
        }) = self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let last = history.last_logged();
        learner.last_received = last;
        match packet.kind {
            Kind::Diff if !*is_trusted => return Err("a difference to nothing".to_owned()),
            Kind::Diff => {
                learner.decided = last;
                learner.phase = Phase::Receiving;
            }
            Kind::Snap if packet.zxid.epoch() > learner.epoch => {
                return Err(format!("a snapshot of {}, a later epoch", packet.zxid));
            }
            Kind::Snap => {
                learner.last_received = packet.zxid;
                learner.decided = packet.zxid;
                learner.phase = Phase::AwaitingSnapshot;
            }
            Kind::Trunc => {
                let zxid = packet.zxid;
                if planted.is(Bug::TailKept) {
                    learner.decided = last;
                    learner.last_received = zxid;
                    learner.phase = Phase::Receiving;
                    return Ok(());
                }
                if !history.truncate(zxid) {
                    return self.lose_everything(zxid, out);
                }
                learner.last_received = history.last_logged();
                learner.decided = learner.last_received;
                learner.phase = Phase::Receiving;
                out.truncate(zxid);
            }
            other => return Err(format!("{other:?} instead of a plan")),
        }
        Ok(())
    }

    /// Something that is to be forgotten is in the tree already: it came back from files, which do
    /// not say what was decided. The files are cut, and read anew; the connection is given up
    /// meanwhile.
    fn lose_everything(&mut self, zxid: Zxid, out: &mut Outbox) -> Result<(), String> {
        tracing::warn!(%zxid, "what stands behind this was never decided; reading the files anew");
        if let Some(peer) = self.peer.as_deref_mut() {
            peer.is_reloading = true;
        }
        out.reload(zxid);
        Err("the log is cut behind what was applied".to_owned())
    }

    /// The snapshot that was announced.
    pub(crate) fn learner_snapshot(&mut self, link: ConnId, bytes: &[u8], out: &mut Outbox) {
        let settings = self.settings.clone();
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return out.close(link);
        };
        if learner.link != Some(link) || learner.phase != Phase::AwaitingSnapshot {
            return self.step_down("a snapshot that nobody has announced", out);
        }
        let zxid = learner.last_received;
        let read = Snapshot::read_body(bytes).map_err(|damage| damage.to_string());
        match read.and_then(|snapshot| Self::from_snapshot(settings, &snapshot, zxid)) {
            Ok(node) => {
                learner.staged = Some(Box::new(node));
                learner.phase = Phase::Receiving;
            }
            Err(why) => self.step_down(&format!("the snapshot cannot be read: {why}"), out),
        }
    }

    /// What is missing, up to the word that this was all.
    fn leader_brings(&mut self, packet: &QuorumPacket<'_>, out: &mut Outbox) -> Result<(), String> {
        let zxid = packet.zxid;
        match packet.kind {
            Kind::Proposal => self.receive(packet),
            Kind::Inform => {
                self.receive(packet)?;
                self.hear_decided(zxid)
            }
            Kind::Commit => self.hear_decided(zxid),
            Kind::CommitAndActivate | Kind::InformAndActivate => self.hear_activated(packet),
            Kind::NewLeader => self.take_over(packet, out),
            Kind::UpToDate => self.serve(out),
            Kind::Ping => Ok(()),
            other => Err(format!("{other:?} between history and service")),
        }
    }

    /// Takes in a transaction, behind the last and without a hole (ZOOKEEPER-4925).
    pub(super) fn receive(&mut self, packet: &QuorumPacket<'_>) -> Result<(), String> {
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let (zxid, last) = (packet.zxid, learner.last_received);
        let next = last.0.checked_add(1).map(Zxid);
        let follows = next == Some(zxid) || (zxid.epoch() > last.epoch() && zxid.counter() > 0);
        if !follows {
            return Err(format!("{zxid} comes behind {last}"));
        }
        let bytes = Bytes::copy_from_slice(packet.data.ok_or("a transaction without content")?);
        learner.last_received = zxid;
        learner.pending.push_back(Entry { zxid, bytes });
        Ok(())
    }

    /// Notes that a transaction is decided: always the next one.
    pub(super) fn hear_decided(&mut self, zxid: Zxid) -> Result<(), String> {
        let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let decided = learner.decided;
        let known = history.tail().chain(&learner.pending);
        let next = known.map(|entry| entry.zxid).find(|known| *known > decided);
        if next != Some(zxid) {
            return Err(format!("{zxid} is decided, where {next:?} is next"));
        }
        learner.decided = zxid;
        Ok(())
    }

    /// This was all of what the new leader began with, or has decided: it goes to the disk, then
    /// the epoch, and only then the acknowledgement (ZOOKEEPER-3911, 4643, 4646).
    fn take_over(&mut self, packet: &QuorumPacket<'_>, out: &mut Outbox) -> Result<(), String> {
        let Some(QuorumPeer { role: Role::Learning(learner), planted, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let planted = *planted;
        if learner.phase != Phase::Receiving {
            return Ok(());
        }
        learner.phase = Phase::SavingHistory;
        let epoch = learner.epoch;
        if planted.is(Bug::EpochBeforeHistory) {
            out.save_epoch(EpochKind::Current, epoch);
        }
        if let Some(staged) = learner.staged.take() {
            self.adopt(*staged);
            let zxid = self.last_processed;
            if let Some(peer) = self.peer.as_deref_mut() {
                peer.history.restart(zxid);
                peer.is_trusted = true;
            }
            // What the log holds behind the snapshot is of another history.
            out.truncate(zxid);
            if planted.is(Bug::SnapshotInMemory) {
                self.history_saved(epoch, out);
                return Ok(());
            }
            let bytes = if self.settings.durable { self.snapshot() } else { Vec::new() };
            out.save_snapshot(zxid, &bytes);
        }
        while let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
            && let Some(entry) = learner.pending.pop_front_if_decided(learner.decided)
        {
            self.log_next(entry, out)?;
        }
        self.leader_tells_config(packet, out);
        let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        learner.acked = history.last_logged();
        if !planted.is(Bug::EpochBeforeHistory) {
            out.save_epoch(EpochKind::Current, epoch);
        }
        if planted.is(Bug::AckBeforeHistory) {
            self.history_saved(epoch, out);
        }
        Ok(())
    }

    /// Everything is on the disk, the epoch last.
    pub(crate) fn history_saved(&mut self, current: u32, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return;
        };
        if learner.phase == Phase::SavingHistory
            && current >= learner.epoch
            && let Some(link) = learner.link
        {
            learner.phase = Phase::Acknowledged;
            let zxid = Zxid(i64::from(learner.epoch) << 32);
            out.packet(link, |out| put(Kind::Ack, zxid, None, out));
        }
    }

    /// A quorum follows: what was taken over is decided, and clients are let in.
    fn serve(&mut self, out: &mut Outbox) -> Result<(), String> {
        let now = self.now;
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        if learner.phase != Phase::Acknowledged {
            return Err("told to serve before it has acknowledged".to_owned());
        }
        let Some(link) = learner.link else { return Ok(()) };
        if self.leaders_config_agreed(out) {
            self.step_down("the leader has completed another configuration", out);
            return Ok(());
        }
        let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        learner.phase = Phase::Serving;
        let decided = learner.decided;
        let (epoch, first_zxid) = (learner.epoch, Zxid(i64::from(learner.epoch) << 32));
        history.committed = history.last_logged();
        out.packet(link, |out| put(Kind::Ack, first_zxid, None, out));
        // Whatever the leader had applied while it wrote its snapshot was decided by now.
        self.sharp_behind(decided);
        self.apply_ready(out);
        self.begin_epoch(epoch, first_zxid);
        self.sessions.restart(now);
        // What is proposed and was not decided by then takes the ordinary way.
        let Some(QuorumPeer { role: Role::Learning(learner), history, planted, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        if planted.is(Bug::ProposalsForgotten) {
            learner.pending.clear();
            learner.decided = learner.decided.min(history.last_logged());
        }
        let decided = learner.decided;
        for entry in std::mem::take(&mut learner.pending) {
            self.log_next(entry, out)?;
        }
        if let Some(peer) = self.peer.as_deref_mut() {
            peer.history.committed = peer.history.committed.max(decided);
        }
        self.apply_ready(out);
        self.activate(out);
        Ok(())
    }
}

/// Takes the front of what is pending.
trait PopDecided {
    fn pop_front_if_decided(&mut self, decided: Zxid) -> Option<Entry>;
}

impl PopDecided for std::collections::VecDeque<Entry> {
    fn pop_front_if_decided(&mut self, decided: Zxid) -> Option<Entry> {
        if self.front()?.zxid > decided {
            return None;
        }
        self.pop_front()
    }
}
