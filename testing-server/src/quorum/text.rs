//! Configurations as text: lines of `server.N=…`, `group.N=…`, `weight.N=…` and `version=…`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use znode::proto::{ErrorCode, Zxid};

use super::member::InvalidMember;
use super::{QuorumConfig, Sid};
use crate::config::properties;

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidConfig {
    /// Something goes against the rules.
    Rule(String),
    /// A number cannot be read.
    Number(String),
    /// Too few would vote for those that are to follow.
    Voters(&'static str),
}

impl InvalidConfig {
    /// Something that goes against the rules.
    pub(crate) fn rule(what: impl Into<String>) -> Self {
        Self::Rule(what.into())
    }

    /// A number that is none.
    pub(crate) fn number(what: impl Into<String>) -> Self {
        Self::Number(what.into())
    }

    /// The same, said of a line.
    fn of_line(self, key: &str, value: &str) -> Self {
        let told = |what| format!("{key}={value}: {what}");
        match self {
            Self::Rule(what) => Self::Rule(told(what)),
            Self::Number(what) => Self::Number(told(what)),
            // What no line says by itself.
            Self::Voters(_) => self,
        }
    }

    /// What a client is told that has asked for it. Apache's server tells of the rules by one
    /// error, and by another of what its parser does not take.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Rule(_) => ErrorCode::BadArguments,
            Self::Number(_) | Self::Voters(_) => ErrorCode::MarshallingError,
        }
    }
}

impl From<InvalidMember> for InvalidConfig {
    fn from(error: InvalidMember) -> Self {
        Self::rule(error.to_string())
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(what) | Self::Number(what) => f.write_str(what),
            Self::Voters(what) => f.write_str(what),
        }
    }
}

/// Reads a configuration, as servers tell it each other and write it to files.
///
/// # Errors
/// A line that is none of a configuration's, named as it stands; or voters that are in no group
/// where others are.
pub(crate) fn parse(text: &str) -> Result<QuorumConfig, InvalidConfig> {
    let mut config = QuorumConfig::majority(BTreeMap::new());
    for property in properties::parse(text) {
        let (key, value) = (property.key.trim(), property.value.trim());
        let taken = match key {
            "version" => version(value).map(|version| config.version = version),
            _ => config.take(key, value),
        };
        taken.map_err(|error| error.of_line(key, value))?;
    }
    config.check_groups()?;
    Ok(config)
}

/// Reads a version.
///
/// # Errors
/// It is not hexadecimal.
pub(crate) fn version(text: &str) -> Result<Zxid, InvalidConfig> {
    let read = i64::from_str_radix(text, 16).ok().filter(|version| *version >= 0);
    read.map(Zxid).ok_or_else(|| InvalidConfig::number("a version is hexadecimal"))
}

/// Whether a key says who is in an ensemble.
pub(crate) fn is_membership(key: &str) -> bool {
    let id = |family: &str| key.strip_prefix(family).is_some_and(|id| id.parse::<u64>().is_ok());
    ["server.", "group.", "weight."].into_iter().any(id)
}

/// The number of a server or of a group.
///
/// # Errors
/// It is none.
pub(crate) fn number(text: &str) -> Result<i64, InvalidConfig> {
    let read = text.parse().ok().filter(|number| *number >= 0);
    read.ok_or_else(|| InvalidConfig::number("must end with a number"))
}

