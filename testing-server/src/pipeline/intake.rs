//! Reads a request and sends it on its way.

use std::sync::Arc;

use znode::Moment;
use znode::proto::requests::{
    CreateRequest, CreateTtlRequest, DeleteRequest, ReconfigRequest, SetAclRequest, SetDataRequest,
};
use znode::proto::{DecodeError, Decoder, ErrorCode, OpCode, RequestHeader, SessionId, Zxid};

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
            Phase::Moving if connection.held.len() < self.settings.rules.outstanding_max => {
                connection.held.push(bytes.into());
            }
            Phase::Moving | Phase::Closing(_) => {}
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
        let release = self.settings.rules.release;
        let op = OpCode::try_from(header.op).ok().filter(|op| release.knows(*op));
        if let Some(op) = op.filter(|_| !out.losses.is_empty()) {
            out.losses.note(to, op, &from);
        }
        match op {
            Some(OpCode::Auth) => return self.auth(to, from, out),
            Some(OpCode::Sasl) => return self.sasl(to, from, out),
            _ => {}
        }
        if !self.enforce(to, out) {
            return;
        }
        if !self.admit(bytes.len()) {
            return self.close(conn, out);
        }
        if self.must_hold() {
            return self.hold(conn, bytes);
        }
        self.submit(now, to, slot, op, from, out);
        self.large_request = 0;
    }

    /// Sends a request on its way that need not wait.
    pub(super) fn submit(
        &mut self,
        now: Moment,
        to: ReplyTo,
        slot: SessionSlot,
        op: Option<OpCode>,
        from: Decoder<'_>,
        out: &mut Outbox,
    ) {
        // The session has ended, or its end is decided: dropped without an answer.
        if !self.sessions.touch(now, slot) {
            return;
        }
        if self.is_read_only() {
            return self.request_to_read(to, op, &from, out);
        }
        if !self.upgrade(slot, op, &from, out) {
            let work = Work::Refuse(ErrorCode::EphemeralOnLocalSession);
            return self.in_turn(to, op.unwrap_or(OpCode::Error), work, out);
        }
        if self.is_learning() {
            return self.request_of_learner(to, slot, op, &from, out);
        }
        match op {
            Some(OpCode::CloseSession) if self.is_local(slot) => self.close_local(to, out),
            Some(OpCode::CloseSession) => {
                self.stop_reading(to.conn);
                self.close_session(slot, Some(to), to.xid, out);
            }
            Some(op) if op.changes_nodes() => self.write(now, to, slot, op, from, out),
            Some(OpCode::Sync) if self.peer.is_some() => self.sync_in_turn(to, from.rest(), out),
            Some(op) if is_read(op) => self.read_in_turn(to, op, from.rest(), out),
            // Among these `check` outside a multi, and the internal operations: a client that
            // could send deleteContainer would delete what it may not (Apache lets it).
            _ => {
                self.stop_reading(to.conn);
                self.in_turn(to, OpCode::Error, Work::Unimplemented, out);
            }
        }
    }

    /// What a client of a learner asks for: reads are answered here, the rest is passed on. What
    /// nobody could read is refused here, since a leader would not answer it.
    fn request_of_learner(
        &mut self,
        to: ReplyTo,
        slot: SessionSlot,
        op: Option<OpCode>,
        from: &Decoder<'_>,
        out: &mut Outbox,
    ) {
        let (Some(connection), Some(session)) =
            (self.connections.get(to.conn), self.sessions.get(slot))
        else {
            return;
        };
        let (identities, session) = (Arc::clone(&connection.identities), session.id);
        if !self.is_local(slot) {
            self.learner_touches(session);
        }
        let commit = Waiting {
            to: Some(to),
            op: OpCode::Sync,
            since: self.now,
            large: 0,
            work: Work::Commit,
        };
        match op {
            Some(OpCode::CloseSession) if self.is_local(slot) => self.close_local(to, out),
            Some(op @ OpCode::CloseSession) => {
                self.stop_reading(to.conn);
                self.wait(Waiting { op, ..commit });
                self.forward(session, to.xid, op, &[], &identities, out);
            }
            Some(op) if op.changes_nodes() => match readable(op, from.clone()) {
                Err(Unprepared::Unreadable) => {
                    let work = Work::Refuse(ErrorCode::MarshallingError);
                    self.in_turn(to, op, work, out);
                }
                _ => {
                    self.wait(Waiting { op, ..commit });
                    self.forward(session, to.xid, op, from.rest(), &identities, out);
                }
            },
            Some(OpCode::Sync) => {
                self.forward_sync(to, session, from.rest(), &identities, out);
                let work = Work::Sync { body: from.rest().into(), identities };
                self.wait(Waiting { work, ..commit });
            }
            Some(op) if is_read(op) => self.read_in_turn(to, op, from.rest(), out),
            _ => {
                self.stop_reading(to.conn);
                self.in_turn(to, OpCode::Error, Work::Unimplemented, out);
            }
        }
    }

    /// A `sync` of a client of the leader.
    fn sync_in_turn(&mut self, to: ReplyTo, body: &[u8], out: &mut Outbox) {
        let Some(connection) = self.connections.get(to.conn) else { return };
        let identities = Arc::clone(&connection.identities);
        let work = Work::Sync { body: body.into(), identities };
        let since = self.now;
        self.wait(Waiting { to: Some(to), op: OpCode::Sync, since, large: 0, work });
        self.sync_as_leader(to, out);
    }

    /// Decides what becomes of a write that was passed on by another server.
    pub(crate) fn decide(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        identities: &[Identity],
        op: OpCode,
        from: Decoder<'_>,
    ) -> Change {
        match self.prepare(session, zxid, identities, op, from) {
            Ok(change) => change,
            Err(Unprepared::Refused(error)) => Change::Error(error),
            Err(Unprepared::Unreadable) => Change::Error(ErrorCode::MarshallingError),
        }
    }

    /// Whether a request of this length may be taken in: large ones must not pile up.
    fn admit(&mut self, len: usize) -> bool {
        let threshold = self.settings.rules.large_request_threshold.unwrap_or(usize::MAX);
        self.large_request = if len > threshold { len } else { 0 };
        if self.large_request == 0 {
            return true;
        }
        let waiting =
            self.gate.large_bytes() + self.lines.large_bytes() + self.throttle.large_bytes();
        let fits = waiting + len <= self.settings.rules.large_request_bytes_max;
        self.stats.large += u64::from(!fits);
        fits
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
        self.append(Some(to), op, to.xid, txn, out);
    }

    fn prepare(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        identities: &[Identity],
        op: OpCode,
        mut from: Decoder<'_>,
    ) -> Result<Change, Unprepared> {
        if op == OpCode::Reconfig {
            let request = from.read::<ReconfigRequest<'_>>()?;
            return Ok(self.prepare_reconfig(session, zxid, identities, &request)?);
        }
        let release = self.settings.rules.release;
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
                Ok(request) if !request.ops.iter().all(|op| release.knows(op.op())) => {
                    Err(ErrorCode::MarshallingError)
                }
                Ok(request) => preparer.multi(&request),
                Err(Fault::NullAcl) => return Err(Unprepared::Unreadable),
                Err(Fault::Nonsense) => Err(ErrorCode::MarshallingError),
            },
            _ => Err(ErrorCode::Unimplemented),
        };
        Ok(change?)
    }

    /// Answers a read at once if nothing is before it, else in its turn.
    pub(super) fn read_in_turn(&mut self, to: ReplyTo, op: OpCode, body: &[u8], out: &mut Outbox) {
        let open = self.is_open(to.conn);
        let Some(connection) = self.connections.get_mut(to.conn) else {
            return;
        };
        let identities = Arc::clone(&connection.identities);
        if open {
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
    pub(super) fn in_turn(&mut self, to: ReplyTo, op: OpCode, work: Work, out: &mut Outbox) {
        let waiting = Waiting { to: Some(to), op, since: self.now, large: 0, work };
        if self.is_open(to.conn) {
            self.perform(waiting, out);
        } else {
            self.wait(waiting);
        }
    }
}

/// Whether the record of a write can be read.
fn readable(op: OpCode, mut from: Decoder<'_>) -> Result<(), Unprepared> {
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
            from.read::<CreateRequest<'_>>()?;
        }
        OpCode::CreateTtl => drop(from.read::<CreateTtlRequest<'_>>()?),
        OpCode::Delete => drop(from.read::<DeleteRequest<'_>>()?),
        OpCode::SetData => drop(from.read::<SetDataRequest<'_>>()?),
        OpCode::SetAcl => drop(from.read::<SetAclRequest<'_>>()?),
        OpCode::Reconfig => drop(from.read::<ReconfigRequest<'_>>()?),
        OpCode::Multi => {
            if let Err(Fault::NullAcl) = read_multi(&mut from) {
                return Err(Unprepared::Unreadable);
            }
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn is_read(op: OpCode) -> bool {
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
