//! Sessions of which only this server knows: without a transaction they begin, and end.
//!
//! In an ensemble they may be asked for, so that clients that come and go cost the others nothing;
//! and a server without a leader can have no others.

use std::time::Duration;

use znode::Moment;
use znode::proto::multi::MultiOp;
use znode::proto::requests::CreateRequest;
use znode::proto::{Decoder, ErrorCode, OpCode, Xid};

use super::intake::is_read;
use super::prepare::read_multi;
use crate::node::Node;
use crate::node::connection::Phase;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::peer::LocalSessions;
use crate::pipeline::gate::Work;
use crate::pipeline::txn::Change;
use crate::session::{Session, SessionSlot, Standing};

impl Node {
    /// Whether new sessions are no concern of other servers.
    pub(crate) fn begins_locally(&self) -> bool {
        self.is_read_only() || self.local_sessions() != LocalSessions::No
    }

    fn local_sessions(&self) -> LocalSessions {
        self.peer.as_ref().map_or(LocalSessions::No, |peer| peer.settings.local_sessions)
    }

    /// Whether a session is known here and nowhere else.
    pub(crate) fn is_local(&self, slot: SessionSlot) -> bool {
        self.sessions.get(slot).is_some_and(Session::is_local)
    }

    /// Begins a session of which nobody else is told.
    pub(super) fn open_local(
        &mut self,
        now: Moment,
        conn: ConnId,
        timeout: Duration,
        out: &mut Outbox,
    ) {
        let session = self.session_ids.next();
        let slot = self.sessions.track(now, session, timeout, Some(conn));
        if let Some(session) = self.sessions.get_mut(slot) {
            session.standing = Standing::Local;
        }
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.phase = Phase::Open(slot);
        }
        self.send_connect_response(conn, Some(slot), out);
    }

    /// Ends such a session, whose client has asked for it.
    pub(crate) fn end_local(&mut self, to: ReplyTo, out: &mut Outbox) {
        let Some(slot) = self.connections.get(to.conn).and_then(|found| found.phase.session())
        else {
            return;
        };
        let Some(session) = self.sessions.get(slot).map(|session| session.id) else { return };
        out.reply(to, self.last_processed, ErrorCode::Ok);
        self.session_closed(session, Some(to), out);
    }

    /// Whether this server says when sessions end: all of them, or those that nobody else knows.
    pub(crate) fn ends_sessions(&self) -> bool {
        self.is_deciding() || self.begins_locally()
    }

    /// Ends the sessions whose time is up, as far as that is this server's to say.
    pub(crate) fn expire_due(&mut self, now: Moment, out: &mut Outbox) {
        // With the last place of an epoch it is another server's to say.
        while self.ends_sessions()
            && let Some(session) = self.sessions.expired(now)
        {
            let is_local = self.sessions.find(session).is_some_and(|slot| self.is_local(slot));
            if is_local || self.is_deciding() {
                self.stats.expired += 1;
                self.expire(session, out);
            }
        }
    }

    /// Makes a session known to everybody before it gets an ephemeral node. False if that may not
    /// be, and the request is refused.
    pub(super) fn upgrade(
        &mut self,
        slot: SessionSlot,
        op: Option<OpCode>,
        from: &Decoder<'_>,
        out: &mut Outbox,
    ) -> bool {
        if !self.is_local(slot) || !op.is_some_and(|op| wants_ephemeral(op, from.clone())) {
            return true;
        }
        let Some(session) = self.sessions.get_mut(slot) else { return true };
        if self.peer.as_ref().map(|peer| peer.settings.local_sessions)
            != Some(LocalSessions::Upgrade)
        {
            return false;
        }
        session.standing = Standing::Asked;
        let (session, timeout) = (session.id, session.timeout);
        if self.is_learning() {
            self.forward_session(session, timeout, out);
        } else {
            let op = OpCode::CreateSession;
            self.put_in_order(None, op, Xid(0), session, out, |_, _| {
                Change::CreateSession(timeout)
            });
        }
        true
    }

    /// What a client asks a server that can only read.
    pub(super) fn request_to_read(
        &mut self,
        to: ReplyTo,
        op: Option<OpCode>,
        from: &Decoder<'_>,
        out: &mut Outbox,
    ) {
        match op {
            Some(OpCode::CloseSession) => self.close_local(to, out),
            Some(op) if op.changes_nodes() || matches!(op, OpCode::Sync | OpCode::Check) => {
                self.in_turn(to, op, Work::Refuse(ErrorCode::NotReadOnly), out);
            }
            Some(op) if is_read(op) => self.read_in_turn(to, op, from.rest(), out),
            _ => {
                self.stop_reading(to.conn);
                self.in_turn(to, OpCode::Error, Work::Unimplemented, out);
            }
        }
    }

    /// Ends such a session behind what its client has asked before.
    pub(super) fn close_local(&mut self, to: ReplyTo, out: &mut Outbox) {
        self.stop_reading(to.conn);
        self.in_turn(to, OpCode::CloseSession, Work::End, out);
    }
}

/// Whether a request would give its session an ephemeral node.
pub(crate) fn wants_ephemeral(op: OpCode, mut from: Decoder<'_>) -> bool {
    let is_ephemeral = |flags| matches!(flags, 1 | 3);
    match op {
        OpCode::Create | OpCode::Create2 => {
            from.read::<CreateRequest<'_>>().is_ok_and(|request| is_ephemeral(request.flags))
        }
        OpCode::Multi => read_multi(&mut from).is_ok_and(|multi| {
            multi.ops.iter().any(|op| match op {
                MultiOp::Create(_, request) => is_ephemeral(request.flags),
                MultiOp::CreateTtl(request) => is_ephemeral(request.flags),
                _ => false,
            })
        }),
        _ => false,
    }
}
