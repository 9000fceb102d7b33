//! The disk as a peer: it is handed transactions, and says how far it holds them.
//!
//! | room | what it does |
//! |---|---|
//! | [`storage`] | files and folders, and the calls that make them last |
//! | [`directory`] | the names of files: which there are, and which may go |
//! | [`lock`] | keeps a second server away |
//! | [`load`] | the server as its files say it was |
//! | [`log_file`], [`snapshot_file`] | one file that is being written |
//! | [`history`] | what servers of an ensemble do besides: epochs, cuts, another's history |
//! | [`config_file`] | who belongs to the ensemble, beside the `zoo.cfg` |
//! | [`store`] | what is appended, and when a log ends |
//! | [`writer`] | the thread that does it |
//!
//! The engine puts transactions into a queue, under its own lock and without waiting. The writer
//! takes all that is there, appends it to the log, syncs once, and reports the last of them. So one
//! sync serves every write that arrived during the one before it.
//!
//! A write or a sync that fails is the end: what the disk holds is unknown from then on, and asking
//! again would only make it say what one wants to hear. Nothing more is acknowledged, every
//! connection is cut, and the server stops.

pub(crate) mod config_file;
pub(crate) mod directory;
pub(crate) mod history;
pub(crate) mod load;
pub(crate) mod lock;
mod log_file;
pub(crate) mod snapshot_file;
pub(crate) mod storage;
pub(crate) mod store;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, mem};

use tokio::sync::oneshot;
use znode::proto::Zxid;

use super::engine::Shared;
use crate::node::input::{ConfigKind, EpochKind};
use crate::node::outbox::{Outbox, Output};
use crate::node::snapshots::SnapshotId;
use crate::quorum::QuorumConfig;
use config_file::ConfigFile;
use lock::DirectoryLock;
use storage::DiskFaults;
use store::Batch;
use writer::Writer;

/// How a snapshot is compressed: `snapshot.compression.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// As a gzip stream.
    Gzip,
    /// As Apache's servers can; ours cannot.
    Snappy,
}

/// How a server keeps its files.
#[derive(Debug, Clone)]
pub(crate) struct DiskOptions {
    /// Where snapshots go: into `version-2` below it.
    pub(crate) data_dir: PathBuf,
    /// Where logs go, likewise.
    pub(crate) log_dir: PathBuf,
    /// Whether writes are synced before they are acknowledged.
    pub(crate) force_sync: bool,
    /// A snapshot is taken after this many transactions, or up to a half less.
    pub(crate) snap_count: u32,
    /// By how many bytes a log grows at a time.
    pub(crate) preallocate: u64,
    /// A snapshot is also taken after so many bytes of log, or up to a half less.
    pub(crate) snap_size: Option<u64>,
    /// A log that is longer than this ends.
    pub(crate) log_size_max: Option<u64>,
    /// A sync that takes longer is worth a warning.
    pub(crate) sync_warning: Duration,
    /// How snapshots are written.
    pub(crate) compression: Compression,
    /// How many snapshots are kept; all, if nothing is said.
    pub(crate) snapshots_kept: Option<usize>,
    /// How often the others are removed; whenever one is taken, if nothing is said.
    pub(crate) purge_interval: Option<Duration>,
    /// Whether to start on logs without a snapshot.
    pub(crate) trust_empty: bool,
    /// Where it is kept who belongs to the ensemble; nowhere, if nothing is said.
    pub(crate) config_file: Option<ConfigFile>,
    /// What a test has the disk do.
    pub(crate) faults: Arc<DiskFaults>,
    /// A mistake that a test must find.
    #[cfg(test)]
    pub(crate) planted: Planted,
}

/// Mistakes that tests must find.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// A write is acknowledged before it is synced.
    EarlyAnswer,
    /// The name of a new log is not synced.
    ForgottenFolder,
}

