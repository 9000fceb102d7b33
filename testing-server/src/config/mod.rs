//! `zoo.cfg`: what an administrator tells a server.

mod keys;
mod properties;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::InstanceSpec;
use crate::io::disk::DiskOptions;
use keys::{Key, Value};

/// What a `zoo.cfg` says, checked.
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
    /// Servers of an ensemble that may vote.
    participants: usize,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            // Apache's defaults, where they differ from those of a server for tests.
            spec: InstanceSpec::new().four_letter_words("srvr").connections_per_address(60),
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
            participants: 0,
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
        let mut notes = Vec::new();
        for property in properties::parse(text) {
            let (key, value) = (property.key.trim(), property.value.trim());
            let place = format!("{name}:{}: {key}", property.line);
            let wrong = |allowed: String| ConfigError(format!("{place}={value}: {allowed}"));
            match keys::find(key) {
                Some(Key::Used(kind, set)) => {
                    set(&mut said, kind.read(value).map_err(wrong)?);
                }
                Some(Key::WithoutEffect(kind)) => _ = kind.read(value).map_err(wrong)?,
                Some(Key::Unsupported) => {
                    notes.push(format!("{place}: not supported by this server yet; ignored"));
                }
                Some(Key::JavaOnly) => {
                    notes.push(format!("{place}: concerns a Java virtual machine only; ignored"));
                }
                Some(Key::Server) => said.server(value).map_err(wrong)?,
                None => notes.push(format!("{place}: no such key; ignored")),
            }
        }
        let spec = said.into_spec().map_err(|why| ConfigError(format!("{name}: {why}")))?;
        Ok(Self { notes, spec })
    }

    /// What is in the file and changes nothing, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A server as the file describes it.
    pub fn into_spec(self) -> InstanceSpec {
        self.spec
    }
}

impl Said {
    /// `host:port:port[:role][;[host:]port]`: of a single server, the client part counts.
    fn server(&mut self, value: &str) -> Result<(), String> {
        let allowed = "must be host:port:port[:participant|:observer][;[host:]port]";
        let (ensemble, client) = match value.split_once(';') {
            Some((ensemble, client)) => (ensemble, Some(client)),
            None => (value, None),
        };
        if !ensemble.contains(':') {
            return Err(allowed.to_owned());
        }
        if !ensemble.ends_with(":observer") {
            self.participants += 1;
        }
        if let Some(client) = client {
            let (host, port) = client.rsplit_once(':').unwrap_or(("", client));
            let port = Value::port().read(port).map_err(|_| allowed.to_owned())?;
            self.client_port.get_or_insert(u16::try_from(port.number()).unwrap_or(0));
            if let Ok(address) = host.trim_matches(['[', ']']).parse() {
                self.address = address;
            }
        }
        Ok(())
    }

    fn into_spec(self) -> Result<InstanceSpec, String> {
        let data_dir = self.data_dir.ok_or("dataDir: must be set, to a directory")?;
        let port =
            self.client_port.ok_or("clientPort: must be set, to a port; 0 is any free one")?;
        if self.participants > 1 {
            return Err(format!(
                "server.N: {} servers are listed, and ensembles are not supported yet; at most one \
                 may be",
                self.participants
            ));
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
            .port(port)
            .tick(ms(self.tick_ms))
            .session_timeout_limits(ms(min), ms(max))
            .extended_types(self.extended_types);
        if let Some(digest) = self.super_digest {
            spec = spec.super_digest(digest);
        }
        let mut disk = self.disk;
        disk.log_dir = self.log_dir.unwrap_or_else(|| data_dir.clone());
        disk.data_dir = data_dir;
        disk.snapshots_kept = disk.purge_interval.map(|_| self.snapshots_kept);
        spec.disk = Some(disk);
        Ok(spec)
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
        assert_eq!(config.unwrap().into_spec().port, 77);
        let two = parse("server.1=h:1:2\nserver.2=h:3:4:participant;8").unwrap_err().to_string();
        assert!(two.contains("2 servers"), "{two}");
    }

    #[test]
    fn what_changes_nothing_is_noted() {
        let config = parse("serverCnxnFactory=x.Y\nssl.ciphersuites=a\nwhatever=1").unwrap();
        assert_eq!(config.notes().len(), 3);
        assert!(config.notes()[0].contains("Java virtual machine"));
    }
}
