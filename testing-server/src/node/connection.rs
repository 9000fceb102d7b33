//! What the server knows of each connection.

use std::net::SocketAddr;
use std::sync::Arc;

use znode::Moment;

use super::input::ConnId;
use crate::admin::stats::ConnectionStats;
use crate::auth::sasl::Conversation;
use crate::auth::{Identity, ip};
use crate::session::SessionSlot;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing has arrived yet; it may become a session or send a four-letter word.
    Handshake,
    /// It speaks for a session. That session's transaction may still be on its way to the disk:
    /// whatever arrives meanwhile is answered behind it.
    Open(SessionSlot),
    /// It has come back with a session, and the leader is asked whether that lives. What arrives
    /// meanwhile is kept.
    Moving,
    /// It will be closed once the answers before it have gone out; what arrives is ignored.
    Closing(SessionSlot),
}

impl Phase {
    /// The session that the connection speaks for, or spoke for until now.
    pub(crate) fn session(self) -> Option<SessionSlot> {
        match self {
            Self::Handshake | Self::Moving => None,
            Self::Open(slot) | Self::Closing(slot) => Some(slot),
        }
    }
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Plain text.
    Plain,
    /// The handshake is under way.
    Securing,
    /// TLS.
    Secure,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its number.
    pub(crate) id: ConnId,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Since when it stands.
    pub(crate) established: Moment,
    /// How far it has come.
    pub(crate) phase: Phase,
    /// Who its client is. Requests that wait keep the list as it was when they arrived.
    pub(crate) identities: Arc<[Identity]>,
    /// Whether it is encrypted.
    pub(crate) wire: Wire,
    /// What was said by SASL.
    pub(crate) sasl: Conversation,
    /// How many of its requests wait for the disk.
    pub(crate) outstanding: u32,
    /// Whether its client sent the byte that says if a read-only server will do.
    pub(crate) sent_read_only: bool,
    /// What has arrived while its session was being moved.
    pub(crate) held: Vec<Box<[u8]>>,
    pub(crate) stats: ConnectionStats,
}

/// Every connection, by its slot.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Option<Box<Connection>>>,
    len: usize,
}

impl Connections {
    /// Adds a connection.
    pub(crate) fn insert(&mut self, id: ConnId, peer: SocketAddr, now: Moment) {
        let slot = id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        let connection = Box::new(Connection {
            id,
            peer,
            established: now,
            phase: Phase::Handshake,
            identities: [ip::identity(peer.ip())].into(),
            wire: Wire::Plain,
            sasl: Conversation::default(),
            outstanding: 0,
            sent_read_only: false,
            held: Vec::new(),
            stats: ConnectionStats::NONE,
        });
        if self.slots[slot].replace(connection).is_none() {
            self.len += 1;
        }
    }

    /// Forgets a connection; nothing happens if its slot is another's by now.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Box<Connection>> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let found = slot.take_if(|connection| connection.id == id)?;
        self.len -= 1;
        Some(found)
    }

    /// The connection.
    pub(crate) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.at(id.slot).filter(|connection| connection.id == id)
    }

    /// The connection, to change it.
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        let connection = self.slots.get_mut(id.slot as usize)?.as_deref_mut()?;
        (connection.id == id).then_some(connection)
    }

    /// Whatever connection is in a slot.
    pub(crate) fn at(&self, slot: u32) -> Option<&Connection> {
        self.slots.get(slot as usize)?.as_deref()
    }

    /// Every connection, in the order of the slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().flatten().map(|connection| &**connection)
    }

    /// Every connection, to change it.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().flatten().map(|connection| &mut **connection)
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Forgets every connection.
    pub(crate) fn clear(&mut self) -> Vec<ConnId> {
        self.len = 0;
        self.slots.drain(..).flatten().map(|connection| connection.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_was_used_again_is_not_mistaken() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 7));
        let old = ConnId { slot: 3, generation: 0 };
        let new = ConnId { slot: 3, generation: 1 };
        let mut connections = Connections::default();
        connections.insert(old, peer, Moment::START);
        connections.remove(old);
        connections.insert(new, peer, Moment::START);
        assert!(connections.get(old).is_none());
        assert!(connections.remove(old).is_none());
        assert_eq!(connections.get(new).unwrap().id, new);
        assert_eq!(connections.len(), 1);
    }
}
