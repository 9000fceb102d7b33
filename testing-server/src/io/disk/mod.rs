//! The disk as a peer: it is handed transactions, and says how far it holds them.
//!
//! | room | what it does |
//! |---|---|
//! | [`directory`] | the names of files, and what makes a change of a directory last |
//! | [`load`] | the server as its files say it was |
//! | [`writer`] | the thread that writes |
//!
//! The engine puts transactions into a queue, under its own lock and without waiting. The writer
//! takes all that is there, appends it to the log, syncs once, and reports the last of them. So one
//! sync serves every write that arrived during the one before it.
//!
//! A write or a sync that fails is the end: what the disk holds is unknown from then on, and asking
//! again would only make it say what one wants to hear. Nothing more is acknowledged, every
//! connection is cut, and the server stops.

mod directory;
pub(crate) mod load;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::{io, mem};

use tokio::sync::oneshot;
use znode::proto::Zxid;

use super::engine::Shared;
use crate::log::txn_log::put_entry;
use writer::Writer;

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
    /// How many snapshots are kept; all, if nothing is said.
    pub(crate) snapshots_kept: Option<usize>,
    /// Whether to start on logs without a snapshot.
    pub(crate) trust_empty: bool,
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
            snapshots_kept: None,
            trust_empty: false,
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
    /// Resolves when the writer has ended.
    ended: Option<oneshot::Receiver<()>>,
}

/// What waits for the writer.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Batch>,
    bell: Condvar,
    /// Whether a snapshot is being written.
    snapshot_busy: AtomicBool,
}

/// Everything that the writer takes at once.
#[derive(Debug, Default)]
struct Batch {
    /// Whole records.
    bytes: Vec<u8>,
    /// The first and the last transaction among them.
    range: Option<(Zxid, Zxid)>,
    /// A snapshot; whatever is in the batch begins a new log.
    snapshot: Option<(Zxid, Vec<u8>)>,
    /// Whether nothing will be queued any more.
    closing: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to do; nothing if there never will be.
    fn take(&self) -> Option<Batch> {
        let idle =
            |batch: &mut Batch| batch.range.is_none() && batch.snapshot.is_none() && !batch.closing;
        let mut batch =
            self.bell.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let done = batch.range.is_none() && batch.snapshot.is_none();
        let closing = batch.closing;
        (!done).then(|| mem::replace(&mut *batch, Batch { closing, ..Batch::default() }))
    }
}

impl Disk {
    /// Starts the writer, which reports to `shared`. `replayed` transactions stand in logs behind
    /// the newest snapshot.
    pub(crate) fn start(
        options: DiskOptions,
        seed: u64,
        replayed: u64,
        shared: Weak<Shared>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (tell_ended, ended) = oneshot::channel();
        let snapshot_due = snapshot_due(options.snap_count, seed);
        let writer = Writer::new(options, Arc::clone(&queue), shared);
        std::thread::Builder::new().name("znode-disk".to_owned()).spawn(move || {
            writer.run();
            // Nobody may be waiting for this.
            let _ = tell_ended.send(());
        })?;
        Ok(Self {
            queue,
            unrung: false,
            since_snapshot: replayed,
            snapshot_due,
            ended: Some(ended),
        })
    }

    /// Queues a transaction. The writer hears of it with the next [`ring`](Self::ring).
    pub(super) fn append(&mut self, zxid: Zxid, entry: &[u8]) {
        let mut batch = self.queue.lock();
        put_entry(entry, &mut batch.bytes);
        let first = batch.range.map_or(zxid, |(first, _)| first);
        batch.range = Some((first, zxid));
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
        self.since_snapshot >= self.snapshot_due
            && !self.queue.snapshot_busy.load(Ordering::Acquire)
    }

    /// Queues a snapshot, and begins a new log.
    pub(super) fn save_snapshot(&mut self, zxid: Zxid, bytes: Vec<u8>) {
        self.since_snapshot = 0;
        self.queue.snapshot_busy.store(true, Ordering::Release);
        self.queue.lock().snapshot = Some((zxid, bytes));
        self.unrung = true;
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

/// Between a half and the whole of the count, so that the servers of an ensemble do not all stop
/// for a snapshot at once.
fn snapshot_due(snap_count: u32, seed: u64) -> u64 {
    let half = u64::from(snap_count.max(2)) / 2;
    half + 1 + seed % half
}
