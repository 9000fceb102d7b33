//! A learner is told by its leader who belongs to the ensemble.

use bytes::Bytes;
use znode::proto::Decoder;

use super::{Activation, Phase};
use crate::node::Node;
use crate::node::outbox::Outbox;
use crate::peer::reconfig::config_of;
use crate::peer::{QuorumPeer, Role};
use crate::quorum::Sid;
use crate::quorum::text::parse;
use crate::zab::history::Entry;
use crate::zab::packet::{Kind, QuorumPacket};

impl Node {
    /// Has a transaction written that comes next; if it is a reconfiguration, that is seen first.
    pub(super) fn log_next(&mut self, entry: Entry, out: &mut Outbox) -> Result<(), String> {
        self.config_logged(&entry.bytes, out)?;
        out.append_bytes(entry.zxid, &entry.bytes);
        let Some(QuorumPeer { history, .. }) = self.peer.as_deref_mut() else { return Ok(()) };
        history.push(entry)
    }

    /// The newest configuration that a new leader knows, and completes. What cannot be read is
    /// passed over, as Apache's learners do: a leader that needs it understood proposes it.
    pub(super) fn leader_tells_config(&mut self, packet: &QuorumPacket<'_>, out: &mut Outbox) {
        let data = packet.data.filter(|data| data.len() > 1);
        let Some(text) = data.map(String::from_utf8_lossy) else { return };
        match parse(&text) {
            Ok(config) => {
                self.config_seen(config.clone(), out);
                if let Some(QuorumPeer { role: Role::Learning(learner), .. }) =
                    self.peer.as_deref_mut()
                {
                    learner.config = Some(config);
                }
            }
            Err(error) => tracing::warn!(%error, "ignoring the configuration of the leader"),
        }
    }

    /// A quorum follows: what the leader began with is agreed on. What it has only proposed is not,
    /// whatever it has told. True if this server has to do something else.
    pub(super) fn leaders_config_agreed(&mut self, out: &mut Outbox) -> bool {
        let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return false;
        };
        let decided = history.last_logged();
        let begins = |version: znode::proto::Zxid| version.counter() == 0 || version <= decided;
        let config = learner.config.take().filter(|config| begins(config.version));
        config.is_some_and(|config| self.config_agreed(config, None, out))
    }

    /// A reconfiguration is decided: it holds as soon as it is applied here.
    pub(super) fn hear_activated(&mut self, packet: &QuorumPacket<'_>) -> Result<(), String> {
        let mut from = Decoder::new(packet.data.unwrap_or_default());
        let designated = Sid(from.read().map_err(|error| error.to_string())?);
        if packet.kind == Kind::InformAndActivate {
            let inform = QuorumPacket {
                kind: Kind::Inform,
                zxid: packet.zxid,
                data: Some(from.rest()),
                authinfo: None,
            };
            self.receive(&inform)?;
        }
        self.hear_decided(packet.zxid)?;
        let Some(QuorumPeer { role: Role::Learning(learner), history, .. }) =
            self.peer.as_deref_mut()
        else {
            return Ok(());
        };
        let mut known = history.tail().chain(&learner.pending);
        let entry = known.find(|entry| entry.zxid == packet.zxid);
        let bytes = entry.map_or_else(Bytes::new, |entry| entry.bytes.clone());
        let config = config_of(&bytes)?.ok_or("what is to be activated is no configuration")?;
        learner.activation = Some(Activation { config, designated });
        Ok(())
    }

    /// Takes up what a reconfiguration has made of this server, once it is applied here.
    pub(super) fn activate(&mut self, out: &mut Outbox) {
        let last_processed = self.last_processed;
        let Some(QuorumPeer { role: Role::Learning(learner), .. }) = self.peer.as_deref_mut()
        else {
            return;
        };
        let is_due = |activation: &mut Activation| activation.config.version <= last_processed;
        if learner.phase != Phase::Serving {
            return;
        }
        let Some(Activation { config, designated }) = learner.activation.take_if(is_due) else {
            return;
        };
        if self.config_agreed(config, Some(designated), out) {
            self.take_role(designated, out);
        }
    }
}
