//! Every record survives the wire, every truncation is an error, and no bytes cause a panic.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use znode::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
use znode::proto::replies::{
    AclReply, Children2Reply, ClientInfoRecord, CountReply, Create2Reply, DataReply, ErrorReply,
    NamesReply, PathReply, StatReply, SyncReply, WhoAmIReply,
};
use znode::proto::requests::{
    AddWatchRequest, AuthRequest, CheckVersionRequest, CreateRequest, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, PathRequest, ReadRequest, ReconfigRequest, SaslRequest,
    SetAclRequest, SetDataRequest, SetWatches2Request, SetWatchesRequest, WatchesRequest,
};
use znode::proto::{
    AclRecord, ConnectRequest, ConnectResponse, Decoder, Encode, ErrorCode, IdRecord, JutePut,
    MultiHeader, OpCode, Perms, ReplyHeader, RequestHeader, SessionId, Stat, Version, WatcherEvent,
    Xid, Zxid,
};

use crate::frames::{self, Reader};

/// A string that may be null, owned.
type Text = Option<String>;
/// A buffer that may be null, owned.
type Bytes = Option<Vec<u8>>;

/// Encodes, decodes and compares; then cuts at every byte.
macro_rules! survives {
    ($kind:ty, $record:expr) => {{
        let record: $kind = $record;
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let mut from = Decoder::new(&bytes);
        let back: $kind = from.read().unwrap();
        prop_assert_eq!(&back, &record);
        prop_assert_eq!(from.remaining(), 0);
        let mut again = Vec::new();
        back.encode(&mut again);
        prop_assert_eq!(&again, &bytes);
        for len in 0..bytes.len() {
            let cut = Decoder::new(&bytes[..len]).read::<$kind>();
            prop_assert!(cut.is_err(), "{} of {} bytes: {:?}", len, bytes.len(), cut);
        }
    }};
}

fn text() -> impl Strategy<Value = String> {
    "[/a-zä-ü漢😀\\x00]{0,8}"
}

fn null_text() -> impl Strategy<Value = Text> {
    option::of(text())
}

fn null_bytes() -> impl Strategy<Value = Bytes> {
    option::of(vec(any::<u8>(), 0..12))
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..4)
}

fn acl() -> impl Strategy<Value = Option<Vec<AclRecord<'static>>>> {
    let entry =
        (any::<i32>(), null_text(), null_text()).prop_map(|(perms, scheme, id)| AclRecord {
            perms: Perms(perms),
            id: IdRecord { scheme: scheme.map(Cow::Owned), id: id.map(Cow::Owned) },
        });
    option::of(vec(entry, 0..3))
}

fn stat() -> impl Strategy<Value = Stat> {
    let longs = any::<[i64; 6]>();
    let ints = any::<[i32; 5]>();
    (longs, ints).prop_map(|(longs, ints)| Stat {
        czxid: Zxid(longs[0]),
        mzxid: Zxid(longs[1]),
        ctime: longs[2],
        mtime: longs[3],
        version: Version(ints[0]),
        cversion: ints[1],
        aversion: Version(ints[2]),
        ephemeral_owner: SessionId(longs[4]),
        data_length: ints[3],
        num_children: ints[4],
        pzxid: Zxid(longs[5]),
    })
}

fn cows(texts: &[String]) -> Vec<Cow<'_, str>> {
    texts.iter().map(|text| Cow::Borrowed(&text[..])).collect()
}

fn cow(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| Cow::Borrowed(&text[..]))
}

/// What a multi is made of, owned.
#[derive(Debug, Clone)]
struct Part {
    /// Which operation, or which result.
    choice: u8,
    path: String,
    data: Bytes,
    acl: Option<Vec<AclRecord<'static>>>,
    names: Vec<String>,
    stat: Stat,
    number: i32,
    long: i64,
    flag: bool,
}

fn part() -> impl Strategy<Value = Part> {
    let fields = (any::<u8>(), text(), null_bytes(), acl(), texts(), stat());
    let numbers = (any::<i32>(), any::<i64>(), any::<bool>());
    (fields, numbers).prop_map(|((choice, path, data, acl, names, stat), numbers)| Part {
        choice,
        path,
        data,
        acl,
        names,
        stat,
        number: numbers.0,
        long: numbers.1,
        flag: numbers.2,
    })
}

