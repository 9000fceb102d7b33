//! The connections of an election: one between each two servers, kept by the one with the larger
//! number.
//!
//! A connection carries nothing but the newest message: each peer has one place in line, and what
//! is newer takes it. When a connection comes about anew, the last message goes out again, for it
//! may have been lost with the one before.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use znode::proto::{Decoder, JutePut};

use crate::node::input::ConnId;
use crate::quorum::Sid;
use crate::quorum::member::{Bracketed, MemberAddress, split_host};

/// What the first message begins with, where one address is told, and where several are.
const VERSION_1: i64 = -65536;
const VERSION_2: i64 = -65535;

/// The longest list of addresses, and the longest message, as Apache has them.
const ADDRESSES_MAX: usize = 2048;
const MESSAGE_MAX: usize = 512 * 1024;

/// How many servers that are in no configuration may be remembered: they come to join. Of too many,
/// the first that has no connection is forgotten; it may come again.
const STRANGERS_MAX: usize = 32;

/// How many connections may not have said whose they are. A server says so at once.
const SILENT_MAX: usize = 64;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Connect to a server; to where it says that it is, if it is in no configuration.
    Dial(Sid, Vec<(String, u16)>),
    /// Send bytes.
    Send(ConnId, Vec<u8>),
    /// Close a connection.
    Close(ConnId),
}

/// The bytes of a connection as messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The message that lies in this range, and how many bytes it took.
    Message(Range<usize>, usize),
    /// Its end has not arrived.
    Incomplete,
    /// No server would send that.
    Broken,
}

/// Cuts one message off the front; the first of a connection that was accepted is a greeting.
pub(crate) fn next(bytes: &[u8], is_greeting: bool) -> Next {
    let number = |at: usize| bytes.get(at..at + 4)?.first_chunk::<4>().copied();
    if is_greeting {
        let Some(len) = number(16) else {
            return Next::Incomplete;
        };
        return match usize::try_from(i32::from_be_bytes(len)) {
            Ok(len @ 1..=ADDRESSES_MAX) if bytes.len() >= 20 + len => {
                Next::Message(0..20 + len, 20 + len)
            }
            Ok(1..=ADDRESSES_MAX) => Next::Incomplete,
            _ => Next::Broken,
        };
    }
    let Some(len) = number(0) else {
        return Next::Incomplete;
    };
    match usize::try_from(i32::from_be_bytes(len)) {
        Ok(len @ 1..=MESSAGE_MAX) if bytes.len() >= 4 + len => Next::Message(4..4 + len, 4 + len),
        Ok(1..=MESSAGE_MAX) => Next::Incomplete,
        _ => Next::Broken,
    }
}

/// The connections of one server.
#[derive(Debug)]
pub(crate) struct Mesh {
    me: Sid,
    /// What this server says of itself to whomever it connects to.
    greeting: Vec<u8>,
    peers: BTreeMap<Sid, Peer>,
    /// Connections that have not said whose they are, the oldest first.
    strangers: VecDeque<ConnId>,
    by_link: BTreeMap<ConnId, Sid>,
    /// How many greetings were read.
    greetings: u64,
}

#[derive(Debug, Default)]
struct Peer {
    link: Option<ConnId>,
    is_dialing: bool,
    /// The newest message, and whether it went out.
    message: Option<(Vec<u8>, bool)>,
    /// Which greeting it has last sent.
    greeted: u64,
    /// Where it says that it is.
    addresses: Vec<(String, u16)>,
}

impl Mesh {
    /// A server without connections, reached at these addresses.
    pub(crate) fn new(me: Sid, addresses: &[MemberAddress]) -> Self {
        let greeting = greeting(me, addresses);
        let (peers, by_link) = (BTreeMap::new(), BTreeMap::new());
        Self { me, greeting, peers, strangers: VecDeque::new(), by_link, greetings: 0 }
    }

    /// The server is reached elsewhere from now on.
    pub(crate) fn moved_to(&mut self, addresses: &[MemberAddress]) {
        self.greeting = greeting(self.me, addresses);
    }

    /// Sends a message, now or as soon as there is a connection.
    pub(crate) fn send(&mut self, to: Sid, message: &[u8], actions: &mut Vec<Action>) {
        let mut framed = Vec::with_capacity(message.len() + 4);
        framed.put_buffer(Some(message));
        let peer = self.peers.entry(to).or_default();
        if let Some(link) = peer.link {
            actions.push(Action::Send(link, framed.clone()));
            peer.message = Some((framed, true));
        } else {
            peer.message = Some((framed, false));
            peer.dial(to, actions);
        }
    }

