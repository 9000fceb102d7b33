//! What comes back from files is what was there.

use proptest::prelude::*;
use znode::proto::requests::CheckVersionRequest;

use super::*;
use crate::log::record::Logged;
use crate::log::snapshot::Snapshot;
use crate::tree::acl_cache::AclId;

/// A server that is made of the snapshot and of what the log says behind `zxid`.
fn restored(snapshot: &[u8], zxid: Zxid, log: &[Vec<u8>]) -> Node {
    let snapshot = Snapshot::read(snapshot).unwrap();
    let mut node = Node::from_snapshot(Settings::fixed(), &snapshot, zxid).unwrap();
    for entry in log {
        node.replay(&Logged::read(entry).unwrap());
    }
    node
}

fn every_kind_of_write(world: &mut World) {
    let (c, _, _) = world.connect_for(10_000);
    let (other, ..) = world.connect_for(5_000);
    world.add_auth(c, "digest", b"user:secret");
    for (path, flags) in [("/a", 0), ("/a/s-", 2), ("/a/e", 1), ("/a/f-", 3), ("/b", 0)] {
        world.create_mode(c, path, flags).unwrap();
    }
    world.create_mode(other, "/a/other", 1).unwrap();
    assert_eq!(world.error(c, OpCode::CreateContainer, &create("/c", 4)), ErrorCode::Ok);
    assert_eq!(world.error(c, OpCode::CreateTtl, &create_ttl("/t", 5, 77)), ErrorCode::Ok);
    assert_eq!(world.error(c, OpCode::Create2, &create("/c/d", 0)), ErrorCode::Ok);
    world.set_data(c, "/a", &[9; 3000]);
    let list = acl(Perms::ALL, "auth", "");
    assert_eq!(world.error(c, OpCode::SetAcl, &set_acl("/b", list, -1)), ErrorCode::Ok);
    world.delete(c, "/a/s-0000000000");
    world.delete(c, "/nothing");
    let good = MultiRequest {
        ops: vec![
            MultiOp::Check(CheckVersionRequest { path: "/a".into(), version: Version(1) }),
            MultiOp::Create(OpCode::Create, create("/m", 0)),
            MultiOp::Create(OpCode::Create2, create("/m/n", 1)),
            MultiOp::SetData(set_data("/m", b"x", 0)),
            MultiOp::Delete(delete("/c/d", -1)),
        ],
    };
    world.call(c, OpCode::Multi, &good);
    world.call(c, OpCode::Multi, &good);
    let closing = request(Xid(9), OpCode::CloseSession.code(), &Empty);
    world.frame(other, &closing);
}

#[test]
fn a_snapshot_and_a_log_make_the_same_server() {
    let mut world = World::new();
    let empty = world.node.snapshot();
    every_kind_of_write(&mut world);
    let now = world.node.snapshot();
    let mut node = restored(&empty, Zxid::ZERO, &world.log);
    assert!(node.snapshot() == now, "by the log");
    assert_eq!(node.session_views().len(), 1);
    assert_eq!(node.ephemeral_views(), world.node.ephemeral_views());
    let node = restored(&now, world.node.last_processed, &[]);
    assert_eq!(node.last_processed, world.node.last_processed);
    for path in ["/", "/a", "/b", "/c", "/t", "/m/n", "/zookeeper/config"] {
        let (ours, theirs) = (node.node_view(path).unwrap(), world.node.node_view(path).unwrap());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
}

#[test]
fn what_a_snapshot_holds_already_is_not_done_twice() {
    let mut world = World::new();
    let empty = world.node.snapshot();
    every_kind_of_write(&mut world);
    let mut once = restored(&empty, Zxid::ZERO, &world.log);
    let now = world.node.snapshot();
    let twice = restored(&now, world.node.last_processed, &world.log);
    assert_eq!(digest(&mut once), digest(&mut world.node));
    assert_eq!(twice.session_views(), once.session_views());
    assert_eq!(twice.ephemeral_views(), once.ephemeral_views());
    assert_eq!(twice.tree.len(), once.tree.len());
}

fn digest(node: &mut Node) -> i64 {
    let digest = node.tree.digest();
    node.tree.keep_digest();
    assert_eq!(node.tree.digest(), digest, "the sum that is kept is not that of the nodes");
    digest.cast_signed()
}

#[test]
fn digests_are_those_that_java_computes() {
    let mut world = World::new();
    assert_eq!(digest(&mut world.node), 1_371_985_504);
    let log = |kind: i32, zxid: i64, time_ms: i64, body: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        for long in [1, 0, zxid, time_ms] {
            // A session, a zxid and a time are longs; between the first two stands an int.
            if long == 0 { 0_i32.encode(&mut out) } else { i64::encode(&long, &mut out) }
        }
        kind.encode(&mut out);
        body(&mut out);
        out
    };
    let created = log(1, 0x1_0000_0002, 0x1a1_f782_0260, &|out| {
        create("/foo", 0).path.encode(out);
        Some(&b"bar"[..]).encode(out);
        open().encode(out);
        false.encode(out);
        1_i32.encode(out);
    });
    world.node.replay(&Logged::read(&created).unwrap());
    assert_eq!(digest(&mut world.node), 7_261_779_150);
    let set = log(5, 0x1_0000_0003, 0x1a1_f782_0269, &|out| {
        create("/foo", 0).path.encode(out);
        Some(&b"baz"[..]).encode(out);
        1_i32.encode(out);
    });
    world.node.replay(&Logged::read(&set).unwrap());
    assert_eq!(digest(&mut world.node), 8_443_521_385);
}

