//! A transaction log that is open for writing.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use znode::proto::Zxid;

use super::DiskOptions;
use super::directory::{Kind, at, file, folder, sync_folder};
use super::storage::{Storage, StoredFile as _};
use crate::log::txn_log::{FILE_HEADER, put_mark};

/// How much of a log must be free before it grows: `FilePadding` keeps a page.
const PADDING_MIN: u64 = 4096;

/// A log that is open for writing.
pub(super) struct LogFile<S: Storage> {
    path: PathBuf,
    file: S::File,
    /// Where the next record goes.
    at: u64,
    /// How much of it is synced.
    synced: u64,
    /// How long the file is, padding included.
    len: u64,
    /// Used for each write.
    buffer: Vec<u8>,
}

impl<S: Storage> LogFile<S> {
    /// A new log, with nothing in it, whose name lasts. A file of that name holds no whole record,
    /// or its transaction would have been replayed and the number given to no other.
    pub(super) fn create(storage: &S, options: &DiskOptions, first: Zxid) -> io::Result<Self> {
        let path = file(&options.log_dir, Kind::Log, first);
        let file = storage.create(&path).map_err(|error| at(&path, &error))?;
        let mut log = Self { path, file, at: 0, synced: 0, len: 0, buffer: Vec::new() };
        log.write(&FILE_HEADER, options)?;
        if options.force_sync {
            log.sync(options)?;
            #[cfg(test)]
            if options.planted == super::Planted::ForgottenFolder {
                return Ok(log);
            }
            sync_folder(storage, &folder(&options.log_dir))?;
        }
        Ok(log)
    }

    /// How much of it is used; the rest is padding.
    pub(super) fn used(&self) -> u64 {
        self.at
    }

    /// Appends whole records.
    pub(super) fn append(&mut self, records: &[u8], options: &DiskOptions) -> io::Result<()> {
        self.write(records, options)?;
        #[cfg(test)]
        if options.planted == super::Planted::EarlyAnswer {
            return Ok(());
        }
        if options.force_sync { self.sync(options) } else { Ok(()) }
    }

    /// Marks that everything was synced; the disk learns of it when it likes.
    pub(super) fn settle(&mut self, options: &DiskOptions) -> io::Result<()> {
        if options.force_sync && self.synced == self.at { self.write(&[], options) } else { Ok(()) }
    }

    /// Marks the same, and has the disk know.
    pub(super) fn close(mut self, options: &DiskOptions) -> io::Result<()> {
        self.settle(options)?;
        if options.force_sync { self.sync(options) } else { Ok(()) }
    }

    /// Writes records and the mark behind them in one piece.
    fn write(&mut self, records: &[u8], options: &DiskOptions) -> io::Result<()> {
        let end = self.at + records.len() as u64;
        self.buffer.clear();
        self.buffer.extend_from_slice(records);
        put_mark(self.synced, &mut self.buffer);
        let grow = |log: &mut Self| {
            if options.preallocate > 0 && end + PADDING_MIN >= log.len {
                log.len = end.max(log.len) + options.preallocate;
                log.file.set_len(log.len)?;
            }
            log.file.write_at(log.at, &log.buffer)
        };
        grow(self).map_err(|error| at(&self.path, &error))?;
        self.buffer.shrink_to(1024 * 1024);
        self.at = end;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "how long a disk takes is no matter of tests")]
    fn sync(&mut self, options: &DiskOptions) -> io::Result<()> {
        let started = Instant::now();
        self.file.sync().map_err(|error| at(&self.path, &error))?;
        self.synced = self.at;
        let took = started.elapsed();
        if took > options.sync_warning {
            let path = self.path.display();
            tracing::warn!(%path, ?took, "the disk was slow to sync; writes wait for it");
        }
        Ok(())
    }
}
