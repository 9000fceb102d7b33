//! What arrives from a learner: its own part of the protocol, and what its clients ask for.

use std::sync::Arc;
use std::time::Duration;

use znode::proto::{Decoder, ErrorCode, OpCode, SessionId, Zxid};

use super::{Stage, SyncFrom};
use crate::auth::Identity;
use crate::node::Node;
use crate::node::input::ConnId;
use crate::node::outbox::Outbox;
use crate::peer::{QuorumPeer, Role};
use crate::pipeline::local::wants_ephemeral;
use crate::pipeline::txn::Change;
use crate::zab::packet::{Forwarded, Kind, QuorumPacket, SessionInfo, SessionVerdict, put_record};

impl Node {
    /// A packet from a learner. One that breaks the rules costs the learner its connection.
    pub(crate) fn leader_packet(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) {
        let now = self.now;
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return out.close(link);
        };
        let Some(learner) = leader.learners.get_mut(&link) else {
            return out.close(link);
        };
        learner.heard = now;
        let (sid, stage) = (learner.sid, learner.stage);
        let outcome = match stage {
            Stage::Connected => self.learner_informs(link, packet, out),
            Stage::Asked => self.learner_promises(link, packet, out),
            Stage::Synchronizing(_) => self.learner_synchronized(link, packet, out),
            Stage::Informed | Stage::Promised(_) => {
                Err(format!("{:?} while it was to wait", packet.kind))
            }
            Stage::Synchronized | Stage::Serving => self.learner_asks(link, packet, out),
        };
        if let Err(why) = outcome {
            tracing::warn!(%sid, ?stage, why, "closing the connection of a learner");
            self.learner_lost(link);
            out.close(link);
        }
    }

    /// The connection of a learner is no more.
    pub(crate) fn learner_lost(&mut self, link: ConnId) {
        let Some(QuorumPeer { role: Role::Leading(leader), .. }) = self.peer.as_deref_mut() else {
            return;
        };
        if leader.learners.remove(&link).is_some() {
            self.sessions.disown(link);
        }
    }

    fn learner_asks(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        match packet.kind {
            Kind::Ack => self.learner_acks(link, packet, out),
            Kind::Ping => self.learner_pings(link, packet, out),
            Kind::Revalidate => self.learner_moves_session(link, packet, out),
            Kind::Request => self.learner_requests(link, packet, out),
            other => Err(format!("{other:?} is none of a learner's")),
        }
    }

    /// A client has come back to the ensemble through a learner.
    fn learner_moves_session(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let now = self.now;
        let data = packet.data.unwrap_or_default();
        let asked: SessionInfo = Decoder::new(data).read().map_err(|error| error.to_string())?;
        let slot = self.sessions.find(asked.session);
        let timeout = u64::try_from(asked.timeout_ms).map(Duration::from_millis).ok();
        let session = slot.and_then(|slot| self.sessions.get_mut(slot));
        let mut is_valid = false;
        let mut before = None;
        // One of the leader's own is known to nobody else, and stays so.
        if let Some(session) = session.filter(|session| !session.closing && !session.is_local()) {
            is_valid = true;
            session.timeout = timeout.unwrap_or(session.timeout);
            session.owner = Some(link);
            before = session.conn.take();
        }
        if let Some(slot) = slot.filter(|_| is_valid) {
            self.sessions.touch(now, slot);
        }
        if let Some(conn) = before {
            self.close(conn, out);
        }
        let verdict = SessionVerdict { session: asked.session, is_valid };
        out.packet(link, |out| put_record(Kind::Revalidate, Zxid(-1), &verdict, out));
        Ok(())
    }

    fn learner_requests(
        &mut self,
        link: ConnId,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let now = self.now;
        let request = Forwarded::read(packet).map_err(|error| error.to_string())?;
        let Forwarded { info, body, authinfo } = &request;
        let session = info.session;
        let Ok(op) = OpCode::try_from(info.op) else {
            return Err(format!("{} is no operation", info.op));
        };
        match op {
            OpCode::Sync => {
                self.sync_later(SyncFrom::Learner(link), out);
                return Ok(());
            }
            OpCode::CreateSession => {
                let timeout_ms: i32 =
                    Decoder::new(body).read().map_err(|error| error.to_string())?;
                let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
                if self.sessions.find(session).is_none() {
                    self.sessions.track(now, session, timeout, None);
                }
                self.sessions.own(session, link);
                self.put_in_order(None, op, info.cxid, session, out, |_, _| {
                    Change::CreateSession(timeout)
                });
                return Ok(());
            }
            OpCode::CloseSession => {
                self.close_session_for(session, info.cxid, out);
                return Ok(());
            }
            _ => {}
        }
        let is_binding = wants_ephemeral(op, Decoder::new(body));
        if let Err(error) = self.check_owner(session, link, is_binding) {
            self.put_in_order(None, op, info.cxid, session, out, |_, _| Change::Error(error));
            return Ok(());
        }
        let identities = authinfo.iter().map(|(scheme, id)| Identity::new(scheme, id));
        let identities: Arc<[Identity]> = identities.collect();
        self.put_in_order(None, op, info.cxid, session, out, |node, zxid| {
            node.decide(session, zxid, &identities, op, Decoder::new(body))
        });
        Ok(())
    }

    /// Whether a session may write through a learner: not if it has ended, or has moved on. One
    /// that is not known here may be the learner's own, unless it `binds` a node to itself.
    fn check_owner(
        &mut self,
        session: SessionId,
        link: ConnId,
        binds: bool,
    ) -> Result<(), ErrorCode> {
        let Some(slot) = self.sessions.find(session) else {
            let is_ours = session.0.cast_unsigned() >> 56 == u64::from(self.settings.server_id);
            let is_possible = self.begins_locally() && !binds && !is_ours;
            return if is_possible { Ok(()) } else { Err(ErrorCode::SessionExpired) };
        };
        let session = self.sessions.get_mut(slot).ok_or(ErrorCode::SessionExpired)?;
        if session.closing || session.is_local() {
            return Err(ErrorCode::SessionExpired);
        }
        let is_elsewhere = session.conn.is_some() || session.owner.is_some_and(|own| own != link);
        if is_elsewhere {
            return Err(ErrorCode::SessionMoved);
        }
        session.owner = Some(link);
        Ok(())
    }
}
