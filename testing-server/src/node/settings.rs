//! What a server is told before it starts, and the limits that it sets itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rules::Rules;
use crate::admin::Whitelist;

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
    /// What it is asked to be like.
    pub(crate) rules: Rules,
    /// Which server of an ensemble this is; at most 254, since 255 marks a time to live.
    pub(crate) server_id: u8,
    /// Whether transactions are to be written to a disk that keeps them.
    pub(crate) durable: bool,
    /// Milliseconds between 1970 and the moment zero.
    pub(crate) origin_ms: u64,
    /// Whether certificates of clients make identities, which access control lists may name.
    pub(crate) x509: bool,
    /// Goes into what SASL needs to be unforeseeable.
    pub(crate) nonce_seed: [u64; 2],
    /// The four-letter words that are answered: `4lw.commands.whitelist`.
    pub(crate) words: Whitelist,
    /// The port that clients come to, as far as it is known.
    pub(crate) client_port: u16,
    /// The port on which TLS is spoken, if there is one.
    pub(crate) secure_client_port: Option<u16>,
    /// Where snapshots and logs are; nothing if there are none.
    pub(crate) dirs: Option<(PathBuf, PathBuf)>,
    /// Goes into the hashes of paths.
    pub(crate) hash_seed: u64,
    /// Whether a member that is alone is a server by itself: `standaloneEnabled`. If so, a
    /// reconfiguration must leave two that vote.
    pub(crate) standalone_enabled: bool,
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

#[cfg(any(test, feature = "counting", feature = "fuzzing"))]
impl Settings {
    /// The same with other rules.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn ruled(change: impl FnOnce(&mut Rules)) -> Self {
        let mut settings = Self::fixed();
        change(&mut settings.rules);
        settings
    }

    /// Settings that make every run the same.
    pub(crate) fn fixed() -> Self {
        let super_digest = Some(crate::auth::digest::digest("super:secret"));
        Self {
            rules: Rules { super_digest, reconfig_enabled: false, ..Rules::new() },
            server_id: 1,
            durable: true,
            origin_ms: 1_700_000_000_000,
            x509: false,
            nonce_seed: [12, 13],
            words: Whitelist::parse("*"),
            client_port: 2181,
            secure_client_port: None,
            dirs: None,
            hash_seed: 11,
            standalone_enabled: true,
        }
    }
}
