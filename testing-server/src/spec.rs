//! What a testing server is told before it starts.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::auth::Scheme;
use crate::node::settings::CONNECTIONS_MAX;

/// The specification of one server.
///
/// ```
/// use std::time::Duration;
/// use znode_testing::InstanceSpec;
///
/// let spec = InstanceSpec::new()
///     .tick(Duration::from_millis(50))
///     .session_timeout_limits(Duration::from_millis(100), Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a specification does nothing until a server is started with it"]
pub struct InstanceSpec {
    pub(crate) port: u16,
    pub(crate) tick: Duration,
    pub(crate) session_timeout_min: Duration,
    pub(crate) session_timeout_max: Duration,
    pub(crate) own_thread: bool,
    pub(crate) extended_types: bool,
    pub(crate) super_digest: Option<String>,
    pub(crate) started_at: Option<SystemTime>,
    pub(crate) container_check_interval: Duration,
    pub(crate) containers_per_minute_max: u32,
    pub(crate) container_never_used_max: Option<Duration>,
    pub(crate) enforce_quota: bool,
    pub(crate) skip_acl: bool,
    pub(crate) schemes: Vec<Arc<dyn Scheme>>,
    pub(crate) connections_max: usize,
    pub(crate) words: String,
    pub(crate) connections_per_address_max: Option<usize>,
}

impl InstanceSpec {
    /// A server on a free port of 127.0.0.1, with a tick of 100 ms, session timeouts between 200 ms
    /// and 60 s, and nodes that may have a time to live.
    ///
    /// Apache's limits are two and twenty ticks. The lower one is kept, since it says what the
    /// tick can measure; the upper one would cut the usual ten seconds down to two.
    pub fn new() -> Self {
        Self {
            port: 0,
            tick: Duration::from_millis(100),
            session_timeout_min: Duration::from_millis(200),
            session_timeout_max: Duration::from_secs(60),
            own_thread: false,
            extended_types: true,
            super_digest: None,
            started_at: None,
            container_check_interval: Duration::from_secs(60),
            containers_per_minute_max: 10_000,
            container_never_used_max: None,
            enforce_quota: false,
            skip_acl: false,
            schemes: Vec::new(),
            connections_max: CONNECTIONS_MAX,
            words: "*".to_owned(),
            connections_per_address_max: None,
        }
    }

    /// Listens on this port of 127.0.0.1; 0 is any that is free.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets how exactly sessions expire: between their timeout and one tick later. The limits of
    /// session timeouts stay as they are.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Sets the shortest and the longest session timeout that is granted, whatever clients ask for.
    pub fn session_timeout_limits(mut self, min: Duration, max: Duration) -> Self {
        self.session_timeout_min = min;
        self.session_timeout_max = max.max(min);
        self
    }

    /// Runs the server on a thread of its own, with a clock of its own that no test can pause,
    /// instead of on the caller's runtime.
    pub fn own_thread(mut self) -> Self {
        self.own_thread = true;
        self
    }

    /// Sets whether nodes may have a time to live: `extendedTypesEnabled`, which Apache leaves off.
    pub fn extended_types(mut self, enabled: bool) -> Self {
        self.extended_types = enabled;
        self
    }

    /// Lets whoever computes to this digest do everything (`superDigest`): `user:hash`, where the
    /// hash is the base64 of the SHA-1 of `user:password`.
    pub fn super_digest(mut self, digest: impl Into<String>) -> Self {
        self.super_digest = Some(digest.into());
        self
    }

    /// Sets how often the server looks for containers that have lost their last child and for nodes
    /// whose time to live is over, to delete them (`znode.container.checkIntervalMs`): every minute
    /// to start with, as Apache does.
    pub fn container_checks(mut self, interval: Duration) -> Self {
        self.container_check_interval = interval;
        self
    }

    /// Sets how many of them the server deletes in a minute (`znode.container.maxPerMinute`):
    /// 10000 to start with, evenly spread.
    pub fn containers_per_minute(mut self, max: u32) -> Self {
        self.containers_per_minute_max = max;
        self
    }

    /// Sets how long a container lives that never had a child
    /// (`znode.container.maxNeverUsedIntervalMs`): for ever to start with.
    pub fn unused_containers(mut self, max: Duration) -> Self {
        self.container_never_used_max = Some(max);
        self
    }

    /// Sets whether the hard limits of quotas hold (`enforceQuota`), which Apache leaves off.
    pub fn enforce_quota(mut self, enforce: bool) -> Self {
        self.enforce_quota = enforce;
        self
    }

    /// Sets whether nobody is asked for a permission (`skipACL`).
    pub fn skip_acl(mut self, skip: bool) -> Self {
        self.skip_acl = skip;
        self
    }

    /// Registers an authentication scheme beside `digest` and `ip`; one of the same name takes the
    /// place of those.
    pub fn scheme(mut self, scheme: impl Scheme + 'static) -> Self {
        self.schemes.push(Arc::new(scheme));
        self
    }

    /// Sets how many connections there may be (`maxCnxns`); more are closed without a word.
    pub fn connections(mut self, max: usize) -> Self {
        self.connections_max = max;
        self
    }

    /// Sets which four-letter words are answered (`4lw.commands.whitelist`): names with commas
    /// between them, or `*`, which is what a testing server starts with. `srvr` always is.
    pub fn four_letter_words(mut self, list: impl Into<String>) -> Self {
        self.words = list.into();
        self
    }

    /// Sets how many connections may come from one address (`maxClientCnxns`); more are closed
    /// without a word. There is no limit to start with.
    pub fn connections_per_address(mut self, max: usize) -> Self {
        self.connections_per_address_max = Some(max);
        self
    }

    /// Sets what the server takes for the wall clock's time at its start. Times and session ids
    /// follow from it, so two runs can be made the same.
    pub fn started_at(mut self, time: SystemTime) -> Self {
        self.started_at = Some(time);
        self
    }
}

impl Default for InstanceSpec {
    fn default() -> Self {
        Self::new()
    }
}
