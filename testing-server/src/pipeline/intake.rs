//! Reads a request and sends it on its way.

use std::sync::Arc;

use znode::Moment;
use znode::proto::requests::{
    AuthRequest, CreateRequest, CreateTtlRequest, DeleteRequest, ReconfigRequest, SetAclRequest,
    SetDataRequest,
};
use znode::proto::{
    DecodeError, Decoder, ErrorCode, JutePut, OpCode, RequestHeader, SessionId, Zxid,
};

use super::gate::{Waiting, Work};
use super::prepare::{Fault, read_multi};
use super::txn::{Change, Txn};
use crate::auth::Identity;
use crate::node::Node;
use crate::node::connection::Phase;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::session::SessionSlot;

/// Why a write makes no ordinary transaction.
enum Unprepared {
    /// The record cannot be read. Apache takes no zxid for it.
    Unreadable,
    /// It was refused, and has taken its zxid.
    Refused(ErrorCode),
}

impl From<DecodeError> for Unprepared {
    fn from(error: DecodeError) -> Self {
        match error {
            // Apache reads a null without complaint, takes a zxid, and then stumbles.
            DecodeError::UnexpectedNull(_) => Self::Refused(ErrorCode::MarshallingError),
            _ => Self::Unreadable,
        }
    }
}

impl From<ErrorCode> for Unprepared {
    fn from(error: ErrorCode) -> Self {
        Self::Refused(error)
    }
}

impl Node {
    /// Takes in one frame.
    pub(crate) fn intake(&mut self, now: Moment, conn: ConnId, bytes: &[u8], out: &mut Outbox) {
        self.stats.received += 1;
        self.stats.bytes_received += bytes.len() as u64;
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        connection.stats.received += 1;
        match connection.phase {
            Phase::Handshake => self.handshake(now, conn, bytes, out),
            Phase::Open(slot) => self.request(now, conn, slot, bytes, out),
            Phase::Closing(_) => {}
        }
    }

    fn request(
        &mut self,
        now: Moment,
        conn: ConnId,
        slot: SessionSlot,
        bytes: &[u8],
        out: &mut Outbox,
    ) {
        let mut from = Decoder::new(bytes);
        let Ok(header) = from.read::<RequestHeader>() else {
            return self.close(conn, out);
        };
        let to = ReplyTo { conn, xid: header.xid };
        let op = OpCode::try_from(header.op).ok();
        match op {
            Some(OpCode::Auth) => return self.auth(to, from, out),
            Some(OpCode::Sasl) => return sasl(to, out),
            _ => {}
        }
        if !self.admit(bytes.len()) {
            return self.close(conn, out);
        }
        // The session has ended, or its end is decided: dropped without an answer.
        if !self.sessions.touch(now, slot) {
            return;
        }
        match op {
            Some(OpCode::CloseSession) => {
                self.stop_reading(conn);
                self.close_session(now, slot, Some(to), out);
            }
            Some(op) if is_write(op) => self.write(now, to, slot, op, from, out),
            Some(op) if is_read(op) => self.read_in_turn(to, op, from.rest(), out),
            // Among these `check` outside a multi, and the internal operations: a client that
            // could send deleteContainer would delete what it may not (Apache lets it).
            _ => {
                self.stop_reading(conn);
                self.in_turn(to, OpCode::Error, Work::Unimplemented, out);
            }
        }
    }

    /// Whether a request of this length may be taken in: large ones must not pile up.
    fn admit(&mut self, len: usize) -> bool {
        let threshold = self.settings.large_request_threshold.unwrap_or(usize::MAX);
        self.large_request = if len > threshold { len } else { 0 };
        if self.large_request == 0 {
            return true;
        }
        let fits = self.large_bytes + len <= self.settings.large_request_bytes_max;
        self.stats.large += u64::from(!fits);
        fits
    }

