//! The reaper: what it deletes, when, and how fast.

use super::*;

const CHECK: Duration = Duration::from_secs(60);

fn container(world: &mut World, conn: ConnId, path: &str) {
    assert_eq!(world.error(conn, OpCode::CreateContainer, &create(path, 4)), ErrorCode::Ok);
}

fn exists(world: &World, path: &str) -> bool {
    world.node.tree.node(path.as_bytes()).is_some()
}

/// Lets time pass in steps that keep the session alive; returns what it was told meanwhile.
fn pass(world: &mut World, conn: ConnId, time: Duration) -> Vec<(EventType, String)> {
    let end = world.now + time;
    let mut told = Vec::new();
    while world.now < end {
        let left = end.since(world.now);
        world.pass(left.min(Duration::from_secs(5)));
        told.extend(world.events(conn));
        world.call(conn, OpCode::Exists, &read("/", false));
    }
    told
}

#[test]
fn a_container_goes_once_it_has_lost_its_last_child_and_an_unused_one_stays() {
    let mut world = World::new();
    let c = world.connect();
    container(&mut world, c, "/used");
    container(&mut world, c, "/unused");
    world.create(c, "/used/child");
    pass(&mut world, c, CHECK);
    assert!(exists(&world, "/used"), "it has a child");
    world.delete(c, "/used/child");
    assert!(exists(&world, "/used"), "the reaper comes once a minute");
    world.call(c, OpCode::GetData, &read("/used", true));
    let told = pass(&mut world, c, CHECK);
    assert!(!exists(&world, "/used"));
    assert!(exists(&world, "/unused"));
    assert_eq!(told, [(EventType::NodeDeleted, "/used".to_owned())]);
}

#[test]
fn nested_containers_go_one_level_at_a_time() {
    let mut world = World::new();
    let c = world.connect();
    container(&mut world, c, "/a");
    container(&mut world, c, "/a/b");
    world.create(c, "/a/b/c");
    world.delete(c, "/a/b/c");
    pass(&mut world, c, CHECK);
    assert_eq!((exists(&world, "/a"), exists(&world, "/a/b")), (true, false));
    pass(&mut world, c, CHECK);
    assert!(!exists(&world, "/a"));
}

#[test]
fn an_unused_container_goes_if_a_setting_says_so() {
    let never_used = Some(Duration::from_secs(90));
    let settings = Settings::ruled(|rules| rules.container_never_used_max = never_used);
    let mut world = World::with(settings);
    let c = world.connect();
    container(&mut world, c, "/unused");
    pass(&mut world, c, CHECK);
    assert!(exists(&world, "/unused"));
    pass(&mut world, c, CHECK);
    assert!(!exists(&world, "/unused"));
}

#[test]
fn edge_33_a_time_to_live_counts_from_the_last_write_and_is_polled() {
    let mut world = World::new();
    let c = world.connect();
    for path in ["/a", "/b", "/busy"] {
        let made = world.error(c, OpCode::CreateTtl, &create_ttl(path, 5, 70_000));
        assert_eq!(made, ErrorCode::Ok);
    }
    world.create(c, "/busy/child");
    pass(&mut world, c, Duration::from_secs(60));
    world.set_data(c, "/b", b"again");
    pass(&mut world, c, Duration::from_secs(60));
    let left = ["/a", "/b", "/busy"].map(|path| exists(&world, path));
    assert_eq!(left, [false, true, true]);
    pass(&mut world, c, Duration::from_secs(60));
    assert!(!exists(&world, "/b"));
    world.delete(c, "/busy/child");
    pass(&mut world, c, Duration::from_secs(60));
    assert!(!exists(&world, "/busy"), "children that come and go do not put it off");
}

#[test]
fn deletions_are_spread_over_the_minute() {
    let settings = Settings::ruled(|rules| rules.containers_per_minute_max = 60);
    let mut world = World::with(settings);
    let c = world.connect();
    for n in 0..5 {
        container(&mut world, c, &format!("/c{n}"));
        world.create(c, &format!("/c{n}/child"));
        world.delete(c, &format!("/c{n}/child"));
    }
    let before = world.node.tree.len();
    pass(&mut world, c, CHECK);
    assert_eq!(before - world.node.tree.len(), 1);
    assert_eq!(world.node.next_deadline().since(world.now), Duration::from_millis(100));
    pass(&mut world, c, Duration::from_secs(3));
    assert_eq!(before - world.node.tree.len(), 4);
}

#[test]
fn without_containers_no_timer_rings() {
    let mut world = World::new();
    assert_eq!(world.node.reaper_deadline(), Moment::NEVER);
    let c = world.connect();
    container(&mut world, c, "/c");
    assert_ne!(world.node.reaper_deadline(), Moment::NEVER);
    world.delete(c, "/c");
    assert_eq!(world.node.reaper_deadline(), Moment::NEVER);
}

#[test]
fn a_child_that_comes_in_between_saves_its_container() {
    let mut world = World::new();
    let c = world.connect();
    container(&mut world, c, "/c");
    world.create(c, "/c/child");
    world.delete(c, "/c/child");
    world.slow_disk = true;
    world.send(c, OpCode::Create.code(), &create("/c/late", 0));
    let zxid = world.node.last_processed;
    pass_slowly(&mut world, CHECK);
    world.persist();
    assert!(exists(&world, "/c/late"));
    assert!(
        world.node.last_processed > Zxid(zxid.0 + 1),
        "the deletion has failed, as a transaction"
    );
}

fn pass_slowly(world: &mut World, time: Duration) {
    world.pass(time.saturating_sub(Duration::from_secs(1)));
    world.pass(Duration::from_secs(1));
}