    /// A connection to a server has come about, or has not.
    pub(crate) fn dialed(&mut self, to: Sid, link: Option<ConnId>, actions: &mut Vec<Action>) {
        let Some(peer) = self.peers.get_mut(&to) else {
            // It was forgotten meanwhile.
            return actions.extend(link.map(Action::Close));
        };
        peer.is_dialing = false;
        let Some(link) = link else { return };
        actions.push(Action::Send(link, self.greeting.clone()));
        if to > self.me {
            // The other one connects back, now that it has been told that we are here.
            actions.push(Action::Close(link));
            return;
        }
        self.keep(to, link, actions);
    }

    /// Somebody has connected. Of too many who say nothing, the first is let go.
    pub(crate) fn accepted(&mut self, link: ConnId, actions: &mut Vec<Action>) {
        self.strangers.push_back(link);
        if self.strangers.len() > SILENT_MAX {
            actions.extend(self.strangers.pop_front().map(Action::Close));
        }
    }

    /// Whether a connection has yet to say whose it is.
    pub(crate) fn is_stranger(&self, link: ConnId) -> bool {
        self.strangers.contains(&link)
    }

    /// A connection says whose it is. `is_known` says whether a server is in a configuration.
    pub(crate) fn greeted(
        &mut self,
        link: ConnId,
        bytes: &[u8],
        is_known: impl Fn(Sid) -> bool,
        actions: &mut Vec<Action>,
    ) {
        self.strangers.retain(|stranger| *stranger != link);
        let Ok((sid, addresses)) = read_greeting(bytes) else {
            return actions.push(Action::Close(link));
        };
        let is_news = !is_known(sid) && !self.peers.contains_key(&sid);
        if sid == self.me || (is_news && !self.has_room(&is_known)) {
            return actions.push(Action::Close(link));
        }
        self.greetings += 1;
        let peer = self.peers.entry(sid).or_default();
        peer.greeted = self.greetings;
        peer.addresses = if is_known(sid) { Vec::new() } else { addresses };
        if sid > self.me {
            return self.keep(sid, link, actions);
        }
        // It has lost the connection that we have, or never had one.
        let before = peer.link.take();
        peer.dial(sid, actions);
        for link in before.into_iter().chain([link]) {
            self.by_link.remove(&link);
            actions.push(Action::Close(link));
        }
    }

    /// Whether one more may be remembered who is in no configuration: another may have to be
    /// forgotten for that.
    fn has_room(&mut self, is_known: impl Fn(Sid) -> bool) -> bool {
        let strangers = self.peers.iter().filter(|(sid, _)| !is_known(**sid));
        if strangers.clone().count() < STRANGERS_MAX {
            return true;
        }
        let left = strangers.filter(|(_, peer)| peer.link.is_none());
        let first = left.min_by_key(|(_, peer)| peer.greeted).map(|(sid, _)| *sid);
        first.is_some_and(|first| self.peers.remove(&first).is_some())
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self, link: ConnId) -> Option<Sid> {
        self.by_link.get(&link).copied()
    }

    /// A connection is no more.
    pub(crate) fn closed(&mut self, link: ConnId) {
        self.strangers.retain(|stranger| *stranger != link);
        let peer = self.by_link.remove(&link).and_then(|sid| self.peers.get_mut(&sid));
        if let Some(peer) = peer.filter(|peer| peer.link == Some(link)) {
            peer.link = None;
        }
    }

    /// Forgets every connection: the server was stopped and starts again.
    pub(crate) fn clear(&mut self) {
        self.peers.clear();
        self.strangers.clear();
        self.by_link.clear();
    }

    fn keep(&mut self, sid: Sid, link: ConnId, actions: &mut Vec<Action>) {
        let peer = self.peers.entry(sid).or_default();
        if let Some(before) = peer.link.replace(link) {
            self.by_link.remove(&before);
            actions.push(Action::Close(before));
        }
        self.by_link.insert(link, sid);
        if let Some((message, sent)) = &mut peer.message {
            *sent = true;
            actions.push(Action::Send(link, message.clone()));
        }
    }
}

impl Peer {
    fn dial(&mut self, sid: Sid, actions: &mut Vec<Action>) {
        if !self.is_dialing {
            self.is_dialing = true;
            actions.push(Action::Dial(sid, self.addresses.clone()));
        }
    }
}

