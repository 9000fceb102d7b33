//! Start-up: the newest snapshot that can be read, then every log behind it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use bytes::Bytes;
use znode::proto::Zxid;

use super::DiskOptions;
use super::directory::{Kind, Named, at, files, folder, prepare, sync_folder, unusable};
use super::snapshot_file::{self, SnapshotFile};
use super::storage::{Storage, StoredFile as _};
use crate::log::record::Logged;
use crate::log::snapshot::Snapshot;
use crate::log::txn_log::{FILE_HEADER, HEADER_LEN, LogReader, Next, put_mark};
use crate::node::Node;
use crate::node::settings::Settings;
use crate::zab::history::{COMMITTED_LOG_MAX, Entry};

/// How many bytes of recent transactions are kept for learners while files are read.
const RECENT_LEN_MAX: usize = 32 * 1024 * 1024;

/// How many snapshots are tried before it is given up.
const SNAPSHOTS_TRIED_MAX: usize = 100;

/// A server as its files say it was.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The server.
    pub(crate) node: Node,
    /// How many transactions came from logs.
    pub(crate) replayed: u64,
    /// The last of these, and the place before the first of them.
    pub(crate) recent: VecDeque<Entry>,
    pub(crate) before_recent: Zxid,
    recent_len: usize,
}

/// Reads the files of a server. An empty directory makes an empty server, and gets the snapshot of
/// one. What a crash has torn off the last log is removed.
///
/// # Errors
/// A file cannot be read or written, or the files do not hold all that was acknowledged: then the
/// error names the file, the place and what is wrong there.
pub(crate) fn load(
    storage: &impl Storage,
    options: &DiskOptions,
    settings: &Settings,
) -> io::Result<Loaded> {
    prepare(storage, options)?;
    let snapshots = files(storage, &options.data_dir, Kind::Snapshot)?;
    let logs = files(storage, &options.log_dir, Kind::Log)?;
    check_places(storage, options)?;
    let node = match newest(storage, settings, &snapshots)? {
        Some(node) => node,
        None => empty(storage, options, settings, &logs)?,
    };
    let before_recent = node.last_processed;
    let mut loaded =
        Loaded { node, replayed: 0, recent: VecDeque::new(), before_recent, recent_len: 0 };
    let next = Zxid(loaded.node.last_processed.0 + 1);
    let first = logs.iter().rposition(|log| log.zxid <= next).unwrap_or(0);
    for (i, log) in logs.iter().enumerate().skip(first) {
        loaded.replay(storage, &log.path, i + 1 == logs.len())?;
    }
    // Names may be as little on the disk as what they stand for.
    for dir in [&options.data_dir, &options.log_dir] {
        sync_folder(storage, &folder(dir))?;
    }
    loaded.tell(options);
    Ok(loaded)
}

impl Loaded {
    /// Tells how it went.
    fn tell(&mut self, options: &DiskOptions) {
        let node = &mut self.node;
        if let Some(zxid) = node.digests.awaited() {
            tracing::warn!(%zxid, "the logs end before the transaction that a snapshot goes up to");
        }
        if let Some(zxid) = node.digests.take_mismatch() {
            let count = node.stats.digest_mismatches;
            tracing::error!(%zxid, count, "the tree is not what was told of it");
        }
        tracing::info!(
            dir = %options.data_dir.display(),
            zxid = %self.node.last_processed,
            replayed = self.replayed,
            "the server has come back from its files"
        );
    }
}

/// Files in the wrong one of two directories were put there by a server that was told otherwise.
fn check_places(storage: &impl Storage, options: &DiskOptions) -> io::Result<()> {
    if options.data_dir == options.log_dir {
        return Ok(());
    }
    let mut misplaced = files(storage, &options.data_dir, Kind::Log)?;
    misplaced.append(&mut files(storage, &options.log_dir, Kind::Snapshot)?);
    match misplaced.first() {
        Some(Named { path, .. }) => Err(unusable(
            path,
            "this file is not in its place: dataLogDir is for logs alone, dataDir for snapshots",
        )),
        None => Ok(()),
    }
}

/// The server of the newest snapshot that can be read; nothing if there is no snapshot.
fn newest(
    storage: &impl Storage,
    settings: &Settings,
    snapshots: &[Named],
) -> io::Result<Option<Node>> {
    let mut last_error = None;
    for Named { zxid, compression, path } in snapshots.iter().rev().take(SNAPSHOTS_TRIED_MAX) {
        let node = snapshot_file::read(storage, path, *compression)?.and_then(|bytes| {
            let snapshot = Snapshot::read(&bytes).map_err(|damage| damage.to_string())?;
            // One that was written while the server went on may hold more, never less.
            if snapshot.last_processed.is_some_and(|last| last < *zxid) {
                return Err("it ends before the transaction that it is named after".to_owned());
            }
            Node::from_snapshot(settings.clone(), &snapshot, *zxid)
        });
        match node {
            Ok(node) => return Ok(Some(node)),
            Err(why) => {
                let error = unusable(path, why);
                tracing::warn!(%error, "a snapshot cannot be read, trying the one before it");
                last_error.get_or_insert(error);
            }
        }
    }
    last_error.map_or(Ok(None), Err)
}

