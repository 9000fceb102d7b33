//! The data tree: every node, found by its path, with its children, owner and access control list.
//!
//! | room | what it holds |
//! |---|---|
//! | [`node`] | one node, its data and its `Stat` |
//! | [`slab`], [`index`] | nodes under numbers, and the numbers by path |
//! | [`quota`] | limits of subtrees, and how much of them is used |
//! | [`ephemerals`], [`containers`] | owners: sessions, containers, times to live |
//! | [`acl_cache`] | access control lists, each kept once |
//! | [`watches`] | who wants to know of what |
//! | [`digest`] | the number by which two trees are compared |
//! | [`freeze`] | the tree as it was, while a snapshot of it is being written |
//! | [`restore`] | how a tree comes back from files |
//!
//! The tree applies what was decided elsewhere: it asks no permission and knows no error but "there
//! is no such node". Invariant of absence: nothing here looks at a clock or draws a number.

pub(crate) mod acl_cache;
pub(crate) mod containers;
pub(crate) mod digest;
pub(crate) mod ephemerals;
pub(crate) mod freeze;
pub(crate) mod index;
pub(crate) mod node;
pub(crate) mod quota;
pub(crate) mod restore;
pub(crate) mod slab;
pub(crate) mod watches;

#[cfg(test)]
mod model_tests;

use std::collections::BTreeSet;

use znode::proto::{AclRecord, Perms, Zxid};

use acl_cache::{AclCache, AclId};
use containers::OwnerKind;
use digest::Digest;
use ephemerals::Ephemerals;
use freeze::Freezes;
use index::{PathHasher, PathIndex};
use node::{DataNode, Image, NodeId};
use quota::{Amounts, QuotaNode, Quotas, usage_path};
use slab::Slab;

/// The nodes that a new tree has and that nobody may delete.
const RESERVED: [&[u8]; 4] = [b"/", b"/zookeeper", b"/zookeeper/quota", CONFIG_PATH];

/// Where clients read who belongs to the ensemble.
pub(crate) const CONFIG_PATH: &[u8] = b"/zookeeper/config";

/// The first node that is made.
const ROOT: NodeId = NodeId(0);

/// The data tree.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Slab<DataNode>,
    index: PathIndex,
    hasher: PathHasher,
    /// Lists that nodes refer to; transactions on their way hold references too.
    pub(crate) acls: AclCache,
    ephemerals: Ephemerals,
    /// Containers and nodes with a time to live.
    reapable: BTreeSet<NodeId>,
    pub(crate) quotas: Quotas,
    /// The digest, if it is kept.
    digest: Option<Digest>,
    /// What snapshots on their way still need of nodes that have changed.
    freezes: Freezes,
}

/// What is left of a node that was deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deleted {
    /// Its access control list, still counted as referred to.
    pub(crate) acl: AclId,
    /// The node that was above it.
    pub(crate) parent: NodeId,
}

/// What a transaction says about a node that it creates.
#[derive(Debug)]
pub(crate) struct NewNode {
    /// Path and data.
    pub(crate) image: Image,
    /// The access control list; its reference passes to the node.
    pub(crate) acl: AclId,
    /// The owner, in its stored encoding.
    pub(crate) owner: i64,
    /// The parent's count of creations after this one.
    pub(crate) parent_cversion: i32,
}

impl Tree {
    /// A tree with ZooKeeper's own nodes and no other; `seed` goes into the hashes.
    pub(crate) fn new(seed: u64) -> Self {
        let hasher = PathHasher::new(seed);
        let mut tree = Self {
            nodes: Slab::new(),
            index: PathIndex::new(),
            hasher,
            acls: AclCache::new(hasher),
            ephemerals: Ephemerals::default(),
            reapable: BTreeSet::new(),
            quotas: Quotas::default(),
            digest: None,
            freezes: Freezes::default(),
        };
        // Installed without the bookkeeping of a creation, so counts of creations stay zero.
        for path in RESERVED {
            let parent = parent(path).and_then(|parent| tree.lookup(parent)).unwrap_or(ROOT);
            tree.acls.retain(AclId::OPEN);
            let node = new_node(Image::new(path, Some(b"")), AclId::OPEN, 0, parent);
            let id = tree.insert(node);
            if id != ROOT {
                tree.link(parent, id);
            }
        }
        let read_only = tree.acls.intern(&[AclRecord::new(Perms::READ, "world", "anyone")]);
        tree.set_acl(RESERVED[3], read_only, -1);
        tree
    }

