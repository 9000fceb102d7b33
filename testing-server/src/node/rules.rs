//! What a server is asked to be like, by a test or by its `zoo.cfg`: what a specification and the
//! server itself have in common.

use std::sync::Arc;
use std::time::Duration;

use znode::proto::FRAME_LEN_MAX;

use super::faults::Release;
use super::settings::{CONNECTIONS_MAX, LARGE_REQUEST_BYTES_MAX, OUTSTANDING_MAX};
use crate::auth::Scheme;
use crate::auth::sasl::Logins;
use crate::pipeline::throttle::ThrottleSettings;

/// What a server is asked to be like.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Sessions expire at multiples of this.
    pub(crate) tick: Duration,
    /// The shortest session timeout that is granted.
    pub(crate) session_timeout_min: Duration,
    /// The longest session timeout that is granted.
    pub(crate) session_timeout_max: Duration,
    /// Whether nodes may have a time to live: `extendedTypesEnabled`.
    pub(crate) extended_types: bool,
    /// The identity of the superuser, as `user:hash`.
    pub(crate) super_digest: Option<String>,
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
    /// The superuser by certificate: `X509AuthenticationProvider.superUser`.
    pub(crate) x509_super_user: Option<String>,
    /// Who may come by SASL.
    pub(crate) logins: Logins,
    /// How many connections there may be: `maxCnxns`.
    pub(crate) connections_max: usize,
    /// How many requests may wait for the disk: `globalOutstandingLimit`.
    pub(crate) outstanding_max: usize,
    /// From how many bytes on a request is large, if any is: `largeRequestThreshold`.
    pub(crate) large_request_threshold: Option<usize>,
    /// How many bytes of large requests may wait: `largeRequestMaxBytes`.
    pub(crate) large_request_bytes_max: usize,
    /// How many connections may come from one address: `maxClientCnxns`.
    pub(crate) connections_per_address_max: Option<usize>,
    /// The text of the `zoo.cfg` that the server was made from.
    pub(crate) initial_config: String,
    /// What that sets which Apache's server would make a system property.
    pub(crate) system_properties: Vec<(String, String)>,
    /// Whether the members of the ensemble may be changed: `reconfigEnabled`.
    pub(crate) reconfig_enabled: bool,
    /// Whether a digest of the tree is kept: `zookeeper.digest.enabled`.
    pub(crate) digest: bool,
    /// How requests are held back.
    pub(crate) throttle: ThrottleSettings,
    /// The longest frame that a client may send: `jute.maxbuffer`.
    pub(crate) frame_len_max: usize,
    /// Which release it answers like.
    pub(crate) release: Release,
}

impl Rules {
    /// What [`InstanceSpec::new`](crate::InstanceSpec::new) promises.
    pub(crate) fn new() -> Self {
        Self {
            tick: Duration::from_millis(100),
            session_timeout_min: Duration::from_millis(200),
            session_timeout_max: Duration::from_secs(60),
            extended_types: true,
            super_digest: None,
            container_check_interval: Duration::from_secs(60),
            containers_per_minute_max: 10_000,
            container_never_used_max: None,
            enforce_quota: false,
            skip_acl: false,
            schemes: Vec::new(),
            logins: Logins::default(),
            x509_super_user: None,
            initial_config: String::new(),
            system_properties: Vec::new(),
            connections_max: CONNECTIONS_MAX,
            outstanding_max: OUTSTANDING_MAX,
            large_request_threshold: None,
            large_request_bytes_max: LARGE_REQUEST_BYTES_MAX,
            connections_per_address_max: None,
            reconfig_enabled: false,
            digest: true,
            throttle: ThrottleSettings::default(),
            frame_len_max: FRAME_LEN_MAX,
            release: Release::default(),
        }
    }
}
