//! Histories made by hand: those that can be, and those that cannot.

use super::checker::{Op, Place, Seen, What, check};

fn place(zxid: i64, version: i32) -> Place {
    Place { zxid, version }
}

fn op(session: i64, times: (u64, u64), what: What) -> Op {
    Op { session, call: times.0, back: Some(times.1), what }
}

/// A write to register 0 that was acknowledged.
fn write(session: i64, times: (u64, u64), value: u64, zxid: i64, version: i32) -> Op {
    let told = Some(place(zxid, version));
    op(session, times, What::Write { register: 0, value, expected: None, told })
}

/// A write whose answer was lost.
fn lost(session: i64, call: u64, value: u64) -> Op {
    let what = What::Write { register: 0, value, expected: None, told: None };
    Op { back: None, ..op(session, (call, 0), what) }
}

fn read(session: i64, times: (u64, u64), value: u64, zxid: i64, version: i32) -> Op {
    let seen = vec![Seen { register: 0, value, place: place(zxid, version) }];
    op(session, times, What::Read { seen, known: zxid })
}

fn sync(session: i64, times: (u64, u64)) -> Op {
    op(session, times, What::Sync)
}

/// Register 0 was created with value 0 at 1, and set to 1 at 2.
fn beginning() -> Vec<Op> {
    vec![write(1, (0, 10), 0, 1, 0), write(1, (20, 30), 1, 2, 1)]
}

#[track_caller]
fn possible(more: impl IntoIterator<Item = Op>) {
    let ops: Vec<Op> = beginning().into_iter().chain(more).collect();
    assert_eq!(check(&ops), Ok(()));
}

#[track_caller]
fn impossible(why: &str, more: impl IntoIterator<Item = Op>) {
    let ops: Vec<Op> = beginning().into_iter().chain(more).collect();
    let error = check(&ops).unwrap_err();
    assert!(error.0.contains(why), "{error}");
}

#[test]
fn what_zookeeper_promises_not_is_allowed() {
    // An old value without a sync.
    possible([read(2, (40, 50), 0, 1, 0)]);
    // A write whose answer was lost took place, late; or it did not.
    possible([lost(2, 40, 7), read(3, (100, 110), 7, 3, 2)]);
    possible([lost(2, 40, 7), write(3, (100, 110), 8, 3, 2)]);
    possible([lost(2, 40, 7), write(3, (100, 110), 8, 4, 3)]);
    // Two writes at the same time stand in any order.
    possible([write(2, (40, 60), 7, 4, 3), write(3, (50, 70), 8, 3, 2)]);
    // Another register was written between.
    possible([sync(2, (40, 50)), read(2, (60, 70), 1, 2, 1)]);
}

#[test]
fn a_read_after_a_sync_is_not_of_before() {
    let stale = read(2, (60, 70), 0, 1, 0);
    impossible("had overwritten it", [sync(2, (40, 50)), stale.clone()]);
    // One that began before the write was done says nothing.
    possible([sync(2, (25, 50)), stale]);
    // What somebody has seen is decided, too.
    let seen = [lost(3, 35, 7), read(3, (40, 50), 7, 3, 2)];
    let after = [sync(2, (60, 70)), read(2, (80, 90), 1, 2, 1)];
    impossible("had overwritten it", seen.into_iter().chain(after));
}

#[test]
fn a_session_does_not_step_back() {
    let new = read(2, (40, 50), 1, 2, 1);
    impossible("had overwritten it", [new, read(2, (60, 70), 0, 1, 0)]);
    impossible("had overwritten it", [read(1, (60, 70), 0, 1, 0)]);
    // Also where it knows of another register alone.
    let other = What::Write { register: 1, value: 9, expected: None, told: Some(place(5, 0)) };
    let seen = vec![Seen { register: 1, value: 9, place: place(5, 0) }];
    let known = What::Read { seen, known: 5 };
    let more = [op(1, (40, 50), other), op(2, (60, 70), known), read(2, (80, 90), 0, 1, 0)];
    impossible("had overwritten it", more);
}

#[test]
fn several_registers_are_read_at_one_moment() {
    let other = What::Write { register: 1, value: 9, expected: None, told: Some(place(3, 0)) };
    let old = Seen { register: 0, value: 0, place: place(1, 0) };
    let new = Seen { register: 1, value: 9, place: place(3, 0) };
    let both = What::Read { seen: vec![old, new], known: 3 };
    impossible("had overwritten it", [op(1, (40, 50), other), op(2, (60, 70), both)]);
}

#[test]
fn an_acknowledged_write_is_not_lost() {
    // Another has taken its version, or its place.
    impossible("register 0 has", [write(2, (40, 50), 7, 3, 1)]);
    impossible("both stand at", [write(2, (40, 50), 7, 2, 2)]);
    // It has gone, and with it its version.
    let gone = [write(2, (40, 50), 7, 3, 2), sync(3, (60, 70)), read(3, (80, 90), 1, 2, 1)];
    impossible("had overwritten it", gone);
}

#[test]
fn writes_stand_in_the_order_of_time() {
    let late = write(3, (60, 70), 8, 3, 2);
    impossible("that was done when it began", [write(2, (40, 50), 7, 4, 3), late]);
    // Also one whose answer was lost, once somebody has seen it.
    let lost = [write(2, (40, 50), 7, 4, 3), lost(3, 60, 8), read(4, (80, 90), 8, 3, 2)];
    impossible("that was done when it began", lost);
}

#[test]
fn a_session_writes_behind_what_it_has_read() {
    let more = [lost(3, 35, 7), read(2, (40, 50), 7, 5, 3), write(2, (40, 60), 8, 4, 2)];
    impossible("its session was at", more);
}

#[test]
fn nothing_comes_from_nowhere_or_from_the_future() {
    impossible("nobody has written it", [read(2, (40, 50), 99, 9, 9)]);
    impossible("before anybody wrote it", [read(2, (4, 5), 1, 2, 1)]);
    impossible("and stands at", [read(2, (40, 50), 1, 3, 1)]);
}

#[test]
fn a_write_takes_place_once() {
    // Three versions on, and one lost write alone.
    let more = [lost(2, 40, 7), write(3, (60, 70), 8, 4, 4)];
    impossible("times more than", more);
}

#[test]
fn a_write_follows_the_version_that_it_names() {
    let told = Some(place(3, 3));
    let what = What::Write { register: 0, value: 7, expected: Some(1), told };
    impossible("was to follow version 1", [op(2, (40, 50), what), lost(3, 35, 8)]);
}

#[test]
fn a_server_shows_nothing_that_it_says_to_lack() {
    let seen = vec![Seen { register: 0, value: 1, place: place(2, 1) }];
    let what = What::Read { seen, known: 1 };
    impossible("of a server that was at", [op(2, (40, 50), what)]);
}
