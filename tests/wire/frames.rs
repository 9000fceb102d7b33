//! Any frame of the client protocol, decoded in the light of what was asked, and encoded again.

use std::collections::BTreeMap;
use std::fmt::Debug;

use znode::proto::multi::{MultiRequest, MultiResponse};
use znode::proto::replies::{
    AclReply, Children2Reply, CountReply, Create2Reply, DataReply, ErrorReply, NamesReply,
    PathReply, StatReply, SyncReply, WhoAmIReply,
};
use znode::proto::requests::{
    AddWatchRequest, AuthRequest, CheckVersionRequest, CreateRequest, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, PathRequest, ReadRequest, ReconfigRequest, SaslRequest,
    SetAclRequest, SetDataRequest, SetWatches2Request, SetWatchesRequest, WatchesRequest,
};
use znode::proto::{
    ConnectRequest, ConnectResponse, Decode, DecodeError, Decoder, Encode, ErrorCode, OpCode,
    ReplyHeader, RequestHeader, WatcherEvent, Xid,
};

use crate::telling::{Tell, words};

/// What a frame says, and the bytes that say it again.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Every record of the frame, as `Debug` shows it.
    pub(crate) text: String,
    /// Every record of the frame, in the notation of `golden.txt`.
    pub(crate) told: String,
    /// The request that is made or answered; `None` in a handshake.
    pub(crate) xid: Option<Xid>,
    /// The error of a reply.
    pub(crate) error: ErrorCode,
    /// What encoding those records gives.
    pub(crate) bytes: Vec<u8>,
    /// Bytes that no record claimed.
    pub(crate) left: usize,
}

/// The two directions of one connection: what was asked decides how an answer reads.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// The client has said hello.
    greeted: bool,
    /// The server has answered.
    welcomed: bool,
    /// The operation of each request that has not been answered.
    asked: BTreeMap<Xid, i32>,
}

impl Conversation {
    /// A connection whose handshake has taken place unseen.
    pub(crate) fn after_handshake() -> Self {
        Self { greeted: true, welcomed: true, ..Self::default() }
    }

    /// A frame of the client.
    pub(crate) fn client(&mut self, frame: &[u8]) -> Result<Reading, DecodeError> {
        let mut reader = Reader::new(frame);
        if !self.greeted {
            self.greeted = true;
            reader.again::<ConnectRequest<'_>>()?;
            return Ok(reader.finish());
        }
        let header = reader.again::<RequestHeader>()?;
        self.asked.insert(header.xid, header.op);
        reader.xid = Some(header.xid);
        // What no client can name has no body that anybody could read.
        if let Ok(op) = OpCode::try_from(header.op) {
            request(op, &mut reader)?;
        }
        Ok(reader.finish())
    }

    /// A frame of the server.
    pub(crate) fn server(&mut self, frame: &[u8]) -> Result<Reading, DecodeError> {
        let mut reader = Reader::new(frame);
        if !self.welcomed {
            self.welcomed = true;
            reader.again::<ConnectResponse<'_>>()?;
            return Ok(reader.finish());
        }
        let header = reader.again::<ReplyHeader>()?;
        reader.xid = Some(header.xid);
        reader.error = header.error;
        if header.xid == Xid::NOTIFICATION {
            reader.again::<WatcherEvent<'_>>()?;
            return Ok(reader.finish());
        }
        let op = self.asked.remove(&header.xid);
        let op = op.unwrap_or_else(|| panic!("nobody asked for the answer {header:?}"));
        // A body may follow an error, and then it has the form of the operation's own.
        if header.error == ErrorCode::Ok || reader.from.remaining() > 0 {
            let op = OpCode::try_from(op).expect("only known operations have a body");
            reply(op, &mut reader)?;
        }
        Ok(reader.finish())
    }
}

