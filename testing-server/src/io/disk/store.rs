//! The files of a server that runs: what is appended, when a log ends and another begins.

use std::io;

use znode::proto::Zxid;

use super::DiskOptions;
use super::directory::purge;
use super::log_file::LogFile;
use super::storage::Storage;
use crate::log::txn_log::{WRITE_LEN_MAX, put_entry};

/// Transactions that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Whole records.
    bytes: Vec<u8>,
    /// Each transaction with the end of its record.
    ends: Vec<(Zxid, usize)>,
}

impl Batch {
    /// Adds a transaction; what was added so far, in bytes.
    pub(crate) fn add(&mut self, zxid: Zxid, entry: &[u8]) -> usize {
        put_entry(entry, &mut self.bytes);
        self.ends.push((zxid, self.bytes.len()));
        self.bytes.len()
    }

    /// The last transaction in it.
    #[cfg(test)]
    pub(crate) fn last(&self) -> Option<Zxid> {
        self.ends.last().map(|(zxid, _)| *zxid)
    }

    /// Cuts it into writes: the first and the last transaction of each, and its records. Its length
    /// has a limit, since a crash may lose the last write from its middle, and whoever reads the
    /// log must know how far back that can be.
    fn writes(&self) -> impl Iterator<Item = (Zxid, Zxid, &[u8])> {
        let mut rest = &self.ends[..];
        let mut start = 0;
        std::iter::from_fn(move || {
            let (first, _) = rest.first()?;
            let fits = rest.partition_point(|(_, end)| end - start <= WRITE_LEN_MAX).max(1);
            let (taken, left) = rest.split_at(fits);
            let (last, end) = taken.last()?;
            let bytes = &self.bytes[start..*end];
            (rest, start) = (left, *end);
            Some((*first, *last, bytes))
        })
    }
}

/// The logs of a server that runs.
pub(crate) struct Store<S: Storage> {
    pub(crate) storage: S,
    pub(crate) options: DiskOptions,
    /// The log that is being written; the first record after a snapshot, and after the start,
    /// begins a new one.
    log: Option<LogFile<S>>,
}

impl<S: Storage> Store<S> {
    /// A store that has written nothing yet.
    pub(crate) fn new(storage: S, options: DiskOptions) -> Self {
        Self { storage, options, log: None }
    }

    /// Writes a batch, and tells of each transaction up to which the disk holds everything.
    ///
    /// # Errors
    /// The disk has failed: what it holds is unknown, and nothing more may be written.
    pub(crate) fn write(
        &mut self,
        batch: &Batch,
        mut persisted: impl FnMut(Zxid),
    ) -> io::Result<()> {
        for (first, last, records) in batch.writes() {
            let log = match &mut self.log {
                Some(log) => log,
                none => none.insert(LogFile::create(&self.storage, &self.options, first)?),
            };
            log.append(records, &self.options)?;
            let used = log.used();
            persisted(last);
            if self.options.log_size_max.is_some_and(|max| used > max) {
                self.roll()?;
            }
        }
        Ok(())
    }

    /// Marks, while there is nothing else to write, how far everything is on the disk.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        match &mut self.log {
            Some(log) => log.settle(&self.options),
            None => Ok(()),
        }
    }

    /// Ends the log; the next record begins another.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        self.log.take().map_or(Ok(()), |log| log.close(&self.options))
    }

    /// Removes what no start needs, if it is to be.
    pub(crate) fn purge(&self) -> io::Result<()> {
        purge(&self.storage, &self.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_between_records_and_no_write_is_too_long() {
        let mut batch = Batch::default();
        let lens = [300_000, 500_000, 100_000, 200_000, 2_000_000, 40, 1_048_563, 50];
        for (zxid, len) in (1..).zip(lens) {
            batch.add(Zxid(zxid), &vec![1; len]);
        }
        let cut: Vec<(i64, i64)> =
            batch.writes().map(|(first, last, _)| (first.0, last.0)).collect();
        assert_eq!(cut, [(1, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8)]);
        let joined: Vec<u8> = batch.writes().flat_map(|(_, _, bytes)| bytes.to_vec()).collect();
        assert_eq!(joined, batch.bytes);
        assert_eq!(Batch::default().writes().count(), 0);
    }
}