impl QuorumConfig {
    /// Takes in `server.N`, `group.N` or `weight.N`.
    ///
    /// # Errors
    /// What would be allowed.
    pub(crate) fn take(&mut self, key: &str, value: &str) -> Result<(), InvalidConfig> {
        let unknown = || {
            let allowed = "does not belong here: only server, group, weight and version do";
            InvalidConfig::rule(allowed)
        };
        let (family, id) = key.split_once('.').ok_or_else(unknown)?;
        match family {
            "server" => {
                let sid = Sid(number(id)?);
                self.members.insert(sid, value.parse()?);
            }
            "group" => {
                let sids: Option<BTreeSet<Sid>> =
                    value.split(':').map(|sid| number(sid.trim()).ok().map(Sid)).collect();
                let wrong = || InvalidConfig::number("must be numbers of servers, with : between");
                let sids = sids.ok_or_else(wrong)?;
                let group = number(id)?;
                let others = self.groups.iter().filter(|(other, _)| **other != group);
                let twice = others.flat_map(|(_, sids)| sids).find(|sid| sids.contains(sid));
                if let Some(twice) = twice {
                    let why = format!("{twice} is in another group already");
                    return Err(InvalidConfig::rule(why));
                }
                self.groups.insert(group, sids);
            }
            "weight" => {
                let weight: Option<i64> = value.parse().ok().filter(|weight| *weight >= 0);
                let wrong = || InvalidConfig::number("must be a whole number");
                self.weights.insert(Sid(number(id)?), weight.ok_or_else(wrong)?);
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// Whether every voter is in a group, if any is: or its vote would count for nothing.
    ///
    /// # Errors
    /// One that is not.
    pub(crate) fn check_groups(&self) -> Result<(), InvalidConfig> {
        if self.is_majority() {
            return Ok(());
        }
        let is_grouped = |sid: &Sid| self.groups.values().any(|group| group.contains(sid));
        match self.voters().find(|sid| !is_grouped(sid)) {
            Some(sid) => Err(InvalidConfig::rule(format!("{sid}: is in no group, as others are"))),
            None => Ok(()),
        }
    }
}

/// The longest text of a configuration: a vote carries it, and those are read up to 512 KiB.
const LEN_MAX: usize = 511 * 1024;

impl QuorumConfig {
    /// Whether every server reads in the text of a configuration what it is, ZooKeeper 3.9 as well.
    /// Once it is proposed it is too late: whoever cannot read it follows nobody any more.
    ///
    /// # Errors
    /// What would be read otherwise, or not at all.
    pub(super) fn check_readable(&self) -> Result<(), InvalidConfig> {
        let text = print(self);
        if text.len() > LEN_MAX {
            let why = format!("takes {} bytes: must be at most {LEN_MAX}", text.len());
            return Err(InvalidConfig::rule(why));
        }
        if parse(&text).as_ref() != Ok(self) {
            return Err(InvalidConfig::rule("would be read otherwise than it is written"));
        }
        for (sid, member) in &self.members {
            if member.secure_client.is_some() {
                let why = "has a second port for clients, which ZooKeeper 3.9 cannot read";
                return Err(InvalidConfig::rule(format!("{sid}: {why}")));
            }
        }
        let weighs = |sid: &Sid| self.is_voter(*sid) || self.weights.contains_key(sid);
        match self.groups.values().flatten().find(|sid| !weighs(sid)) {
            Some(sid) => {
                let why = "is in a group, and neither votes nor has a weight";
                Err(InvalidConfig::rule(format!("{sid}: {why}, which ZooKeeper 3.9 cannot read")))
            }
            None => Ok(()),
        }
    }
}

/// Writes a configuration as Apache ZooKeeper 3.9 reads it: the version at the end, and no line
/// end behind it.
pub(crate) fn print(config: &QuorumConfig) -> String {
    let mut text = print_members(config);
    // Writing to a string cannot fail.
    let _ = write!(text, "version={:x}", config.version.0);
    text
}

/// The same without the version, which is in the name of a file that holds it.
pub(crate) fn print_members(config: &QuorumConfig) -> String {
    let mut text = String::new();
    for (sid, member) in &config.members {
        let _ = writeln!(text, "{sid}={member}");
    }
    for (group, sids) in &config.groups {
        let sids: Vec<String> = sids.iter().map(|sid| sid.0.to_string()).collect();
        let _ = writeln!(text, "group.{group}={}", sids.join(":"));
    }
    for (sid, weight) in &config.weights {
        let _ = writeln!(text, "weight.{}={weight}", sid.0);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let text = "server.1=127.0.0.1:2881:3881:participant;0.0.0.0:2181\n\
                    server.2=[::1]:2882:3882:observer;127.0.0.1:2182\n\
                    server.7=a:1:2|b:3:4:participant\nversion=100000003";
        let config = parse(text).unwrap();
        assert_eq!(print(&config), text);
        assert_eq!(config.version, Zxid(0x1_0000_0003));
        assert_eq!(config.members[&Sid(2)].addresses[0].host, "::1");
        let groups = "server.1=a:1:2:participant\nserver.2=a:1:3:participant\n\
                      group.1=1\ngroup.2=2\nweight.1=3\nversion=0";
        assert_eq!(print(&parse(groups).unwrap()), groups);
    }

    #[test]
    fn the_short_form_means_a_participant_and_every_address() {
        let config = parse("server.1=zk1:2888:3888;2181").unwrap();
        assert_eq!(print(&config), "server.1=zk1:2888:3888:participant;0.0.0.0:2181\nversion=0");
    }

    #[test]
    fn nonsense_is_refused_by_its_line() {
        for (text, says, is_number) in [
            ("server.x=a:1:2", "server.x=a:1:2: must end with a number", true),
            ("server.-1=a:1:2", "must end with a number", true),
            ("server.1=a:1", "must be host:port:port", false),
            ("client=1", "only server, group, weight and version", false),
            ("colour.1=1", "only server, group, weight and version", false),
            ("version=zz", "hexadecimal", true),
            ("weight.1=x", "a whole number", true),
            ("group.1=x", "numbers of servers", true),
            ("server.1=a:1:2\ngroup.1=2", "server.1: is in no group", false),
            ("server.1=a:1:2\nweight.1=2", "server.1: is in no group", false),
            ("server.1=a:1:2\ngroup.1=1\ngroup.2=1", "in another group", false),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert_eq!(matches!(error, InvalidConfig::Number(_)), is_number, "{text}");
        }
    }
}