    /// `auth` is no request of the session: it is answered at once, and holds for what comes after.
    fn auth(&mut self, to: ReplyTo, mut from: Decoder<'_>, out: &mut Outbox) {
        let Ok(request) = from.read::<AuthRequest<'_>>() else {
            return self.close(to.conn, out);
        };
        let Some(connection) = self.connections.get_mut(to.conn) else {
            return;
        };
        let proved = self
            .schemes
            .find(&request.scheme)
            .and_then(|scheme| scheme.authenticate(connection.peer.ip(), request.auth));
        let Some(proved) = proved else {
            self.stats.auth_failed += 1;
            out.reply(to, Zxid::ZERO, ErrorCode::AuthFailed);
            return self.close(to.conn, out);
        };
        let known = connection.identities.to_vec();
        let fresh = proved.into_iter().filter(|identity| !known.contains(identity));
        let identities: Arc<[Identity]> = known.iter().cloned().chain(fresh).collect();
        connection.identities = identities;
        out.reply(to, Zxid::ZERO, ErrorCode::Ok);
    }

    fn write(
        &mut self,
        now: Moment,
        to: ReplyTo,
        slot: SessionSlot,
        op: OpCode,
        from: Decoder<'_>,
        out: &mut Outbox,
    ) {
        let (Some(connection), Some(session)) =
            (self.connections.get(to.conn), self.sessions.get(slot))
        else {
            return;
        };
        let (identities, session) = (Arc::clone(&connection.identities), session.id);
        let zxid = self.next_zxid();
        let change = match self.prepare(session, zxid, &identities, op, from) {
            Ok(change) => change,
            Err(Unprepared::Refused(error)) => Change::Error(error),
            Err(Unprepared::Unreadable) => {
                self.take_back_zxid();
                let work = Work::Refuse(ErrorCode::MarshallingError);
                return self.in_turn(to, op, work, out);
            }
        };
        let txn = Txn { zxid, time_ms: self.wall_ms(now), session, change, digest: None };
        self.append(Some(to), op, txn, out);
    }

    fn prepare(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        identities: &[Identity],
        op: OpCode,
        mut from: Decoder<'_>,
    ) -> Result<Change, Unprepared> {
        let mut preparer = self.preparer(session, zxid, identities);
        let change = match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                preparer.create(op, &from.read::<CreateRequest<'_>>()?)
            }
            OpCode::CreateTtl => preparer.create_ttl(&from.read::<CreateTtlRequest<'_>>()?),
            OpCode::Delete => preparer.delete(&from.read::<DeleteRequest<'_>>()?),
            OpCode::SetData => preparer.set_data(&from.read::<SetDataRequest<'_>>()?),
            OpCode::SetAcl => preparer.set_acl(&from.read::<SetAclRequest<'_>>()?),
            OpCode::Multi => match read_multi(&mut from) {
                Ok(request) => preparer.multi(&request),
                Err(Fault::NullAcl) => return Err(Unprepared::Unreadable),
                Err(Fault::Nonsense) => Err(ErrorCode::MarshallingError),
            },
            OpCode::Reconfig => {
                from.read::<ReconfigRequest<'_>>()?;
                Err(ErrorCode::ReconfigDisabled)
            }
            _ => Err(ErrorCode::Unimplemented),
        };
        Ok(change?)
    }

    /// Answers a read at once if nothing is before it, else in its turn.
    fn read_in_turn(&mut self, to: ReplyTo, op: OpCode, body: &[u8], out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(to.conn) else {
            return;
        };
        let identities = Arc::clone(&connection.identities);
        if self.gate.is_open() {
            // Counted here and not in `answered`, which would have to look up the connection.
            connection.stats.answered(op, to.xid, self.last_processed, self.now);
            connection.stats.latency.note_none();
            self.stats.reads.note_none();
            return self.read(to, op, body, &identities, out);
        }
        let work = Work::Read { body: body.into(), identities };
        self.wait(Waiting { to: Some(to), op, since: self.now, large: 0, work });
    }

    /// Does what needs no disk: at once if nothing is before it, else in its turn.
    fn in_turn(&mut self, to: ReplyTo, op: OpCode, work: Work, out: &mut Outbox) {
        let waiting = Waiting { to: Some(to), op, since: self.now, large: 0, work };
        if self.gate.is_open() {
            self.perform(waiting, out);
        } else {
            self.wait(waiting);
        }
    }
}

/// A server without a login module answers as Apache does: no error, no token.
fn sasl(to: ReplyTo, out: &mut Outbox) {
    out.reply_with(to, Zxid::ZERO, ErrorCode::Ok, |body| body.put_buffer(None));
}

fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
    )
}

fn is_read(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::Sync
            | OpCode::Ping
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::MultiRead
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::AddWatch
            | OpCode::WhoAmI
    )
}
