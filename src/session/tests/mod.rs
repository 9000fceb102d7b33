//! Scenarios of the session machine against a scripted server, with time in the test's hands.

mod connecting;
mod ending;
mod hostile;
mod older;
mod requests;
mod roaming;
mod sasl;
mod timers;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::input::Resume;
use super::*;
use crate::connect_string::HostPort;
use crate::hosts::{NearestFirst, ShuffledRing};
use crate::moment::Moment;
use crate::proto::requests::{ReadRequest, SetWatchesRequest};
use crate::proto::{
    ConnectRequest, ConnectResponse, Decoder, ErrorCode, EventType, JutePut, OpCode, ReplyHeader,
    RequestHeader, SessionId, WatcherEvent, Xid, Zxid,
};

const T: Duration = Duration::from_secs(9);

/// A session, the server it talks to, and the clock of both.
struct Pair {
    now: Moment,
    session: Session<&'static str>,
    out: Outbox<&'static str>,
    /// What the server has received and the test has not looked at.
    inbox: Vec<Vec<u8>>,
    /// Everything else that the session has put out, one word each.
    log: Vec<String>,
}

fn ring(ports: std::ops::Range<u16>) -> Box<ShuffledRing> {
    Box::new(ShuffledRing::new(ports.map(|port| HostPort::new("zk", port)).collect(), 1))
}

fn config() -> Config {
    Config {
        hosts: ring(1..2),
        session_timeout: T,
        connect_timeout: Duration::from_secs(5),
        read_only: false,
        resume: None,
        limits: Limits { in_flight_max: 3, in_flight_bytes_max: 1 << 20, waiting_max: 100 },
        sasl: None,
        tick: Some(Duration::from_secs(2)),
    }
}

impl Pair {
    fn new(config: Config) -> Self {
        let session = Session::new(Moment::START, config);
        let out = Outbox::default();
        let mut pair = Self { now: Moment::START, session, out, inbox: vec![], log: vec![] };
        pair.step(Input::Tick);
        pair
    }

    /// A session that is connected.
    fn connected() -> Self {
        let mut pair = Self::new(config());
        pair.shake_hands(7);
        pair.log.clear();
        pair
    }

    fn step(&mut self, input: Input<'_, &'static str>) {
        self.session.step(self.now, input, &mut self.out);
        let (outputs, mut bytes) = self.out.drain();
        for output in outputs {
            match output {
                Output::Send(len) => {
                    let (mut frames, rest) = bytes.split_at(len);
                    bytes = rest;
                    while let Some((length, after)) = frames.split_first_chunk::<4>() {
                        let len = usize::try_from(u32::from_be_bytes(*length)).unwrap();
                        self.inbox.push(after[..len].to_vec());
                        frames = &after[len..];
                    }
                }
                Output::Connect(host) => self.log.push(format!("connect {host}")),
                Output::Probe(host) => self.log.push(format!("probe {host}")),
                Output::Disconnect => self.log.push("disconnect".into()),
                Output::Established(_) => {}
                Output::SaslAuthenticated => self.log.push("authenticated".into()),
                Output::SaslFailed(error) => self.log.push(error.to_string()),
                Output::State(state) => self.log.push(format!("state {state:?}")),
                Output::Reply(who, Ok(answer)) => {
                    self.log.push(format!("{who} {:?}", answer.code));
                }
                Output::Reply(who, Err(Failure { cause, sent })) => {
                    let word = if sent { "sent" } else { "unsent" };
                    self.log.push(format!("{who} failed {word} {cause:?}"));
                }
                Output::Notify(watcher, notice) => {
                    let notice = match notice {
                        Notice::Event { kind, path, .. } => format!("{kind:?} {path}"),
                        other => format!("{other:?}"),
                    };
                    self.log.push(format!("watcher {} {notice}", watcher.0));
                }
            }
        }
        self.out.clear(0);
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.session.next_deadline() <= until {
            self.now = self.now.max(self.session.next_deadline());
            self.step(Input::Tick);
        }
        self.now = until;
    }

    fn receive(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = Vec::new();
        write(&mut frame);
        self.step(Input::Received(Bytes::from(frame)));
    }

    fn shake_hands(&mut self, session_id: i64) {
        self.step(Input::Connected);
        self.inbox.clear();
        self.greet(session_id, 9000);
    }

    fn greet(&mut self, session_id: i64, timeout_ms: i32) {
        self.greet_as(session_id, timeout_ms, false);
    }

    fn greet_as(&mut self, session_id: i64, timeout_ms: i32, read_only: bool) {
        self.receive(|out| {
            out.put(&ConnectResponse {
                protocol_version: 0,
                timeout_ms,
                session_id: SessionId(session_id),
                password: Some(&[5; 16]),
                read_only: Some(read_only),
            });
        });
    }

    fn answer(&mut self, xid: i32, zxid: i64, error: ErrorCode) {
        self.receive(|out| out.put(&ReplyHeader { xid: Xid(xid), zxid: Zxid(zxid), error }));
    }

    fn notify(&mut self, kind: EventType, path: &'static str) {
        self.receive(|out| {
            let (xid, error) = (Xid::NOTIFICATION, ErrorCode::Ok);
            out.put(&ReplyHeader { xid, zxid: Zxid(99), error });
            out.put(&WatcherEvent { kind: kind.code(), state: 3, path: path.into() });
        });
    }

    fn ask(&mut self, op: OpCode, who: &'static str) {
        let watch = WatchEffect::None;
        self.step(Input::Submit(Request { op, body: &[], watch, reply: who }));
    }

    fn watch(&mut self, watcher: u64, path: &str, want: Want, who: &'static str) {
        let mut body = Vec::new();
        body.put(&ReadRequest { path: path.into(), watch: true });
        let watcher = WatcherId(watcher);
        let watch = WatchEffect::Register(Registration { path: path.into(), want, watcher });
        let op = OpCode::GetData;
        self.step(Input::Submit(Request { op, body: &body, watch, reply: who }));
    }

    /// The requests that the server has received since the last look.
    fn requests(&mut self) -> Vec<(i32, OpCode)> {
        let frames = std::mem::take(&mut self.inbox);
        let header = |frame: &Vec<u8>| {
            let header: RequestHeader = Decoder::new(frame).read().unwrap();
            (header.xid.0, OpCode::try_from(header.op).unwrap())
        };
        frames.iter().map(header).collect()
    }

    fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}
