//! What operators are told of the other servers.

use std::fmt::Write as _;

#[cfg(feature = "admin")]
use super::json::{Json, Map};
use crate::node::Node;
use crate::peer::QuorumPeer;
use crate::quorum::member::MemberAddress;
#[cfg(feature = "admin")]
use crate::quorum::member::{Bracketed, Member};
use crate::quorum::text::print;

impl Node {
    /// The number of this server in its ensemble; zero if it stands alone.
    pub(super) fn own_number(&self) -> i64 {
        self.peer.as_deref().map_or(0, |peer| peer.me.0)
    }

    /// What `conf` says of an ensemble, behind everything else.
    pub(super) fn ensemble_configuration(&self) -> String {
        let Some(peer) = self.peer.as_deref() else { return String::new() };
        let QuorumPeer { settings, quorums, addresses, .. } = peer;
        let ticks = |time: std::time::Duration| {
            time.as_millis().checked_div(settings.tick.as_millis()).unwrap_or(0)
        };
        let ports = |port: fn(&MemberAddress) -> u16| {
            let ports: Vec<String> = addresses.iter().map(|at| port(at).to_string()).collect();
            ports.join("|")
        };
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={}\n\
             peerType={}\nmembership: \n{}",
            ticks(settings.init_limit),
            ticks(settings.sync_limit),
            ports(|at| at.election_port),
            ports(|at| at.quorum_port),
            i32::from(quorums.committed.is_observer(peer.me)),
            print(&quorums.committed),
        );
        text
    }

    /// Those who vote, and where they are.
    #[cfg(feature = "admin")]
    pub(crate) fn voting_view(&self) -> Map {
        let config = self.peer.as_deref().map(|peer| &peer.quorums.committed);
        let members = config.into_iter().flat_map(|config| &config.members);
        let voters = members.filter(|(_, member)| member.votes());
        let voters = voters.map(|(sid, member)| (sid.0.to_string(), Json::Map(view(member))));
        vec![("current_config".to_owned(), Json::Map(voters.collect()))]
    }
}

#[cfg(feature = "admin")]
fn view(member: &Member) -> Map {
    let place = |host: &str, port: u16| format!("{}:{port}", Bracketed(host));
    let places = |port: fn(&MemberAddress) -> u16| {
        let places = member.addresses.iter().map(|at| Json::Text(place(&at.host, port(at))));
        Json::List(places.collect())
    };
    let client = member.client.as_ref().map(|(host, port)| place(host, *port));
    let entry = |name: &str, value| (name.to_owned(), value);
    vec![
        entry("serverAddresses", places(|at| at.quorum_port)),
        entry("electionAddresses", places(|at| at.election_port)),
        entry("clientAddress", Json::Text(client.unwrap_or_default())),
        entry("learnerType", Json::Text(member.role.to_string())),
    ]
}
