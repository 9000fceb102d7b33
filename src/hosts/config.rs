//! The servers that clients can reach, as the ensemble's own configuration names them.

use crate::connect_string::{HostPort, Scheme, parse_host};

/// Reads `server.N=host:port:port[:role][;[client-host:]client-port[…]]` lines: the client address
/// of each member that names one, in the order written.
///
/// A client address that stands for all interfaces is taken to be the host that the members know
/// each other by. Lines of other kinds, and members without a client address, are passed over; so
/// is, for [`Scheme::Tls`], one that names no second, secure address.
pub(crate) fn client_addresses(config: &str, scheme: Scheme) -> Vec<HostPort> {
    config.lines().filter_map(|line| client_address(line.trim(), scheme)).collect()
}

fn client_address(line: &str, scheme: Scheme) -> Option<HostPort> {
    let (key, value) = line.split_once('=')?;
    let number = key.trim().strip_prefix("server.")?;
    number.parse::<u32>().ok()?;
    let (quorum, client) = value.trim().split_once(';')?;
    let mut clients = client.split(';');
    let client = match scheme {
        Scheme::Tcp => clients.next()?.trim(),
        Scheme::Tls => clients.nth(1)?.trim(),
    };
    // Several addresses of one member are separated by bars; the first will do.
    let quorum_host = quorum_host(quorum.split('|').next()?)?;
    let address = if client.bytes().all(|byte| byte.is_ascii_digit()) {
        HostPort::new(quorum_host, client.parse().ok()?)
    } else {
        parse_host(client).ok()?
    };
    let address = match address.host() {
        "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0" => HostPort::new(quorum_host, address.port()),
        _ => address,
    };
    Some(address.with_scheme(scheme))
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
        let hosts = |scheme| {
            client_addresses(config, scheme).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let plain = ["zk1:2181", "zk2:2182", "[fe80::3]:2183", "client4:2184", "zk5a:2185"];
        assert_eq!(hosts(Scheme::Tcp), plain);
        assert_eq!(hosts(Scheme::Tls), ["tls://secure4:2281"]);
    }

    #[test]
    fn what_is_no_member_is_passed_over() {
        for config in ["", "server.x=a:1:2;3", "server.1=;2181", "server.1=a:1:2;b:c", "=;"] {
            assert_eq!(client_addresses(config, Scheme::Tcp), []);
        }
    }
}
