//! Several writes as one transaction: all of them, or a list of reasons.

use znode::proto::multi::{MultiOp, MultiRequest};
use znode::proto::requests::{CreateRequest, CreateTtlRequest};
use znode::proto::{Decoder, ErrorCode, MultiHeader, OpCode};

use super::{Mode, ModeKind, OwnerKind, Preparer};
use crate::pipeline::txn::Change;

impl Preparer<'_> {
    /// `multi`.
    ///
    /// # Errors
    /// [`ErrorCode::MarshallingError`] if the request as a whole makes no sense. An operation that
    /// fails is no error: it makes a transaction that does nothing.
    pub(in crate::pipeline) fn multi(
        &mut self,
        request: &MultiRequest<'_>,
    ) -> Result<Change, ErrorCode> {
        let ops: Vec<_> = request.ops.iter().map(flavour).collect();
        let mark = self.outstanding.mark();
        let mut changes = Vec::with_capacity(ops.len());
        for op in &ops {
            match self.op(op) {
                Ok(change) => changes.push(change),
                Err(error) => {
                    let at = changes.len();
                    for change in changes {
                        change.discard(&mut self.tree.acls);
                    }
                    self.outstanding.roll_back(&mut self.tree.acls, mark);
                    // Outside a multi a null in a list is a request that cannot be read; so is a
                    // multi with such a list, as a whole.
                    if error == ErrorCode::MarshallingError {
                        return Err(error);
                    }
                    return Ok(Change::FailedMulti(results(ops.len(), at, error)));
                }
            }
        }
        Ok(Change::Multi(changes))
    }

    fn op(&mut self, op: &Flavoured<'_, '_>) -> Result<Change, ErrorCode> {
        match op {
            Flavoured::Create(op, request) => self.create(*op, request),
            Flavoured::PlainCreate(request) => {
                let mode = Mode::of(request.flags).ok_or(ErrorCode::BadArguments)?;
                let (op, owner) = match mode.kind {
                    ModeKind::Container => (OpCode::CreateContainer, OwnerKind::Container),
                    ModeKind::Ephemeral => (OpCode::Create, OwnerKind::Session(self.session)),
                    _ => (OpCode::Create, OwnerKind::Nobody),
                };
                let acl = request.acl.as_deref();
                self.create_node(op, &request.path, request.data, acl, mode, owner)
            }
            Flavoured::CreateTtl(request) => self.create_ttl(request),
            Flavoured::Other(MultiOp::Delete(request)) => self.delete(request),
            Flavoured::Other(MultiOp::SetData(request)) => self.set_data(request),
            Flavoured::Other(MultiOp::Check(request)) => self.check(request),
            Flavoured::Other(_) => Err(ErrorCode::MarshallingError),
        }
    }
}

/// Why a multi cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Fault {
    /// Some record makes no sense. Unlike any other write, such a multi takes a zxid.
    Nonsense,
    /// A create comes without a list of who may do what: Apache stumbles before it takes a zxid.
    NullAcl,
}

/// Reads a multi as Apache does: the first fault counts.
pub(in crate::pipeline) fn read_multi<'a>(
    from: &mut Decoder<'a>,
) -> Result<MultiRequest<'a>, Fault> {
    let mut ops = Vec::new();
    loop {
        let header: MultiHeader = from.read().map_err(|_| Fault::Nonsense)?;
        if header.done {
            return Ok(MultiRequest { ops });
        }
        let op = MultiOp::read(header.op, from).map_err(|_| Fault::Nonsense)?;
        if let MultiOp::Create(_, request) = &op {
            let mode = Mode::of(request.flags).ok_or(Fault::Nonsense)?;
            if request.acl.is_none() {
                return Err(Fault::NullAcl);
            }
            // Taken for a createTTL, which it has not the record of.
            if mode.kind == ModeKind::Ttl {
                return Err(Fault::Nonsense);
            }
        }
        if matches!(op, MultiOp::GetData(_) | MultiOp::GetChildren(_)) {
            return Err(Fault::Nonsense);
        }
        ops.push(op);
    }
}

/// An operation after its flavour was derived from its flags.
enum Flavoured<'r, 'a> {
    Create(OpCode, &'r CreateRequest<'a>),
    /// A `createTTL` whose mode has no time to live.
    PlainCreate(&'r CreateTtlRequest<'a>),
    CreateTtl(&'r CreateTtlRequest<'a>),
    Other(&'r MultiOp<'a>),
}

/// In a multi the flags decide the flavour, not the code of the operation.
fn flavour<'r, 'a>(op: &'r MultiOp<'a>) -> Flavoured<'r, 'a> {
    let kind = |flags| Mode::of(flags).map(|mode| mode.kind);
    match op {
        MultiOp::Create(_, request) if kind(request.flags) == Some(ModeKind::Container) => {
            Flavoured::Create(OpCode::CreateContainer, request)
        }
        MultiOp::Create(op, request) => Flavoured::Create(*op, request),
        MultiOp::CreateTtl(request) if kind(request.flags) == Some(ModeKind::Ttl) => {
            Flavoured::CreateTtl(request)
        }
        MultiOp::CreateTtl(request) => Flavoured::PlainCreate(request),
        other => Flavoured::Other(other),
    }
}

/// No error before the operation that failed, the same error for all after it.
fn results(len: usize, at: usize, error: ErrorCode) -> Vec<ErrorCode> {
    let mut results = vec![ErrorCode::Ok; at];
    results.push(error);
    results.resize(len, ErrorCode::RuntimeInconsistency);
    results
}
