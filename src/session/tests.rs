//! Scenarios of the session machine against a scripted server, with time in the test's hands.

mod sasl;

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
        self.receive(|out| {
            out.put(&ConnectResponse {
                protocol_version: 0,
                timeout_ms,
                session_id: SessionId(session_id),
                password: Some(&[5; 16]),
                read_only: Some(false),
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

#[test]
fn a_new_session_asks_for_id_zero_and_its_timeout() {
    let mut pair = Pair::new(config());
    assert_eq!(pair.log(), ["connect zk:1"]);
    pair.step(Input::Connected);
    let frame = pair.inbox.remove(0);
    let request: ConnectRequest<'_> = Decoder::new(&frame).read().unwrap();
    assert_eq!((request.session_id, request.timeout_ms), (SessionId::NONE, 9000));
    pair.greet(7, 6000);
    assert_eq!(pair.log(), ["state Connected"]);
    assert_eq!(pair.session.next_deadline(), pair.now + Duration::from_secs(2));
}

#[test]
fn requests_made_before_the_handshake_go_out_in_order_after_it() {
    let mut pair = Pair::new(config());
    pair.ask(OpCode::GetData, "a");
    pair.ask(OpCode::SetData, "b");
    assert!(pair.inbox.is_empty());
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(1, OpCode::GetData), (2, OpCode::SetData)]);
}

#[test]
fn no_more_requests_are_under_way_than_allowed() {
    let mut pair = Pair::connected();
    for who in ["a", "b", "c", "d", "e"] {
        pair.ask(OpCode::GetData, who);
    }
    assert_eq!(pair.requests().len(), 3);
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.requests(), [(4, OpCode::GetData)]);
    assert_eq!(pair.log(), ["a Ok"]);
}

#[test]
fn no_more_bytes_are_under_way_than_allowed_but_one_request_always_is() {
    let limits = Limits { in_flight_max: 9, in_flight_bytes_max: 10, waiting_max: 9 };
    let mut pair = Pair::new(Config { limits, ..config() });
    pair.shake_hands(7);
    for watcher in 1..4 {
        pair.watch(watcher, "/more-than-ten-bytes", Want::Data, "r");
    }
    assert_eq!(pair.requests().len(), 1);
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.requests().len(), 1);
}

#[test]
fn more_requests_than_may_wait_are_refused() {
    let limits = Limits { in_flight_max: 1, in_flight_bytes_max: 1 << 20, waiting_max: 2 };
    let mut pair = Pair::new(Config { limits, ..config() });
    pair.shake_hands(7);
    pair.log();
    for who in ["a", "b", "c", "d"] {
        pair.ask(OpCode::GetData, who);
    }
    assert_eq!(pair.log(), ["d failed unsent Overload"]);
    pair.answer(1, 1, ErrorCode::Ok);
    pair.ask(OpCode::GetData, "e");
    assert_eq!(pair.log(), ["a Ok"]);
}

#[test]
fn a_lost_connection_fails_what_was_sent_and_what_was_not() {
    let mut pair = Pair::connected();
    for who in ["a", "b", "c", "d"] {
        pair.ask(OpCode::GetData, who);
    }
    pair.step(Input::Broken);
    assert_eq!(
        pair.log(),
        [
            "state Suspect",
            "a failed sent ConnectionLoss",
            "b failed sent ConnectionLoss",
            "c failed sent ConnectionLoss",
            "d failed unsent ConnectionLoss",
            "connect zk:1",
        ]
    );
}

#[test]
fn a_request_made_while_suspect_waits_for_the_next_connection() {
    let mut pair = Pair::connected();
    pair.step(Input::Broken);
    pair.ask(OpCode::SetData, "a");
    pair.log();
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(1, OpCode::SetData)]);
    assert_eq!(pair.log(), ["state Connected"]);
}

#[test]
fn an_answer_out_of_order_breaks_the_connection() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::GetData, "a");
    pair.answer(2, 1, ErrorCode::Ok);
    assert_eq!(
        pair.log(),
        ["disconnect", "state Suspect", "a failed sent ConnectionLoss", "connect zk:1"]
    );
}

#[test]
fn xids_wrap_to_one() {
    let mut pair = Pair::connected();
    pair.session.pending.start_at(i32::MAX);
    pair.ask(OpCode::GetData, "a");
    pair.ask(OpCode::GetData, "b");
    assert_eq!(pair.requests(), [(i32::MAX, OpCode::GetData), (1, OpCode::GetData)]);
}

