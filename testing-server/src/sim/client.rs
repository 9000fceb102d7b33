//! A client on the wire: one request at a time, and whatever it is told is held against the
//! servers.

use std::collections::VecDeque;

use bytes::Bytes;
use znode::Moment;
use znode::proto::requests::{CreateRequest, DeleteRequest, SetDataRequest};
use znode::proto::{
    AclRecord, ConnectRequest, ConnectResponse, Decoder, Encode, ErrorCode, JutePut, OpCode, Perms,
    ReplyHeader, RequestHeader, SessionId, Version, Xid, Zxid,
};

use super::oracle::Oracle;
use crate::node::input::ConnId;
use crate::random::Random;

/// How many nodes the clients fight over.
const NODES: usize = 4;

/// What a client has asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Write,
    Get(String),
    Sync,
    Ping,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    number: usize,
    random: Random,
    /// Where it is connected.
    pub(super) at: Option<(usize, ConnId)>,
    /// Whether its handshake was answered.
    is_open: bool,
    session: SessionId,
    password: Vec<u8>,
    timeout_ms: i32,
    /// The last state that it has seen: later ones never lie before it.
    seen: Zxid,
    asked: VecDeque<(Xid, Asked)>,
    /// What any client knew to be done when the present `sync` was asked; and once it is answered,
    /// what every read must show.
    sync_floor: Zxid,
    read_floor: Zxid,
    xid: i32,
    values: u32,
    pub(super) answered: u32,
    /// When it last heard anything.
    heard: Moment,
    buffer: Vec<u8>,
}

impl Client {
    pub(super) fn new(number: usize, random: Random, timeout_ms: i32) -> Self {
        Self {
            number,
            random,
            at: None,
            is_open: false,
            session: SessionId::NONE,
            password: vec![0; 16],
            timeout_ms,
            seen: Zxid::ZERO,
            asked: VecDeque::new(),
            sync_floor: Zxid::ZERO,
            read_floor: Zxid::ZERO,
            xid: 0,
            values: 0,
            answered: 0,
            heard: Moment::START,
            buffer: Vec::new(),
        }
    }