impl Part {
    fn path(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.path)
    }

    fn create(&self) -> CreateRequest<'_> {
        CreateRequest {
            path: self.path(),
            data: self.data.as_deref(),
            acl: self.acl.clone(),
            flags: self.number,
        }
    }

    fn create_ttl(&self) -> CreateTtlRequest<'_> {
        CreateTtlRequest {
            path: self.path(),
            data: self.data.as_deref(),
            acl: self.acl.clone(),
            flags: self.number,
            ttl_ms: self.long,
        }
    }

    fn delete(&self) -> DeleteRequest<'_> {
        DeleteRequest { path: self.path(), version: Version(self.number) }
    }

    fn set_data(&self) -> SetDataRequest<'_> {
        SetDataRequest {
            path: self.path(),
            data: self.data.as_deref(),
            version: Version(self.number),
        }
    }

    fn check(&self) -> CheckVersionRequest<'_> {
        CheckVersionRequest { path: self.path(), version: Version(self.number) }
    }

    fn read(&self) -> ReadRequest<'_> {
        ReadRequest { path: self.path(), watch: self.flag }
    }

    fn op(&self) -> MultiOp<'_> {
        match self.choice % 9 {
            0 => MultiOp::Create(OpCode::Create, self.create()),
            1 => MultiOp::Create(OpCode::Create2, self.create()),
            2 => MultiOp::Create(OpCode::CreateContainer, self.create()),
            3 => MultiOp::CreateTtl(self.create_ttl()),
            4 => MultiOp::Delete(self.delete()),
            5 => MultiOp::SetData(self.set_data()),
            6 => MultiOp::Check(self.check()),
            7 => MultiOp::GetData(self.read()),
            _ => MultiOp::GetChildren(self.read()),
        }
    }

    fn result(&self) -> MultiResult<'_> {
        match self.choice % 8 {
            0 => MultiResult::Create(self.path()),
            1 => MultiResult::Create2(self.create2_reply()),
            2 => MultiResult::Delete,
            3 => MultiResult::SetData(self.stat),
            4 => MultiResult::Check,
            5 => MultiResult::GetChildren(NamesReply { names: cows(&self.names) }),
            6 => MultiResult::GetData(self.data_reply()),
            _ => MultiResult::Error(ErrorCode::from(self.number)),
        }
    }

    fn create2_reply(&self) -> Create2Reply<'_> {
        Create2Reply { path: self.path(), stat: self.stat }
    }

    fn data_reply(&self) -> DataReply<'_> {
        DataReply { data: self.data.as_deref(), stat: self.stat }
    }
}