#[test]
fn every_cut_and_every_flipped_bit_of_a_snapshot_is_found() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let bytes = world.node.snapshot();
    for len in 0..bytes.len() {
        let cut = Snapshot::read(&bytes[..len]);
        // A file may end behind any of its parts, as older servers write it.
        assert!(cut.is_err() || cut.is_ok_and(|found| found.last_processed.is_none()), "{len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bent = bytes.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(Snapshot::read(&bent).is_err(), "bit {bit}");
    }
}

#[test]
fn a_session_whose_beginning_was_not_written_is_in_no_snapshot() {
    let mut world = World::new();
    world.slow_disk = true;
    let c = world.accept();
    world.handshake(c, &hello(1000, SessionId::NONE, &[]));
    assert!(Snapshot::read(&world.node.snapshot()).unwrap().sessions.is_empty());
    world.persist();
    assert_eq!(Snapshot::read(&world.node.snapshot()).unwrap().sessions.len(), 1);
}

#[test]
fn a_session_that_comes_back_has_its_full_timeout_and_an_id_of_its_own() {
    let mut world = World::new();
    let (_, session, _) = world.connect_for(1000);
    let now = world.node.snapshot();
    world.node = restored(&now, world.node.last_processed, &[]);
    world.now += Duration::from_secs(3600);
    world.step(Input::Restart);
    world.pass(Duration::from_millis(999));
    assert_eq!(world.node.session_views().len(), 1);
    let (_, another, _) = world.connect_for(1000);
    assert_ne!(another, session);
}

/// Ours read more than Apache's, which refuse a record of more than a mebibyte and then cannot
/// start any more (ZOOKEEPER-4306).
#[test]
fn disk_edge_43_the_end_of_a_session_with_many_nodes_is_several_short_records() {
    let mut world = World::new();
    let c = world.connect();
    let other = world.connect();
    world.create(other, "/p");
    let name = "n".repeat(200);
    for i in 0..5000 {
        world.create_mode(c, &format!("/p/{name}{i}"), 1).unwrap();
    }
    let (from, empty) = (world.log.len(), World::new().node.snapshot());
    world.slow_disk = true;
    world.send(c, OpCode::Create.code(), &create("/p/last", 1));
    world.frame(c, &request(Xid(1), OpCode::CloseSession.code(), &Empty));
    world.persist();
    let longest = world.log[from..].iter().map(Vec::len).max().unwrap();
    assert!(world.log.len() > from + 3 && longest < 1024 * 1024, "{longest}");
    assert!(world.is_closed(c));
    assert_eq!(world.node.tree.descendants(world.node.tree.lookup(b"/p").unwrap()), 0);
    assert_eq!(world.node.stats.digest_mismatches, 0);
    let replayed = restored(&empty, Zxid::ZERO, &world.log);
    assert_eq!(replayed.stats.digest_mismatches, 0);
    assert!(replayed.ephemeral_views().is_empty());
    assert_eq!(replayed.session_views().len(), 1);
}

/// ZOOKEEPER-3127: the number of a multi was passed on with its first part.
#[test]
fn disk_edge_38_a_snapshot_holds_all_of_a_multi_or_nothing() {
    let mut world = World::new();
    let c = world.connect();
    world.slow_disk = true;
    let ops = ["/a", "/a/b", "/a/c"].map(|path| MultiOp::Create(OpCode::Create, create(path, 0)));
    world.send(c, OpCode::Multi.code(), &MultiRequest { ops: ops.to_vec() });
    let before = world.node.snapshot();
    world.persist();
    let after = world.node.snapshot();
    let node = |bytes: &[u8]| {
        let snapshot = Snapshot::read(bytes).unwrap();
        let zxid = snapshot.last_processed.unwrap();
        restored(bytes, zxid, &[])
    };
    assert_eq!((node(&before).last_processed, node(&before).tree.len()), (Zxid(1), 4));
    assert_eq!((node(&after).last_processed, node(&after).tree.len()), (Zxid(2), 7));
}

