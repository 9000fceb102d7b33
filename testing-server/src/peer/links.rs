//! Whose connection a message came over, and who is to get one.

use znode::proto::Decoder;

use super::{QuorumPeer, Role};
use crate::election::Tell;
use crate::election::mesh::Action;
use crate::election::notification::Notification;
use crate::node::Node;
use crate::node::input::{ConnId, LinkKind};
use crate::node::outbox::Outbox;
use crate::quorum::Sid;
use crate::quorum::text::print;
use crate::zab::packet::QuorumPacket;

impl Node {
    /// A server has connected.
    pub(crate) fn link_accepted(&mut self, link: ConnId, kind: LinkKind, out: &mut Outbox) {
        match (kind, self.peer.as_deref_mut()) {
            (LinkKind::Election, Some(peer)) => {
                let mut actions = Vec::new();
                peer.mesh.accepted(link, &mut actions);
                self.act(actions, out);
            }
            (LinkKind::Quorum, Some(_)) => self.learner_connected(link, out),
            (_, None) => out.close(link),
        }
    }

    /// A connection to a server has come about, or has not.
    pub(crate) fn link_dialed(
        &mut self,
        kind: LinkKind,
        to: Sid,
        link: Option<ConnId>,
        out: &mut Outbox,
    ) {
        match (kind, self.peer.as_deref_mut()) {
            (LinkKind::Election, Some(peer)) => {
                let mut actions = Vec::new();
                peer.mesh.dialed(to, link, &mut actions);
                self.act(actions, out);
            }
            (LinkKind::Quorum, Some(_)) => self.leader_dialed(to, link, out),
            (_, None) => link.into_iter().for_each(|link| out.close(link)),
        }
    }

    /// A message of an election.
    pub(crate) fn link_message(&mut self, link: ConnId, bytes: &[u8], out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        if peer.mesh.is_stranger(link) {
            let mut actions = Vec::new();
            let quorums = &peer.quorums;
            let is_known = |sid| quorums.member(sid).is_some();
            peer.mesh.greeted(link, bytes, is_known, &mut actions);
            return self.act(actions, out);
        }
        let Some(from) = peer.mesh.peer(link) else {
            return out.close(link);
        };
        let notification = match Notification::read(bytes) {
            Ok(notification) => notification,
            Err(why) => {
                tracing::warn!(%from, why, "ignoring a notification");
                return;
            }
        };
        let news = notification
            .config
            .filter(|config| **config != *print(&peer.quorums.committed).as_bytes());
        if let Some(config) = news
            && self.config_told(&config, out)
        {
            self.step_down("there is a newer configuration", out);
        }
        let Some(peer) = self.peer.as_deref_mut() else { return };
        let mut tell = Vec::new();
        let ballot = &notification.ballot;
        let decided = peer.election.receive(self.now, from, ballot, &peer.quorums, &mut tell);
        self.tell(&tell, out);
        if let Some(leader) = decided {
            self.elected(leader, out);
        }
    }

    /// A packet between a leader and a learner.
    pub(crate) fn link_packet(&mut self, link: ConnId, bytes: &[u8], out: &mut Outbox) {
        let read = Decoder::new(bytes).read::<QuorumPacket<'_>>();
        let Ok(packet) = read else {
            self.link_closed(link, out);
            return out.close(link);
        };
        match self.peer.as_deref() {
            Some(QuorumPeer { role: Role::Leading(_), .. }) => {
                self.leader_packet(link, &packet, out);
            }
            Some(QuorumPeer { role: Role::Learning(_), .. }) => {
                self.learner_packet(link, &packet, out);
            }
            _ => out.close(link),
        }
    }

    /// A connection to or from a server is no more.
    pub(crate) fn link_closed(&mut self, link: ConnId, out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        peer.mesh.closed(link);
        match &peer.role {
            Role::Leading(_) => {
                self.learner_lost(link);
                self.hand_over_alone(out);
            }
            Role::Learning(learner) if learner.link() == Some(link) => {
                self.step_down("the connection to the leader broke", out);
            }
            _ => {}
        }
    }

    /// Sends notifications.
    pub(crate) fn tell(&mut self, tell: &[Tell], out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        if tell.is_empty() {
            return;
        }
        let config = print(&peer.quorums.committed);
        let mut actions = Vec::new();
        for Tell { to, ballot } in tell {
            let mut bytes = Vec::new();
            Notification::put(ballot, &config, &mut bytes);
            peer.mesh.send(*to, &bytes, &mut actions);
        }
        self.act(actions, out);
    }

    fn act(&mut self, actions: Vec<Action>, out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref() else { return };
        for action in actions {
            match action {
                Action::Dial(to, told) => {
                    let member = peer.quorums.member(to);
                    let known = member.map(|member| {
                        let addresses = member.addresses.iter();
                        addresses.map(|at| (at.host.clone(), at.election_port)).collect()
                    });
                    out.dial(LinkKind::Election, to, known.unwrap_or(told));
                }
                Action::Send(link, bytes) => out.raw(link, &bytes),
                Action::Close(link) => out.close(link),
            }
        }
    }
}
