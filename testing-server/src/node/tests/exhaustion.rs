//! Whoever asks for too much, or for what makes no sense: each way to exhaust a server costs the
//! one who tries it, and nobody else.
//!
//! Those that other rooms know best are tested there, with the same first word: frames and their
//! lengths in `io/framing`, silent and slow connections in `io/tests`, counts in snapshots in
//! `log/tests`, connections of one address in `limits`, requests that are held in `throttle`.

use znode::proto::requests::{AddWatchRequest, CheckVersionRequest, SetWatchesRequest};

use super::*;
use crate::pipeline::read::MULTI_READ_LEN_MAX;

/// The good client is served, and its node is there.
fn is_served(world: &mut World, good: ConnId) {
    assert!(!world.is_closed(good));
    assert!(world.stat(good, "/mine").is_some());
}

fn start() -> (World, ConnId, ConnId) {
    let mut world = World::new();
    let (good, bad) = (world.connect(), world.connect());
    world.create_mode(good, "/mine", 1).unwrap();
    (world, good, bad)
}

#[test]
fn exhaustion_a_buffer_below_null_or_beyond_the_frame_is_refused() {
    for len in [-2, i32::MIN, 1_000, i32::MAX] {
        let (mut world, good, bad) = start();
        let mut body = Vec::new();
        body.put(&len);
        body.extend_from_slice(b"/x");
        let error = world.error(bad, OpCode::Create, &Raw(&body));
        assert_eq!(error, ErrorCode::MarshallingError, "{len}");
        is_served(&mut world, good);
    }
}

#[test]
fn exhaustion_a_list_longer_than_its_frame_allocates_nothing() {
    for count in [i32::MAX, 100_000_000] {
        let (mut world, good, bad) = start();
        let mut body = Vec::new();
        body.put_buffer(Some(b"/x"));
        body.put_buffer(Some(b""));
        body.put(&count);
        assert_eq!(world.error(bad, OpCode::Create, &Raw(&body)), ErrorCode::MarshallingError);
        let mut watches = Vec::new();
        watches.put(&Zxid::ZERO);
        watches.put(&count);
        let error = world.error(bad, OpCode::SetWatches, &Raw(&watches));
        assert_eq!(error, ErrorCode::MarshallingError);
        is_served(&mut world, good);
    }
}

#[test]
fn exhaustion_a_transaction_of_as_many_operations_as_fit_is_one() {
    let (mut world, good, bad) = start();
    // The smallest operation of all, as often as a frame holds it.
    let check = || MultiOp::Check(CheckVersionRequest { path: "/".into(), version: Version::ANY });
    let count = znode::proto::FRAME_LEN_MAX / 18 - 10;
    let ops: Vec<_> = (0..count).map(|_| check()).collect();
    let zxid = world.node.last_processed;
    let answer = world.call(bad, OpCode::Multi, &MultiRequest { ops });
    assert_eq!(answer.header.error, ErrorCode::Ok);
    assert_eq!(answer.header.zxid, Zxid(zxid.0 + 1));
    is_served(&mut world, good);
}

#[test]
fn exhaustion_a_hundred_thousand_watches_go_with_their_connection() {
    let (mut world, good, bad) = start();
    for i in 0..200 {
        let paths: Vec<String> = (0..500).map(|j| format!("/w/{i}/{j}")).collect();
        let request = SetWatchesRequest {
            relative_zxid: Zxid(i64::MAX),
            data: Vec::new(),
            exist: paths.iter().map(Into::into).collect(),
            child: Vec::new(),
        };
        world.frame(bad, &super::request(Xid::SET_WATCHES, OpCode::SetWatches.code(), &request));
        world.take_bytes(bad);
    }
    assert_eq!(world.node.watch_views().len(), 100_000);
    is_served(&mut world, good);
    world.step(Input::Closed { conn: bad });
    assert!(world.node.watch_views().is_empty());
}

#[test]
fn exhaustion_one_persistent_watch_is_one_however_often_it_is_added() {
    let (mut world, good, bad) = start();
    for _ in 0..1000 {
        let add = AddWatchRequest { path: "/a".into(), mode: 1 };
        assert_eq!(world.error(bad, OpCode::AddWatch, &add), ErrorCode::Ok);
    }
    assert_eq!(world.node.watch_views().len(), 1);
    is_served(&mut world, good);
}

#[test]
fn exhaustion_connections_that_say_nothing_are_closed_in_time() {
    let (mut world, good, _) = start();
    let silent: Vec<ConnId> = (0..500).map(|_| world.accept()).collect();
    world.pass(Duration::from_secs(9));
    world.frame(good, &request(Xid::PING, OpCode::Ping.code(), &Empty));
    assert!(silent.iter().all(|conn| !world.is_closed(*conn)));
    world.pass(Duration::from_secs(1));
    assert!(silent.iter().all(|conn| world.is_closed(*conn)));
    world.take(good);
    is_served(&mut world, good);
}

#[test]
fn exhaustion_sessions_without_end_expire_and_leave_nothing() {
    let (mut world, good, _) = start();
    for _ in 0..3000 {
        let (conn, ..) = world.connect_for(200);
        world.step(Input::Closed { conn });
    }
    assert!(world.node.session_views().len() > 3000);
    for _ in 0..12 {
        world.frame(good, &request(Xid::PING, OpCode::Ping.code(), &Empty));
        world.pass(Duration::from_millis(100));
    }
    while world.take(good).is_some() {}
    assert_eq!(world.node.session_views().len(), 2);
    is_served(&mut world, good);
}

