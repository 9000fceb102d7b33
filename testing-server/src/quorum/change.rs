//! One configuration made from another, as a client asks for it: servers that join and leave, or
//! all of them anew.

use std::net::IpAddr;

use znode::proto::requests::ReconfigRequest;
use znode::proto::{ErrorCode, Zxid};

use super::member::{Member, Role};
use super::text::{InvalidConfig, number, parse};
use super::{QuorumConfig, Sid};

impl QuorumConfig {
    /// The configuration that a request makes of this one, in which `version` is the transaction
    /// that does so. With `standalone_enabled` one voter alone would be no ensemble.
    ///
    /// # Errors
    /// What Apache's server answers, in its order: numbers that cannot be read are
    /// `MarshallingError`, everything else that is wrong is `BadArguments`.
    pub(crate) fn changed(
        &self,
        request: &ReconfigRequest<'_>,
        version: Zxid,
        standalone_enabled: bool,
    ) -> Result<Self, ErrorCode> {
        let next = match request.new_members.as_deref() {
            Some(members) => Self::of_request(members, standalone_enabled),
            None => self.incremented(request.joining.as_deref(), request.leaving.as_deref()),
        };
        let next = next.and_then(|next| {
            let next = Self { version, ..next };
            next.check_readable().map(|()| next)
        });
        let next = next.map_err(|error| {
            tracing::warn!(%error, "refusing a reconfiguration");
            error.code()
        })?;
        let least = if standalone_enabled { 2 } else { 1 };
        let voters = next.voters().count();
        if voters < least {
            tracing::warn!(voters, least, "refusing a reconfiguration: too few would vote");
            return Err(ErrorCode::BadArguments);
        }
        Ok(next)
    }

    /// All members anew, with commas or line ends between them.
    fn of_request(members: &str, standalone_enabled: bool) -> Result<Self, InvalidConfig> {
        let next = parse(&members.replace(',', "\n"))?;
        let voters = next.voters().count();
        let observers = next.members.len() - voters;
        // Apache's parser takes no such file either, and says so in its own way.
        if voters == 0 && !standalone_enabled {
            return Err(InvalidConfig::Voters("nobody would vote"));
        }
        if observers > 0 && (voters == 0 || voters == 1 && standalone_enabled) {
            return Err(InvalidConfig::Voters("observers take more than one voter to follow"));
        }
        Ok(next)
    }

    /// Some leave, then some join, or change.
    fn incremented(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
    ) -> Result<Self, InvalidConfig> {
        if !self.is_majority() {
            let why = "servers join and leave one by one only where a plain majority decides";
            return Err(InvalidConfig::rule(why));
        }
        let mut next = self.clone();
        for leaving in items(leaving) {
            let sid = leaving.parse().map(Sid);
            next.members.remove(&sid.map_err(|_| InvalidConfig::number(leaving))?);
        }
        for joiner in items(joining) {
            let wrong = |why: &str| InvalidConfig::rule(format!("{joiner}: {why}"));
            let (name, spec) = match joiner.split('=').map(str::trim).collect::<Vec<_>>()[..] {
                [name, spec] if !name.is_empty() && !spec.is_empty() => (name, spec),
                _ => return Err(wrong("must be server.N=host:port:port[:role];port")),
            };
            let sid = number(name.rsplit('.').next().unwrap_or(name)).map(Sid);
            let sid = sid.map_err(|_| InvalidConfig::number(joiner))?;
            let member: Member = spec.parse()?;
            if member.client.is_none() {
                return Err(wrong("takes a port for clients as well"));
            }
            let others = next.members.iter().filter(|(other, _)| **other != sid);
            for (other, known) in others {
                if let Some(place) = member.shares_place_with(known) {
                    return Err(wrong(&format!("{other} has {}:{} already", place.0, place.1)));
                }
            }
            next.members.insert(sid, member);
        }
        Ok(next)
    }

