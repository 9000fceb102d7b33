//! The keys of `zoo.cfg`, and what each of them may be set to.

use std::net::IpAddr;
use std::time::Duration;

use super::{Said, ensemble, known, operators, peer_tls, security};
use crate::io::disk::Compression;

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(super) enum Key {
    /// It is checked and used.
    Used(Kind, fn(&mut Said, Value)),
    /// It is checked, and says nothing to a server that stands alone, or nothing that can be seen.
    WithoutEffect(Kind),
    /// Apache's server would do something else than ours does.
    Unsupported,
    /// It says how Java is to do something.
    JavaOnly,
    /// `server.N`, `group.N`, `weight.N`.
    Membership,
    /// It has no effect on Apache's server either, for the reason that is said.
    Unread(&'static str),
}

/// What a key may be set to.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Text that may be empty.
    AnyText,
    Address,
    /// A whole number, within limits.
    Number(u64, u64),
    /// A whole number; zero and less are no limit.
    Limit,
    /// A whole number from 1 on, or -1 for what the system takes.
    NumberOrNone(u64),
    TrueOrFalse,
    YesOrNo,
    /// This alone: anything else asks for what this server does not do, and must not be overheard.
    Only(&'static str),
    /// A whole number, within limits, as Java reads it from a property: also with `0x` before it.
    JavaNumber(u64, u64),
    /// The beginning of a path in a URL.
    UrlPath,
    /// One of these, in whatever case.
    OneOf(&'static [&'static str]),
    /// How snapshots are compressed.
    Compression,
}

/// A value that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Address(IpAddr),
    Number(u64),
    Flag(bool),
    Compression(Compression),
}

/// Java's largest int.
pub(super) const INT_MAX: u64 = 2_147_483_647;

impl Value {
    /// What a port may be.
    pub(super) fn port() -> Kind {
        Kind::Number(0, 65_535)
    }

    pub(super) fn number(&self) -> u64 {
        if let Self::Number(number) = self { *number } else { 0 }
    }

    /// The same as a number of ticks.
    pub(super) fn int(&self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    /// The same as a count of things in memory.
    fn count(&self) -> usize {
        usize::try_from(self.number()).unwrap_or(usize::MAX)
    }

    /// The address, or `other` if it is none.
    pub(super) fn address(&self, other: IpAddr) -> IpAddr {
        if let Self::Address(address) = self { *address } else { other }
    }

    pub(super) fn flag(&self) -> bool {
        *self == Self::Flag(true)
    }

    pub(super) fn text(self) -> String {
        if let Self::Text(text) = self { text } else { String::new() }
    }

    /// The items of a list with commas.
    pub(super) fn list(self) -> Vec<String> {
        let text = self.text();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }
}

impl Kind {
    /// Checks a value, or says what would be right.
    pub(super) fn read(self, value: &str) -> Result<Value, String> {
        match self {
            Self::Text if value.is_empty() => Err("must not be empty".to_owned()),
            Self::Text | Self::AnyText => Ok(Value::Text(value.to_owned())),
            Self::Address => {
                let bare = value.trim_matches(['[', ']']);
                let address = if bare == "localhost" { "127.0.0.1" } else { bare };
                let address = address.parse().map(Value::Address);
                address.map_err(|_| "must be an IP address, or localhost".to_owned())
            }
            Self::Number(min, max) => match value.parse() {
                Ok(number) if (min..=max).contains(&number) => Ok(Value::Number(number)),
                _ => Err(format!("must be a whole number from {min} to {max}")),
            },
            Self::JavaNumber(min, max) => {
                let number = match value.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16).ok(),
                    None => value.parse().ok(),
                };
                let number = number.filter(|number| (min..=max).contains(number));
                number
                    .map(Value::Number)
                    .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
            }
            Self::Limit => match value.parse::<i64>() {
                Ok(limit) => Ok(Value::Number(u64::try_from(limit).unwrap_or(0))),
                Err(_) => Err("must be a whole number; 0 and less are no limit".to_owned()),
            },
            Self::Compression => match &*value.to_ascii_lowercase() {
                "" => Ok(Value::Compression(Compression::None)),
                "gz" => Ok(Value::Compression(Compression::Gzip)),
                _ => Err("must be gz, or empty for none; this server knows no other".to_owned()),
            },
            Self::NumberOrNone(_) if value == "-1" => Ok(Value::Number(0)),
            Self::NumberOrNone(max) => {
                let read = Self::Number(1, max).read(value);
                read.map_err(|_| format!("must be a whole number from 1 to {max}, or -1"))
            }
            Self::TrueOrFalse => flag(value, "true", "false"),
            Self::YesOrNo => flag(value, "yes", "no"),
            Self::Only(only) if value.eq_ignore_ascii_case(only) => {
                Ok(Value::Text(value.to_owned()))
            }
            Self::Only(only) => {
                Err(format!("must be {only}: nothing else is supported by this server yet"))
            }
            Self::UrlPath => match value.strip_prefix('/') {
                Some(path) if !path.is_empty() && !path.ends_with('/') => {
                    Ok(Value::Text(value.to_owned()))
                }
                _ => Err("must be a path that begins with / and does not end so".to_owned()),
            },
            Self::OneOf(allowed) => {
                let known = allowed.iter().find(|known| known.eq_ignore_ascii_case(value));
                let known = known.map(|known| Value::Text((*known).to_owned()));
                known.ok_or_else(|| format!("must be one of {}", allowed.join(", ")))
            }
        }
    }
}

