//! Where the ensemble is: `host:port,host:port/chroot`, parsed once.

use std::fmt;
use std::str::FromStr;

use crate::path::{InvalidPath, Path};

/// The port of a host that names none.
const DEFAULT_PORT: u16 = 2181;

/// One server of the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// A server by name or address, an IPv6 address without brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// The name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A list of servers and the path below which a client lives.
///
/// ```
/// let ensemble: znode::ConnectString = "zk1,zk2:2182,[::1]:2183/billing".parse()?;
/// assert_eq!(ensemble.hosts().len(), 3);
/// assert_eq!(ensemble.hosts()[0].port(), 2181);
/// assert_eq!(ensemble.chroot().as_str(), "/billing");
/// # Ok::<(), znode::InvalidConnectString>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectString {
    hosts: Vec<HostPort>,
    chroot: Path,
}

impl ConnectString {
    /// The servers, in the order written, at least one.
    pub fn hosts(&self) -> &[HostPort] {
        &self.hosts
    }

    /// The path that every path of the client is below; `/` if none was given.
    pub fn chroot(&self) -> &Path {
        &self.chroot
    }
}

/// Why a connect string cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConnectString {
    /// No host stands before the chroot.
    #[error("connect string {0:?} names no host; expected host[:port][,host[:port]…][/chroot]")]
    NoHost(String),
    /// An item between commas is no host.
    #[error("{0:?} is no host; expected host, host:port or [ipv6]:port")]
    Host(String),
    /// What follows a colon is no port.
    #[error("{port:?} of {host:?} is no port; expected 1 to 65535")]
    Port {
        /// The host.
        host: String,
        /// What stands where its port should.
        port: String,
    },
    /// What follows the hosts is no path.
    #[error("the chroot is not valid")]
    Chroot(#[source] InvalidPath),
}

impl FromStr for ConnectString {
    type Err = InvalidConnectString;

    fn from_str(text: &str) -> Result<Self, InvalidConnectString> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, "/"),
        };
        // Java ignores a slash that follows the hosts, and one at the end of the chroot.
        let chroot = match chroot.strip_suffix('/') {
            None => chroot,
            Some("") => "/",
            Some(shorter) => shorter,
        };
        let chroot = Path::parse(chroot).map_err(InvalidConnectString::Chroot)?;
        let hosts = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(parse_host)
            .collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(InvalidConnectString::NoHost(text.to_owned()));
        }
        Ok(Self { hosts, chroot })
    }
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, host) in self.hosts.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        if self.chroot.is_root() { Ok(()) } else { write!(f, "{}", self.chroot) }
    }
}

pub(crate) fn parse_host(text: &str) -> Result<HostPort, InvalidConnectString> {
    let invalid = || InvalidConnectString::Host(text.to_owned());
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(invalid)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(invalid()),
        }
    } else {
        match text.split_once(':') {
            // More than one colon without brackets is a bare IPv6 address.
            Some((_, port)) if port.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || !host.chars().all(legal) {
        return Err(invalid());
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => match port.parse() {
            Ok(number) if number != 0 => number,
            _ => {
                let (host, port) = (host.to_owned(), port.to_owned());
                return Err(InvalidConnectString::Port { host, port });
            }
        },
    };
    Ok(HostPort::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConnectString, InvalidConnectString> {
        text.parse()
    }

    #[test]
    fn hosts_ports_and_chroot_are_told_apart() {
        let parsed = parse("a:1, b ,[::1]:3,fe80::1/x/y/").unwrap();
        let hosts: Vec<String> = parsed.hosts().iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["a:1", "b:2181", "[::1]:3", "[fe80::1]:2181"]);
        assert_eq!(parsed.chroot().as_str(), "/x/y");
        assert_eq!(parsed.to_string(), "a:1,b:2181,[::1]:3,[fe80::1]:2181/x/y");
    }

    #[test]
    fn what_cannot_be_a_connect_string_is_named() {
        assert!(matches!(parse(""), Err(InvalidConnectString::NoHost(_))));
        assert!(matches!(parse("/chroot"), Err(InvalidConnectString::NoHost(_))));
        assert!(matches!(parse("a:0"), Err(InvalidConnectString::Port { .. })));
        assert!(matches!(parse("a:65536"), Err(InvalidConnectString::Port { .. })));
        assert!(matches!(parse("a:b"), Err(InvalidConnectString::Port { .. })));
        assert!(matches!(parse("[::1"), Err(InvalidConnectString::Host(_))));
        assert!(matches!(parse("a b:1"), Err(InvalidConnectString::Host(_))));
        assert!(matches!(parse("a:1//x"), Err(InvalidConnectString::Chroot(_))));
    }
}