    /// What has one server join, as a client would ask for it.
    pub(crate) fn joining(sid: Sid, member: &Member) -> ReconfigRequest<'static> {
        ReconfigRequest {
            joining: Some(format!("{sid}={member}").into()),
            leaving: None,
            new_members: None,
            current_config_id: -1,
        }
    }

    /// What has one server leave.
    pub(crate) fn leaving(sid: Sid) -> ReconfigRequest<'static> {
        ReconfigRequest {
            joining: None,
            leaving: Some(sid.0.to_string().into()),
            new_members: None,
            current_config_id: -1,
        }
    }
}

/// What stands between commas; what is empty there counts for nothing.
fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    let list = list.unwrap_or_default().split(',').map(str::trim);
    list.filter(|item| !item.is_empty())
}

impl Member {
    /// Where both would listen. Loopback addresses and those that stand for all addresses are each
    /// machine's own.
    fn shares_place_with(&self, other: &Self) -> Option<(String, u16)> {
        let theirs: Vec<(&str, u16)> = other.places().collect();
        let shared = self.places().find(|place| theirs.contains(place));
        shared.map(|(host, port)| (host.to_owned(), port))
    }

    fn places(&self) -> impl Iterator<Item = (&str, u16)> {
        let peers = self
            .addresses
            .iter()
            .flat_map(|at| [(&*at.host, at.quorum_port), (&*at.host, at.election_port)]);
        let clients = self.client.iter().chain(&self.secure_client);
        let clients = clients.map(|(host, port)| (&**host, *port));
        peers.chain(clients).filter(|(host, _)| !is_everywhere(host))
    }

    /// The same server in another role.
    pub(crate) fn with_role(&self, role: Role) -> Self {
        Self { role, ..self.clone() }
    }
}

fn is_everywhere(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    let special = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    host == "localhost" || address.is_ok_and(special)
}

#[cfg(test)]
mod tests {
    use super::super::text::print;
    use super::*;

    const THREE: &str = "server.1=a:1:2:participant;0.0.0.0:9\n\
                         server.2=b:1:2:participant;0.0.0.0:9\n\
                         server.3=c:1:2:participant;0.0.0.0:9\nversion=7";

