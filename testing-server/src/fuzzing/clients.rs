//! What clients and operators send.

use std::time::Duration;

use znode::proto::multi::{MultiOp, MultiRequest};
use znode::proto::requests::{
    AddWatchRequest, CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest,
    PathRequest, ReadRequest, SetAclRequest, SetDataRequest,
};
use znode::proto::{
    AclRecord, ConnectRequest, Decoder, ErrorCode, FRAME_LEN_MAX, JutePut, OpCode, Perms,
    RequestHeader, Version, Xid,
};

use super::Choices;
use super::world::{World, assert_frames, hello, request};
use crate::auth::sasl::Conversation;
use crate::auth::{x500, x509};
use crate::io::framing::{Next, next};
use crate::node::input::{ConnId, Input};

/// Paths that requests are about: few enough to meet each other.
const PATHS: [&str; 11] = [
    "/a",
    "/a/b",
    "/a/b/c",
    "/d",
    "/d/e",
    "/",
    "/zookeeper/quota/a",
    "/a/s-",
    "a//",
    "/zookeeper",
    "",
];

/// Bytes of a connection, with or without a session: the first says which.
pub(super) fn frames(bytes: &[u8]) {
    let mut from = Choices(bytes);
    let mut world = World::new();
    let has_session = from.byte() % 2 == 1;
    let conn = if has_session { world.connect() } else { world.accept() };
    world.slow_disk = from.byte() % 2 == 1;
    let (mut fresh, mut rest) = (!has_session, from.0);
    loop {
        match next(rest, fresh, FRAME_LEN_MAX) {
            Next::Frame(frame, behind) => {
                world.frame(conn, frame);
                (fresh, rest) = (false, behind);
            }
            Next::Word(word) => {
                world.step(Input::FourLetterWord { conn, word, sizes: (0, 0) });
                // An answer in words, which is no frame.
                world.take(conn);
                break;
            }
            Next::Incomplete => break,
            Next::Broken => {
                world.step(Input::Closed { conn });
                break;
            }
        }
    }
    world.check();
}

/// Requests that can be read, of three clients, with a disk that is slow at times.
pub(super) fn requests(bytes: &[u8]) {
    let mut from = Choices(bytes);
    let mut world = World::new();
    let mut clients = [world.connect(), world.connect(), world.connect()];
    let mut xid = 0;
    while !from.is_empty() && xid < 200 {
        xid += 1;
        let who = usize::from(from.byte()) % clients.len();
        match from.byte() % 24 {
            20 => world.slow_disk = true,
            21 => {
                world.slow_disk = false;
                world.persist();
            }
            22 => world.pass(Duration::from_millis(from.number() as u64 % 1000)),
            23 => {
                world.step(Input::Closed { conn: clients[who] });
                clients[who] = world.connect();
            }
            kind => one_request(&mut world, clients[who], Xid(xid), kind, &mut from),
        }
        if world.is_closed(clients[who]) {
            world.slow_disk = false;
            world.persist();
            clients[who] = world.connect();
        }
    }
    world.check();
}

fn one_request(world: &mut World, conn: ConnId, xid: Xid, kind: u8, from: &mut Choices<'_>) {
    let path = from.of(&PATHS);
    let version = Version(i32::from(from.byte() % 5) - 1);
    let len = usize::from(from.byte() % 16);
    let data = Some(from.take(len));
    let (watch, read) = (version.0 == 0, |watch| ReadRequest { path: path.into(), watch });
    let frame = match kind {
        0..=3 => {
            let op = from.of(&[OpCode::Create, OpCode::Create2, OpCode::CreateContainer]);
            request(xid, op, &create(path, data, from))
        }
        4 => {
            let CreateRequest { path, data, acl, flags } = create(path, data, from);
            let ttl_ms = i64::from(from.byte()) - 2;
            let body = CreateTtlRequest { path, data, acl, flags, ttl_ms };
            request(xid, OpCode::CreateTtl, &body)
        }
        5 | 6 => request(xid, OpCode::Delete, &DeleteRequest { path: path.into(), version }),
        7 | 8 => {
            request(xid, OpCode::SetData, &SetDataRequest { path: path.into(), data, version })
        }
        9 => {
            let acl = acl(from);
            request(xid, OpCode::SetAcl, &SetAclRequest { path: path.into(), acl, version })
        }
        10 => request(xid, OpCode::GetData, &read(watch)),
        11 => request(xid, OpCode::Exists, &read(watch)),
        12 => request(xid, OpCode::GetChildren2, &read(watch)),
        13 => request(xid, OpCode::GetAcl, &PathRequest { path: Some(path.into()) }),
        14 => {
            let mode = i32::from(from.byte() % 3);
            request(xid, OpCode::AddWatch, &AddWatchRequest { path: path.into(), mode })
        }
        15 => request(xid, OpCode::GetAllChildrenNumber, &PathRequest { path: Some(path.into()) }),
        16 => request(xid, OpCode::GetEphemerals, &PathRequest { path: Some(path.into()) }),
        17 => request(xid, OpCode::CloseSession, &Nothing),
        _ => request(xid, OpCode::Multi, &some_multi(from)),
    };
    world.frame(conn, &frame);
}

