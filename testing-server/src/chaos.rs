//! What a test may do to a server's disk, and to the files on it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use znode::proto::Zxid;

use crate::TestingServer;
use crate::io::disk::directory::{Kind, Named, at, files};
use crate::io::disk::storage::{DiskFaults, Files};

/// The files of a server, for a test that tampers with them while the server is stopped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use znode::CreateMode;
/// use znode_testing::{DataFiles, InstanceSpec, TestingServer};
///
/// let dir = std::env::temp_dir().join(format!("znode-chaos-{}", std::process::id()));
/// let server = TestingServer::start_with(InstanceSpec::new().data_dir(&dir)).await?;
/// server.connect().await?.create("/kept", b"", CreateMode::Persistent).await?;
/// server.stop().await;
///
/// let log = DataFiles::in_dir(&dir).logs()?.remove(0);
/// log.flip_bit(40, 3)?;
/// let refused = server.restart().await.unwrap_err();
/// assert!(refused.to_string().contains("log.1: at offset 16"), "{refused}");
///
/// log.flip_bit(40, 3)?;
/// server.restart().await?;
/// # server.stop().await;
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DataFiles {
    data_dir: PathBuf,
    log_dir: PathBuf,
}

/// A transaction log or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    zxid: Zxid,
    path: PathBuf,
}

impl DataFiles {
    /// The files below a [directory](crate::InstanceSpec::data_dir), ours or those of an Apache
    /// ZooKeeper.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        let data_dir = dir.into();
        Self { log_dir: data_dir.clone(), data_dir }
    }

    /// Looks for logs in another directory: `dataLogDir`.
    #[must_use]
    pub fn log_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.log_dir = dir.into();
        self
    }

    /// Every transaction log, the oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn logs(&self) -> io::Result<Vec<DataFile>> {
        list(&self.log_dir, Kind::Log)
    }

    /// Every snapshot, the oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn snapshots(&self) -> io::Result<Vec<DataFile>> {
        list(&self.data_dir, Kind::Snapshot)
    }
}

fn list(dir: &Path, kind: Kind) -> io::Result<Vec<DataFile>> {
    let found = files(&Files::default(), dir, kind)?;
    Ok(found.into_iter().map(|Named { zxid, path, .. }| DataFile { zxid, path }).collect())
}

impl DataFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The transaction that it is named after: the first one of a log, the last one of a snapshot.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// How many bytes of it are used: padding at the end of a log is not counted, the mark of 32
    /// bytes with which a log of ours ends is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn used_len(&self) -> io::Result<u64> {
        let bytes = self.named(fs::read(&self.path))?;
        Ok(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1))
    }

    /// Turns one bit over, as a disk does that goes bad; bit 0 is the lowest.
    ///
    /// # Errors
    /// The file does not go so far, or cannot be written.
    ///
    /// # Panics
    /// If there is no such bit in a byte.
    pub fn flip_bit(&self, offset: u64, bit: u8) -> io::Result<()> {
        assert!(bit < 8, "a byte has bits 0 to 7, not {bit}");
        let flip = || {
            let mut byte = [0];
            let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
            file.seek(SeekFrom::Start(offset))?;
            file.read_exact(&mut byte)?;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&[byte[0] ^ (1 << bit)])
        };
        self.named(flip())
    }

    /// Writes over a part of it, or behind its end.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn overwrite(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let write = || {
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)
        };
        self.named(write())
    }

    /// Cuts it to so many bytes, or adds zeros, as a crash does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn truncate(&self, len: u64) -> io::Result<()> {
        let cut = || OpenOptions::new().write(true).open(&self.path)?.set_len(len);
        self.named(cut())
    }

    /// Removes it.
    ///
    /// # Errors
    /// It is gone already, or cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        self.named(fs::remove_file(&self.path))
    }

    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| at(&self.path, &error))
    }
}

/// A disk that is full, or does not answer. Each of these concerns this server's files alone, and
/// does nothing to a server that keeps its data in memory.
impl TestingServer {
    /// The files of this server; nothing if it keeps its data in memory. Tamper with them only
    /// while it is stopped.
    pub fn files(&self) -> Option<DataFiles> {
        let options = self.disk_options()?;
        Some(DataFiles::in_dir(&options.data_dir).log_dir(&options.log_dir))
    }

    /// Has the disk be full from now on: the next write fails in its middle, and with it the
    /// server, which [says so](Self::failed). What was acknowledged stays; room is made by
    /// [`free_disk`](Self::free_disk).
    pub fn fill_disk(&self) {
        self.set_fault(|faults| &faults.is_full, true);
    }

    /// Takes [`fill_disk`](Self::fill_disk) back.
    pub fn free_disk(&self) {
        self.set_fault(|faults| &faults.is_full, false);
    }

    /// Has no write reach the disk from now on: the next sync fails, and with it the server.
    pub fn break_disk(&self) {
        self.set_fault(|faults| &faults.is_broken, true);
    }

    /// Takes [`break_disk`](Self::break_disk) back.
    pub fn mend_disk(&self) {
        self.set_fault(|faults| &faults.is_broken, false);
    }

    fn set_fault(&self, which: impl FnOnce(&DiskFaults) -> &AtomicBool, to: bool) {
        if let Some(options) = self.disk_options() {
            which(&options.faults).store(to, Ordering::Relaxed);
        }
    }
}
