//! A server as the others of its ensemble know it.

use std::fmt;
use std::str::FromStr;

/// A member of an ensemble: `host:port:port[:role][;[host:]port[;[host:]port]]`.
///
/// ```
/// use znode_testing::{Member, Role};
///
/// let member: Member = "zk1:2888:3888:observer;2181".parse().unwrap();
/// assert_eq!(member.role, Role::Observer);
/// assert_eq!(member.addresses[0].election_port, 3888);
/// assert_eq!(member.to_string(), "zk1:2888:3888:observer;0.0.0.0:2181");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Where other members find it; at least one.
    pub addresses: Vec<MemberAddress>,
    /// Whether it has a vote.
    pub role: Role,
    /// Where clients find it, as `(host, port)`; `None` if that stands elsewhere.
    pub client: Option<(String, u16)>,
    /// Where clients find it that speak TLS.
    pub secure_client: Option<(String, u16)>,
}

/// Where other members find one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberAddress {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port on which followers follow.
    pub quorum_port: u16,
    /// The port on which a leader is elected.
    pub election_port: u16,
}

/// Whether a member has a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It has.
    Participant,
    /// It has none, and only follows.
    Observer,
}

/// Why a text names no member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidMember(String);

impl Member {
    /// Whether it has a vote.
    pub(crate) fn votes(&self) -> bool {
        self.role == Role::Participant
    }
}

impl FromStr for Member {
    type Err = InvalidMember;

    fn from_str(text: &str) -> Result<Self, InvalidMember> {
        let mut parts = text.split(';');
        let (mut addresses, mut role) = (Vec::new(), None);
        for address in parts.next().unwrap_or_default().split('|') {
            let (host, rest) = split_host(address)?;
            let ports: Vec<&str> = rest.split(':').collect();
            let (quorum, election, named) = match ports[..] {
                [quorum, election] => (quorum, election, None),
                [quorum, election, role] => (quorum, election, Some(role.trim().parse()?)),
                _ => return Err(invalid()),
            };
            let (quorum_port, election_port) = (port(quorum)?, port(election)?);
            if quorum_port == election_port {
                return Err(InvalidMember("its two ports must be different".to_owned()));
            }
            if named.is_some() && role.is_some() && named != role {
                return Err(InvalidMember("all its addresses must have one role".to_owned()));
            }
            role = named.or(role);
            addresses.push(MemberAddress { host: host.to_owned(), quorum_port, election_port });
        }
        let has_secure = text.matches(';').count() > 1;
        let client = parts.next().filter(|text| !(text.is_empty() && has_secure));
        let client = client.map(client_address).transpose()?;
        let secure_client = parts.next().map(client_address).transpose()?;
        if parts.next().is_some() {
            return Err(invalid());
        }
        let role = role.unwrap_or(Role::Participant);
        Ok(Self { addresses, role, client, secure_client })
    }
}

/// Splits a host from what is behind its colon; brackets hold an address of version 6.
pub(crate) fn split_host(text: &str) -> Result<(&str, &str), InvalidMember> {
    let split = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:"),
        None => text.split_once(':'),
    };
    split.filter(|(host, _)| is_host(host)).ok_or_else(invalid)
}

/// Whether a text may be a host. What would be read back otherwise than it is written is none.
fn is_host(text: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    !text.is_empty() && !text.contains(is_odd)
}

/// `port` or `host:port`; without a host, any address of the machine.
fn client_address(text: &str) -> Result<(String, u16), InvalidMember> {
    if let Ok(port) = text.parse() {
        return Ok(("0.0.0.0".to_owned(), port));
    }
    let (host, rest) = split_host(text)?;
    Ok((host.to_owned(), port(rest)?))
}

fn port(text: &str) -> Result<u16, InvalidMember> {
    text.parse().map_err(|_| invalid())
}

fn invalid() -> InvalidMember {
    InvalidMember(
        "must be host:port:port[:participant|:observer][;[host:]port[;[host:]port]]".to_owned(),
    )
}

impl FromStr for Role {
    type Err = InvalidMember;

    fn from_str(text: &str) -> Result<Self, InvalidMember> {
        match text.to_ascii_lowercase().as_str() {
            "participant" => Ok(Self::Participant),
            "observer" => Ok(Self::Observer),
            _ => Err(InvalidMember(format!("{text}: must be participant or observer"))),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

/// As it stands in `/zookeeper/config`.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.addresses.iter().enumerate() {
            let bar = if at == 0 { "" } else { "|" };
            let MemberAddress { host, quorum_port, election_port } = address;
            write!(f, "{bar}{}:{quorum_port}:{election_port}", Bracketed(host))?;
        }
        write!(f, ":{}", self.role)?;
        if let Some((host, port)) = &self.client {
            write!(f, ";{}:{port}", Bracketed(host))?;
        }
        if let Some((host, port)) = &self.secure_client {
            let none = if self.client.is_none() { ";" } else { "" };
            write!(f, "{none};{}:{port}", Bracketed(host))?;
        }
        Ok(())
    }
}

/// A host as it stands before a port.
pub(crate) struct Bracketed<'a>(pub(crate) &'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

impl fmt::Display for InvalidMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidMember {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_in_all_their_forms() {
        for (text, printed) in [
            ("h:1:2", "h:1:2:participant"),
            ("h:1:2:OBSERVER", "h:1:2:observer"),
            ("h:1:2;3", "h:1:2:participant;0.0.0.0:3"),
            ("h:1:2:participant;127.0.0.1:3", "h:1:2:participant;127.0.0.1:3"),
            ("h:1:2;3;s:4", "h:1:2:participant;0.0.0.0:3;s:4"),
            ("[::1]:1:2;[::2]:3", "[::1]:1:2:participant;[::2]:3"),
            ("h:1:2;;s:4", "h:1:2:participant;;s:4"),
            ("a:1:2|b:3:4", "a:1:2|b:3:4:participant"),
            ("a:1:2:observer|b:3:4", "a:1:2|b:3:4:observer"),
        ] {
            let member: Member = text.parse().unwrap();
            assert_eq!(member.to_string(), printed);
            assert_eq!(printed.parse::<Member>().unwrap(), member, "{printed}");
        }
    }

    #[test]
    fn what_is_no_member_is_told_what_one_is() {
        for text in [
            "",
            "h",
            "h:1",
            "h:1:2:3:4",
            "h:x:2",
            "h:1:70000",
            ":1:2",
            "h:1:2;",
            "h:1:2;;",
            "h:1:2;3;4;5",
            "[::1:1:2",
            "h:1:2|",
            "h\\n:1:2",
            "h\nserver.2=x:1:2",
            "h h:1:2",
        ] {
            let error = text.parse::<Member>().unwrap_err().to_string();
            assert!(error.contains("must be host:port:port"), "{text}: {error}");
        }
        let said = |text: &str| text.parse::<Member>().unwrap_err().to_string();
        assert!(said("h:1:1").contains("must be different"));
        assert!(said("h:1:2:leader").contains("leader: must be participant or observer"));
        assert!(said("a:1:2:observer|b:1:2:participant").contains("one role"));
    }
}
