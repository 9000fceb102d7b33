//! What a server turns out not to know, and what is asked of it instead.
//!
//! No server is ever asked for its version: one that does not know an operation answers
//! `Unimplemented`, and then closes the connection. So the connection counts as lost, and what was
//! refused goes first on the next one, in its older form; nothing overtakes it.

use std::borrow::Cow;

use super::machine::Session;
use super::older_multi::{self, MultiCreate2};
use super::output::{Answer, Notice, Outbox, Output};
use super::pending::Sent;
use crate::moment::Moment;
use crate::proto::replies::{Create2Reply, PathReply};
use crate::proto::requests::CreateRequest;
use crate::proto::{Decoder, ErrorCode, JutePut, OpCode, SessionId, Stat, Version, Zxid};

/// How often a server may close a connection upon `setWatches2` before it is tried without.
const UNANSWERED_CLOSES_MAX: u32 = 2;

/// What the answers to this session have shown of `create2`, which servers before 3.5 lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Create2 {
    /// Not asked for yet, or not answered: the record of each request is kept.
    Untried,
    Known,
    /// `create` is sent instead. Its records are equal; the `Stat` of its answers is ours.
    Missing,
}

impl Create2 {
    /// The operation to send, and whether its record is needed until the answer.
    pub(super) fn applied(self, op: OpCode) -> (OpCode, bool) {
        match (op, self) {
            (OpCode::Create2, Self::Missing) => (OpCode::Create, true),
            (OpCode::Create2, Self::Untried) => (OpCode::Create2, true),
            _ => (op, false),
        }
    }
}

impl<R> Session<R> {
    /// Looks at an answer before anybody else does. Returns the request, unless it is asked again
    /// in another form.
    pub(super) fn learn(
        &mut self,
        now: Moment,
        sent: Sent<R>,
        code: ErrorCode,
        out: &mut Outbox<R>,
    ) -> Option<Sent<R>> {
        match (sent.op, code) {
            (OpCode::Create2, ErrorCode::Unimplemented) => {
                let Some(body) = sent.body else {
                    return Some(sent);
                };
                self.create2 = Create2::Missing;
                self.out_of_order(now, out);
                if self.ending().is_none() {
                    self.outgoing.push_first(OpCode::Create2, body, sent.watch, sent.reply);
                    return None;
                }
                Some(Sent { body: None, ..sent })
            }
            (OpCode::Create2, _) => {
                self.create2 = Create2::Known;
                Some(sent)
            }
            (OpCode::Multi, ErrorCode::MarshallingError) => self.multi_unread(now, sent, out),
            (OpCode::SetWatches2, ErrorCode::Unimplemented) => {
                self.give_up_persistent_watches(out);
                self.out_of_order(now, out);
                None
            }
            (OpCode::SetWatches2, _) => {
                self.unanswered_closes = 0;
                Some(sent)
            }
            _ => Some(sent),
        }
    }

    /// A server could not read a transaction: perhaps for its age, and then in its older form it
    /// can. That one goes first; what was asked for behind it may have been done already, so that
    /// nobody may be told that it was not.
    fn multi_unread(&mut self, now: Moment, sent: Sent<R>, out: &mut Outbox<R>) -> Option<Sent<R>> {
        if self.multi_create2 == MultiCreate2::Trying {
            self.multi_create2 = MultiCreate2::Known;
            return Some(sent);
        }
        let has_older = |body: &[u8]| older_multi::older(body).is_some();
        let is_new = self.multi_create2 == MultiCreate2::Untried && self.ending().is_none();
        match sent.body {
            Some(body) if is_new && has_older(&body) => {
                self.multi_create2 = MultiCreate2::Trying;
                if !self.pending.is_empty() {
                    self.out_of_order(now, out);
                }
                if self.ending().is_none() {
                    self.outgoing.push_first(OpCode::Multi, body, sent.watch, sent.reply);
                    return None;
                }
                Some(Sent { body: None, ..sent })
            }
            body => Some(Sent { body, ..sent }),
        }
    }

