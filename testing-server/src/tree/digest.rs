//! The digest of a tree, version 2: a sum over its nodes, so that it is the same however the tree
//! came about.
//!
//! A node that changes takes its share out of the sum, and puts in what it has become once somebody
//! asks for the sum: however often it changes in between, that is all it costs. A share is a CRC-32
//! over path, data and metadata. Where each transaction has its digest foretold, what path and data
//! give is kept with them, so that a change of metadata costs the same however much data there is.

use znode::proto::Zxid;

use super::node::{DataNode, NodeId};
use super::slab::Slab;

/// The version of the formula.
pub(crate) const DIGEST_VERSION: i32 = 2;

/// Nodes below this one do not count: each server has its own.
const OWN: &[u8] = b"/zookeeper/";

/// The sum, as far as it is counted.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// What the nodes add to it that have not changed since it was last asked for.
    sum: u64,
    /// The others, and some that are gone.
    changed: Vec<NodeId>,
    /// One bit for each number that is among them.
    marks: Vec<u64>,
}

impl Digest {
    /// Counts every node anew.
    pub(super) fn new(nodes: &Slab<DataNode>) -> Self {
        let sum = nodes.iter().fold(0_u64, |sum, (_, node)| sum.wrapping_add(node.digest()));
        Self { sum, ..Self::default() }
    }

    /// Notes that a node is about to change, or was just removed.
    #[inline]
    pub(super) fn changes(&mut self, id: NodeId, node: &DataNode) {
        if self.mark(id) {
            self.sum = self.sum.wrapping_sub(node.digest());
        }
    }

    /// Notes that a node is new.
    pub(super) fn appears(&mut self, id: NodeId) {
        self.mark(id);
    }

    /// The sum over all nodes.
    pub(super) fn settle(&mut self, nodes: &Slab<DataNode>) -> u64 {
        for id in self.changed.drain(..) {
            self.marks[id.0 as usize / 64] = 0;
            let share = nodes.get(id.0).map_or(0, DataNode::digest);
            self.sum = self.sum.wrapping_add(share);
        }
        self.sum
    }

    /// False if it was marked before.
    #[inline]
    fn mark(&mut self, id: NodeId) -> bool {
        let (at, bit) = (id.0 as usize / 64, 1 << (id.0 % 64));
        if at >= self.marks.len() {
            self.marks.resize(at + 1, 0);
        }
        let is_new = self.marks[at] & bit == 0;
        if is_new {
            self.marks[at] |= bit;
            self.changed.push(id);
        }
        is_new
    }
}

/// What is known of a node beside its path and its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The transaction that created it.
    pub(crate) czxid: Zxid,
    /// The transaction that last wrote its data.
    pub(crate) mzxid: Zxid,
    /// The transaction that last created or deleted a child.
    pub(crate) pzxid: Zxid,
    /// When it was created.
    pub(crate) ctime_ms: i64,
    /// When its data was last written.
    pub(crate) mtime_ms: i64,
    /// How often its data was written.
    pub(crate) version: i32,
    /// How many children were ever created.
    pub(crate) cversion: i32,
    /// How often its access control list was written.
    pub(crate) aversion: i32,
    /// The owner in its stored encoding.
    pub(crate) owner: i64,
}

impl Meta {
    /// The order of the digest, which is not that of any file.
    fn bytes(&self) -> [u8; 60] {
        let mut bytes = [0; 60];
        let zxids = [self.czxid, self.mzxid, self.pzxid].map(|zxid| zxid.0);
        let [czxid, mzxid, pzxid] = zxids;
        let longs = [czxid, mzxid, pzxid, self.ctime_ms, self.mtime_ms];
        let (head, owner) = bytes.split_at_mut(52);
        let (head, ints) = head.split_at_mut(40);
        for (place, long) in head.as_chunks_mut::<8>().0.iter_mut().zip(longs) {
            *place = long.to_be_bytes();
        }
        let counts = [self.version, self.cversion, self.aversion];
        for (place, int) in ints.as_chunks_mut::<4>().0.iter_mut().zip(counts) {
            *place = int.to_be_bytes();
        }
        owner.copy_from_slice(&self.owner.to_be_bytes());
        bytes
    }
}

/// What a path and the data behind it give. The root's path counts as empty.
pub(crate) fn content_crc(path_len: usize, bytes: &[u8]) -> u32 {
    let counted = if path_len == 1 { &bytes[1..] } else { bytes };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(counted);
    hasher.finalize()
}

/// What one node adds to the sum.
pub(crate) fn share(path: &[u8], content_crc: u32, meta: &Meta) -> u32 {
    if path.starts_with(OWN) {
        return 0;
    }
    let mut hasher = crc32fast::Hasher::new_with_initial(content_crc);
    hasher.update(&meta.bytes());
    hasher.finalize()
}