/// What a server says of itself to whomever it connects to.
fn greeting(me: Sid, addresses: &[MemberAddress]) -> Vec<u8> {
    let told =
        |address: &MemberAddress| format!("{}:{}", Bracketed(&address.host), address.election_port);
    let told: Vec<String> = addresses.iter().map(told).collect();
    let version = if told.len() > 1 { VERSION_2 } else { VERSION_1 };
    let mut greeting = Vec::new();
    greeting.put(&version);
    greeting.put(&me.0);
    greeting.put_string(&told.join("|"));
    greeting
}

/// Reads a greeting: who it is, and where.
fn read_greeting(bytes: &[u8]) -> Result<(Sid, Vec<(String, u16)>), String> {
    let mut from = Decoder::new(bytes);
    let told = |error: znode::proto::DecodeError| error.to_string();
    let version: i64 = from.read().map_err(told)?;
    if version != VERSION_1 && version != VERSION_2 {
        return Err(format!("{version} is no version of a greeting"));
    }
    let sid = Sid(from.read().map_err(told)?);
    let addresses = from.buffer().map_err(told)?.unwrap_or_default();
    let addresses = std::str::from_utf8(addresses).map_err(|error| error.to_string())?;
    let read = |address: &str| {
        let (host, port) = split_host(address).map_err(|error| error.to_string())?;
        let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
        Ok((host.to_owned(), port))
    };
    Ok((sid, addresses.split('|').map(read).collect::<Result<_, String>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(me: i64) -> Mesh {
        let address =
            MemberAddress { host: "127.0.0.1".to_owned(), quorum_port: 1, election_port: 3888 };
        Mesh::new(Sid(me), &[address])
    }

    fn link(slot: u32) -> ConnId {
        ConnId { slot, generation: 0 }
    }

    fn does(act: impl FnOnce(&mut Vec<Action>)) -> Vec<Action> {
        let mut actions = Vec::new();
        act(&mut actions);
        actions
    }

    #[test]
    fn the_larger_number_keeps_the_connection_that_it_made() {
        let (mut one, mut two) = (mesh(1), mesh(2));
        let sent = does(|actions| one.send(Sid(2), b"vote", actions));
        assert_eq!(sent, [Action::Dial(Sid(2), vec![])]);
        let told = does(|actions| one.dialed(Sid(2), Some(link(1)), actions));
        let greeting = one.greeting.clone();
        assert_eq!(told, [Action::Send(link(1), greeting.clone()), Action::Close(link(1))]);

        does(|actions| two.accepted(link(7), actions));
        let back = does(|actions| two.greeted(link(7), &greeting, |_| true, actions));
        assert_eq!(back, [Action::Dial(Sid(1), vec![]), Action::Close(link(7))]);
        does(|actions| two.dialed(Sid(1), Some(link(8)), actions));
        assert_eq!(two.peer(link(8)), Some(Sid(1)));

        does(|actions| one.accepted(link(2), actions));
        let greeting = two.greeting.clone();
        let flushed = does(|actions| one.greeted(link(2), &greeting, |_| true, actions));
        assert_eq!(flushed, [Action::Send(link(2), b"\0\0\0\x04vote".to_vec())]);
        assert_eq!(one.peer(link(2)), Some(Sid(2)));
    }

    #[test]
    fn only_the_newest_message_waits_and_it_is_repeated_on_a_new_connection() {
        let mut three = mesh(3);
        does(|actions| three.send(Sid(1), b"old", actions));
        assert!(does(|actions| three.send(Sid(1), b"new", actions)).is_empty(), "one dial");
        let sent = does(|actions| three.dialed(Sid(1), Some(link(1)), actions));
        assert_eq!(sent[1..], [Action::Send(link(1), b"\0\0\0\x03new".to_vec())]);
        three.closed(link(1));
        let sent = does(|actions| three.dialed(Sid(1), Some(link(2)), actions));
        assert_eq!(sent[1..], [Action::Send(link(2), b"\0\0\0\x03new".to_vec())]);
    }

    #[test]
    fn a_joiner_is_called_back_where_it_says_it_is() {
        let (stranger, mut nine) = (mesh(4), mesh(9));
        does(|actions| nine.accepted(link(1), actions));
        let back = does(|actions| nine.greeted(link(1), &stranger.greeting, |_| false, actions));
        assert_eq!(back[0], Action::Dial(Sid(4), vec![("127.0.0.1".to_owned(), 3888)]));
    }

    #[test]
    fn strangers_without_end_are_not_remembered_without_end() {
        let mut zero = mesh(0);
        for sid in 0..1000 {
            let conn = link(u32::try_from(sid).unwrap());
            does(|actions| zero.accepted(conn, actions));
            does(|actions| zero.greeted(conn, &mesh(sid + 1).greeting, |_| false, actions));
        }
        assert_eq!(zero.peers.len(), STRANGERS_MAX);
    }

    #[test]
    fn strangers_who_are_gone_make_room_for_who_comes_to_join() {
        for me in [0, 1_000_000] {
            let mut mesh_of_us = mesh(me);
            let mut slots = 0..;
            let mut greets = |mesh_of_us: &mut Mesh, sid: i64| {
                let conn = link(slots.next().unwrap());
                does(|actions| mesh_of_us.accepted(conn, actions));
                let greeting = mesh(sid).greeting;
                let told = |known: Sid| known.0 == 7;
                let done = does(|actions| mesh_of_us.greeted(conn, &greeting, told, actions));
                (conn, done)
            };
            greets(&mut mesh_of_us, 7);
            for sid in 100..1000 {
                let (conn, done) = greets(&mut mesh_of_us, sid);
                // Nobody is where it said.
                if done.contains(&Action::Dial(Sid(sid), vec![("127.0.0.1".to_owned(), 3888)])) {
                    does(|actions| mesh_of_us.dialed(Sid(sid), None, actions));
                }
                mesh_of_us.closed(conn);
                assert!(mesh_of_us.peers.contains_key(&Sid(sid)), "{sid} is refused by {me}");
            }
            assert_eq!(mesh_of_us.peers.len(), STRANGERS_MAX + 1);
            assert!(mesh_of_us.peers.contains_key(&Sid(7)), "it belongs to us");
            // One that was forgotten while it was called is not remembered again by that.
            let answer = does(|actions| mesh_of_us.dialed(Sid(100), Some(link(5000)), actions));
            assert_eq!(answer, [Action::Close(link(5000))]);
            assert_eq!(mesh_of_us.peers.len(), STRANGERS_MAX + 1);
        }
    }

    #[test]
    fn connections_that_say_nothing_are_not_kept_without_end() {
        let mut nine = mesh(9);
        let conn = |slot: usize| link(u32::try_from(slot).unwrap());
        for slot in 0..SILENT_MAX {
            assert_eq!(does(|actions| nine.accepted(conn(slot), actions)), []);
        }
        let close = does(|actions| nine.accepted(conn(SILENT_MAX), actions));
        assert_eq!(close, [Action::Close(conn(0))]);
        assert!(nine.is_stranger(conn(1)) && !nine.is_stranger(conn(0)));
        // Whoever has spoken makes room.
        let greeting = mesh(10).greeting;
        does(|actions| nine.greeted(conn(1), &greeting, |_| true, actions));
        assert_eq!(does(|actions| nine.accepted(conn(SILENT_MAX + 1), actions)), []);
    }

    #[test]
    fn zk_4787_a_greeting_that_makes_no_sense_costs_its_connection_alone() {
        let good = mesh(4).greeting;
        let mut other_version = good.clone();
        other_version[0] = 1;
        let mut not_text = good.clone();
        *not_text.last_mut().unwrap() = 0xff;
        for bytes in [&other_version[..], &not_text, &good[..12], b""] {
            let mut nine = mesh(9);
            does(|actions| nine.accepted(link(1), actions));
            let answer = does(|actions| nine.greeted(link(1), bytes, |_| true, actions));
            assert_eq!(answer, [Action::Close(link(1))]);
        }
    }

    #[test]
    fn messages_are_cut_out_of_any_bytes() {
        let greeting = mesh(4).greeting;
        for len in 0..greeting.len() {
            assert_eq!(next(&greeting[..len], true), Next::Incomplete);
        }
        assert_eq!(next(&greeting, true), Next::Message(0..greeting.len(), greeting.len()));
        assert_eq!(next(b"\0\0\0\x02ab", false), Next::Message(4..6, 6));
        assert_eq!(next(b"\0\0\0\x02a", false), Next::Incomplete);
        for broken in [[0, 0, 0, 0], [0xff; 4], [0x7f, 0, 0, 0]] {
            assert_eq!(next(&broken, false), Next::Broken);
        }
        assert_eq!(next(&[0; 20], true), Next::Broken);
    }
}
