//! Configurations as text: lines of `server.N=…`, `group.N=…`, `weight.N=…` and `version=…`.

#[cfg(test)]
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

#[cfg(test)]
use znode::proto::Zxid;

use super::{LearnerType, PeerAddress, QuorumConfig};
#[cfg(test)]
use super::{Member, Sid};

/// Reads a configuration.
///
/// # Errors
/// A line that is none of a configuration's, named as it stands.
#[cfg(test)]
pub(crate) fn parse(text: &str) -> Result<QuorumConfig, String> {
    let mut config = QuorumConfig::majority(BTreeMap::new());
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for line in lines.filter(|line| !line.starts_with(['#', '!'])) {
        let wrong = |why: &str| format!("{line:?}: {why}");
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("there is no ="))?;
        let (key, value) = (key.trim(), value.trim());
        let number = |prefix: &str| {
            let number = key.strip_prefix(prefix)?;
            Some(number.parse::<i64>().map_err(|_| wrong("there must be a number behind the dot")))
        };
        if key == "version" {
            let version = i64::from_str_radix(value, 16);
            config.version = Zxid(version.map_err(|_| wrong("a version is hexadecimal"))?);
        } else if let Some(sid) = number("server.") {
            let member = parse_member(value).map_err(|why| wrong(&why))?;
            config.members.insert(Sid(sid?), member);
        } else if let Some(group) = number("group.") {
            let sids = value.split(':').map(|sid| sid.trim().parse().map(Sid));
            let sids: Result<BTreeSet<Sid>, _> = sids.collect();
            let sids = sids.map_err(|_| wrong("a group is numbers with colons between them"))?;
            config.groups.insert(group?, sids);
        } else if let Some(sid) = number("weight.") {
            let weight = value.parse().map_err(|_| wrong("a weight is a number"))?;
            config.weights.insert(Sid(sid?), weight);
        } else {
            return Err(wrong("only server, group, weight and version may stand here"));
        }
    }
    check_groups(&config)?;
    Ok(config)
}

#[cfg(test)]
fn check_groups(config: &QuorumConfig) -> Result<(), String> {
    if config.groups.is_empty() {
        return Ok(());
    }
    for sid in config.voters() {
        match config.groups.values().filter(|group| group.contains(&sid)).count() {
            1 => {}
            0 => return Err(format!("{sid} votes and is in no group")),
            _ => return Err(format!("{sid} is in more than one group")),
        }
    }
    Ok(())
}

/// Reads what stands behind `server.N=`:
/// `host:quorum:election[:participant|observer][;[host:]port]`, with `|` between several addresses.
#[cfg(test)]
pub(crate) fn parse_member(value: &str) -> Result<Member, String> {
    let (peer, client) = match value.split_once(';') {
        Some((peer, client)) => (peer, Some(client)),
        None => (value, None),
    };
    let mut learner_type = LearnerType::Participant;
    let mut addresses = Vec::new();
    for address in peer.split('|') {
        let (host, rest) = split_host(address)?;
        let mut parts = rest.split(':');
        let mut port = |name: &str| match parts.next().map(|port| port.trim().parse()) {
            Some(Ok(port)) => Ok(port),
            _ => Err(format!("the {name} port must be a number up to 65535")),
        };
        let (quorum_port, election_port) = (port("quorum")?, port("election")?);
        match parts.next().map(|kind| kind.trim().to_ascii_lowercase()).as_deref() {
            None | Some("participant") => {}
            Some("observer") => learner_type = LearnerType::Observer,
            Some(_) => return Err("the role must be participant or observer".to_owned()),
        }
        if parts.next().is_some() {
            return Err("there is too much behind the role".to_owned());
        }
        addresses.push(PeerAddress { host: host.to_owned(), quorum_port, election_port });
    }
    let client = client.map(parse_client).transpose()?;
    Ok(Member { addresses, learner_type, client })
}

#[cfg(test)]
fn parse_client(client: &str) -> Result<String, String> {
    let client = client.trim();
    let port = match client.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => port,
        Some(_) => return Err("the client address has no host before its colon".to_owned()),
        None => client,
    };
    match port.parse::<u16>() {
        Ok(_) => Ok(client.to_owned()),
        Err(_) => Err("the client port must be a number up to 65535".to_owned()),
    }
}

/// Splits a host from what is behind its colon; brackets hold an address of version 6.
pub(crate) fn split_host(address: &str) -> Result<(&str, &str), String> {
    let address = address.trim();
    let split = match address.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => address.split_once(':'),
    };
    match split {
        Some((host, rest)) if !host.is_empty() => Ok((host, rest)),
        _ => Err("a host, a colon and a port are needed".to_owned()),
    }
}

/// A host as it stands before a colon.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Writes a configuration as Apache ZooKeeper 3.9 reads it: the version at the end, and no line
/// end behind it.
pub(crate) fn print(config: &QuorumConfig) -> String {
    let mut text = String::new();
    for (sid, member) in &config.members {
        let role = match member.learner_type {
            LearnerType::Participant => "participant",
            LearnerType::Observer => "observer",
        };
        let address = |address: &PeerAddress| {
            let PeerAddress { host, quorum_port, election_port } = address;
            format!("{}:{quorum_port}:{election_port}", bracketed(host))
        };
        let addresses: Vec<String> = member.addresses.iter().map(address).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "server.{}={}:{role}", sid.0, addresses.join("|"));
        if let Some(client) = &member.client {
            let host = if client.contains(':') { "" } else { "0.0.0.0:" };
            let _ = write!(text, ";{host}{client}");
        }
        text.push('\n');
    }
    for (group, sids) in &config.groups {
        let sids: Vec<String> = sids.iter().map(|sid| sid.0.to_string()).collect();
        let _ = writeln!(text, "group.{group}={}", sids.join(":"));
    }
    for (sid, weight) in &config.weights {
        let _ = writeln!(text, "weight.{}={weight}", sid.0);
    }
    let _ = write!(text, "version={:x}", config.version.0);
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
    }

    #[test]
    fn the_short_form_means_a_participant_and_every_address() {
        let config = parse("server.1=zk1:2888:3888;2181").unwrap();
        assert_eq!(print(&config), "server.1=zk1:2888:3888:participant;0.0.0.0:2181\nversion=0");
    }

    #[test]
    fn nonsense_is_refused_by_its_line() {
        for (text, says) in [
            ("server.x=a:1:2", "there must be a number behind the dot"),
            ("server.1=a:1", "the election port"),
            ("server.1=a:70000:2", "the quorum port"),
            ("server.1=a:1:2:king", "participant or observer"),
            ("server.1=a:1:2;zz", "the client port"),
            ("server.1=:1:2", "a host"),
            ("client=1", "only server, group, weight and version"),
            ("version=zz", "hexadecimal"),
            ("server.1=a:1:2\ngroup.1=2", "in no group"),
            ("server.1=a:1:2\ngroup.1=1\ngroup.2=1", "more than one group"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
