//! What comes back from files is what was there.

use proptest::prelude::*;
use znode::proto::requests::CheckVersionRequest;

use super::*;
use crate::log::record::Logged;
use crate::log::snapshot::Snapshot;

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
