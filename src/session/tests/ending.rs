//! How a session ends.

use super::*;

#[test]
fn an_expired_session_ends_everything() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 1, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.ask(OpCode::SetData, "a");
    pair.log();
    pair.step(Input::Connected);
    pair.greet(0, 0);
    assert_eq!(
        pair.log(),
        [
            "disconnect",
            "state Expired",
            "a failed unsent Ended(Expired)",
            "watcher 1 Over(Expired)"
        ]
    );
    pair.ask(OpCode::GetData, "b");
    assert_eq!(pair.log(), ["b failed unsent Ended(Expired)"]);
}

#[test]
fn closing_waits_for_what_came_before_and_refuses_what_comes_after() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::SetData, "a");
    pair.ask(OpCode::CloseSession, "close");
    pair.ask(OpCode::SetData, "b");
    assert_eq!(pair.requests(), [(1, OpCode::SetData), (2, OpCode::CloseSession)]);
    assert_eq!(pair.log(), ["b failed unsent Ended(Closed)"]);
    pair.answer(1, 1, ErrorCode::Ok);
    pair.answer(2, 2, ErrorCode::Ok);
    assert_eq!(pair.log(), ["a Ok", "close Ok", "disconnect", "state Closed"]);
}

#[test]
fn closing_without_a_connection_leaves_the_session_to_expire() {
    let mut pair = Pair::connected();
    pair.step(Input::Broken);
    pair.log();
    pair.ask(OpCode::CloseSession, "close");
    assert_eq!(
        pair.log(),
        ["disconnect", "state Closed", "close failed unsent Ended(LeftToExpire)"]
    );
}

#[test]
fn detaching_waits_for_answers_and_sends_nothing() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::SetData, "a");
    pair.step(Input::Detach);
    assert_eq!(pair.requests(), [(1, OpCode::SetData)]);
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.log(), ["a Ok", "disconnect", "state Closed"]);
    assert_eq!(pair.session.ending(), Some(Ending::Detached));
    assert!(pair.inbox.is_empty());
}
