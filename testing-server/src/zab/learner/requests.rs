//! What clients of a learner ask for, and only the leader can give.

use std::borrow::Cow;
use std::time::Duration;

use znode::proto::{Decoder, JutePut, OpCode, SessionId, Xid, Zxid};

use super::{Moving, Phase};
use crate::auth::Identity;
use crate::node::Node;
use crate::node::connection::Phase as ConnPhase;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::peer::{QuorumPeer, Role};
use crate::zab::packet::{
    Forwarded, Kind, QuorumPacket, RequestInfo, SessionInfo, SessionVerdict, put_record,
};

impl Node {
    /// Passes a request on to the leader.
    pub(crate) fn forward(
        &mut self,
        session: SessionId,
        cxid: Xid,
        op: OpCode,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) {
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return;
        };
        let (Some(link), Phase::Serving) = (learner.link, learner.phase) else { return };
        let info = RequestInfo { session, cxid, op: op.code() };
        let told = |identity: &Identity| {
            (Cow::Owned(identity.scheme.to_string()), Cow::Owned(identity.id.to_string()))
        };
        let authinfo = identities.iter().map(told).collect();
        out.packet(link, |out| Forwarded { info, body, authinfo }.put(out));
    }

    /// Asks the leader for a session.
    pub(crate) fn forward_session(
        &mut self,
        session: SessionId,
        timeout: Duration,
        out: &mut Outbox,
    ) {
        let mut body = Vec::new();
        body.put(&i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
        self.forward(session, Xid(0), OpCode::CreateSession, &body, &[], out);
    }

    /// Asks the leader for proof that it is one.
    pub(crate) fn forward_sync(
        &mut self,
        to: ReplyTo,
        session: SessionId,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) {
        self.forward(session, to.xid, OpCode::Sync, body, identities, out);
        if let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut() {
            learner.syncs.push_back(to);
        }
    }

    /// Notes that the client of a session has been heard of.
    pub(crate) fn learner_touches(&mut self, session: SessionId) {
        if let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut() {
            learner.touched.insert(session);
        }
    }

    /// Asks the leader whether a session lives whose client has come here.
    pub(crate) fn move_session(
        &mut self,
        conn: ConnId,
        session: SessionId,
        timeout: Duration,
        out: &mut Outbox,
    ) {
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return;
        };
        let Some(link) = learner.link else { return };
        let before = learner.moving.insert(session, Moving { conn, timeout });
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let info = SessionInfo { session, timeout_ms };
        out.packet(link, |out| put_record(Kind::Revalidate, Zxid(-1), &info, out));
        if let Some(before) = before {
            self.close(before.conn, out);
        }
    }

    /// The leader's word on such a session.
    pub(super) fn session_was_judged(
        &mut self,
        packet: &QuorumPacket<'_>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let now = self.now;
        let data = packet.data.unwrap_or_default();
        let verdict: SessionVerdict =
            Decoder::new(data).read().map_err(|error| error.to_string())?;
        let session = verdict.session;
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let Some(Moving { conn, timeout }) = learner.moving.remove(&session) else {
            return Ok(());
        };
        if !verdict.is_valid {
            self.send_connect_response(conn, None, out);
            self.close(conn, out);
            return Ok(());
        }
        let slot = match self.sessions.find(session) {
            Some(slot) => slot,
            // Its beginning is decided and has not been applied here.
            None => self.sessions.track(now, session, timeout, None),
        };
        let mut before = None;
        if let Some(session) = self.sessions.get_mut(slot) {
            session.timeout = timeout;
            before = session.conn.replace(conn).filter(|before| *before != conn);
        }
        if let Some(before) = before {
            self.close(before, out);
        }
        let Some(connection) = self.connections.get_mut(conn) else {
            return Ok(());
        };
        connection.phase = ConnPhase::Open(slot);
        let held = std::mem::take(&mut connection.held);
        self.send_connect_response(conn, Some(slot), out);
        self.learner_touches(session);
        for frame in held {
            self.intake(now, conn, &frame, out);
        }
        Ok(())
    }
}
