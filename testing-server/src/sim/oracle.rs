//! What must be true whatever happens, looked at after every step.

use std::collections::BTreeMap;

use bytes::Bytes;
use znode::proto::Zxid;

use crate::log::record::{Body, Logged};
use crate::quorum::QuorumConfig;
use crate::zab::history::Entry;

/// Everything that was ever decided, and what it made of the nodes.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// In order.
    decided: Vec<Entry>,
    /// The data of each node, after each transaction that wrote it; nothing once it is deleted.
    nodes: BTreeMap<Vec<u8>, Vec<(Zxid, Option<Bytes>)>>,
    /// Which leader established each epoch.
    leaders: BTreeMap<u32, usize>,
    /// Every configuration that was agreed on.
    configs: BTreeMap<Zxid, QuorumConfig>,
    /// The last write that any client knows of.
    pub(super) acked: Zxid,
}

impl Oracle {
    /// A server leads a quorum: nobody else does in that epoch.
    pub(super) fn establishes(&mut self, epoch: u32, server: usize) {
        let leader = *self.leaders.entry(epoch).or_insert(server);
        assert_eq!(leader, server, "two leaders in epoch {epoch}");
    }

    /// A server knows a configuration to be agreed on: nobody knows another one by its version.
    pub(super) fn agrees(&mut self, config: &QuorumConfig) {
        // What servers are told at first is nobody's agreement.
        if config.version == Zxid::ZERO && !self.configs.is_empty() {
            return;
        }
        let known = self.configs.entry(config.version).or_insert_with(|| config.clone());
        assert!(known.is_same_but_version(config), "{known:?} and {config:?}");
    }

    /// The configurations whose quorums must have decided a transaction: the newest; and of that
    /// which makes it, also the one before.
    pub(super) fn deciding(&self, zxid: Zxid) -> impl Iterator<Item = &QuorumConfig> {
        let newest = self.configs.values().rev();
        let makes = self.configs.keys().next_back() == Some(&zxid);
        newest.take(if makes { 2 } else { 1 })
    }

    /// How many transactions are decided up to a place.
    pub(super) fn index(&self, zxid: Zxid) -> usize {
        self.decided.partition_point(|entry| entry.zxid <= zxid)
    }

    /// A server has applied a transaction behind `index` others. True if it is the first.
    pub(super) fn applies(&mut self, index: usize, entry: &Entry) -> bool {
        if let Some(known) = self.decided.get(index) {
            assert_eq!(known.zxid, entry.zxid, "another order of transactions");
            assert_eq!(known.bytes, entry.bytes, "another transaction {}", entry.zxid);
            return false;
        }
        let last = self.decided.last().map_or(Zxid::ZERO, |last| last.zxid);
        assert!(entry.zxid > last, "{} is decided behind {last}", entry.zxid);
        self.decided.push(entry.clone());
        let logged = Logged::read(&entry.bytes).expect("what is decided can be read");
        self.note(&logged.body, entry.zxid);
        true
    }

    fn note(&mut self, body: &Body<'_>, zxid: Zxid) {
        let mut write = |path: &[u8], data: Option<Bytes>| {
            self.nodes.entry(path.to_vec()).or_default().push((zxid, data));
        };
        let copied = |data: Option<&[u8]>| Some(Bytes::copy_from_slice(data.unwrap_or_default()));
        match body {
            Body::Create { path, data, .. } => write(path, copied(*data)),
            Body::SetData(txn) => write(txn.path.0, copied(txn.data)),
            Body::Delete(path) => write(path, None),
            Body::CloseSession(paths) => paths.iter().for_each(|path| write(path, None)),
            Body::Multi(bodies) => bodies.iter().for_each(|body| self.note(body, zxid)),
            _ => {}
        }
    }

    /// The data of a node after a transaction.
    pub(super) fn data(&self, path: &str, zxid: Zxid) -> Option<&Bytes> {
        let versions = self.nodes.get(path.as_bytes())?;
        let at = versions.partition_point(|(written, _)| *written <= zxid);
        versions.get(at.checked_sub(1)?)?.1.as_ref()
    }

    /// A client was told that its write is done.
    pub(super) fn acknowledges(&mut self, zxid: Zxid) {
        let at = self.index(zxid);
        let known = at.checked_sub(1).map(|at| self.decided[at].zxid);
        assert_eq!(known, Some(zxid), "acknowledged and not decided");
        self.acked = self.acked.max(zxid);
    }

    /// The place of the transaction behind which `index` others have come.
    pub(super) fn at(&self, index: usize) -> Zxid {
        index.checked_sub(1).map_or(Zxid::ZERO, |last| self.decided[last].zxid)
    }

    /// How much was decided.
    pub(super) fn len(&self) -> usize {
        self.decided.len()
    }

    /// How many configurations were agreed on, not counting those with which an epoch begins.
    pub(super) fn configurations(&self) -> usize {
        self.configs.keys().filter(|version| version.counter() > 0).count()
    }

    /// The last that was decided.
    pub(super) fn last(&self) -> Zxid {
        self.decided.last().map_or(Zxid::ZERO, |entry| entry.zxid)
    }
}
