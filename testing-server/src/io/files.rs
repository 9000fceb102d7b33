//! What operators are told of a server's files, which the server itself never looks at.

use std::fs;
use std::path::Path;
#[cfg(feature = "admin")]
use std::time::SystemTime;

#[cfg(feature = "admin")]
use znode::proto::Zxid;

use crate::node::settings::Settings;

/// How many bytes snapshots and logs take. What cannot be read counts as nothing: it may just have
/// been removed.
pub(super) fn sizes(settings: &Settings) -> (u64, u64) {
    let Some((data, logs)) = &settings.dirs else { return (0, 0) };
    (size(&data.join("version-2")), size(&logs.join("version-2")))
}

fn size(dir: &Path) -> u64 {
    let Ok(files) = fs::read_dir(dir) else { return 0 };
    files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// The newest snapshot, and when it was written, in seconds since 1970.
#[cfg(feature = "admin")]
pub(super) fn last_snapshot(settings: &Settings) -> Option<(Zxid, u64)> {
    let (data, _) = settings.dirs.as_ref()?;
    let snapshot = |file: fs::DirEntry| {
        let name = file.file_name();
        let zxid = name.to_str()?.strip_prefix("snapshot.")?;
        let zxid = Zxid(i64::from_str_radix(zxid, 16).ok()?);
        let written = file.metadata().ok()?.modified().ok()?;
        let seconds = written.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        Some((zxid, seconds))
    };
    fs::read_dir(data.join("version-2")).ok()?.flatten().filter_map(snapshot).max()
}
