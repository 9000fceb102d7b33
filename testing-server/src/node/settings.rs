//! What a server is told before it starts, and the limits that it sets itself.

use std::time::Duration;

/// How many requests may wait for the disk before connections that have one waiting are no longer
/// read: `globalOutstandingLimit`. Beyond it memory would grow with the clients' patience.
pub(crate) const OUTSTANDING_MAX: usize = 1000;

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
    /// Goes into the hashes of paths.
    pub(crate) hash_seed: u64,
}

#[cfg(test)]
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
            hash_seed: 11,
        }
    }
}