impl DiskOptions {
    /// Apache's defaults, with logs and snapshots in one directory.
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        Self {
            log_dir: data_dir.clone(),
            data_dir,
            force_sync: true,
            snap_count: 100_000,
            preallocate: 64 * 1024 * 1024,
            snap_size: Some(4 * 1024 * 1024 * 1024),
            log_size_max: None,
            sync_warning: Duration::from_secs(1),
            compression: Compression::None,
            snapshots_kept: None,
            purge_interval: None,
            trust_empty: false,
            config_file: None,
            faults: Arc::default(),
            #[cfg(test)]
            planted: Planted::Nothing,
        }
    }
}

/// The engine's end of the queue. Dropping it has the writer finish what is queued, and end.
#[derive(Debug)]
pub(crate) struct Disk {
    queue: Arc<Queue>,
    /// Whether something was queued since the writer was last woken.
    unrung: bool,
    /// Transactions that were applied since the last snapshot.
    since_snapshot: u64,
    /// After how many of them the next one is due.
    snapshot_due: u64,
    /// Bytes of log that were queued since the last snapshot.
    size: u64,
    /// After how many of them the next one is due.
    size_due: Option<u64>,
    /// Resolves when the writer has ended.
    ended: Option<oneshot::Receiver<()>>,
}

/// What waits for the writer.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
    /// Whether a snapshot is being written.
    snapshot_busy: AtomicBool,
}

/// Everything that the writer takes at once.
#[derive(Debug, Default)]
struct Waiting {
    orders: VecDeque<Order>,
    /// A snapshot that has begun; whatever is in the batch begins a new log.
    snapshot: Option<SnapshotId>,
    /// Whether nothing will be queued any more.
    closing: bool,
    /// Whether nothing will be written any more, not even what ends a log in good order.
    abandoned: bool,
}

/// One thing to do, in its place among others.
#[derive(Debug)]
enum Order {
    /// Write transactions.
    Txns(Batch),
    /// Write an epoch down.
    Epoch(EpochKind, u32),
    /// Write a configuration down.
    Config(ConfigKind, Box<QuorumConfig>),
    /// Cut off whatever stands behind a transaction.
    Truncate(Zxid),
    /// Take over another server's history, which ends with a transaction.
    Replace(Zxid, Vec<u8>),
    /// As `Truncate`, and read everything anew.
    Reload(Zxid),
}

/// What the writer is to do next.
#[derive(Debug)]
enum Work {
    Write(Waiting),
    /// What is due by the clock.
    Due,
    /// Nothing, ever.
    End,
    /// Nothing, not even what is left to do.
    Die,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.snapshot.is_none()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is to be written any more.
    fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Waits until there is something to write, or until something else is due.
    #[expect(clippy::disallowed_methods, reason = "what a disk does when is no matter of tests")]
    fn take(&self, due: Option<Instant>) -> Work {
        let idle = |waiting: &mut Waiting| waiting.is_empty() && !waiting.closing;
        let mut waiting = match due {
            None => self.bell.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let left = due.saturating_duration_since(Instant::now());
                let woken = self.bell.wait_timeout_while(self.lock(), left, idle);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if waiting.abandoned {
            return Work::Die;
        }
        let closing = waiting.closing;
        match (waiting.is_empty(), closing) {
            (false, _) => {
                Work::Write(mem::replace(&mut *waiting, Waiting { closing, ..Waiting::default() }))
            }
            (true, true) => Work::End,
            (true, false) => Work::Due,
        }
    }
}

impl Disk {
    /// Starts the writer, which reports to `shared`. `replayed` transactions stand in logs behind
    /// the newest snapshot. The lock is held until the writer has ended.
    pub(crate) fn start(
        options: DiskOptions,
        lock: DirectoryLock,
        seed: u64,
        replayed: u64,
        shared: Weak<Shared>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (tell_ended, ended) = oneshot::channel();
        let (snapshot_due, size_due) = (
            due(u64::from(options.snap_count), seed),
            options.snap_size.map(|size| due(size, seed)),
        );
        let writer = Writer::new(options, Arc::clone(&queue), shared);
        std::thread::Builder::new().name("znode-disk".to_owned()).spawn(move || {
            writer.run();
            drop(lock);
            // Nobody may be waiting for this.
            let _ = tell_ended.send(());
        })?;
        Ok(Self {
            queue,
            unrung: false,
            since_snapshot: replayed,
            snapshot_due,
            size: 0,
            size_due,
            ended: Some(ended),
        })
    }

