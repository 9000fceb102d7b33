//! A server without a socket, and what must hold of it whatever strangers send.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use znode::Moment;
use znode::proto::requests::{PathRequest, ReadRequest};
use znode::proto::{
    ConnectRequest, ConnectResponse, Decoder, Encode, ErrorCode, JutePut, OpCode, ReplyHeader,
    RequestHeader, SessionId, Xid, Zxid,
};

use crate::log::record::Logged;
use crate::log::snapshot::Snapshot;
use crate::node::Node;
use crate::node::input::{ConnId, Input};
use crate::node::outbox::{Outbox, Output};
use crate::node::settings::Settings;

/// What the good client asks about, and nobody can change.
const THERE: &str = "/zookeeper";
/// The number of its requests.
const GOOD_XID: Xid = Xid(7_000);

/// A server that stands alone, its disk, one client that behaves, and whatever the others receive.
pub(super) struct World {
    pub(super) node: Node,
    now: Moment,
    out: Outbox,
    /// Whether the disk answers at once.
    pub(super) slow_disk: bool,
    log: Vec<Vec<u8>>,
    last_appended: Zxid,
    pub(super) received: BTreeMap<ConnId, Vec<u8>>,
    closed: BTreeSet<ConnId>,
    slots: u32,
    good: ConnId,
}

impl World {
    /// A server with a client.
    pub(super) fn new() -> Self {
        let mut settings = Settings::fixed();
        settings.x509 = true;
        settings.rules.logins.users.insert("bob".to_owned(), "secret".into());
        settings.rules.logins.scheme = true;
        let mut world = Self {
            node: Node::new(settings),
            now: Moment::START,
            out: Outbox::default(),
            slow_disk: false,
            log: Vec::new(),
            last_appended: Zxid::ZERO,
            received: BTreeMap::new(),
            closed: BTreeSet::new(),
            slots: 0,
            good: ConnId { slot: 0, generation: 0 },
        };
        world.good = world.connect();
        world
    }

    pub(super) fn step(&mut self, input: Input<'_>) {
        self.node.step(self.now, input, &mut self.out);
        let mut appended = false;
        for output in self.out.outputs() {
            match output {
                Output::Send { conn, range } => {
                    self.received.entry(*conn).or_default().extend(self.out.bytes(range));
                }
                Output::Close { conn } => _ = self.closed.insert(*conn),
                Output::Append { zxid, range } => {
                    self.log.push(self.out.bytes(range).to_vec());
                    self.last_appended = *zxid;
                    appended = true;
                }
                other => panic!("{other:?} of a server that stands alone"),
            }
        }
        self.out.clear();
        if appended && !self.slow_disk {
            self.persist();
        }
    }

    /// The disk catches up.
    pub(super) fn persist(&mut self) {
        self.step(Input::Persisted(self.last_appended));
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.step(Input::Tick);
    }

    /// A connection that has said nothing.
    pub(super) fn accept(&mut self) -> ConnId {
        let conn = ConnId { slot: self.slots, generation: 0 };
        self.slots += 1;
        self.step(Input::Accepted { conn, peer: SocketAddr::from(([127, 0, 0, 1], 7)) });
        conn
    }

    /// A connection with a session.
    pub(super) fn connect(&mut self) -> ConnId {
        let conn = self.accept();
        let mut bytes = Vec::new();
        hello(SessionId::NONE, &[0; 16]).encode(&mut bytes);
        self.frame(conn, &bytes);
        self.persist();
        let answer = self.received.remove(&conn).unwrap_or_default();
        let response: Result<ConnectResponse<'_>, _> = Decoder::new(&answer[4..]).read();
        assert!(response.is_ok_and(|response| response.timeout_ms > 0), "no session");
        conn
    }

    pub(super) fn frame(&mut self, conn: ConnId, bytes: &[u8]) {
        self.step(Input::Frame { conn, bytes });
    }

