//! Sessions: begun, resumed, refused, expired, closed.

use super::super::settings::{CONNECTIONS_MAX, HANDSHAKE_TIMEOUT};
use super::*;
use crate::admin::Word;
use crate::session::identity::password;

#[test]
fn edge_19_a_new_session_takes_a_zxid_and_its_password_follows_from_its_id() {
    let mut world = World::new();
    let (c, session, secret) = world.connect_for(10_000);
    assert_eq!(session.0 >> 56, 1);
    assert_eq!(secret, password(session));
    assert_eq!(world.call(c, OpCode::Exists, &read("/", false)).header.zxid, Zxid(1));
    let (_, next, _) = world.connect_for(10_000);
    assert_eq!(next.0, session.0 + 1);
}

#[test]
fn the_timeout_is_clamped() {
    let mut world = World::new();
    for (asked, granted) in [(-5, 200), (0, 200), (300, 300), (i32::MAX, 60_000)] {
        let c = world.accept();
        world.handshake(c, &hello(asked, SessionId::NONE, &[]));
        assert_eq!(world.connect_response(c).1, granted);
    }
}

#[test]
fn edge_17_the_response_has_the_read_only_byte_only_if_the_request_had() {
    // ZOOKEEPER-4814
    let mut world = World::new();
    for (read_only, len) in [(None, 36), (Some(false), 37), (Some(true), 37)] {
        let c = world.accept();
        world.handshake(c, &ConnectRequest { read_only, ..hello(1000, SessionId::NONE, &[]) });
        assert_eq!(world.take_frame(c).unwrap().len(), len);
    }
}

#[test]
fn edge_21_resuming_closes_the_older_connection_and_keeps_the_session() {
    let mut world = World::new();
    let (old, session, secret) = world.connect_for(10_000);
    world.create_mode(old, "/e", 1).unwrap();
    let new = world.accept();
    world.handshake(new, &hello(20_000, session, &secret));
    assert_eq!(world.connect_response(new), (session, 20_000, secret));
    assert!(world.is_closed(old));
    assert!(world.stat(new, "/e").is_some());
    // What the old connection still had on its way is ignored.
    world.send(old, OpCode::Delete.code(), &delete("/e", -1));
    assert!(world.stat(new, "/e").is_some());
}

#[test]
fn edge_18_a_wrong_password_gets_zeros_and_harms_nobody() {
    let mut world = World::new();
    let (old, session, _) = world.connect_for(10_000);
    for (session, secret) in [(session, [7; 16]), (SessionId(99), password(SessionId(99)))] {
        let c = world.accept();
        world.handshake(c, &hello(10_000, session, &secret));
        assert_eq!(world.connect_response(c), (SessionId::NONE, 0, vec![0; 16]));
        assert!(world.is_closed(c));
    }
    assert!(!world.is_closed(old));
    assert!(world.stat(old, "/").is_some());
}

#[test]
fn a_client_from_the_future_is_sent_away_without_a_word() {
    let mut world = World::new();
    let c = world.accept();
    let request = ConnectRequest { last_zxid_seen: Zxid(1), ..hello(1000, SessionId::NONE, &[]) };
    world.handshake(c, &request);
    assert_eq!((world.take_frame(c), world.is_closed(c)), (None, true));
    assert!(world.node.session_views().is_empty());
}

#[test]
fn garbage_instead_of_a_handshake_closes() {
    let mut world = World::new();
    let c = world.accept();
    world.frame(c, b"GET / HTTP/1.1");
    assert_eq!((world.take_frame(c), world.is_closed(c)), (None, true));
}

#[test]
fn a_request_too_short_for_a_header_closes() {
    let mut world = World::new();
    let c = world.connect();
    world.frame(c, &[0; 7]);
    assert!(world.is_closed(c));
}

#[test]
fn edge_20_a_silent_session_expires_without_a_word_and_takes_its_ephemerals_along() {
    let mut world = World::new();
    let (c, session, secret) = world.connect_for(1000);
    world.create_mode(c, "/e", 1).unwrap();
    world.pass(Duration::from_millis(1000));
    assert!(!world.is_closed(c));
    world.pass(Duration::from_millis(100));
    assert_eq!((world.take_frame(c), world.is_closed(c)), (None, true));
    assert!(world.node.node_view("/e").is_none());
    let again = world.accept();
    world.handshake(again, &hello(1000, session, &secret));
    assert_eq!(world.connect_response(again).0, SessionId::NONE);
}

