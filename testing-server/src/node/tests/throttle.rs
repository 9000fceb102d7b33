//! Requests that are held back while too many are under way, as Apache's request throttler does it.

use super::*;
use crate::pipeline::throttle::ThrottleSettings;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn world(throttle: ThrottleSettings) -> (World, ConnId, ConnId) {
    let mut world = World::with(Settings::ruled(|rules| rules.throttle = throttle));
    let (c, d) = (world.connect(), world.connect());
    world.create(c, "/a");
    world.slow_disk = true;
    (world, c, d)
}

fn two() -> ThrottleSettings {
    ThrottleSettings { requests_max: Some(2), ..ThrottleSettings::default() }
}

/// The answers that have come, by their numbers.
fn answers(world: &mut World, conn: ConnId) -> Vec<(Xid, ErrorCode)> {
    std::iter::from_fn(|| world.take(conn))
        .map(|answer| (answer.header.xid, answer.header.error))
        .collect()
}

#[test]
fn what_is_beyond_the_limit_is_held_and_goes_on_in_its_order() {
    let (mut world, c, d) = world(two());
    let writes: Vec<Xid> =
        (0..5).map(|_| world.send(c, OpCode::SetData.code(), &set_data("/a", b"x", -1))).collect();
    let read = world.send(d, OpCode::Exists.code(), &read("/a", false));
    assert_eq!(
        (world.appended.len(), world.node.throttle.len()),
        (5, 4),
        "two of five, and a read"
    );
    assert!(answers(&mut world, d).is_empty());
    world.persist();
    assert_eq!(answers(&mut world, c).len(), 2);
    assert_eq!(world.node.throttle.len(), 2);
    world.persist();
    world.persist();
    let last = answers(&mut world, c);
    assert_eq!(last.iter().map(|(xid, _)| *xid).collect::<Vec<_>>(), writes[2..]);
    let seen = answers(&mut world, d);
    assert_eq!(seen, [(read, ErrorCode::Ok)], "behind what came before it");
    assert!(world.node.throttle.is_empty());
}

#[test]
fn what_is_held_when_the_server_is_stopped_does_not_count_for_ever() {
    let mut world = World::with(Settings::ruled(|rules| {
        rules.throttle = ThrottleSettings { requests_max: Some(1), ..ThrottleSettings::default() };
        rules.large_request_threshold = Some(1000);
        rules.large_request_bytes_max = 5000;
    }));
    let c = world.connect();
    world.create(c, "/a");
    let large = [0; 2000];
    world.slow_disk = true;
    for _ in 0..2 {
        world.send(c, OpCode::SetData.code(), &set_data("/a", &large, -1));
    }
    assert_eq!(world.node.throttle.len(), 1);
    world.step(Input::Restart);
    world.persist();
    world.slow_disk = false;
    let c = world.connect();
    assert_eq!(world.set_data(c, "/a", &[0; 4500]).data_length, 4500);
}

#[test]
fn what_was_held_for_too_long_is_refused_in_its_place_and_does_nothing() {
    let (mut world, c, _) = world(ThrottleSettings { wait_max: Some(MS(100)), ..two() });
    for _ in 0..2 {
        world.send(c, OpCode::SetData.code(), &set_data("/a", b"x", -1));
    }
    let late = world.send(c, OpCode::Create.code(), &create("/late", 0));
    let ops = vec![MultiOp::Create(OpCode::Create, create("/late", 0))];
    let multi = world.send(c, OpCode::Multi.code(), &MultiRequest { ops });
    world.frame(c, &request(Xid::PING, OpCode::Ping.code(), &Empty));
    world.pass(MS(101));
    let punctual = world.send(c, OpCode::Exists.code(), &read("/late", false));
    answers(&mut world, c);
    let zxid = world.node.last_prepared;
    world.persist();
    let expected = [
        (late, ErrorCode::ThrottledOp),
        (multi, ErrorCode::ThrottledOp),
        (Xid::PING, ErrorCode::Ok),
        (punctual, ErrorCode::NoNode),
    ];
    assert_eq!(answers(&mut world, c)[2..], expected);
    assert_eq!(world.node.last_prepared, zxid, "no zxid is taken");
    assert_eq!(world.node.stats.throttled, 2);
}

#[test]
fn the_end_of_a_session_is_never_refused_and_what_follows_it_is_ignored() {
    let (mut world, c, d) = world(ThrottleSettings { wait_max: Some(MS(1)), ..two() });
    for _ in 0..2 {
        world.send(d, OpCode::SetData.code(), &set_data("/a", b"x", -1));
    }
    world.frame(c, &request(Xid(90), OpCode::CloseSession.code(), &Empty));
    world.send(c, OpCode::Create.code(), &create("/behind", 1));
    world.pass(MS(50));
    world.slow_disk = false;
    world.persist();
    world.persist();
    assert!(world.is_closed(c));
    assert_eq!(world.node.session_views().len(), 1);
    assert!(world.stat(d, "/behind").is_none());
}

#[test]
fn what_a_client_has_left_behind_is_dropped() {
    let (mut world, c, d) = world(two());
    for _ in 0..2 {
        world.send(d, OpCode::SetData.code(), &set_data("/a", b"x", -1));
    }
    world.send(c, OpCode::Create.code(), &create("/left", 0));
    world.step(Input::Closed { conn: c });
    assert!(world.node.throttle.is_empty());
    world.slow_disk = false;
    world.persist();
    assert!(world.stat(d, "/left").is_none());
}

#[test]
fn with_the_check_of_latencies_a_request_older_than_its_session_costs_its_connection() {
    let (mut world, _, d) = world(ThrottleSettings { drop_late: true, ..two() });
    let (short, ..) = {
        world.slow_disk = false;
        let connected = world.connect_for(200);
        world.slow_disk = true;
        connected
    };
    for _ in 0..2 {
        world.send(d, OpCode::SetData.code(), &set_data("/a", b"x", -1));
    }
    world.send(short, OpCode::Create.code(), &create("/old", 0));
    // As long as no time passes for the server, it does not expire.
    world.now += MS(201);
    world.slow_disk = false;
    world.persist();
    assert!(world.is_closed(short));
    assert!(world.stat(d, "/old").is_none());
}

#[test]
fn exhaustion_what_is_held_counts_for_the_limit_of_what_is_read() {
    let settings = Settings::ruled(|rules| {
        rules.throttle = two();
        rules.outstanding_max = 10;
    });
    let mut world = World::with(settings);
    let c = world.connect();
    world.create(c, "/a");
    world.slow_disk = true;
    for _ in 0..10 {
        assert!(!world.node.is_throttled(c));
        world.send(c, OpCode::SetData.code(), &set_data("/a", b"x", -1));
    }
    assert!(world.node.is_throttled(c));
    while !world.node.throttle.is_empty() {
        world.persist();
    }
    assert!(!world.node.is_throttled(c));
}