    fn request(joining: &str, leaving: &str) -> ReconfigRequest<'static> {
        ReconfigRequest {
            joining: Some(joining.to_owned().into()),
            leaving: Some(leaving.to_owned().into()),
            new_members: None,
            current_config_id: -1,
        }
    }

    fn anew(members: &str) -> ReconfigRequest<'static> {
        let new_members = Some(members.to_owned().into());
        ReconfigRequest { joining: None, leaving: None, new_members, current_config_id: -1 }
    }

    fn made(request: &ReconfigRequest<'_>, standalone_enabled: bool) -> Result<String, ErrorCode> {
        let three = parse(THREE).unwrap();
        three.changed(request, Zxid(0x10), standalone_enabled).map(|config| print(&config))
    }

    #[test]
    fn servers_leave_before_others_join() {
        let both = made(&request("server.4=d:1:2;9, server.2 = b:5:6:observer;9", "3,"), true);
        assert_eq!(
            both.unwrap(),
            "server.1=a:1:2:participant;0.0.0.0:9\nserver.2=b:5:6:observer;0.0.0.0:9\n\
             server.4=d:1:2:participant;0.0.0.0:9\nversion=10"
        );
        // One that leaves may join by the same request, and the address of one that has left is
        // free.
        let again = made(&request("server.3=c:1:2;8,4=b:1:2;9", "3,2"), true).unwrap();
        assert!(again.contains("server.3=c:1:2:participant;0.0.0.0:8\n"), "{again}");
        assert!(again.contains("server.4=b:1:2:"), "{again}");
    }

    #[test]
    fn a_joiner_says_all_of_where_it_is_and_takes_nobodys_place() {
        for (joining, error) in [
            ("server.4=d:1:2", ErrorCode::BadArguments),
            ("server.4=d:1;9", ErrorCode::BadArguments),
            ("server.4", ErrorCode::BadArguments),
            ("server.4=d:1:2=x;9", ErrorCode::BadArguments),
            ("server.x=d:1:2;9", ErrorCode::MarshallingError),
            ("server.-4=d:1:2;9", ErrorCode::MarshallingError),
            ("server.4=a:1:3;9", ErrorCode::BadArguments),
            ("server.4=d:1:2;b:2", ErrorCode::BadArguments),
        ] {
            assert_eq!(made(&request(joining, ""), true), Err(error), "{joining}");
        }
        assert_eq!(made(&request("", "three"), true), Err(ErrorCode::MarshallingError));
        // A server may change what it has; and loopback is everybody's own.
        assert!(made(&request("server.1=a:1:3;9", ""), true).is_ok());
        let local = parse("server.1=127.0.0.1:1:2;9\nserver.2=localhost:3:4;9").unwrap();
        let near = request("server.3=127.0.0.1:1:2;9", "");
        assert!(local.changed(&near, Zxid(1), true).is_ok());
    }

    #[test]
    fn nothing_is_proposed_that_others_could_not_read() {
        for joining in ["server.4=[[d]:1:2;9", "server.4=d:1:2;9;10", "server.4=d:1:2;;10"] {
            let refused = made(&request(joining, ""), true);
            assert_eq!(refused, Err(ErrorCode::BadArguments), "{joining}");
            let anew = anew(&format!("server.1=a:1:2,server.2=b:1:2,{joining}"));
            assert_eq!(made(&anew, true), Err(ErrorCode::BadArguments), "{joining}");
        }
        let many = |count: u32| {
            let members = (1..=count).map(|sid| format!("server.{sid}=h{sid}:1:2"));
            made(&anew(&members.collect::<Vec<_>>().join(",")), true)
        };
        assert!(many(10_000).is_ok());
        assert_eq!(many(20_000), Err(ErrorCode::BadArguments));
        let grouped = |of: &str| anew(&format!("server.1=a:1:2,server.2=b:1:2,group.1=1:2:{of}"));
        assert_eq!(made(&grouped("3"), true), Err(ErrorCode::BadArguments));
        assert!(made(&grouped("3,weight.3=1"), true).is_ok());
    }

    #[test]
    fn enough_servers_must_vote() {
        assert_eq!(made(&request("", "1,2"), true), Err(ErrorCode::BadArguments));
        assert!(made(&request("", "1,2"), false).is_ok());
        assert_eq!(made(&request("", "1,2,3"), false), Err(ErrorCode::BadArguments));
        assert_eq!(made(&anew("server.1=a:1:2;9"), true), Err(ErrorCode::BadArguments));
        assert!(made(&anew("server.1=a:1:2;9"), false).is_ok());
        let observers = anew("server.1=a:1:2:observer;9");
        assert_eq!(made(&observers, false), Err(ErrorCode::MarshallingError));
        assert_eq!(made(&observers, true), Err(ErrorCode::MarshallingError));
        assert_eq!(made(&anew(""), true), Err(ErrorCode::BadArguments));
    }

    #[test]
    fn all_members_may_be_named_anew_and_groups_with_them() {
        let groups = "server.1=a:1:2,server.2=b:1:2,group.1=1:2,version=zz";
        assert_eq!(made(&anew(groups), true), Err(ErrorCode::MarshallingError));
        let groups = "server.1=a:1:2,server.2=b:1:2\ngroup.1=1:2,version=99";
        let made_of = made(&anew(groups), true).unwrap();
        assert!(made_of.ends_with("group.1=1:2\nversion=10"), "{made_of}");
        let alien = "server.1=a:1:2,server.2=b:1:2,tickTime=3";
        assert_eq!(made(&anew(alien), true), Err(ErrorCode::BadArguments));
        // Then nobody joins or leaves alone.
        let grouped = parse("server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2").unwrap();
        let refused = grouped.changed(&request("server.3=c:1:2;9", ""), Zxid(1), true);
        assert_eq!(refused.unwrap_err(), ErrorCode::BadArguments);
    }
}
