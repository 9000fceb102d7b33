//! What a `zoo.cfg` says of an ensemble: who is in it, and how they keep together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use znode::proto::Zxid;

use super::keys::{INT_MAX, Key, Kind, Value};
use super::properties::{self, Property};
use crate::quorum::member::Member;
use crate::quorum::{QuorumConfig, Sid, text};

/// The members of an ensemble, and how they keep together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ensemble {
    /// Which of the members this server is: what stands in the file `myid` of the data directory.
    pub my_id: Option<u64>,
    /// The members, and of which reconfiguration they are: `server.N`, `group.N`, `weight.N`, and
    /// the end of the name of the dynamic file.
    pub(crate) config: QuorumConfig,
    /// How many ticks a follower may take to connect and to catch up: `initLimit`.
    pub init_limit: u32,
    /// How many ticks a follower may stay behind: `syncLimit`.
    pub sync_limit: u32,
    /// How many ticks an observer may take to connect to its learner master:
    /// `connectToLearnerMasterLimit`, the same as `initLimit` unless said.
    pub connect_to_learner_master_limit: u32,
    /// Whether a member that is alone is a server by itself: `standaloneEnabled`.
    pub standalone_enabled: bool,
    /// Whether members may be changed while the ensemble runs: `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// Whether to listen to other members on all addresses: `quorumListenOnAllIPs`.
    pub listen_on_all_addresses: bool,
    /// Whether a leader serves clients, too: `leaderServes`.
    pub leader_serves: bool,
    /// Whether an observer writes to its disk: `syncEnabled`.
    pub sync_enabled: bool,
    /// Where observers may connect to a follower: `observerMasterPort`.
    pub observer_master_port: Option<u16>,
    /// Whether sessions begin local to their server: `localSessionsEnabled`.
    pub local_sessions: bool,
    /// Whether those become global when they need to: `localSessionsUpgradingEnabled`.
    pub local_sessions_upgrading: bool,
    /// Whether a server that finds no leader serves clients that only read:
    /// `readonlymode.enabled`.
    pub read_only_mode: bool,
    /// How long a connection between members for elections may take, in milliseconds:
    /// `cnxTimeout`.
    pub connection_timeout_ms: u64,
    /// Whether a member may have several addresses: `multiAddress.enabled`.
    pub multi_address_enabled: bool,
    /// Where the members stand, if in a file of their own: `dynamicConfigFile`.
    pub dynamic_file: Option<PathBuf>,
    /// The file that all of this stands in.
    pub(crate) config_file: Option<PathBuf>,
}

impl Ensemble {
    /// The members: `server.N`, in the order of their numbers.
    pub fn members(&self) -> impl Iterator<Item = (u64, &Member)> {
        self.config.members.iter().map(|(sid, member)| (sid.0.unsigned_abs(), member))
    }

    /// The members that have a vote.
    pub fn participants(&self) -> impl Iterator<Item = (u64, &Member)> {
        self.members().filter(|(_, member)| member.votes())
    }

    /// Of which reconfiguration the members are: the transaction that made them so, or zero.
    pub fn version(&self) -> Zxid {
        self.config.version
    }

    /// Whether there is an ensemble at all: a single member with `standaloneEnabled` is none.
    pub fn is_distributed(&self) -> bool {
        let voters = self.participants().count();
        voters > 1 || voters == 1 && !self.standalone_enabled
    }

    /// What this server itself is.
    pub fn me(&self) -> Option<&Member> {
        let me = i64::try_from(self.my_id?).ok()?;
        self.config.members.get(&Sid(me))
    }
}

impl Default for Ensemble {
    fn default() -> Self {
        Self {
            my_id: None,
            config: QuorumConfig::majority(BTreeMap::new()),
            init_limit: 0,
            sync_limit: 0,
            connect_to_learner_master_limit: 0,
            standalone_enabled: true,
            reconfig_enabled: false,
            listen_on_all_addresses: false,
            leader_serves: true,
            sync_enabled: true,
            observer_master_port: None,
            local_sessions: false,
            local_sessions_upgrading: false,
            read_only_mode: false,
            connection_timeout_ms: 5000,
            multi_address_enabled: false,
            dynamic_file: None,
            config_file: None,
        }
    }
}

