//! What other servers of an ensemble send.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use znode::Moment;
use znode::proto::{JutePut, Zxid};

use super::Choices;
use super::world::check_snapshot;
use crate::election::ElectionTimes;
use crate::election::mesh::{self, Mesh};
use crate::election::notification::Notification;
use crate::election::vote::{Ballot, ServerState, Vote};
use crate::node::Node;
use crate::node::input::{ConnId, EpochKind, Input, LinkKind};
use crate::node::outbox::{Outbox, Output};
use crate::node::settings::Settings;
use crate::peer::{Epochs, LocalSessions, PeerSettings, QuorumPeer};
use crate::quorum::member::{Member, MemberAddress, Role};
use crate::quorum::{QuorumConfig, Quorums, Sid};
use crate::zab::packet::{Forwarded, QuorumPacket};
use crate::zab::stream;

/// The server that is attacked, and the one that attacks it.
const ME: Sid = Sid(2);
const OTHER: Sid = Sid(3);
/// Where the attacker's links are.
const ELECTION: ConnId = ConnId { slot: 1, generation: 0 };
const QUORUM: ConnId = ConnId { slot: 2, generation: 0 };

/// One server of three, without a socket.
struct Peer {
    node: Node,
    now: Moment,
    out: Outbox,
    /// Whether it has given up, saying why.
    halted: bool,
    closed: Vec<ConnId>,
}

impl Peer {
    fn new() -> Self {
        let mut node = Node::new(Settings {
            server_id: 2,
            ..Settings::ruled(|rules| rules.reconfig_enabled = true)
        });
        let epochs = Epochs::default();
        let quorums = Quorums::new(three());
        let peer = QuorumPeer::new(ME, settings(), quorums, &three(), epochs, Zxid::ZERO);
        node.peer = Some(Box::new(peer));
        let (now, out) = (Moment::START, Outbox::default());
        let mut peer = Self { node, now, out, halted: false, closed: Vec::new() };
        peer.step(Input::Restart);
        peer
    }

    /// Does what the server wants done, as disks and networks that work would.
    fn step(&mut self, input: Input<'_>) {
        self.node.step(self.now, input, &mut self.out);
        for _ in 0..1000 {
            if self.out.outputs().is_empty() {
                return;
            }
            let outputs = self.out.outputs().to_vec();
            self.out.clear();
            for output in outputs {
                self.answer(output);
            }
        }
        panic!("the server never comes to rest");
    }

