//! The names of files: which there are, which are needed, and which may go.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use znode::proto::Zxid;

use super::snapshot_file::unpacked;
use super::storage::Storage;
use super::{Compression, DiskOptions};
use crate::log::snapshot::Snapshot;

/// The folder that Apache's servers keep files of this version in.
const VERSION_FOLDER: &str = "version-2";

/// The least number of snapshots to keep.
pub(super) const SNAPSHOTS_KEPT_MIN: usize = 3;

/// The first bytes of a gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Which kind of file a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Transactions from that of the name on.
    Log,
    /// Everything up to the transaction of the name.
    Snapshot,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Log => "log.",
            Self::Snapshot => "snapshot.",
        }
    }
}

/// A file of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    /// The transaction that it is named after.
    pub(crate) zxid: Zxid,
    /// How it was written; a log is never compressed.
    pub(crate) compression: Compression,
    pub(crate) path: PathBuf,
}

/// The folder below a directory of the configuration.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join(VERSION_FOLDER)
}

/// The path of a file.
pub(crate) fn file(dir: &Path, kind: Kind, zxid: Zxid) -> PathBuf {
    folder(dir).join(format!("{}{:x}", kind.prefix(), zxid.0))
}

/// Every file of a kind, in the order of the transactions they are named after.
pub(crate) fn files(storage: &impl Storage, dir: &Path, kind: Kind) -> io::Result<Vec<Named>> {
    let folder = folder(dir);
    let paths = storage.list(&folder).map_err(|error| at(&folder, &error))?;
    let mut found: Vec<Named> = paths.into_iter().filter_map(|path| named(path, kind)).collect();
    found.sort_unstable();
    Ok(found)
}

fn named(path: PathBuf, kind: Kind) -> Option<Named> {
    let rest = path.file_name()?.to_str()?.strip_prefix(kind.prefix())?;
    let (hex, compression) = match rest.split_once('.') {
        None => (rest, Compression::None),
        Some((hex, "gz")) if kind == Kind::Snapshot => (hex, Compression::Gzip),
        Some((hex, "snappy")) if kind == Kind::Snapshot => (hex, Compression::Snappy),
        Some(_) => return None,
    };
    let zxid = Zxid(i64::from_str_radix(hex, 16).ok()?);
    Some(Named { zxid, compression, path })
}

/// Makes the folders of a server, and removes what was left half written.
pub(super) fn prepare(storage: &impl Storage, options: &DiskOptions) -> io::Result<()> {
    for dir in [&options.data_dir, &options.log_dir] {
        let folder = folder(dir);
        storage.make_folder(&folder).map_err(|error| at(&folder, &error))?;
        sync_folder(storage, dir)?;
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            sync_folder(storage, above)?;
        }
    }
    for (dir, kind) in [(&options.data_dir, Kind::Snapshot), (&options.log_dir, Kind::Log)] {
        let folder = folder(dir);
        for path in storage.list(&folder).map_err(|error| at(&folder, &error))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(kind.prefix()) && name.ends_with(".tmp") {
                storage.remove(&path).map_err(|error| at(&path, &error))?;
            }
        }
    }
    Ok(())
}

/// Removes what is not needed to start from any of the newest snapshots that are whole.
pub(super) fn purge(storage: &impl Storage, options: &DiskOptions) -> io::Result<()> {
    let Some(kept) = options.snapshots_kept else { return Ok(()) };
    let snapshots = files(storage, &options.data_dir, Kind::Snapshot)?;
    let mut whole = snapshots.iter().rev().filter(|named| is_whole(storage, named));
    let Some(oldest) = whole.nth(kept.max(SNAPSHOTS_KEPT_MIN) - 1) else {
        return Ok(());
    };
    let oldest = oldest.zxid;
    let logs = files(storage, &options.log_dir, Kind::Log)?;
    let needed = logs.iter().rev().map(|log| log.zxid).find(|zxid| *zxid <= oldest);
    let old_logs = logs.iter().filter(|log| Some(log.zxid) < needed);
    let old_snapshots = snapshots.iter().filter(|snapshot| snapshot.zxid < oldest);
    for Named { path, .. } in old_logs.chain(old_snapshots) {
        tracing::debug!(path = %path.display(), "removing an old file");
        storage.remove(path).map_err(|error| at(path, &error))?;
    }
    Ok(())
}

/// Whether a snapshot was written to its end. One that is compressed must be read for that.
fn is_whole(storage: &impl Storage, named: &Named) -> bool {
    match named.compression {
        Compression::None => {
            let tail = storage.read_tail(&named.path, 10);
            tail.is_ok_and(|tail| Snapshot::looks_whole(&tail))
        }
        Compression::Gzip => {
            let bytes = storage.read(&named.path).unwrap_or_default();
            let mut tail = Vec::new();
            let mut from = unpacked(&bytes);
            let mut piece = vec![0; 64 * 1024];
            loop {
                match from.read(&mut piece) {
                    Ok(0) => return bytes.starts_with(&GZIP_MAGIC) && Snapshot::looks_whole(&tail),
                    Ok(len) => {
                        tail.extend_from_slice(&piece[..len]);
                        tail.drain(..tail.len().saturating_sub(10));
                    }
                    Err(_) => return false,
                }
            }
        }
        // It cannot be read here, so it is not one that a start could rely on.
        Compression::Snappy => false,
    }
}

/// Makes the names in a folder last.
pub(super) fn sync_folder(storage: &impl Storage, dir: &Path) -> io::Result<()> {
    storage.sync_folder(dir).map_err(|error| at(dir, &error))
}

/// The same error, with the file that it is about.
pub(crate) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// That a file, or what it holds, cannot be used.
pub(super) fn unusable(path: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}