#[test]
fn an_idle_session_pings_after_a_third_of_its_timeout() {
    let mut pair = Pair::connected();
    pair.wait(T / 3 - Duration::from_millis(1));
    assert!(pair.inbox.is_empty());
    pair.wait(Duration::from_millis(1));
    assert_eq!(pair.requests(), [(-2, OpCode::Ping)]);
    pair.answer(-2, 0, ErrorCode::Ok);
    pair.wait(T / 3);
    assert_eq!(pair.requests(), [(-2, OpCode::Ping)]);
}

#[test]
fn a_silent_server_is_left_after_two_thirds_and_the_session_lost_at_the_timeout() {
    let mut pair = Pair::connected();
    pair.wait(T * 2 / 3 - Duration::from_millis(1));
    assert!(pair.log().is_empty());
    pair.wait(Duration::from_millis(1));
    assert_eq!(pair.log(), ["disconnect", "state Suspect", "connect zk:1"]);
    pair.wait(T / 3 - Duration::from_millis(1));
    assert!(pair.log().is_empty());
    pair.wait(Duration::from_millis(1));
    assert_eq!(pair.log(), ["disconnect", "state Expired"]);
    assert_eq!(pair.session.next_deadline(), Moment::NEVER);
}

#[test]
fn the_timeout_runs_from_the_sending_of_what_was_answered_not_from_the_answer() {
    let mut pair = Pair::connected();
    pair.wait(Duration::from_secs(1));
    pair.ask(OpCode::GetData, "a");
    pair.wait(Duration::from_secs(4));
    pair.answer(1, 1, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.log();
    // Sent at 1 s and answered at 5 s: lost at 10 s.
    pair.wait(Duration::from_secs(5) - Duration::from_millis(1));
    assert!(!pair.log().contains(&"state Expired".to_owned()));
    pair.wait(Duration::from_millis(1));
    assert!(pair.log().contains(&"state Expired".to_owned()));
}

#[test]
fn a_first_connection_is_given_up_at_the_connect_timeout() {
    let mut pair = Pair::new(config());
    pair.ask(OpCode::GetData, "a");
    pair.step(Input::Broken);
    pair.wait(Duration::from_secs(5));
    let log = pair.log();
    assert_eq!(log.last().unwrap(), "a failed unsent Ended(ConnectTimeout)");
    assert!(log.contains(&"state Closed".to_owned()));
}

#[test]
fn a_server_that_drops_every_connection_is_not_hammered() {
    let mut pair = Pair::new(Config { connect_timeout: Duration::from_secs(60), ..config() });
    let mut attempts = 0;
    while pair.now < Moment::START + Duration::from_secs(10) {
        attempts += pair.log().iter().filter(|word| word.starts_with("connect")).count();
        pair.step(Input::Connected);
        pair.step(Input::Broken);
        pair.now = pair.now.max(pair.session.next_deadline());
        pair.step(Input::Tick);
    }
    assert!((10..30).contains(&attempts), "{attempts} attempts in 10 s");
}

#[test]
fn an_expired_session_ends_everything() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 1, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.ask(OpCode::SetData, "a");
    pair.log();
    pair.step(Input::Connected);
    pair.greet(0, 0);
    assert_eq!(
        pair.log(),
        [
            "disconnect",
            "state Expired",
            "a failed unsent Ended(Expired)",
            "watcher 1 Over(Expired)"
        ]
    );
    pair.ask(OpCode::GetData, "b");
    assert_eq!(pair.log(), ["b failed unsent Ended(Expired)"]);
}

#[test]
fn a_resumed_session_with_another_id_is_an_expired_one() {
    let mut pair = Pair::connected();
    pair.step(Input::Broken);
    pair.log();
    pair.step(Input::Connected);
    pair.greet(8, 9000);
    assert_eq!(pair.log(), ["disconnect", "state Expired"]);
}

#[test]
fn a_resumed_session_shows_its_password_and_what_it_has_seen() {
    let resume = Resume { session_id: SessionId(7), password: [5; 16].into(), last_zxid: Zxid(40) };
    let mut pair = Pair::new(Config { resume: Some(resume), ..config() });
    pair.step(Input::Connected);
    let frame = pair.inbox.remove(0);
    let request: ConnectRequest<'_> = Decoder::new(&frame).read().unwrap();
    assert_eq!(request.session_id, SessionId(7));
    assert_eq!(request.password, Some(&[5; 16][..]));
    assert_eq!(request.last_zxid_seen, Zxid(40));
}

