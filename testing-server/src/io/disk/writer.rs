//! The thread that writes: everything that is queued, one sync, one report.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use znode::proto::Zxid;

use super::directory::{Kind, at, file, folder, purge, sync_folder, write_snapshot};
use super::{DiskOptions, Queue};
use crate::io::engine::Shared;
use crate::log::txn_log::FILE_HEADER;

/// How much of a log must be free before it grows: `FilePadding` keeps a page.
const PADDING_MIN: u64 = 4096;

/// A sync that takes longer than this is worth a warning: `fsync.warningthresholdms`.
const SYNC_WARNING: Duration = Duration::from_secs(1);

/// The thread's own.
pub(super) struct Writer {
    options: DiskOptions,
    queue: Arc<Queue>,
    shared: Weak<Shared>,
    /// The log that is being written; the first record after a snapshot, and after the start,
    /// begins a new one.
    log: Option<LogFile>,
    /// The thread that writes a snapshot.
    snapshot: Option<JoinHandle<()>>,
}

/// A log that is open for writing.
struct LogFile {
    path: PathBuf,
    file: File,
    /// Where the next record goes.
    at: u64,
    /// How long the file is, padding included.
    len: u64,
    /// Whether its name may not be on the disk yet.
    is_new: bool,
}

impl Writer {
    pub(super) fn new(options: DiskOptions, queue: Arc<Queue>, shared: Weak<Shared>) -> Self {
        Self { options, queue, shared, log: None, snapshot: None }
    }

    /// Writes until nothing will be queued any more, or something goes wrong.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.queue.take() {
            if let Some((zxid, bytes)) = batch.snapshot {
                self.log = None;
                self.save_snapshot(zxid, bytes);
            }
            let Some((first, last)) = batch.range else { continue };
            match self.write(first, &batch.bytes) {
                Ok(()) => self.report(|shared| shared.persisted(last)),
                Err(error) => {
                    self.report(|shared| shared.disk_failed(error));
                    break;
                }
            }
        }
        if let Some(snapshot) = self.snapshot.take() {
            // A panic over there was told by itself.
            let _ = snapshot.join();
        }
    }

    /// The server may be gone by now.
    fn report(&self, what: impl FnOnce(&Shared)) {
        if let Some(shared) = self.shared.upgrade() {
            what(&shared);
        }
    }

    fn write(&mut self, first: Zxid, bytes: &[u8]) -> io::Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            none => {
                let path = file(&self.options.log_dir, Kind::Log, first);
                none.insert(LogFile::create(path)?)
            }
        };
        let path = log.path.clone();
        let write = |log: &mut LogFile| {
            log.append(bytes, self.options.preallocate)?;
            if self.options.force_sync { log.sync() } else { Ok(()) }
        };
        write(log).map_err(|error| at(&path, &error))?;
        if log.is_new && self.options.force_sync {
            sync_folder(&folder(&self.options.log_dir))?;
            log.is_new = false;
        }
        Ok(())
    }

    /// Writes a snapshot on a thread of its own, so that logging goes on.
    fn save_snapshot(&mut self, zxid: Zxid, bytes: Vec<u8>) {
        if let Some(before) = self.snapshot.take() {
            let _ = before.join();
        }
        let (options, shared) = (self.options.clone(), Weak::clone(&self.shared));
        let queue = Arc::clone(&self.queue);
        let save = move || {
            let saved = write_snapshot(&options, zxid, &bytes).and_then(|()| purge(&options));
            queue.snapshot_busy.store(false, Ordering::Release);
            match (saved, shared.upgrade()) {
                (Ok(()), _) => tracing::debug!(%zxid, len = bytes.len(), "wrote a snapshot"),
                (Err(error), Some(shared)) => shared.disk_failed(error),
                (Err(_), None) => {}
            }
        };
        let thread = std::thread::Builder::new().name("znode-snapshot".to_owned()).spawn(save);
        match thread {
            Ok(thread) => self.snapshot = Some(thread),
            Err(error) => self.report(|shared| shared.disk_failed(error)),
        }
    }
}

impl LogFile {
    /// A new log. A file of that name holds no whole record, or its transaction would have been
    /// replayed and the number given to no other.
    fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| at(&path, &error))?;
        Ok(Self { path, file, at: 0, len: 0, is_new: true })
    }

    fn append(&mut self, bytes: &[u8], preallocate: u64) -> io::Result<()> {
        let header: &[u8] = if self.at == 0 { &FILE_HEADER } else { &[] };
        let end = self.at + header.len() as u64 + bytes.len() as u64;
        if preallocate > 0 && end + PADDING_MIN >= self.len {
            self.len = end.max(self.len) + preallocate;
            self.file.set_len(self.len)?;
        }
        self.file.write_all(header)?;
        self.file.write_all(bytes)?;
        self.at = end;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "how long a disk takes is no matter of tests")]
    fn sync(&self) -> io::Result<()> {
        let started = Instant::now();
        self.file.sync_data()?;
        let took = started.elapsed();
        if took > SYNC_WARNING {
            let path = self.path.display();
            tracing::warn!(%path, ?took, "the disk was slow to sync; writes wait for it");
        }
        Ok(())
    }
}