/// What becomes of a key.
pub(super) fn find(key: &str) -> Option<Key> {
    const COUNT: Kind = Kind::Number(0, INT_MAX);
    let flag = |set| Some(Key::Used(Kind::TrueOrFalse, set));
    match key {
        "initLimit" => Some(Key::Used(COUNT, |said, v| said.ensemble.init_limit = v.int())),
        "syncLimit" => Some(Key::Used(COUNT, |said, v| said.ensemble.sync_limit = v.int())),
        "connectToLearnerMasterLimit" => Some(Key::Used(COUNT, |said, v| {
            said.ensemble.connect_to_learner_master_limit = v.int();
        })),
        "cnxTimeout" => Some(Key::Used(Kind::Number(1, INT_MAX), |said, v| {
            said.ensemble.connection_timeout_ms = v.number();
        })),
        "observerMasterPort" => Some(Key::Used(Value::port(), |said, v| {
            let port = u16::try_from(v.number()).ok().filter(|port| *port > 0);
            said.ensemble.observer_master_port = port;
        })),
        "dynamicConfigFile" => Some(Key::Used(Kind::Text, |said, v| {
            said.ensemble.dynamic_file = Some(v.text().into());
        })),
        "multiAddress.enabled" => flag(|said, v| said.ensemble.multi_address_enabled = v.flag()),
        "standaloneEnabled" => flag(|said, v| said.ensemble.standalone_enabled = v.flag()),
        "reconfigEnabled" => flag(|said, v| said.ensemble.reconfig_enabled = v.flag()),
        "quorumListenOnAllIPs" => flag(|said, v| {
            said.ensemble.listen_on_all_addresses = v.flag();
        }),
        "syncEnabled" => flag(|said, v| said.ensemble.sync_enabled = v.flag()),
        "localSessionsEnabled" => flag(|said, v| said.ensemble.local_sessions = v.flag()),
        "localSessionsUpgradingEnabled" => flag(|said, v| {
            said.ensemble.local_sessions_upgrading = v.flag();
        }),
        "leaderServes" => {
            Some(Key::Used(Kind::YesOrNo, |said, v| said.ensemble.leader_serves = v.flag()))
        }
        "electionAlg" => Some(Key::WithoutEffect(Kind::Number(3, 3))),
        "peerType" => Some(Key::WithoutEffect(Kind::OneOf(&["participant", "observer"]))),
        _ if text::is_membership(key) => Some(Key::Membership),
        _ => None,
    }
}

impl Ensemble {
    /// Takes in a dynamic file.
    ///
    /// # Errors
    /// Where it is wrong, and what would be right.
    pub(super) fn read_dynamic(&mut self) -> Result<(), String> {
        let Some(path) = &self.dynamic_file else { return Ok(()) };
        let name = path.display().to_string();
        if !self.config.members.is_empty() || !self.config.is_majority() {
            return Err(format!(
                "dynamicConfigFile={name}: then servers must be named there alone"
            ));
        }
        self.config.version = version_in_name(path).unwrap_or(self.config.version);
        let content = std::fs::read_to_string(path);
        let content = content.map_err(|error| format!("dynamicConfigFile={name}: {error}"))?;
        self.take_dynamic(&name, &content)
    }

