//! What only a server of an ensemble does to its files: it writes epochs down, forgets what nobody
//! else has, and takes over another server's history.

use std::io;
use std::path::PathBuf;

use znode::proto::Zxid;

use super::DiskOptions;
use super::directory::{Kind, at, file, files, folder, sync_folder, unusable};
use super::load::renew;
use super::storage::{Storage, StoredFile as _};
use crate::log::record::Logged;
use crate::log::txn_log::{LogReader, Next};
use crate::node::input::EpochKind;
use crate::peer::Epochs;

fn epoch_file(options: &DiskOptions, kind: EpochKind) -> PathBuf {
    folder(&options.data_dir).join(match kind {
        EpochKind::Accepted => "acceptedEpoch",
        EpochKind::Current => "currentEpoch",
    })
}

/// The epochs that were written down; zero where none was.
///
/// # Errors
/// A file cannot be read, or does not hold a number.
pub(crate) fn epochs(storage: &impl Storage, options: &DiskOptions) -> io::Result<Epochs> {
    let read = |kind| {
        let path = epoch_file(options, kind);
        let bytes = match storage.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(at(&path, &error)),
        };
        epoch_of(&bytes).map_err(|why| unusable(&path, why))
    };
    let epochs =
        Epochs { accepted: read(EpochKind::Accepted)?, current: read(EpochKind::Current)? };
    if epochs.accepted < epochs.current {
        let path = epoch_file(options, EpochKind::Accepted);
        let Epochs { accepted, current } = epochs;
        let why = format!("epoch {accepted} was promised last, and {current} has begun");
        return Err(unusable(&path, why));
    }
    Ok(epochs)
}

/// What the file of an epoch says.
///
/// # Errors
/// It is not a number.
pub(crate) fn epoch_of(bytes: &[u8]) -> Result<u32, String> {
    let text = String::from_utf8_lossy(bytes);
    text.trim().parse().map_err(|_| format!("{text:?} is no epoch"))
}

/// Writes an epoch down: under another name first, so that there is always one that is whole.
pub(super) fn save_epoch(
    storage: &impl Storage,
    options: &DiskOptions,
    kind: EpochKind,
    epoch: u32,
) -> io::Result<()> {
    let path = epoch_file(options, kind);
    write_whole(storage, options, &path, epoch.to_string().as_bytes())
}

/// Writes a file that has its name only once it is whole.
pub(super) fn write_whole(
    storage: &impl Storage,
    options: &DiskOptions,
    path: &std::path::Path,
    bytes: &[u8],
) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = storage.create(&temporary)?;
        file.write_at(0, bytes)?;
        if options.force_sync {
            file.sync()?;
        }
        drop(file);
        storage.rename(&temporary, path)
    };
    write().map_err(|error| at(path, &error))?;
    match path.parent().filter(|_| options.force_sync) {
        Some(folder) => sync_folder(storage, folder),
        None => Ok(()),
    }
}

/// Cuts off whatever stands behind a transaction, in logs and snapshots, so that it never comes
/// back (ZOOKEEPER-2832, 4837). The newest goes first: whatever a crash leaves has no hole.
pub(super) fn truncate(
    storage: &impl Storage,
    options: &DiskOptions,
    zxid: Zxid,
) -> io::Result<()> {
    let snapshots = files(storage, &options.data_dir, Kind::Snapshot)?;
    for snapshot in snapshots.iter().rev().filter(|snapshot| snapshot.zxid > zxid) {
        storage.remove(&snapshot.path).map_err(|error| at(&snapshot.path, &error))?;
    }
    for log in files(storage, &options.log_dir, Kind::Log)?.iter().rev() {
        if log.zxid > zxid {
            storage.remove(&log.path).map_err(|error| at(&log.path, &error))?;
            continue;
        }
        let bytes = storage.read(&log.path).map_err(|error| at(&log.path, &error))?;
        let mut reader = LogReader::new(&bytes).map_err(|damage| unusable(&log.path, damage))?;
        let mut kept = reader.offset();
        let mut is_cut = false;
        while let Next::Entry(entry) =
            reader.next().map_err(|damage| unusable(&log.path, damage))?
        {
            let read = Logged::read(entry).map_err(|error| unusable(&log.path, error))?;
            if read.header.zxid > zxid {
                is_cut = true;
                break;
            }
            kept = reader.offset();
        }
        if is_cut {
            renew(storage, &log.path, &bytes[..kept])?;
        }
        break;
    }
    for dir in [&options.data_dir, &options.log_dir] {
        sync_folder(storage, &folder(dir))?;
    }
    Ok(())
}

/// Takes over another server's history: its snapshot, and nothing of what was here before. Until
/// the snapshot is whole everything stays.
pub(super) fn replace(
    storage: &impl Storage,
    options: &DiskOptions,
    zxid: Zxid,
    snapshot: &[u8],
) -> io::Result<()> {
    let path = file(&options.data_dir, Kind::Snapshot, zxid);
    write_whole(storage, options, &path, snapshot)?;
    let logs = files(storage, &options.log_dir, Kind::Log)?;
    let snapshots = files(storage, &options.data_dir, Kind::Snapshot)?;
    let old = snapshots.iter().filter(|snapshot| snapshot.path != path);
    for old in old.chain(&logs).rev() {
        storage.remove(&old.path).map_err(|error| at(&old.path, &error))?;
    }
    for dir in [&options.data_dir, &options.log_dir] {
        sync_folder(storage, &folder(dir))?;
    }
    Ok(())
}
