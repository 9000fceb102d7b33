//! `zoo.cfg`: what an administrator tells a server.

mod ensemble;
pub(crate) mod jaas;
mod keys;
mod known;
mod operators;
mod properties;
mod security;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::InstanceSpec;
use crate::io::disk::DiskOptions;
pub use ensemble::Ensemble;
use keys::Key;
use operators::Operators;
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

/// The longest frame that a server of an ensemble can pass on to the others.
const ENSEMBLE_FRAME_LEN_MAX: usize = 2 * 1024 * 1024;

/// Everything that keys can say, before it is made into a specification.
#[derive(Debug, Clone)]
struct Said {
    /// What keys say that need no second look.
    spec: InstanceSpec,
    security: Security,
    operators: Operators,
    data_dir: Option<PathBuf>,
    log_dir: Option<PathBuf>,
    client_port: Option<u16>,
    address: IpAddr,
    tick_ms: u64,
    session_min_ms: Option<u64>,
    session_max_ms: Option<u64>,
    extended_types: bool,
    /// Whether a server that has lost the others may let clients read.
    read_only_mode: bool,
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
            operators: Operators::default(),
            data_dir: None,
            log_dir: None,
            client_port: None,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            tick_ms: 3000,
            session_min_ms: None,
            session_max_ms: None,
            extended_types: false,
            read_only_mode: false,
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
        Self::parse(&name, &text)
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
            operators: Operators::default(),
            data_dir: spec.disk.as_ref().map(|disk| disk.data_dir.clone()),
            log_dir: spec.disk.as_ref().map(|disk| disk.log_dir.clone()),
            client_port: spec.plain_address().map(|address| address.port()),
            address: spec.address,
            tick_ms: ms(spec.tick),
            session_min_ms: Some(ms(spec.session_timeout_min)),
            session_max_ms: Some(ms(spec.session_timeout_max)),
            extended_types: spec.extended_types,
            read_only_mode: false,
            super_digest: spec.super_digest.clone(),
            snapshots_kept: spec.disk.as_ref().and_then(|disk| disk.snapshots_kept).unwrap_or(3),
            disk: spec.disk.clone().unwrap_or_else(|| DiskOptions::new(PathBuf::new())),
            ensemble: spec.ensemble.clone().unwrap_or_default(),
            spec,
        }
    }

    /// Takes in the text of a file; returns what is in it and changes nothing.
    ///
    /// # Errors
    /// A value is wrong.
    fn take(&mut self, name: &str, text: &str) -> Result<Vec<String>, ConfigError> {
        self.spec.initial_config = masked(text);
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
                Some(Key::Membership) => self.ensemble.membership(key, value).map_err(wrong)?,
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
            self.spec.system_properties.push((format!("zookeeper.{key}"), value.to_owned()));
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
        if self.ensemble.is_distributed() && self.read_only_mode {
            notes
                .push("readonlymode.enabled: not supported by this server yet; ignored".to_owned());
        }
        // What servers tell each other is bounded, too.
        if self.ensemble.is_distributed() && self.spec.frame_len_max > ENSEMBLE_FRAME_LEN_MAX {
            let max = self.spec.frame_len_max;
            return Err(format!(
                "jute.maxbuffer={max}: in an ensemble, must be at most {ENSEMBLE_FRAME_LEN_MAX}"
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
        if self.read_only_mode {
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
        spec.ensemble = self.ensemble.is_distributed().then(|| self.ensemble.clone());
        let spec = self.security.apply(spec, self.client_port.is_some())?;
        self.operators.apply(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::Compression;

    const BASE: &str = "dataDir=/d\nclientPort=2181\n";

    fn parse(more: &str) -> Result<Config, ConfigError> {
        Config::parse("z", &format!("{BASE}{more}"))
    }

    fn error(text: &str) -> String {
        Config::parse("z", text).unwrap_err().to_string()
    }

    #[test]
    fn every_key_that_applies_is_applied() {
        let config = parse(
            "tickTime=50\nminSessionTimeout=60\nmaxSessionTimeout=70\nsnapCount=9\nforceSync=no\n\
             dataLogDir=/l\nautopurge.purgeInterval=1\nautopurge.snapRetainCount=5\n\
             preAllocSize=7\nextendedTypesEnabled=true\nclientPortAddress=127.0.0.1\n\
             DigestAuthenticationProvider.superDigest=super:x\nsnapshot.trust.empty=true\n\
             maxClientCnxns=0\nmaxCnxns=8\nglobalOutstandingLimit=9\nlargeRequestThreshold=10\n\
             largeRequestMaxBytes=11\n4lw.commands.whitelist=*\nenforceQuota=true\nskipACL=yes\n\
             znode.container.checkIntervalMs=12\nznode.container.maxPerMinute=13\n\
             znode.container.maxNeverUsedIntervalMs=14\ndigest.enabled=false\n\
             snapSizeLimitInKb=15\ntxnLogSizeLimitInKb=16\nfsync.warningthresholdms=17\n\
             snapshot.compression.method=gz\n",
        )
        .unwrap();
        assert!(config.notes().is_empty(), "{:?}", config.notes());
        let mut spec = config.into_spec();
        assert_eq!((spec.port, spec.tick), (2181, Duration::from_millis(50)));
        assert_eq!(spec.session_timeout_min, Duration::from_millis(60));
        assert_eq!(spec.session_timeout_max, Duration::from_millis(70));
        assert_eq!((spec.connections_per_address_max, spec.connections_max), (None, 8));
        assert_eq!((spec.outstanding_max, spec.large_request_bytes_max), (9, 11));
        assert_eq!((spec.large_request_threshold, &*spec.words), (Some(10), "*"));
        assert!(spec.enforce_quota && spec.skip_acl && !spec.digest);
        assert_eq!(spec.container_check_interval, Duration::from_millis(12));
        assert_eq!(spec.containers_per_minute_max, 13);
        assert_eq!(spec.container_never_used_max, Some(Duration::from_millis(14)));
        assert!(spec.extended_types);
        assert_eq!(spec.address, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(spec.super_digest.as_deref(), Some("super:x"));
        let disk = spec.disk_options();
        assert_eq!((disk.snap_count, disk.force_sync, disk.trust_empty), (9, false, true));
        assert_eq!((disk.preallocate, disk.snapshots_kept), (7 * 1024, Some(5)));
        assert_eq!((disk.snap_size, disk.log_size_max), (Some(15 * 1024), Some(16 * 1024)));
        assert_eq!(disk.sync_warning, Duration::from_millis(17));
        assert_eq!(disk.purge_interval, Some(Duration::from_secs(3600)));
        assert_eq!(disk.compression, Compression::Gzip);
        assert_eq!((&*disk.data_dir, &*disk.log_dir), (Path::new("/d"), Path::new("/l")));
    }

    #[test]
    fn defaults_are_apaches() {
        let mut spec = parse("").unwrap().into_spec();
        assert_eq!(spec.tick, Duration::from_secs(3));
        assert_eq!(spec.session_timeout_min, Duration::from_secs(6));
        assert_eq!(spec.session_timeout_max, Duration::from_secs(60));
        assert!(!spec.extended_types && spec.digest);
        assert_eq!((spec.connections_per_address_max, &*spec.words), (Some(60), "srvr"));
        let disk = spec.disk_options();
        assert_eq!((disk.snapshots_kept, disk.purge_interval), (None, None));
        assert_eq!((disk.snap_count, disk.preallocate, disk.force_sync), (100_000, 64 << 20, true));
        assert_eq!((disk.snap_size, disk.log_size_max), (Some(4 << 30), None));
        assert_eq!(
            (disk.sync_warning, disk.compression),
            (Duration::from_secs(1), Compression::None)
        );
        assert_eq!(disk.log_dir, disk.data_dir);
    }

    #[test]
    fn a_wrong_value_is_an_error_that_says_what_is_allowed() {
        assert_eq!(
            parse("\nforceSync=maybe").unwrap_err().to_string(),
            "z:4: forceSync=maybe: must be yes or no"
        );
        let snappy = parse("snapshot.compression.method=snappy").unwrap_err().to_string();
        assert!(snappy.ends_with("must be gz, or empty for none; this server knows no other"));
        let wrong = [
            "initLimit=x",
            "snapCount=1",
            "snapSizeLimitInKb=much",
            "clientPort=70000",
            "standaloneEnabled=si",
        ];
        for line in wrong {
            assert!(parse(line).unwrap_err().to_string().contains(": must be "), "{line}");
        }
        assert!(error("clientPort=1").contains("dataDir: must be set"));
        assert!(error("dataDir=/d").contains("clientPort: must be set"));
        assert!(parse("minSessionTimeout=99999").unwrap_err().to_string().contains("at most"));
    }

    #[test]
    fn a_single_server_of_an_ensemble_is_one_by_itself() {
        let config = Config::parse("z", "dataDir=/d\nserver.1=h:1:2;127.0.0.1:77\ninitLimit=5");
        let spec = config.unwrap().into_spec();
        assert_eq!(spec.listen_address().to_string(), "127.0.0.1:77");
        let other = parse("server.1=h:1:2;77").unwrap_err().to_string();
        assert!(other.contains("clientPort: is another one than the 77"), "{other}");
    }

    #[test]
    fn a_server_of_an_ensemble_knows_which_it_is() {
        let dir = std::env::temp_dir().join(format!("znode-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let base = format!("dataDir={}\ninitLimit=5\nsyncLimit=2\n", dir.display());
        let read = |more: &str| Config::parse("z", &format!("{base}{more}"));
        let lines = "server.1=h:1:2;8\nserver.2=h:3:4:participant;9\n";
        let missing = read(lines).unwrap_err().to_string();
        assert!(missing.contains("myid: this file must be in dataDir"), "{missing}");
        std::fs::write(dir.join("myid"), "2\n").unwrap();
        let two = read(lines).unwrap();
        assert!(two.notes()[0].contains("of 2 servers no more may fail"), "{:?}", two.notes());
        assert_eq!(two.into_spec().ensemble.unwrap().members.len(), 2);

        let dynamic = dir.join("zoo.cfg.dynamic.a");
        std::fs::write(&dynamic, "server.2=h:1:2;127.0.0.1:8\nversion=a\n").unwrap();
        let file = format!("dynamicConfigFile={}\n", dynamic.display());
        let config = read(&file).unwrap();
        assert_eq!(config.ensemble().version, 10);
        assert_eq!(config.ensemble().me().unwrap().client, Some(("127.0.0.1".to_owned(), 8)));
        let both = read(&format!("{file}server.1=h:1:2")).unwrap_err().to_string();
        assert!(both.contains("servers must be named there alone"), "{both}");
        std::fs::write(&dynamic, "tickTime=3\n").unwrap();
        let alien = read(&file).unwrap_err().to_string();
        assert!(alien.contains("a:1: tickTime=3: does not belong into this file"), "{alien}");
        std::fs::write(dir.join("myid"), "two").unwrap();
        assert!(read(lines).unwrap_err().to_string().contains("must hold a number"));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn edge_35_jute_maxbuffer_stands_in_the_file_and_has_an_effect_here() {
        let spec = |line| parse(line).unwrap().into_spec();
        assert_eq!(spec("").frame_len_max, 0xf_ffff);
        assert_eq!(spec("jute.maxbuffer=0x2000").frame_len_max, 0x2000);
        assert_eq!(spec("jute.maxbuffer=4000000").frame_len_max, 4_000_000);
        let wrong = parse("jute.maxbuffer=1M").unwrap_err().to_string();
        assert!(wrong.ends_with("must be a whole number from 1024 to 2147483647"), "{wrong}");
        let mut said = Said::default();
        let lines = "server.1=h:1:2\nserver.2=h:3:4\nserver.3=h:5:6\ninitLimit=5\nsyncLimit=2\n\
                     jute.maxbuffer=9999999";
        said.take("z", lines).unwrap();
        said.ensemble.my_id = Some(1);
        let wrong = said.settle_ensemble(&mut Vec::new()).unwrap_err();
        assert_eq!(wrong, "jute.maxbuffer=9999999: in an ensemble, must be at most 2097152");
    }

    #[test]
    fn what_holds_requests_back_is_read() {
        let lines = "request_throttle_max_requests=7\nthrottled_op_wait_time=8\n\
                     request_stale_latency_check=true\nrequest_throttle_stall_time=9\n\
                     request_throttle_drop_stale=true\n";
        let config = parse(lines).unwrap();
        assert!(config.notes().is_empty(), "{:?}", config.notes());
        let throttle = config.into_spec().throttle;
        assert_eq!((throttle.requests_max, throttle.drop_late), (Some(7), true));
        assert_eq!(throttle.wait_max, Some(Duration::from_millis(8)));
        let off = parse("request_throttle_max_requests=0\nthrottled_op_wait_time=0").unwrap();
        let off = off.into_spec().throttle;
        assert_eq!((off.requests_max, off.wait_max), (None, None));
        let wrong = parse("request_throttle_drop_stale=false").unwrap_err().to_string();
        assert!(wrong.contains("must be true"), "{wrong}");
    }

    #[test]
    fn of_a_server_that_stands_alone_local_sessions_and_reading_alone_change_nothing() {
        let lines = "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n\
                     readonlymode.enabled=true\n";
        let config = parse(lines).unwrap();
        assert!(config.notes().is_empty(), "{:?}", config.notes());
        // But for the word by which clients look for a server that can write.
        assert_eq!(config.into_spec().words, "srvr,isro");
        assert!(parse("readonlymode.enabled=si").is_err());
    }

    #[test]
    fn lines_go_over_what_a_specification_says_and_nothing_else() {
        let spec = InstanceSpec::new()
            .sasl_user("bob", "x")
            .require_sasl()
            .connections_per_address(7)
            .tick(Duration::from_millis(20));
        let same = spec.clone().zoo_cfg("# nothing\n").unwrap();
        let (before, after) = (format!("{spec:?}"), format!("{same:?}"));
        assert_eq!(
            before,
            after.replace("initial_config: \"# nothing\\n\"", "initial_config: \"\"")
        );
        let changed = spec.zoo_cfg("maxClientCnxns=0\nskipACL=yes\nmaxSessionTimeout=900").unwrap();
        assert_eq!((changed.connections_per_address_max, changed.skip_acl), (None, true));
        assert_eq!(changed.session_timeout_max, Duration::from_millis(900));
        assert_eq!((changed.tick, changed.disk.is_none()), (Duration::from_millis(20), true));
        let kept = changed.zoo_cfg("dataDir=/d\nsnapCount=9").unwrap().zoo_cfg("forceSync=no");
        let disk = kept.unwrap().disk.unwrap();
        assert_eq!((disk.snap_count, disk.force_sync, &*disk.log_dir), (9, false, Path::new("/d")));
    }

    #[test]
    fn a_key_that_would_do_nothing_is_an_error_where_a_test_sets_it() {
        let error = |lines| InstanceSpec::new().zoo_cfg(lines).unwrap_err().to_string();
        assert_eq!(error("\ncolour=red"), "zoo.cfg:2: colour: no such key");
        assert!(error("audit.enable=true").contains("not supported by this server yet"));
        assert!(error("maxSessionTimeout=1").contains("must be at most"));
        assert!(error("server.1=h:1:2;7\nclientPort=8").contains("another one than the 7"));
        assert!(InstanceSpec::new().zoo_cfg("serverCnxnFactory=x.Y").is_ok());
    }

    #[test]
    fn what_changes_nothing_is_noted() {
        let lines = "serverCnxnFactory=x.Y\nssl.quorum.crl=true\nwhatever=1\n\
                     zookeeper.skipACL=yes\nrequireClientAuthScheme=sasl\n";
        let config = parse(lines).unwrap();
        assert_eq!(config.notes().len(), 5);
        assert!(config.notes()[3].contains("without their `zookeeper.`"));
        assert!(config.notes()[0].contains("Java virtual machine"));
    }
}
