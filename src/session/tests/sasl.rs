//! The conversation that comes before everything else on a connection.

use super::*;
use crate::proto::requests::SaslRequest;
use crate::sasl::{SaslConversation, SaslError, SaslMechanism, SaslStep};

/// Says `hello`, goes on when it hears `more`, and believes who says `bye`.
#[derive(Debug)]
pub(super) struct Polite;

impl SaslMechanism for Polite {
    fn begin(&self, _: &HostPort, random: [u8; 16]) -> Box<dyn SaslConversation> {
        assert_ne!(random, [0; 16]);
        Box::new(Polite)
    }
}

impl SaslConversation for Polite {
    fn open(&mut self) -> Result<Vec<u8>, SaslError> {
        Ok(b"hello".to_vec())
    }

    fn answer(&mut self, token: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        match token {
            Some(b"more") => Ok(SaslStep::Send(b"and more".to_vec())),
            Some(b"bye") => Ok(SaslStep::Done),
            _ => Err(SaslError::new("impolite")),
        }
    }
}

pub(super) fn polite() -> Config {
    Config { sasl: Some(Sasl::new(Arc::new(Polite), 1)), ..config() }
}

impl Pair {
    fn token(&mut self, xid: i32, token: Option<&[u8]>) {
        self.receive(|out| {
            out.put(&ReplyHeader { xid: Xid(xid), zxid: Zxid::ZERO, error: ErrorCode::Ok });
            out.put(&SaslRequest { token });
        });
    }

    /// What the client has said since the last look; everything must be SASL.
    fn tokens(&mut self) -> Vec<String> {
        let frames = std::mem::take(&mut self.inbox);
        let token = |frame: &Vec<u8>| {
            let mut from = Decoder::new(frame);
            let header: RequestHeader = from.read().unwrap();
            assert_eq!(header.op, OpCode::Sasl.code());
            let SaslRequest { token } = from.read().unwrap();
            String::from_utf8(token.unwrap().to_vec()).unwrap()
        };
        frames.iter().map(token).collect()
    }
}

#[test]
fn nothing_is_sent_before_the_conversation_is_over() {
    let mut pair = Pair::new(polite());
    pair.ask(OpCode::Auth, "identity");
    pair.ask(OpCode::GetData, "a");
    pair.shake_hands(7);
    assert_eq!(pair.tokens(), ["hello"]);
    pair.ask(OpCode::SetData, "b");
    pair.token(1, Some(b"more"));
    assert_eq!(pair.tokens(), ["and more"]);
    pair.log();
    pair.token(2, Some(b"bye"));
    assert_eq!(pair.log(), ["authenticated", "state Connected"]);
    let expected = [(-4, OpCode::Auth), (3, OpCode::GetData), (4, OpCode::SetData)];
    assert_eq!(pair.requests(), expected);
}

#[test]
fn every_connection_has_a_conversation_of_its_own_before_watches_are_restored() {
    let mut pair = Pair::new(polite());
    pair.shake_hands(7);
    pair.token(1, Some(b"bye"));
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(2, 1, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.shake_hands(7);
    assert_eq!(pair.tokens(), ["hello"]);
    pair.token(3, Some(b"bye"));
    assert_eq!(pair.requests(), [(4, OpCode::SetWatches)]);
}

#[test]
fn who_is_refused_or_does_not_believe_ends_and_says_why() {
    type Script = fn(&mut Pair);
    let refusal: Script = |pair| pair.answer(1, 0, ErrorCode::AuthFailed);
    let impostor: Script = |pair| pair.token(1, Some(b"who?"));
    let no_login: Script = |pair| pair.token(1, None);
    let scripts = [(refusal, "refused"), (impostor, "impolite"), (no_login, "impolite")];
    for (script, why) in scripts {
        let mut pair = Pair::new(polite());
        pair.ask(OpCode::GetData, "a");
        pair.shake_hands(7);
        pair.log();
        script(&mut pair);
        let log = pair.log();
        assert!(log[0].contains(why), "{log:?}");
        let rest = ["disconnect", "state AuthFailed", "a failed unsent Ended(AuthFailed)"];
        assert_eq!(log[1..], rest);
        assert!(pair.tokens().len() <= 1);
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_is_made_again_and_requests_wait() {
    let mut pair = Pair::new(polite());
    pair.ask(OpCode::GetData, "a");
    pair.shake_hands(7);
    pair.log();
    pair.step(Input::Broken);
    pair.wait(Duration::from_millis(20));
    assert_eq!(pair.log(), ["connect zk:1"]);
    pair.step(Input::Connected);
    let frame = pair.inbox.pop().unwrap();
    let request: ConnectRequest<'_> = Decoder::new(&frame).read().unwrap();
    assert_eq!(request.session_id, SessionId(7));
    pair.inbox.clear();
    pair.greet(7, 9000);
    pair.token(2, Some(b"bye"));
    assert_eq!(pair.requests(), [(2, OpCode::Sasl), (3, OpCode::GetData)]);
}

#[test]
fn a_server_that_does_not_go_on_is_left_and_the_connect_timeout_holds() {
    let mut pair = Pair::new(Config { hosts: ring(1..4), ..polite() });
    pair.shake_hands(7);
    pair.log();
    pair.wait(T / 3);
    assert_eq!(pair.log()[0], "disconnect");
    pair.shake_hands(7);
    pair.wait(Duration::from_secs(2));
    assert_eq!(pair.log().last().unwrap(), "state Closed");
    assert_eq!(pair.session.ending(), Some(Ending::ConnectTimeout));
}

#[test]
fn an_answer_to_something_else_makes_try_the_next_server() {
    let mut pair = Pair::new(polite());
    pair.ask(OpCode::GetData, "a");
    pair.shake_hands(7);
    pair.log();
    pair.token(9, Some(b"bye"));
    assert_eq!(pair.log(), ["disconnect"]);
    pair.wait(Duration::from_millis(20));
    assert_eq!(pair.log(), ["connect zk:1"]);
}

#[test]
fn a_close_waits_for_the_conversation() {
    let mut pair = Pair::new(polite());
    pair.shake_hands(7);
    pair.ask(OpCode::CloseSession, "close");
    assert_eq!(pair.tokens(), ["hello"]);
    pair.token(1, Some(b"bye"));
    assert_eq!(pair.requests(), [(2, OpCode::CloseSession)]);
}
