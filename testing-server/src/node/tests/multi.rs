//! Multi: all or nothing, one zxid, and results that name the one that failed.

use znode::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};

use super::*;

fn op(path: &str, flags: i32) -> MultiOp<'_> {
    MultiOp::Create(OpCode::Create, create(path, flags))
}

fn check(path: &str, version: i32) -> MultiOp<'_> {
    MultiOp::Check(CheckVersionRequest { path: path.into(), version: Version(version) })
}

fn multi(world: &mut World, c: ConnId, ops: Vec<MultiOp<'_>>) -> Answer {
    world.call(c, OpCode::Multi, &MultiRequest { ops })
}

fn errors(answer: &Answer) -> Vec<i32> {
    let results = answer.read::<MultiResponse<'_>>().results;
    let error = |result: &MultiResult<'_>| match result {
        MultiResult::Error(error) => error.code(),
        other => panic!("{other:?}"),
    };
    results.iter().map(error).collect()
}

#[test]
fn every_operation_shares_one_zxid_and_sees_those_before_it() {
    let mut world = World::new();
    let c = world.connect();
    let answer = multi(
        &mut world,
        c,
        vec![
            op("/a", 0),
            MultiOp::Create(OpCode::Create2, create("/a/s-", 2)),
            MultiOp::SetData(set_data("/a", b"x", 0)),
            check("/a", 1),
            MultiOp::Delete(delete("/a/s-0000000000", 0)),
            MultiOp::Create(OpCode::CreateContainer, create("/c", 4)),
            MultiOp::CreateTtl(create_ttl("/t", 5, 1000)),
        ],
    );
    let results = answer.read::<MultiResponse<'_>>().results;
    assert_eq!(results[0], MultiResult::Create("/a".into()));
    assert!(matches!(&results[1], MultiResult::Create2(reply) if reply.path == "/a/s-0000000000"));
    assert!(matches!(&results[2], MultiResult::SetData(stat) if stat.version == Version(1)));
    assert_eq!((&results[3], &results[4]), (&MultiResult::Check, &MultiResult::Delete));
    assert!(matches!(&results[5], MultiResult::Create2(_)));
    assert!(matches!(&results[6], MultiResult::Create2(_)));
    let stat = world.stat(c, "/a").unwrap();
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), {
        let zxid = answer.header.zxid;
        (zxid, zxid, zxid)
    });
}

#[test]
fn edge_06_a_failure_does_nothing_and_still_takes_its_zxid() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let answer = multi(&mut world, c, vec![op("/b", 0), check("/a", 7), op("/c", 0), op("/d", 0)]);
    assert_eq!(errors(&answer), [0, -103, -2, -2]);
    assert_eq!(answer.header.error, ErrorCode::Ok);
    assert_eq!(world.stat(c, "/b"), None);
    let next = world.call(c, OpCode::Create, &create("/e", 0)).header.zxid;
    assert_eq!(next, Zxid(answer.header.zxid.0 + 1));
    assert_eq!(world.children(c, "/"), ["a", "e", "zookeeper"]);
}

#[test]
fn a_failure_gives_the_sequence_number_back() {
    // ZOOKEEPER-1624
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/q");
    let answer = multi(&mut world, c, vec![op("/q/n-", 2), check("/missing", 0)]);
    assert_eq!(errors(&answer), [0, -101]);
    assert_eq!(world.create_mode(c, "/q/n-", 2).unwrap(), "/q/n-0000000000");
}

#[test]
fn an_empty_multi_is_its_terminator() {
    let mut world = World::new();
    let c = world.connect();
    let answer = multi(&mut world, c, vec![]);
    assert!(answer.read::<MultiResponse<'_>>().results.is_empty());
}

#[test]
fn check_names_its_errors_in_apaches_order() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    world.create(c, "/closed");
    world.call(c, OpCode::SetAcl, &set_acl("/closed", acl(Perms::WRITE, "world", "anyone"), -1));
    for (ops, expected) in [
        (check("/a/", 0), -8),
        (check("/missing", 0), -101),
        (check("/closed", 9), -102),
        (check("/a", 9), -103),
    ] {
        let answer = multi(&mut world, c, vec![ops]);
        assert_eq!(errors(&answer), [expected]);
    }
}

