//! Transactions on servers before 3.5, which cannot read one that creates with metadata.
//!
//! Such a server refuses the whole of it as unreadable, and goes on. So would a newer one refuse
//! what is really unreadable: only the answer to the older form tells which it was.

use super::fallback::stat_of_created;
use super::output::Answer;
use crate::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
use crate::proto::replies::Create2Reply;
use crate::proto::{Decoder, ErrorCode, JutePut, OpCode, SessionId};

/// What the answers to this session have shown of `create2` within a `multi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MultiCreate2 {
    /// Not asked for yet, or not answered: the record of each transaction with it is kept.
    Untried,
    /// One was refused as unreadable, and its older form has not been answered.
    Trying,
    /// It is known; or the older form was no better, and there is nothing to be gained by it.
    Known,
    /// `create` is sent instead.
    Missing,
}

/// A transaction in its older form; nothing if it is in that form already, or has none.
pub(super) fn older(body: &[u8]) -> Option<Box<[u8]>> {
    let MultiRequest { ops } = Decoder::new(body).read().ok()?;
    let has_none =
        |op: &MultiOp<'_>| matches!(op.op(), OpCode::CreateContainer | OpCode::CreateTtl);
    if ops.iter().any(has_none) || !ops.iter().any(|op| op.op() == OpCode::Create2) {
        return None;
    }
    let older = ops.into_iter().map(|op| match op {
        MultiOp::Create(_, request) => MultiOp::Create(OpCode::Create, request),
        other => other,
    });
    let mut out = Vec::with_capacity(body.len());
    out.put(&MultiRequest { ops: older.collect() });
    Some(out.into())
}

/// The answer with metadata where the server told none, made up as that of a single create is; and
/// whether the server told some.
pub(super) fn with_stats(request: &[u8], answer: Answer, session: SessionId) -> (Answer, bool) {
    let asked = Decoder::new(request).read::<MultiRequest<'_>>();
    let told = Decoder::new(&answer.body).read::<MultiResponse<'_>>();
    let (ErrorCode::Ok, Ok(asked), Ok(told)) = (answer.code, asked, told) else {
        return (answer, false);
    };
    let is_told = |result: &MultiResult<'_>| matches!(result, MultiResult::Create2(_));
    if told.results.iter().any(is_told) || told.results.len() != asked.ops.len() {
        let is_known = told.results.iter().any(is_told);
        return (answer, is_known);
    }
    let results = told.results.into_iter().zip(&asked.ops).map(|pair| match pair {
        (MultiResult::Create(path), MultiOp::Create(_, request)) => {
            let stat = stat_of_created(request, answer.zxid, session);
            MultiResult::Create2(Create2Reply { path, stat })
        }
        (result, _) => result,
    });
    let mut body = Vec::new();
    body.put(&MultiResponse { results: results.collect() });
    (Answer { body: body.into(), ..answer }, false)
}
