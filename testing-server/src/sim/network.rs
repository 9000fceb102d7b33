//! The links between servers, and those of clients: in order, late, cut anywhere.

use std::time::Duration;

use znode::Moment;

use super::transcript;
use super::world::{Event, World};
use crate::election::mesh;
use crate::node::input::{ConnId, Input, LinkKind};
use crate::quorum::Sid;
use crate::zab::stream;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Server(usize, ConnId),
    Client(usize),
}

/// A connection as one server sees it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) other: End,
    kind: Option<LinkKind>,
    buffer: Vec<u8>,
    reader: stream::Reader,
    is_greeting: bool,
}

impl World {
    /// Sends bytes, or the end of a connection, to the other side: in order, later.
    pub(super) fn send(&mut self, from: End, to: End, bytes: Vec<u8>) {
        let after = Duration::from_micros(self.random.between(20, 2000));
        let due = self.order.entry((from, to)).or_insert(Moment::START);
        *due = (self.now + after).max(*due);
        let due = *due;
        self.sequence += 1;
        self.events.insert((due, self.sequence), Event::Arrive(from, to, bytes));
    }

    pub(super) fn arrive(&mut self, from: End, to: End, bytes: &[u8]) {
        if let (End::Server(a, _), End::Server(b, _)) = (from, to)
            && let Some(waiting) = self.cut.get_mut(&(a, b))
        {
            waiting.push(Event::Arrive(from, to, bytes.to_vec()));
            return;
        }
        self.note(bytes.len() as u64);
        match to {
            End::Server(server, conn) => self.arrive_at_server(server, conn, bytes),
            End::Client(client) => {
                let End::Server(server, conn) = from else { return };
                if self.clients[client].at != Some((server, conn)) {
                    return;
                }
                if bytes.is_empty() {
                    self.clients[client].disconnected();
                } else {
                    self.clients[client].receive(self.now, bytes, &mut self.oracle);
                }
            }
        }
    }

    fn arrive_at_server(&mut self, server: usize, conn: ConnId, bytes: &[u8]) {
        let Some(wire) = self.servers[server].ends.get_mut(&conn) else { return };
        let kind = wire.kind;
        if bytes.is_empty() {
            self.servers[server].ends.remove(&conn);
            let input = match kind {
                Some(_) => Input::LinkClosed { link: conn },
                None => Input::Closed { conn },
            };
            return self.input(server, input);
        }
        wire.buffer.extend_from_slice(bytes);
        loop {
            let Some(wire) = self.servers[server].ends.get_mut(&conn) else { return };
            let Some((used, frame, is_snapshot)) = wire.next() else { return };
            wire.buffer.drain(..used);
            let greets = std::mem::take(&mut wire.is_greeting);
            let bytes = &frame[..];
            if let (Some(script), End::Server(from, _), Some(kind)) =
                (&mut self.script, wire.other, kind)
                && let Some(said) = transcript::say(kind, greets, is_snapshot, bytes)
            {
                script.push(format!("{} -> {}: {said}", from + 1, server + 1));
            }
            let input = match kind {
                None => Input::Frame { conn, bytes },
                Some(LinkKind::Election) => Input::LinkMessage { link: conn, bytes },
                Some(LinkKind::Quorum) if is_snapshot => Input::LinkSnapshot { link: conn, bytes },
                Some(LinkKind::Quorum) => Input::LinkPacket { link: conn, bytes },
            };
            self.input(server, input);
        }
    }

    pub(super) fn dialed(
        &mut self,
        server: usize,
        incarnation: u32,
        kind: LinkKind,
        target: usize,
    ) {
        let this = &self.servers[server];
        if this.incarnation != incarnation || this.node.is_none() {
            return;
        }
        let to = Sid(i64::try_from(target + 1).expect("few servers"));
        let other = &self.servers[target];
        let is_open = kind == LinkKind::Election || other.is_listening;
        let is_cut = [(server, target), (target, server)]
            .iter()
            .any(|direction| self.cut.contains_key(direction));
        if is_cut || !is_open || other.node.is_none() || other.is_paused {
            return self.input(server, Input::LinkDialed { kind, to, link: None });
        }
        let (link, peer) = (self.servers[server].open(), self.servers[target].open());
        let wire = |other, is_greeting| Wire {
            other,
            kind: Some(kind),
            buffer: Vec::new(),
            reader: stream::Reader::default(),
            is_greeting,
        };
        self.servers[server].ends.insert(link, wire(End::Server(target, peer), false));
        let greets = kind == LinkKind::Election;
        self.servers[target].ends.insert(peer, wire(End::Server(server, link), greets));
        self.input(target, Input::LinkAccepted { link: peer, kind });
        self.input(server, Input::LinkDialed { kind, to, link: Some(link) });
    }

    pub(super) fn client(&mut self, client: usize) {
        // Now and then one is lost in thought.
        let longest = if self.random.once_in(40) { 2500 } else { 30 };
        let pause = self.random.between(1, longest);
        self.at(Duration::from_millis(pause), Event::Client(client));
        let now = self.now;
        if self.clients[client].is_tired(now)
            && let Some((server, conn)) = self.clients[client].at
        {
            self.clients[client].disconnected();
            self.send(End::Client(client), End::Server(server, conn), Vec::new());
        }
        let bytes = match self.clients[client].at {
            Some(_) => self.clients[client].ask(&self.oracle),
            None => self.connect(client),
        };
        if let (Some(bytes), Some((server, conn))) = (bytes, self.clients[client].at) {
            self.send(End::Client(client), End::Server(server, conn), bytes);
        }
    }

    /// Clients do nothing more by themselves.
    pub(super) fn forget_clients(&mut self) {
        self.events.retain(|_, event| !matches!(event, Event::Client(_)));
    }

    fn connect(&mut self, client: usize) -> Option<Vec<u8>> {
        let server = self.random.below(self.servers.len());
        if self.servers[server].node.is_none() || self.servers[server].is_paused {
            return None;
        }
        let conn = self.servers[server].open();
        let wire = Wire {
            other: End::Client(client),
            kind: None,
            buffer: Vec::new(),
            reader: stream::Reader::default(),
            is_greeting: false,
        };
        self.servers[server].ends.insert(conn, wire);
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 7));
        self.input(server, Input::Accepted { conn, peer });
        let now = self.now;
        Some(self.clients[client].connected(now, (server, conn)))
    }
}

impl Wire {
    /// The next message: how many bytes it took, its content, and whether it is a snapshot.
    fn next(&mut self) -> Option<(usize, Vec<u8>, bool)> {
        let bytes = &self.buffer[..];
        match self.kind {
            None => {
                let len = i32::from_be_bytes(*bytes.first_chunk::<4>()?);
                let end = 4 + usize::try_from(len).expect("clients frame");
                Some((end, bytes.get(4..end)?.to_vec(), false))
            }
            Some(LinkKind::Election) => match mesh::next(bytes, self.is_greeting) {
                mesh::Next::Message(range, used) => Some((used, bytes[range].to_vec(), false)),
                mesh::Next::Incomplete => None,
                mesh::Next::Broken => panic!("a server talks nonsense"),
            },
            Some(LinkKind::Quorum) => match self.reader.next(bytes) {
                stream::Next::Packet(range) => Some((range.end, bytes[range].to_vec(), false)),
                stream::Next::Snapshot(range, used) => Some((used, bytes[range].to_vec(), true)),
                stream::Next::Incomplete => None,
                stream::Next::Broken(why) => panic!("a server talks nonsense: {why}"),
            },
        }
    }
}
