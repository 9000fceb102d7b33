//! A server's disk: what was asked takes its time, and a crash takes what was not done.

use std::collections::VecDeque;

use bytes::Bytes;
use znode::proto::Zxid;

use crate::log::record::Logged;
use crate::log::snapshot::Snapshot;
use crate::node::Node;
use crate::node::input::{ConfigKind, EpochKind};
use crate::node::settings::Settings;
use crate::peer::Epochs;
use crate::quorum::{QuorumConfig, Quorums};
use crate::random::Random;
use crate::zab::history::Entry;

/// One thing that was asked of the disk.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Append(Entry),
    Epoch(EpochKind, u32),
    Config(ConfigKind, Box<QuorumConfig>),
    /// A snapshot that replaces everything, and the transactions that are known to be in it.
    Snapshot(Zxid, Bytes, Vec<Entry>),
    Truncate(Zxid),
    /// As `Truncate`, and then read everything.
    Reload(Zxid),
}

/// What lasts, and what is on its way.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) epochs: Epochs,
    /// Who belongs to the ensemble, once that was written down; and what was proposed last.
    committed: Option<QuorumConfig>,
    next: Option<QuorumConfig>,
    snapshots: Vec<(Zxid, Bytes)>,
    log: Vec<Entry>,
    /// What came in with a snapshot from another server. No disk holds that; but if this server and
    /// others that got the like come to decide it, nobody else may be left who can tell.
    told: Vec<Entry>,
    pub(super) waiting: VecDeque<Write>,
}

impl Disk {
    /// Does the first thing that waits.
    pub(super) fn complete(&mut self) -> Option<Write> {
        let write = self.waiting.pop_front()?;
        self.perform(&write);
        Some(write)
    }

    fn perform(&mut self, write: &Write) {
        match write {
            Write::Append(entry) => self.log.push(entry.clone()),
            Write::Epoch(EpochKind::Accepted, epoch) => self.epochs.accepted = *epoch,
            Write::Epoch(EpochKind::Current, epoch) => self.epochs.current = *epoch,
            Write::Config(ConfigKind::Next, config) => self.next = Some((**config).clone()),
            Write::Config(ConfigKind::Committed, config) => {
                self.committed = Some((**config).clone());
            }
            Write::Snapshot(zxid, bytes, told) => {
                self.snapshots = vec![(*zxid, bytes.clone())];
                self.log.clear();
                self.told.clone_from(told);
            }
            Write::Truncate(zxid) | Write::Reload(zxid) => {
                self.log.retain(|entry| entry.zxid <= *zxid);
                self.snapshots.retain(|(at, _)| at <= zxid);
                if self.snapshots.is_empty() {
                    self.told.clear();
                }
            }
        }
    }

    /// The power goes: of what waits, the first few may have come through all the same.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let survive = random.below(self.waiting.len() + 1);
        for _ in 0..survive {
            self.complete();
        }
        self.waiting.clear();
    }

    /// Who belongs to the ensemble, as the disk says; at first, as the server was told.
    pub(super) fn quorums(&self, told: &QuorumConfig) -> Quorums {
        let mut quorums = Quorums::new(self.committed.as_ref().unwrap_or(told).clone());
        self.next.iter().for_each(|next| _ = quorums.see(next.clone()));
        quorums
    }

    /// Whether a transaction would be there after a crash.
    pub(super) fn holds(&self, zxid: Zxid) -> bool {
        self.snapshots.iter().any(|(at, _)| *at >= zxid)
            || self.log.iter().any(|entry| entry.zxid == zxid)
    }

    /// Has a snapshot of its own server at once.
    pub(super) fn save(&mut self, zxid: Zxid, bytes: Bytes) {
        self.snapshots.push((zxid, bytes));
    }

    /// Forgets logs that the newest snapshot makes superfluous.
    pub(super) fn purge(&mut self) {
        if let Some(newest) = self.snapshots.pop() {
            self.log.retain(|entry| entry.zxid > newest.0);
            self.snapshots = vec![newest];
        }
    }

    /// Everything behind a place that is in the log, or is known to be in a snapshot.
    pub(super) fn behind(&self, zxid: Zxid) -> impl Iterator<Item = &Entry> {
        let first = self.log.first().map_or(Zxid(i64::MAX), |entry| entry.zxid);
        let told = self.told.iter().filter(move |entry| entry.zxid < first);
        told.chain(&self.log).filter(move |entry| entry.zxid > zxid)
    }

    /// The place that the newest snapshot goes up to, and what the log has behind it.
    pub(super) fn recent(&self) -> (Zxid, Vec<Entry>) {
        let base = self.snapshots.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        (base, self.log.iter().filter(|entry| entry.zxid > base).cloned().collect())
    }

    /// The server as the disk says it was, and the epochs.
    pub(super) fn load(&self, settings: &Settings) -> (Node, Epochs) {
        let mut node = match self.snapshots.last() {
            None => Node::new(settings.clone()),
            Some((zxid, bytes)) => {
                let snapshot = Snapshot::read(bytes).expect("the disk returns what it was given");
                Node::from_snapshot(settings.clone(), &snapshot, *zxid)
                    .expect("the disk returns what it was given")
            }
        };
        for entry in &self.log {
            if entry.zxid > node.last_processed {
                let logged = Logged::read(&entry.bytes).expect("a log holds transactions");
                node.replay(&logged);
            }
        }
        let epochs = self.epochs.with_log(node.last_processed);
        (node, epochs)
    }
}