    /// Keeps a digest from now on, counted anew.
    pub(crate) fn keep_digest(&mut self) {
        self.digest = Some(Digest::new(&self.nodes));
    }

    /// The digest of the tree; zero if none is kept.
    pub(crate) fn digest(&mut self) -> u64 {
        self.digest.as_mut().map_or(0, |digest| digest.settle(&self.nodes))
    }

    /// Changes a node: every change of path, data, list or metadata goes through here, so that the
    /// digest follows and snapshots keep what was.
    fn change<T>(&mut self, id: NodeId, change: impl FnOnce(&mut DataNode) -> T) -> T {
        let node = &mut self.nodes[id.0];
        if !self.freezes.is_empty() {
            self.freezes.save(id, node, &mut self.acls);
        }
        if let Some(digest) = &mut self.digest {
            digest.changes(id, node);
        }
        change(node)
    }

    /// The node at `path`; the empty path is another name of the root.
    pub(crate) fn lookup(&self, path: &[u8]) -> Option<NodeId> {
        let path = if path.is_empty() { b"/" } else { path };
        self.find(self.hasher.hash(path), path)
    }

    fn find(&self, hash: u32, path: &[u8]) -> Option<NodeId> {
        self.index.find(hash, |id| self.nodes[id].image.path() == path).map(NodeId)
    }

    /// The node at `path`.
    pub(crate) fn node(&self, path: &[u8]) -> Option<&DataNode> {
        self.lookup(path).map(|id| self.at(id))
    }

    /// The node under a number.
    pub(crate) fn at(&self, id: NodeId) -> &DataNode {
        &self.nodes[id.0]
    }

    /// How many nodes there are, ZooKeeper's own included.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many bytes paths and data take, roughly.
    pub(crate) fn data_size(&self) -> usize {
        let size = |node: &DataNode| node.image.path().len() + node.image.data_len();
        self.nodes.iter().map(|(_, node)| size(node)).sum()
    }

    /// How many nodes stand below `id`, at any depth.
    pub(crate) fn descendants(&self, id: NodeId) -> usize {
        let mut waiting = vec![id];
        let mut count = 0;
        while let Some(id) = waiting.pop() {
            let children = self.at(id).children();
            count += children.len();
            waiting.extend_from_slice(children);
        }
        count
    }

    /// Which session owns which nodes.
    pub(crate) fn ephemerals(&self) -> &Ephemerals {
        &self.ephemerals
    }

    /// Creates a node. The parent's count of creations is raised, never lowered: the same
    /// transaction may be applied again when a log is replayed.
    ///
    /// # Panics
    /// If the parent is missing or the node exists; a transaction is checked before it is made.
    pub(crate) fn create(&mut self, new: NewNode, zxid: Zxid, time_ms: i64) -> NodeId {
        let above = parent(new.image.path()).expect("the root is never created");
        let parent = self.lookup(above).expect("a create is checked against its parent");
        let mut node = new_node(new.image, new.acl, new.owner, parent);
        (node.czxid, node.mzxid, node.pzxid) = (zxid, zxid, zxid);
        (node.ctime_ms, node.mtime_ms) = (time_ms, time_ms);
        let id = self.insert(node);
        self.link(parent, id);
        if new.parent_cversion > self.at(parent).cversion {
            self.raise_cversion(parent, new.parent_cversion, zxid);
        }
        if let OwnerKind::Session(session) = OwnerKind::of(new.owner) {
            self.ephemerals.insert(session, id);
        }
        self.count_new(id);
        id
    }

    fn raise_cversion(&mut self, id: NodeId, cversion: i32, zxid: Zxid) {
        self.change(id, |node| {
            node.cversion = cversion;
            node.pzxid = zxid;
        });
    }

