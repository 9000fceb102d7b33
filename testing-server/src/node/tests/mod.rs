//! The whole server, driven by frames as a client would send them, without a socket.

mod digests;
mod edges;
mod exhaustion;
mod faults;
mod golden;
mod limits;
mod malformed;
mod multi;
mod quotas;
mod reads;
mod reaper;
mod restored;
mod sessions;
mod slow_disk;
mod snapshots;
mod stats;
mod throttle;
mod watches;
mod writes;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use znode::Moment;
use znode::proto::multi::{MultiOp, MultiRequest};
use znode::proto::replies::*;
use znode::proto::requests::*;
use znode::proto::{
    AclRecord, ConnectRequest, ConnectResponse, Decode, Decoder, Encode, ErrorCode, EventType,
    JutePut, OpCode, Perms, ReplyHeader, RequestHeader, SessionId, Stat, Version, WatcherEvent,
    Xid, Zxid,
};

use super::Node;
use super::input::{ConnId, Input};
use super::outbox::{Outbox, Output};
use super::settings::Settings;

/// A server, its clock, its disk, and what every client has received.
pub(super) struct World {
    pub(super) node: Node,
    pub(super) now: Moment,
    out: Outbox,
    /// Whether the disk answers at once, or when [`persist`](Self::persist) is called.
    pub(super) slow_disk: bool,
    pub(super) appended: Vec<Zxid>,
    /// What a log would hold.
    pub(super) log: Vec<Vec<u8>>,
    /// What arrived at each connection and was not looked at.
    received: BTreeMap<ConnId, Vec<u8>>,
    pub(super) closed: Vec<ConnId>,
    next_slot: u32,
    next_xid: i32,
}