proptest! {
    #[test]
    fn handshakes_survive(
        version in any::<i32>(), zxid in any::<i64>(), timeout_ms in any::<i32>(),
        session in any::<i64>(), password in null_bytes(), read_only in any::<bool>(),
    ) {
        survives!(ConnectRequest<'_>, ConnectRequest {
            protocol_version: version,
            last_zxid_seen: Zxid(zxid),
            timeout_ms,
            session_id: SessionId(session),
            password: password.as_deref(),
            read_only: None,
        });
        survives!(ConnectResponse<'_>, ConnectResponse {
            protocol_version: version,
            timeout_ms,
            session_id: SessionId(session),
            password: password.as_deref(),
            read_only: None,
        });
        let mut bytes = Vec::new();
        bytes.put(&ConnectResponse {
            protocol_version: version,
            timeout_ms,
            session_id: SessionId(session),
            password: password.as_deref(),
            read_only: Some(read_only),
        });
        let back: ConnectResponse<'_> = Decoder::new(&bytes).read().unwrap();
        prop_assert_eq!(back.read_only, Some(read_only));
        // Without its last byte it is what an older server says.
        let older = &bytes[..bytes.len() - 1];
        let back: ConnectResponse<'_> = Decoder::new(older).read().unwrap();
        prop_assert_eq!(back.read_only, None);
    }

    #[test]
    fn headers_survive(xid in any::<i32>(), op in any::<i32>(), zxid in any::<i64>()) {
        survives!(RequestHeader, RequestHeader { xid: Xid(xid), op });
        let error = ErrorCode::from(op);
        survives!(ReplyHeader, ReplyHeader { xid: Xid(xid), zxid: Zxid(zxid), error });
        survives!(MultiHeader, MultiHeader { op, done: xid % 2 == 0, error: xid });
    }

    #[test]
    fn requests_survive(part in part(), prefix in null_text()) {
        survives!(CreateRequest<'_>, part.create());
        survives!(CreateTtlRequest<'_>, part.create_ttl());
        survives!(DeleteRequest<'_>, part.delete());
        survives!(ReadRequest<'_>, part.read());
        survives!(SetDataRequest<'_>, part.set_data());
        survives!(CheckVersionRequest<'_>, part.check());
        survives!(PathRequest<'_>, PathRequest { path: cow(prefix.as_ref()) });
        survives!(SetAclRequest<'_>, SetAclRequest {
            path: part.path(),
            acl: part.acl.clone(),
            version: Version(part.number),
        });
        survives!(DeleteContainerRequest<'_>, DeleteContainerRequest {
            path: part.data.as_deref(),
        });
        survives!(AuthRequest<'_>, AuthRequest {
            kind: part.number,
            scheme: part.path(),
            auth: part.data.as_deref(),
        });
        survives!(SaslRequest<'_>, SaslRequest { token: part.data.as_deref() });
        survives!(AddWatchRequest<'_>, AddWatchRequest { path: part.path(), mode: part.number });
        survives!(WatchesRequest<'_>, WatchesRequest { path: part.path(), kind: part.number });
    }

    #[test]
    fn lists_of_watches_survive(
        zxid in any::<i64>(), data in texts(), exist in texts(), child in texts(),
        own in texts(), below in texts(),
    ) {
        survives!(SetWatchesRequest<'_>, SetWatchesRequest {
            relative_zxid: Zxid(zxid),
            data: cows(&data),
            exist: cows(&exist),
            child: cows(&child),
        });
        survives!(SetWatches2Request<'_>, SetWatches2Request {
            relative_zxid: Zxid(zxid),
            data: cows(&data),
            exist: cows(&exist),
            child: cows(&child),
            persistent: cows(&own),
            persistent_recursive: cows(&below),
        });
    }

    #[test]
    fn reconfigurations_survive(
        joining in null_text(), leaving in null_text(), members in null_text(), id in any::<i64>(),
    ) {
        survives!(ReconfigRequest<'_>, ReconfigRequest {
            joining: cow(joining.as_ref()),
            leaving: cow(leaving.as_ref()),
            new_members: cow(members.as_ref()),
            current_config_id: id,
        });
    }

    #[test]
    fn replies_survive(part in part(), users in vec((text(), text()), 0..3)) {
        survives!(PathReply<'_>, PathReply { path: part.path() });
        survives!(SyncReply<'_>, SyncReply { path: None });
        survives!(SyncReply<'_>, SyncReply { path: Some(part.path()) });
        survives!(Create2Reply<'_>, part.create2_reply());
        survives!(StatReply, StatReply { stat: part.stat });
        survives!(DataReply<'_>, part.data_reply());
        survives!(AclReply<'_>, AclReply {
            acl: part.acl.clone().unwrap_or_default(),
            stat: part.stat,
        });
        survives!(NamesReply<'_>, NamesReply { names: cows(&part.names) });
        survives!(Children2Reply<'_>, Children2Reply {
            children: cows(&part.names),
            stat: part.stat,
        });
        survives!(CountReply, CountReply { count: part.number });
        survives!(ErrorReply, ErrorReply { error: part.number });
        let client_info = users
            .iter()
            .map(|(scheme, user)| ClientInfoRecord {
                scheme: scheme.into(),
                user: user.into(),
            })
            .collect();
        survives!(WhoAmIReply<'_>, WhoAmIReply { client_info });
        survives!(WatcherEvent<'_>, WatcherEvent {
            kind: part.number,
            state: part.number,
            path: part.path(),
        });
    }

    #[test]
    fn multis_survive(parts in vec(part(), 0..4)) {
        let ops = parts.iter().map(Part::op).collect();
        survives!(MultiRequest<'_>, MultiRequest { ops });
        let results = parts.iter().map(Part::result).collect();
        survives!(MultiResponse<'_>, MultiResponse { results });
    }

    /// What can be read at all says the same when it was written and read again.
    #[test]
    fn no_bytes_cause_a_panic(bytes in vec(any::<u8>(), 0..80)) {
        for op in OpCode::ALL {
            for body in [frames::request, frames::reply] {
                let mut reader = Reader::new(&bytes);
                if body(*op, &mut reader).is_err() {
                    continue;
                }
                let reading = reader.finish();
                let mut again = Reader::new(&reading.bytes);
                prop_assert_eq!(body(*op, &mut again), Ok(()));
                prop_assert_eq!(again.finish().text, reading.text);
            }
        }
    }

    /// As above, from bytes that are nearly right.
    #[test]
    fn no_flipped_byte_causes_a_panic(
        parts in vec(part(), 1..3), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = Vec::new();
        bytes.put(&MultiRequest { ops: parts.iter().map(Part::op).collect() });
        let index = at.index(bytes.len());
        bytes[index] = byte;
        for op in OpCode::ALL {
            drop(frames::request(*op, &mut Reader::new(&bytes)));
            drop(frames::reply(*op, &mut Reader::new(&bytes)));
        }
    }

    /// A length is compared with what is there before anything is allocated for it.
    #[test]
    fn a_length_beyond_the_frame_is_an_error(len in 64..i32::MAX, rest in vec(any::<u8>(), 0..60)) {
        let mut bytes = Vec::new();
        bytes.put(&len);
        bytes.extend_from_slice(&rest);
        prop_assert!(Decoder::new(&bytes).buffer().is_err());
        prop_assert!(Decoder::new(&bytes).string().is_err());
        prop_assert!(Decoder::new(&bytes).vector::<Cow<'_, str>>().is_err());
        prop_assert!(Decoder::new(&bytes).vector::<AclRecord<'_>>().is_err());
        prop_assert!(Decoder::new(&bytes).read::<NamesReply<'_>>().is_err());
    }
}