#[test]
fn events_do_not_move_the_newest_zxid() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::GetData, "a");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.notify(EventType::NodeDataChanged, "/a");
    pair.ask(OpCode::GetData, "b");
    pair.answer(2, 4, ErrorCode::Ok);
    assert_eq!(pair.session.last_zxid(), Zxid(5));
}

#[test]
fn watches_are_restored_before_requests_that_wait() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.ask(OpCode::GetData, "a");
    pair.requests();
    pair.step(Input::Connected);
    pair.inbox.clear();
    pair.greet(7, 9000);
    let restored: SetWatchesRequest<'_> = Decoder::new(&pair.inbox[0][8..]).read().unwrap();
    assert_eq!((restored.relative_zxid, &*restored.data[0]), (Zxid(5), "/a"));
    assert_eq!(pair.requests(), [(2, OpCode::SetWatches), (3, OpCode::GetData)]);
}

#[test]
fn many_watches_are_restored_in_several_requests() {
    let mut pair = Pair::connected();
    let path = |i: u32| format!("/{i:0>1000}");
    for i in 1..=300u32 {
        pair.watch(u64::from(i), &path(i), Want::Data, "r");
        pair.answer(i32::try_from(i).unwrap(), 5, ErrorCode::Ok);
    }
    pair.step(Input::Broken);
    pair.shake_hands(7);
    let sizes: Vec<usize> = pair.inbox.iter().map(Vec::len).collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size < 140 * 1024), "{sizes:?}");
}

#[test]
fn a_persistent_watcher_hears_of_the_gap_after_its_watch_stands_again() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Persistent, "r");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.log();
    pair.requests();
    pair.step(Input::Connected);
    pair.inbox.clear();
    pair.greet(7, 9000);
    assert_eq!(pair.requests(), [(2, OpCode::SetWatches2)]);
    assert_eq!(pair.log(), ["state Connected", "watcher 1 Gap"]);
}

#[test]
fn an_unwatch_is_told_to_the_server_and_overtaken_by_nothing() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.step(Input::Unwatch(WatcherId(1), None));
    pair.watch(2, "/a", Want::Data, "s");
    assert_eq!(
        pair.requests(),
        [(1, OpCode::GetData), (2, OpCode::RemoveWatches), (3, OpCode::GetData)]
    );
}

#[test]
fn who_unwatches_is_answered_when_the_watch_is_gone() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Persistent, "r");
    pair.watch(2, "/a", Want::Persistent, "s");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.answer(2, 5, ErrorCode::Ok);
    pair.log();
    pair.step(Input::Unwatch(WatcherId(1), Some("first")));
    assert_eq!(pair.log(), ["first Ok"]);
    pair.step(Input::Unwatch(WatcherId(2), Some("second")));
    assert!(pair.log().is_empty());
    pair.answer(3, 5, ErrorCode::Ok);
    assert_eq!(pair.log(), ["second Ok"]);
    pair.step(Input::Unwatch(WatcherId(2), Some("again")));
    assert_eq!(pair.log(), ["again Ok"]);
}

#[test]
fn a_read_that_fails_leaves_no_watch() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 5, ErrorCode::NoNode);
    pair.notify(EventType::NodeCreated, "/a");
    assert_eq!(pair.log(), ["r NoNode"]);
}

#[test]
fn identities_are_sent_again_before_anything_else() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::Auth, "auth");
    assert_eq!(pair.requests(), [(-4, OpCode::Auth)]);
    pair.step(Input::Broken);
    pair.ask(OpCode::GetData, "a");
    pair.log();
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(-4, OpCode::Auth), (1, OpCode::GetData)]);
    pair.answer(-4, 0, ErrorCode::Ok);
    assert_eq!(pair.log(), ["state Connected", "auth Ok"]);
}

#[test]
fn a_refused_identity_ends_the_session() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::Auth, "auth");
    pair.ask(OpCode::GetData, "a");
    pair.answer(-4, 0, ErrorCode::AuthFailed);
    assert_eq!(
        pair.log(),
        [
            "disconnect",
            "state AuthFailed",
            "a failed sent Ended(AuthFailed)",
            "auth failed sent Ended(AuthFailed)"
        ]
    );
}

#[test]
fn closing_waits_for_what_came_before_and_refuses_what_comes_after() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::SetData, "a");
    pair.ask(OpCode::CloseSession, "close");
    pair.ask(OpCode::SetData, "b");
    assert_eq!(pair.requests(), [(1, OpCode::SetData), (2, OpCode::CloseSession)]);
    assert_eq!(pair.log(), ["b failed unsent Ended(Closed)"]);
    pair.answer(1, 1, ErrorCode::Ok);
    pair.answer(2, 2, ErrorCode::Ok);
    assert_eq!(pair.log(), ["a Ok", "close Ok", "disconnect", "state Closed"]);
}

