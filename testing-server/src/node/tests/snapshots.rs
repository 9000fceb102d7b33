//! Snapshots that are taken piece by piece while the server goes on.

use proptest::prelude::*;

use super::*;
use crate::log::snapshot::{Seal, Snapshot};
use crate::node::snapshots::SnapshotId;

/// A snapshot on its way, and what it must come to.
struct UnderWay {
    id: SnapshotId,
    bytes: Vec<u8>,
    expected: String,
}

impl UnderWay {
    fn begin(world: &mut World) -> Self {
        let whole = world.node.snapshot();
        let expected = seen(&whole);
        let id = world.node.begin_snapshot();
        assert_eq!(id.zxid, world.node.last_processed);
        Self { id, bytes: Vec::new(), expected }
    }

    /// Takes a piece; false if it was the last one.
    fn go_on(&mut self, world: &mut World, len: usize) -> bool {
        world.node.snapshot_piece(self.id, len, &mut self.bytes).expect("it is under way")
    }

    fn check(mut self) {
        let mut seal = Seal::new();
        seal.note(&self.bytes);
        self.bytes.append(&mut seal.tail(self.id.digest, self.id.zxid));
        assert_eq!(seen(&self.bytes), self.expected);
    }
}

/// Everything in a snapshot, in an order that does not depend on how it came about. Loading it
/// checks that parents come first, and the digest.
fn seen(bytes: &[u8]) -> String {
    let snapshot = Snapshot::read(bytes).unwrap();
    let zxid = snapshot.last_processed.unwrap();
    let loaded = Node::from_snapshot(Settings::fixed(), &snapshot, zxid).unwrap();
    assert_eq!(loaded.stats.digest_mismatches, 0);
    let list = |number: i64| match number {
        -1 => "open".to_owned(),
        number => format!("{:?}", snapshot.acls[&number]),
    };
    let mut nodes: Vec<String> = snapshot
        .nodes
        .iter()
        .map(|(path, node)| format!("{path:?} {:?} {:?} {}", node.data, node.stat, list(node.acl)))
        .collect();
    let count = nodes.len();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), count, "a node comes twice");
    format!("{:?} {:?} {nodes:#?}", snapshot.sessions, snapshot.digest)
}

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    Write((u8, usize, u8)),
    Begin,
    /// The next piece of one of those on their way, of so many bytes.
    GoOn(usize, usize),
    Abandon(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0_u8..10, 0_usize..8, any::<u8>()).prop_map(Event::Write),
        2 => Just(Event::Begin),
        6 => (0_usize..4, 0_usize..300).prop_map(|(which, len)| Event::GoOn(which, len)),
        1 => (0_usize..4).prop_map(Event::Abandon),
    ]
}

proptest! {
    /// Any number of them, begun, taken and abandoned in any order, with any writes in between.
    #[test]
    fn a_snapshot_is_the_tree_as_it_was_whatever_is_written_meanwhile(
        before in prop::collection::vec((0_u8..8, 0_usize..8, any::<u8>()), 0..30),
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new();
        let mut c = world.connect();
        for write in before {
            random_write(&mut world, &mut c, write);
        }
        let mut under_way: Vec<UnderWay> = Vec::new();
        for event in events {
            world.now += Duration::from_millis(1);
            match event {
                Event::Write(write) => random_write(&mut world, &mut c, write),
                Event::Begin => under_way.push(UnderWay::begin(&mut world)),
                Event::GoOn(which, len) if which < under_way.len() => {
                    if !under_way[which].go_on(&mut world, len) {
                        under_way.remove(which).check();
                    }
                }
                Event::Abandon(which) if which < under_way.len() => {
                    world.node.end_snapshot(under_way.remove(which).id);
                }
                Event::GoOn(..) | Event::Abandon(_) => {}
            }
        }
        for mut left in under_way {
            while left.go_on(&mut world, 50) {
                random_write(&mut world, &mut c, (2, 0, 9));
            }
            left.check();
        }
        prop_assert!(world.node.tree.keeps_nothing_back());
        // Every list that is kept is one that a node refers to.
        let whole = world.node.snapshot();
        let snapshot = Snapshot::read(&whole).unwrap();
        for number in snapshot.acls.keys() {
            prop_assert!(snapshot.nodes.iter().any(|(_, node)| node.acl == *number), "{}", number);
        }
    }
}

#[test]
fn a_snapshot_of_many_nodes_comes_in_pieces_of_the_length_that_is_asked_for() {
    let mut world = World::new();
    let c = world.connect();
    world.create(c, "/a");
    for i in 0..3000 {
        world.create(c, &format!("/a/{i}"));
    }
    let mut taken = UnderWay::begin(&mut world);
    let (mut pieces, mut before) = (0, 0);
    while taken.go_on(&mut world, 4096) {
        pieces += 1;
        assert!(taken.bytes.len() - before < 4096 + 200, "{}", taken.bytes.len() - before);
        before = taken.bytes.len();
        // What has come out already may change as it likes, and nothing is kept of it.
        world.set_data(c, "/a", b"changed");
        world.delete(c, &format!("/a/{pieces}"));
    }
    assert!(pieces > 50, "{pieces}");
    taken.check();
    assert!(world.node.tree.keeps_nothing_back());
}

#[test]
fn an_unknown_snapshot_has_no_pieces() {
    let mut world = World::new();
    let id = world.node.begin_snapshot();
    world.node.end_snapshot(id);
    assert_eq!(world.node.snapshot_piece(id, 100, &mut Vec::new()), None);
    let mut other = World::new();
    assert_eq!(other.node.snapshot_piece(id, 100, &mut Vec::new()), None);
}
