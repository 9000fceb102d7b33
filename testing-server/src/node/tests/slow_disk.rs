//! A disk that takes its time: one order for everything, and writes that see those before them.

use proptest::prelude::*;
use znode::proto::multi::{MultiOp, MultiRequest};

use super::super::settings::OUTSTANDING_MAX;
use super::*;

fn slow() -> (World, ConnId) {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/q");
    world.slow_disk = true;
    (world, c)
}

fn paths(world: &mut World, c: ConnId) -> Vec<Result<String, ErrorCode>> {
    std::iter::from_fn(|| world.take(c))
        .map(|answer| match answer.header.error {
            ErrorCode::Ok => Ok(answer.read::<PathReply<'_>>().path.into_owned()),
            error => Err(error),
        })
        .collect()
}

#[test]
fn edge_39_everything_behind_a_write_waits_for_it_whoever_sent_it() {
    let (mut world, c) = slow();
    let other = world.accept();
    world.handshake(other, &hello(1000, SessionId::NONE, &[]));
    assert_eq!(world.take_frame(other), None);
    let write = world.send(c, OpCode::Create.code(), &create("/a", 0));
    let read = world.send(c, OpCode::Exists.code(), &read("/a", false));
    world.frame(c, &request(Xid::PING, OpCode::Ping.code(), &Empty));
    assert_eq!(world.take(c), None);
    let zxid = *world.appended.last().unwrap();
    world.step(Input::Persisted(Zxid(zxid.0 - 1)));
    assert!(world.take_frame(other).is_some());
    assert_eq!(world.take(c), None);
    world.step(Input::Persisted(zxid));
    let order: Vec<Xid> =
        std::iter::from_fn(|| world.take(c)).map(|answer| answer.header.xid).collect();
    assert_eq!(order, [write, read, Xid::PING]);
}

#[test]
fn a_read_in_front_of_a_write_does_not_see_it() {
    let (mut world, c) = slow();
    let first = world.send(c, OpCode::SetData.code(), &set_data("/q", b"1", -1));
    let between = world.send(c, OpCode::GetData.code(), &read("/q", false));
    let second = world.send(c, OpCode::SetData.code(), &set_data("/q", b"2", -1));
    world.persist();
    assert_eq!(world.take(c).unwrap().header.xid, first);
    let answer = world.take(c).unwrap();
    assert_eq!(answer.header.xid, between);
    assert_eq!(answer.read::<DataReply<'_>>().data, Some(&b"1"[..]));
    assert_eq!(world.take(c).unwrap().header.xid, second);
}

#[test]
fn edge_16_requests_behind_an_unanswered_handshake_are_held_and_not_dropped() {
    let mut world = World::new();
    world.slow_disk = true;
    let c = world.accept();
    world.handshake(c, &hello(1000, SessionId::NONE, &[]));
    world.send(c, OpCode::Create.code(), &create("/a", 1));
    let read = world.send(c, OpCode::Exists.code(), &read("/a", false));
    assert_eq!(world.take_frame(c), None);
    world.persist();
    let (session, ..) = world.connect_response(c);
    assert!(world.take(c).is_some());
    let answer = world.take(c).unwrap();
    assert_eq!(answer.header.xid, read);
    assert_eq!(answer.read::<StatReply>().stat.ephemeral_owner, session);
}

#[test]
fn waiting_writes_see_each_other() {
    let (mut world, c) = slow();
    for request in [create("/q/n-", 2), create("/q/n-", 2), create("/q/a", 0), create("/q/a", 0)] {
        world.send(c, OpCode::Create.code(), &request);
    }
    world.send(c, OpCode::Create.code(), &create("/q/a/b", 1));
    world.send(c, OpCode::Create.code(), &create("/q/a/b/c", 0));
    world.persist();
    assert_eq!(
        paths(&mut world, c),
        [
            Ok("/q/n-0000000000".to_owned()),
            Ok("/q/n-0000000001".to_owned()),
            Ok("/q/a".to_owned()),
            Err(ErrorCode::NodeExists),
            Ok("/q/a/b".to_owned()),
            Err(ErrorCode::NoChildrenForEphemerals),
        ]
    );
}

#[test]
fn versions_children_and_lists_that_wait_count() {
    let (mut world, c) = slow();
    let requests: [(OpCode, Vec<u8>, ErrorCode); 9] = {
        let bytes = |body: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            body(&mut out);
            out
        };
        let nobody = acl(Perms::READ, "world", "anyone");
        [
            (OpCode::SetData, bytes(&|o| set_data("/q", b"", 0).encode(o)), ErrorCode::Ok),
            (OpCode::SetData, bytes(&|o| set_data("/q", b"", 0).encode(o)), ErrorCode::BadVersion),
            (OpCode::Create, bytes(&|o| create("/q/a", 0).encode(o)), ErrorCode::Ok),
            (OpCode::Delete, bytes(&|o| delete("/q", 1).encode(o)), ErrorCode::NotEmpty),
            (OpCode::Delete, bytes(&|o| delete("/q/a", 0).encode(o)), ErrorCode::Ok),
            (OpCode::SetData, bytes(&|o| set_data("/q/a", b"", 0).encode(o)), ErrorCode::NoNode),
            (OpCode::SetAcl, bytes(&|o| set_acl("/q", nobody.clone(), 0).encode(o)), ErrorCode::Ok),
            (OpCode::Create, bytes(&|o| create("/q/b", 0).encode(o)), ErrorCode::NoAuth),
            (OpCode::Delete, bytes(&|o| delete("/q", 1).encode(o)), ErrorCode::Ok),
        ]
    };
    for (op, body, _) in &requests {
        world.send(c, op.code(), &Raw(body));
    }
    world.persist();
    for (op, _, expected) in &requests {
        assert_eq!(world.take(c).unwrap().header.error, *expected, "{op:?}");
    }
    assert!(world.node.node_view("/q").is_none());
}

#[test]
fn edge_23_a_failed_multi_restores_the_records_of_node_and_parent() {
    // ZOOKEEPER-1624
    let (mut world, c) = slow();
    world.send(c, OpCode::Create.code(), &create("/q/n-", 2));
    let failing = MultiRequest {
        ops: vec![
            MultiOp::Create(OpCode::Create, create("/q/n-", 2)),
            MultiOp::SetData(set_data("/q", b"lost", 0)),
            MultiOp::Delete(delete("/q/n-0000000000", -1)),
            MultiOp::Delete(delete("/missing", -1)),
        ],
    };
    world.send(c, OpCode::Multi.code(), &failing);
    world.send(c, OpCode::Create.code(), &create("/q/n-", 2));
    world.send(c, OpCode::SetData.code(), &set_data("/q", b"kept", 0));
    world.send(c, OpCode::SetData.code(), &set_data("/q/n-0000000000", b"kept", 0));
    world.persist();
    let created = world.take(c).unwrap();
    assert_eq!(created.read::<PathReply<'_>>().path, "/q/n-0000000000");
    assert_eq!(world.take(c).unwrap().header.error, ErrorCode::Ok);
    let next = world.take(c).unwrap();
    assert_eq!(next.read::<PathReply<'_>>().path, "/q/n-0000000001");
    for _ in 0..2 {
        assert_eq!(world.take(c).unwrap().header.error, ErrorCode::Ok);
    }
    assert_eq!(&world.node.node_view("/q").unwrap().data.unwrap()[..], b"kept");
}

#[test]
fn closing_takes_ephemerals_along_that_only_wait() {
    let (mut world, c) = slow();
    world.send(c, OpCode::Create.code(), &create("/e1", 1));
    world.send(c, OpCode::Create.code(), &create("/e2", 1));
    world.send(c, OpCode::Delete.code(), &delete("/e1", -1));
    world.send(c, OpCode::CloseSession.code(), &Empty);
    world.persist();
    let errors: Vec<ErrorCode> =
        std::iter::from_fn(|| world.take(c)).map(|answer| answer.header.error).collect();
    assert_eq!(errors, [ErrorCode::Ok; 4]);
    assert!(world.node.node_view("/e2").is_none());
    assert_eq!(world.node.tree.len(), 5);
}

#[test]
fn identities_count_as_of_the_arrival() {
    let (mut world, c) = slow();
    world.slow_disk = false;
    world.add_auth(c, "digest", b"me:pw");
    let secret = CreateRequest { acl: Some(acl(Perms::ALL, "auth", "")), ..create("/s", 0) };
    world.call(c, OpCode::Create, &secret);
    let reader = world.connect();
    world.slow_disk = true;
    world.send(c, OpCode::SetData.code(), &set_data("/q", b"", -1));
    let xid = world.send(reader, OpCode::GetData.code(), &read("/s", false));
    world.add_auth(reader, "digest", b"me:pw");
    world.persist();
    let answer = world.take(reader).unwrap();
    assert_eq!((answer.header.xid, answer.header.error), (xid, ErrorCode::NoAuth));
}

#[test]
fn the_answer_for_a_lost_connection_reaches_nobody() {
    let (mut world, c) = slow();
    world.send(c, OpCode::Create.code(), &create("/a", 0));
    world.send(c, OpCode::Exists.code(), &read("/a", true));
    world.step(Input::Closed { conn: c });
    let stranger = ConnId { generation: 1, ..c };
    world.step(Input::Accepted { conn: stranger, peer: SocketAddr::from(([127, 0, 0, 1], 7)) });
    world.persist();
    assert_eq!(world.take_frame(stranger), None);
    assert_eq!(world.take_frame(c), None);
    assert!(world.node.node_view("/a").is_some());
    assert!(world.node.watch_views().is_empty());
}

#[test]
fn unreadable_and_unknown_requests_keep_their_place_in_line() {
    let (mut world, c) = slow();
    let first = world.send(c, OpCode::SetData.code(), &set_data("/q", b"", -1));
    let unreadable = world.send(c, OpCode::Delete.code(), &Raw(b""));
    let unknown = world.send(c, 77, &Empty);
    world.send(c, OpCode::Ping.code(), &Empty);
    assert_eq!((world.take(c), world.is_closed(c)), (None, false));
    world.persist();
    let order: Vec<Xid> =
        std::iter::from_fn(|| world.take(c)).map(|answer| answer.header.xid).collect();
    assert_eq!(order, [first, unreadable, unknown]);
    assert!(world.is_closed(c));
}

#[test]
fn exhaustion_whoever_waits_is_not_read_once_too_many_wait() {
    let (mut world, c) = slow();
    let idle = world.accept();
    for _ in 0..OUTSTANDING_MAX {
        assert!(!world.node.is_throttled(c));
        world.send(c, OpCode::SetData.code(), &set_data("/q", b"", -1));
    }
    assert!(world.node.is_throttled(c));
    assert!(!world.node.is_throttled(idle));
    world.persist();
    assert!(!world.node.is_throttled(c));
}

/// What clients may ask for.
#[derive(Debug, Clone)]
enum Ask {
    Create(&'static str, i32),
    Delete(&'static str, i32),
    SetData(&'static str, i32),
    SetAcl(&'static str, bool),
    Multi(Vec<Ask>),
    Read(OpCode, &'static str, bool),
    AddWatch(&'static str, i32),
    CloseSession,
    /// The disk catches up with all that it was given so far, where it is slow.
    Persist,
}

const PATHS: [&str; 7] = ["/", "/a", "/b", "/a/c", "/a/c/d", "/a/n-", "/missing/x"];

fn path() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(PATHS.to_vec())
}

fn write() -> impl Strategy<Value = Ask> {
    prop_oneof![
        4 => (path(), 0..5i32).prop_map(|(path, flags)| Ask::Create(path, flags)),
        2 => (path(), -1..2i32).prop_map(|(path, version)| Ask::Delete(path, version)),
        2 => (path(), -1..2i32).prop_map(|(path, version)| Ask::SetData(path, version)),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let reads = vec![OpCode::Exists, OpCode::GetData, OpCode::GetChildren2];
    prop_oneof![
        8 => write(),
        1 => (path(), any::<bool>()).prop_map(|(path, open)| Ask::SetAcl(path, open)),
        3 => proptest::collection::vec(write(), 0..4).prop_map(Ask::Multi),
        4 => (proptest::sample::select(reads), path(), any::<bool>())
            .prop_map(|(op, path, watch)| Ask::Read(op, path, watch)),
        1 => (path(), 0..2i32).prop_map(|(path, mode)| Ask::AddWatch(path, mode)),
        1 => Just(Ask::CloseSession),
        4 => Just(Ask::Persist),
    ]
}

fn multi_op(ask: &Ask) -> MultiOp<'_> {
    match ask {
        Ask::Create(path, flags) => MultiOp::Create(OpCode::Create2, create(path, *flags)),
        Ask::Delete(path, version) => MultiOp::Delete(delete(path, *version)),
        Ask::SetData(path, version) => MultiOp::SetData(set_data(path, b"multi", *version)),
        other => unreachable!("{other:?}"),
    }
}

impl World {
    fn ask(&mut self, conn: ConnId, ask: &Ask) {
        match ask {
            Ask::Create(path, flags) => {
                self.send(conn, OpCode::Create2.code(), &create(path, *flags));
            }
            Ask::Delete(path, version) => {
                self.send(conn, OpCode::Delete.code(), &delete(path, *version));
            }
            Ask::SetData(path, version) => {
                self.send(conn, OpCode::SetData.code(), &set_data(path, b"new", *version));
            }
            Ask::SetAcl(path, all) => {
                let perms = if *all { Perms::ALL } else { Perms::READ };
                let body = set_acl(path, acl(perms | Perms::ADMIN, "world", "anyone"), -1);
                self.send(conn, OpCode::SetAcl.code(), &body);
            }
            Ask::Multi(asks) => {
                let ops = asks.iter().map(multi_op).collect();
                self.send(conn, OpCode::Multi.code(), &MultiRequest { ops });
            }
            Ask::Read(op, path, watch) => {
                self.send(conn, op.code(), &read(path, *watch));
            }
            Ask::AddWatch(path, mode) => {
                let body = AddWatchRequest { path: (*path).into(), mode: *mode };
                self.send(conn, OpCode::AddWatch.code(), &body);
            }
            Ask::CloseSession => {
                self.send(conn, OpCode::CloseSession.code(), &Empty);
            }
            Ask::Persist => self.persist(),
        }
    }
}

proptest! {
    #[test]
    fn a_slow_disk_changes_when_answers_come_and_not_what_they_say(
        asks in proptest::collection::vec((0..3usize, ask()), 0..80),
    ) {
        let run = |slow_disk| {
            let mut world = World::new();
            let conns = [world.connect(), world.connect(), world.connect()];
            world.slow_disk = slow_disk;
            for (who, ask) in &asks {
                world.ask(conns[*who], ask);
            }
            world.persist();
            world
        };
        let (quick, slow) = (run(false), run(true));
        prop_assert_eq!(&quick.received, &slow.received);
        prop_assert_eq!(&quick.closed, &slow.closed);
        prop_assert_eq!(quick.node.watch_views(), slow.node.watch_views());
        for path in PATHS {
            prop_assert_eq!(quick.node.node_view(path), slow.node.node_view(path));
        }
        prop_assert!(slow.node.outstanding.is_empty());
    }
}
