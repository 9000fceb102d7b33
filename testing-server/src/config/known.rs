//! Keys that Apache's server knows and ours does not act upon, told apart from mistakes.

use super::keys::Key;

/// How Java, or Apache's way to use it, is to do something that ours does in its own way.
const OF_JAVA: &[&str] = &[
    "bitHashCacheSize",
    "clientTcpKeepAlive",
    "electionPortBindRetry",
    "fips-mode",
    "intBufferStartingSizeBytes",
    "maxGetChildrenResponseCacheSize",
    "maxInProcessingDeadWatchers",
    "maxResponseCacheSize",
    "outstandingHandshake.limit",
    "requireKerberosConfig",
    "security.auth_to_local",
    "serverCnxnFactory",
    "snapshotSizeFactor",
    "tcpKeepAlive",
    "watchManagerName",
];

/// Whole families of such.
const FAMILIES_OF_JAVA: &[&str] = &[
    "commitProcessor.",
    "jmx.",
    "jvm.pause.",
    "kerberos.",
    "messageTracker.",
    "multiAddress.",
    "netty.",
    "nio.",
    "pathStats.",
    "quorum.cnxn.",
    "request_throttler.",
    "watcherClean",
];

/// What Apache's server would do, and ours does not.
const UNSUPPORTED: &[&str] = &[
    "IPAuthenticationProvider.usexforwardedfor",
    "emulate353TTLNodes",
    "enableEagerACLCheck",
    "ensembleAuthName",
    "follower.skipLearnerRequestToNextProcessor",
    "forceSnapshotSync",
    "leaderConnectDelayDuringRetryMs",
    "oraclePath",
    "portUnification",
    "quorumCnxnTimeoutMs",
];

/// Whole families of such.
const UNSUPPORTED_FAMILIES: &[&str] = &[
    "admin.",
    "audit.",
    "client.",
    "connection_throttle_",
    "fastleader.",
    "leader.",
    "learner.",
    "observer.",
    "observerMaster.",
    "quorum.auth.",
    "request_",
    "ssl.",
    "sslQuorum",
];

/// What becomes of such a key.
pub(super) fn find(key: &str) -> Option<Key> {
    let starts = |families: &[&str]| families.iter().any(|family| key.starts_with(family));
    if OF_JAVA.contains(&key) || starts(FAMILIES_OF_JAVA) {
        Some(Key::JavaOnly)
    } else if UNSUPPORTED.contains(&key) || starts(UNSUPPORTED_FAMILIES) {
        Some(Key::Unsupported)
    } else if key == "requireClientAuthScheme" {
        Some(Key::Unread("sessionRequireClientSASLAuth=true refuses clients without SASL"))
    } else if key.starts_with("zookeeper.") {
        Some(Key::Unread("in this file, keys stand without their `zookeeper.`"))
    } else {
        None
    }
}

/// Whether Apache's parser would make a key a property of the virtual machine: the rest it knows.
pub(super) fn is_system_property(key: &str) -> bool {
    const KNOWN: &[&str] = &[
        "dataDir",
        "dataLogDir",
        "clientPort",
        "localSessionsEnabled",
        "localSessionsUpgradingEnabled",
        "clientPortAddress",
        "secureClientPort",
        "secureClientPortAddress",
        "observerMasterPort",
        "clientPortListenBacklog",
        "tickTime",
        "maxClientCnxns",
        "minSessionTimeout",
        "maxSessionTimeout",
        "initLimit",
        "syncLimit",
        "connectToLearnerMasterLimit",
        "electionAlg",
        "quorumListenOnAllIPs",
        "peerType",
        "syncEnabled",
        "dynamicConfigFile",
        "autopurge.snapRetainCount",
        "autopurge.purgeInterval",
        "standaloneEnabled",
        "reconfigEnabled",
        "sslQuorum",
        "portUnification",
        "sslQuorumReloadCertFiles",
        "oraclePath",
    ];
    const FAMILIES: &[&str] =
        &["server.", "group.", "weight.", "quorum.", "metricsProvider.", "multiAddress."];
    !KNOWN.contains(&key) && !FAMILIES.iter().any(|family| key.starts_with(family))
}
