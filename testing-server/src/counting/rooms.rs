//! One room by itself: the tree, its watches, a log, a snapshot.

use std::hint::black_box;

use znode::proto::{EventType, Zxid};

use super::Work;
use super::alone::{DATA, NODES, Served, path};
use crate::log::record::Logged;
use crate::tree::acl_cache::AclId;
use crate::tree::node::Image;
use crate::tree::watches::{Modes, Watches};
use crate::tree::{NewNode, Tree};

/// How many connections watch the same node.
const WATCHERS: u32 = 10;

/// A tree of many nodes, their paths, and what they were made by.
fn grown() -> (Tree, Vec<String>) {
    let mut tree = Tree::new(11);
    let paths: Vec<String> = (0..NODES).map(path).collect();
    add(&mut tree, "/all");
    paths.iter().for_each(|path| add(&mut tree, path));
    (tree, paths)
}

fn add(tree: &mut Tree, path: &str) {
    tree.acls.retain(AclId::OPEN);
    let image = Image::new(path.as_bytes(), Some(DATA));
    tree.create(NewNode { image, acl: AclId::OPEN, owner: 0, parent_cversion: 0 }, Zxid(1), 1);
}

pub(super) fn find() -> Work {
    let (tree, paths) = grown();
    let mut next = 0;
    Box::new(move || {
        black_box(tree.lookup(black_box(paths[next % NODES].as_bytes())));
        next += 1;
    })
}

pub(super) fn set() -> Work {
    let (mut tree, paths) = grown();
    let mut next = 0;
    Box::new(move || {
        let image = Image::new(paths[next % NODES].as_bytes(), Some(DATA));
        black_box(tree.set_data(image, 1, Zxid(2), 2));
        next += 1;
    })
}

pub(super) fn create_delete() -> Work {
    let (mut tree, _) = grown();
    Box::new(move || {
        add(&mut tree, "/all/another");
        black_box(tree.delete(b"/all/another", Zxid(2)));
    })
}

pub(super) fn trigger() -> Work {
    let (mut watches, mut told) = (Watches::new(11), Vec::new());
    Box::new(move || {
        (0..WATCHERS).for_each(|conn| watches.add(b"/all/node", conn, Modes::DATA));
        told.clear();
        watches.trigger(b"/all/node", EventType::NodeDataChanged, &mut told);
        assert_eq!(told.len(), WATCHERS as usize);
    })
}

pub(super) fn unwatched() -> Work {
    let (mut watches, mut told) = (Watches::new(11), Vec::new());
    (0..NODES).for_each(|nth| watches.add(path(nth).as_bytes(), 0, Modes::DATA));
    Box::new(move || {
        watches.trigger(b"/few/node", EventType::NodeDataChanged, &mut told);
        assert!(told.is_empty());
    })
}

pub(super) fn replay() -> Work {
    let mut served = Served::new(true);
    Box::new(move || {
        let logged = Logged::read(&served.logged).expect("what was logged can be read");
        served.node.replay(&logged);
    })
}

/// All nodes are written each time, with the server's own and those of its client.
pub(super) fn snapshot() -> Work {
    let mut served = Served::new(false);
    Box::new(move || _ = black_box(served.node.snapshot()))
}
