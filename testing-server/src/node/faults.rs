//! What a test has the server do to its clients, and which release it answers like.

use znode::proto::multi::{MultiOp, MultiRequest};
use znode::proto::{Decoder, ErrorCode, OpCode};

use super::input::ConnId;
use super::outbox::ReplyTo;

/// A release of ZooKeeper, as far as clients can tell it from others: by what it does not know.
///
/// An operation that a release does not know is answered with `Unimplemented`, and the connection
/// is closed, as all of them do; inside a transaction it makes the whole of it unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Release {
    /// Neither `create` with a `Stat`, containers, times to live, `removeWatches` nor `reconfig`.
    V3_4,
    /// No persistent watches, no reads in one request, no listing of ephemerals or descendants.
    V3_5,
    /// Cannot tell a client who it is.
    V3_6,
    /// Everything.
    #[default]
    V3_9,
}

impl Release {
    /// Whether the release knows an operation by itself.
    pub(crate) fn knows(self, op: OpCode) -> bool {
        self >= since(op)
    }
}

/// The first release that knows an operation.
fn since(op: OpCode) -> Release {
    match op {
        OpCode::Create2
        | OpCode::Reconfig
        | OpCode::CheckWatches
        | OpCode::RemoveWatches
        | OpCode::CreateContainer
        | OpCode::DeleteContainer
        | OpCode::CreateTtl => Release::V3_5,
        OpCode::MultiRead
        | OpCode::SetWatches2
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber
        | OpCode::AddWatch => Release::V3_6,
        OpCode::WhoAmI => Release::V3_9,
        _ => Release::V3_4,
    }
}

/// Whose reply is to be lost.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    /// The operation; of creates, any flavour; any write, if nothing is said.
    pub(crate) op: Option<OpCode>,
    /// The path that it names, a transaction among others.
    pub(crate) path: Option<Box<[u8]>>,
    /// How many of them still have their reply.
    pub(crate) spared: u32,
}

impl Loss {
    fn concerns(&self, op: OpCode, body: &Decoder<'_>) -> bool {
        let is_create = matches!(
            op,
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl
        );
        let is_op = match self.op {
            None => op.is_write(),
            Some(OpCode::Create) => is_create,
            Some(wanted) => wanted == op,
        };
        is_op && self.path.as_deref().is_none_or(|path| names(op, body, path))
    }
}

/// Whether a request is about a path.
fn names(op: OpCode, body: &Decoder<'_>, path: &[u8]) -> bool {
    let mut from = body.clone();
    if op == OpCode::Multi {
        let request = from.read::<MultiRequest<'_>>();
        return request.is_ok_and(|request| request.ops.iter().any(|op| path_of(op) == path));
    }
    from.buffer().is_ok_and(|named| named == Some(path))
}

fn path_of<'a>(op: &'a MultiOp<'_>) -> &'a [u8] {
    let path = match op {
        MultiOp::Create(_, request) => &request.path,
        MultiOp::CreateTtl(request) => &request.path,
        MultiOp::Delete(request) => &request.path,
        MultiOp::SetData(request) => &request.path,
        MultiOp::Check(request) => &request.path,
        MultiOp::GetData(request) | MultiOp::GetChildren(request) => &request.path,
    };
    path.as_bytes()
}

/// The replies that are to be lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    losses: Vec<Loss>,
    /// Requests whose reply may be one of them, each with the place of the loss.
    candidates: Vec<(ReplyTo, usize)>,
    /// Connections that end because of it, and have not ended.
    cut: Vec<ConnId>,
    /// How many replies were lost.
    count: u64,
}

impl Losses {
    /// Has one more reply be lost.
    pub(crate) fn add(&mut self, loss: Loss) {
        self.losses.push(loss);
    }

    /// How many replies were lost.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether there is nothing to be lost.
    pub(crate) fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.cut.is_empty()
    }

    /// Notes a request whose reply may be lost.
    pub(crate) fn note(&mut self, to: ReplyTo, op: OpCode, body: &Decoder<'_>) {
        if let Some(at) = self.losses.iter().position(|loss| loss.concerns(op, body)) {
            self.candidates.push((to, at));
        }
    }

    /// Whether this reply is lost, and with it its connection. What has failed is not: nothing was
    /// committed.
    pub(crate) fn takes(&mut self, to: ReplyTo, error: ErrorCode) -> bool {
        let Some(found) = self.candidates.iter().position(|(noted, _)| *noted == to) else {
            return false;
        };
        let (_, at) = self.candidates.remove(found);
        if error != ErrorCode::Ok {
            return false;
        }
        let loss = &mut self.losses[at];
        if loss.spared > 0 {
            loss.spared -= 1;
            return false;
        }
        self.losses.remove(at);
        // The others are noted anew: what they were noted for may be another's now.
        self.candidates.retain(|(noted, place)| *place != at && noted.conn != to.conn);
        for (_, place) in &mut self.candidates {
            *place -= usize::from(*place > at);
        }
        self.count += 1;
        self.cut.push(to.conn);
        true
    }

    /// Whether a connection ends because of a lost reply, and is to be sent nothing more.
    pub(crate) fn has_cut(&self, conn: ConnId) -> bool {
        self.cut.contains(&conn)
    }

    /// The connections that have ended.
    pub(crate) fn take_cut(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.cut)
    }
}
