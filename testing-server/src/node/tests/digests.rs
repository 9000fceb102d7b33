//! The digest: foretold for logs, kept with every change, compared when a log is read.

use proptest::prelude::*;

use super::*;
use crate::admin::Word;
use crate::log::record::Logged;
use crate::log::snapshot::{Snapshot, StoredDigest};
use crate::tree::digest::DIGEST_VERSION;

fn replayed(snapshot: &[u8], log: &[Vec<u8>]) -> Node {
    let snapshot = Snapshot::read(snapshot).unwrap();
    let mut node = Node::from_snapshot(Settings::fixed(), &snapshot, Zxid::ZERO).unwrap();
    log.iter().for_each(|entry| node.replay(&Logged::read(entry).unwrap()));
    node
}

proptest! {
    /// However many writes wait for the disk when the next one is decided.
    #[test]
    fn what_is_foretold_is_what_comes(
        writes in prop::collection::vec((0_u8..10, 0_usize..8, any::<u8>()), 1..80),
        every in 1_usize..20,
    ) {
        let mut world = World::new();
        let empty = world.node.snapshot();
        let mut c = world.connect();
        world.slow_disk = true;
        for (i, write) in writes.into_iter().enumerate() {
            world.now += Duration::from_millis(3);
            random_write(&mut world, &mut c, write);
            if i % every == 0 {
                world.persist();
                let digest = world.node.tree.digest();
                prop_assert_eq!(world.node.outstanding.digest(), Some(digest));
            }
        }
        world.persist();
        prop_assert_eq!(world.node.stats.digest_mismatches, 0);
        prop_assert_eq!(world.node.outstanding.digest(), Some(world.node.tree.digest()));
        let digest = world.node.tree.digest();
        world.node.tree.keep_digest();
        prop_assert_eq!(world.node.tree.digest(), digest, "counted anew");
        for entry in &world.log {
            let logged = Logged::read(entry).unwrap();
            // What was refused has none, as in Apache's logs.
            prop_assert_eq!(logged.digest.is_none(), logged.header.kind == -1);
        }
        let mut replayed = replayed(&empty, &world.log);
        prop_assert_eq!(replayed.stats.digest_mismatches, 0);
        prop_assert_eq!(replayed.tree.digest(), world.node.tree.digest());
    }
}

#[test]
fn a_digest_in_a_log_that_differs_is_counted_and_told() {
    let mut world = World::new();
    let empty = world.node.snapshot();
    let c = world.connect();
    for path in ["/a", "/b", "/c"] {
        world.create(c, path);
    }
    let last = world.log[2].len() - 1;
    world.log[2][last] ^= 1;
    let mut node = replayed(&empty, &world.log);
    assert_eq!(node.stats.digest_mismatches, 1);
    assert_eq!(node.digests.take_mismatch(), Some(Zxid(3)));
    assert_eq!(node.last_processed, Zxid(4));
    // One of another version says nothing.
    let version = world.log[2].len() - 9;
    world.log[2][version] = 3;
    assert_eq!(replayed(&empty, &world.log).stats.digest_mismatches, 0);
}

#[test]
fn a_snapshot_with_another_digest_than_its_tree_is_counted() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let bytes = world.node.snapshot();
    let mut snapshot = Snapshot::read(&bytes).unwrap();
    let zxid = world.node.last_processed;
    let load = |snapshot: &Snapshot<'_>| {
        let node = Node::from_snapshot(Settings::fixed(), snapshot, zxid).unwrap();
        node.stats.digest_mismatches
    };
    assert_eq!(load(&snapshot), 0);
    let digest = snapshot.digest.as_mut().unwrap();
    assert_eq!((digest.zxid, digest.version), (zxid, DIGEST_VERSION));
    digest.digest += 1;
    assert_eq!(load(&snapshot), 1);
    // That of an earlier transaction is none of this tree.
    snapshot.digest.as_mut().unwrap().zxid = Zxid(zxid.0 - 1);
    assert_eq!(load(&snapshot), 0);
}

/// ZOOKEEPER servers write a snapshot while they go on: its digest is that of a later transaction.
#[test]
fn disk_edge_47_before_the_transaction_of_a_fuzzy_snapshot_nothing_is_compared() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let bytes = world.node.snapshot();
    let from = world.log.len();
    for i in 0..4 {
        world.create(c, &format!("/b{i}"));
    }
    let mut snapshot = Snapshot::read(&bytes).unwrap();
    let reached = Zxid(world.node.last_processed.0 - 1);
    let load = |digest: i64, snapshot: &mut Snapshot<'_>, log: &[Vec<u8>]| {
        snapshot.digest = Some(StoredDigest { zxid: reached, version: DIGEST_VERSION, digest });
        let mut node = Node::from_snapshot(Settings::fixed(), snapshot, Zxid(2)).unwrap();
        log.iter().for_each(|entry| node.replay(&Logged::read(entry).unwrap()));
        (node.stats.digest_mismatches, node.digests.awaited(), node.tree.digest())
    };
    // What a log says of the trees before is not looked at.
    let mut log = world.log[from..].to_vec();
    let last = log[0].len() - 1;
    log[0][last] ^= 1;
    let digest = Logged::read(&log[2]).unwrap().digest.unwrap().digest;
    assert_eq!(load(digest, &mut snapshot, &log).0, 0);
    assert_eq!(load(digest + 1, &mut snapshot, &log).0, 1);
    let (mismatches, awaited, _) = load(digest, &mut snapshot, &log[..2]);
    assert_eq!((mismatches, awaited), (0, Some(reached)));
}