#[test]
fn exhaustion_who_guesses_passwords_is_cut_off_each_time() {
    let (mut world, good, _) = start();
    let (.., session, mut password) = world.connect_for(60_000);
    let mut refused = 0;
    for guess in 0..2000_u16 {
        password[..2].copy_from_slice(&guess.to_be_bytes());
        let conn = world.accept();
        world.handshake(conn, &hello(60_000, session, &password));
        let (found, ..) = world.connect_response(conn);
        refused += u32::from(found == SessionId::NONE);
        assert_eq!(world.is_closed(conn), found == SessionId::NONE);
    }
    assert!(refused >= 1999, "{refused}");
    // A scheme that knows nobody of that name closes, too.
    for _ in 0..100 {
        let conn = world.connect();
        assert_eq!(world.add_auth(conn, "nobody", b"a:b"), ErrorCode::AuthFailed);
        assert!(world.is_closed(conn));
    }
    is_served(&mut world, good);
}

#[test]
fn exhaustion_who_is_too_many_is_cut_off() {
    let (mut world, good, bad) = start();
    let user = |name: &str| format!("{name}:x").into_bytes();
    // One is known from the start: by the address.
    for name in 1..1024 {
        let name = user(&name.to_string());
        assert_eq!(world.add_auth(bad, "digest", &name), ErrorCode::Ok);
        // Who says it again is no other.
        assert_eq!(world.add_auth(bad, "digest", &name), ErrorCode::Ok);
    }
    assert_eq!(world.add_auth(bad, "digest", &user("one-more")), ErrorCode::AuthFailed);
    assert!(world.is_closed(bad));
    let long = world.connect();
    assert_eq!(world.add_auth(long, "digest", &user(&"n".repeat(70_000))), ErrorCode::AuthFailed);
    assert!(world.is_closed(long));
    is_served(&mut world, good);
}

#[test]
fn exhaustion_one_node_is_not_read_without_end_by_one_request() {
    let (mut world, good, bad) = start();
    world.create(bad, "/large");
    world.set_data(bad, "/large", &vec![0; 1_000_000]);
    let get = || MultiOp::GetData(read("/large", false));
    let fits = MULTI_READ_LEN_MAX / 1_000_100;
    let few = world.call(bad, OpCode::MultiRead, &MultiRequest { ops: vec![get(); fits] });
    assert_eq!(few.header.error, ErrorCode::Ok);
    assert!(few.body.len() > fits * 1_000_000);
    let many = world.call(bad, OpCode::MultiRead, &MultiRequest { ops: vec![get(); fits + 1] });
    assert_eq!((many.header.error, many.body.len()), (ErrorCode::MarshallingError, 0));
    is_served(&mut world, good);
}

#[test]
fn exhaustion_containers_and_times_to_live_are_reaped_at_a_pace() {
    let settings = Settings::ruled(|rules| rules.containers_per_minute_max = 600);
    let mut world = World::with(settings);
    let (good, ..) = world.connect_for(60_000);
    for i in 0..50 {
        let path = format!("/t{i}");
        assert_eq!(world.error(good, OpCode::CreateTtl, &create_ttl(&path, 5, 1)), ErrorCode::Ok);
    }
    let all = world.node.tree.len();
    let mut steps = 0;
    while world.node.tree.len() > all - 50 {
        let before = world.node.tree.len();
        world.pass(Duration::from_millis(100));
        world.frame(good, &request(Xid::PING, OpCode::Ping.code(), &Empty));
        assert!(before - world.node.tree.len() <= 1, "ten in a second");
        steps += 1;
        assert!(steps < 1000);
    }
    assert!(steps >= 600 + 49 && !world.is_closed(good));
}

#[test]
fn exhaustion_paths_that_are_none_are_refused_and_long_ones_are_not() {
    let (mut world, good, bad) = start();
    for path in ["/a/../b", "/a/./b", "/a\0b", "/a//b", "/a/", "/\u{f8ff}x", "/\u{1}"] {
        let error = world.create_mode(bad, path, 0).unwrap_err();
        assert!(
            matches!(error, ErrorCode::BadArguments | ErrorCode::NoNode),
            "{path:?}: {error:?}"
        );
    }
    let long = format!("/{}", "x".repeat(znode::proto::FRAME_LEN_MAX - 200));
    world.create(bad, &long);
    assert_eq!(world.children(good, "/").len(), 3);
    world.delete(bad, &long);
    is_served(&mut world, good);
}

#[test]
fn exhaustion_names_beyond_what_a_client_reads_are_listed_all_the_same() {
    // Whether an answer is too long is for its client to say: Apache's server sends it, too.
    let (mut world, good, bad) = start();
    world.create(bad, "/many");
    let name = "n".repeat(2000);
    for i in 0..600 {
        world.create(bad, &format!("/many/{name}{i}"));
    }
    let listed = world.call(good, OpCode::GetChildren, &read("/many", false));
    assert!(listed.body.len() > znode::proto::FRAME_LEN_MAX);
    is_served(&mut world, good);
}
