//! Clients that ask an ensemble for more than its servers can tell each other: it costs them their
//! request, and the ensemble nothing.

use std::net::SocketAddr;
use std::time::Duration;

use znode::proto::requests::{AuthRequest, CreateRequest, DeleteRequest};
use znode::proto::{
    AclRecord, ConnectRequest, Encode, ErrorCode, FRAME_LEN_MAX, JutePut, OpCode, Perms,
    RequestHeader, SessionId, Version, Xid, Zxid,
};

use super::world::{Layout, World};
use crate::log::record::{Body, Logged};
use crate::node::Node;
use crate::node::input::{ConnId, Input, LinkKind};
use crate::peer::Role;
use crate::zab::leader::broadcast::COUNTER_MAX;
use crate::zab::stream::ENTRY_LEN_MAX;

/// Three servers, and a client of one of them whose answers nobody looks at.
struct Ground {
    world: World,
    server: usize,
    conn: ConnId,
    epoch: u32,
    xid: i32,
}

impl Ground {
    /// The client is one of a follower's, or of the leader's.
    fn new(of_leader: bool) -> Self {
        Self::of(3, of_leader)
    }

    fn of(participants: u32, of_leader: bool) -> Self {
        let layout = Layout {
            participants,
            observers: 0,
            spares: 0,
            reconfigures: false,
            clients: 0,
            timeout_ms: 4000,
            in_memory: false,
            committed_log: 500,
            disk_us: 10,
        };
        let mut world = World::quiet(&layout);
        let servers = world.servers.len();
        (0..servers).for_each(|server| world.start(server));
        settle(&mut world);
        let decides = |server: &usize| node(&world, *server).is_deciding() == of_leader;
        let server = (0..servers).find(decides).expect("some lead, and some follow");
        let conn = world.servers[server].open();
        let epoch = node(&world, server).epoch();
        let mut ground = Self { world, server, conn, epoch, xid: 0 };
        ground.input(Input::Accepted { conn, peer: SocketAddr::from(([127, 0, 0, 1], 7)) });
        let mut hello = Vec::new();
        hello.put(&ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 60_000,
            session_id: SessionId::NONE,
            password: None,
            read_only: None,
        });
        ground.input(Input::Frame { conn, bytes: &hello });
        settle(&mut ground.world);
        ground
    }

    fn input(&mut self, input: Input<'_>) {
        self.world.input(self.server, input);
    }

    fn send(&mut self, op: OpCode, body: &impl Encode) {
        self.xid += 1;
        let mut bytes = Vec::new();
        bytes.put(&RequestHeader { xid: Xid(self.xid), op: op.code() });
        bytes.put(body);
        assert!(bytes.len() <= FRAME_LEN_MAX, "no server would take it in");
        let conn = self.conn;
        self.input(Input::Frame { conn, bytes: &bytes });
    }

    fn ask(&mut self, op: OpCode, body: &impl Encode) {
        self.send(op, body);
        settle(&mut self.world);
    }

    /// Who leads still does, everybody has the same, and every transaction fits into a packet.
    /// Returns what the last one does.
    fn check(&mut self) -> Vec<u8> {
        let digests = self.world.digests();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        for server in 0..self.world.servers.len() {
            let node = node(&self.world, server);
            assert!(node.is_serving());
            assert_eq!(node.epoch(), self.epoch, "somebody was elected anew");
        }
        let entries: Vec<_> = self.world.servers[0].disk.behind(Zxid::ZERO).collect();
        assert!(entries.iter().all(|entry| entry.bytes.len() <= ENTRY_LEN_MAX));
        entries.last().expect("a session has begun").bytes.to_vec()
    }

    fn is_refused(&mut self) {
        let last = self.check();
        let error = ErrorCode::MarshallingError.code();
        assert_eq!(read(&last), Body::Error(error));
    }
}

fn settle(world: &mut World) {
    pass(world, 3);
}

fn pass(world: &mut World, secs: u64) {
    let end = world.now + Duration::from_secs(secs);
    while world.step(end) {}
}

fn node(world: &World, server: usize) -> &Node {
    world.servers[server].node.as_ref().expect("it is up")
}

fn read(entry: &[u8]) -> Body<'_> {
    Logged::read(entry).expect("a log can be read").body
}

fn ephemeral(path: &str) -> CreateRequest<'_> {
    let acl = Some(vec![AclRecord::new(Perms::ALL, "world", "anyone")]);
    CreateRequest { path: path.into(), data: None, acl, flags: 1 }
}

