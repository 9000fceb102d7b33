//! Who belongs to the ensemble changes, and with it what this server does.
//!
//! A configuration is seen before it is agreed on: from then on its voters decide together with
//! those of the present one. Agreed on, it may make another of this server: one that votes or one
//! that only observes, or the learner of another leader.

use znode::proto::Zxid;

use super::{QuorumPeer, Role};
use crate::election::vote::Vote;
use crate::log::record::{Body, Logged};
use crate::node::Node;
use crate::node::input::ConfigKind;
use crate::node::outbox::Outbox;
use crate::quorum::text::parse;
use crate::quorum::{QuorumConfig, Sid};

impl Node {
    /// A configuration was proposed, or a leader tells it as the newest that it knows. It is
    /// written down before whatever is written next.
    pub(crate) fn config_seen(&mut self, config: QuorumConfig, out: &mut Outbox) {
        if !self.settings.rules.reconfig_enabled {
            return;
        }
        let Some(peer) = self.peer.as_deref_mut() else { return };
        if peer.quorums.see(config) {
            out.save_config(ConfigKind::Next, peer.quorums.last_seen());
        }
    }

    /// What is to be logged may be a reconfiguration: it is seen before it is acknowledged.
    ///
    /// # Errors
    /// It holds no configuration.
    pub(crate) fn config_logged(&mut self, entry: &[u8], out: &mut Outbox) -> Result<(), String> {
        if let Some(config) = config_of(entry)? {
            self.config_seen(config, out);
        }
        Ok(())
    }

    /// A configuration was agreed on, and `designated` is to lead, if that was told. True if this
    /// server has to do something else from now on.
    pub(crate) fn config_agreed(
        &mut self,
        config: QuorumConfig,
        designated: Option<Sid>,
        out: &mut Outbox,
    ) -> bool {
        if !self.settings.rules.reconfig_enabled {
            return false;
        }
        let client_port = self.settings.client_port;
        let Some(peer) = self.peer.as_deref_mut() else { return false };
        let Some(before) = peer.quorums.commit(config) else { return false };
        if let Some(mine) = peer.quorums.committed.members.get(&peer.me)
            && peer.addresses != mine.addresses
        {
            peer.addresses.clone_from(&mine.addresses);
            peer.mesh.moved_to(&mine.addresses);
            out.move_to(&mine.addresses);
        }
        if let Some((host, port)) = peer.other_door(client_port) {
            out.move_clients(host, port);
        }
        let now = &peer.quorums.committed;
        out.save_config(ConfigKind::Committed, now);
        tracing::info!(me = %peer.me, version = %now.version, "a configuration is agreed on");
        if before.is_same_but_version(now) {
            return false;
        }
        let leader = match &peer.role {
            Role::Looking => return true,
            Role::Leading(_) => peer.me,
            Role::Learning(learner) => learner.leader,
        };
        let other_role = before.is_observer(peer.me) != now.is_observer(peer.me);
        let other_leader = match designated {
            Some(designated) => designated != leader,
            None => !before.keeps_voter(leader, now),
        };
        other_role || other_leader
    }

    /// Where clients are to come, if that was agreed on before this server has started, at another
    /// port.
    pub(crate) fn other_door(&self) -> Option<(&str, u16)> {
        let peer = self.peer.as_deref().filter(|_| self.settings.rules.reconfig_enabled)?;
        peer.other_door(self.settings.client_port)
    }

    /// Somebody tells which configuration he knows to be agreed on. Whoever has a leader hears of
    /// it there; one that looks for a leader must know whom to ask. It may know none of those who
    /// vote by now, and so listens to anybody, as Apache's servers do. True if the election begins
    /// anew.
    pub(crate) fn config_told(&mut self, text: &[u8], out: &mut Outbox) -> bool {
        let Some(peer) = self.peer.as_deref() else { return false };
        if !matches!(peer.role, Role::Looking) || !self.settings.rules.reconfig_enabled {
            return false;
        }
        match std::str::from_utf8(text)
            .map_err(|error| error.to_string())
            .and_then(|text| parse(text).map_err(|error| error.to_string()))
        {
            Ok(config) => self.config_agreed(config, None, out),
            Err(why) => {
                tracing::warn!(why, "ignoring a configuration");
                false
            }
        }
    }

    /// Takes up what a reconfiguration has decided, without an election.
    pub(crate) fn take_role(&mut self, leader: Sid, out: &mut Outbox) {
        self.leave_role(out);
        let Some(peer) = self.peer.as_deref_mut() else { return };
        tracing::info!(me = %peer.me, %leader, "a reconfiguration names the leader");
        let vote = Vote {
            leader,
            zxid: peer.history.last_logged().max(self.last_processed),
            peer_epoch: i64::from(peer.epochs.current),
        };
        peer.election.designate(vote);
        self.elected(leader, out);
    }
}

impl QuorumPeer {
    /// Where clients are to come, as far as it is agreed on, if they come to another port. Who has
    /// no port for plain text gets none.
    fn other_door(&self, port: u16) -> Option<(&str, u16)> {
        let mine = self.quorums.committed.members.get(&self.me)?;
        let (host, told) = mine.client.as_ref()?;
        (![0, *told].contains(&port)).then_some((host, *told))
    }

    /// The place of the reconfiguration that is under way, if one is.
    pub(crate) fn reconfig_under_way(&self) -> Option<Zxid> {
        self.quorums.proposed.as_ref().map(|config| config.version)
    }
}

/// The configuration that a transaction makes, if it is a reconfiguration.
///
/// # Errors
/// It is one, and there is none in it.
pub(crate) fn config_of(entry: &[u8]) -> Result<Option<QuorumConfig>, String> {
    if !Logged::is_reconfig(entry) {
        return Ok(None);
    }
    let logged = Logged::read(entry).map_err(|error| error.to_string())?;
    let Body::SetData(txn) = &logged.body else {
        return Err("a reconfiguration that writes nothing".to_owned());
    };
    let text = std::str::from_utf8(txn.data.unwrap_or_default());
    let text = text.map_err(|error| error.to_string())?;
    parse(text).map(Some).map_err(|error| error.to_string())
}
