//! Where the ensemble is: `[scheme://]host:port,…/chroot`, parsed once.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::path::{InvalidPath, Path};

/// The port of a host that names none.
const DEFAULT_PORT: u16 = 2181;

/// How a server is spoken to.
///
/// ```
/// use znode::{ConnectString, Scheme};
///
/// let hosts: ConnectString = "tls://zk1:2281,zk2:2181".parse()?;
/// assert_eq!([0, 1].map(|i| hosts.hosts()[i].scheme()), [Scheme::Tls, Scheme::Tcp]);
/// assert_eq!(Scheme::Tls.to_string(), "tls");
/// # Ok::<(), znode::InvalidConnectString>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Scheme {
    /// In plain text, to `clientPort`.
    #[default]
    Tcp,
    /// By TLS from the first byte, to `secureClientPort`.
    Tls,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "tcp" => Some(Self::Tcp),
            "tls" => Some(Self::Tls),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// One server of the list.
///
/// ```
/// use znode::{HostPort, Scheme};
///
/// let host = HostPort::new("zk1", 2281).with_scheme(Scheme::Tls);
/// assert_eq!((host.host(), host.port(), host.scheme()), ("zk1", 2281, Scheme::Tls));
/// let resolved = host.at("[::1]:2281".parse()?);
/// assert_eq!((resolved.host(), resolved.configured_name()), ("::1", "zk1"));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
    scheme: Scheme,
    /// Of an address that a name was resolved to: that name.
    name: Option<String>,
}

impl HostPort {
    /// A server by name or address, an IPv6 address without brackets; spoken to in plain text.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, scheme: Scheme::Tcp, name: None }
    }

    /// The same server, spoken to in another way.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// The same server at one of its addresses: its certificate is still to have its name.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
            scheme: self.scheme,
            name: Some(self.configured_name().to_owned()),
        }
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What the server was called by whoever configured this client, before anything was
    /// resolved. A certificate is checked against this and nothing else.
    pub fn configured_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host)
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
        if self.scheme != Scheme::Tcp {
            write!(f, "{}://", self.scheme)?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A list of servers and the path below which a client lives.
///
/// Each server may be preceded by how it is spoken to: `tcp://`, which is the default, or
/// `tls://`, for which there must be `ConnectOptions::tls`, of the feature `tls`.
///
/// ```
/// let ensemble: znode::ConnectString = "zk1,zk2:2182,[::1]:2183/billing".parse()?;
/// assert_eq!(ensemble.hosts().len(), 3);
/// assert_eq!(ensemble.hosts()[0].port(), 2181);
/// assert_eq!(ensemble.chroot().as_str(), "/billing");
///
/// let secure: znode::ConnectString = "tls://zk1:2281,tcp://zk2:2181/billing".parse()?;
/// assert_eq!(secure.hosts()[0].scheme(), znode::Scheme::Tls);
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
///
/// ```
/// use znode::{ConnectString, InvalidConnectString};
///
/// let parse = |text: &str| text.parse::<ConnectString>();
/// assert!(matches!(parse("/app"), Err(InvalidConnectString::NoHost(_))));
/// assert!(matches!(parse("zk1:high"), Err(InvalidConnectString::Port { .. })));
/// assert!(matches!(parse("zk1/a//b"), Err(InvalidConnectString::Chroot(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConnectString {
    /// No host stands before the chroot.
    #[error("connect string {0:?} names no host; expected host[:port][,host[:port]…][/chroot]")]
    NoHost(String),
    /// What stands before `://` is not known.
    #[error("{scheme:?} of {host:?} is no scheme; expected tcp or tls")]
    Scheme {
        /// The item between commas.
        host: String,
        /// What stands where its scheme should.
        scheme: String,
    },
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
        let (hosts, chroot) = match chroot_at(text) {
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
            .map(parse_server)
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

/// Where the first slash is that belongs to no `://`.
fn chroot_at(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find('/')?;
        if !(text[..at].ends_with(':') && text[at..].starts_with("//")) {
            return Some(at);
        }
        from = at + "//".len();
    }
}

/// A host, and how it is spoken to.
fn parse_server(text: &str) -> Result<HostPort, InvalidConnectString> {
    let Some((scheme, host)) = text.split_once("://") else {
        return parse_host(text);
    };
    match Scheme::parse(scheme) {
        Some(known) => Ok(parse_host(host)?.with_scheme(known)),
        None => {
            let (host, scheme) = (text.to_owned(), scheme.to_owned());
            Err(InvalidConnectString::Scheme { host, scheme })
        }
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
    fn each_server_has_a_scheme_and_its_slashes_are_no_chroot() {
        let text = "tls://a:1,tcp://b,tls://[::1]:3,c:4/x/y";
        let parsed = parse(text).unwrap();
        let schemes: Vec<_> = parsed.hosts().iter().map(HostPort::scheme).collect();
        assert_eq!(schemes, [Scheme::Tls, Scheme::Tcp, Scheme::Tls, Scheme::Tcp]);
        assert_eq!(parsed.chroot().as_str(), "/x/y");
        assert_eq!(parsed.to_string(), "tls://a:1,b:2181,tls://[::1]:3,c:4/x/y");
        assert_eq!(parse(&parsed.to_string()), Ok(parsed));
        assert_eq!(parse("tls://a").unwrap().chroot().as_str(), "/");
        assert!(matches!(parse("http://a:1"), Err(InvalidConnectString::Scheme { .. })));
        assert!(matches!(parse("tls://"), Err(InvalidConnectString::Host(_))));
        assert!(parse("tls://tls://a").is_err());
    }

    #[test]
    fn an_address_keeps_the_name_that_was_configured() {
        let name = HostPort::new("zk.example", 2281).with_scheme(Scheme::Tls);
        let at = name.at("10.0.0.1:2281".parse().unwrap());
        assert_eq!((at.host(), at.scheme()), ("10.0.0.1", Scheme::Tls));
        assert_eq!(at.configured_name(), "zk.example");
        assert_eq!(at.to_string(), "tls://10.0.0.1:2281");
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