    /// Queues a transaction. The writer hears of it with the next [`ring`](Self::ring).
    fn append(&mut self, zxid: Zxid, entry: &[u8]) {
        let mut waiting = self.queue.lock();
        match waiting.orders.back_mut() {
            Some(Order::Txns(batch)) => _ = batch.add(zxid, entry),
            _ => {
                let mut batch = Batch::default();
                batch.add(zxid, entry);
                waiting.orders.push_back(Order::Txns(batch));
            }
        }
        drop(waiting);
        self.size += entry.len() as u64;
        self.unrung = true;
    }

    /// Queues what the server wants of its disk.
    pub(super) fn order(&mut self, output: &Output, outbox: &Outbox) {
        let order = match output {
            Output::Append { zxid, range } => return self.append(*zxid, outbox.bytes(range)),
            Output::SaveEpoch { kind, epoch } => Order::Epoch(*kind, *epoch),
            Output::SaveConfig { kind, config } => Order::Config(*kind, config.clone()),
            Output::SaveSnapshot { zxid, range } => {
                (self.since_snapshot, self.size) = (0, 0);
                Order::Replace(*zxid, outbox.bytes(range).to_vec())
            }
            Output::Truncate { zxid } => Order::Truncate(*zxid),
            Output::Reload { zxid } => Order::Reload(*zxid),
            // The rest is nothing for a disk.
            Output::Send { .. }
            | Output::Close { .. }
            | Output::Dial { .. }
            | Output::Listen { .. }
            | Output::Move { .. }
            | Output::MoveClients { .. }
            | Output::Halt { .. } => return,
        };
        self.queue.lock().orders.push_back(order);
        self.unrung = true;
    }

    /// Wakes the writer if there is something for it.
    pub(super) fn ring(&mut self) {
        if mem::take(&mut self.unrung) {
            self.queue.bell.notify_one();
        }
    }

    /// Notes that `count` transactions were applied; true if a snapshot is due.
    pub(super) fn applied(&mut self, count: u64) -> bool {
        self.since_snapshot += count;
        let is_due = self.since_snapshot >= self.snapshot_due
            || self.size_due.is_some_and(|due| self.size >= due);
        is_due && !self.queue.snapshot_busy.load(Ordering::Acquire)
    }

    /// Queues a snapshot that has begun, and begins a new log.
    pub(super) fn save_snapshot(&mut self, id: SnapshotId) {
        (self.since_snapshot, self.size) = (0, 0);
        self.queue.snapshot_busy.store(true, Ordering::Release);
        self.queue.lock().snapshot = Some(id);
        self.unrung = true;
    }

    /// Forgets what is queued, and whatever will be; the writer ends where it is.
    pub(super) fn abandon(&mut self) {
        let mut waiting = self.queue.lock();
        *waiting = Waiting { closing: true, abandoned: true, ..Waiting::default() };
        drop(waiting);
        self.queue.bell.notify_one();
    }

    /// Has the writer finish; what is returned resolves when it has.
    pub(super) fn close(mut self) -> Option<oneshot::Receiver<()>> {
        self.ended.take()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.queue.lock().closing = true;
        self.queue.bell.notify_one();
    }
}

/// Between a half and the whole of the count, so that the servers of an ensemble do not all write a
/// snapshot at once.
fn due(count: u64, seed: u64) -> u64 {
    let half = count.max(2) / 2;
    half + 1 + seed % half
}
