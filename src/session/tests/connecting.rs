//! The first connection, and the handshake of every other.

use super::*;

#[test]
fn a_new_session_asks_for_id_zero_and_its_timeout() {
    let mut pair = Pair::new(config());
    assert_eq!(pair.log(), ["connect zk:1"]);
    pair.step(Input::Connected);
    let frame = pair.inbox.remove(0);
    let request: ConnectRequest<'_> = Decoder::new(&frame).read().unwrap();
    assert_eq!((request.session_id, request.timeout_ms), (SessionId::NONE, 9000));
    pair.greet(7, 6000);
    assert_eq!(pair.log(), ["state Connected"]);
    assert_eq!(pair.session.next_deadline(), pair.now + Duration::from_secs(2));
}

#[test]
fn requests_made_before_the_handshake_go_out_in_order_after_it() {
    let mut pair = Pair::new(config());
    pair.ask(OpCode::GetData, "a");
    pair.ask(OpCode::SetData, "b");
    assert!(pair.inbox.is_empty());
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(1, OpCode::GetData), (2, OpCode::SetData)]);
}

#[test]
fn a_first_connection_is_given_up_at_the_connect_timeout() {
    let mut pair = Pair::new(config());
    pair.ask(OpCode::GetData, "a");
    pair.step(Input::Broken);
    pair.wait(Duration::from_secs(5));
    let log = pair.log();
    assert_eq!(log.last().unwrap(), "a failed unsent Ended(ConnectTimeout)");
    assert!(log.contains(&"state Closed".to_owned()));
}

#[test]
fn a_server_that_drops_every_connection_is_not_hammered() {
    let mut pair = Pair::new(Config { connect_timeout: Duration::from_secs(60), ..config() });
    let mut attempts = 0;
    while pair.now < Moment::START + Duration::from_secs(10) {
        attempts += pair.log().iter().filter(|word| word.starts_with("connect")).count();
        pair.step(Input::Connected);
        pair.step(Input::Broken);
        pair.now = pair.now.max(pair.session.next_deadline());
        pair.step(Input::Tick);
    }
    assert!((10..30).contains(&attempts), "{attempts} attempts in 10 s");
}

#[test]
fn a_resumed_session_with_another_id_is_an_expired_one() {
    let mut pair = Pair::connected();
    pair.step(Input::Broken);
    pair.log();
    pair.step(Input::Connected);
    pair.greet(8, 9000);
    assert_eq!(pair.log(), ["disconnect", "state Expired"]);
}

#[test]
fn a_resumed_session_shows_its_password_and_what_it_has_seen() {
    let resume = Resume { session_id: SessionId(7), password: [5; 16].into(), last_zxid: Zxid(40) };
    let mut pair = Pair::new(Config { resume: Some(resume), ..config() });
    pair.step(Input::Connected);
    let frame = pair.inbox.remove(0);
    let request: ConnectRequest<'_> = Decoder::new(&frame).read().unwrap();
    assert_eq!(request.session_id, SessionId(7));
    assert_eq!(request.password, Some(&[5; 16][..]));
    assert_eq!(request.last_zxid_seen, Zxid(40));
}

#[test]
fn a_garbled_handshake_tries_the_next_server() {
    let mut pair = Pair::new(config());
    pair.log();
    pair.step(Input::Connected);
    pair.receive(|out| out.put_string("HTTP/1.1 400"));
    assert_eq!(pair.log(), ["disconnect"]);
    pair.wait(Duration::from_millis(20));
    assert_eq!(pair.log(), ["connect zk:1"]);
}
