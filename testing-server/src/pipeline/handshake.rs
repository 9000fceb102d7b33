//! Turns a connection into a session: a new one, or one that its client resumes.

use std::time::Duration;

use znode::Moment;
use znode::proto::{ConnectRequest, ConnectResponse, Decoder, JutePut, OpCode, SessionId, Xid};

use crate::node::Node;
use crate::node::connection::Phase;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::pipeline::gate::{Waiting, Work};
use crate::pipeline::txn::{Change, Txn};
use crate::session::SessionSlot;
use crate::session::identity::{PASSWORD_LEN, admits, password};

impl Node {
    /// The first frame of a connection.
    pub(super) fn handshake(&mut self, now: Moment, conn: ConnId, bytes: &[u8], out: &mut Outbox) {
        let Ok(request) = Decoder::new(bytes).read::<ConnectRequest<'_>>() else {
            return self.close(conn, out);
        };
        // Only whoever has said that it will do is let in where nothing can be written.
        let is_content = self.is_read_only() && request.read_only == Some(true);
        if !self.is_serving() && !is_content {
            return self.close(conn, out);
        }
        // The client has seen a newer state than this server has: it must go to another.
        if request.last_zxid_seen > self.last_processed {
            return self.close(conn, out);
        }
        self.stats.handshakes += 1;
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.sent_read_only = request.read_only.is_some();
        }
        let timeout = self.negotiate(request.timeout_ms);
        if request.session_id == SessionId::NONE && self.begins_locally() {
            self.open_local(now, conn, timeout, out);
        } else if request.session_id == SessionId::NONE {
            self.open_session(now, conn, timeout, out);
        } else {
            self.resume_session(now, conn, timeout, &request, out);
        }
        self.forget_handshakes();
    }

    fn negotiate(&self, asked_ms: i32) -> Duration {
        let asked = Duration::from_millis(u64::try_from(asked_ms).unwrap_or(0));
        let Self { settings, .. } = self;
        asked.max(settings.rules.session_timeout_min).min(settings.rules.session_timeout_max)
    }

    /// The session exists as soon as its transaction is prepared, so that what the client sends
    /// behind its handshake waits in line instead of being dropped.
    fn open_session(&mut self, now: Moment, conn: ConnId, timeout: Duration, out: &mut Outbox) {
        let session = self.session_ids.next();
        let slot = self.sessions.track(now, session, timeout, Some(conn));
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.phase = Phase::Open(slot);
        }
        if self.is_learning() {
            let to = Some(ReplyTo { conn, xid: Xid(0) });
            let (op, since) = (OpCode::CreateSession, self.now);
            self.wait(Waiting { to, op, since, large: 0, work: Work::Commit });
            return self.forward_session(session, timeout, out);
        }
        let to = Some(ReplyTo { conn, xid: Xid(0) });
        self.put_in_order(to, OpCode::CreateSession, Xid(0), session, out, |_, _| {
            Change::CreateSession(timeout)
        });
    }

    fn resume_session(
        &mut self,
        now: Moment,
        conn: ConnId,
        timeout: Duration,
        request: &ConnectRequest<'_>,
        out: &mut Outbox,
    ) {
        let here = self.sessions.find(request.session_id).filter(|slot| self.is_local(*slot));
        if self.is_read_only() && here.is_none() {
            // It may live elsewhere, which nobody can say now.
            return self.close(conn, out);
        }
        let is_admitted = admits(request.session_id, request.password);
        if self.is_learning() && is_admitted && here.is_none() {
            if let Some(connection) = self.connections.get_mut(conn) {
                connection.phase = Phase::Moving;
            }
            return self.move_session(conn, request.session_id, timeout, out);
        }
        let known = is_admitted
            .then(|| self.sessions.find(request.session_id))
            .flatten()
            .filter(|slot| self.sessions.get(*slot).is_some_and(|session| !session.closing));
        let Some(slot) = known else {
            self.send_connect_response(conn, None, out);
            return self.close(conn, out);
        };
        if let Some(session) = self.sessions.get_mut(slot) {
            session.timeout = timeout;
            session.owner = None;
            // Closed only now that the password is known to be right; Apache closes it before,
            // so that anybody who has heard of a session id can cut its client off.
            if let Some(before) = session.conn.replace(conn) {
                self.close(before, out);
            }
        }
        self.stats.revalidated += 1;
        self.sessions.touch(now, slot);
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.phase = Phase::Open(slot);
        }
        self.send_connect_response(conn, Some(slot), out);
    }

    /// Answers a handshake; without a session, with zeros.
    pub(crate) fn send_connect_response(
        &self,
        conn: ConnId,
        slot: Option<SessionSlot>,
        out: &mut Outbox,
    ) {
        let Some(connection) = self.connections.get(conn) else {
            return;
        };
        let session = slot.and_then(|slot| self.sessions.get(slot));
        let (session_id, timeout, password) = match session {
            Some(session) => (session.id, session.timeout, password(session.id)),
            None => (SessionId::NONE, Duration::ZERO, [0; PASSWORD_LEN]),
        };
        out.frame(conn, |buffer| {
            buffer.put(&ConnectResponse {
                protocol_version: 0,
                timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
                session_id,
                password: Some(&password),
                // Left out where the request had none: such a client would not expect it.
                read_only: connection.sent_read_only.then_some(self.is_read_only()),
            });
        });
    }

    /// Whether this server can end a session, or knows who can.
    pub(crate) fn can_expire(&self, session: SessionId) -> bool {
        let slot = self.sessions.find(session);
        slot.is_some_and(|slot| {
            self.is_local(slot) || self.is_deciding() || (self.is_learning() && self.is_serving())
        })
    }

    /// Ends a session as its tracker does: with a transaction that nobody asked for. Only a leader
    /// can; a server that learns from one passes that on, as if its client had asked.
    pub(crate) fn expire(&mut self, session: SessionId, out: &mut Outbox) {
        let Some(slot) = self.sessions.find(session) else {
            return;
        };
        if self.is_local(slot) {
            self.session_closed(session, None, out);
        } else if self.is_deciding() {
            self.close_session(slot, None, Xid(0), out);
        } else if self.is_learning() {
            self.forward(session, Xid(0), OpCode::CloseSession, &[], &[], out);
        }
    }

    /// Ends a session whose client has asked another server to. If its end is decided already, that
    /// is what the client waits for.
    pub(crate) fn close_session_for(&mut self, session: SessionId, cxid: Xid, out: &mut Outbox) {
        let slot = self.sessions.find(session).filter(|slot| !self.is_local(*slot));
        if let Some(slot) = slot {
            self.close_session(slot, None, cxid, out);
        }
    }

    /// Queues the end of a session; its transaction deletes the ephemeral nodes, or those that are
    /// left of too many.
    pub(super) fn close_session(
        &mut self,
        slot: SessionSlot,
        to: Option<ReplyTo>,
        cxid: Xid,
        out: &mut Outbox,
    ) {
        let Some(session) = self.sessions.get_mut(slot).filter(|session| !session.closing) else {
            return;
        };
        session.closing = true;
        let session = session.id;
        while self.orders_writes() {
            let zxid = self.next_zxid();
            let Some(change) = self.preparer(session, zxid, &[]).shorten_close() else {
                self.take_back_zxid();
                break;
            };
            // In nobody's name, or a server might take it for what the client waits for.
            let (time_ms, session) = (self.wall_ms(self.now), SessionId::NONE);
            let txn = Txn { zxid, time_ms, session, change, digest: None };
            self.append(None, OpCode::Multi, Xid(0), txn, out);
        }
        self.put_in_order(to, OpCode::CloseSession, cxid, session, out, |node, zxid| {
            node.preparer(session, zxid, &[]).close_session()
        });
    }
}
