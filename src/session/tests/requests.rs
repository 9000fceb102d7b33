//! Requests, answers, and what is under way when a connection is lost.

use super::*;

#[test]
fn no_more_requests_are_under_way_than_allowed() {
    let mut pair = Pair::connected();
    for who in ["a", "b", "c", "d", "e"] {
        pair.ask(OpCode::GetData, who);
    }
    assert_eq!(pair.requests().len(), 3);
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.requests(), [(4, OpCode::GetData)]);
    assert_eq!(pair.log(), ["a Ok"]);
}

#[test]
fn no_more_bytes_are_under_way_than_allowed_but_one_request_always_is() {
    let limits = Limits { in_flight_max: 9, in_flight_bytes_max: 10, waiting_max: 9 };
    let mut pair = Pair::new(Config { limits, ..config() });
    pair.shake_hands(7);
    for watcher in 1..4 {
        pair.watch(watcher, "/more-than-ten-bytes", Want::Data, "r");
    }
    assert_eq!(pair.requests().len(), 1);
    pair.answer(1, 1, ErrorCode::Ok);
    assert_eq!(pair.requests().len(), 1);
}

#[test]
fn more_requests_than_may_wait_are_refused() {
    let limits = Limits { in_flight_max: 1, in_flight_bytes_max: 1 << 20, waiting_max: 2 };
    let mut pair = Pair::new(Config { limits, ..config() });
    pair.shake_hands(7);
    pair.log();
    for who in ["a", "b", "c", "d"] {
        pair.ask(OpCode::GetData, who);
    }
    assert_eq!(pair.log(), ["d failed unsent Overload"]);
    pair.answer(1, 1, ErrorCode::Ok);
    pair.ask(OpCode::GetData, "e");
    assert_eq!(pair.log(), ["a Ok"]);
}

#[test]
fn a_lost_connection_fails_what_was_sent_and_what_was_not() {
    let mut pair = Pair::connected();
    for who in ["a", "b", "c", "d"] {
        pair.ask(OpCode::GetData, who);
    }
    pair.step(Input::Broken);
    assert_eq!(
        pair.log(),
        [
            "state Suspect",
            "a failed sent ConnectionLoss",
            "b failed sent ConnectionLoss",
            "c failed sent ConnectionLoss",
            "d failed unsent ConnectionLoss",
            "connect zk:1",
        ]
    );
}

#[test]
fn a_request_made_while_suspect_waits_for_the_next_connection() {
    let mut pair = Pair::connected();
    pair.step(Input::Broken);
    pair.ask(OpCode::SetData, "a");
    pair.log();
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(1, OpCode::SetData)]);
    assert_eq!(pair.log(), ["state Connected"]);
}

#[test]
fn an_answer_out_of_order_breaks_the_connection() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::GetData, "a");
    pair.answer(2, 1, ErrorCode::Ok);
    assert_eq!(
        pair.log(),
        ["disconnect", "state Suspect", "a failed sent ConnectionLoss", "connect zk:1"]
    );
}

#[test]
fn xids_wrap_to_one() {
    let mut pair = Pair::connected();
    pair.session.pending.start_at(i32::MAX);
    pair.ask(OpCode::GetData, "a");
    pair.ask(OpCode::GetData, "b");
    assert_eq!(pair.requests(), [(i32::MAX, OpCode::GetData), (1, OpCode::GetData)]);
}

#[test]
fn events_do_not_move_the_newest_zxid() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::GetData, "a");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.notify(EventType::NodeDataChanged, "/a");
    pair.ask(OpCode::GetData, "b");
    pair.answer(2, 4, ErrorCode::Ok);
    assert_eq!(pair.session.last_zxid(), Zxid(5));
}

#[test]
fn identities_are_sent_again_before_anything_else() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::Auth, "auth");
    assert_eq!(pair.requests(), [(-4, OpCode::Auth)]);
    pair.step(Input::Broken);
    pair.ask(OpCode::GetData, "a");
    pair.log();
    pair.shake_hands(7);
    assert_eq!(pair.requests(), [(-4, OpCode::Auth), (1, OpCode::GetData)]);
    pair.answer(-4, 0, ErrorCode::Ok);
    assert_eq!(pair.log(), ["state Connected", "auth Ok"]);
}

#[test]
fn a_refused_identity_ends_the_session() {
    let mut pair = Pair::connected();
    pair.ask(OpCode::Auth, "auth");
    pair.ask(OpCode::GetData, "a");
    pair.answer(-4, 0, ErrorCode::AuthFailed);
    assert_eq!(
        pair.log(),
        [
            "disconnect",
            "state AuthFailed",
            "a failed sent Ended(AuthFailed)",
            "auth failed sent Ended(AuthFailed)"
        ]
    );
}
