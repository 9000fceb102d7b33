//! Quotas: how usage is counted, and what a hard limit forbids.

use super::*;

fn enforcing() -> World {
    World::with(Settings::ruled(|rules| rules.enforce_quota = true))
}

fn set_quota(world: &mut World, conn: ConnId, path: &str, limits: &str) {
    let at = format!("/zookeeper/quota{path}");
    for (slash, _) in at.match_indices('/').skip(3) {
        world.create_mode(conn, &at[..slash], 0).ok();
    }
    world.create_mode(conn, &at, 0).ok();
    let limits = CreateRequest { data: Some(limits.as_bytes()), ..create("", 0) };
    let limits = CreateRequest { path: format!("{at}/zookeeper_limits").into(), ..limits };
    assert_eq!(world.error(conn, OpCode::Create, &limits), ErrorCode::Ok);
    world.create(conn, &format!("{at}/zookeeper_stats"));
}

fn usage(world: &mut World, conn: ConnId, path: &str) -> String {
    let at = format!("/zookeeper/quota{path}/zookeeper_stats");
    let answer = world.call(conn, OpCode::GetData, &read(&at, false));
    let data = answer.read::<DataReply<'_>>().data.unwrap().to_vec();
    String::from_utf8(data).unwrap()
}

#[test]
fn usage_is_counted_anew_and_then_kept() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    world.create(c, "/a/b");
    set_quota(&mut world, c, "/a", "count=1,bytes=1");
    assert_eq!(usage(&mut world, c, "/a"), "count=2,bytes=8");
    world.create(c, "/a/c");
    assert_eq!(usage(&mut world, c, "/a"), "count=3,bytes=12");
    world.set_data(c, "/a/c", b"longer than before");
    assert_eq!(usage(&mut world, c, "/a"), "count=3,bytes=26");
    world.delete(c, "/a/c");
    assert_eq!(usage(&mut world, c, "/a"), "count=2,bytes=8");
}

#[test]
fn edge_32_usage_changes_without_a_zxid_a_version_or_a_watch() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    set_quota(&mut world, c, "/a", "count=100,bytes=-1");
    let at = "/zookeeper/quota/a/zookeeper_stats";
    world.call(c, OpCode::GetData, &read(at, true));
    let before = world.stat(c, at).unwrap();
    for n in 0..10 {
        world.create(c, &format!("/a/{n}"));
    }
    let after = world.stat(c, at).unwrap();
    assert_eq!(after.data_length, before.data_length + 2);
    assert_eq!(Stat { data_length: before.data_length, ..after }, before);
    assert!(world.events(c).is_empty());
}

#[test]
fn a_hard_limit_forbids_growth_and_a_soft_one_does_not() {
    let mut world = enforcing();
    let c = world.connect();
    world.create(c, "/a");
    set_quota(&mut world, c, "/a", "count=1,bytes=1=;byteHardLimit=12;countHardLimit=3");
    world.create(c, "/a/b");
    world.create(c, "/a/c");
    assert_eq!(world.create_mode(c, "/a/d", 0), Err(ErrorCode::QuotaExceeded));
    assert_eq!(world.create_mode(c, "/a/b", 0), Err(ErrorCode::NodeExists), "looked at before");
    let longer = set_data("/a/b", b"12345", 7);
    assert_eq!(world.error(c, OpCode::SetData, &longer), ErrorCode::QuotaExceeded);
    let as_long = set_data("/a/b", b"1234", 7);
    assert_eq!(world.error(c, OpCode::SetData, &as_long), ErrorCode::BadVersion, "looked at after");
    world.delete(c, "/a/c");
    world.create(c, "/a/d");
}

#[test]
fn without_enforcement_nothing_is_forbidden_and_without_limits_nothing_either() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    set_quota(&mut world, c, "/a", "count=1,bytes=1=;byteHardLimit=1;countHardLimit=1");
    world.create(c, "/a/b");

    let mut world = enforcing();
    let c = world.connect();
    world.create(c, "/a");
    set_quota(&mut world, c, "/a", "count=1,bytes=1=;countHardLimit=1");
    assert_eq!(world.create_mode(c, "/a/b", 0), Err(ErrorCode::QuotaExceeded));
    world.delete(c, "/zookeeper/quota/a/zookeeper_limits");
    world.create(c, "/a/b");
}

#[test]
fn the_deepest_quota_alone_counts() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    world.create(c, "/a/b");
    set_quota(&mut world, c, "/a", "count=9,bytes=9");
    set_quota(&mut world, c, "/a/b", "count=9,bytes=9");
    world.create(c, "/a/b/c");
    assert_eq!(usage(&mut world, c, "/a"), "count=2,bytes=8");
    assert_eq!(usage(&mut world, c, "/a/b"), "count=2,bytes=8");
}
