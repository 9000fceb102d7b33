//! Watches: who is told of what, when, and how often.

use super::*;
use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};

fn watch(world: &mut World, c: ConnId, op: OpCode, path: &str) {
    world.call(c, op, &read(path, true));
}

fn add(world: &mut World, c: ConnId, path: &str, mode: i32) -> ErrorCode {
    world.error(c, OpCode::AddWatch, &AddWatchRequest { path: path.into(), mode })
}

fn told(world: &mut World, c: ConnId) -> Vec<(EventType, String)> {
    world.events(c)
}

fn event(kind: EventType, path: &str) -> (EventType, String) {
    (kind, path.to_owned())
}

#[test]
fn edge_08_the_event_comes_before_the_reply_and_carries_the_zxid() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    watch(&mut world, c, OpCode::GetData, "/a");
    let xid = world.send(c, OpCode::SetData.code(), &set_data("/a", b"", -1));
    let first = world.take(c).unwrap();
    let second = world.take(c).unwrap();
    assert_eq!(first.event(), event(NodeDataChanged, "/a"));
    assert_eq!((second.header.xid, second.header.zxid), (xid, first.header.zxid));
}

#[test]
fn a_one_shot_watch_is_told_once() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    world.create(c, "/a");
    watch(&mut world, w, OpCode::GetData, "/a");
    world.set_data(c, "/a", b"1");
    world.set_data(c, "/a", b"2");
    assert_eq!(told(&mut world, w), [event(NodeDataChanged, "/a")]);
}

#[test]
fn edge_12_a_missing_node_can_be_watched_by_exists_alone() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    watch(&mut world, w, OpCode::Exists, "/a");
    watch(&mut world, w, OpCode::GetData, "/b");
    watch(&mut world, w, OpCode::GetChildren, "/c");
    for path in ["/a", "/b", "/c"] {
        world.create(c, path);
    }
    assert_eq!(told(&mut world, w), [event(NodeCreated, "/a")]);
}

#[test]
fn a_list_of_children_is_watched_and_data_below_is_not() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    world.create(c, "/p");
    watch(&mut world, w, OpCode::GetChildren, "/p");
    world.set_data(c, "/p", b"");
    world.create(c, "/p/a");
    assert_eq!(told(&mut world, w), [event(NodeChildrenChanged, "/p")]);
    watch(&mut world, w, OpCode::GetChildren2, "/p");
    world.set_data(c, "/p/a", b"");
    world.delete(c, "/p/a");
    assert_eq!(told(&mut world, w), [event(NodeChildrenChanged, "/p")]);
}

#[test]
fn edge_11_a_deletion_is_told_once_whatever_was_watched() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    world.create(c, "/a");
    watch(&mut world, w, OpCode::GetData, "/a");
    watch(&mut world, w, OpCode::GetChildren, "/a");
    add(&mut world, w, "/a", 0);
    world.delete(c, "/a");
    assert_eq!(told(&mut world, w), [event(NodeDeleted, "/a")]);
    world.create(c, "/a");
    assert_eq!(told(&mut world, w), [event(NodeCreated, "/a")]);
}

#[test]
fn a_persistent_watch_hears_of_the_node_and_its_list_again_and_again() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    assert_eq!(add(&mut world, w, "/p", 0), ErrorCode::Ok);
    world.create(c, "/p");
    world.create(c, "/p/a");
    world.set_data(c, "/p/a", b"");
    world.set_data(c, "/p", b"");
    world.set_data(c, "/p", b"");
    world.delete(c, "/p/a");
    assert_eq!(
        told(&mut world, w),
        [
            event(NodeCreated, "/p"),
            event(NodeChildrenChanged, "/p"),
            event(NodeDataChanged, "/p"),
            event(NodeDataChanged, "/p"),
            event(NodeChildrenChanged, "/p"),
        ]
    );
}

#[test]
fn edge_10_a_recursive_watch_hears_of_everything_below_but_of_no_list() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    assert_eq!(add(&mut world, w, "/p", 1), ErrorCode::Ok);
    for path in ["/p", "/p/a", "/p/a/b", "/other"] {
        world.create(c, path);
    }
    world.set_data(c, "/p/a/b", b"");
    world.delete(c, "/p/a/b");
    assert_eq!(
        told(&mut world, w),
        [
            event(NodeCreated, "/p"),
            event(NodeCreated, "/p/a"),
            event(NodeCreated, "/p/a/b"),
            event(NodeDataChanged, "/p/a/b"),
            event(NodeDeleted, "/p/a/b"),
        ]
    );
}

#[test]
fn one_transaction_may_tell_two_things() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    add(&mut world, w, "/", 0);
    add(&mut world, w, "/a", 0);
    world.create(c, "/a");
    assert_eq!(told(&mut world, w), [event(NodeCreated, "/a"), event(NodeChildrenChanged, "/"),]);
}

#[test]
fn edge_13_what_may_not_be_read_is_not_told_and_the_watch_is_used_up() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    world.create(c, "/a");
    watch(&mut world, w, OpCode::GetData, "/a");
    add(&mut world, w, "/", 1);
    world.add_auth(c, "digest", b"me:pw");
    world.call(c, OpCode::SetAcl, &set_acl("/a", acl(Perms::ALL, "auth", ""), -1));
    world.set_data(c, "/a", b"");
    assert!(told(&mut world, w).is_empty());
    assert_eq!(world.node.watch_views().len(), 1);
    let secret = CreateRequest { acl: Some(acl(Perms::ALL, "auth", "")), ..create("/a/s", 0) };
    world.call(c, OpCode::Create, &secret);
    world.delete(c, "/a/s");
    assert!(told(&mut world, w).is_empty());
    world.add_auth(w, "digest", b"me:pw");
    world.delete(c, "/a");
    assert_eq!(told(&mut world, w), [event(NodeDeleted, "/a")]);
}

