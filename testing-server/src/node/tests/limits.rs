//! What is refused for its number, what settings allow, and schemes of the user's own.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::admin::Word;
use crate::auth::{Identity, Scheme};

#[test]
fn exhaustion_connections_beyond_the_limit_of_an_address_are_closed() {
    let settings = Settings::ruled(|rules| rules.connections_per_address_max = Some(2));
    let mut world = World::with(settings);
    let conns = [world.accept(), world.accept(), world.accept()];
    assert_eq!(conns.map(|conn| world.is_closed(conn)), [false, false, true]);
    let from = SocketAddr::from(([127, 0, 0, 2], 7));
    let other = ConnId { slot: 77, generation: 0 };
    world.step(Input::Accepted { conn: other, peer: from });
    assert!(!world.is_closed(other));
    world.step(Input::Closed { conn: conns[0] });
    let again = world.accept();
    assert!(!world.is_closed(again));
}

#[test]
fn exhaustion_connections_beyond_the_limit_of_the_server_are_closed() {
    let mut world = World::with(Settings::ruled(|rules| rules.connections_max = 1));
    let conns = [world.accept(), world.accept()];
    assert_eq!(conns.map(|conn| world.is_closed(conn)), [false, true]);
}

#[test]
fn without_access_control_everything_is_allowed() {
    let mut world = World::with(Settings::ruled(|rules| rules.skip_acl = true));
    let c = world.connect();
    world.create(c, "/a");
    let nobody = set_acl("/a", acl(Perms::READ, "digest", "a:b"), -1);
    assert_eq!(world.error(c, OpCode::SetAcl, &nobody), ErrorCode::Ok);
    world.set_data(c, "/a", b"x");
}

#[test]
fn exhaustion_large_requests_must_not_pile_up() {
    let settings = Settings::ruled(|rules| {
        rules.large_request_threshold = Some(1000);
        rules.large_request_bytes_max = 5000;
    });
    let mut world = World::with(settings);
    let (c, d) = (world.connect(), world.connect());
    world.create(c, "/a");
    world.slow_disk = true;
    let large = [0; 3000];
    for conn in [c, d] {
        world.send(conn, OpCode::SetData.code(), &set_data("/a", b"small", -1));
        world.send(conn, OpCode::SetData.code(), &set_data("/a", &large, -1));
    }
    assert_eq!([c, d].map(|conn| world.is_closed(conn)), [false, true]);
    world.persist();
    world.send(c, OpCode::SetData.code(), &set_data("/a", &large, -1));
    assert!(!world.is_closed(c), "what was answered counts no more");
    world.send(c, OpCode::SetData.code(), &set_data("/a", &[0; 6000], -1));
    assert!(world.is_closed(c));
}

/// Believes whoever says the word.
#[derive(Debug)]
struct Password;

impl Scheme for Password {
    fn name(&self) -> &str {
        "word"
    }

    fn authenticate(&self, _peer: IpAddr, auth: Option<&[u8]>) -> Option<Vec<Identity>> {
        (auth == Some(b"sesame")).then(|| vec![Identity::new("word", "friend")])
    }

    fn is_valid(&self, id: &str) -> bool {
        id == "friend"
    }

    fn matches(&self, id: &str, named: &str) -> bool {
        id == named
    }

    fn is_authenticated(&self) -> bool {
        true
    }
}

#[test]
fn a_scheme_of_the_users_own_is_asked() {
    let mut world = World::with(Settings::ruled(|rules| rules.schemes = vec![Arc::new(Password)]));
    let (c, stranger) = (world.connect(), world.connect());
    assert_eq!(world.add_auth(c, "word", b"sesame"), ErrorCode::Ok);
    assert_eq!(world.add_auth(stranger, "word", b"please"), ErrorCode::AuthFailed);
    assert!(world.is_closed(stranger));
    let stranger = world.connect();
    let friends =
        CreateRequest { acl: Some(acl(Perms::ALL, "word", "friend")), ..create("/friends", 0) };
    assert_eq!(world.error(c, OpCode::Create, &friends), ErrorCode::Ok);
    assert_eq!(world.error(stranger, OpCode::GetData, &read("/friends", false)), ErrorCode::NoAuth);
    assert_eq!(world.error(c, OpCode::GetData, &read("/friends", false)), ErrorCode::Ok);
    let foes = set_acl("/friends", acl(Perms::ALL, "word", "foe"), -1);
    assert_eq!(world.error(c, OpCode::SetAcl, &foes), ErrorCode::InvalidAcl);
}

fn ask(world: &mut World, word: [u8; 4]) -> String {
    let conn = world.accept();
    world.step(Input::FourLetterWord { conn, word: Word::recognise(word).unwrap(), sizes: (0, 0) });
    assert!(world.is_closed(conn));
    String::from_utf8(world.take_bytes(conn)).unwrap()
}

#[test]
fn words_tell_real_numbers() {
    let mut world = World::new();
    let c = world.connect();
    world.create_mode(c, "/eph", 1).unwrap();
    world.call(c, OpCode::GetData, &read("/eph", true));
    world.slow_disk = true;
    world.send(c, OpCode::SetData.code(), &set_data("/eph", b"x", -1));
    world.now += Duration::from_millis(12);
    world.persist();
    let srvr = ask(&mut world, *b"srvr");
    // Handshake, three requests, the word itself; three answers and an event behind a greeting.
    assert!(srvr.contains("Latency min/avg/max: 0/3.0/12\nReceived: 5\nSent: 5\n"), "{srvr}");
    assert!(srvr.contains("Zxid: 0x3\nMode: standalone\nNode count: 6\n"), "{srvr}");
    let cons = ask(&mut world, *b"cons");
    assert!(cons.contains("(queued=0,recved=4,sent=5,sid=0x"), "{cons}");
    assert!(cons.contains(",lop=SETD,") && cons.contains(",maxlat=12)\n"), "{cons}");
    assert!(ask(&mut world, *b"dump").contains("Sessions with Ephemerals (1):\n0x"));
    world.call(c, OpCode::Exists, &read("/eph", true));
    assert_eq!(ask(&mut world, *b"wchs"), "1 connections watching 1 paths\nTotal watches:1\n");
    assert!(ask(&mut world, *b"wchp").starts_with("/eph\n\t0x"));
    assert!(ask(&mut world, *b"mntr").contains("zk_ephemerals_count\t1\n"));
    ask(&mut world, *b"srst");
    assert!(ask(&mut world, *b"srvr").contains("Received: 1\n"));
}

#[test]
fn words_that_are_not_listed_are_refused() {
    let settings = Settings { words: crate::admin::Whitelist::parse(""), ..Settings::fixed() };
    let mut world = World::with(settings);
    let refused = "wchs is not executed because it is not in the whitelist.\n";
    assert_eq!(ask(&mut world, *b"wchs"), refused);
    assert!(ask(&mut world, *b"srvr").starts_with("Zookeeper version: 3.9"));
}

#[test]
fn edge_30_isro_is_answered_without_a_newline() {
    let mut world = World::new();
    assert_eq!(ask(&mut world, *b"isro"), "rw");
    assert_eq!(ask(&mut world, *b"ruok"), "imok");
}