/// As the standalone server's `disk_edge_43`: whoever has asked, and wherever.
#[test]
fn zk_4306_a_session_with_many_nodes_ends_for_a_follower_in_short_transactions() {
    for of_leader in [false, true] {
        let mut ground = Ground::new(of_leader);
        let name = "n".repeat(500_000);
        for i in 0..5 {
            ground.ask(OpCode::Create, &ephemeral(&format!("/{name}{i}")));
        }
        let nodes = node(&ground.world, 0).tree.len();
        ground.ask(OpCode::CloseSession, &Raw(b""));
        let last = ground.check();
        assert!(matches!(read(&last), Body::CloseSession(_)));
        for server in 0..3 {
            let node = node(&ground.world, server);
            assert!(node.session_views().is_empty());
            assert_eq!(node.tree.len(), nodes - 5);
        }
    }
}

#[test]
fn bytes_that_are_no_text_do_not_grow_beyond_what_servers_read() {
    for of_leader in [false, true] {
        let mut ground = Ground::new(of_leader);
        ground.ask(OpCode::Create, &Raw(&create_of_no_text("/a", b"", 800_000)));
        ground.is_refused();
        ground.ask(OpCode::Create, &ephemeral("/a"));
        ground.check();
        assert!(node(&ground.world, 0).tree.node(b"/a").is_some(), "nothing is left of it");
    }
}

#[test]
fn one_word_for_many_identities_does_not_make_more_than_servers_read() {
    for of_leader in [false, true] {
        let mut ground = Ground::new(of_leader);
        for user in 0..100 {
            let auth = format!("{}{user}:x", "u".repeat(200));
            let auth = Some(auth.as_bytes());
            ground.send(OpCode::Auth, &AuthRequest { kind: 0, scheme: "digest".into(), auth });
        }
        let ids: Vec<String> = (0..300).map(|id| id.to_string()).collect();
        let auth = |id: &String| AclRecord::new(Perms::ALL, "auth", id.clone());
        let acl = Some(ids.iter().map(auth).collect());
        let data = vec![0; 900_000];
        ground.ask(
            OpCode::Create,
            &CreateRequest { path: "/a".into(), data: Some(&data), acl, flags: 0 },
        );
        ground.is_refused();
        assert!(node(&ground.world, 0).tree.node(b"/a").is_none());
    }
}

#[test]
fn more_identities_than_a_client_may_have_do_not_cut_its_server_off() {
    let mut ground = Ground::new(false);
    for user in 0..1100 {
        let auth = format!("{user}:x");
        let auth = Some(auth.as_bytes());
        ground.send(OpCode::Auth, &AuthRequest { kind: 0, scheme: "digest".into(), auth });
    }
    ground.ask(OpCode::Create, &ephemeral("/a"));
    ground.check();
    let node = node(&ground.world, ground.server);
    assert!(node.connections.get(ground.conn).is_none(), "it was one too many");
}

/// A list and data that fit alone and not together: nothing is left of the transaction that they
/// would have been, neither for what is prepared behind it nor in the digest.
#[test]
fn a_transaction_that_is_too_long_leaves_nothing_behind() {
    let mut ground = Ground::new(true);
    ground.send(OpCode::Create, &Raw(&create_of_no_text("/a", &[0; 500_000], 540_000)));
    ground.send(OpCode::Create, &ephemeral("/a"));
    settle(&mut ground.world);
    let last = ground.check();
    assert!(matches!(read(&last), Body::Create { .. }));
}

/// A `create` with one permission, for somebody whose name is bytes that are no text: once they are
/// read, they are three times as many.
fn create_of_no_text(path: &str, data: &[u8], count: usize) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_string(path);
    body.put_buffer(Some(data));
    body.put_len(1);
    body.put(&Perms::ALL);
    body.put_string("digest");
    body.put_buffer(Some(&[b"x:", &vec![0xff; count][..]].concat()));
    body.put(&0);
    body
}

/// What is held back is held longer than the connection that it came over, and was counted out
/// twice.
#[test]
fn large_requests_that_are_held_are_counted_until_they_are_let_go() {
    let mut ground = Ground::new(false);
    if let Some(node) = &mut ground.world.servers[ground.server].node {
        node.settings.rules.throttle.requests_max = Some(1);
        node.settings.rules.large_request_threshold = Some(1000);
    }
    for i in 0..4 {
        let path = format!("/{i}{}", "n".repeat(2000));
        ground.send(OpCode::Create, &ephemeral(&path));
    }
    assert_eq!(node(&ground.world, ground.server).throttle.len(), 3);
    assert!(node(&ground.world, ground.server).throttle.large_bytes() > 6000);
    let others = (0..3).filter(|server| *server != ground.server);
    others.for_each(|server| ground.world.kill(server));
    settle(&mut ground.world);
    let node = node(&ground.world, ground.server);
    assert!(!node.is_serving() && node.throttle.is_empty());
    assert_eq!(node.throttle.large_bytes() + node.lines.large_bytes(), 0);
}