#[test]
fn what_changes_no_data_tells_nobody() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    world.create(c, "/a");
    add(&mut world, w, "/a", 0);
    add(&mut world, w, "/", 1);
    world.call(c, OpCode::SetAcl, &set_acl("/a", open(), -1));
    world.call(c, OpCode::Sync, &at("/a"));
    world.call(c, OpCode::SetData, &set_data("/a", b"", 9));
    assert!(told(&mut world, w).is_empty());
}

#[test]
fn an_expired_session_tells_the_watchers_of_its_ephemerals() {
    let mut world = World::new();
    let (owner, session, _) = world.connect_for(10_000);
    let w = world.connect();
    world.create_mode(owner, "/e", 1).unwrap();
    watch(&mut world, w, OpCode::Exists, "/e");
    watch(&mut world, w, OpCode::GetChildren, "/");
    world.step(Input::Expire(session));
    assert_eq!(told(&mut world, w), [event(NodeDeleted, "/e"), event(NodeChildrenChanged, "/"),]);
}

#[test]
fn a_closed_connection_watches_nothing() {
    let mut world = World::new();
    let (c, w) = (world.connect(), world.connect());
    world.create(c, "/a");
    watch(&mut world, w, OpCode::GetData, "/a");
    add(&mut world, w, "/", 1);
    world.step(Input::Closed { conn: w });
    world.set_data(c, "/a", b"");
    assert!(told(&mut world, w).is_empty());
    assert!(world.node.watch_views().is_empty());
}

#[test]
fn an_unknown_mode_is_a_marshalling_error() {
    let mut world = World::new();
    let c = world.connect();
    assert_eq!(add(&mut world, c, "/a", 2), ErrorCode::MarshallingError);
    let body = WatchesRequest { path: "/a".into(), kind: 9 };
    for op in [OpCode::CheckWatches, OpCode::RemoveWatches] {
        assert_eq!(world.error(c, op, &body), ErrorCode::MarshallingError);
    }
}

#[test]
fn edge_14_watches_are_checked_and_removed_by_type() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let types = [(1, 2), (2, 1), (4, 5), (5, 4)];
    for (kind, other) in types {
        let body = |kind| WatchesRequest { path: "/a".into(), kind };
        match kind {
            1 => watch(&mut world, c, OpCode::GetChildren, "/a"),
            2 => watch(&mut world, c, OpCode::GetData, "/a"),
            mode => _ = add(&mut world, c, "/a", mode - 4),
        }
        assert_eq!(world.error(c, OpCode::CheckWatches, &body(kind)), ErrorCode::Ok);
        assert_eq!(world.error(c, OpCode::CheckWatches, &body(3)), ErrorCode::Ok);
        assert_eq!(world.error(c, OpCode::RemoveWatches, &body(other)), ErrorCode::NoWatcher);
        assert_eq!(world.error(c, OpCode::RemoveWatches, &body(kind)), ErrorCode::Ok);
        assert_eq!(world.error(c, OpCode::RemoveWatches, &body(3)), ErrorCode::NoWatcher);
    }
}

#[test]
fn restored_watches_make_up_for_what_was_missed() {
    let mut world = World::new();
    let c = world.connect();
    for path in ["/same", "/written", "/gone", "/grown"] {
        world.create(c, path);
    }
    let seen = world.call(c, OpCode::Exists, &read("/", false)).header.zxid;
    world.set_data(c, "/written", b"");
    world.delete(c, "/gone");
    world.create(c, "/grown/child");
    world.create(c, "/new");

    let w = world.connect();
    let paths = |paths: &[&'static str]| paths.iter().map(|path| Cow::from(*path)).collect();
    let body = SetWatches2Request {
        relative_zxid: seen,
        data: paths(&["/same", "/written", "/gone"]),
        exist: paths(&["/new", "/never"]),
        child: paths(&["/grown", "/gone", "/same"]),
        persistent: paths(&["/written"]),
        persistent_recursive: paths(&["/gone"]),
    };
    let xid = world.send(w, OpCode::SetWatches2.code(), &body);
    let mut events = Vec::new();
    let reply = loop {
        let answer = world.take(w).unwrap();
        if answer.header.xid == xid {
            break answer;
        }
        assert_eq!(answer.header.zxid, Zxid(-1));
        events.push(answer.event());
    };
    assert_eq!(reply.header.error, ErrorCode::Ok);
    assert_eq!(
        events,
        [
            event(NodeDataChanged, "/written"),
            event(NodeDeleted, "/gone"),
            event(NodeCreated, "/new"),
            event(NodeChildrenChanged, "/grown"),
            event(NodeDeleted, "/gone"),
        ]
    );
    // Everything else was set: one record each for a data and a child watch on the same path.
    let views = world.node.watch_views();
    let paths: Vec<&str> = views.iter().map(|view| &*view.path).collect();
    assert_eq!(paths, ["/gone", "/never", "/same", "/written"]);
    assert!(views[2].data && views[2].child);
    assert!(views[0].recursive && views[3].persistent);
}

#[test]
fn the_old_form_of_restoring_knows_one_shot_watches_only() {
    let mut world = World::new();
    let c = world.connect();
    let body = SetWatchesRequest {
        relative_zxid: Zxid(0),
        data: vec!["/missing".into()],
        exist: vec![],
        child: vec![],
    };
    // C clients number this request -8.
    world.frame(c, &request(Xid::SET_WATCHES, OpCode::SetWatches.code(), &body));
    assert_eq!(world.take(c).unwrap().event(), event(NodeDeleted, "/missing"));
    assert_eq!(world.take(c).unwrap().header.xid, Xid::SET_WATCHES);
}
