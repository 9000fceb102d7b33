//! Change records: what nodes will look like once the writes that wait for the disk are applied.

use std::collections::VecDeque;

use znode::proto::Zxid;

use crate::tree::acl_cache::{AclCache, AclId};
use crate::tree::digest::{Meta, share};
use crate::tree::index::{PathHasher, PathIndex};
use crate::tree::node::{DataNode, count};

/// As much of a node as a write is checked against, and as its digest needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeState {
    pub(super) meta: Meta,
    /// What path and data add to the digest, if digests are foretold.
    pub(super) crc: u32,
    pub(super) child_count: i32,
    pub(super) data_len: i64,
    /// What all of it adds to the digest, if digests are foretold.
    pub(super) share: u32,
    /// For whose node it passes, which for a moment may not be what is stored.
    pub(super) owner: i64,
    pub(super) acl: AclId,
}

impl NodeState {
    /// A node as it is. What a digest needs is counted if digests are foretold.
    pub(super) fn of(node: &DataNode, foretold: bool) -> Self {
        Self {
            meta: node.meta(),
            crc: if foretold { node.image.crc() } else { 0 },
            share: if foretold { node.share() } else { 0 },
            child_count: count(node.children().len()),
            data_len: i64::from(count(node.image.data_len())),
            owner: node.owner,
            acl: node.acl,
        }
    }
}

/// What one transaction will make of one node.
#[derive(Debug)]
struct ChangeRecord {
    zxid: Zxid,
    path: Box<[u8]>,
    hash: u32,
    /// The node afterwards; `None` if it will be gone.
    state: Option<NodeState>,
    /// The record of the same path that this one hides; it may have been applied by now.
    hidden: Option<u32>,
}

/// How far change records have got, to come back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(u32, u64);

/// The change records of every transaction that was prepared and not yet applied.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// In the order of their making.
    records: VecDeque<ChangeRecord>,
    /// The number of the first record. Numbers wrap: only differences count.
    first: u32,
    /// The newest record of each path.
    newest: PathIndex,
    hasher: PathHasher,
    /// The digest of the tree as it will be; nothing if none is foretold.
    digest: Option<u64>,
    /// Where the transaction begins that is prepared now.
    begun: Mark,
}