#[test]
fn learners_who_say_nothing_are_not_kept_without_end() {
    let mut ground = Ground::new(true);
    let links: Vec<ConnId> =
        (0..1000).map(|slot| ConnId { slot: 100 + slot, generation: 0 }).collect();
    for link in &links {
        ground.input(Input::LinkAccepted { link: *link, kind: LinkKind::Quorum });
    }
    let peer = node(&ground.world, ground.server).peer.as_deref().expect("it is one of three");
    let Role::Leading(leader) = &peer.role else { panic!("it led") };
    let kept: Vec<ConnId> = leader.learners().filter(|link| link.slot >= 100).collect();
    assert_eq!(kept, links[1000 - 256..], "the last to come");
    assert_eq!(leader.learners().count(), 256 + 2);
    ground.check();
}

#[test]
fn a_follower_that_is_told_to_end_a_session_asks_its_leader_to() {
    let mut ground = Ground::new(false);
    ground.ask(OpCode::Create, &ephemeral("/a"));
    let session = node(&ground.world, ground.server).session_views()[0].id;
    assert!(node(&ground.world, ground.server).can_expire(session));
    let before = ground.world.oracle.len();
    ground.input(Input::Expire(session));
    settle(&mut ground.world);
    let last = ground.check();
    assert!(matches!(read(&last), Body::CloseSession(_)));
    assert_eq!(ground.world.oracle.len(), before + 1);
    assert!(node(&ground.world, ground.server).session_views().is_empty());
    // Without a leader there is nobody to ask.
    let others = (0..3).filter(|server| *server != ground.server);
    others.for_each(|server| ground.world.kill(server));
    settle(&mut ground.world);
    let logged = ground.world.servers[ground.server].disk.behind(Zxid::ZERO).count();
    ground.input(Input::Expire(session));
    settle(&mut ground.world);
    assert_eq!(ground.world.servers[ground.server].disk.behind(Zxid::ZERO).count(), logged);
}

/// Where an epoch has no place left, its leader gives none any more (ZOOKEEPER-1277): what it was
/// about to do is for the next one.
#[test]
fn zk_1277_with_the_last_place_of_an_epoch_a_leader_stops() {
    let mut ground = Ground::of(1, true);
    let name = "n".repeat(300_000);
    for i in 0..3 {
        ground.ask(OpCode::Create, &ephemeral(&format!("/{name}{i}")));
    }
    for i in 0..3 {
        let path = format!("/c{i}");
        ground.ask(OpCode::CreateContainer, &CreateRequest { flags: 4, ..ephemeral(&path) });
        let child = format!("/c{i}/x");
        ground.ask(OpCode::Create, &CreateRequest { flags: 0, ..ephemeral(&child) });
        ground.ask(OpCode::Delete, &DeleteRequest { path: child.into(), version: Version::ANY });
    }
    let last = i64::from(COUNTER_MAX);
    for (left, passes) in [(2, 3), (2, 70)] {
        let mut epoch = 0;
        if let Some(node) = &mut ground.world.servers[0].node {
            epoch = node.epoch();
            node.last_prepared = Zxid((i64::from(epoch) << 32) + last - left);
        }
        let first = node(&ground.world, 0).last_processed;
        if passes == 3 {
            let session = node(&ground.world, 0).session_views()[0].id;
            ground.input(Input::Expire(session));
        }
        pass(&mut ground.world, passes);
        let places = ground.world.servers[0].disk.behind(first).map(|entry| entry.zxid);
        let places: Vec<Zxid> = places.collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        let of_epoch = places.iter().filter(|zxid| zxid.epoch() == epoch);
        assert_eq!(of_epoch.map(|zxid| zxid.counter()).max(), Some(COUNTER_MAX), "{places:?}");
        assert_eq!(node(&ground.world, 0).epoch(), epoch + 1);
    }
    pass(&mut ground.world, 130);
    assert!(node(&ground.world, 0).session_views().is_empty());
    assert!(node(&ground.world, 0).tree.node(b"/c2").is_none());
    ground.world.digests();
}

/// Bytes as they are, as a body.
struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}
