//! Pings, silences, and when a session counts as lost.

use super::*;

#[test]
fn an_idle_session_pings_after_a_third_of_its_timeout() {
    let mut pair = Pair::connected();
    pair.wait(T / 3 - Duration::from_millis(1));
    assert!(pair.inbox.is_empty());
    pair.wait(Duration::from_millis(1));
    assert_eq!(pair.requests(), [(-2, OpCode::Ping)]);
    pair.answer(-2, 0, ErrorCode::Ok);
    pair.wait(T / 3);
    assert_eq!(pair.requests(), [(-2, OpCode::Ping)]);
}

#[test]
fn a_silent_server_is_left_after_two_thirds_and_the_session_lost_at_the_timeout() {
    let mut pair = Pair::connected();
    pair.wait(T * 2 / 3 - Duration::from_millis(1));
    assert!(pair.log().is_empty());
    pair.wait(Duration::from_millis(1));
    assert_eq!(pair.log(), ["disconnect", "state Suspect", "connect zk:1"]);
    pair.wait(T / 3 - Duration::from_millis(1));
    assert!(pair.log().is_empty());
    pair.wait(Duration::from_millis(1));
    assert_eq!(pair.log(), ["disconnect", "state Expired"]);
    assert_eq!(pair.session.next_deadline(), Moment::NEVER);
}

#[test]
fn the_timeout_runs_from_the_sending_of_what_was_answered_not_from_the_answer() {
    let mut pair = Pair::connected();
    pair.wait(Duration::from_secs(1));
    pair.ask(OpCode::GetData, "a");
    pair.wait(Duration::from_secs(4));
    pair.answer(1, 1, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.log();
    // Sent at 1 s and answered at 5 s: lost at 10 s.
    pair.wait(Duration::from_secs(5) - Duration::from_millis(1));
    assert!(!pair.log().contains(&"state Expired".to_owned()));
    pair.wait(Duration::from_millis(1));
    assert!(pair.log().contains(&"state Expired".to_owned()));
}

#[test]
fn a_session_is_assured_by_committed_writes_and_handshakes_alone() {
    // T is 9 s and half a tick 1 s: 5 s from the sending of what proves it.
    let after = |seconds: u64| Moment::START + Duration::from_secs(seconds);
    let mut pair = Pair::connected();
    assert_eq!(pair.session.assured_until(), after(5));
    pair.wait(Duration::from_secs(2));
    pair.ask(OpCode::GetData, "read");
    pair.answer(1, 1, ErrorCode::Ok);
    pair.ask(OpCode::SetData, "refused");
    pair.answer(2, 1, ErrorCode::NoNode);
    pair.ask(OpCode::Sync, "synced");
    pair.answer(3, 1, ErrorCode::Ok);
    assert_eq!(pair.session.assured_until(), after(5));
    pair.ask(OpCode::Multi, "written");
    pair.wait(Duration::from_secs(1));
    pair.answer(4, 2, ErrorCode::Ok);
    assert_eq!(pair.session.assured_until(), after(2 + 5));
    pair.wait(Duration::from_secs(1));
    pair.step(Input::Broken);
    pair.wait(Duration::ZERO);
    pair.shake_hands(7);
    assert_eq!(pair.session.assured_until(), after(4 + 5));
}

#[test]
fn a_server_that_is_cut_off_assures_nothing() {
    let mut pair = Pair::new(Config { read_only: true, ..config() });
    pair.step(Input::Connected);
    pair.greet_as(7, 9000, true);
    assert!(pair.log().contains(&"state ConnectedReadOnly".to_owned()));
    assert_eq!(pair.session.assured_until(), Moment::START);
}

/// As after the process was stopped: nobody has told the session what time it is.
#[test]
fn what_is_asked_once_the_session_is_lost_is_not_sent() {
    let mut pair = Pair::connected();
    pair.now += T;
    pair.ask(OpCode::SetData, "late");
    assert!(pair.requests().is_empty());
    let expired = "late failed unsent Ended(Expired)".to_owned();
    assert_eq!(pair.log(), ["disconnect".to_owned(), "state Expired".to_owned(), expired]);
}
