//! What a server turns out not to know, and what is asked of it instead.
//!
//! No server is ever asked for its version: one that does not know an operation answers
//! `Unimplemented`, and then closes the connection. So the connection counts as lost, and what was
//! refused goes first on the next one, in its older form; nothing overtakes it.

use super::machine::Session;
use super::output::{Answer, Notice, Outbox, Output};
use super::pending::Sent;
use crate::moment::Moment;
use crate::proto::replies::{Create2Reply, PathReply};
use crate::proto::requests::CreateRequest;
use crate::proto::{Decoder, ErrorCode, JutePut, OpCode, SessionId, Stat, Version, Zxid};

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
            (OpCode::SetWatches2, ErrorCode::Unimplemented) => {
                self.give_up_persistent_watches(out);
                self.out_of_order(now, out);
                None
            }
            _ => Some(sent),
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
    let is_ephemeral = asked.flags & 1 == 1;
    let data_length = i32::try_from(asked.data.unwrap_or_default().len());
    let stat = Stat {
        ephemeral_owner: if is_ephemeral { session } else { SessionId::NONE },
        data_length: data_length.expect("a request is bounded by the frame limit"),
        ..created_by(answer.zxid)
    };
    let mut body = Vec::new();
    body.put(&Create2Reply { path, stat });
    Answer { body: body.into(), ..answer }
}

fn created_by(zxid: Zxid) -> Stat {
    let zero = Version(0);
    Stat { czxid: zxid, mzxid: zxid, pzxid: zxid, version: zero, aversion: zero, ..Stat::default() }
}