#[test]
fn closing_without_a_connection_leaves_the_session_to_expire() {
    let mut pair = Pair::connected();
    pair.step(Input::Broken);
    pair.log();
    pair.ask(OpCode::CloseSession, "close");
    assert_eq!(
        pair.log(),
        ["disconnect", "state Closed", "close failed unsent Ended(LeftToExpire)"]
    );
}

#[test]
fn detaching_waits_for_answers_and_sends_nothing() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::SetData, "a");
    pair.step(Input::Detach);
    assert_eq!(pair.requests(), [(1, OpCode::SetData)]);
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.log(), ["a Ok", "disconnect", "state Closed"]);
    assert_eq!(pair.session.ending(), Some(Ending::Detached));
    assert!(pair.inbox.is_empty());
}

#[test]
fn a_garbled_handshake_tries_the_next_server() {
    let mut pair = Pair::new(config());
    pair.log();
    pair.step(Input::Connected);
    pair.receive(|out| out.put_string("HTTP/1.1 400"));
    assert_eq!(pair.log(), ["disconnect"]);
    pair.wait(Duration::from_millis(20));
    assert_eq!(pair.log(), ["connect zk:1"]);
}

#[test]
fn a_server_that_is_left_answers_everything_first() {
    let mut pair = Pair::new(Config { hosts: ring(1..2), ..config() });
    pair.shake_hands(7);
    pair.ask(OpCode::SetData, "a");
    pair.log();
    pair.requests();
    pair.step(Input::UpdateHosts(vec![HostPort::new("new", 1)]));
    pair.ask(OpCode::SetData, "b");
    assert!(pair.requests().is_empty());
    assert!(pair.log().is_empty());
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.log(), ["a Ok", "disconnect", "state Suspect", "connect new:1"]);
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(2, OpCode::SetData)]);
    assert_eq!(pair.log(), ["state Connected"]);
}

#[test]
fn a_server_that_leaves_the_list_while_it_is_connected_to_is_left_again() {
    let mut pair = Pair::new(config());
    pair.step(Input::Connected);
    pair.step(Input::UpdateHosts(vec![HostPort::new("new", 1)]));
    pair.log();
    pair.greet(7, 9000);
    assert_eq!(pair.log(), ["state Connected", "disconnect", "state Suspect", "connect new:1"]);
    pair.shake_hands(7);
    assert_eq!(pair.log(), ["state Connected"]);
}

#[test]
fn a_read_only_session_goes_to_a_writable_server_once_there_is_one() {
    let mut pair = Pair::new(Config { hosts: ring(1..3), read_only: true, ..config() });
    let first = pair.log().remove(0);
    let (here, there) = if first == "connect zk:1" { (1, 2) } else { (2, 1) };
    let [here, there] = [here, there].map(|port| HostPort::new("zk", port));
    pair.step(Input::Connected);
    pair.receive(|out| {
        out.put(&ConnectResponse {
            protocol_version: 0,
            timeout_ms: 9000,
            session_id: SessionId(7),
            password: Some(&[5; 16]),
            read_only: Some(true),
        });
    });
    assert_eq!(pair.log(), ["state ConnectedReadOnly"]);
    pair.wait(Duration::from_millis(100));
    assert_eq!(pair.log(), [format!("probe {there}")]);
    pair.step(Input::Probed(there.clone(), Probed::ReadOnly));
    pair.wait(Duration::from_millis(200));
    assert_eq!(pair.log(), [format!("probe {here}")]);
    pair.step(Input::Probed(here, Probed::ReadOnly));
    pair.wait(Duration::from_millis(400));
    assert_eq!(pair.log(), [format!("probe {there}")]);
    pair.step(Input::Probed(there.clone(), Probed::Writable));
    assert_eq!(
        pair.log(),
        ["disconnect".to_owned(), "state Suspect".into(), format!("connect {there}")]
    );
    pair.shake_hands(7);
    assert_eq!(pair.log(), ["state Connected"]);
    pair.wait(T / 3);
    assert!(pair.log().is_empty());
}

