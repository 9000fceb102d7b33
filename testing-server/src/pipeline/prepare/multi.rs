//! Several writes as one transaction: all of them, or a list of reasons.

use znode::proto::multi::{MultiOp, MultiRequest};
use znode::proto::requests::{CreateRequest, CreateTtlRequest};
use znode::proto::{ErrorCode, OpCode};

use super::{Mode, ModeKind, Preparer};
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
        let ops = request.ops.iter().map(flavour).collect::<Result<Vec<_>, _>>()?;
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
                let mode = Mode::of(request.flags).ok_or(ErrorCode::MarshallingError)?;
                let owner = match mode.kind {
                    ModeKind::Ephemeral => super::OwnerKind::Session(self.session),
                    _ => super::OwnerKind::Nobody,
                };
                let acl = request.acl.as_deref();
                self.create_node(OpCode::Create, &request.path, request.data, acl, mode, owner)
            }
            Flavoured::CreateTtl(request) => self.create_ttl(request),
            Flavoured::Other(MultiOp::Delete(request)) => self.delete(request),
            Flavoured::Other(MultiOp::SetData(request)) => self.set_data(request),
            Flavoured::Other(MultiOp::Check(request)) => self.check(request),
            Flavoured::Other(_) => Err(ErrorCode::MarshallingError),
        }
    }
}

/// Whether some create of a multi comes without a list of who may do what.
pub(in crate::pipeline) fn has_null_acl(request: &MultiRequest<'_>) -> bool {
    request.ops.iter().any(|op| match op {
        MultiOp::Create(_, request) => request.acl.is_none(),
        MultiOp::CreateTtl(request) => request.acl.is_none(),
        _ => false,
    })
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
fn flavour<'r, 'a>(op: &'r MultiOp<'a>) -> Result<Flavoured<'r, 'a>, ErrorCode> {
    let unreadable = ErrorCode::MarshallingError;
    match op {
        MultiOp::Create(op, request) => match Mode::of(request.flags).ok_or(unreadable)?.kind {
            ModeKind::Container => Ok(Flavoured::Create(OpCode::CreateContainer, request)),
            // Apache takes it for a createTTL and fails to cast the record.
            ModeKind::Ttl => Err(unreadable),
            _ if *op == OpCode::CreateContainer => {
                Ok(Flavoured::Create(OpCode::CreateContainer, request))
            }
            _ => Ok(Flavoured::Create(*op, request)),
        },
        MultiOp::CreateTtl(request) => match Mode::of(request.flags).ok_or(unreadable)?.kind {
            ModeKind::Ttl => Ok(Flavoured::CreateTtl(request)),
            _ => Ok(Flavoured::PlainCreate(request)),
        },
        MultiOp::GetData(_) | MultiOp::GetChildren(_) => Err(unreadable),
        other => Ok(Flavoured::Other(other)),
    }
}

/// No error before the operation that failed, the same error for all after it.
fn results(len: usize, at: usize, error: ErrorCode) -> Vec<ErrorCode> {
    let mut results = vec![ErrorCode::Ok; at];
    results.push(error);
    results.resize(len, ErrorCode::RuntimeInconsistency);
    results
}
