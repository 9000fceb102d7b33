//! What a server finds in files: its own, and those of administrators.

use znode::proto::{JutePut, Zxid};

use super::Choices;
use super::world::check_snapshot;
use crate::config::{self, Config};
use crate::io::disk::history::epoch_of;
use crate::log::record::Logged;
use crate::log::snapshot::Snapshot;
use crate::log::txn_log::{FILE_HEADER, LogReader, Next, put_entry, put_mark};
use crate::node::Node;
use crate::node::settings::Settings;
use crate::quorum::text::{parse, print};

/// What other servers begin a log with.
const PLAIN_HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";

/// A snapshot: as a file, and as the body that a leader sends, which has no checksums in the way.
pub(super) fn snapshot(bytes: &[u8]) {
    Snapshot::looks_whole(bytes);
    let read = [Snapshot::read(bytes), Snapshot::read_body(bytes)];
    for snapshot in read {
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(damage) => {
                assert!(damage.offset <= bytes.len(), "{damage}");
                continue;
            }
        };
        if let Ok(mut node) = Node::from_snapshot(Settings::fixed(), &snapshot, Zxid(9)) {
            check_snapshot(&mut node);
        }
    }
}

/// Any bytes as a log, and any record that can be read as a transaction to be done again.
pub(super) fn log(bytes: &[u8]) {
    let mut node = Node::new(Settings::fixed());
    if let Ok(logged) = Logged::read(bytes) {
        node.replay(&logged);
    }
    let Ok(mut reader) = LogReader::new(bytes) else { return };
    loop {
        let before = reader.offset();
        match reader.next() {
            Ok(Next::Entry(entry)) => {
                assert!(reader.offset() > before && reader.offset() <= bytes.len());
                if let Ok(logged) = Logged::read(entry) {
                    node.replay(&logged);
                }
            }
            Ok(Next::End) => break,
            Ok(Next::Torn(damage)) | Err(damage) => {
                assert!(damage.offset <= bytes.len(), "{damage}");
                break;
            }
        }
    }
    check_snapshot(&mut node);
}

/// A log that was written, then cut, bent and blanked: what can still be read is what was written,
/// in its order, from its beginning.
pub(super) fn damaged_log(bytes: &[u8]) {
    let mut from = Choices(bytes);
    let is_ours = from.byte() % 2 == 0;
    let count = usize::from(from.byte() % 12);
    let mut file = if is_ours { FILE_HEADER } else { PLAIN_HEADER }.to_vec();
    let mut entries = Vec::new();
    for zxid in 0..count {
        let len = from.number() % 700;
        let mut entry = Vec::new();
        entry.put(&Zxid(i64::try_from(zxid).unwrap_or(0)));
        entry.resize(32 + len, from.byte());
        put_entry(&entry, &mut file);
        entries.push(entry);
    }
    let synced = usize::from(from.byte()) * file.len() / 255;
    if is_ours {
        put_mark(synced as u64, &mut file);
    }
    file.resize(file.len() + from.number() % 5000, 0);
    damage(&mut file, &mut from);
    let Ok(mut reader) = LogReader::new(&file) else { return };
    for entry in &entries {
        match reader.next() {
            Ok(Next::Entry(read)) => assert_eq!(read, entry, "a transaction was invented"),
            _ => return,
        }
    }
    let more = reader.next();
    assert!(!matches!(more, Ok(Next::Entry(_))), "a transaction was invented: {more:?}");
}

/// At most two bytes are bent: the checksum of these files is sure to find no more than that.
fn damage(file: &mut Vec<u8>, from: &mut Choices<'_>) {
    for _ in 0..2 {
        let (kind, at, byte) = (from.byte() % 4, from.number() % file.len().max(1), from.byte());
        match kind {
            1 => file.truncate(at),
            2 if at < file.len() => file[at] ^= byte,
            3 => {
                let end = (at + usize::from(byte) * 8).min(file.len());
                file.get_mut(at..end).unwrap_or_default().fill(0);
            }
            _ => {}
        }
    }
}

/// The files of epochs.
pub(super) fn epochs(bytes: &[u8]) {
    if let Ok(epoch) = epoch_of(bytes) {
        assert_eq!(epoch_of(epoch.to_string().as_bytes()), Ok(epoch));
    }
}

/// A `zoo.cfg` that names no file.
pub(super) fn zoo_cfg(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if config::names_files(&text) {
        return;
    }
    match Config::parse("zoo.cfg", &text) {
        Ok(config) => {
            for note in config.notes() {
                assert!(note.starts_with("zoo.cfg:") || note.starts_with("server.N"), "{note}");
            }
        }
        Err(error) => assert!(error.to_string().starts_with("zoo.cfg:"), "{error}"),
    }
}

/// A dynamic configuration.
pub(super) fn dynamic_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut ensemble = crate::Ensemble::default();
    match ensemble.take_dynamic("dynamic", &text) {
        Ok(()) => _ = ensemble.participants().count(),
        Err(error) => assert!(error.starts_with("dynamic:"), "{error}"),
    }
    // The same as servers tell it each other.
    if let Ok(config) = parse(&text) {
        let again = parse(&print(&config)).expect("what is printed can be read");
        assert_eq!(again, config);
        assert!(!config.is_quorum(|_| false), "nobody decides");
        _ = config.is_quorum(|_| true);
    }
}

/// A JAAS login file.
pub(super) fn jaas(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match config::jaas::users(&text, "Server") {
        Ok(users) => assert!(!users.is_empty()),
        Err(error) => assert!(!error.is_empty()),
    }
}
