//! Records in words, by operation.

use std::fmt::{Debug, Write};

use crate::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
use crate::proto::replies::{
    AclReply, Children2Reply, CountReply, Create2Reply, DataReply, ErrorReply, NamesReply,
    PathReply, StatReply, SyncReply, WhoAmIReply,
};
use crate::proto::requests::{
    AddWatchRequest, AuthRequest, CheckVersionRequest, CreateRequest, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, PathRequest, ReadRequest, ReconfigRequest, SaslRequest,
    SetAclRequest, SetDataRequest, SetWatches2Request, SetWatchesRequest, WatchesRequest,
};
use crate::proto::{Decode, DecodeError, Decoder, ErrorCode, OpCode};

/// How much of the data of a node is shown.
const DATA_SHOWN: usize = 64;

/// What stands in place of a record that is none.
pub(super) fn garbled(error: &DecodeError) -> String {
    format!("garbled: {error}")
}

pub(super) fn request(op: Option<OpCode>, from: &mut Decoder<'_>) -> String {
    let Some(op) = op else { return String::new() };
    let described = match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
            with_data(from, |it: &mut CreateRequest<'_>| it.data.take())
        }
        OpCode::CreateTtl => with_data(from, |it: &mut CreateTtlRequest<'_>| it.data.take()),
        OpCode::SetData => with_data(from, |it: &mut SetDataRequest<'_>| it.data.take()),
        OpCode::Delete => record::<DeleteRequest<'_>>(from),
        OpCode::Exists | OpCode::GetData | OpCode::GetChildren | OpCode::GetChildren2 => {
            record::<ReadRequest<'_>>(from)
        }
        OpCode::SetAcl => record::<SetAclRequest<'_>>(from),
        OpCode::Check => record::<CheckVersionRequest<'_>>(from),
        OpCode::GetAcl | OpCode::Sync | OpCode::GetEphemerals | OpCode::GetAllChildrenNumber => {
            record::<PathRequest<'_>>(from)
        }
        OpCode::Multi | OpCode::MultiRead => multi_request(from),
        OpCode::Reconfig => record::<ReconfigRequest<'_>>(from),
        OpCode::CheckWatches | OpCode::RemoveWatches => record::<WatchesRequest<'_>>(from),
        OpCode::DeleteContainer => record::<DeleteContainerRequest<'_>>(from),
        OpCode::Auth => record::<AuthRequest<'_>>(from),
        OpCode::SetWatches => record::<SetWatchesRequest<'_>>(from),
        OpCode::SetWatches2 => record::<SetWatches2Request<'_>>(from),
        OpCode::Sasl => record::<SaslRequest<'_>>(from),
        OpCode::AddWatch => record::<AddWatchRequest<'_>>(from),
        // These have no record.
        _ => Ok(String::new()),
    };
    described.unwrap_or_else(|error| garbled(&error))
}

pub(super) fn reply(op: Option<OpCode>, error: ErrorCode, from: &mut Decoder<'_>) -> String {
    let Some(op) = op else { return String::new() };
    // A failed transaction still says which of its operations has failed; others say nothing.
    if error != ErrorCode::Ok && (op != OpCode::Multi || from.remaining() == 0) {
        return String::new();
    }
    let described = match op {
        OpCode::Create => record::<PathReply<'_>>(from),
        OpCode::Sync => record::<SyncReply<'_>>(from),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            record::<Create2Reply<'_>>(from)
        }
        OpCode::Exists | OpCode::SetData | OpCode::SetAcl => record::<StatReply>(from),
        OpCode::GetData | OpCode::Reconfig => {
            with_data(from, |it: &mut DataReply<'_>| it.data.take())
        }
        OpCode::GetAcl => record::<AclReply<'_>>(from),
        OpCode::GetChildren | OpCode::GetEphemerals => record::<NamesReply<'_>>(from),
        OpCode::GetChildren2 => record::<Children2Reply<'_>>(from),
        OpCode::GetAllChildrenNumber => record::<CountReply>(from),
        OpCode::Multi | OpCode::MultiRead => multi_reply(from),
        OpCode::AddWatch => record::<ErrorReply>(from),
        OpCode::WhoAmI => record::<WhoAmIReply<'_>>(from),
        OpCode::Sasl => record::<SaslRequest<'_>>(from),
        // These have no record.
        _ => Ok(String::new()),
    };
    described.unwrap_or_else(|error| garbled(&error))
}

fn record<'a, T: Decode<'a> + Debug>(from: &mut Decoder<'a>) -> Result<String, DecodeError> {
    from.read::<T>().map(|record| format!("{record:?}"))
}

/// A record whose data is shown as text, and not to its end.
fn with_data<'a, T: Decode<'a> + Debug>(
    from: &mut Decoder<'a>,
    take: impl FnOnce(&mut T) -> Option<&'a [u8]>,
) -> Result<String, DecodeError> {
    let mut record: T = from.read()?;
    let data = take(&mut record);
    Ok(format!("{record:?}{}", shown(data)))
}

fn multi_request(from: &mut Decoder<'_>) -> Result<String, DecodeError> {
    let MultiRequest { ops } = from.read()?;
    let mut out = String::new();
    for mut op in ops {
        let data = match &mut op {
            MultiOp::Create(_, create) => create.data.take(),
            MultiOp::CreateTtl(create) => create.data.take(),
            MultiOp::SetData(set) => set.data.take(),
            _ => None,
        };
        let _ = write!(out, "[{op:?}{}]", shown(data));
    }
    Ok(out)
}

fn multi_reply(from: &mut Decoder<'_>) -> Result<String, DecodeError> {
    let MultiResponse { results } = from.read()?;
    let mut out = String::new();
    for mut result in results {
        let data = match &mut result {
            MultiResult::GetData(reply) => reply.data.take(),
            _ => None,
        };
        let _ = write!(out, "[{result:?}{}]", shown(data));
    }
    Ok(out)
}

fn shown(data: Option<&[u8]>) -> String {
    let Some(data) = data else { return String::new() };
    let beginning = data[..data.len().min(DATA_SHOWN)].escape_ascii();
    let dots = if data.len() > DATA_SHOWN { "…" } else { "" };
    format!(" data[{}]=\"{beginning}{dots}\"", data.len())
}