    /// The record to send of a transaction, and whether it is needed until the answer.
    pub(super) fn applied_multi<'a>(&self, body: &'a [u8]) -> (Cow<'a, [u8]>, bool) {
        let is_old = self.create2 == Create2::Missing;
        match self.multi_create2 {
            MultiCreate2::Known if !is_old => (Cow::Borrowed(body), false),
            MultiCreate2::Untried if !is_old => {
                (Cow::Borrowed(body), older_multi::older(body).is_some())
            }
            _ => match older_multi::older(body) {
                Some(older) => (Cow::Owned(older.into()), true),
                None => (Cow::Borrowed(body), false),
            },
        }
    }

    /// An answer to a transaction whose record was kept, with metadata; it tells what the server
    /// knows.
    pub(super) fn multi_answered(&mut self, request: &[u8], answer: Answer) -> Answer {
        let is_ok = answer.code == ErrorCode::Ok;
        let (answer, tells) = older_multi::with_stats(request, answer, self.identity.session_id);
        match self.multi_create2 {
            _ if tells => self.multi_create2 = MultiCreate2::Known,
            MultiCreate2::Trying if is_ok => self.multi_create2 = MultiCreate2::Missing,
            _ => {}
        }
        answer
    }

    /// A connection has been closed by the server. One that closes without a word when it is told
    /// of persistent watches may not know them; after the second time it is tried without.
    pub(super) fn closed_by_server(&mut self) {
        if self.trying_without {
            self.trying_without = false;
            self.unanswered_closes = 1;
        } else if self.pending.front_op() == Some(OpCode::SetWatches2) {
            self.unanswered_closes += 1;
        }
    }

    /// Whether persistent watches are left out for once.
    pub(super) fn try_without_persistent(&mut self) -> bool {
        self.trying_without = self.unanswered_closes >= UNANSWERED_CLOSES_MAX
            && self.watches.persistent().next().is_some();
        self.trying_without
    }

    /// The server has answered something. If persistent watches were left out, that was it.
    pub(super) fn heard_without_persistent(&mut self, out: &mut Outbox<R>) {
        if std::mem::take(&mut self.trying_without) {
            self.unanswered_closes = 0;
            self.give_up_persistent_watches(out);
        }
    }

    /// The session has moved to a server that knows no persistent watches. They end, and say so;
    /// the one-shot watches of the same request are restored on the next connection.
    fn give_up_persistent_watches(&mut self, out: &mut Outbox<R>) {
        for watcher in self.watches.take_persistent() {
            out.push(Output::Notify(watcher, Notice::Unsupported));
        }
    }
}

/// The answer to a `create`, as `create2` would have given it.
///
/// The `Stat` of a node that was just made is known but for its two times, which stay 0: its
/// transaction is that of the answer, and nobody has written to it since.
pub(super) fn with_stat(request: &[u8], answer: Answer, session: SessionId) -> Answer {
    let created: Result<PathReply<'_>, _> = Decoder::new(&answer.body).read();
    let asked: Result<CreateRequest<'_>, _> = Decoder::new(request).read();
    let (ErrorCode::Ok, Ok(PathReply { path }), Ok(asked)) = (answer.code, created, asked) else {
        return answer;
    };
    let stat = stat_of_created(&asked, answer.zxid, session);
    let mut body = Vec::new();
    body.put(&Create2Reply { path, stat });
    Answer { body: body.into(), ..answer }
}

/// The metadata of a node that was just made, but for its times.
pub(super) fn stat_of_created(asked: &CreateRequest<'_>, zxid: Zxid, session: SessionId) -> Stat {
    let is_ephemeral = asked.flags & 1 == 1;
    let data_length = i32::try_from(asked.data.unwrap_or_default().len());
    Stat {
        ephemeral_owner: if is_ephemeral { session } else { SessionId::NONE },
        data_length: data_length.expect("a request is bounded by the frame limit"),
        ..created_by(zxid)
    }
}

fn created_by(zxid: Zxid) -> Stat {
    let zero = Version(0);
    Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, version: zero, aversion: zero, ..Stat::default() }
}
