//! The tree against a model so naive that it can be read in one sitting.

use std::collections::BTreeMap;

use proptest::prelude::*;
use znode::proto::{EventType, SessionId, Stat, Version, Zxid};

use super::watches::{Modes, Watches};
use super::*;

/// A node of the model.
#[derive(Debug, Clone)]
struct Naive {
    data: Option<Vec<u8>>,
    stat: Stat,
    created: i32,
    owner: i64,
}

/// Every node by its path, children found by looking at every path.
struct Model(BTreeMap<String, Naive>);

#[derive(Debug, Clone)]
enum Op {
    Create(String, Option<Vec<u8>>, bool),
    Delete(String),
    SetData(String, Option<Vec<u8>>),
    SetAcl(String),
}

impl Model {
    fn new() -> Self {
        let tree = Tree::new(0);
        let paths = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        let node = |path: &str| Naive {
            data: Some(vec![]),
            stat: tree.node(path.as_bytes()).unwrap().stat(),
            created: 0,
            owner: 0,
        };
        Self(paths.iter().map(|path| ((*path).to_owned(), node(path))).collect())
    }

    fn children(&self, path: &str) -> Vec<String> {
        let above = |child: &&String| {
            child.as_str() != "/" && parent(child.as_bytes()) == Some(path.as_bytes())
        };
        self.0.keys().filter(above).cloned().collect()
    }

    fn parent(&mut self, path: &str) -> Option<&mut Naive> {
        let above = String::from_utf8(parent(path.as_bytes())?.to_vec()).unwrap();
        self.0.get_mut(&above)
    }

    fn stat(&self, path: &str) -> Stat {
        let node = &self.0[path];
        let children = self.children(path).len();
        Stat {
            num_children: node::count(children),
            cversion: 2 * node.created - node::count(children),
            data_length: node::count(node.data.as_ref().map_or(0, Vec::len)),
            ..node.stat
        }
    }
}

/// Applies an operation to both, if the model says that it is possible.
fn apply(tree: &mut Tree, model: &mut Model, op: &Op, zxid: Zxid) {
    let time_ms = zxid.0 * 10;
    match op {
        Op::Create(path, data, ephemeral) => {
            let Some(above) = model.parent(path) else { return };
            let (created, owned) = (above.created + 1, above.owner != 0);
            if owned || model.0.contains_key(path) {
                return;
            }
            let above = model.parent(path).unwrap();
            above.created = created;
            above.stat.pzxid = zxid;
            let owner = if *ephemeral { 0x77 } else { 0 };
            let stat = Stat {
                czxid: zxid,
                mzxid: zxid,
                pzxid: zxid,
                ctime: time_ms,
                mtime: time_ms,
                ephemeral_owner: SessionId(owner),
                ..Stat::default()
            };
            model.0.insert(path.clone(), Naive { data: data.clone(), stat, created: 0, owner });
            tree.acls.retain(AclId::OPEN);
            let new = NewNode {
                image: Image::new(path.as_bytes(), data.as_deref()),
                acl: AclId::OPEN,
                owner,
                parent_cversion: created,
            };
            tree.create(new, zxid, time_ms);
        }
        Op::Delete(path) => {
            if !model.0.contains_key(path) || !model.children(path).is_empty() {
                return;
            }
            model.0.remove(path);
            model.parent(path).unwrap().stat.pzxid = zxid;
            let node = tree.delete(path.as_bytes(), zxid).unwrap();
            tree.acls.release(node.acl);
        }
        Op::SetData(path, data) => {
            let Some(node) = model.0.get_mut(path) else { return };
            node.data.clone_from(data);
            node.stat.version = Version(node.stat.version.0 + 1);
            node.stat.mzxid = zxid;
            node.stat.mtime = time_ms;
            let image = Image::new(path.as_bytes(), data.as_deref());
            tree.set_data(image, node.stat.version.0, zxid, time_ms);
        }
        Op::SetAcl(path) => {
            let Some(node) = model.0.get_mut(path) else { return };
            node.stat.aversion = Version(node.stat.aversion.0 + 1);
            tree.acls.retain(AclId::OPEN);
            tree.set_acl(path.as_bytes(), AclId::OPEN, node.stat.aversion.0);
        }
    }
}