/// A reply without its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) header: ReplyHeader,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn read<'a, T: Decode<'a>>(&'a self) -> T {
        assert_eq!(self.header.error, ErrorCode::Ok);
        let mut from = Decoder::new(&self.body);
        let read = from.read().unwrap();
        assert_eq!(from.remaining(), 0, "bytes behind the reply");
        read
    }

    pub(super) fn event(&self) -> (EventType, String) {
        assert_eq!(self.header.xid, Xid::NOTIFICATION);
        let event: WatcherEvent<'_> = self.read();
        (EventType::try_from(event.kind).unwrap(), event.path.into_owned())
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Settings::fixed())
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self {
            node: Node::new(settings),
            now: Moment::START,
            out: Outbox::default(),
            slow_disk: false,
            appended: Vec::new(),
            log: Vec::new(),
            received: BTreeMap::new(),
            closed: Vec::new(),
            next_slot: 0,
            next_xid: 1,
        }
    }

    pub(super) fn step(&mut self, input: Input<'_>) {
        self.node.step(self.now, input, &mut self.out);
        let mut persisted = None;
        for output in self.out.outputs() {
            match output {
                Output::Send { conn, range } => {
                    self.received.entry(*conn).or_default().extend(self.out.bytes(range));
                }
                Output::Close { conn } => self.closed.push(*conn),
                Output::Append { zxid, range } => {
                    self.log.push(self.out.bytes(range).to_vec());
                    self.appended.push(*zxid);
                    persisted = Some(*zxid);
                }
                other => panic!("{other:?} of a server that stands alone"),
            }
        }
        self.out.clear();
        if let Some(zxid) = persisted.filter(|_| !self.slow_disk) {
            self.step(Input::Persisted(zxid));
        }
    }

    /// The slow disk has caught up.
    pub(super) fn persist(&mut self) {
        if let Some(zxid) = self.appended.last().copied() {
            self.step(Input::Persisted(zxid));
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.step(Input::Tick);
    }

    pub(super) fn accept(&mut self) -> ConnId {
        let conn = ConnId { slot: self.next_slot, generation: 0 };
        self.next_slot += 1;
        self.step(Input::Accepted { conn, peer: SocketAddr::from(([127, 0, 0, 1], 7)) });
        conn
    }

    pub(super) fn frame(&mut self, conn: ConnId, bytes: &[u8]) {
        self.step(Input::Frame { conn, bytes });
    }

    pub(super) fn handshake(&mut self, conn: ConnId, request: &ConnectRequest<'_>) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.frame(conn, &bytes);
    }

    /// A connection with a new session.
    pub(super) fn connect(&mut self) -> ConnId {
        self.connect_for(10_000).0
    }

    pub(super) fn connect_for(&mut self, timeout_ms: i32) -> (ConnId, SessionId, Vec<u8>) {
        let conn = self.accept();
        self.handshake(conn, &hello(timeout_ms, SessionId::NONE, &[]));
        let (session, _, password) = self.connect_response(conn);
        (conn, session, password)
    }

    pub(super) fn connect_response(&mut self, conn: ConnId) -> (SessionId, i32, Vec<u8>) {
        let frame = self.take_frame(conn).expect("a connect response");
        let response: ConnectResponse<'_> = Decoder::new(&frame).read().unwrap();
        (response.session_id, response.timeout_ms, response.password.unwrap().to_vec())
    }

    /// The oldest frame that a connection has received.
    pub(super) fn take_frame(&mut self, conn: ConnId) -> Option<Vec<u8>> {
        let bytes = self.received.get_mut(&conn).filter(|bytes| !bytes.is_empty())?;
        let len = i32::from_be_bytes(bytes[..4].try_into().unwrap());
        let len = usize::try_from(len).unwrap();
        let frame: Vec<u8> = bytes.drain(..4 + len).collect();
        Some(frame[4..].to_vec())
    }

    /// Everything that a connection has received, frames or not.
    pub(super) fn take_bytes(&mut self, conn: ConnId) -> Vec<u8> {
        self.received.remove(&conn).unwrap_or_default()
    }

    /// The oldest answer or event.
    pub(super) fn take(&mut self, conn: ConnId) -> Option<Answer> {
        let frame = self.take_frame(conn)?;
        let mut from = Decoder::new(&frame);
        let header = from.read().unwrap();
        Some(Answer { header, body: from.rest().to_vec() })
    }

    /// Every event that a connection has received; there must be nothing else.
    pub(super) fn events(&mut self, conn: ConnId) -> Vec<(EventType, String)> {
        std::iter::from_fn(|| self.take(conn)).map(|answer| answer.event()).collect()
    }

    pub(super) fn is_closed(&self, conn: ConnId) -> bool {
        self.closed.contains(&conn)
    }

    /// Sends a request and does not wait for its answer.
    pub(super) fn send(&mut self, conn: ConnId, op: i32, body: &impl Encode) -> Xid {
        let xid = Xid(self.next_xid);
        self.next_xid += 1;
        self.frame(conn, &request(xid, op, body));
        xid
    }

    /// Sends a request and takes its answer.
    pub(super) fn call(&mut self, conn: ConnId, op: OpCode, body: &impl Encode) -> Answer {
        let xid = self.send(conn, op.code(), body);
        loop {
            let answer = self.take(conn).expect("an answer");
            if answer.header.xid == xid {
                return answer;
            }
        }
    }

    pub(super) fn error(&mut self, conn: ConnId, op: OpCode, body: &impl Encode) -> ErrorCode {
        self.call(conn, op, body).header.error
    }

    pub(super) fn create(&mut self, conn: ConnId, path: &str) -> String {
        self.create_mode(conn, path, 0).unwrap()
    }

    pub(super) fn create_mode(
        &mut self,
        conn: ConnId,
        path: &str,
        flags: i32,
    ) -> Result<String, ErrorCode> {
        let answer = self.call(conn, OpCode::Create, &create(path, flags));
        match answer.header.error {
            ErrorCode::Ok => Ok(answer.read::<PathReply<'_>>().path.into_owned()),
            error => Err(error),
        }
    }

    pub(super) fn set_data(&mut self, conn: ConnId, path: &str, data: &[u8]) -> Stat {
        let answer = self.call(conn, OpCode::SetData, &set_data(path, data, -1));
        answer.read::<StatReply>().stat
    }

    pub(super) fn delete(&mut self, conn: ConnId, path: &str) -> ErrorCode {
        self.error(conn, OpCode::Delete, &delete(path, -1))
    }

    pub(super) fn stat(&mut self, conn: ConnId, path: &str) -> Option<Stat> {
        let answer = self.call(conn, OpCode::Exists, &read(path, false));
        match answer.header.error {
            ErrorCode::NoNode => None,
            _ => Some(answer.read::<StatReply>().stat),
        }
    }

    pub(super) fn children(&mut self, conn: ConnId, path: &str) -> Vec<String> {
        let answer = self.call(conn, OpCode::GetChildren, &read(path, false));
        let mut names: Vec<String> =
            answer.read::<NamesReply<'_>>().names.into_iter().map(Cow::into_owned).collect();
        names.sort();
        names
    }

    pub(super) fn add_auth(&mut self, conn: ConnId, scheme: &str, auth: &[u8]) -> ErrorCode {
        let body = AuthRequest { kind: 0, scheme: scheme.into(), auth: Some(auth) };
        self.frame(conn, &request(Xid::AUTH, OpCode::Auth.code(), &body));
        let answer = self.take(conn).expect("an answer");
        assert_eq!((answer.header.xid, answer.header.zxid), (Xid::AUTH, Zxid::ZERO));
        answer.header.error
    }
}

/// The paths that random writes go to.
pub(super) const PATHS: [&str; 8] =
    ["/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f", "/zookeeper/quota/a", "/a/s"];

/// One write out of a few small numbers, whose answer nobody waits for; a session may end with it.
pub(super) fn random_write(world: &mut World, c: &mut ConnId, (what, at, with): (u8, usize, u8)) {
    let path = PATHS[at % PATHS.len()];
    let other = PATHS[usize::from(with) % PATHS.len()];
    let data = vec![with; usize::from(with)];
    match what {
        0 | 1 => drop(world.send(*c, OpCode::Create.code(), &create(path, i32::from(with % 4)))),
        2 | 3 => drop(world.send(*c, OpCode::SetData.code(), &set_data(path, &data, -1))),
        4 | 5 => drop(world.send(*c, OpCode::Delete.code(), &delete(path, -1))),
        6 => {
            let ids = ["127.0.0.1", "127.0.0.2"];
            let list = acl(Perms::ALL, "ip", ids[usize::from(with) % 2]);
            world.send(*c, OpCode::SetAcl.code(), &set_acl(path, list, -1));
        }
        7 => drop(world.send(*c, OpCode::CreateContainer.code(), &create(path, 4))),
        8 if with < 60 => {
            world.frame(*c, &request(Xid(1), OpCode::CloseSession.code(), &Empty));
            *c = world.accept();
            world.handshake(*c, &hello(10_000, SessionId::NONE, &[]));
        }
        _ => {
            let ops = vec![
                MultiOp::Create(OpCode::Create2, create(other, i32::from(with % 2))),
                MultiOp::SetData(set_data(path, &data, -1)),
                MultiOp::Create(OpCode::Create2, create("/a/s/", 2)),
                MultiOp::Delete(delete(other, -1)),
            ];
            world.send(*c, OpCode::Multi.code(), &MultiRequest { ops });
        }
    }
}

/// Nothing, as a body.
pub(super) struct Empty;

impl Encode for Empty {
    fn encode(&self, _out: &mut Vec<u8>) {}
}

/// Bytes as they are, as a body.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

pub(super) fn request(xid: Xid, op: i32, body: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put(&RequestHeader { xid, op });
    bytes.put(body);
    bytes
}

pub(super) fn hello(timeout_ms: i32, session_id: SessionId, password: &[u8]) -> ConnectRequest<'_> {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms,
        session_id,
        password: Some(password),
        read_only: Some(false),
    }
}