/// ZOOKEEPER-3125 and 3145: a deletion that a snapshot holds half of lost the parent's pzxid.
#[test]
fn disk_edge_39_the_parent_of_what_is_gone_already_has_still_lost_it() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/p");
    world.create(c, "/p/a");
    world.create_mode(c, "/p/e", 1).unwrap();
    world.delete(c, "/p/a");
    let deleted = world.node.last_processed;
    let bytes = world.node.snapshot();
    let mut snapshot = Snapshot::read(&bytes).unwrap();
    let parent = snapshot.nodes.iter_mut().find(|(path, _)| *path == b"/p").unwrap();
    // The child was gone when it was written, the parent had not heard of it.
    parent.1.stat.pzxid = Zxid(3);
    snapshot.digest = None;
    let mut node = Node::from_snapshot(Settings::fixed(), &snapshot, Zxid(4)).unwrap();
    node.replay(&Logged::read(&world.log[4]).unwrap());
    assert_eq!(node.tree.node(b"/p").unwrap().pzxid, deleted);
    // A session's end names its nodes, for the same reason.
    world.frame(c, &request(Xid(1), OpCode::CloseSession.code(), &Empty));
    let closed = world.node.last_processed;
    snapshot.nodes.retain(|(path, _)| *path != b"/p/e");
    let mut node = Node::from_snapshot(Settings::fixed(), &snapshot, deleted).unwrap();
    node.replay(&Logged::read(world.log.last().unwrap()).unwrap());
    assert_eq!(node.tree.node(b"/p").unwrap().pzxid, closed);
}

/// ZOOKEEPER-3144 and 2926: the sessions of a snapshot were of another time than its nodes.
#[test]
fn disk_edge_40_a_session_and_its_nodes_come_and_go_together() {
    let mut world = World::new();
    world.slow_disk = true;
    let c = world.accept();
    world.handshake(c, &hello(1000, SessionId::NONE, &[]));
    world.send(c, OpCode::Create.code(), &create("/e", 1));
    world.step(Input::Persisted(Zxid(1)));
    let opened = world.node.snapshot();
    world.persist();
    let created = world.node.snapshot();
    world.frame(c, &request(Xid(1), OpCode::CloseSession.code(), &Empty));
    let closing = world.node.snapshot();
    world.persist();
    let closed = world.node.snapshot();
    for (bytes, sessions, nodes) in
        [(opened, 1, 0), (created, 1, 1), (closing, 1, 1), (closed, 0, 0)]
    {
        let snapshot = Snapshot::read(&bytes).unwrap();
        assert_eq!(snapshot.sessions.len(), sessions);
        let owned = snapshot.nodes.iter().filter(|(_, node)| node.stat.owner != 0).count();
        assert_eq!(owned, nodes);
    }
}

/// ZOOKEEPER-3306 and 4689: a node had a list that the snapshot did not have any more, or not yet.
#[test]
fn disk_edge_41_a_snapshot_has_every_list_of_its_nodes_whatever_changes_meanwhile() {
    let mut world = World::new();
    let c = world.connect();
    let set = |world: &mut World, path: &str, address: &'static str| {
        let list = acl(Perms::ALL, "ip", address);
        assert_eq!(world.error(c, OpCode::SetAcl, &set_acl(path, list, -1)), ErrorCode::Ok);
    };
    for path in ["/a", "/b"] {
        world.create(c, path);
        set(&mut world, path, "127.0.0.1");
    }
    let id = world.node.begin_snapshot();
    let mut bytes = Vec::new();
    // The old list is gone from the tree, and its number may be given to the new one.
    for (path, address) in [("/a", "127.0.0.1/8"), ("/b", "127.0.0.1/8"), ("/a", "127.0.0.0/24")] {
        world.node.snapshot_piece(id, 1, &mut bytes);
        set(&mut world, path, address);
    }
    while world.node.snapshot_piece(id, 1, &mut bytes) == Some(true) {}
    let mut seal = crate::log::snapshot::Seal::new();
    seal.note(&bytes);
    bytes.append(&mut seal.tail(id.digest, id.zxid));
    let snapshot = Snapshot::read(&bytes).unwrap();
    for (path, node) in &snapshot.nodes {
        let is_ours = path.len() == 2;
        let list = snapshot.acls.get(&node.acl).map(|list| list[0].id.id.as_deref().unwrap());
        assert!(!is_ours || list == Some("127.0.0.1"), "{path:?} {list:?}");
    }
    // A create that comes again brings its own list, whatever the snapshot says.
    let mut node = restored(&bytes, id.zxid, &[]);
    node.replay(&Logged::read(&world.log[1]).unwrap());
    assert_eq!(node.tree.node(b"/a").unwrap().acl, AclId::OPEN);
}