    /// It has connected; what it says first.
    pub(super) fn connected(&mut self, now: Moment, at: (usize, ConnId)) -> Vec<u8> {
        self.at = Some(at);
        (self.is_open, self.heard) = (false, now);
        self.asked.clear();
        self.buffer.clear();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms: self.timeout_ms,
            session_id: self.session,
            password: Some(&self.password),
            read_only: None,
        };
        frame(|out| request.encode(out))
    }

    /// Its connection is no more.
    pub(super) fn disconnected(&mut self) {
        self.at = None;
        self.asked.clear();
    }

    /// Whether it gives up its connection, having heard nothing for too long.
    pub(super) fn is_tired(&self, now: Moment) -> bool {
        let patience = u64::try_from(self.timeout_ms).unwrap_or(0) * 2 / 3;
        self.at.is_some() && now.since(self.heard).as_millis() > u128::from(patience)
    }

    /// The next request, if it waits for none.
    pub(super) fn ask(&mut self, oracle: &Oracle) -> Option<Vec<u8>> {
        if !self.is_open || !self.asked.is_empty() {
            return None;
        }
        self.xid += 1;
        let header = |op: OpCode| RequestHeader { xid: Xid(self.xid), op: op.code() };
        let node = format!("/n{}", self.random.below(NODES));
        self.values += 1;
        let value = format!("{}.{}", self.number, self.values);
        let acl = Some(vec![AclRecord::new(Perms::ALL, "world", "anyone")]);
        let data = Some(value.as_bytes());
        let (asked, bytes) = match self.random.below(12) {
            0..=3 => {
                let request = SetDataRequest { path: node.into(), data, version: Version(-1) };
                (Asked::Write, frame_of(&header(OpCode::SetData), &request))
            }
            4 | 5 => {
                let request = CreateRequest { path: node.into(), data, acl, flags: 0 };
                (Asked::Write, frame_of(&header(OpCode::Create), &request))
            }
            6 => {
                let path = format!("/e{}-", self.number).into();
                let request = CreateRequest { path, data, acl, flags: 3 };
                (Asked::Write, frame_of(&header(OpCode::Create), &request))
            }
            7 => {
                let request = DeleteRequest { path: node.into(), version: Version(-1) };
                (Asked::Write, frame_of(&header(OpCode::Delete), &request))
            }
            8 => {
                self.sync_floor = oracle.acked;
                let mut bytes = frame(|out| {
                    out.put(&header(OpCode::Sync));
                    out.put_string("/");
                });
                // What it promises is looked at at once.
                self.asked.push_back((Xid(self.xid), Asked::Sync));
                self.xid += 1;
                bytes.extend(get(Xid(self.xid), &node));
                (Asked::Get(node), bytes)
            }
            9 => {
                let header = RequestHeader { xid: Xid::PING, op: OpCode::Ping.code() };
                (Asked::Ping, frame(|out| out.put(&header)))
            }
            _ => {
                let bytes = get(Xid(self.xid), &node);
                (Asked::Get(node), bytes)
            }
        };
        let xid = if asked == Asked::Ping { Xid::PING } else { Xid(self.xid) };
        self.asked.push_back((xid, asked));
        Some(bytes)
    }

    /// Takes in bytes from a server, and judges what it is told.
    pub(super) fn receive(&mut self, now: Moment, bytes: &[u8], oracle: &mut Oracle) {
        self.heard = now;
        self.buffer.extend_from_slice(bytes);
        loop {
            let Some(len) = self.buffer.first_chunk::<4>() else { return };
            let end = 4 + usize::try_from(i32::from_be_bytes(*len)).expect("servers frame");
            if self.buffer.len() < end {
                return;
            }
            let frame: Vec<u8> = self.buffer.drain(..end).skip(4).collect();
            if self.is_open {
                self.hear(&frame, oracle);
            } else {
                self.open(&frame);
            }
        }
    }

    fn open(&mut self, frame: &[u8]) {
        let response: ConnectResponse<'_> =
            Decoder::new(frame).read().expect("servers answer handshakes");
        if response.session_id == SessionId::NONE {
            assert!(self.session != SessionId::NONE, "a new session was refused");
            self.session = SessionId::NONE;
            self.password = vec![0; 16];
            self.read_floor = Zxid::ZERO;
            return;
        }
        let is_mine = self.session == SessionId::NONE || self.session == response.session_id;
        assert!(is_mine, "a session was replaced silently");
        self.session = response.session_id;
        self.password = response.password.unwrap_or_default().to_vec();
        self.is_open = true;
    }

    fn hear(&mut self, frame: &[u8], oracle: &mut Oracle) {
        let mut from = Decoder::new(frame);
        let header: ReplyHeader = from.read().expect("servers answer with headers");
        let (expected, asked) = self.asked.pop_front().expect("nothing was asked");
        assert_eq!(header.xid, expected, "an answer to something else");
        assert!(header.zxid >= self.seen, "went back from {} to {}", self.seen, header.zxid);
        self.seen = header.zxid;
        self.answered += 1;
        match asked {
            Asked::Write if header.error == ErrorCode::Ok => oracle.acknowledges(header.zxid),
            Asked::Sync => {
                self.read_floor = self.sync_floor;
            }
            Asked::Get(path) => {
                assert!(
                    header.zxid >= self.read_floor,
                    "a read at {} behind a sync, with {} known to be done",
                    header.zxid,
                    self.read_floor
                );
                let told = match header.error {
                    ErrorCode::NoNode => None,
                    ErrorCode::Ok => {
                        let data = from.buffer().expect("data").unwrap_or_default();
                        Some(Bytes::copy_from_slice(data))
                    }
                    other => panic!("{other:?} to a read"),
                };
                let expected = oracle.data(&path, header.zxid);
                assert_eq!(told.as_ref(), expected, "{path} at {}", header.zxid);
            }
            Asked::Write | Asked::Ping => {}
        }
    }

    /// Its session, if it has one.
    pub(super) fn session(&self) -> Option<SessionId> {
        (self.session != SessionId::NONE).then_some(self.session)
    }
}

fn get(xid: Xid, node: &str) -> Vec<u8> {
    frame(|out| {
        out.put(&RequestHeader { xid, op: OpCode::GetData.code() });
        out.put_string(node);
        out.put(&false);
    })
}

fn frame_of(header: &RequestHeader, request: &impl Encode) -> Vec<u8> {
    frame(|out| {
        out.put(header);
        request.encode(out);
    })
}

fn frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    write(&mut out);
    let len = i32::try_from(out.len() - 4).expect("requests are short");
    out[..4].copy_from_slice(&len.to_be_bytes());
    out
}
