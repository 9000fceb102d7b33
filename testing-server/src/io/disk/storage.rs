//! What the disk is to this room: files and folders, and the calls that make them last. Behind it
//! is the operating system, or a model that loses whatever it may.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where files are kept.
pub(crate) trait Storage: Clone + Send + 'static {
    /// A file that is open for writing.
    type File: StoredFile;

    /// Makes a folder, and those above it.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Everything in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// All of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The last `len` bytes of a file, or all of one that is shorter.
    fn read_tail(&self, path: &Path, len: usize) -> io::Result<Vec<u8>>;

    /// Makes a file, or empties one.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Gives a file another name, in place of a file that may have it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder last. Without it a file may be gone after a power cut, however
    /// well it was synced itself.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file that is open for writing.
pub(crate) trait StoredFile: Send + 'static {
    /// Writes at a place, all of it or not.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or adds zeros.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Makes what was written last, and the length.
    fn sync(&mut self) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    faults: Arc<DiskFaults>,
}

/// What a test has a disk do.
#[derive(Debug, Default)]
pub(crate) struct DiskFaults {
    /// Nothing more fits.
    pub(crate) is_full: AtomicBool,
    /// Nothing can be synced.
    pub(crate) is_broken: AtomicBool,
}

/// A file of the operating system that is open for writing.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    faults: Arc<DiskFaults>,
}

impl Files {
    /// Files on a disk that does what it is told.
    pub(crate) fn new(faults: &Arc<DiskFaults>) -> Self {
        Self { faults: Arc::clone(faults) }
    }
}

impl Storage for Files {
    type File = OpenFile;

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_tail(&self, path: &Path, len: usize) -> io::Result<Vec<u8>> {
        use io::Read as _;
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(len as u64);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    }

    fn create(&self, path: &Path) -> io::Result<OpenFile> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        Ok(OpenFile { file, faults: Arc::clone(&self.faults) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Elsewhere a folder cannot be opened, and names last by themselves.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
}

impl StoredFile for OpenFile {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        if self.faults.is_full.load(Ordering::Relaxed) {
            // As much as fits is written, as a real disk does it.
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(bytes)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.faults.is_broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("the device does not answer"));
        }
        self.file.sync_data()
    }
}
