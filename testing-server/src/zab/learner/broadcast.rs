//! A learner that serves: it logs what is proposed, says so, and applies what is decided.

use znode::proto::{JutePut, OpCode, Zxid};

use super::Phase;
use crate::node::Node;
use crate::node::outbox::Outbox;
use crate::peer::planted::Bug;
use crate::peer::{QuorumPeer, Role};
use crate::zab::packet::{Kind, QuorumPacket, SessionInfo, put};

impl Node {
    /// What a leader says to one that serves.
    pub(super) fn leader_says(
        &mut self,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        match packet.kind {
            Kind::Proposal => self.log_received(packet, out),
            Kind::Commit => {
                self.hear_decided(packet.zxid)?;
                self.apply_decided(out);
                Ok(())
            }
            Kind::Inform => {
                self.log_received(packet, out)?;
                self.hear_decided(packet.zxid)?;
                self.apply_decided(out);
                Ok(())
            }
            Kind::CommitAndActivate => {
                self.hear_activated(packet)?;
                self.apply_decided(out);
                Ok(())
            }
            Kind::InformAndActivate => {
                self.hear_activated(packet)?;
                self.log_pending(out)?;
                self.apply_decided(out);
                Ok(())
            }
            Kind::Ping => {
                self.answer_ping(packet.zxid, out);
                Ok(())
            }
            Kind::Revalidate => self.session_was_judged(packet, out),
            Kind::Sync => {
                self.sync_was_answered(out);
                Ok(())
            }
            Kind::UpToDate | Kind::NewLeader => Ok(()),
            other => Err(format!("{other:?} is none of a leader's")),
        }
    }

    fn log_received(&mut self, packet: &QuorumPacket<'_>, out: &mut Outbox) -> Result<(), String> {
        self.receive(packet)?;
        self.log_pending(out)
    }

    fn log_pending(&mut self, out: &mut Outbox) -> Result<(), String> {
        let Some(QuorumPeer { role: Role::Learning(learner), planted, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let link = learner.link.filter(|_| planted.is(Bug::AckBeforeDisk));
        for entry in std::mem::take(&mut learner.pending) {
            let zxid = entry.zxid;
            self.log_next(entry, out)?;
            if let Some(link) = link {
                out.packet(link, |out| put(Kind::Ack, zxid, None, out));
            }
        }
        Ok(())
    }

    fn apply_decided(&mut self, out: &mut Outbox) {
        if let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        {
            history.committed = history.committed.max(learner.decided);
        }
        self.apply_ready(out);
        self.activate(out);
    }

    /// The disk holds everything up to `zxid`; a follower says so, one by one, as servers count.
    pub(crate) fn learner_persisted(&mut self, zxid: Zxid, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        if learner.phase != Phase::Serving {
            return;
        }
        if let (false, Some(link)) = (learner.is_observer, learner.link) {
            let acked = learner.acked;
            let fresh = history.tail().map(|entry| entry.zxid);
            for fresh in fresh.filter(|fresh| *fresh > acked && *fresh <= zxid) {
                out.packet(link, |out| put(Kind::Ack, fresh, None, out));
                learner.acked = fresh;
            }
        }
        self.apply_ready(out);
        self.activate(out);
    }

    /// Answers with the sessions whose clients were heard of since the last time.
    fn answer_ping(&mut self, zxid: Zxid, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return;
        };
        let Some(link) = learner.link else { return };
        // Never null, even if nobody was: Apache's leader would stumble.
        let mut data = Vec::new();
        for session in std::mem::take(&mut learner.touched) {
            let slot = self.sessions.find(session);
            let timeout = slot.and_then(|slot| self.sessions.get(slot)).map(|found| found.timeout);
            let Some(timeout) = timeout else { continue };
            let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
            data.put(&SessionInfo { session, timeout_ms });
        }
        out.packet(link, |out| put(Kind::Ping, zxid, Some(&data), out));
    }

    /// The leader has proved to be one: the oldest `sync` is answered once everything that was
    /// decided by now is applied here.
    fn sync_was_answered(&mut self, out: &mut Outbox) {
        let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return;
        };
        if let Some(to) = learner.syncs.pop_front() {
            learner.synced.push_back((history.committed, to));
        }
        self.complete_syncs(out);
    }

    /// Answers every `sync` behind which nothing is missing any more.
    pub(crate) fn complete_syncs(&mut self, out: &mut Outbox) {
        loop {
            let last_processed = self.last_processed;
            let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
            else {
                return;
            };
            match learner.synced.front() {
                Some((after, _)) if *after <= last_processed => {}
                _ => return,
            }
            if let Some((_, to)) = learner.synced.pop_front() {
                self.complete(to, OpCode::Sync, out);
            }
        }
    }
}
