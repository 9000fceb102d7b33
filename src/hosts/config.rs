//! The servers that clients can reach, as the ensemble's own configuration names them.

use crate::connect_string::{HostPort, parse_host};

/// Reads `server.N=host:port:port[:role][;[client-host:]client-port[…]]` lines: the client address
/// of each member that names one, in the order written.
///
/// A client address that stands for all interfaces is taken to be the host that the members know
/// each other by. Lines of other kinds, and members without a client address, are passed over.
pub(crate) fn client_addresses(config: &str) -> Vec<HostPort> {
    config.lines().filter_map(|line| client_address(line.trim())).collect()
}

fn client_address(line: &str) -> Option<HostPort> {
    let (key, value) = line.split_once('=')?;
    let number = key.trim().strip_prefix("server.")?;
    number.parse::<u32>().ok()?;
    let (quorum, client) = value.trim().split_once(';')?;
    // A second part, after another semicolon, is the secure client port.
    let client = client.split(';').next()?.trim();
    // Several addresses of one member are separated by bars; the first will do.
    let quorum_host = quorum_host(quorum.split('|').next()?)?;
    let address = if client.bytes().all(|byte| byte.is_ascii_digit()) {
        HostPort::new(quorum_host, client.parse().ok()?)
    } else {
        parse_host(client).ok()?
    };
    match address.host() {
        "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0" => Some(HostPort::new(quorum_host, address.port())),
        _ => Some(address),
    }
}

/// The host of `host:port:port[:role]`.
fn quorum_host(quorum: &str) -> Option<&str> {
    match quorum.trim().strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').map(|(host, _)| host),
        None => quorum.trim().split(':').next().filter(|host| !host.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_reached_where_they_say() {
        let config = "server.1=zk1:2888:3888:participant;0.0.0.0:2181\n\
             server.2=zk2:2888:3888:observer;2182\n\
             server.3=[fe80::3]:2888:3888:participant;[::]:2183\n\
             server.4=zk4:2888:3888:participant;client4:2184;secure4:2281\n\
             server.5=zk5a:2888:3888|zk5b:2889:3889:participant;2185\n\
             server.6=zk6:2888:3888:participant\n\
             version=100000000\n";
        let hosts: Vec<_> = client_addresses(config).iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["zk1:2181", "zk2:2182", "[fe80::3]:2183", "client4:2184", "zk5a:2185"]);
    }

    #[test]
    fn what_is_no_member_is_passed_over() {
        for config in ["", "server.x=a:1:2;3", "server.1=;2181", "server.1=a:1:2;b:c", "=;"] {
            assert_eq!(client_addresses(config), []);
        }
    }
}
