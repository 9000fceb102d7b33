//! `zoo.cfg`: what an administrator tells a server.

mod ensemble;
pub(crate) mod jaas;
mod keys;
mod known;
mod operators;
mod peer_tls;
pub(crate) mod properties;
mod security;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::InstanceSpec;
use crate::io::disk::DiskOptions;
use crate::zab::stream::FORWARDED_LEN_MAX;
pub use ensemble::Ensemble;
pub(crate) use ensemble::version_in_name;
use keys::Key;
use operators::Operators;
use peer_tls::PeerTlsSaid;
use security::Security;

/// What a `zoo.cfg` says, checked.
///
/// It has Apache's keys. What Apache takes as a property of its virtual machine alone stands in the
/// file, too: `java.security.auth.login.config` above all, and `znode.container.*`.
///
/// ```
/// use znode_testing::Config;
///
/// let config = Config::parse("zoo.cfg", "dataDir=/var/zk\nclientPort=2181\ncolour=red\n")?;
/// assert_eq!(config.notes(), ["zoo.cfg:3: colour: no such key; ignored"]);
///
/// let wrong = Config::parse("zoo.cfg", "dataDir=/var/zk\nclientPort=2181\ntickTime=soon\n");
/// assert_eq!(
///     wrong.unwrap_err().to_string(),
///     "zoo.cfg:3: tickTime=soon: must be a whole number from 1 to 2147483647"
/// );
/// # Ok::<(), znode_testing::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    notes: Vec<String>,
    spec: InstanceSpec,
    ensemble: Ensemble,
    data_dir: PathBuf,
}

/// Why a `zoo.cfg` cannot be used: where, and what would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that keys can say, before it is made into a specification.
#[derive(Debug, Clone)]
struct Said {
    /// What keys say that need no second look.
    spec: InstanceSpec,
    security: Security,
    peers: PeerTlsSaid,
    operators: Operators,
    data_dir: Option<PathBuf>,
    log_dir: Option<PathBuf>,
    client_port: Option<u16>,
    address: IpAddr,
    tick_ms: u64,
    session_min_ms: Option<u64>,
    session_max_ms: Option<u64>,
    extended_types: bool,
    super_digest: Option<String>,
    /// How files are kept, but for where.
    disk: DiskOptions,
    snapshots_kept: usize,
    ensemble: Ensemble,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            // Apache's defaults, where they differ from those of a server for tests.
            spec: InstanceSpec::new().four_letter_words("srvr").connections_per_address(60),
            security: Security::default(),
            peers: PeerTlsSaid::default(),
            operators: Operators::default(),
            data_dir: None,
            log_dir: None,
            client_port: None,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            tick_ms: 3000,
            session_min_ms: None,
            session_max_ms: None,
            extended_types: false,
            super_digest: None,
            disk: DiskOptions::new(PathBuf::new()),
            snapshots_kept: 3,
            ensemble: Ensemble::default(),
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or as of [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| ConfigError(format!("{name}: {error}")))?;
        let mut config = Self::parse(&name, &text)?;
        let told = [Some(&mut config.ensemble), config.spec.ensemble.as_mut()];
        for ensemble in told.into_iter().flatten() {
            ensemble.config_file = Some(path.to_owned());
        }
        Ok(config)
    }

    /// Reads the text of a file; `name` is what messages call it. Where a key stands twice, the
    /// last one counts, as everywhere in Java.
    ///
    /// # Errors
    /// A value is wrong, or something that must be there is not.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let mut said = Said::default();
        let mut notes = said.take(name, text)?;
        let wrong = |why: String| ConfigError(format!("{name}: {why}"));
        said.settle_ensemble(&mut notes).map_err(wrong)?;
        let (ensemble, data_dir) = (said.ensemble.clone(), said.data_dir.clone());
        if data_dir.is_none() {
            return Err(wrong("dataDir: must be set, to a directory".to_owned()));
        }
        let spec = said.into_spec().map_err(wrong)?;
        Ok(Self { notes, spec, ensemble, data_dir: data_dir.unwrap_or_default() })
    }

    /// What is in the file and changes nothing, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The ensemble that the file describes; without members, of a server that stands alone.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Where the server keeps its files: `dataDir`.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A server as the file describes it: alone, or one of an ensemble.
    pub fn into_spec(self) -> InstanceSpec {
        self.spec
    }
}