    pub(super) fn is_closed(&self, conn: ConnId) -> bool {
        self.closed.contains(&conn)
    }

    /// Everything that a connection has received and nobody has looked at.
    pub(super) fn take(&mut self, conn: ConnId) -> Vec<u8> {
        self.received.remove(&conn).unwrap_or_default()
    }

    /// What must hold whatever happened: the good client is served, every answer is a frame, and
    /// the log alone makes the same tree.
    pub(super) fn check(&mut self) {
        self.slow_disk = false;
        self.persist();
        let all: Vec<ConnId> = self.received.keys().copied().collect();
        for conn in all {
            assert_frames(&self.take(conn));
        }
        assert!(!self.is_closed(self.good), "another client's connection was closed");
        let sync = PathRequest { path: Some(THERE.into()) };
        self.frame(self.good, &request(GOOD_XID, OpCode::Sync, &sync));
        let read = ReadRequest { path: THERE.into(), watch: false };
        self.frame(self.good, &request(GOOD_XID, OpCode::Exists, &read));
        let answers = assert_frames(&self.take(self.good));
        let served = answers.iter().filter(|header| header.xid == GOOD_XID);
        let errors: Vec<ErrorCode> = served.map(|header| header.error).collect();
        // Who may set an access control list may lock others out; that is an answer, too.
        let told = matches!(errors[..], [ErrorCode::Ok, ErrorCode::Ok | ErrorCode::NoAuth]);
        assert!(told, "another client is not served: {errors:?}");
        self.check_log();
    }

    /// The digest that is kept is that of the nodes, and what the log holds makes the same tree.
    fn check_log(&mut self) {
        let mut again = Node::new(Settings::fixed());
        for entry in &self.log {
            let logged = Logged::read(entry).expect("what was logged can be read");
            again.replay(&logged);
        }
        assert_eq!(again.digests.take_mismatch(), None, "the log foretold another tree");
        assert_eq!(again.last_processed, self.node.last_processed);
        assert_eq!(again.tree.len(), self.node.tree.len());
        let told = self.node.tree.digest();
        assert_eq!(again.tree.digest(), told);
        self.node.tree.keep_digest();
        assert_eq!(self.node.tree.digest(), told, "the digest that was kept is another");
        assert_eq!(again.ephemeral_views(), self.node.ephemeral_views());
        check_snapshot(&mut self.node);
    }

    /// The digest of the tree.
    pub(super) fn digest(&mut self) -> u64 {
        self.node.tree.digest()
    }
}

/// A snapshot of a server can be read, and makes the same server.
pub(super) fn check_snapshot(node: &mut Node) {
    let bytes = node.snapshot();
    let snapshot = Snapshot::read(&bytes).expect("what was written can be read");
    let again = Node::from_snapshot(Settings::fixed(), &snapshot, node.last_processed);
    let mut again = again.expect("what was written can be restored");
    assert_eq!(again.tree.len(), node.tree.len());
    assert_eq!(again.tree.digest(), node.tree.digest());
}

/// Bytes that a server has sent are whole frames, and each but a handshake's is a reply.
pub(super) fn assert_frames(mut bytes: &[u8]) -> Vec<ReplyHeader> {
    let mut headers = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let len = usize::try_from(i32::from_be_bytes(*len)).expect("a length");
        let (frame, rest) = rest.split_at_checked(len).expect("a whole frame");
        let header = Decoder::new(frame).read::<ReplyHeader>();
        headers.push(header.expect("a reply header, or a handshake, which is longer"));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "bytes behind the last frame");
    headers
}

pub(super) fn hello(session_id: SessionId, password: &[u8]) -> ConnectRequest<'_> {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 60_000,
        session_id,
        password: Some(password),
        read_only: Some(false),
    }
}

pub(super) fn request(xid: Xid, op: OpCode, body: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put(&RequestHeader { xid, op: op.code() });
    bytes.put(body);
    bytes
}
