//! Who belongs to the ensemble, as files beside the `zoo.cfg` say it: `zoo.cfg.dynamic.VERSION`,
//! to which the `zoo.cfg` then points, and `zoo.cfg.dynamic.next`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::DiskOptions;
use super::directory::{at, unusable};
use super::history::write_whole;
use super::storage::Storage;
use crate::config::{properties, version_in_name};
use crate::node::input::ConfigKind;
use crate::quorum::text::{parse, print, print_members};
use crate::quorum::{QuorumConfig, Quorums, Sid};

/// What points to a dynamic file.
const POINTER: &str = "dynamicConfigFile";

/// Where the configuration of a server is kept that may change.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    /// The `zoo.cfg`. One that does not exist is made, with nothing in it but the pointer.
    pub(crate) path: PathBuf,
    /// The server.
    pub(crate) me: Sid,
}

impl ConfigFile {
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name: OsString = self.path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    }

    fn next(&self) -> PathBuf {
        self.beside(".dynamic.next")
    }
}

/// The configurations that were written down; nothing if none ever was. The `zoo.cfg` is copied
/// before it is first changed.
///
/// # Errors
/// A file cannot be read, or holds no configuration.
pub(crate) fn load(storage: &impl Storage, options: &DiskOptions) -> io::Result<Option<Quorums>> {
    let Some(file) = &options.config_file else { return Ok(None) };
    let Some(text) = read(storage, &file.path)? else { return Ok(None) };
    let properties = properties::parse(&text);
    let pointer = properties.iter().rev().find(|property| property.key.trim() == POINTER);
    let Some(pointer) = pointer else {
        let backup = file.beside(".bak");
        write_whole(storage, options, &backup, text.as_bytes())?;
        return Ok(None);
    };
    let path = PathBuf::from(pointer.value.trim());
    let missing = || unusable(&path, "it is named as the dynamicConfigFile, and is not there");
    let text = read(storage, &path)?.ok_or_else(missing)?;
    let mut committed = parse(&text).map_err(|error| unusable(&path, error))?;
    committed.version = version_in_name(&path).unwrap_or_default();
    let mut quorums = Quorums::new(committed);
    if let Some(next) = read_next(storage, file)? {
        quorums.see(next);
    }
    Ok(Some(quorums))
}

fn read_next(storage: &impl Storage, file: &ConfigFile) -> io::Result<Option<QuorumConfig>> {
    let path = file.next();
    let text = read(storage, &path)?;
    text.map(|text| parse(&text).map_err(|error| unusable(&path, error))).transpose()
}

fn read(storage: &impl Storage, path: &Path) -> io::Result<Option<String>> {
    match storage.read(path) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes);
            text.map(Some).map_err(|_| unusable(path, "it is not UTF-8"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, &error)),
    }
}

/// Writes a configuration down. Each file is whole or not there; and whatever a crash leaves of
/// several says no less than what was agreed on before.
///
/// # Errors
/// A file cannot be written.
pub(super) fn save(
    storage: &impl Storage,
    options: &DiskOptions,
    kind: ConfigKind,
    config: &QuorumConfig,
) -> io::Result<()> {
    let Some(file) = &options.config_file else { return Ok(()) };
    match kind {
        ConfigKind::Next => {
            write_whole(storage, options, &file.next(), sorted(&print(config)).as_bytes())
        }
        ConfigKind::Committed => {
            let dynamic = file.beside(&format!(".dynamic.{:x}", config.version.0));
            let text = sorted(&print_members(config));
            write_whole(storage, options, &dynamic, text.as_bytes())?;
            point_to(storage, options, file, &dynamic, config)?;
            let next = read_next(storage, file)?;
            if next.is_some_and(|next| next.version <= config.version) {
                let path = file.next();
                storage.remove(&path).map_err(|error| at(&path, &error))?;
            }
            Ok(())
        }
    }
}

/// Has the `zoo.cfg` name a dynamic file, and leaves nothing in it that stands there.
fn point_to(
    storage: &impl Storage,
    options: &DiskOptions,
    file: &ConfigFile,
    dynamic: &Path,
    config: &QuorumConfig,
) -> io::Result<()> {
    let text = read(storage, &file.path)?.unwrap_or_default();
    let mine = config.members.get(&file.me);
    let has_client = mine.is_some_and(|member| member.client.is_some());
    let mut text = properties::without(&text, |key| {
        let moved = ["server.", "group", "weight", POINTER, "peerType"];
        moved.iter().any(|moved| key.starts_with(moved))
            || (has_client && key.starts_with("clientPort"))
    });
    let dynamic = std::path::absolute(dynamic).map_err(|error| at(dynamic, &error))?;
    let dynamic = dynamic.to_str().ok_or_else(|| unusable(&dynamic, "its name is not UTF-8"))?;
    text.push_str(&format!("{POINTER}={}\n", dynamic.replace('\\', "/")));
    write_whole(storage, options, &file.path, text.as_bytes())
}

