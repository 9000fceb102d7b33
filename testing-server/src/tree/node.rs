//! One node of the tree: what ZooKeeper calls a `DataNode`.

use znode::proto::{SessionId, Stat, Version, Zxid};

use super::acl_cache::AclId;
use super::containers::OwnerKind;
use super::digest::{Meta, content_crc, share};

/// The number of a node in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u32);

/// A path and the data under it, in one allocation.
///
/// A write brings its image along ready made, from the frame it came in: it is moved into its
/// transaction, and from there into the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The path, then the data.
    bytes: Box<[u8]>,
    /// Where the path ends, and two bits.
    path_len: u32,
    /// What all of it adds to a digest, if the bit says that it is known.
    crc: u32,
}

/// The bit that marks data that is null, which is kept apart from empty.
const NULL: u32 = 1 << 31;
/// The bit that says that the CRC is known.
const CRC_KNOWN: u32 = 1 << 30;

impl Image {
    /// Copies a path and its data.
    pub(crate) fn new(path: &[u8], data: Option<&[u8]>) -> Self {
        let payload = data.unwrap_or_default();
        let mut bytes = Vec::with_capacity(path.len() + payload.len());
        bytes.extend_from_slice(path);
        bytes.extend_from_slice(payload);
        let path_len = u32::try_from(path.len()).expect("a path fits in a frame");
        let path_len = if data.is_none() { path_len | NULL } else { path_len };
        Self { bytes: bytes.into_boxed_slice(), path_len, crc: 0 }
    }

    fn path_len(&self) -> usize {
        (self.path_len & !(NULL | CRC_KNOWN)) as usize
    }

    /// The path.
    pub(crate) fn path(&self) -> &[u8] {
        &self.bytes[..self.path_len()]
    }

    /// The data; `None` is null.
    pub(crate) fn data(&self) -> Option<&[u8]> {
        (self.path_len & NULL == 0).then(|| &self.bytes[self.path_len()..])
    }

    /// The length of the data; 0 if it is null.
    pub(crate) fn data_len(&self) -> usize {
        self.bytes.len() - self.path_len()
    }

    /// What path and data add to the digest of a node.
    pub(crate) fn crc(&self) -> u32 {
        if self.path_len & CRC_KNOWN != 0 {
            return self.crc;
        }
        content_crc(self.path_len(), &self.bytes)
    }

    /// The same, kept for the next time.
    pub(crate) fn with_crc(mut self) -> Self {
        self.crc = self.crc();
        self.path_len |= CRC_KNOWN;
        self
    }
}

/// A node of the tree.
#[derive(Debug)]
pub(crate) struct DataNode {
    /// Its path and data.
    pub(crate) image: Image,
    /// The node above; of the root, itself.
    pub(crate) parent: NodeId,
    /// Where this node stands among its parent's children.
    pub(super) slot: u32,
    /// The nodes below, in an order that depends on the history alone. Most nodes are leaves, so
    /// the list is allocated with the first child.
    #[expect(clippy::box_collection, reason = "eight bytes in a leaf instead of twenty-four")]
    pub(super) children: Option<Box<Vec<NodeId>>>,
    /// Its access control list.
    pub(crate) acl: AclId,
    /// The transaction that created it.
    pub(crate) czxid: Zxid,
    /// The transaction that last wrote its data.
    pub(crate) mzxid: Zxid,
    /// The transaction that last created or deleted a child.
    pub(crate) pzxid: Zxid,
    /// When it was created.
    pub(super) ctime_ms: i64,
    /// When its data was last written.
    pub(super) mtime_ms: i64,
    /// The owner in its stored encoding, which also marks containers and times to live.
    pub(crate) owner: i64,
    /// How often its data was written.
    pub(crate) version: i32,
    /// How many children were ever created. The number on the wire is derived from it.
    pub(crate) cversion: i32,
    /// How often its access control list was written.
    pub(crate) aversion: i32,
}

impl DataNode {
    /// What is known of it beside its path and its data.
    pub(crate) fn meta(&self) -> Meta {
        Meta {
            czxid: self.czxid,
            mzxid: self.mzxid,
            pzxid: self.pzxid,
            ctime_ms: self.ctime_ms,
            mtime_ms: self.mtime_ms,
            version: self.version,
            cversion: self.cversion,
            aversion: self.aversion,
            owner: self.owner,
        }
    }

    /// What it adds to the digest of the tree.
    pub(crate) fn digest(&self) -> u64 {
        u64::from(self.share())
    }

    /// The same, before it is added up.
    pub(crate) fn share(&self) -> u32 {
        share(self.image.path(), self.image.crc(), &self.meta())
    }

    /// The nodes below.
    pub(crate) fn children(&self) -> &[NodeId] {
        self.children.as_deref().map_or(&[], Vec::as_slice)
    }

    /// When its data was last written, in milliseconds since 1970.
    pub(crate) fn mtime_ms(&self) -> i64 {
        self.mtime_ms
    }

    /// The last component of the path.
    pub(crate) fn name(&self) -> &[u8] {
        let path = self.image.path();
        let slash = path.iter().rposition(|byte| *byte == b'/');
        slash.map_or(path, |slash| &path[slash + 1..])
    }

    /// The metadata as it travels.
    ///
    /// Stored and sent `cversion` differ: the stored one counts creations and drives sequential
    /// names, the sent one rises with every creation and every deletion.
    pub(crate) fn stat(&self) -> Stat {
        let num_children = count(self.children().len());
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime_ms,
            mtime: self.mtime_ms,
            version: Version(self.version),
            cversion: self.cversion.wrapping_mul(2).wrapping_sub(num_children),
            aversion: Version(self.aversion),
            ephemeral_owner: match OwnerKind::of(self.owner) {
                OwnerKind::Session(session) => session,
                _ => SessionId::NONE,
            },
            data_length: count(self.image.data_len()),
            num_children,
            pzxid: self.pzxid,
        }
    }
}

/// A count as the protocol's signed integer.
pub(crate) fn count(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_data_differ() {
        assert_eq!(Image::new(b"/a", None).data(), None);
        assert_eq!(Image::new(b"/a", Some(b"")).data(), Some(&b""[..]));
        assert_eq!(Image::new(b"/a", None).path(), b"/a");
    }

    #[test]
    fn a_node_is_small() {
        assert!(size_of::<Option<DataNode>>() <= 104, "{}", size_of::<Option<DataNode>>());
    }
}