#[test]
fn flags_choose_the_flavour() {
    let mut world = World::new();
    let c = world.connect();
    // Outside a multi this would be a persistent node.
    let answer = multi(&mut world, c, vec![op("/c", 4)]);
    let results = answer.read::<MultiResponse<'_>>().results;
    assert!(matches!(&results[0], MultiResult::Create2(_)));
    assert!(world.node.node_view("/c").unwrap().is_container);
    // A createTTL without a mode that has a time to live is a create.
    let answer = multi(&mut world, c, vec![MultiOp::CreateTtl(create_ttl("/p", 0, 77))]);
    assert_eq!(answer.read::<MultiResponse<'_>>().results, [MultiResult::Create("/p".into())]);
}

#[test]
fn a_request_that_makes_no_sense_fails_as_a_whole() {
    let mut world = World::new();
    let c = world.connect();
    let no_acl = CreateRequest { acl: None, ..create("/a", 0) };
    for ops in [
        vec![op("/a", 9)],
        vec![op("/a", 5)],
        vec![MultiOp::Create(OpCode::Create, no_acl)],
        vec![MultiOp::GetData(read("/", false))],
        vec![op("/a", 0), MultiOp::GetData(read("/", false))],
    ] {
        let answer = multi(&mut world, c, ops);
        assert_eq!(answer.header.error, ErrorCode::MarshallingError);
        assert!(answer.body.is_empty());
    }
    assert_eq!(world.stat(c, "/a"), None);
}

#[test]
fn of_all_nonsense_only_a_missing_list_takes_no_zxid() {
    let mut world = World::new();
    let c = world.connect();
    let no_acl = CreateRequest { acl: None, ..create("/a", 0) };
    for (ops, taken) in [
        (vec![op("/a", 9)], 1),
        (vec![MultiOp::Create(OpCode::Create, no_acl)], 0),
        (vec![MultiOp::GetData(read("/", false))], 1),
    ] {
        let before = world.node.last_processed;
        let answer = multi(&mut world, c, ops);
        assert_eq!(answer.header.zxid, Zxid(before.0 + taken));
    }
}

#[test]
fn ephemerals_of_a_multi_go_with_their_session() {
    let mut world = World::new();
    let (c, session, _) = world.connect_for(10_000);
    let answer = multi(&mut world, c, vec![op("/e1", 1), op("/e-", 3)]);
    assert_eq!(answer.header.error, ErrorCode::Ok);
    world.step(Input::Expire(session));
    let other = world.connect();
    assert_eq!(world.children(other, "/"), ["zookeeper"]);
}

#[test]
fn events_of_a_multi_come_in_its_order_with_its_zxid() {
    let mut world = World::new();
    let c = world.connect();
    let add = AddWatchRequest { path: "/".into(), mode: 1 };
    world.call(c, OpCode::AddWatch, &add);
    let watcher = world.connect();
    world.call(watcher, OpCode::AddWatch, &add);
    let answer = multi(
        &mut world,
        c,
        vec![
            op("/a", 0),
            MultiOp::SetData(set_data("/a", b"", -1)),
            MultiOp::Delete(delete("/a", -1)),
        ],
    );
    let mut events = Vec::new();
    while let Some(event) = world.take(watcher) {
        assert_eq!(event.header.zxid, answer.header.zxid);
        events.push(event.event().0);
    }
    let expected = [EventType::NodeCreated, EventType::NodeDataChanged, EventType::NodeDeleted];
    assert_eq!(events, expected);
    let failed = multi(&mut world, c, vec![op("/b", 0), check("/missing", 0)]);
    assert_eq!(errors(&failed), [0, -101]);
    assert!(world.events(watcher).is_empty());
}