/// ZOOKEEPER-1208 and 1496: a node was created behind the end of its session, and never went.
#[test]
fn disk_edge_42_a_session_that_ends_creates_nothing_more() {
    let mut world = World::new();
    let c = world.connect();
    let empty = World::new().node.snapshot();
    world.slow_disk = true;
    world.send(c, OpCode::Create.code(), &create("/before", 1));
    world.frame(c, &request(Xid(1), OpCode::CloseSession.code(), &Empty));
    world.send(c, OpCode::Create.code(), &create("/behind", 1));
    world.persist();
    assert!(world.node.ephemeral_views().is_empty());
    let replayed = restored(&empty, Zxid::ZERO, &world.log);
    assert_eq!(replayed.tree.len(), 4);
    assert_eq!(replayed.last_processed, Zxid(3));
}

/// ZOOKEEPER-2623: Apache's servers cannot start on a log with such a transaction.
#[test]
fn disk_edge_45_a_comparison_by_itself_gets_into_no_log_and_is_read_from_one() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let count = world.log.len();
    let check = CheckVersionRequest { path: "/a".into(), version: Version(0) };
    let answer = world.call(c, OpCode::Check, &check);
    assert_eq!(answer.header.error, ErrorCode::Unimplemented);
    assert_eq!(world.log.len(), count);
    let mut entry = Vec::new();
    for long in [1, 0, 3, 10] {
        if long == 0 { 0_i32.encode(&mut entry) } else { i64::encode(&long, &mut entry) }
    }
    OpCode::Check.code().encode(&mut entry);
    check.encode(&mut entry);
    world.node.replay(&Logged::read(&entry).unwrap());
    assert_eq!(world.node.last_processed, Zxid(3));
}

/// ZOOKEEPER-4743: the version that means any comes from no write, and files keep what wrapped.
#[test]
fn disk_edge_46_a_version_that_has_wrapped_comes_back_as_it_was() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let bytes = world.node.snapshot();
    let mut snapshot = Snapshot::read(&bytes).unwrap();
    snapshot.digest = None;
    snapshot.nodes.iter_mut().for_each(|(_, node)| node.stat.version = -2);
    world.node = Node::from_snapshot(Settings::fixed(), &snapshot, Zxid(2)).unwrap();
    world.log.clear();
    let c = world.connect();
    assert_eq!(world.set_data(c, "/a", b"x").version, Version(0));
    let node = restored(&bytes, Zxid(2), &world.log);
    assert_eq!(node.tree.node(b"/a").unwrap().version, 0);
}

proptest! {
    /// Whatever is done, and wherever the snapshot is taken.
    #[test]
    fn any_history_comes_back(
        steps in prop::collection::vec((0_u8..5, 0_usize..6), 1..60),
        snapshot_at in 0_usize..60,
    ) {
        const PATHS: [&str; 6] = ["/a", "/a/b", "/a/c", "/d", "/d/e", "/a/b/f"];
        let mut world = World::new();
        let mut c = world.connect();
        let (mut snapshot, mut zxid) = (world.node.snapshot(), world.node.last_processed);
        let mut from = world.log.len();
        for (i, (what, path)) in steps.into_iter().enumerate() {
            if i == snapshot_at {
                (snapshot, zxid) = (world.node.snapshot(), world.node.last_processed);
                from = world.log.len();
            }
            match what {
                0 => _ = world.create_mode(c, PATHS[path], 0),
                1 => _ = world.create_mode(c, PATHS[path], i32::from(path > 3)),
                2 => _ = world.error(c, OpCode::SetData, &set_data(PATHS[path], b"x", -1)),
                3 => _ = world.delete(c, PATHS[path]),
                _ if path == 0 => {
                    world.frame(c, &request(Xid(1), OpCode::CloseSession.code(), &Empty));
                    c = world.connect();
                }
                _ => {
                    let list = acl(Perms::ALL, "ip", "127.0.0.1");
                    world.error(c, OpCode::SetAcl, &set_acl(PATHS[path], list, -1));
                }
            }
        }
        let mut node = restored(&snapshot, zxid, &world.log[from..]);
        prop_assert_eq!(node.last_processed, world.node.last_processed);
        prop_assert_eq!(node.ephemeral_views(), world.node.ephemeral_views());
        prop_assert_eq!(node.tree.len(), world.node.tree.len());
        prop_assert_eq!(digest(&mut node), digest(&mut world.node));
        prop_assert_eq!(node.session_views().len(), world.node.session_views().len());
    }
}