/// Lines in the order of the alphabet, as Apache's servers write them.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use znode::proto::Zxid;

    use super::super::storage::Files;
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("znode-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn options(dir: &Path) -> DiskOptions {
        let config_file = Some(ConfigFile { path: dir.join("zoo.cfg"), me: Sid(1) });
        DiskOptions { config_file, ..DiskOptions::new(dir.to_owned()) }
    }

    fn config(version: i64, lines: &str) -> QuorumConfig {
        parse(&format!("{lines}version={version:x}")).unwrap()
    }

    const LINES: &str = "server.10=h:1:2:participant;0.0.0.0:3\n\
                         server.1=h:4:5:participant;0.0.0.0:6\n\
                         server.2=h:7:8:observer\n";

    #[test]
    fn what_is_proposed_and_what_is_agreed_on_come_back() {
        let dir = folder("dynamic");
        let (files, options) = (Files::default(), options(&dir));
        let static_file = dir.join("zoo.cfg");
        let before = "# mine\ntickTime=9\nserver.1=h:4:5\nclientPort=6\ndataDir=\\\n  /d\n\
                      peerType=participant\nsecureClientPort=8\n";
        std::fs::write(&static_file, before).unwrap();
        assert!(load(&files, &options).unwrap().is_none());
        assert_eq!(std::fs::read_to_string(dir.join("zoo.cfg.bak")).unwrap(), before);

        let (first, second) = (config(0x1_0000_0000, LINES), config(0x1_0000_000a, LINES));
        save(&files, &options, ConfigKind::Next, &first).unwrap();
        let next = std::fs::read_to_string(dir.join("zoo.cfg.dynamic.next")).unwrap();
        assert!(next.ends_with("\nversion=100000000"), "{next}");
        save(&files, &options, ConfigKind::Committed, &first).unwrap();
        assert!(!dir.join("zoo.cfg.dynamic.next").exists());
        let dynamic = dir.join("zoo.cfg.dynamic.100000000");
        assert_eq!(
            std::fs::read_to_string(&dynamic).unwrap(),
            "server.10=h:1:2:participant;0.0.0.0:3\nserver.1=h:4:5:participant;0.0.0.0:6\n\
             server.2=h:7:8:observer"
        );
        let after = std::fs::read_to_string(&static_file).unwrap();
        let pointer = format!("dynamicConfigFile={}\n", dynamic.display());
        let kept = "# mine\ntickTime=9\ndataDir=\\\n  /d\nsecureClientPort=8\n";
        assert_eq!(after, format!("{kept}{pointer}"));
        let loaded = load(&files, &options).unwrap().unwrap();
        assert_eq!(loaded.committed, first);
        assert!(loaded.proposed.is_none());

        save(&files, &options, ConfigKind::Next, &second).unwrap();
        let loaded = load(&files, &options).unwrap().unwrap();
        assert_eq!((loaded.committed, loaded.proposed), (first.clone(), Some(second.clone())));
        // It is not the newest any more that is agreed on.
        save(&files, &options, ConfigKind::Committed, &config(0x1_0000_0005, LINES)).unwrap();
        let loaded = load(&files, &options).unwrap().unwrap();
        assert_eq!(loaded.committed.version, Zxid(0x1_0000_0005));
        assert_eq!(loaded.proposed, Some(second));
        let after = std::fs::read_to_string(&static_file).unwrap();
        assert_eq!(after.matches(POINTER).count(), 1, "{after}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_that_is_no_configuration_is_named() {
        let dir = folder("no-config");
        let (files, options) = (Files::default(), options(&dir));
        save(&files, &options, ConfigKind::Committed, &config(5, LINES)).unwrap();
        let made = std::fs::read_to_string(dir.join("zoo.cfg")).unwrap();
        assert!(made.starts_with("dynamicConfigFile="), "{made}");
        std::fs::write(dir.join("zoo.cfg.dynamic.next"), "colour=red").unwrap();
        let damaged = load(&files, &options).unwrap_err().to_string();
        assert!(damaged.contains("zoo.cfg.dynamic.next: colour=red: does not"), "{damaged}");
        std::fs::remove_file(dir.join("zoo.cfg.dynamic.5")).unwrap();
        let missing = load(&files, &options).unwrap_err().to_string();
        assert!(missing.contains("zoo.cfg.dynamic.5: it is named"), "{missing}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