pub(super) fn open() -> Vec<AclRecord<'static>> {
    vec![AclRecord::new(Perms::ALL, "world", "anyone")]
}

pub(super) fn acl(perms: Perms, scheme: &'static str, id: &'static str) -> Vec<AclRecord<'static>> {
    vec![AclRecord::new(perms, scheme, id)]
}

pub(super) fn create(path: &str, flags: i32) -> CreateRequest<'_> {
    CreateRequest { path: path.into(), data: Some(b"data"), acl: Some(open()), flags }
}

pub(super) fn create_ttl(path: &str, flags: i32, ttl_ms: i64) -> CreateTtlRequest<'_> {
    CreateTtlRequest { path: path.into(), data: None, acl: Some(open()), flags, ttl_ms }
}

pub(super) fn set_data<'a>(path: &'a str, data: &'a [u8], version: i32) -> SetDataRequest<'a> {
    SetDataRequest { path: path.into(), data: Some(data), version: Version(version) }
}

pub(super) fn set_acl<'a>(
    path: &'a str,
    acl: Vec<AclRecord<'a>>,
    version: i32,
) -> SetAclRequest<'a> {
    SetAclRequest { path: path.into(), acl: Some(acl), version: Version(version) }
}

pub(super) fn delete(path: &str, version: i32) -> DeleteRequest<'_> {
    DeleteRequest { path: path.into(), version: Version(version) }
}

pub(super) fn read(path: &str, watch: bool) -> ReadRequest<'_> {
    ReadRequest { path: path.into(), watch }
}

pub(super) fn at(path: &str) -> PathRequest<'_> {
    PathRequest { path: Some(path.into()) }
}