impl Outstanding {
    /// No records; `seed` goes into the hashes.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            records: VecDeque::new(),
            first: 0,
            newest: PathIndex::new(),
            hasher: PathHasher::new(seed),
            digest: None,
            begun: Mark(0, 0),
        }
    }

    /// What is added from now on is of another transaction than what was.
    pub(crate) fn begin(&mut self) {
        self.begun = self.mark();
    }

    /// Takes back whatever the transaction that was begun last will change.
    pub(crate) fn take_back(&mut self, acls: &mut AclCache) {
        self.roll_back(acls, self.begun);
    }

    /// Foretells the digest of the tree from now on; `digest` is what it is without the records.
    pub(crate) fn foretell(&mut self, digest: u64) {
        debug_assert!(self.records.is_empty(), "what waits is not in that digest");
        self.digest = Some(digest);
    }

    /// The digest of the tree once every record is applied, if it is foretold.
    pub(crate) fn digest(&self) -> Option<u64> {
        self.digest
    }

    /// Whether no transaction waits that changes a node.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What a path will look like: `None` if no transaction waits that changes it, else the node,
    /// or its absence.
    pub(super) fn find(&self, path: &[u8]) -> Option<Option<NodeState>> {
        if self.records.is_empty() {
            return None;
        }
        let number = self.number_of(self.hasher.hash(path), path)?;
        self.record(number).map(|record| record.state)
    }

    /// The paths that waiting transactions change, oldest first, each with what becomes of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&NodeState>)> {
        self.records.iter().map(|record| (&*record.path, record.state.as_ref()))
    }

    /// Notes what a transaction will make of a node that was as `before`, if it was there.
    pub(super) fn add(
        &mut self,
        acls: &mut AclCache,
        zxid: Zxid,
        path: &[u8],
        before: Option<&NodeState>,
        mut state: Option<NodeState>,
    ) {
        if let Some(digest) = &mut self.digest {
            if let Some(state) = &mut state {
                state.share = share(path, state.crc, &state.meta);
                *digest = digest.wrapping_add(u64::from(state.share));
            }
            let before = before.map_or(0, |before| before.share);
            *digest = digest.wrapping_sub(u64::from(before));
        }
        if let Some(state) = &state {
            acls.retain(state.acl);
        }
        let hash = self.hasher.hash(path);
        let hidden = self.number_of(hash, path);
        if let Some(hidden) = hidden {
            self.newest.remove(hash, hidden);
        }
        let number = self.next();
        self.records.push_back(ChangeRecord { zxid, path: path.into(), hash, state, hidden });
        self.newest.insert(hash, number);
    }

    /// The present end of the records.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.next(), self.digest.unwrap_or_default())
    }

    /// Takes back every record made after `mark`. What they hid shows again, of nodes as of their
    /// parents: otherwise the next sequential name would be wrong (ZOOKEEPER-1624).
    pub(super) fn roll_back(&mut self, acls: &mut AclCache, mark: Mark) {
        self.digest = self.digest.map(|_| mark.1);
        while self.next() != mark.0 {
            let Some(record) = self.records.pop_back() else {
                return;
            };
            let number = self.next();
            self.newest.remove(record.hash, number);
            if let Some(hidden) = record.hidden.filter(|hidden| self.record(*hidden).is_some()) {
                self.newest.insert(record.hash, hidden);
            }
            release(acls, &record);
        }
    }

    /// Forgets every record: nothing of what they tell will happen.
    /// `digest` is what the tree's is without them.
    pub(crate) fn clear(&mut self, acls: &mut AclCache, digest: u64) {
        self.roll_back(acls, Mark(self.first, digest));
    }

    /// Forgets the records of a transaction that was applied, and of those before it.
    pub(crate) fn applied(&mut self, acls: &mut AclCache, zxid: Zxid) {
        while self.records.front().is_some_and(|record| record.zxid <= zxid)
            && let Some(record) = self.records.pop_front()
        {
            self.newest.remove(record.hash, self.first);
            self.first = self.first.wrapping_add(1);
            release(acls, &record);
        }
    }

    fn next(&self) -> u32 {
        let len = u32::try_from(self.records.len()).expect("waiting writes are bounded");
        self.first.wrapping_add(len)
    }

    fn record(&self, number: u32) -> Option<&ChangeRecord> {
        self.records.get(number.wrapping_sub(self.first) as usize)
    }

    fn number_of(&self, hash: u32, path: &[u8]) -> Option<u32> {
        self.newest
            .find(hash, |number| self.record(number).is_some_and(|record| &*record.path == path))
    }
}

fn release(acls: &mut AclCache, record: &ChangeRecord) {
    if let Some(state) = &record.state {
        acls.release(state.acl);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(version: i32) -> Option<NodeState> {
        let none = Zxid::ZERO;
        let meta = Meta {
            czxid: none,
            mzxid: none,
            pzxid: none,
            ctime_ms: 0,
            mtime_ms: 0,
            version,
            cversion: 0,
            aversion: 0,
            owner: 0,
        };
        Some(NodeState {
            meta,
            crc: 0,
            share: 0,
            child_count: 0,
            data_len: 0,
            owner: 0,
            acl: AclId::OPEN,
        })
    }

    fn version(outstanding: &Outstanding) -> Option<i32> {
        Some(outstanding.find(b"/a")??.meta.version)
    }

    #[test]
    fn rolling_back_shows_the_record_that_was_hidden() {
        let mut acls = AclCache::new(PathHasher::new(0));
        let mut outstanding = Outstanding::new(0);
        outstanding.add(&mut acls, Zxid(1), b"/a", None, state(1));
        let mark = outstanding.mark();
        outstanding.add(&mut acls, Zxid(2), b"/a", None, state(2));
        outstanding.add(&mut acls, Zxid(2), b"/a", None, None);
        assert!(matches!(outstanding.find(b"/a"), Some(None)));
        outstanding.roll_back(&mut acls, mark);
        assert_eq!(version(&outstanding), Some(1));
        outstanding.applied(&mut acls, Zxid(1));
        assert!(outstanding.find(b"/a").is_none());
    }

    #[test]
    fn a_hidden_record_that_was_applied_does_not_come_back() {
        let mut acls = AclCache::new(PathHasher::new(0));
        let mut outstanding = Outstanding::new(0);
        outstanding.add(&mut acls, Zxid(1), b"/a", None, state(1));
        let mark = outstanding.mark();
        outstanding.add(&mut acls, Zxid(2), b"/a", None, state(2));
        outstanding.applied(&mut acls, Zxid(1));
        assert_eq!(version(&outstanding), Some(2));
        outstanding.roll_back(&mut acls, mark);
        assert!(outstanding.find(b"/a").is_none());
    }
}
