//! Keys that say what operators are told, and where: the admin server, and figures for Prometheus.

use std::net::{IpAddr, Ipv4Addr};

use super::keys::{INT_MAX, Key, Kind, Value};
use crate::InstanceSpec;

/// What was said of it. Apache's server listens on every address unless told otherwise; ours on
/// that of the machine itself, for nobody has to prove who he is.
#[derive(Debug, Clone)]
pub(super) struct Operators {
    admin: bool,
    admin_address: IpAddr,
    admin_port: u16,
    command_url: String,
    idle_timeout_ms: u64,
    snapshots: bool,
    snapshot_interval_ms: u64,
    metrics: bool,
    metrics_address: IpAddr,
    metrics_port: u16,
}

impl Default for Operators {
    fn default() -> Self {
        Self {
            admin: false,
            admin_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            admin_port: 8080,
            command_url: "/commands".to_owned(),
            idle_timeout_ms: 30_000,
            snapshots: true,
            snapshot_interval_ms: 300_000,
            metrics: false,
            metrics_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            metrics_port: 7000,
        }
    }
}

const PROVIDERS: &[&str] = &[
    "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
    "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
];

/// What becomes of a key.
pub(super) fn find(key: &str) -> Option<Key> {
    admin(key).or_else(|| metrics(key))
}

fn admin(key: &str) -> Option<Key> {
    Some(match key {
        "admin.enableServer" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.operators.admin = v.flag())
        }
        "admin.serverAddress" => Key::Used(Kind::Address, |said, v| {
            said.operators.admin_address = v.address(said.operators.admin_address);
        }),
        "admin.serverPort" => Key::Used(Value::port(), |said, v| {
            said.operators.admin_port = u16::try_from(v.number()).unwrap_or(0);
        }),
        "admin.commandURL" => Key::Used(Kind::UrlPath, |said, v| {
            said.operators.command_url = v.text();
        }),
        "admin.idleTimeout" => Key::Used(Kind::Number(1, INT_MAX), |said, v| {
            said.operators.idle_timeout_ms = v.number();
        }),
        "admin.forceHttps" | "admin.needClientAuth" => Key::WithoutEffect(Kind::Only("false")),
        "admin.snapshot.enabled" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.operators.snapshots = v.flag())
        }
        "admin.rateLimiterIntervalInMS" => Key::Used(Kind::Number(0, INT_MAX), |said, v| {
            said.operators.snapshot_interval_ms = v.number();
        }),
        _ => return None,
    })
}

fn metrics(key: &str) -> Option<Key> {
    Some(match key {
        "metricsProvider.className" => Key::Used(Kind::OneOf(PROVIDERS), |said, v| {
            said.operators.metrics = v.text().ends_with("PrometheusMetricsProvider");
        }),
        "metricsProvider.httpHost" => Key::Used(Kind::Address, |said, v| {
            said.operators.metrics_address = v.address(said.operators.metrics_address);
        }),
        "metricsProvider.httpPort" => Key::Used(Value::port(), |said, v| {
            said.operators.metrics_port = u16::try_from(v.number()).unwrap_or(0);
        }),
        _ if key.starts_with("metricsProvider.") => Key::JavaOnly,
        _ => return None,
    })
}

impl Operators {
    /// Adds it to a specification.
    ///
    /// # Errors
    /// It asks for what this server was built without.
    #[cfg(not(feature = "admin"))]
    pub(super) fn apply(self, spec: InstanceSpec) -> Result<InstanceSpec, String> {
        let key = match (self.admin, self.metrics) {
            (true, _) => "admin.enableServer",
            (_, true) => "metricsProvider.className",
            _ => return Ok(spec),
        };
        Err(format!("{key}: this server was built without its feature `admin`"))
    }

    /// Adds it to a specification.
    ///
    /// # Errors
    /// None with this feature.
    #[cfg(feature = "admin")]
    #[expect(clippy::unnecessary_wraps, reason = "without the feature, it may fail")]
    pub(super) fn apply(self, mut spec: InstanceSpec) -> Result<InstanceSpec, String> {
        use std::net::SocketAddr;
        use std::time::Duration;

        use crate::io::desk::AdminPort;

        if self.admin {
            spec.admin = Some(AdminPort {
                address: SocketAddr::new(self.admin_address, self.admin_port),
                command_url: self.command_url,
                idle_timeout: Duration::from_millis(self.idle_timeout_ms),
                snapshots: self.snapshots,
                snapshot_interval: Duration::from_millis(self.snapshot_interval_ms),
            });
        }
        if self.metrics {
            spec.metrics = Some(SocketAddr::new(self.metrics_address, self.metrics_port));
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[cfg(feature = "admin")]
    #[test]
    fn operators_are_told_what_the_file_allows() {
        let base = "dataDir=/d\nclientPort=1\n";
        let spec = Config::parse("z", base).unwrap().into_spec();
        assert!(spec.admin.is_none() && spec.metrics.is_none());
        let lines = "admin.enableServer=true\nadmin.serverPort=81\nadmin.commandURL=/c\n\
                     admin.idleTimeout=7\nadmin.snapshot.enabled=false\n\
                     metricsProvider.className=\
                     org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
                     metricsProvider.httpHost=0.0.0.0\n";
        let config = Config::parse("z", &format!("{base}{lines}")).unwrap();
        assert!(config.notes().is_empty(), "{:?}", config.notes());
        let spec = config.into_spec();
        let admin = spec.admin.unwrap();
        assert_eq!(admin.address.to_string(), "127.0.0.1:81");
        assert_eq!((&*admin.command_url, admin.snapshots), ("/c", false));
        assert_eq!(admin.idle_timeout.as_millis(), 7);
        assert_eq!(spec.metrics.unwrap().to_string(), "0.0.0.0:7000");
    }

    #[test]
    fn what_nobody_can_be_told_is_refused() {
        for (line, said) in [
            ("admin.commandURL=commands", "must be a path that begins with /"),
            ("admin.commandURL=/", "must be a path that begins with /"),
            ("admin.forceHttps=true", "must be false: nothing else is supported"),
            ("metricsProvider.className=org.example.Mine", "must be one of org.apache."),
        ] {
            let text = format!("dataDir=/d\nclientPort=1\n{line}");
            let error = Config::parse("z", &text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