#[test]
fn a_client_returns_to_its_own_zone_when_a_server_there_is_back() {
    let (near, far) = (HostPort::new("near", 1), HostPort::new("far", 1));
    let hosts = NearestFirst::new(vec![near.clone(), far], vec![near.clone()], 1);
    let mut pair = Pair::new(Config { hosts: Box::new(hosts), ..config() });
    assert_eq!(pair.log(), ["connect near:1"]);
    pair.step(Input::Broken);
    assert_eq!(pair.log(), ["connect far:1"]);
    pair.shake_hands(7);
    pair.log();
    pair.wait(Duration::from_millis(100));
    assert_eq!(pair.log(), ["probe near:1"]);
    pair.step(Input::Probed(near.clone(), Probed::Unreachable));
    pair.wait(Duration::from_millis(200));
    assert_eq!(pair.log(), ["probe near:1"]);
    pair.step(Input::Probed(near, Probed::Reachable));
    assert_eq!(pair.log(), ["disconnect", "state Suspect", "connect near:1"]);
    pair.shake_hands(7);
    pair.log();
    pair.wait(T / 3 - Duration::from_millis(1));
    assert!(pair.log().is_empty());
}

proptest::proptest! {
    /// Whatever a server sends, at whatever time, the session neither panics nor answers a
    /// request twice, and it answers every one by its end.
    #[test]
    fn a_hostile_server_gets_each_request_answered_once(
        script in proptest::collection::vec(hostile(), 1..60),
        proves_itself in proptest::prelude::any::<bool>()
    ) {
        let mut pair = Pair::new(if proves_itself { sasl::polite() } else { config() });
        let mut asked = 0;
        for act in script {
            match act {
                Hostile::Connected => pair.step(Input::Connected),
                Hostile::Greet(id) => pair.greet(id, 9000),
                Hostile::Answer(xid, error) => pair.answer(xid, 3, ErrorCode::from(error)),
                Hostile::Notify => pair.notify(EventType::NodeDeleted, "/a"),
                Hostile::Garbage(bytes) => pair.step(Input::Received(Bytes::from(bytes))),
                Hostile::Broken => pair.step(Input::Broken),
                Hostile::Wait(millis) => pair.wait(Duration::from_millis(millis)),
                Hostile::Ask => {
                    asked += 1;
                    pair.watch(asked, "/a", Want::Data, "who");
                }
                Hostile::Create => {
                    asked += 1;
                    pair.ask(OpCode::Create2, "who");
                }
                Hostile::AddWatch => {
                    asked += 1;
                    pair.watch(asked, "/p", Want::Persistent, "who");
                }
                Hostile::Unwatch(id) => pair.step(Input::Unwatch(WatcherId(id), None)),
                Hostile::Move => pair.step(Input::UpdateHosts(vec![HostPort::new("b", 2)])),
                Hostile::Probed => {
                    pair.step(Input::Probed(HostPort::new("c", 3), Probed::Writable));
                }
                Hostile::Close => {
                    asked += 1;
                    pair.ask(OpCode::CloseSession, "who");
                }
            }
        }
        pair.step(Input::Broken);
        pair.wait(T + Duration::from_secs(6));
        let answered = pair.log().iter().filter(|word| word.starts_with("who ")).count();
        proptest::prop_assert_eq!(answered, usize::try_from(asked).unwrap());
        proptest::prop_assert!(pair.session.ending().is_some());
    }
}

#[derive(Debug, Clone)]
enum Hostile {
    Connected,
    Greet(i64),
    Answer(i32, i32),
    Notify,
    Garbage(Vec<u8>),
    Broken,
    Wait(u64),
    Ask,
    Create,
    AddWatch,
    Unwatch(u64),
    Move,
    Probed,
    Close,
}

fn hostile() -> impl proptest::strategy::Strategy<Value = Hostile> {
    use proptest::prelude::*;

    prop_oneof![
        4 => Just(Hostile::Connected),
        4 => prop_oneof![Just(7), Just(0), Just(8)].prop_map(Hostile::Greet),
        6 => (-4..6i32, prop_oneof![Just(0), Just(-6), Just(-101), Just(-115)])
            .prop_map(|(xid, error)| Hostile::Answer(xid, error)),
        2 => Just(Hostile::Notify),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Hostile::Garbage),
        2 => Just(Hostile::Broken),
        2 => (0..4000u64).prop_map(Hostile::Wait),
        6 => Just(Hostile::Ask),
        4 => Just(Hostile::Create),
        2 => Just(Hostile::AddWatch),
        2 => (0..9u64).prop_map(Hostile::Unwatch),
        1 => Just(Hostile::Move),
        1 => Just(Hostile::Probed),
        1 => Just(Hostile::Close),
    ]
}