    /// Notes when a node has last lost a child.
    fn raise_pzxid(&mut self, id: NodeId, zxid: Zxid) {
        if self.at(id).pzxid < zxid {
            self.change(id, |node| node.pzxid = zxid);
        }
    }

    /// Containers and nodes with a time to live, in the order of their numbers.
    pub(crate) fn may_be_reaped(&self) -> impl Iterator<Item = NodeId> {
        self.reapable.iter().copied()
    }

    /// Arms a quota, counts its usage anew, or just counts: what a new node is for.
    fn count_new(&mut self, id: NodeId) {
        let node = self.at(id);
        if !self.quotas.concern(node.image.path()) {
            return;
        }
        let bytes = node.image.data_len();
        let path: Box<[u8]> = node.image.path().into();
        match QuotaNode::of(&path) {
            Some(QuotaNode::Limits(of)) => self.quotas.arm(of),
            Some(QuotaNode::Usage(of)) => self.recount(of, id),
            None => {}
        }
        self.count_usage(&path, 1, len(bytes));
    }

    /// Writes the usage of a whole subtree into its node.
    fn recount(&mut self, of: &[u8], usage: NodeId) {
        let (mut count, mut bytes) = (0, 0);
        let mut waiting: Vec<NodeId> = self.lookup(of).into_iter().collect();
        while let Some(id) = waiting.pop() {
            let node = self.at(id);
            (count, bytes) = (count + 1, bytes + len(node.image.data_len()));
            waiting.extend_from_slice(node.children());
        }
        self.rewrite(usage, &Amounts::of(count, bytes));
    }

    /// Adds to the usage of the deepest quota above a path. No transaction does this: the node's
    /// data changes without a trace in its metadata, and nobody is told.
    fn count_usage(&mut self, path: &[u8], count: i64, bytes: i64) {
        let Some(of) = self.quotas.deepest(path) else {
            return;
        };
        if let Some(id) = self.lookup(&usage_path(of)) {
            let mut amounts = Amounts::parse(self.at(id).image.data().unwrap_or_default());
            amounts.add(count, bytes);
            self.rewrite(id, &amounts);
        }
    }

    fn rewrite(&mut self, id: NodeId, amounts: &Amounts) {
        let image = Image::new(self.at(id).image.path(), Some(amounts.text().as_bytes()));
        let before = self.change(id, |node| std::mem::replace(&mut node.image, image));
        self.freezes.keep(id, before);
    }

    /// Deletes a node without children; its access control list is the caller's to release.
    pub(crate) fn delete(&mut self, path: &[u8], zxid: Zxid) -> Option<Deleted> {
        let hash = self.hasher.hash(path);
        let id = self.find(hash, path)?;
        let node = self.nodes.remove(id.0)?;
        if let Some(digest) = &mut self.digest {
            digest.changes(id, &node);
        }
        self.index.remove(hash, id.0);
        self.unlink(&node);
        self.raise_pzxid(node.parent, zxid);
        if let OwnerKind::Session(session) = OwnerKind::of(node.owner) {
            self.ephemerals.remove(session, id);
        }
        self.reapable.remove(&id);
        if let Some(QuotaNode::Limits(of)) = QuotaNode::of(path) {
            self.quotas.disarm(of);
        }
        self.count_usage(path, -1, -len(node.image.data_len()));
        let deleted = Deleted { acl: node.acl, parent: node.parent };
        if !self.freezes.is_empty() {
            self.freezes.save(id, &node, &mut self.acls);
            self.freezes.keep(id, node.image);
        }
        Some(deleted)
    }

    /// Writes the data of the node that the image names.
    pub(crate) fn set_data(
        &mut self,
        image: Image,
        version: i32,
        zxid: Zxid,
        time_ms: i64,
    ) -> Option<NodeId> {
        let id = self.lookup(image.path())?;
        let before = self.change(id, |node| {
            node.version = version;
            node.mzxid = zxid;
            node.mtime_ms = time_ms;
            std::mem::replace(&mut node.image, image)
        });
        if self.quotas.deepest(before.path()).is_some() {
            let more = len(self.at(id).image.data_len()) - len(before.data_len());
            self.count_usage(before.path(), 0, more);
        }
        self.freezes.keep(id, before);
        Some(id)
    }