    /// Takes in the text of a dynamic file; `name` is what messages call it.
    ///
    /// # Errors
    /// Where it is wrong, and what would be right.
    pub(crate) fn take_dynamic(&mut self, name: &str, content: &str) -> Result<(), String> {
        for Property { line, key, value } in properties::parse(content) {
            let (key, value) = (key.trim(), value.trim());
            let wrong = |what| format!("{name}:{line}: {key}={value}: {what}");
            if key == "version" {
                return Err(wrong("stands in the name of this file, not in it".to_owned()));
            }
            if !text::is_membership(key) {
                return Err(wrong("does not belong into this file".to_owned()));
            }
            self.config.take(key, value).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(())
    }

    /// Whether what was said goes together, as Apache's server asks for it.
    ///
    /// # Errors
    /// What does not, and what would.
    pub(super) fn check(&mut self) -> Result<(), String> {
        if self.connect_to_learner_master_limit == 0 {
            self.connect_to_learner_master_limit = self.init_limit;
        }
        let several = self.members().find(|(_, member)| member.addresses.len() > 1);
        if let Some((id, _)) = several.filter(|_| !self.multi_address_enabled) {
            return Err(format!("server.{id}: several addresses take multiAddress.enabled=true"));
        }
        let voters = self.participants().count();
        let observers = self.config.members.len() - voters;
        if voters == 0 && !self.standalone_enabled {
            return Err("standaloneEnabled=false: takes a server.N that participates".to_owned());
        }
        if observers > 0 && (voters == 0 || voters == 1 && self.standalone_enabled) {
            return Err("server.N: observers take more than one participant to follow".to_owned());
        }
        self.config.check_groups().map_err(|error| error.to_string())?;
        if self.is_distributed() {
            for (key, limit) in [("initLimit", self.init_limit), ("syncLimit", self.sync_limit)] {
                if limit == 0 {
                    return Err(format!("{key}: must be set, to a number of ticks"));
                }
            }
            let Some(my_id) = self.my_id else {
                return Err("myid: this file must be in dataDir, with this server's N".to_owned());
            };
            if self.me().is_none() {
                return Err(format!("myid: says {my_id}, and there is no server.{my_id}"));
            }
        }
        Ok(())
    }
}

/// The version of the configuration that a dynamic file holds. Apache's servers tell it by the end
/// of the name alone.
pub(crate) fn version_in_name(path: &Path) -> Option<Zxid> {
    let suffix = path.extension()?.to_str()?;
    text::version(suffix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensemble(lines: &[&str]) -> Result<Ensemble, String> {
        let mut ensemble =
            Ensemble { init_limit: 5, sync_limit: 2, my_id: Some(1), ..Ensemble::default() };
        for line in lines {
            let (key, value) = line.split_once('=').unwrap();
            ensemble.config.take(key, value).map_err(|error| error.to_string())?;
        }
        ensemble.check().map(|()| ensemble)
    }

    #[test]
    fn groups_and_weights_belong_to_members() {
        let three = ["server.1=a:1:2", "server.2=b:1:2", "server.3=c:1:2"];
        let groups = ["group.1=1:2", "group.2=3", "weight.3=0"];
        let read = ensemble(&[&three[..], &groups].concat()).unwrap();
        assert_eq!(read.config.groups[&1], [1, 2].map(Sid).into());
        assert_eq!(read.config.weights[&Sid(3)], 0);
        assert!(read.is_distributed());
        assert_eq!(read.connect_to_learner_master_limit, 5);
        let error = |more: &str| ensemble(&[&three[..], &[more]].concat()).unwrap_err();
        assert!(error("group.1=1:2").contains("server.3: is in no group"));
        assert!(error("group.1=x").contains("numbers of servers"));
        assert!(error("weight.1=-1").contains("whole number"));
        let twice = ensemble(&["group.1=1", "group.2=1:2"]).unwrap_err();
        assert!(twice.contains("server.1 is in another group"));
    }

    #[test]
    fn who_may_be_alone_and_who_may_not() {
        assert!(!ensemble(&["server.1=a:1:2"]).unwrap().is_distributed());
        assert!(!ensemble(&[]).unwrap().is_distributed());
        let observers = ensemble(&["server.1=a:1:2", "server.2=b:1:2:observer"]).unwrap_err();
        assert!(observers.contains("observers take"), "{observers}");
        let stranger = ensemble(&["server.2=a:1:2", "server.3=b:1:2"]).unwrap_err();
        assert!(stranger.contains("says 1, and there is no server.1"), "{stranger}");
        let several = ensemble(&["server.1=a:1:2|b:1:2", "server.2=c:1:2"]).unwrap_err();
        assert!(several.contains("server.1: several addresses take"), "{several}");
        let mut alone = Ensemble { standalone_enabled: false, ..Ensemble::default() };
        assert!(alone.check().unwrap_err().contains("takes a server.N"));
    }
}