fn flag(value: &str, on: &str, off: &str) -> Result<Value, String> {
    match value.to_ascii_lowercase() {
        value if value == on => Ok(Value::Flag(true)),
        value if value == off => Ok(Value::Flag(false)),
        _ => Err(format!("must be {on} or {off}")),
    }
}

/// What becomes of a key; nothing if no server knows it.
pub(super) fn find(key: &str) -> Option<Key> {
    used(key)
        .or_else(|| file(key))
        .or_else(|| throttle(key))
        .or_else(|| limit(key))
        .or_else(|| security::find(key))
        .or_else(|| peer_tls::find(key))
        .or_else(|| operators::find(key))
        .or_else(|| ensemble::find(key))
        .or_else(|| without_effect(key))
        .or_else(|| known::find(key))
}

fn used(key: &str) -> Option<Key> {
    const MS: Kind = Kind::Number(1, INT_MAX);
    Some(match key {
        "dataDir" => Key::Used(Kind::Text, |said, v| said.data_dir = Some(v.text().into())),
        "dataLogDir" => Key::Used(Kind::Text, |said, v| said.log_dir = Some(v.text().into())),
        "clientPort" => Key::Used(Value::port(), |said, v| {
            said.client_port = u16::try_from(v.number()).ok();
        }),
        "clientPortAddress" => Key::Used(Kind::Address, |said, v| {
            said.address = v.address(said.address);
        }),
        "tickTime" => Key::Used(MS, |said, v| said.tick_ms = v.number()),
        "minSessionTimeout" => Key::Used(MS, |said, v| said.session_min_ms = Some(v.number())),
        "maxSessionTimeout" => Key::Used(MS, |said, v| said.session_max_ms = Some(v.number())),
        "extendedTypesEnabled" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.extended_types = v.flag())
        }
        "DigestAuthenticationProvider.superDigest" => {
            Key::Used(Kind::Text, |said, v| said.super_digest = Some(v.text()))
        }
        _ => return None,
    })
}

/// What concerns files.
fn file(key: &str) -> Option<Key> {
    const COUNT: Kind = Kind::Number(0, INT_MAX);
    Some(match key {
        "forceSync" => Key::Used(Kind::YesOrNo, |said, v| said.disk.force_sync = v.flag()),
        "snapCount" => Key::Used(Kind::Number(2, INT_MAX), |said, v| {
            said.disk.snap_count = u32::try_from(v.number()).unwrap_or(u32::MAX);
        }),
        "preAllocSize" => Key::Used(COUNT, |said, v| said.disk.preallocate = v.number() * 1024),
        "snapSizeLimitInKb" => {
            Key::Used(Kind::Limit, |said, v| said.disk.snap_size = kilobytes(&v))
        }
        "txnLogSizeLimitInKb" => {
            Key::Used(Kind::Limit, |said, v| said.disk.log_size_max = kilobytes(&v))
        }
        "fsync.warningthresholdms" => Key::Used(COUNT, |said, v| {
            said.disk.sync_warning = Duration::from_millis(v.number());
        }),
        "snapshot.compression.method" => Key::Used(Kind::Compression, |said, v| {
            if let Value::Compression(compression) = v {
                said.disk.compression = compression;
            }
        }),
        "autopurge.snapRetainCount" => Key::Used(COUNT, |said, v| said.snapshots_kept = v.count()),
        "autopurge.purgeInterval" => Key::Used(Kind::Limit, |said, v| {
            let hours = Some(v.number()).filter(|hours| *hours > 0);
            said.disk.purge_interval =
                hours.map(|hours| Duration::from_secs(hours.saturating_mul(3600)));
        }),
        "snapshot.trust.empty" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.disk.trust_empty = v.flag())
        }
        _ => return None,
    })
}