/// Whether a text names a file that would be read: only `dataDir` may stand for one that is not.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn names_files(text: &str) -> bool {
    let names = |key: &str| {
        key == "dynamicConfigFile" || key.starts_with("java.security") || key.starts_with("ssl.")
    };
    properties::parse(text).iter().any(|property| names(property.key.trim()))
}

/// The text of a file without its passwords, for operators to read.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.split_once(['=', ':']) {
            Some((key, _)) if is_secret(key) => {
                out.push_str(key);
                out.push_str("=***");
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// Which member of an ensemble the server is.
fn my_id(data_dir: &Path) -> Result<Option<u64>, String> {
    let path = data_dir.join("myid");
    let name = path.display();
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.lines().next().unwrap_or_default().trim().parse();
            id.map(Some).map_err(|_| format!("{name}: must hold a number"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

fn is_secret(key: &str) -> bool {
    key.trim_end().to_ascii_lowercase().ends_with("password")
}

impl InstanceSpec {
    /// Sets what lines of a `zoo.cfg` say, over what is set already: `key=value`, one a line.
    ///
    /// What a server for tests has other defaults for than Apache's stays as it is unless a line
    /// says otherwise. `dataDir` has the server keep its data there.
    ///
    /// ```
    /// use znode_testing::InstanceSpec;
    ///
    /// let spec = InstanceSpec::new().zoo_cfg("tickTime=50\nenforceQuota=true")?;
    /// let wrong = spec.zoo_cfg("globalOutstandingLimit=none").unwrap_err();
    /// assert_eq!(
    ///     wrong.to_string(),
    ///     "zoo.cfg:1: globalOutstandingLimit=none: must be a whole number from 1 to 2147483647"
    /// );
    /// # Ok::<(), znode_testing::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// A value is wrong, a key is none, or is one that this server does not support: a test that
    /// sets it wants what it says.
    pub fn zoo_cfg(self, lines: &str) -> Result<Self, ConfigError> {
        const NAME: &str = "zoo.cfg";

        let mut said = Said::of(self);
        let notes = said.take(NAME, lines)?;
        if let Some(note) = notes.into_iter().find(|note| !note.contains("Java virtual machine")) {
            return Err(ConfigError(note.trim_end_matches("; ignored").to_owned()));
        }
        let wrong = |why: String| ConfigError(format!("{NAME}: {why}"));
        said.settle_ensemble(&mut Vec::new()).map_err(wrong)?;
        said.into_spec().map_err(wrong)
    }
}

impl Said {
    /// What a specification says, for keys to say something else.
    fn of(spec: InstanceSpec) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            security: Security::of(&spec),
            peers: PeerTlsSaid::default(),
            operators: Operators::default(),
            data_dir: spec.disk.as_ref().map(|disk| disk.data_dir.clone()),
            log_dir: spec.disk.as_ref().map(|disk| disk.log_dir.clone()),
            client_port: spec.plain_address().map(|address| address.port()),
            address: spec.address,
            tick_ms: ms(spec.rules.tick),
            session_min_ms: Some(ms(spec.rules.session_timeout_min)),
            session_max_ms: Some(ms(spec.rules.session_timeout_max)),
            extended_types: spec.rules.extended_types,
            super_digest: spec.rules.super_digest.clone(),
            snapshots_kept: spec.disk.as_ref().and_then(|disk| disk.snapshots_kept).unwrap_or(3),
            disk: spec.disk.clone().unwrap_or_else(|| DiskOptions::new(PathBuf::new())),
            ensemble: Ensemble {
                reconfig_enabled: spec.rules.reconfig_enabled,
                ..spec.ensemble.clone().unwrap_or_default()
            },
            spec,
        }
    }

    /// Takes in the text of a file; returns what is in it and changes nothing.
    ///
    /// # Errors
    /// A value is wrong.
    fn take(&mut self, name: &str, text: &str) -> Result<Vec<String>, ConfigError> {
        self.spec.rules.initial_config = masked(text);
        let mut notes = Vec::new();
        for property in properties::parse(text) {
            let (key, value) = (property.key.trim(), property.value.trim());
            self.note_system_property(key, value);
            let place = format!("{name}:{}: {key}", property.line);
            let wrong = |allowed: String| ConfigError(format!("{place}={value}: {allowed}"));
            match keys::find(key) {
                Some(Key::Used(kind, set)) => {
                    set(self, kind.read(value).map_err(wrong)?);
                }
                Some(Key::WithoutEffect(kind)) => _ = kind.read(value).map_err(wrong)?,
                Some(Key::Unsupported) => {
                    notes.push(format!("{place}: not supported by this server yet; ignored"));
                }
                Some(Key::JavaOnly) => {
                    notes.push(format!("{place}: concerns a Java virtual machine only; ignored"));
                }
                Some(Key::Membership) => {
                    let taken = self.ensemble.config.take(key, value);
                    taken.map_err(|error| wrong(error.to_string()))?;
                }
                Some(Key::Unread(why)) => {
                    notes.push(format!(
                        "{place}: Apache ZooKeeper reads no such key: {why}; ignored"
                    ));
                }
                None => notes.push(format!("{place}: no such key; ignored")),
            }
        }
        Ok(notes)
    }

    /// What Apache's parser does not know becomes a property of the virtual machine.
    fn note_system_property(&mut self, key: &str, value: &str) {
        if known::is_system_property(key) {
            let value = if is_secret(key) { "***" } else { value };
            self.spec.rules.system_properties.push((format!("zookeeper.{key}"), value.to_owned()));
        }
    }

    /// Finds out who of the ensemble this server is, and what follows from that.
    fn settle_ensemble(&mut self, notes: &mut Vec<String>) -> Result<(), String> {
        self.ensemble.read_dynamic()?;
        if let Some(data_dir) = &self.data_dir {
            self.ensemble.my_id = my_id(data_dir)?;
        }
        self.ensemble.check()?;
        let voters = self.ensemble.participants().count();
        if self.ensemble.is_distributed() && voters.is_multiple_of(2) {
            notes.push(format!("server.N: of {voters} servers no more may fail than of one less"));
        }
        // What servers tell each other is bounded, too.
        if self.ensemble.is_distributed() && self.spec.rules.frame_len_max > FORWARDED_LEN_MAX {
            let max = self.spec.rules.frame_len_max;
            return Err(format!(
                "jute.maxbuffer={max}: in an ensemble, must be at most {FORWARDED_LEN_MAX}"
            ));
        }
        let only = self.ensemble.participants().next().filter(|_| voters == 1);
        let me = self.ensemble.me().or(only.map(|(_, member)| member));
        if let Some((host, port)) = me.and_then(|me| me.client.clone()) {
            if self.client_port.is_some_and(|set| set != port) {
                return Err(format!("clientPort: is another one than the {port} of server.N"));
            }
            self.client_port = Some(port);
            self.address = host.parse().unwrap_or(self.address);
        }
        Ok(())
    }

    fn into_spec(self) -> Result<InstanceSpec, String> {
        let is_secure = self.security.secure_port.is_some();
        if self.client_port.is_none() && !is_secure {
            return Err("clientPort: must be set, to a port; 0 is any free one".to_owned());
        }
        let min = self.session_min_ms.unwrap_or(2 * self.tick_ms);
        let max = self.session_max_ms.unwrap_or(20 * self.tick_ms);
        if min > max {
            return Err(format!(
                "minSessionTimeout={min}: must be at most maxSessionTimeout, which is {max}"
            ));
        }
        let ms = Duration::from_millis;
        let mut spec = self
            .spec
            .address(self.address)
            .port(self.client_port.unwrap_or(0))
            .tick(ms(self.tick_ms))
            .session_timeout_limits(ms(min), ms(max))
            .extended_types(self.extended_types);
        if let Some(digest) = self.super_digest {
            spec = spec.super_digest(digest);
        }
        if self.ensemble.read_only_mode {
            // Clients look for a server that can write by this word, so it is always answered.
            spec.words.push_str(",isro");
        }
        let mut disk = self.disk;
        disk.snapshots_kept =
            disk.purge_interval.map(|_| self.snapshots_kept).or(disk.snapshots_kept);
        spec.disk = self.data_dir.map(|data_dir| {
            disk.log_dir = self.log_dir.unwrap_or_else(|| data_dir.clone());
            disk.data_dir = data_dir;
            disk
        });
        spec.rules.reconfig_enabled = self.ensemble.reconfig_enabled;
        spec.ensemble = self.ensemble.is_distributed().then(|| self.ensemble.clone());
        let spec = self.security.apply(spec, self.client_port.is_some())?;
        let spec = self.peers.apply(spec)?;
        self.operators.apply(spec)
    }
}