fn create<'a>(path: &'a str, data: Option<&'a [u8]>, from: &mut Choices<'_>) -> CreateRequest<'a> {
    let flags = i32::from(from.byte() % 8);
    CreateRequest { path: path.into(), data, acl: acl(from), flags }
}

fn acl(from: &mut Choices<'_>) -> Option<Vec<AclRecord<'static>>> {
    let (scheme, id) = from.of(&[
        ("world", "anyone"),
        ("world", "anyone"),
        ("auth", ""),
        ("ip", "127.0.0.1"),
        ("ip", "10.0.0.0/8"),
        ("digest", "user:hash"),
        ("sasl", "bob"),
        ("x509", "CN=bob"),
        ("none", ""),
    ]);
    let perms =
        if from.byte().is_multiple_of(4) { Perms(i32::from(from.byte())) } else { Perms::ALL };
    Some(vec![AclRecord::new(perms, scheme, id)])
}

fn some_multi<'a>(from: &mut Choices<'a>) -> MultiRequest<'a> {
    let count = from.byte() % 6;
    let ops = (0..count).map(|_| {
        let kind = from.byte() % 5;
        let path = from.of(&PATHS);
        let version = Version(i32::from(from.byte() % 4) - 1);
        let len = usize::from(from.byte() % 8);
        let data = Some(from.take(len));
        match kind {
            0 | 1 => {
                let op = from.of(&[OpCode::Create, OpCode::Create2, OpCode::CreateContainer]);
                MultiOp::Create(op, create(path, data, from))
            }
            2 => MultiOp::Delete(DeleteRequest { path: path.into(), version }),
            3 => MultiOp::SetData(SetDataRequest { path: path.into(), data, version }),
            _ => MultiOp::Check(CheckVersionRequest { path: path.into(), version }),
        }
    });
    MultiRequest { ops: ops.collect() }
}

/// No body.
struct Nothing;

impl znode::proto::Encode for Nothing {
    fn encode(&self, _out: &mut Vec<u8>) {}
}

/// The first frame of a connection; the first byte tells whether it follows another session's.
pub(super) fn handshake(bytes: &[u8]) {
    let mut world = World::new();
    let sessions = world.node.session_views().len();
    let conn = world.accept();
    world.frame(conn, bytes);
    let answered = world.take(conn);
    assert_frames_of_handshake(&answered);
    let asked = Decoder::new(bytes).read::<ConnectRequest<'_>>();
    if asked.is_err() {
        assert!(answered.is_empty() && world.is_closed(conn), "an unreadable handshake");
        assert_eq!(world.node.session_views().len(), sessions);
    }
    // A stranger must not get into a session by its number alone.
    let known = world.node.session_views();
    if let Some(session) = known.first() {
        let stranger = world.accept();
        let mut frame = Vec::new();
        let password = bytes.get(..16).unwrap_or_default();
        frame.put(&hello(session.id, password));
        world.frame(stranger, &frame);
        let answer = world.take(stranger);
        let refused = Decoder::new(answer.get(8..).unwrap_or_default()).read::<i32>();
        assert_eq!(refused.ok(), Some(0), "a wrong password has opened a session");
    }
    world.check();
}

fn assert_frames_of_handshake(bytes: &[u8]) {
    if !bytes.is_empty() {
        assert_eq!(assert_frames(bytes).len(), 1);
    }
}