/// The body of a request.
pub(crate) fn request(op: OpCode, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
            reader.again::<CreateRequest<'_>>().map(drop)
        }
        OpCode::CreateTtl => reader.again::<CreateTtlRequest<'_>>().map(drop),
        OpCode::Delete => reader.again::<DeleteRequest<'_>>().map(drop),
        OpCode::Exists | OpCode::GetData | OpCode::GetChildren | OpCode::GetChildren2 => {
            reader.again::<ReadRequest<'_>>().map(drop)
        }
        OpCode::SetData => reader.again::<SetDataRequest<'_>>().map(drop),
        OpCode::SetAcl => reader.again::<SetAclRequest<'_>>().map(drop),
        OpCode::Check => reader.again::<CheckVersionRequest<'_>>().map(drop),
        OpCode::GetAcl | OpCode::Sync | OpCode::GetEphemerals | OpCode::GetAllChildrenNumber => {
            reader.again::<PathRequest<'_>>().map(drop)
        }
        OpCode::Multi | OpCode::MultiRead => reader.again::<MultiRequest<'_>>().map(drop),
        OpCode::Reconfig => reader.again::<ReconfigRequest<'_>>().map(drop),
        OpCode::CheckWatches | OpCode::RemoveWatches => {
            reader.again::<WatchesRequest<'_>>().map(drop)
        }
        OpCode::DeleteContainer => reader.again::<DeleteContainerRequest<'_>>().map(drop),
        OpCode::Auth => reader.again::<AuthRequest<'_>>().map(drop),
        OpCode::SetWatches => reader.again::<SetWatchesRequest<'_>>().map(drop),
        OpCode::SetWatches2 => reader.again::<SetWatches2Request<'_>>().map(drop),
        OpCode::Sasl => reader.again::<SaslRequest<'_>>().map(drop),
        OpCode::AddWatch => reader.again::<AddWatchRequest<'_>>().map(drop),
        // These have no body.
        _ => Ok(()),
    }
}

/// The body of a reply that is no error.
pub(crate) fn reply(op: OpCode, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match op {
        OpCode::Create => reader.again::<PathReply<'_>>().map(drop),
        OpCode::Sync => reader.again::<SyncReply<'_>>().map(drop),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            reader.again::<Create2Reply<'_>>().map(drop)
        }
        OpCode::Exists | OpCode::SetData | OpCode::SetAcl => reader.again::<StatReply>().map(drop),
        OpCode::GetData | OpCode::Reconfig => reader.again::<DataReply<'_>>().map(drop),
        OpCode::GetAcl => reader.again::<AclReply<'_>>().map(drop),
        OpCode::GetChildren | OpCode::GetEphemerals => reader.again::<NamesReply<'_>>().map(drop),
        OpCode::GetChildren2 => reader.again::<Children2Reply<'_>>().map(drop),
        OpCode::GetAllChildrenNumber => reader.again::<CountReply>().map(drop),
        OpCode::Multi | OpCode::MultiRead => reader.again::<MultiResponse<'_>>().map(drop),
        OpCode::AddWatch => reader.again::<ErrorReply>().map(drop),
        OpCode::WhoAmI => reader.again::<WhoAmIReply<'_>>().map(drop),
        OpCode::Sasl => reader.again::<SaslRequest<'_>>().map(drop),
        // These have no body.
        _ => Ok(()),
    }
}

/// Reads records and writes each of them again.
pub(crate) struct Reader<'a> {
    from: Decoder<'a>,
    text: String,
    told: Vec<String>,
    bytes: Vec<u8>,
    xid: Option<Xid>,
    error: ErrorCode,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Self {
        Self {
            from: Decoder::new(frame),
            text: String::new(),
            told: Vec::new(),
            bytes: Vec::new(),
            xid: None,
            error: ErrorCode::Ok,
        }
    }

    fn again<T: Decode<'a> + Encode + Debug + Tell>(&mut self) -> Result<T, DecodeError> {
        let record: T = self.from.read()?;
        record.encode(&mut self.bytes);
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(&format!("{record:?}"));
        self.told.push(record.tell());
        Ok(record)
    }

    pub(crate) fn finish(self) -> Reading {
        let told: Vec<&str> = self.told.iter().map(|part| &part[..]).collect();
        Reading {
            text: self.text,
            told: words(&told),
            xid: self.xid,
            error: self.error,
            bytes: self.bytes,
            left: self.from.remaining(),
        }
    }
}
