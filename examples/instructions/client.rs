//! The client's pure rooms: the codec, and the session from call to answer.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use znode::proto::replies::{DataReply, NamesReply};
use znode::proto::requests::{ReadRequest, SetDataRequest};
use znode::proto::{
    ConnectResponse, Decoder, Encode, ErrorCode, EventType, JutePut, KeeperState, OpCode,
    ReplyHeader, SessionId, Version, WatcherEvent, Xid, Zxid,
};
use znode::session::{
    Config, Input, Limits, Outbox, Registration, Request, Session, Want, WatchEffect, WatcherId,
};
use znode::{HostPort, Moment, ShuffledRing, Stat};
use znode_testing::counting::{Ready, Work};

/// What the client does.
pub(crate) const WORKS: &[(&str, Ready)] = &[
    ("codec: write getData", write_get),
    ("codec: write setData", write_set),
    ("codec: read data and stat", read_data),
    ("codec: read 100 names", read_names),
    ("session: get", get),
    ("session: 64 gets at once", gets),
    ("session: watch, event", watched),
];

const PATH: &str = "/all/node-0000000001";
const DATA: &[u8] = &[b'x'; 100];
/// How long an answer is: header, data, stat.
const FRAME: usize = 16 + 4 + DATA.len() + 68;

fn written(record: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put(record);
    bytes
}

fn get_record() -> ReadRequest<'static> {
    ReadRequest { path: PATH.into(), watch: false }
}

fn write_get() -> Work {
    let mut bytes = Vec::new();
    Box::new(move || {
        bytes.clear();
        bytes.put(black_box(&get_record()));
    })
}

fn write_set() -> Work {
    let mut bytes = Vec::new();
    Box::new(move || {
        bytes.clear();
        let record = SetDataRequest { path: PATH.into(), data: Some(DATA), version: Version::ANY };
        bytes.put(black_box(&record));
    })
}

fn read_data() -> Work {
    let bytes = written(&DataReply { data: Some(DATA), stat: Stat::default() });
    Box::new(move || {
        let reply = Decoder::new(black_box(&bytes)).read::<DataReply<'_>>();
        black_box(reply.expect("what was written can be read"));
    })
}

fn read_names() -> Work {
    let names = (0..100).map(|nth| format!("member-{nth:010}").into()).collect();
    let bytes = written(&NamesReply { names });
    Box::new(move || {
        let reply = Decoder::new(black_box(&bytes)).read::<NamesReply<'_>>();
        black_box(reply.expect("what was written can be read"));
    })
}

/// A session and whatever it sends to.
struct Talk {
    session: Session<u32>,
    out: Outbox<u32>,
    xid: i32,
    body: Vec<u8>,
}

impl Talk {
    /// One that a server has confirmed.
    fn new() -> Self {
        let config = Config {
            hosts: Box::new(ShuffledRing::new(vec![HostPort::new("zk", 2181)], 1)),
            session_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            read_only: false,
            resume: None,
            limits: Limits {
                in_flight_max: 1_000,
                in_flight_bytes_max: 1 << 20,
                waiting_max: 1_000,
            },
            sasl: None,
            tick: None,
        };
        let session = Session::new(Moment::START, config);
        let mut talk = Self { session, out: Outbox::default(), xid: 0, body: Vec::new() };
        talk.step(Input::Tick);
        talk.step(Input::Connected);
        talk.step(Input::Received(Bytes::from(written(&ConnectResponse {
            protocol_version: 0,
            timeout_ms: 60_000,
            session_id: SessionId(7),
            password: Some(&[1; 16]),
            read_only: Some(false),
        }))));
        talk
    }

    /// One step, and what a shell does with what comes out: it looks at all of it.
    fn step(&mut self, input: Input<'_, u32>) -> usize {
        self.session.step(Moment::START, input, &mut self.out);
        let (outputs, bytes) = self.out.drain();
        black_box(bytes);
        let count = outputs.map(black_box).count();
        self.out.clear(1 << 16);
        count
    }

    fn ask(&mut self, watch: WatchEffect) {
        self.body.clear();
        self.body.put(&get_record());
        let body = std::mem::take(&mut self.body);
        self.step(Input::Submit(Request { op: OpCode::GetData, body: &body, watch, reply: 1 }));
        self.body = body;
    }

    fn answer(&mut self) {
        self.xid += 1;
        let header = ReplyHeader { xid: Xid(self.xid), zxid: Zxid(1), error: ErrorCode::Ok };
        // One allocation, of the right size: what a shell reads is larger, and cut up.
        let mut frame = Vec::with_capacity(FRAME);
        frame.put(&header);
        frame.put(&DataReply { data: Some(DATA), stat: Stat::default() });
        assert_eq!(self.step(Input::Received(Bytes::from(frame))), 1, "nobody was answered");
    }
}

fn get() -> Work {
    let mut talk = Talk::new();
    Box::new(move || {
        talk.ask(WatchEffect::None);
        talk.answer();
    })
}

fn gets() -> Work {
    let mut talk = Talk::new();
    Box::new(move || {
        (0..64).for_each(|_| talk.ask(WatchEffect::None));
        (0..64).for_each(|_| talk.answer());
    })
}

fn watched() -> Work {
    let mut talk = Talk::new();
    let path: Arc<str> = PATH.into();
    let mut event =
        written(&ReplyHeader { xid: Xid::NOTIFICATION, zxid: Zxid(-1), error: ErrorCode::Ok });
    event.put(&WatcherEvent {
        kind: EventType::NodeDataChanged.code(),
        state: KeeperState::SyncConnected.code(),
        path: PATH.into(),
    });
    let event = Bytes::from(event);
    let mut watcher = 0;
    Box::new(move || {
        watcher += 1;
        talk.ask(WatchEffect::Register(Registration {
            path: Arc::clone(&path),
            want: Want::Data,
            watcher: WatcherId(watcher),
        }));
        talk.answer();
        assert_eq!(talk.step(Input::Received(event.clone())), 1, "nobody was told");
    })
}
