//! Does what this server has prepared itself, and answers whoever has asked for it.

use znode::proto::{SessionId, Zxid};

use super::apply::{Applier, Delivery, Outcome, header_error, put_body, put_failed};
use super::txn::{Change, Txn};
use crate::node::Node;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::session::Standing;

impl Node {
    /// What applies the transaction with this number and time.
    pub(crate) fn applier<'a>(
        &'a mut self,
        zxid: Zxid,
        time_ms: i64,
        out: &'a mut Outbox,
    ) -> Applier<'a> {
        Applier {
            tree: &mut self.tree,
            delivery: Delivery {
                watches: &mut self.watches,
                connections: &self.connections,
                schemes: &self.schemes,
                told: &mut self.told,
                out,
            },
            zxid,
            time_ms,
        }
    }

    /// Applies a transaction, then answers it: whatever it triggers goes out before its reply.
    pub(crate) fn apply(&mut self, txn: Txn, to: Option<ReplyTo>, out: &mut Outbox) {
        let (zxid, session, foretold) = (txn.zxid, txn.session, txn.digest);
        let error = header_error(&txn);
        let mut opens = false;
        self.last_processed = zxid;
        self.applied_count += 1;
        let mut results = std::mem::take(&mut self.results);
        results.clear();
        let mut applier = self.applier(zxid, txn.time_ms, out);
        let outcome = match txn.change {
            Change::Multi(changes) => {
                applier.apply_multi(changes, &mut results);
                None
            }
            Change::FailedMulti(errors) => {
                put_failed(&errors, &mut results);
                None
            }
            Change::CreateSession(_) => {
                opens = true;
                None
            }
            Change::Error(_) => None,
            change => Some(applier.apply(change)),
        };
        self.outstanding.applied(&mut self.tree.acls, zxid);
        self.digest_applied(zxid, foretold);
        if opens {
            self.session_opened(session, to, out);
        } else if let Some(to) = to {
            out.reply_with(to, zxid, error, |body| match outcome {
                Some(outcome) => put_body(&self.tree, outcome, body),
                None => body.extend_from_slice(&results),
            });
        }
        self.results = results;
        if let Some(Outcome::SessionClosed) = outcome {
            self.session_closed(session, to, out);
        }
    }

    fn session_opened(&mut self, session: SessionId, to: Option<ReplyTo>, out: &mut Outbox) {
        let Some(slot) = self.sessions.find(session) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(slot) {
            session.standing = Standing::Opened;
        }
        if let Some(to) = to {
            self.send_connect_response(to.conn, Some(slot), out);
        }
    }

    /// The client of an expired session is not told: its connection just closes.
    pub(crate) fn session_closed(
        &mut self,
        session: SessionId,
        to: Option<ReplyTo>,
        out: &mut Outbox,
    ) {
        let conn = self.sessions.remove(session).and_then(|session| session.conn);
        for conn in [conn, to.map(|to| to.conn)].into_iter().flatten() {
            self.close(conn, out);
        }
    }
}