/// A server without any data, if there is none.
fn empty(
    storage: &impl Storage,
    options: &DiskOptions,
    settings: &Settings,
    logs: &[Named],
) -> io::Result<Node> {
    for Named { path, .. } in logs {
        let bytes = storage.read(path).map_err(|error| at(path, &error))?;
        let mut reader = LogReader::new(&bytes).map_err(|damage| unusable(path, damage))?;
        let found = reader.next().map_err(|damage| unusable(path, damage))?;
        if matches!(found, Next::Entry(_)) && !options.trust_empty {
            let why = "there are transactions, but no snapshot that they follow: some files are \
                       missing (snapshot.trust.empty=true starts all the same)";
            return Err(unusable(path, why));
        }
    }
    let mut node = Node::new(settings.clone());
    let id = node.begin_snapshot();
    let mut file = SnapshotFile::create(storage, options, id.zxid)?;
    let mut bytes = Vec::new();
    while node.snapshot_piece(id, usize::MAX / 2, &mut bytes) == Some(true) {}
    file.put(&bytes)?;
    file.finish(id)?;
    Ok(node)
}

impl Loaded {
    /// Does again what one log says.
    fn replay(&mut self, storage: &impl Storage, path: &Path, is_last: bool) -> io::Result<()> {
        let bytes = storage.read(path).map_err(|error| at(path, &error))?;
        let mut reader = LogReader::new(&bytes).map_err(|damage| unusable(path, damage))?;
        let mut before = None;
        let torn = loop {
            let offset = reader.offset();
            match reader.next().map_err(|damage| unusable(path, damage))? {
                Next::Entry(entry) => {
                    let zxid = self
                        .replay_entry(entry, before.is_none(), before)
                        .map_err(|why| unusable(path, format_args!("at offset {offset}: {why}")))?;
                    before = Some(zxid);
                }
                Next::End => break None,
                Next::Torn(damage) => break Some(damage),
            }
        };
        if !is_last {
            // A gap to the next log would show there.
            return Ok(());
        }
        if let Some(damage) = &torn {
            tracing::warn!(path = %path.display(), %damage, "removing what a crash has torn");
        }
        match before {
            None => storage.remove(path).map_err(|error| at(path, &error)),
            Some(_) if torn.is_none() && reader.is_synced() => Ok(()),
            Some(_) => renew(storage, path, &bytes[..reader.offset()]),
        }
    }

    fn replay_entry(
        &mut self,
        entry: &[u8],
        is_first: bool,
        before: Option<Zxid>,
    ) -> Result<Zxid, String> {
        let logged = Logged::read(entry).map_err(|error| error.to_string())?;
        let (zxid, last) = (logged.header.zxid, self.node.last_processed);
        if let Some(before) = before.filter(|before| *before >= zxid) {
            return Err(format!("transaction {zxid} stands behind {before}"));
        }
        if zxid <= last {
            return Ok(zxid);
        }
        // Within a log nothing is missing, or a checksum would say so.
        if is_first && zxid.0 != last.0 + 1 && zxid.epoch() == last.epoch() {
            return Err(format!("the transactions between {last} and {zxid} are missing"));
        }
        self.node.replay(&logged);
        self.replayed += 1;
        self.recent_len += entry.len();
        self.recent.push_back(Entry { zxid, bytes: Bytes::copy_from_slice(entry) });
        while self.recent.len() > COMMITTED_LOG_MAX || self.recent_len > RECENT_LEN_MAX {
            let Some(first) = self.recent.pop_front() else { break };
            self.recent_len -= first.bytes.len();
            self.before_recent = first.zxid;
        }
        Ok(zxid)
    }
}

/// Writes a log anew, up to the end of its last whole record.
///
/// What was read may be in memory alone, if the server before was killed before it had synced it,
/// or could not: then a power cut would make a gap between it and what is written from now on. To
/// sync it again would not help where a sync has failed, and to write it again in its place would
/// risk what is there.
pub(super) fn renew(storage: &impl Storage, path: &Path, whole: &[u8]) -> io::Result<()> {
    let mut bytes = FILE_HEADER.to_vec();
    bytes.extend_from_slice(&whole[HEADER_LEN..]);
    put_mark(whole.len() as u64, &mut bytes);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let write = || {
        let mut file = storage.create(temporary)?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        storage.rename(temporary, path)
    };
    write().map_err(|error| at(path, &error))
}