/// The body of a multi, and of a multi-read: it does all or nothing.
pub(super) fn multi(bytes: &[u8]) {
    let mut world = World::new();
    let conn = world.connect();
    for path in ["/a", "/a/b", "/d"] {
        let acl = Some(vec![AclRecord::new(Perms::ALL, "world", "anyone")]);
        let create = CreateRequest { path: path.into(), data: Some(b"data"), acl, flags: 0 };
        world.frame(conn, &request(Xid(1), OpCode::Create, &create));
    }
    for op in [OpCode::MultiRead, OpCode::Multi] {
        world.take(conn);
        let (before, len) = (world.digest(), world.node.tree.len());
        let mut frame = Vec::new();
        frame.put(&RequestHeader { xid: Xid(2), op: op.code() });
        frame.extend_from_slice(bytes);
        world.frame(conn, &frame);
        let answer = assert_frames(&world.take(conn));
        assert_eq!(answer.len(), 1, "one answer");
        if op == OpCode::MultiRead || answer[0].error != ErrorCode::Ok {
            assert_eq!((world.digest(), world.node.tree.len()), (before, len), "half of a multi");
        }
    }
    world.check();
}

/// The body of SetWatches and SetWatches2: the first byte says which.
pub(super) fn set_watches(bytes: &[u8]) {
    let mut from = Choices(bytes);
    let op = from.of(&[OpCode::SetWatches, OpCode::SetWatches2, OpCode::AddWatch]);
    let mut world = World::new();
    let conn = world.connect();
    let mut frame = Vec::new();
    frame.put(&RequestHeader { xid: Xid::SET_WATCHES, op: op.code() });
    frame.extend_from_slice(from.0);
    world.frame(conn, &frame);
    let answers = assert_frames(&world.take(conn));
    assert!(answers.iter().any(|header| header.xid == Xid::SET_WATCHES), "no answer");
    for path in ["/a", "/a/b"] {
        let acl = Some(vec![AclRecord::new(Perms::ALL, "world", "anyone")]);
        let create = CreateRequest { path: path.into(), data: None, acl, flags: 0 };
        world.frame(conn, &request(Xid(1), OpCode::Create, &create));
    }
    world.node.watch_views();
    // What a connection watches goes with it.
    world.step(Input::Closed { conn });
    assert!(world.node.watch_views().is_empty(), "watches of nobody");
    world.check();
}

/// Four-letter words, one after the other.
pub(super) fn words(bytes: &[u8]) {
    let mut world = World::new();
    for word in bytes.chunks(8).take(32) {
        let conn = world.accept();
        if let Next::Word(word) = next(word, true, FRAME_LEN_MAX) {
            world.step(Input::FourLetterWord { conn, word, sizes: (1, 2) });
            let answer = world.take(conn);
            assert!(std::str::from_utf8(&answer).is_ok(), "words that are no text");
            assert!(world.is_closed(conn), "a word has no sequel");
        } else {
            world.step(Input::Closed { conn });
        }
    }
    world.check();
}

/// What somebody at the desk asks for: a path with a query, then a header.
#[cfg(feature = "admin")]
pub(super) fn desk(bytes: &[u8]) {
    crate::io::desk::fuzz(bytes);
}

/// A token in answer to a challenge.
pub(super) fn sasl(bytes: &[u8]) {
    let mut world = World::new();
    let logins = &world.node.settings.rules.logins;
    let mut conversation = Conversation::default();
    conversation.answer(logins, b"", "nonce".to_owned());
    let step = conversation.answer(logins, bytes, "other".to_owned());
    let proved = matches!(step, crate::auth::sasl::Step::Proved { .. });
    assert!(!proved || bytes.windows(5).any(|part| part == b"nonce"), "{step:?}");
    let over = conversation.answer(logins, bytes, "third".to_owned());
    assert!(matches!(over, crate::auth::sasl::Step::Failed(_)), "it goes on");
    let conn = world.connect();
    for _ in 0..2 {
        let mut frame = Vec::new();
        frame.put(&RequestHeader { xid: Xid(1), op: OpCode::Sasl.code() });
        frame.extend_from_slice(bytes);
        world.frame(conn, &frame);
    }
    world.check();
}

/// A certificate in DER, of whose issuer nothing is known here; and names as lists have them.
pub(super) fn certificate(bytes: &[u8]) {
    if let Some(identities) = x509::identities(bytes, Some("CN=super")) {
        assert!(identities.iter().any(|identity| &*identity.scheme == "x509"), "nobody");
    }
    x500::is_valid(&String::from_utf8_lossy(bytes));
}