    /// Gives the node another access control list, whose reference passes to it.
    pub(crate) fn set_acl(&mut self, path: &[u8], acl: AclId, aversion: i32) -> Option<NodeId> {
        let id = self.lookup(path)?;
        let before = self.change(id, |node| {
            node.aversion = aversion;
            std::mem::replace(&mut node.acl, acl)
        });
        self.acls.release(before);
        Some(id)
    }

    /// Sets a count of creations that no test could reach by creating.
    #[cfg(test)]
    pub(crate) fn force_cversion(&mut self, path: &[u8], cversion: i32) {
        let id = self.lookup(path).expect("the test has created the node");
        self.change(id, |node| node.cversion = cversion);
    }

    fn insert(&mut self, node: DataNode) -> NodeId {
        let hash = self.hasher.hash(node.image.path());
        let reapable =
            matches!(OwnerKind::of(node.owner), OwnerKind::Container | OwnerKind::Ttl(_));
        let id = self.nodes.insert(node);
        if let Some(digest) = &mut self.digest {
            digest.appears(NodeId(id));
        }
        self.freezes.created(NodeId(id));
        self.index.insert(hash, id);
        if reapable {
            self.reapable.insert(NodeId(id));
        }
        NodeId(id)
    }

    /// Puts `child` at the end of its parent's children.
    fn link(&mut self, parent: NodeId, child: NodeId) {
        let children = self.nodes[parent.0].children.get_or_insert_default();
        let slot = u32::try_from(children.len()).expect("children are numbered nodes");
        children.push(child);
        self.nodes[child.0].slot = slot;
    }

    /// Takes a node out of its parent's children; the last child moves into its place.
    fn unlink(&mut self, node: &DataNode) {
        let slot = node.slot as usize;
        let above = &mut self.nodes[node.parent.0];
        let children = above.children.as_mut().expect("a parent has its child");
        children.swap_remove(slot);
        let moved = children.get(slot).copied();
        if children.is_empty() {
            above.children = None;
        }
        if let Some(moved) = moved {
            self.nodes[moved.0].slot = node.slot;
        }
    }
}

/// Whether a path is one of ZooKeeper's own nodes.
pub(crate) fn is_reserved(path: &[u8]) -> bool {
    RESERVED.contains(&path)
}

/// The path above; the path of a node right below the root has the root above it.
pub(crate) fn parent(path: &[u8]) -> Option<&[u8]> {
    match path.iter().rposition(|byte| *byte == b'/')? {
        0 if path.len() == 1 => None,
        0 => Some(b"/"),
        slash => Some(&path[..slash]),
    }
}

fn len(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn new_node(image: Image, acl: AclId, owner: i64, parent: NodeId) -> DataNode {
    DataNode {
        image,
        parent,
        slot: 0,
        children: None,
        acl,
        czxid: Zxid::ZERO,
        mzxid: Zxid::ZERO,
        pzxid: Zxid::ZERO,
        ctime_ms: 0,
        mtime_ms: 0,
        owner,
        version: 0,
        cversion: 0,
        aversion: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(tree: &Tree, path: &str) -> znode::proto::Stat {
        tree.node(path.as_bytes()).unwrap().stat()
    }

    #[test]
    fn a_fresh_tree_reports_apaches_odd_numbers() {
        let tree = Tree::new(0);
        assert_eq!(stat(&tree, "/").cversion, -1);
        assert_eq!(stat(&tree, "/zookeeper").cversion, -2);
        assert_eq!(stat(&tree, "/zookeeper/config").aversion.0, -1);
        assert_eq!(tree.descendants(ROOT), 3);
        assert_eq!(tree.len(), 4);
    }

    #[test]
    fn the_empty_path_is_the_root() {
        let tree = Tree::new(0);
        assert_eq!(tree.lookup(b""), tree.lookup(b"/"));
    }

    #[test]
    fn the_parent_of_a_top_level_node_is_the_root() {
        assert_eq!(parent(b"/a/b"), Some(&b"/a"[..]));
        assert_eq!(parent(b"/a"), Some(&b"/"[..]));
        assert_eq!(parent(b"/"), None);
        assert_eq!(parent(b"a"), None);
    }
}
