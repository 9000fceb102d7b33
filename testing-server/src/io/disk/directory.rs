//! The names of files, and what makes a change of a directory last.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use znode::proto::Zxid;

use super::DiskOptions;
use crate::log::snapshot::Snapshot;

/// The folder that Apache's servers keep files of this version in.
const VERSION_FOLDER: &str = "version-2";

/// The least number of snapshots to keep.
pub(super) const SNAPSHOTS_KEPT_MIN: usize = 3;

/// Which kind of file a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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

/// The folder below a directory of the configuration.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join(VERSION_FOLDER)
}

/// The path of a file.
pub(super) fn file(dir: &Path, kind: Kind, zxid: Zxid) -> PathBuf {
    folder(dir).join(format!("{}{:x}", kind.prefix(), zxid.0))
}

/// Every file of a kind with the transaction it is named after, in that order.
pub(super) fn files(dir: &Path, kind: Kind) -> io::Result<Vec<(Zxid, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(dir))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let hex = name.and_then(|name| name.strip_prefix(kind.prefix()));
        if let Some(zxid) = hex.and_then(|hex| i64::from_str_radix(hex, 16).ok()) {
            found.push((Zxid(zxid), path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes the folders of a server, and removes what was left half written.
pub(super) fn prepare(options: &DiskOptions) -> io::Result<()> {
    for dir in [&options.data_dir, &options.log_dir] {
        let folder = folder(dir);
        fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        sync_folder(dir)?;
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            sync_folder(above)?;
        }
    }
    for entry in fs::read_dir(folder(&options.data_dir))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(Kind::Snapshot.prefix()) && name.ends_with(".tmp") {
            fs::remove_file(&path).map_err(|error| at(&path, &error))?;
        }
    }
    Ok(())
}

/// Writes a snapshot under another name, and gives it its own once it is whole.
pub(super) fn write_snapshot(options: &DiskOptions, zxid: Zxid, bytes: &[u8]) -> io::Result<()> {
    let path = file(&options.data_dir, Kind::Snapshot, zxid);
    let temporary = path.with_extension(format!("{:x}.tmp", zxid.0));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if options.force_sync {
            file.sync_all()?;
        }
        fs::rename(&temporary, &path)
    };
    write().map_err(|error| at(&path, &error))?;
    if options.force_sync { sync_folder(&folder(&options.data_dir)) } else { Ok(()) }
}

/// Removes what is not needed to start from any of the newest snapshots that look whole.
pub(super) fn purge(options: &DiskOptions) -> io::Result<()> {
    let Some(kept) = options.snapshots_kept else { return Ok(()) };
    let snapshots = files(&options.data_dir, Kind::Snapshot)?;
    let mut whole = snapshots.iter().rev().filter(|(_, path)| looks_whole(path));
    let Some((oldest, _)) = whole.nth(kept.max(SNAPSHOTS_KEPT_MIN) - 1) else {
        return Ok(());
    };
    let logs = files(&options.log_dir, Kind::Log)?;
    let needed = logs.iter().rev().map(|(zxid, _)| zxid).find(|zxid| *zxid <= oldest);
    let old_logs = logs.iter().filter(|(zxid, _)| Some(zxid) < needed);
    let old_snapshots = snapshots.iter().filter(|(zxid, _)| zxid < oldest);
    for (_, path) in old_logs.chain(old_snapshots) {
        tracing::debug!(path = %path.display(), "removing an old file");
        fs::remove_file(path).map_err(|error| at(path, &error))?;
    }
    Ok(())
}

fn looks_whole(path: &Path) -> bool {
    let tail = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-10))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).map(|_| tail)
    };
    tail().is_ok_and(|tail: Vec<u8>| Snapshot::looks_whole(&tail))
}

/// Makes names in a directory last. Without it a file may be gone after a power cut, however well
/// it was synced itself.
pub(super) fn sync_folder(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| at(dir, &error))?;
    }
    Ok(())
}

/// The same error, with the file that it is about.
pub(super) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// That a file, or what it holds, cannot be used.
pub(super) fn unusable(path: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}
