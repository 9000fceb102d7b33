//! Applies what is decided, in order, and lets go of whoever has waited for it.

use znode::proto::{ErrorCode, OpCode, SessionId, Xid};

use super::planted::Bug;
use super::{Prepared, QuorumPeer, Role};
use crate::log::record::{Body, Logged};
use crate::node::Node;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::pipeline::apply::{Outcome, put_body};
use crate::pipeline::gate::Work;
use crate::zab::history::Entry;

impl Node {
    /// Applies everything that is decided and on the disk.
    pub(crate) fn apply_ready(&mut self, out: &mut Outbox) {
        loop {
            let Some(peer) = self.peer.as_deref_mut() else { return };
            let QuorumPeer { history, prepared, planted, role, .. } = peer;
            let Some(entry) = history.take_ready() else { break };
            if planted.is(Bug::HoleInHistory)
                && matches!(role, Role::Learning(_))
                && entry.zxid.0 % 8 == 0
            {
                history.forget_last();
            }
            match prepared.pop_front_if_zxid(entry.zxid) {
                Some(prepared) => self.apply_prepared(prepared, out),
                None => self.apply_logged(&entry, out),
            }
        }
        self.complete_syncs(out);
    }

    /// What this server prepared itself needs not be read again.
    fn apply_prepared(&mut self, prepared: Prepared, out: &mut Outbox) {
        let Prepared { to, op, since, txn } = prepared;
        let to = to.filter(|to| self.connections.get(to.conn).is_some());
        self.apply(txn, to, out);
        if let Some(to) = to {
            self.answered(to, op, since);
            self.line_moves(to.conn, out);
        }
    }

    /// Applies a transaction as it stands in the log.
    fn apply_logged(&mut self, entry: &Entry, out: &mut Outbox) {
        let logged = match Logged::read(&entry.bytes) {
            Ok(logged) => logged,
            Err(error) => {
                let zxid = entry.zxid;
                return out.halt(format!("transaction {zxid} is decided and unreadable: {error}"));
            }
        };
        let header = logged.header;
        self.last_processed = entry.zxid;
        self.applied_count += 1;
        let to = self.waiting(header.session, header.cxid);
        match &logged.body {
            Body::CreateSession(timeout_ms) => {
                self.session_was_opened(header.session, *timeout_ms);
                // A client that has come here with its session before the session's beginning did
                // was answered by then, and must not be answered twice.
                let begins = |to: &ReplyTo| {
                    let first = self.lines.front(to.conn);
                    first.is_some_and(|first| first.op == OpCode::CreateSession)
                };
                let slot = self.sessions.find(header.session);
                let conn = to.filter(begins).map(|to| to.conn);
                if let (Some(slot), Some(conn)) = (slot, conn) {
                    self.sessions.touch(self.now, slot);
                    self.send_connect_response(conn, Some(slot), out);
                    self.line_moves(conn, out);
                }
                self.learner_touches(header.session);
            }
            Body::CloseSession(paths) => {
                let left = self.tree.ephemerals().of(header.session);
                let left: Vec<Box<[u8]>> =
                    left.map(|id| self.tree.at(id).image.path().into()).collect();
                let paths = paths.iter().map(|path| Box::from(*path));
                let paths: Vec<Box<[u8]>> = paths.chain(left).collect();
                self.applier(entry.zxid, header.time_ms, out).close_session(&paths);
                if let Some(to) = to {
                    out.reply(to, entry.zxid, ErrorCode::Ok);
                }
                self.session_closed(header.session, to, out);
            }
            body => {
                let mut results = std::mem::take(&mut self.results);
                results.clear();
                let outcome =
                    self.applier(entry.zxid, header.time_ms, out).apply_body(body, &mut results);
                let outcome = outcome.map(|outcome| outcome.of_kind(header.kind));
                let error = outcome.map_or(ErrorCode::Ok, Outcome::error);
                if let Some(to) = to
                    && error == ErrorCode::SessionMoved
                {
                    // Its client has gone to another server; here it is told nothing.
                    self.close(to.conn, out);
                } else if let Some(to) = to {
                    out.reply_with(to, entry.zxid, error, |body| match outcome {
                        Some(outcome) => put_body(&self.tree, outcome, body),
                        None => body.extend_from_slice(&results),
                    });
                    let op = OpCode::try_from(header.kind).unwrap_or(OpCode::Error);
                    let since = self.lines.front(to.conn).map_or(self.now, |first| first.since);
                    self.answered(to, op, since);
                    self.line_moves(to.conn, out);
                }
                self.results = results;
            }
        }
        let told = logged.digest.map(|told| told.digest.cast_unsigned());
        self.digest_applied(entry.zxid, told);
    }

    /// The client of this server that waits for a transaction.
    fn waiting(&self, session: SessionId, cxid: Xid) -> Option<ReplyTo> {
        let slot = self.sessions.find(session)?;
        let conn = self.sessions.get(slot)?.conn?;
        let first = self.lines.front(conn)?;
        first.to.filter(|to| to.xid == cxid && matches!(first.work, Work::Commit))
    }

    /// Answers what the first of a line has waited for from outside.
    pub(crate) fn complete(&mut self, to: ReplyTo, op: OpCode, out: &mut Outbox) {
        let Some(first) = self.lines.front(to.conn) else { return };
        if first.to != Some(to) {
            return;
        }
        let Work::Sync { body, identities } = &first.work else { return };
        let (body, identities) = (body.clone(), std::sync::Arc::clone(identities));
        let since = first.since;
        self.read(to, op, &body, &identities, out);
        self.answered(to, op, since);
        self.line_moves(to.conn, out);
    }

    /// The first of a line is done with: answers whatever was behind it and need not wait.
    pub(crate) fn line_moves(&mut self, conn: ConnId, out: &mut Outbox) {
        let Some(done) = self.lines.pop(conn) else { return };
        self.let_go(&done);
        while let Some(first) = self.lines.front(conn)
            && !first.work.waits_outside()
            && let Some(waiting) = self.lines.pop(conn)
        {
            self.let_go(&waiting);
            self.perform(waiting, out);
        }
    }
}

/// Takes the front of what was prepared.
trait PopZxid {
    fn pop_front_if_zxid(&mut self, zxid: znode::proto::Zxid) -> Option<Prepared>;
}

impl PopZxid for std::collections::VecDeque<Prepared> {
    fn pop_front_if_zxid(&mut self, zxid: znode::proto::Zxid) -> Option<Prepared> {
        if self.front()?.txn.zxid != zxid {
            return None;
        }
        self.pop_front()
    }
}