/// ZooKeeper's leaders write one over a link while they go on, without a digest, and learners of
/// theirs count mismatches while they catch up. We know where it ends: whatever was in it is
/// decided before the leader lets the learner serve.
#[test]
fn disk_edge_47_a_fuzzy_snapshot_from_a_leader_is_not_compared_before_its_end() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let before = world.node.last_processed;
    for i in 0..2 {
        world.create(c, &format!("/b{i}"));
    }
    let body = world.node.snapshot_body();
    let end = world.node.last_processed;
    world.create(c, "/c");
    let last = world.log.len() - 1;
    let digest = world.log[last].len() - 1;
    let mut wrong = world.log.clone();
    wrong[last][digest] ^= 1;
    let whole = world.node.tree.digest();
    let learn = |log: &[Vec<u8>], serves: usize| {
        let snapshot = Snapshot::read_body(&body).unwrap();
        let mut node = Node::from_snapshot(Settings::fixed(), &snapshot, before).unwrap();
        // What is saved until then tells of no digest either.
        let saved = node.snapshot();
        assert_eq!(Snapshot::read(&saved).unwrap().digest.unwrap().zxid, Zxid::ZERO);
        let missing = log.iter().map(|entry| Logged::read(entry).unwrap());
        let missing = missing.filter(|logged| logged.header.zxid > before);
        for (i, logged) in missing.enumerate() {
            if i == serves {
                node.sharp_behind(end);
            }
            node.replay(&logged);
        }
        assert_eq!(node.tree.digest(), whole);
        node.stats.digest_mismatches
    };
    for serves in 0..3 {
        assert_eq!(learn(&world.log, serves), 0);
        assert_eq!(learn(&wrong, serves), 1);
    }
    assert_eq!(learn(&wrong, 9), 0, "nobody has said that it was over");
}

/// Two ints and a length could be the paths of a session's nodes, or the digest behind none.
#[test]
fn disk_edge_44_a_session_that_ends_without_paths_is_told_from_its_digest() {
    let entry = |digest: i64| {
        let mut entry = Vec::new();
        for long in [7, 0, 9, 10] {
            if long == 0 { 0_i32.encode(&mut entry) } else { i64::encode(&long, &mut entry) }
        }
        (-11_i32).encode(&mut entry);
        DIGEST_VERSION.encode(&mut entry);
        digest.encode(&mut entry);
        entry
    };
    for digest in [0, 1, 5, 1 << 32, -1, i64::MAX] {
        let entry = entry(digest);
        let logged = Logged::read(&entry).unwrap();
        assert_eq!(logged.body, crate::log::record::Body::CloseSession(Vec::new()));
        assert_eq!(logged.digest.unwrap().digest, digest);
    }
    // Ours always names them.
    let mut world = World::new();
    let c = world.connect();
    world.create_mode(c, "/e", 1).unwrap();
    world.frame(c, &request(Xid(1), OpCode::CloseSession.code(), &Empty));
    let closed = Logged::read(world.log.last().unwrap()).unwrap();
    assert_eq!(closed.body, crate::log::record::Body::CloseSession(vec![b"/e"]));
}

#[test]
fn without_digests_none_is_written_and_none_is_compared() {
    let mut settings = Settings::fixed();
    settings.rules.digest = false;
    let mut world = World::with(settings);
    let c = world.connect();
    world.create(c, "/a");
    assert_eq!(world.node.tree.digest(), 0);
    assert!(world.log.iter().all(|entry| Logged::read(entry).unwrap().digest.is_none()));
    // The place in a snapshot is kept: what is behind it would be taken for it.
    let bytes = world.node.snapshot();
    let snapshot = Snapshot::read(&bytes).unwrap();
    assert_eq!(snapshot.digest.unwrap().zxid, Zxid::ZERO);
    assert_eq!(snapshot.last_processed, Some(Zxid(2)));
}

#[test]
fn hash_tells_every_128th_digest() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    let mut told = Vec::new();
    while world.node.last_processed < Zxid(300) {
        world.set_data(c, "/a", b"x");
        if world.node.last_processed.0 % 128 == 0 {
            let zxid = world.node.last_processed.0;
            told.push(format!("{zxid:x}: {}\n", world.node.tree.digest().cast_signed()));
        }
    }
    let other = world.accept();
    let word = Word::recognise(*b"hash").unwrap();
    world.step(Input::FourLetterWord { conn: other, word, sizes: (0, 0) });
    let answer = String::from_utf8(world.take_bytes(other)).unwrap();
    assert!(answer.starts_with("80: "), "{answer}");
    assert_eq!(answer, told.concat());
}
