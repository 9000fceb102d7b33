//! A server without a socket: what a request costs it, from frame to frame.

use std::net::SocketAddr;

use znode::Moment;
use znode::proto::multi::{MultiOp, MultiRequest};
use znode::proto::requests::{CreateRequest, DeleteRequest, ReadRequest, SetDataRequest};
use znode::proto::{
    AclRecord, ConnectRequest, Decoder, Encode, ErrorCode, JutePut, OpCode, Perms, ReplyHeader,
    RequestHeader, SessionId, Version, Xid, Zxid,
};

use super::Work;
use crate::node::Node;
use crate::node::input::{ConnId, Input};
use crate::node::outbox::{Outbox, Output};
use crate::node::settings::Settings;

/// How many nodes there are to ask about.
pub(super) const NODES: usize = 1_000;
/// How many stand below `/few`.
const FEW: usize = 100;
/// What each of them holds.
pub(super) const DATA: &[u8] = &[b'x'; 100];

/// A server, its disk, and one client.
pub(super) struct Served {
    pub(super) node: Node,
    out: Outbox,
    client: ConnId,
    /// How many connections were made beside the client's.
    others: u32,
    /// The transaction that was logged last.
    pub(super) logged: Vec<u8>,
    /// What the client was sent last.
    answer: Vec<u8>,
}

impl Served {
    /// One that keeps a log, or nothing.
    pub(super) fn new(durable: bool) -> Self {
        let mut settings = Settings::fixed();
        settings.durable = durable;
        let mut served = Self {
            node: Node::new(settings),
            out: Outbox::default(),
            client: ConnId { slot: 0, generation: 0 },
            others: 0,
            logged: Vec::new(),
            answer: Vec::new(),
        };
        served.connect(served.client);
        let few = (0..FEW).map(|nth| format!("/few/member-{nth:010}"));
        let nodes = ["/all".to_owned(), "/few".to_owned()].into_iter();
        nodes.chain((0..NODES).map(path)).chain(few).for_each(|path| served.prove(&create(&path)));
        served
    }

    fn connect(&mut self, conn: ConnId) {
        self.step(Input::Accepted { conn, peer: SocketAddr::from(([127, 0, 0, 1], 7)) });
        let mut hello = Vec::new();
        hello.put(&ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 60_000,
            session_id: SessionId::NONE,
            password: Some(&[0; 16]),
            read_only: Some(false),
        });
        self.step(Input::Frame { conn, bytes: &hello });
    }

    /// Hands in a frame of the client.
    fn ask(&mut self, bytes: &[u8]) {
        self.step(Input::Frame { conn: self.client, bytes });
    }

    /// The same, and it must be answered with a success: nothing else is worth counting.
    fn prove(&mut self, bytes: &[u8]) {
        self.ask(bytes);
        let header = self.answer.get(4..).map(|frame| Decoder::new(frame).read::<ReplyHeader>());
        let error = header.and_then(Result::ok).map(|header| header.error);
        assert_eq!(error, Some(ErrorCode::Ok), "a request was refused");
    }

    /// Does one thing; what is to be written is written at once.
    fn step(&mut self, input: Input<'_>) {
        if let Some(zxid) = self.take(input) {
            self.take(Input::Persisted(zxid));
        }
    }

    /// What is to be written, of one input.
    fn take(&mut self, input: Input<'_>) -> Option<Zxid> {
        self.node.step(Moment::START, input, &mut self.out);
        let mut appended = None;
        for output in self.out.outputs() {
            match output {
                Output::Append { zxid, range } => {
                    replace(&mut self.logged, self.out.bytes(range));
                    appended = Some(*zxid);
                }
                Output::Send { conn, range } if *conn == self.client => {
                    replace(&mut self.answer, self.out.bytes(range));
                }
                _ => {}
            }
        }
        self.out.clear();
        appended
    }
}

/// What a shell does with bytes: it hands them on.
fn replace(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.clear();
    kept.extend_from_slice(bytes);
}

/// The path of one of the many.
pub(super) fn path(nth: usize) -> String {
    format!("/all/node-{:010}", nth % NODES)
}

fn request(op: OpCode, body: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put(&RequestHeader { xid: Xid(1), op: op.code() });
    bytes.put(body);
    bytes
}

fn create(path: &str) -> Vec<u8> {
    let acl = Some(vec![AclRecord::new(Perms::ALL, "world", "anyone")]);
    let body = CreateRequest { path: path.into(), data: Some(DATA), acl, flags: 0 };
    request(OpCode::Create, &body)
}

fn set_record(path: &str) -> SetDataRequest<'_> {
    SetDataRequest { path: path.into(), data: Some(DATA), version: Version::ANY }
}

fn read(op: OpCode, path: &str, watch: bool) -> Vec<u8> {
    request(op, &ReadRequest { path: path.into(), watch })
}

/// One request after the other, over and over.
fn each(mut served: Served, requests: Vec<Vec<u8>>) -> Work {
    requests.iter().for_each(|request| served.prove(request));
    let mut next = 0;
    Box::new(move || {
        served.ask(&requests[next % requests.len()]);
        next += 1;
    })
}

/// A request about each of the many.
fn of_each(make: impl Fn(&str) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..NODES).map(|nth| make(&path(nth))).collect()
}

fn sets() -> Vec<Vec<u8>> {
    of_each(|path| request(OpCode::SetData, &set_record(path)))
}

pub(super) fn get() -> Work {
    each(Served::new(false), of_each(|path| read(OpCode::GetData, path, false)))
}

pub(super) fn list() -> Work {
    each(Served::new(false), vec![read(OpCode::GetChildren2, "/few", false)])
}

pub(super) fn set() -> Work {
    each(Served::new(false), sets())
}

pub(super) fn set_logged() -> Work {
    each(Served::new(true), sets())
}

pub(super) fn multi() -> Work {
    let paths: Vec<String> = (0..10).map(path).collect();
    let ops = paths.iter().map(|path| MultiOp::SetData(set_record(path))).collect();
    each(Served::new(false), vec![request(OpCode::Multi, &MultiRequest { ops })])
}

pub(super) fn create_delete() -> Work {
    let body = DeleteRequest { path: "/all/another".into(), version: Version::ANY };
    let requests = [create("/all/another"), request(OpCode::Delete, &body)];
    let mut served = Served::new(false);
    requests.iter().for_each(|request| served.prove(request));
    Box::new(move || requests.iter().for_each(|request| served.ask(request)))
}

pub(super) fn watched_set() -> Work {
    let mut served = Served::new(false);
    let looks = of_each(|path| read(OpCode::GetData, path, true));
    let sets = sets();
    let mut next = 0;
    Box::new(move || {
        served.ask(&looks[next % NODES]);
        served.ask(&sets[next % NODES]);
        next += 1;
    })
}

pub(super) fn ping() -> Work {
    let mut bytes = Vec::new();
    bytes.put(&RequestHeader { xid: Xid::PING, op: OpCode::Ping.code() });
    each(Served::new(false), vec![bytes])
}

pub(super) fn session() -> Work {
    let mut served = Served::new(false);
    let mut goodbye = Vec::new();
    goodbye.put(&RequestHeader { xid: Xid(1), op: OpCode::CloseSession.code() });
    Box::new(move || {
        served.others += 1;
        // The place of a connection is used again, as the shell does.
        let conn = ConnId { slot: 1, generation: served.others };
        served.connect(conn);
        served.step(Input::Frame { conn, bytes: &goodbye });
        served.step(Input::Closed { conn });
    })
}
