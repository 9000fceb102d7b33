//! The `ip` scheme: where a connection comes from, which every connection has from the start.

use std::net::IpAddr;

use super::{Identity, Scheme};

/// The `ip` scheme.
#[derive(Debug)]
pub(crate) struct Ip;

impl Scheme for Ip {
    fn name(&self) -> &str {
        "ip"
    }

    fn authenticate(&self, peer: IpAddr, _auth: Option<&[u8]>) -> Option<Vec<Identity>> {
        Some(vec![identity(peer)])
    }

    fn is_valid(&self, id: &str) -> bool {
        Network::parse(id).is_some()
    }

    fn matches(&self, id: &str, named: &str) -> bool {
        let (Ok(address), Some(network)) = (id.parse(), Network::parse(named)) else {
            return false;
        };
        network.contains(address)
    }

    fn is_authenticated(&self) -> bool {
        false
    }

    fn user<'a>(&self, id: &'a str) -> &'a str {
        id
    }
}

/// What a connection from `peer` is known as.
pub(crate) fn identity(peer: IpAddr) -> Identity {
    Identity::new("ip", &peer.to_canonical().to_string())
}

/// An address, and how many of its leading bits count.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `address` or `address/bits`.
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_bits() {
        assert!(Ip.matches("10.1.2.3", "10.1.0.0/16"));
        assert!(!Ip.matches("10.2.2.3", "10.1.0.0/16"));
        assert!(Ip.matches("10.2.2.3", "0.0.0.0/0"));
        assert!(Ip.matches("127.0.0.1", "127.0.0.1"));
        assert!(Ip.matches("2001:db8::1", "2001:db8::/32"));
        assert!(!Ip.matches("127.0.0.1", "::/0"));
    }

    #[test]
    fn only_addresses_and_networks_are_valid() {
        for id in ["1.2.3.4", "1.2.3.4/32", "::1/128"] {
            assert!(Ip.is_valid(id), "{id}");
        }
        for id in ["", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "localhost"] {
            assert!(!Ip.is_valid(id), "{id}");
        }
    }
}
