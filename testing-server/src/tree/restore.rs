//! How a tree comes back: from a snapshot, and by doing again what a log says.
//!
//! A log may say what a snapshot holds already, so everything here can be done twice.

use znode::proto::Zxid;

use super::acl_cache::AclId;
use super::node::{DataNode, Image};
use super::quota::QuotaNode;
use super::{NewNode, ROOT, Tree, new_node, parent};
use crate::tree::containers::OwnerKind;

/// A node as a snapshot describes it.
#[derive(Debug)]
pub(crate) struct StoredNode {
    /// Path and data.
    pub(crate) image: Image,
    /// Its access control list, whose reference passes to the node.
    pub(crate) acl: AclId,
    /// Its owner, in the stored encoding.
    pub(crate) owner: i64,
    /// The transactions that created it, wrote its data, and last changed its children.
    pub(crate) zxids: (Zxid, Zxid, Zxid),
    /// When it was created, and when its data was written.
    pub(crate) times_ms: (i64, i64),
    /// The counts of writes of data, of creations of children, of writes of the list.
    pub(crate) versions: (i32, i32, i32),
}

impl Tree {
    /// Calls `see` for every node, each after the one above it.
    pub(crate) fn each_parent_first(&self, mut see: impl FnMut(&DataNode)) {
        let mut waiting = vec![ROOT];
        while let Some(id) = waiting.pop() {
            let node = self.at(id);
            see(node);
            waiting.extend_from_slice(node.children());
        }
    }

    /// Puts in a node of a snapshot; ZooKeeper's own nodes are there already and are changed. False
    /// if the node above it is missing. The digest is to be counted anew afterwards.
    pub(crate) fn load(&mut self, stored: StoredNode) -> bool {
        let path = stored.image.path();
        let found = self.lookup(path);
        let above = parent(path).and_then(|above| self.lookup(above));
        let id = match (found, above) {
            (Some(id), _) => id,
            (None, None) => return false,
            (None, Some(above)) => {
                self.acls.retain(AclId::OPEN);
                let node = new_node(Image::new(path, None), AclId::OPEN, 0, above);
                let id = self.insert(node);
                self.link(above, id);
                id
            }
        };
        debug_assert!(self.freezes.is_empty(), "a tree is loaded before it is written");
        let node = &mut self.nodes[id.0];
        let acl_before = std::mem::replace(&mut node.acl, stored.acl);
        let owner_before = std::mem::replace(&mut node.owner, stored.owner);
        node.image = stored.image;
        (node.czxid, node.mzxid, node.pzxid) = stored.zxids;
        (node.ctime_ms, node.mtime_ms) = stored.times_ms;
        (node.version, node.cversion, node.aversion) = stored.versions;
        self.acls.release(acl_before);
        if let OwnerKind::Session(session) = OwnerKind::of(owner_before) {
            self.ephemerals.remove(session, id);
        }
        self.reapable.remove(&id);
        match OwnerKind::of(stored.owner) {
            OwnerKind::Session(session) => self.ephemerals.insert(session, id),
            OwnerKind::Container | OwnerKind::Ttl(_) => drop(self.reapable.insert(id)),
            OwnerKind::Nobody => {}
        }
        true
    }

    /// Arms the quotas that have come in with a snapshot, and counts what they are about: usage is
    /// nobody's transaction, so what the snapshot says of it may be old.
    pub(crate) fn settle_quotas(&mut self) {
        let mut paths = Vec::new();
        self.each_parent_first(|node| {
            if QuotaNode::of(node.image.path()).is_some() {
                paths.push(node.image.path().to_vec());
            }
        });
        for path in &paths {
            if let Some(QuotaNode::Limits(of)) = QuotaNode::of(path) {
                self.quotas.arm(of);
            }
        }
        for path in &paths {
            if let (Some(QuotaNode::Usage(of)), Some(id)) = (QuotaNode::of(path), self.lookup(path))
            {
                self.recount(of, id);
            }
        }
    }

    /// Creates a node again. One that is there takes the list alone; if `plain`, its parent's count
    /// of creations is raised nevertheless.
    pub(crate) fn create_again(&mut self, mut new: NewNode, plain: bool, zxid: Zxid, time_ms: i64) {
        let Some(above) = parent(new.image.path()).and_then(|above| self.lookup(above)) else {
            return self.acls.release(new.acl);
        };
        let cversion = self.at(above).cversion;
        if new.parent_cversion == -1 {
            new.parent_cversion = cversion.wrapping_add(1);
        }
        let Some(id) = self.lookup(new.image.path()) else {
            self.create(new, zxid, time_ms);
            return;
        };
        let before = self.change(id, |node| std::mem::replace(&mut node.acl, new.acl));
        self.acls.release(before);
        if plain && new.parent_cversion > cversion {
            self.raise_cversion(above, new.parent_cversion, zxid);
        }
    }

    /// Deletes a node again. Also if it is gone, the parent has lost it in this transaction.
    pub(crate) fn delete_again(&mut self, path: &[u8], zxid: Zxid) {
        let Some(above) = parent(path).and_then(|above| self.lookup(above)) else {
            return;
        };
        self.raise_pzxid(above, zxid);
        let Some(id) = self.lookup(path).filter(|id| *id != ROOT) else {
            return;
        };
        // What the log creates below it later on may have been in the snapshot already.
        let mut doomed = vec![id];
        let mut next = 0;
        while let Some(id) = doomed.get(next).copied() {
            doomed.extend_from_slice(self.at(id).children());
            next += 1;
        }
        for id in doomed.into_iter().rev() {
            let path = self.at(id).image.path().to_vec();
            if let Some(deleted) = self.delete(&path, zxid) {
                self.acls.release(deleted.acl);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(tree: &mut Tree, path: &str, data: &str, owner: i64) {
        tree.acls.retain(AclId::OPEN);
        let none = Zxid::ZERO;
        assert!(tree.load(StoredNode {
            image: Image::new(path.as_bytes(), Some(data.as_bytes())),
            acl: AclId::OPEN,
            owner,
            zxids: (none, none, none),
            times_ms: (0, 0),
            versions: (0, 0, 0),
        }));
    }

    #[test]
    fn a_loaded_container_is_reaped_like_one_that_was_created() {
        let mut tree = Tree::new(0);
        load(&mut tree, "/a", "", OwnerKind::Container.encode());
        load(&mut tree, "/b", "", OwnerKind::Ttl(5).encode());
        load(&mut tree, "/c", "", 0);
        assert_eq!(tree.may_be_reaped().count(), 2);
    }

    #[test]
    fn a_loaded_quota_holds_and_its_usage_is_counted_anew() {
        let mut tree = Tree::new(0);
        load(&mut tree, "/a", "four", 0);
        load(&mut tree, "/a/b", "five!", 0);
        load(&mut tree, "/zookeeper/quota/a", "", 0);
        load(&mut tree, "/zookeeper/quota/a/zookeeper_limits", "count=9,bytes=-1", 0);
        load(&mut tree, "/zookeeper/quota/a/zookeeper_stats", "count=77,bytes=77", 0);
        tree.settle_quotas();
        assert_eq!(tree.quotas.deepest(b"/a/b"), Some(&b"/a"[..]));
        let usage = tree.node(b"/zookeeper/quota/a/zookeeper_stats").unwrap();
        assert_eq!(usage.image.data(), Some(&b"count=2,bytes=9"[..]));
    }
}