    fn answer(&mut self, output: Output) {
        let (now, out) = (self.now, &mut self.out);
        match output {
            Output::Send { .. } | Output::Listen { .. } | Output::Truncate { .. } => {}
            Output::Close { conn } => self.closed.push(conn),
            Output::Append { zxid, .. } | Output::SaveSnapshot { zxid, .. } => {
                self.node.step(now, Input::Persisted(zxid), out);
            }
            Output::SaveConfig { .. } | Output::Move { .. } | Output::MoveClients { .. } => {}
            Output::SaveEpoch { kind, epoch } => {
                self.node.step(now, Input::EpochSaved { kind, epoch }, out);
            }
            Output::Dial { kind, to, .. } => {
                let link = (kind == LinkKind::Quorum && to == OTHER).then_some(QUORUM);
                self.node.step(now, Input::LinkDialed { kind, to, link }, out);
            }
            Output::Reload { .. } => self.node.reloaded(now, None, out),
            Output::Halt { why } => {
                assert!(!why.is_empty());
                self.halted = true;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.step(Input::Tick);
    }

    /// Has the attacker take part in the election, with a vote of its own.
    fn elect(&mut self, leader: Sid) {
        self.step(Input::LinkAccepted { link: ELECTION, kind: LinkKind::Election });
        let greeting = greeting();
        self.step(Input::LinkMessage { link: ELECTION, bytes: &greeting });
        let zxid = if leader == OTHER { Zxid(5) } else { Zxid::ZERO };
        let vote = Vote { leader, zxid, peer_epoch: 0 };
        let ballot = Ballot { vote, round: 1, state: ServerState::Looking, is_oldest: false };
        let mut bytes = Vec::new();
        Notification::put(&ballot, "", &mut bytes);
        self.step(Input::LinkMessage { link: ELECTION, bytes: &bytes });
        self.pass(Duration::from_millis(200));
    }

    /// Feeds what a leader or a learner sends, with pauses where zeros stand.
    fn hear(&mut self, bytes: &[u8]) {
        let mut reader = stream::Reader::default();
        let mut rest = bytes;
        while !self.halted && !self.closed.contains(&QUORUM) {
            match reader.next(rest) {
                stream::Next::Packet(range) => {
                    let used = range.end;
                    self.step(Input::LinkPacket { link: QUORUM, bytes: &rest[range] });
                    rest = &rest[used..];
                }
                stream::Next::Snapshot(range, used) => {
                    self.step(Input::LinkSnapshot { link: QUORUM, bytes: &rest[range] });
                    rest = &rest[used..];
                }
                stream::Next::Incomplete => break,
                stream::Next::Broken(why) => {
                    assert!(!why.is_empty());
                    break;
                }
            }
            self.now += Duration::from_millis(1);
        }
        self.step(Input::LinkClosed { link: QUORUM });
    }

    /// Whatever it has been told, it looks for a leader when the others are gone, and what it has
    /// can be kept.
    fn check(mut self) {
        self.step(Input::LinkClosed { link: ELECTION });
        for _ in 0..8 {
            self.pass(Duration::from_secs(20));
        }
        assert!(self.halted || !self.node.is_serving(), "it serves without a quorum");
        check_snapshot(&mut self.node);
    }
}

fn settings() -> PeerSettings {
    let ms = Duration::from_millis;
    PeerSettings {
        tick: ms(100),
        init_limit: ms(1000),
        sync_limit: ms(500),
        redial_pause: ms(100),
        election: ElectionTimes {
            finalize_wait: ms(200),
            notification_min: ms(200),
            notification_max: ms(60_000),
        },
        committed_log: 16,
        local_sessions: LocalSessions::No,
        read_only_after: None,
    }
}

fn three() -> QuorumConfig {
    let member = |sid| (Sid(sid), Member { addresses: vec![address(sid)], ..MEMBER });
    QuorumConfig::majority((1..=3).map(member).collect::<BTreeMap<_, _>>())
}

const MEMBER: Member =
    Member { addresses: Vec::new(), role: Role::Participant, client: None, secure_client: None };

fn address(sid: i64) -> MemberAddress {
    let port = u16::try_from(sid).unwrap_or(0);
    MemberAddress { host: "127.0.0.1".to_owned(), quorum_port: port, election_port: port + 10 }
}

/// What the attacker says of itself.
fn greeting() -> Vec<u8> {
    let mut actions = Vec::new();
    Mesh::new(OTHER, &[address(OTHER.0)]).dialed(ME, Some(ELECTION), &mut actions);
    let greeting = actions.into_iter().find_map(|action| match action {
        mesh::Action::Send(_, bytes) => Some(bytes),
        _ => None,
    });
    greeting.unwrap_or_default()
}

/// Bytes of a connection for elections: with the first, its greeting is any bytes, too.
pub(super) fn election(bytes: &[u8]) {
    let mut from = Choices(bytes);
    let greets = from.byte() % 2 == 1;
    let mut peer = Peer::new();
    peer.step(Input::LinkAccepted { link: ELECTION, kind: LinkKind::Election });
    if !greets {
        peer.step(Input::LinkMessage { link: ELECTION, bytes: &greeting() });
    }
    let (mut is_greeting, mut rest) = (greets, from.0);
    while let mesh::Next::Message(range, used) = mesh::next(rest, is_greeting) {
        if !is_greeting && let Ok(read) = Notification::read(&rest[range.clone()]) {
            let mut again = Vec::new();
            Notification::put(&read.ballot, "", &mut again);
            let again = Notification::read(&again).expect("what is written can be read");
            assert_eq!(again.ballot.vote, read.ballot.vote);
        }
        peer.step(Input::LinkMessage { link: ELECTION, bytes: &rest[range] });
        (is_greeting, rest) = (false, &rest[used..]);
        if peer.closed.contains(&ELECTION) {
            break;
        }
        peer.pass(Duration::from_millis(50));
    }
    peer.check();
}

/// What a learner sends to a leader.
pub(super) fn leader(bytes: &[u8]) {
    let mut peer = Peer::new();
    peer.elect(ME);
    peer.step(Input::LinkAccepted { link: QUORUM, kind: LinkKind::Quorum });
    peer.hear(bytes);
    peer.check();
}

/// What a leader sends to a learner.
pub(super) fn learner(bytes: &[u8]) {
    let mut peer = Peer::new();
    peer.elect(OTHER);
    peer.step(Input::EpochSaved { kind: EpochKind::Current, epoch: 0 });
    peer.hear(bytes);
    peer.check();
}

/// Any bytes of a link are cut into the same packets wherever they were cut on their way.
pub(super) fn packets(bytes: &[u8]) {
    let mut from = Choices(bytes);
    let step = usize::from(from.byte()) + 1;
    let rest = from.0;
    let (whole, how) = cut(rest, rest.len().max(1));
    assert_eq!(cut(rest, step), (whole.clone(), how), "in pieces of {step}");
    for range in whole {
        let mut from = znode::proto::Decoder::new(&rest[range]);
        if let Ok(packet) = from.read::<QuorumPacket<'_>>() {
            let mut again = Vec::new();
            again.put(&packet);
            let again = znode::proto::Decoder::new(&again).read::<QuorumPacket<'_>>().is_ok();
            assert!(again, "what is written can be read");
            let _ = Forwarded::read(&packet);
        }
    }
}

/// The packets, and whether something came that none can be.
fn cut(bytes: &[u8], step: usize) -> (Vec<Range<usize>>, bool) {
    let mut reader = stream::Reader::default();
    let (mut found, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        match reader.next(&bytes[start..end]) {
            stream::Next::Packet(range) => {
                found.push(start + range.start..start + range.end);
                start += range.end;
            }
            stream::Next::Snapshot(range, used) => {
                found.push(start + range.start..start + range.end);
                start += used;
            }
            stream::Next::Broken(_) => return (found, true),
            stream::Next::Incomplete if end == bytes.len() => return (found, false),
            stream::Next::Incomplete => end = (end + step).min(bytes.len()),
        }
    }
}
