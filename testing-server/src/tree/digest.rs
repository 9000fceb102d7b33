//! The digest of a tree, version 2: a sum over its nodes, so that it is the same however the tree
//! came about.
//!
//! Every change takes the share of the node as it was out of the sum, and puts in that of the node
//! as it is. A share is a CRC-32 over path, data and metadata; what path and data give is kept with
//! them, so that a change of metadata alone costs the same however much data there is.

use znode::proto::Zxid;

/// The version of the formula.
pub(crate) const DIGEST_VERSION: i32 = 2;

/// Nodes below this one do not count: each server has its own.
const OWN: &[u8] = b"/zookeeper/";

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
pub(crate) fn share(path: &[u8], content_crc: u32, meta: &Meta) -> u64 {
    if path.starts_with(OWN) {
        return 0;
    }
    let mut hasher = crc32fast::Hasher::new_with_initial(content_crc);
    hasher.update(&meta.bytes());
    u64::from(hasher.finalize())
}
