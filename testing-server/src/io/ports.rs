//! Ports: where the server leaves bytes for a connection that another connection's task does not
//! own.

use std::task::{Context, Waker};

use crate::node::input::ConnId;

/// How many bytes may wait for a client that does not read. A single reply may be larger; a client
/// this far behind has stopped reading, and its connection is cut.
const UNREAD_MAX: usize = 4 * 1024 * 1024;

/// How many bytes may wait for another server: it may be sent everything, and then falls behind by
/// what happens meanwhile.
const LINK_UNREAD_MAX: usize = 256 * 1024 * 1024;

/// What is left for one connection.
#[derive(Debug)]
pub(super) struct Port {
    /// Bytes that other connections' requests have made for this one: events above all.
    pub(super) bytes: Vec<u8>,
    /// Wakes the task of the connection.
    waker: Option<Waker>,
    /// How the connection is to end.
    pub(super) end: Option<End>,
    /// How many bytes may wait.
    limit: usize,
    /// Whether another server is at the other end.
    pub(super) is_link: bool,
}

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After everything was sent.
    Close,
    /// At once.
    Cut,
}

/// Every port, by the slot of its connection.
#[derive(Debug, Default)]
pub(super) struct Ports {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    port: Option<Port>,
}

impl Port {
    fn new(is_link: bool) -> Self {
        let limit = if is_link { LINK_UNREAD_MAX } else { UNREAD_MAX };
        Self { bytes: Vec::new(), waker: None, end: None, limit, is_link }
    }

    /// Has the task woken when something happens here.
    pub(super) fn register(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
    }

    /// Leaves bytes; false if the client is too far behind.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if self.bytes.len() > self.limit {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        self.wake();
        true
    }

    /// Wakes the task.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Ports {
    /// Opens a port for a new connection.
    pub(super) fn open(&mut self, is_link: bool) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("connections are bounded")
        });
        let entry = &mut self.slots[slot as usize];
        entry.port = Some(Port::new(is_link));
        ConnId { slot, generation: entry.generation }
    }

    /// The port of a connection that is not over.
    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Port> {
        let slot = self.slots.get_mut(conn.slot as usize)?;
        slot.port.as_mut().filter(|_| slot.generation == conn.generation)
    }

    /// Closes a port; its slot goes to another connection.
    pub(super) fn release(&mut self, conn: ConnId) {
        if self.get(conn).is_some() {
            let slot = &mut self.slots[conn.slot as usize];
            slot.port = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(conn.slot);
        }
    }

    /// Every connection that is not over.
    pub(super) fn ids(&self) -> Vec<ConnId> {
        let id = |(slot, entry): (u32, &Slot)| {
            entry.port.as_ref().map(|_| ConnId { slot, generation: entry.generation })
        };
        (0..).zip(&self.slots).filter_map(id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_slot_belongs_to_a_new_generation() {
        let mut ports = Ports::default();
        let old = ports.open(false);
        ports.release(old);
        let new = ports.open(false);
        assert_eq!((new.slot, new.generation), (old.slot, old.generation + 1));
        assert!(ports.get(old).is_none());
        ports.release(old);
        assert_eq!(ports.ids(), [new]);
    }

    #[test]
    fn a_client_that_does_not_read_is_noticed() {
        let mut port = Port::new(false);
        assert!(port.push(&vec![0; UNREAD_MAX + 1]));
        assert!(!port.push(b"x"));
    }
}