#[test]
fn pings_keep_a_session_alive() {
    let mut world = World::new();
    let (c, ..) = world.connect_for(1000);
    for _ in 0..10 {
        world.pass(Duration::from_millis(900));
        world.frame(c, &request(Xid::PING, OpCode::Ping.code(), &Empty));
        assert!(world.take(c).is_some());
    }
    let deadline = world.node.next_deadline();
    assert!(deadline > world.now && deadline < Moment::NEVER);
}

#[test]
fn a_lost_connection_leaves_the_session_to_expire() {
    let mut world = World::new();
    let (c, session, _) = world.connect_for(1000);
    world.create_mode(c, "/e", 1).unwrap();
    world.step(Input::Closed { conn: c });
    let views = world.node.session_views();
    assert_eq!((views[0].id, views[0].connected), (session, false));
    world.pass(Duration::from_millis(1100));
    assert!(world.node.session_views().is_empty());
    assert!(world.node.node_view("/e").is_none());
}

#[test]
fn closing_a_session_answers_and_then_closes_the_connection() {
    let mut world = World::new();
    let c = world.connect();
    world.create_mode(c, "/e", 1).unwrap();
    let answer = world.call(c, OpCode::CloseSession, &Empty);
    assert_eq!((answer.header.error, answer.body.len()), (ErrorCode::Ok, 0));
    assert!(world.is_closed(c));
    assert!(world.node.session_views().is_empty());
}

#[test]
fn edge_22_a_create_behind_the_close_leaves_no_ephemeral_and_gets_no_answer() {
    let mut world = World::new();
    world.slow_disk = true;
    let c = world.accept();
    world.handshake(c, &hello(1000, SessionId::NONE, &[]));
    world.persist();
    world.connect_response(c);
    let closing = world.send(c, OpCode::CloseSession.code(), &Empty);
    world.send(c, OpCode::Create.code(), &create("/e", 1));
    world.persist();
    assert_eq!(world.take(c).unwrap().header.xid, closing);
    assert_eq!(world.take(c), None);
    assert!(world.node.node_view("/e").is_none());
}

#[test]
fn a_restart_keeps_sessions_and_gives_them_their_full_timeout() {
    let mut world = World::new();
    let (c, session, secret) = world.connect_for(1000);
    world.create_mode(c, "/e", 1).unwrap();
    world.now += Duration::from_secs(3600);
    world.step(Input::Restart);
    world.pass(Duration::from_millis(1000));
    assert!(world.node.node_view("/e").is_some());
    let again = world.accept();
    world.handshake(again, &hello(1000, session, &secret));
    assert_eq!(world.connect_response(again).0, session);
}

#[test]
fn a_connection_that_says_nothing_is_closed_in_time() {
    let mut world = World::new();
    let silent = world.accept();
    let c = world.accept();
    world.handshake(c, &hello(60_000, SessionId::NONE, &[]));
    assert_eq!(world.node.next_deadline(), Moment::START + HANDSHAKE_TIMEOUT);
    world.pass(HANDSHAKE_TIMEOUT);
    assert!(world.is_closed(silent));
    assert!(!world.is_closed(c));
    assert!(world.node.next_deadline() > world.now);
}

#[test]
fn connections_beyond_the_limit_are_closed() {
    let mut world = World::new();
    for _ in 0..CONNECTIONS_MAX {
        let conn = world.accept();
        assert!(!world.is_closed(conn));
    }
    let conn = world.accept();
    assert!(world.is_closed(conn));
}

#[test]
fn four_letter_words_are_answered_in_text() {
    let mut world = World::new();
    world.connect();
    let c = world.accept();
    world.step(Input::FourLetterWord {
        conn: c,
        word: Word::recognise(*b"srvr").unwrap(),
        sizes: (0, 0),
    });
    let text = String::from_utf8(world.received.remove(&c).unwrap()).unwrap();
    assert!(text.contains("Connections: 2\n"), "{text}");
    assert!(text.contains("Zxid: 0x1\nMode: standalone\nNode count: 5\n"), "{text}");
    assert!(world.is_closed(c));
}