fn check(tree: &Tree, model: &Model) {
    assert_eq!(tree.len(), model.0.len());
    for (path, naive) in &model.0 {
        let node = tree.node(path.as_bytes()).unwrap();
        assert_eq!(node.stat(), model.stat(path), "{path}");
        assert_eq!(node.image.data(), naive.data.as_deref(), "{path}");
        let mut names: Vec<Vec<u8>> =
            node.children().iter().map(|child| tree.at(*child).image.path().to_vec()).collect();
        names.sort();
        let expected: Vec<Vec<u8>> =
            model.children(path).into_iter().map(String::into_bytes).collect();
        assert_eq!(names, expected, "{path}");
    }
    let owned = model.0.values().filter(|node| node.owner != 0).count();
    assert_eq!(tree.ephemerals().of(SessionId(0x77)).count(), owned);
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[abc]", 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (path(), data(), proptest::bool::weighted(0.2))
            .prop_map(|(path, data, ephemeral)| Op::Create(path, data, ephemeral)),
        2 => path().prop_map(Op::Delete),
        1 => (path(), data()).prop_map(|(path, data)| Op::SetData(path, data)),
        1 => path().prop_map(Op::SetAcl),
    ]
}

proptest! {
    #[test]
    fn the_tree_agrees_with_the_model(ops in proptest::collection::vec(op(), 0..80)) {
        let (mut tree, mut model) = (Tree::new(5), Model::new());
        for (zxid, op) in (1..).zip(&ops) {
            apply(&mut tree, &mut model, op, Zxid(zxid));
        }
        check(&tree, &model);
    }
}

/// What happens to watches.
#[derive(Debug, Clone)]
enum WatchOp {
    Add(String, u32, Modes),
    Remove(String, u32, Modes),
    Trigger(String, EventType),
    Close(u32),
}

/// Watches as a list of three-column rows.
#[derive(Default)]
struct NaiveWatches(BTreeSet<(String, u32, u8)>);

fn bit(modes: Modes) -> u8 {
    let kinds = [Modes::DATA, Modes::CHILD, Modes::PERSISTENT, Modes::RECURSIVE];
    u8::try_from(kinds.iter().position(|kind| *kind == modes).unwrap()).unwrap()
}

impl NaiveWatches {
    fn trigger(&mut self, path: &str, event: EventType) -> Vec<u32> {
        let on = |bit: u8| match event {
            EventType::NodeChildrenChanged => matches!(bit, 1 | 2),
            EventType::NodeDeleted => true,
            _ => bit != 1,
        };
        let spent = |bit: u8| bit < 2 && on(bit);
        let below = |at: &str| at == "/" || path.starts_with(&format!("{at}/"));
        let told = self.0.iter().filter(|(at, _, bit)| {
            let above = *bit == 3 && below(at) && event != EventType::NodeChildrenChanged;
            (at == path && on(*bit)) || above
        });
        let mut told: Vec<u32> = told.map(|(_, conn, _)| *conn).collect();
        told.sort_unstable();
        told.dedup();
        self.0.retain(|(at, _, bit)| at != path || !spent(*bit));
        told
    }
}

fn watch_op() -> impl Strategy<Value = WatchOp> {
    let modes = || {
        let kinds = vec![Modes::DATA, Modes::CHILD, Modes::PERSISTENT, Modes::RECURSIVE];
        proptest::sample::select(kinds)
    };
    let event = proptest::sample::select(vec![
        EventType::NodeCreated,
        EventType::NodeDeleted,
        EventType::NodeDataChanged,
        EventType::NodeChildrenChanged,
    ]);
    let path = || prop_oneof![9 => path(), 1 => Just("/".to_owned())];
    prop_oneof![
        6 => (path(), 0..6u32, modes()).prop_map(|(path, c, modes)| WatchOp::Add(path, c, modes)),
        2 => (path(), 0..6u32, modes())
            .prop_map(|(path, c, modes)| WatchOp::Remove(path, c, modes)),
        3 => (path(), event).prop_map(|(path, event)| WatchOp::Trigger(path, event)),
        1 => (0..6u32).prop_map(WatchOp::Close),
    ]
}

proptest! {
    #[test]
    fn the_watches_agree_with_the_model(ops in proptest::collection::vec(watch_op(), 0..120)) {
        let (mut watches, mut model) = (Watches::new(3), NaiveWatches::default());
        for op in ops {
            match op {
                WatchOp::Add(path, conn, modes) => {
                    watches.add(path.as_bytes(), conn, modes);
                    model.0.insert((path, conn, bit(modes)));
                }
                WatchOp::Remove(path, conn, modes) => {
                    let removed = watches.remove(path.as_bytes(), conn, modes);
                    prop_assert_eq!(removed, model.0.remove(&(path, conn, bit(modes))));
                }
                WatchOp::Trigger(path, event) => {
                    let mut told = Vec::new();
                    watches.trigger(path.as_bytes(), event, &mut told);
                    told.sort_unstable();
                    prop_assert_eq!(told, model.trigger(&path, event));
                }
                WatchOp::Close(conn) => {
                    watches.remove_connection(conn);
                    model.0.retain(|(_, owner, _)| *owner != conn);
                }
            }
        }
        let pairs: BTreeSet<(&str, u32)> =
            model.0.iter().map(|(path, conn, _)| (&**path, *conn)).collect();
        prop_assert_eq!(watches.iter().count(), pairs.len());
    }
}
