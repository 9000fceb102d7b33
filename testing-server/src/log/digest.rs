//! The digest of a tree, version 2: a sum over its nodes, so that it is the same however the tree
//! came about.

use znode::proto::Encode;

use crate::tree::Tree;
use crate::tree::node::DataNode;

/// The version of the formula.
pub(crate) const DIGEST_VERSION: i32 = 2;

/// The sum over every node but those below `/zookeeper`.
pub(crate) fn tree_digest(tree: &Tree) -> i64 {
    let mut sum: u64 = 0;
    tree.each_parent_first(|node| sum = sum.wrapping_add(u64::from(node_digest(node))));
    sum.cast_signed()
}

/// What one node adds: a CRC-32 over path, data and metadata.
fn node_digest(node: &DataNode) -> u32 {
    let path = stored_path(node);
    if path.starts_with(b"/zookeeper/") {
        return 0;
    }
    let mut stat = Vec::with_capacity(60);
    let zxids = [node.czxid, node.mzxid, node.pzxid].map(|zxid| zxid.0);
    let longs = zxids.into_iter().chain([node.ctime_ms(), node.mtime_ms()]);
    longs.for_each(|long| long.encode(&mut stat));
    for int in [node.version, node.cversion, node.aversion] {
        int.encode(&mut stat);
    }
    node.owner.encode(&mut stat);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(path);
    hasher.update(node.image.data().unwrap_or_default());
    hasher.update(&stat);
    hasher.finalize()
}

/// The path as files hold it: that of the root is empty.
pub(super) fn stored_path(node: &DataNode) -> &[u8] {
    match node.image.path() {
        b"/" => b"",
        path => path,
    }
}
