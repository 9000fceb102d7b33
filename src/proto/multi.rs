//! Several operations in one request, and their results.

use std::borrow::Cow;

use super::error_code::ErrorCode;
use super::header::MultiHeader;
use super::jute::{Decode, DecodeError, Decoder, Encode, JutePut};
use super::op_code::OpCode;
use super::replies::{Create2Reply, DataReply, ErrorReply, NamesReply, PathReply, StatReply};
use super::requests::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, ReadRequest,
    SetDataRequest,
};
use super::stat::Stat;

/// One operation of a `multi` (the writes and `check`) or of a `multiRead` (the reads).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp<'a> {
    /// `create`, `create2` or `createContainer`, as the code says. A server chooses the flavour
    /// by the flags, not by the code.
    Create(OpCode, CreateRequest<'a>),
    /// `createTTL`.
    CreateTtl(CreateTtlRequest<'a>),
    /// `delete`.
    Delete(DeleteRequest<'a>),
    /// `setData`.
    SetData(SetDataRequest<'a>),
    /// `check`.
    Check(CheckVersionRequest<'a>),
    /// `getData`.
    GetData(ReadRequest<'a>),
    /// `getChildren`.
    GetChildren(ReadRequest<'a>),
}

/// The body of `multi` and `multiRead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRequest<'a> {
    /// In the order in which they take effect.
    pub ops: Vec<MultiOp<'a>>,
}

/// One result of a `multi` or of a `multiRead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiResult<'a> {
    /// Of `create`: the path.
    Create(Cow<'a, str>),
    /// Of every other flavour of create: path and metadata.
    Create2(Create2Reply<'a>),
    /// Of `delete`.
    Delete,
    /// Of `setData`.
    SetData(Stat),
    /// Of `check`.
    Check,
    /// Of `getChildren`.
    GetChildren(NamesReply<'a>),
    /// Of `getData`.
    GetData(DataReply<'a>),
    /// An operation that failed ([`ErrorCode::Ok`] and [`ErrorCode::RuntimeInconsistency`] mark
    /// those before and after it in a failed transaction).
    Error(ErrorCode),
}

/// The reply to `multi` and `multiRead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiResponse<'a> {
    /// One for each operation, in order.
    pub results: Vec<MultiResult<'a>>,
}

impl<'a> MultiOp<'a> {
    /// Reads the record of the operation with this code, behind its header.
    ///
    /// # Errors
    /// The code is not that of an operation of a multi, or the record is not whole.
    pub fn read(code: i32, from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let op = OpCode::try_from(code)?;
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                Self::Create(op, from.read()?)
            }
            OpCode::CreateTtl => Self::CreateTtl(from.read()?),
            OpCode::Delete => Self::Delete(from.read()?),
            OpCode::SetData => Self::SetData(from.read()?),
            OpCode::Check => Self::Check(from.read()?),
            OpCode::GetData => Self::GetData(from.read()?),
            OpCode::GetChildren => Self::GetChildren(from.read()?),
            _ => return Err(unknown("operation of a multi", code)),
        })
    }

    /// The operation's code.
    pub fn op(&self) -> OpCode {
        match self {
            Self::Create(op, _) => *op,
            Self::CreateTtl(_) => OpCode::CreateTtl,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check(_) => OpCode::Check,
            Self::GetData(_) => OpCode::GetData,
            Self::GetChildren(_) => OpCode::GetChildren,
        }
    }
}

fn unknown(what: &'static str, code: i32) -> DecodeError {
    DecodeError::UnknownValue { what, value: i64::from(code) }
}

impl<'a> Decode<'a> for MultiRequest<'a> {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let mut ops = Vec::new();
        loop {
            let header: MultiHeader = from.read()?;
            if header.done {
                return Ok(Self { ops });
            }
            ops.push(MultiOp::read(header.op, from)?);
        }
    }
}

impl Encode for MultiRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        for op in &self.ops {
            op.encode(out);
        }
        out.put(&MultiHeader::DONE);
    }
}

impl Encode for MultiOp<'_> {
    /// The operation with its header, as it stands in a multi.
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&MultiHeader { op: self.op().code(), done: false, error: -1 });
        match self {
            Self::Create(_, request) => out.put(request),
            Self::CreateTtl(request) => out.put(request),
            Self::Delete(request) => out.put(request),
            Self::SetData(request) => out.put(request),
            Self::Check(request) => out.put(request),
            Self::GetData(request) | Self::GetChildren(request) => out.put(request),
        }
    }
}

impl<'a> Decode<'a> for MultiResponse<'a> {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let mut results = Vec::new();
        loop {
            let header: MultiHeader = from.read()?;
            if header.done {
                return Ok(Self { results });
            }
            if header.op == OpCode::Error.code() {
                let body: ErrorReply = from.read()?;
                results.push(MultiResult::Error(ErrorCode::from(body.error)));
                continue;
            }
            results.push(match OpCode::try_from(header.op)? {
                OpCode::Create => MultiResult::Create(from.read::<PathReply<'_>>()?.path),
                OpCode::Create2 => MultiResult::Create2(from.read()?),
                OpCode::Delete => MultiResult::Delete,
                OpCode::SetData => MultiResult::SetData(from.read::<StatReply>()?.stat),
                OpCode::Check => MultiResult::Check,
                OpCode::GetChildren => MultiResult::GetChildren(from.read()?),
                OpCode::GetData => MultiResult::GetData(from.read()?),
                _ => return Err(unknown("result of a multi", header.op)),
            });
        }
    }
}

impl Encode for MultiResponse<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        for result in &self.results {
            result.encode(out);
        }
        out.put(&MultiHeader::DONE);
    }
}

impl Encode for MultiResult<'_> {
    /// The result with its header, as it stands in a multi's reply.
    fn encode(&self, out: &mut Vec<u8>) {
        let (op, error) = match self {
            Self::Create(_) => (OpCode::Create, 0),
            Self::Create2(_) => (OpCode::Create2, 0),
            Self::Delete => (OpCode::Delete, 0),
            Self::SetData(_) => (OpCode::SetData, 0),
            Self::Check => (OpCode::Check, 0),
            Self::GetChildren(_) => (OpCode::GetChildren, 0),
            Self::GetData(_) => (OpCode::GetData, 0),
            Self::Error(code) => (OpCode::Error, code.code()),
        };
        out.put(&MultiHeader { op: op.code(), done: false, error });
        match self {
            Self::Create(path) => out.put_string(path),
            Self::Create2(reply) => out.put(reply),
            Self::Delete | Self::Check => {}
            Self::SetData(stat) => out.put(stat),
            Self::GetChildren(reply) => out.put(reply),
            Self::GetData(reply) => out.put(reply),
            Self::Error(code) => out.put(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_multi_is_its_terminator() {
        let mut out = Vec::new();
        out.put(&MultiRequest { ops: vec![] });
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(Decoder::new(&out).read(), Ok(MultiRequest { ops: vec![] }));
    }

    #[test]
    fn a_multi_without_terminator_is_truncated() {
        let mut out = Vec::new();
        out.put(&MultiOp::Delete(DeleteRequest {
            path: "/a".into(),
            version: crate::proto::Version::ANY,
        }));
        assert!(matches!(
            Decoder::new(&out).read::<MultiRequest<'_>>(),
            Err(DecodeError::Truncated { .. })
        ));
    }

    #[test]
    fn a_nested_multi_is_refused() {
        let mut out = Vec::new();
        out.put(&MultiHeader { op: OpCode::Multi.code(), done: false, error: -1 });
        assert!(Decoder::new(&out).read::<MultiRequest<'_>>().is_err());
    }
}
