//! What a server is told before it starts, and the limits that it sets itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::admin::Whitelist;
use crate::auth::Scheme;
use crate::auth::sasl::Logins;
use crate::node::faults::Release;
use crate::pipeline::throttle::ThrottleSettings;

/// How many requests may wait for the disk before connections that have one waiting are no longer
/// read: `globalOutstandingLimit`. Beyond it memory would grow with the clients' patience.
pub(crate) const OUTSTANDING_MAX: usize = 1000;

/// How many bytes of large requests may wait, where there are such.
pub(crate) const LARGE_REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// How many connections there may be. Each costs memory before it has proved anything; this many
/// idle ones take less than 64 MiB.
pub(crate) const CONNECTIONS_MAX: usize = 32_768;

/// How long a connection may stay without a session: `sessionlessCnxnTimeout`. A stranger who says
/// nothing must not keep a place.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server is told before it starts.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Which server of an ensemble this is; at most 254, since 255 marks a time to live.
    pub(crate) server_id: u8,
    /// Sessions expire at multiples of this.
    pub(crate) tick: Duration,
    /// The shortest session timeout that is granted.
    pub(crate) session_timeout_min: Duration,
    /// The longest session timeout that is granted.
    pub(crate) session_timeout_max: Duration,
    /// Whether nodes may have a time to live: `extendedTypesEnabled`.
    pub(crate) extended_types: bool,
    /// The identity of the superuser, as `user:hash`.
    pub(crate) super_digest: Option<Box<str>>,
    /// Whether transactions are to be written to a disk that keeps them.
    pub(crate) durable: bool,
    /// Milliseconds between 1970 and the moment zero.
    pub(crate) origin_ms: u64,
    /// How often the reaper looks for containers: `znode.container.checkIntervalMs`.
    pub(crate) container_check_interval: Duration,
    /// How many nodes the reaper deletes in a minute: `znode.container.maxPerMinute`.
    pub(crate) containers_per_minute_max: u32,
    /// How long a container lives that never had a child, if not for ever:
    /// `znode.container.maxNeverUsedIntervalMs`.
    pub(crate) container_never_used_max: Option<Duration>,
    /// Whether hard limits of quotas hold: `enforceQuota`.
    pub(crate) enforce_quota: bool,
    /// Whether nobody is asked for a permission: `skipACL`.
    pub(crate) skip_acl: bool,
    /// Schemes beside `digest` and `ip`.
    pub(crate) schemes: Vec<Arc<dyn Scheme>>,
    /// Whether certificates of clients make identities, which access control lists may name.
    pub(crate) x509: bool,
    /// The superuser by certificate: `X509AuthenticationProvider.superUser`.
    pub(crate) x509_super_user: Option<Box<str>>,
    /// Who may come by SASL.
    pub(crate) logins: Logins,
    /// Goes into what SASL needs to be unforeseeable.
    pub(crate) nonce_seed: [u64; 2],
    /// How many connections there may be: `maxCnxns`.
    pub(crate) connections_max: usize,
    /// How many requests may wait for the disk: `globalOutstandingLimit`.
    pub(crate) outstanding_max: usize,
    /// From how many bytes on a request is large, if any is: `largeRequestThreshold`.
    pub(crate) large_request_threshold: Option<usize>,
    /// How many bytes of large requests may wait: `largeRequestMaxBytes`.
    pub(crate) large_request_bytes_max: usize,
    /// The four-letter words that are answered: `4lw.commands.whitelist`.
    pub(crate) words: Whitelist,
    /// The port that clients come to, as far as it is known.
    pub(crate) client_port: u16,
    /// The port on which TLS is spoken, if there is one.
    pub(crate) secure_client_port: Option<u16>,
    /// How many connections may come from one address: `maxClientCnxns`.
    pub(crate) connections_per_address_max: Option<usize>,
    /// Where snapshots and logs are; nothing if there are none.
    pub(crate) dirs: Option<(PathBuf, PathBuf)>,
    /// The text of the `zoo.cfg` that the server was made from.
    #[cfg_attr(not(feature = "admin"), expect(dead_code, reason = "told at the desk"))]
    pub(crate) initial_config: Box<str>,
    /// What that sets which Apache's server would make a system property.
    #[cfg_attr(not(feature = "admin"), expect(dead_code, reason = "told at the desk"))]
    pub(crate) system_properties: Vec<(String, String)>,
    /// Goes into the hashes of paths.
    pub(crate) hash_seed: u64,
    /// Whether the members of the ensemble may be changed: `reconfigEnabled`.
    pub(crate) reconfig_enabled: bool,
    /// Whether a member that is alone is a server by itself: `standaloneEnabled`. If so, a
    /// reconfiguration must leave two that vote.
    pub(crate) standalone_enabled: bool,
    /// Whether a digest of the tree is kept: `zookeeper.digest.enabled`.
    pub(crate) digest: bool,
    /// How requests are held back.
    pub(crate) throttle: ThrottleSettings,
    /// The longest frame that a client may send: `jute.maxbuffer`.
    pub(crate) frame_len_max: usize,
    /// Which release it answers like.
    pub(crate) release: Release,
}

impl Settings {
    /// Where snapshots and logs are, as operators are told; nowhere, if there are none.
    pub(crate) fn version_dirs(&self) -> (String, String) {
        let version = |dir: &Path| dir.join("version-2").display().to_string();
        let dirs = self.dirs.as_ref().map(|(data, log)| (version(data), version(log)));
        dirs.unwrap_or_default()
    }

    /// Notes on which ports clients are listened to.
    pub(crate) fn told_ports(&mut self, plain: Option<SocketAddr>, secure: Option<SocketAddr>) {
        self.client_port = plain.map_or(0, |address| address.port());
        self.secure_client_port = secure.map(|address| address.port());
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Settings {
    /// Settings that make every run the same.
    pub(crate) fn fixed() -> Self {
        Self {
            server_id: 1,
            tick: Duration::from_millis(100),
            session_timeout_min: Duration::from_millis(200),
            session_timeout_max: Duration::from_secs(60),
            extended_types: true,
            super_digest: Some(crate::auth::digest::digest("super:secret").into()),
            durable: true,
            origin_ms: 1_700_000_000_000,
            container_check_interval: Duration::from_secs(60),
            containers_per_minute_max: 10_000,
            container_never_used_max: None,
            enforce_quota: false,
            skip_acl: false,
            schemes: Vec::new(),
            x509: false,
            x509_super_user: None,
            logins: Logins::default(),
            nonce_seed: [12, 13],
            connections_max: CONNECTIONS_MAX,
            outstanding_max: OUTSTANDING_MAX,
            large_request_threshold: None,
            large_request_bytes_max: LARGE_REQUEST_BYTES_MAX,
            words: Whitelist::parse("*"),
            client_port: 2181,
            secure_client_port: None,
            connections_per_address_max: None,
            dirs: None,
            initial_config: "".into(),
            system_properties: Vec::new(),
            hash_seed: 11,
            reconfig_enabled: false,
            standalone_enabled: true,
            digest: true,
            throttle: ThrottleSettings::default(),
            frame_len_max: znode::proto::FRAME_LEN_MAX,
            release: Release::V3_9,
        }
    }
}
