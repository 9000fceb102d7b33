//! Watches across connections, and their removal.

use super::*;

#[test]
fn watches_are_restored_before_requests_that_wait() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.ask(OpCode::GetData, "a");
    pair.requests();
    pair.step(Input::Connected);
    pair.inbox.clear();
    pair.greet(7, 9000);
    let restored: SetWatchesRequest<'_> = Decoder::new(&pair.inbox[0][8..]).read().unwrap();
    assert_eq!((restored.relative_zxid, &*restored.data[0]), (Zxid(5), "/a"));
    assert_eq!(pair.requests(), [(2, OpCode::SetWatches), (3, OpCode::GetData)]);
}

#[test]
fn many_watches_are_restored_in_several_requests() {
    let mut pair = Pair::connected();
    let path = |i: u32| format!("/{i:0>1000}");
    for i in 1..=300u32 {
        pair.watch(u64::from(i), &path(i), Want::Data, "r");
        pair.answer(i32::try_from(i).unwrap(), 5, ErrorCode::Ok);
    }
    pair.step(Input::Broken);
    pair.shake_hands(7);
    let sizes: Vec<usize> = pair.inbox.iter().map(Vec::len).collect();
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size < 140 * 1024), "{sizes:?}");
}

#[test]
fn a_persistent_watcher_hears_of_the_gap_after_its_watch_stands_again() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Persistent, "r");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.step(Input::Broken);
    pair.log();
    pair.requests();
    pair.step(Input::Connected);
    pair.inbox.clear();
    pair.greet(7, 9000);
    assert_eq!(pair.requests(), [(2, OpCode::SetWatches2)]);
    assert_eq!(pair.log(), ["state Connected", "watcher 1 Gap"]);
}

#[test]
fn an_unwatch_is_told_to_the_server_and_overtaken_by_nothing() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.step(Input::Unwatch(WatcherId(1), None));
    pair.watch(2, "/a", Want::Data, "s");
    assert_eq!(
        pair.requests(),
        [(1, OpCode::GetData), (2, OpCode::RemoveWatches), (3, OpCode::GetData)]
    );
}

#[test]
fn who_unwatches_is_answered_when_the_watch_is_gone() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Persistent, "r");
    pair.watch(2, "/a", Want::Persistent, "s");
    pair.answer(1, 5, ErrorCode::Ok);
    pair.answer(2, 5, ErrorCode::Ok);
    pair.log();
    pair.step(Input::Unwatch(WatcherId(1), Some("first")));
    assert_eq!(pair.log(), ["first Ok"]);
    pair.step(Input::Unwatch(WatcherId(2), Some("second")));
    assert!(pair.log().is_empty());
    pair.answer(3, 5, ErrorCode::Ok);
    assert_eq!(pair.log(), ["second Ok"]);
    pair.step(Input::Unwatch(WatcherId(2), Some("again")));
    assert_eq!(pair.log(), ["again Ok"]);
}

#[test]
fn a_read_that_fails_leaves_no_watch() {
    let mut pair = Pair::connected();
    pair.watch(1, "/a", Want::Data, "r");
    pair.answer(1, 5, ErrorCode::NoNode);
    pair.notify(EventType::NodeCreated, "/a");
    assert_eq!(pair.log(), ["r NoNode"]);
}
