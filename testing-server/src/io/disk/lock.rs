//! The lock on the directories of a server, so that no second one writes there.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::DiskOptions;
use super::directory::at;

/// The file that is locked. It stays: to remove it would let somebody lock a file without a name.
const LOCK_FILE: &str = "znode-server.lock";

/// Another server has its files in this directory, and runs.
///
/// [`TestingServer::start_with`](crate::TestingServer::start_with) fails with an [`io::Error`] that
/// holds this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryInUse {
    dir: PathBuf,
}

impl DirectoryInUse {
    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.dir
    }
}

impl fmt::Display for DirectoryInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        write!(f, "{dir}: another server runs on the files of this directory; stop it first")
    }
}

impl std::error::Error for DirectoryInUse {}

/// Holds directories until it is dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    /// The operating system's locks go with them.
    _files: Vec<File>,
}

impl DirectoryLock {
    /// Locks the directories of a server, which are made if need be.
    ///
    /// # Errors
    /// [`DirectoryInUse`], or that a file cannot be made or locked.
    pub(crate) fn take(options: &DiskOptions) -> io::Result<Self> {
        let mut dirs = vec![&options.data_dir];
        if options.log_dir != options.data_dir {
            dirs.push(&options.log_dir);
        }
        let files = dirs.into_iter().map(|dir| lock(dir)).collect::<io::Result<_>>()?;
        Ok(Self { _files: files })
    }
}

fn lock(dir: &Path) -> io::Result<File> {
    let path = dir.join(LOCK_FILE);
    fs::create_dir_all(dir).map_err(|error| at(dir, &error))?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| at(&path, &error))?;
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(fs4::TryLockError::WouldBlock) => {
            let in_use = DirectoryInUse { dir: dir.to_owned() };
            Err(io::Error::new(io::ErrorKind::ResourceBusy, in_use))
        }
        Err(fs4::TryLockError::Error(error)) => Err(at(&path, &error)),
    }
}