fn kilobytes(value: &Value) -> Option<u64> {
    Some(value.number().saturating_mul(1024)).filter(|bytes| *bytes > 0)
}

/// What goes into the specification as it is. Zero stands for no limit.
fn limit(key: &str) -> Option<Key> {
    const COUNT: Kind = Kind::Number(0, INT_MAX);
    Some(match key {
        "maxClientCnxns" => Key::Used(COUNT, |said, v| {
            said.spec.rules.connections_per_address_max = Some(v.count()).filter(|max| *max > 0);
        }),
        "maxCnxns" => Key::Used(COUNT, |said, v| {
            if v.count() > 0 {
                said.spec.rules.connections_max = v.count();
            }
        }),
        "globalOutstandingLimit" => Key::Used(Kind::Number(1, INT_MAX), |said, v| {
            said.spec.rules.outstanding_max = v.count();
        }),
        "largeRequestThreshold" => Key::Used(Kind::NumberOrNone(INT_MAX), |said, v| {
            said.spec.rules.large_request_threshold = Some(v.count()).filter(|max| *max > 0);
        }),
        "largeRequestMaxBytes" => Key::Used(Kind::Number(1, INT_MAX), |said, v| {
            said.spec.rules.large_request_bytes_max = v.count();
        }),
        "4lw.commands.whitelist" => Key::Used(Kind::Text, |said, v| said.spec.words = v.text()),
        "enforceQuota" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.spec.rules.enforce_quota = v.flag())
        }
        "digest.enabled" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.spec.rules.digest = v.flag())
        }
        "skipACL" => Key::Used(Kind::YesOrNo, |said, v| said.spec.rules.skip_acl = v.flag()),
        "znode.container.checkIntervalMs" => Key::Used(Kind::Number(1, INT_MAX), |said, v| {
            said.spec.rules.container_check_interval = Duration::from_millis(v.number());
        }),
        "znode.container.maxPerMinute" => Key::Used(Kind::Number(1, INT_MAX), |said, v| {
            said.spec.rules.containers_per_minute_max =
                u32::try_from(v.number()).unwrap_or(u32::MAX);
        }),
        "znode.container.maxNeverUsedIntervalMs" => Key::Used(COUNT, |said, v| {
            let interval = Some(v.number()).filter(|ms| *ms > 0);
            said.spec.rules.container_never_used_max = interval.map(Duration::from_millis);
        }),
        _ => return None,
    })
}

/// What is held back, and how much may be sent at all.
fn throttle(key: &str) -> Option<Key> {
    Some(match key {
        "request_throttle_max_requests" => Key::Used(Kind::Limit, |said, v| {
            said.spec.rules.throttle.requests_max = Some(v.count()).filter(|max| *max > 0);
        }),
        "throttled_op_wait_time" => Key::Used(Kind::Limit, |said, v| {
            let wait = Some(v.number()).filter(|ms| *ms > 0);
            said.spec.rules.throttle.wait_max = wait.map(Duration::from_millis);
        }),
        "request_stale_latency_check" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.spec.rules.throttle.drop_late = v.flag())
        }
        // What is held goes on as soon as it may, and not at intervals.
        "request_throttle_stall_time" => Key::WithoutEffect(Kind::Number(0, INT_MAX)),
        "request_throttle_drop_stale" | "request_stale_connection_check" => {
            Key::WithoutEffect(Kind::Only("true"))
        }
        "jute.maxbuffer" => Key::Used(Kind::JavaNumber(1024, INT_MAX), |said, v| {
            said.spec.rules.frame_len_max = v.count();
        }),
        "jute.maxbuffer.extrasize" => Key::WithoutEffect(Kind::JavaNumber(0, INT_MAX)),
        "readonlymode.enabled" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.ensemble.read_only_mode = v.flag())
        }
        _ => return None,
    })
}

fn without_effect(key: &str) -> Option<Key> {
    Some(Key::WithoutEffect(match key {
        "commitLogCount" | "flushDelay" | "maxWriteQueuePollTime" | "maxBatchSize" => {
            Kind::Number(0, INT_MAX)
        }
        "clientPortListenBacklog" => Kind::NumberOrNone(INT_MAX),
        "serializeLastProcessedZxid.enabled" | "closeSessionTxn.enabled" => Kind::TrueOrFalse,
        _ => return None,
    }))
}
