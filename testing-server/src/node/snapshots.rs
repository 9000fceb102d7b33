//! Snapshots on their way: each holds the server as it was after one transaction, and is handed out
//! in pieces while the server goes on.
//!
//! Several may be on their way at once, for the disk and for servers that follow this one. What
//! one costs stands in [`freeze`](crate::tree::freeze). Sessions and access control lists are few
//! beside nodes, and are copied when it begins.

use znode::proto::Zxid;

use super::Node;
use crate::log::snapshot::Seal;
use crate::log::snapshot::{FILE_HEADER_LEN, StoredDigest, put_end, put_head, put_node};
use crate::tree::digest::DIGEST_VERSION;
use crate::tree::freeze::FreezeId;

/// Every snapshot on its way.
pub(super) type Snapshots = Vec<UnderWay>;

#[derive(Debug)]
pub(super) struct UnderWay {
    freeze: FreezeId,
    /// What comes before the nodes, until it is handed out.
    head: Vec<u8>,
}

/// A snapshot that has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotId {
    freeze: FreezeId,
    /// The last transaction in it.
    pub(crate) zxid: Zxid,
    /// The digest of its tree.
    pub(crate) digest: StoredDigest,
}

impl Node {
    /// Begins a snapshot of everything as it is now. It lasts until its last piece was taken, or
    /// until [`end_snapshot`](Self::end_snapshot).
    pub(crate) fn begin_snapshot(&mut self) -> SnapshotId {
        let zxid = self.last_processed;
        // Zero says that there is none. The place is never left out, or what follows would be
        // taken for it.
        let none = StoredDigest { zxid: Zxid::ZERO, version: DIGEST_VERSION, digest: 0 };
        let known = self.settings.rules.digest && !self.digests.is_blurred();
        let digest = match known {
            true => StoredDigest { zxid, digest: self.tree.digest().cast_signed(), ..none },
            false => none,
        };
        let freeze = self.tree.freeze();
        let mut head = Vec::new();
        put_head(&self.tree, &self.sessions, &mut head);
        self.snapshots.push(UnderWay { freeze, head });
        SnapshotId { freeze, zxid, digest }
    }

    /// Appends the next piece of a snapshot, of about `len` bytes or one node. True if there is
    /// more; if not, the snapshot is over. Nothing if there is no such snapshot.
    pub(crate) fn snapshot_piece(
        &mut self,
        id: SnapshotId,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        let found = self.snapshots.iter_mut().find(|found| found.freeze == id.freeze)?;
        let end = out.len() + len;
        out.append(&mut found.head);
        let more = self.tree.frozen(id.freeze, |node| {
            put_node(&node, out);
            out.len() >= end
        })?;
        if !more {
            self.end_snapshot(id);
        }
        Some(more)
    }

    /// Ends a snapshot, whether or not all of it was taken.
    pub(crate) fn end_snapshot(&mut self, id: SnapshotId) {
        self.snapshots.retain(|found| found.freeze != id.freeze);
        self.tree.thaw(id.freeze);
    }

    /// Ends every snapshot that is on its way, whoever takes it.
    pub(crate) fn abandon_snapshots(&mut self) {
        for found in std::mem::take(&mut self.snapshots) {
            self.tree.thaw(found.freeze);
        }
    }

    /// Everything as it is now, as a leader sends it over a link: without what only a file has.
    pub(crate) fn snapshot_body(&mut self) -> Vec<u8> {
        let id = self.begin_snapshot();
        let mut out = Vec::new();
        while self.snapshot_piece(id, usize::MAX / 2, &mut out) == Some(true) {}
        out.drain(..FILE_HEADER_LEN);
        put_end(&mut out);
        out
    }

    /// A whole snapshot of everything as it is now, as a file holds it.
    pub(crate) fn snapshot(&mut self) -> Vec<u8> {
        let id = self.begin_snapshot();
        let mut out = Vec::new();
        while self.snapshot_piece(id, usize::MAX / 2, &mut out) == Some(true) {}
        let mut seal = Seal::new();
        seal.note(&out);
        out.append(&mut seal.tail(id.digest, id.zxid));
        out
    }
}
