//! The thread that writes: everything that is queued, one sync, one report.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use znode::proto::Zxid;

use super::load::load;
use super::snapshot_file::SnapshotFile;
use super::storage::{Files, Storage};
use super::store::Store;
use super::{DiskOptions, Order, Queue, Work};
use super::{config_file, history};
use crate::io::engine::Shared;
use crate::node::input::Input;
use crate::node::snapshots::SnapshotId;

/// How much of a snapshot is taken at a time. The server stands still for as long as it takes to
/// put together so much: a fraction of a millisecond.
const PIECE_LEN: usize = 256 * 1024;

/// How long nothing is written before the log is marked as synced to its end. Whatever is written
/// next does that by the way.
const SETTLE_AFTER: Duration = Duration::from_millis(100);

/// The thread's own.
pub(super) struct Writer {
    store: Store<Files>,
    queue: Arc<Queue>,
    shared: Weak<Shared>,
    /// The thread that writes a snapshot.
    snapshot: Option<JoinHandle<()>>,
    /// When old files are next removed, if by the clock.
    purge_due: Option<Instant>,
    /// When the log is marked as synced to its end, unless more is written before.
    settle_due: Option<Instant>,
}

impl Writer {
    pub(super) fn new(options: DiskOptions, queue: Arc<Queue>, shared: Weak<Shared>) -> Self {
        let purge_due = options.purge_interval.map(|_| now());
        let store = Store::new(Files::new(&options.faults), options);
        Self { store, queue, shared, snapshot: None, purge_due, settle_due: None }
    }

    /// Writes until nothing will be queued any more, or something goes wrong.
    pub(super) fn run(mut self) {
        if let Err(error) = self.work() {
            self.report(|shared| shared.disk_failed(error));
        }
        self.join_snapshot();
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            let due = [self.purge_due, self.settle_due].into_iter().flatten().min();
            let mut batch = match self.queue.take(due) {
                Work::Write(batch) => batch,
                Work::Due => {
                    self.do_what_is_due()?;
                    continue;
                }
                Work::End => return self.store.roll(),
                Work::Die => return Ok(()),
            };
            if let Some(id) = batch.snapshot.take() {
                self.store.roll()?;
                self.save_snapshot(id)?;
            }
            for order in batch.orders {
                if self.queue.is_abandoned() {
                    return Ok(());
                }
                self.carry_out(order)?;
            }
            self.settle_due = now().checked_add(SETTLE_AFTER);
        }
    }

    fn carry_out(&mut self, order: Order) -> io::Result<()> {
        let Self { store, shared, .. } = self;
        match order {
            Order::Txns(txns) => store.write(&txns, |zxid| {
                if let Some(shared) = shared.upgrade() {
                    shared.persisted(zxid);
                }
            }),
            Order::Epoch(kind, epoch) => {
                history::save_epoch(&store.storage, &store.options, kind, epoch)?;
                self.report(|shared| shared.run([Input::EpochSaved { kind, epoch }]));
                Ok(())
            }
            Order::Config(kind, config) => {
                config_file::save(&store.storage, &store.options, kind, &config)
            }
            Order::Truncate(zxid) => self.truncate(zxid),
            Order::Replace(zxid, snapshot) => {
                self.rest()?;
                let Store { storage, options, .. } = &self.store;
                history::replace(storage, options, zxid, &snapshot)
            }
            Order::Reload(zxid) => {
                self.truncate(zxid)?;
                let Some(shared) = self.shared.upgrade() else { return Ok(()) };
                let settings = shared.lock().node.settings.clone();
                let Store { storage, options, .. } = &self.store;
                let loaded = load(storage, options, &settings)?;
                shared.reloaded(loaded.node);
                Ok(())
            }
        }
    }

    fn truncate(&mut self, zxid: Zxid) -> io::Result<()> {
        self.rest()?;
        history::truncate(&self.store.storage, &self.store.options, zxid)
    }

    /// Leaves every file as it is: none is being written.
    fn rest(&mut self) -> io::Result<()> {
        self.join_snapshot();
        self.store.roll()
    }

    /// The server may be gone by now.
    fn report(&self, what: impl FnOnce(&Shared)) {
        if let Some(shared) = self.shared.upgrade() {
            what(&shared);
        }
    }

    fn do_what_is_due(&mut self) -> io::Result<()> {
        let now = now();
        if self.settle_due.is_some_and(|due| due <= now) {
            self.settle_due = None;
            self.store.settle()?;
        }
        if self.purge_due.is_some_and(|due| due <= now) {
            let interval = self.store.options.purge_interval;
            self.purge_due = interval.and_then(|interval| now.checked_add(interval));
            // Old files that cannot be removed take up room, and that is all.
            if let Err(error) = self.store.purge() {
                tracing::warn!(%error, "cannot remove old files");
            }
        }
        Ok(())
    }

    fn join_snapshot(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            // A panic over there was told by itself.
            let _ = snapshot.join();
        }
    }

    /// Writes a snapshot on a thread of its own, so that logging goes on.
    fn save_snapshot(&mut self, id: SnapshotId) -> io::Result<()> {
        self.join_snapshot();
        let (options, shared) = (self.store.options.clone(), Weak::clone(&self.shared));
        let storage = self.store.storage.clone();
        let queue = Arc::clone(&self.queue);
        let save = move || {
            let saved = save(&shared, &storage, &options, id);
            queue.snapshot_busy.store(false, Ordering::Release);
            if let (Err(error), Some(shared)) = (saved, shared.upgrade()) {
                shared.disk_failed(error);
            }
        };
        let thread = std::thread::Builder::new().name("znode-snapshot".to_owned()).spawn(save)?;
        self.snapshot = Some(thread);
        Ok(())
    }
}

/// Takes a snapshot from the server and writes it, piece by piece.
fn save(
    shared: &Weak<Shared>,
    storage: &impl Storage,
    options: &DiskOptions,
    id: SnapshotId,
) -> io::Result<()> {
    let started = now();
    let mut file = SnapshotFile::create(storage, options, id.zxid)?;
    let mut piece = Vec::new();
    loop {
        piece.clear();
        // A server that is gone, or has begun anew, has no use for it.
        let Some(shared) = shared.upgrade() else { return Ok(()) };
        let more = shared.lock().node.snapshot_piece(id, PIECE_LEN, &mut piece);
        drop(shared);
        let Some(more) = more else { return Ok(()) };
        file.put(&piece)?;
        if !more {
            break;
        }
    }
    let len = file.finish(id)?;
    tracing::debug!(zxid = %id.zxid, len, took = ?started.elapsed(), "wrote a snapshot");
    if options.purge_interval.is_some() {
        return Ok(());
    }
    super::directory::purge(storage, options)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a disk does when is no matter of tests' clocks"
)]
fn now() -> Instant {
    Instant::now()
}
