//! Work and writes that end with the lock, or wait with it.

use std::sync::Arc;
use std::time::Duration;

use znode::proto::OpCode;
use znode::{ConnectOptions, CreateMode, ErrorKind, Op, Outcome, State, Version};
use znode_recipes::{LockErrorKind, LockOptions, LostReason, Mutex};

use crate::ground::{Ground, LOCK, delete, disconnect, is_pending, soon, state_is};

const PERSISTENT: CreateMode = CreateMode::Persistent;
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn work_that_ends_in_time_has_its_result() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    assert_eq!(soon(guard.run(async { 7 })).await.unwrap(), 7);
    let synced = soon(guard.run(client.sync("/"))).await.unwrap();
    synced.unwrap();
    // It is movable, and outlives no lock.
    let run = tokio::spawn(guard.run(std::future::pending::<()>()));
    guard.release().await.unwrap();
    let error = soon(run).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    ground.nothing_left().await;
}

#[tokio::test]
async fn work_is_dropped_where_it_stands_when_the_lock_is_lost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mutex = Mutex::new(&client, LOCK);
    for by_session in [false, true] {
        let guard = soon(mutex.lock()).await.unwrap();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let mut run = guard.run(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        assert!(is_pending(&mut run));
        if by_session {
            ground.end_session(&client, &wire).await;
        } else {
            delete(&client, guard.path()).await.unwrap();
        }
        let error = soon(&mut run).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (LockErrorKind::LockLost, Some(LOCK)));
        assert_eq!(Arc::strong_count(&alive), 1, "the work is not dropped");
    }
}

#[tokio::test]
async fn a_write_with_grace_waits_for_the_connection_and_takes_effect() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let patient = LockOptions::new().grace(LONG);
    let guard = soon(Mutex::new(&client, LOCK).with_options(patient).lock()).await.unwrap();
    disconnect(&client, &wire).await;
    assert!(guard.state().is_suspect());
    let mut write = guard.multi([Op::create("/a", "", PERSISTENT)]);
    assert!(is_pending(&mut write));
    wire.admit();
    assert_eq!(soon(write).await.unwrap().len(), 1);
    guard.release().await.unwrap();
}

/// Two writes are in line when the link is cut: the first is on the wire, and nobody knows; the
/// second certainly never left.
#[tokio::test]
async fn a_write_with_grace_is_sent_again_only_if_it_never_was() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().in_flight_max(1);
    let (client, wire) = ground.connect_wired_with(options).await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    for grace in [None, Some(LONG)] {
        let writer = guard.client();
        let writer = grace.map_or(writer.clone(), |limit| writer.with_grace(limit));
        let names = if grace.is_some() { ["/c", "/d"] } else { ["/a", "/b"] };
        wire.hold_replies();
        let [first, second] = names.map(|name| writer.create(name, "", PERSISTENT));
        wire.until(OpCode::Multi, wire.count(OpCode::Multi) + 1).await;
        wire.cut();
        wire.resume();
        let error = soon(first).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown);
        match soon(second).await {
            Ok(created) => assert_eq!((grace, &created.path[..]), (Some(LONG), "/d")),
            Err(error) => assert_eq!((grace, error.outcome()), (None, Outcome::NotSent)),
        }
        state_is(&client, State::Connected).await;
    }
    let mut names = soon(client.get_children("/")).await.unwrap();
    names.sort();
    assert_eq!(names, ["a", "c", "d", "locks"]);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_write_whose_grace_is_over_was_never_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let writer = guard.client().with_grace(Duration::from_millis(20));
    disconnect(&client, &wire).await;
    let error = soon(writer.create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (LockErrorKind::Suspect, Outcome::NotSent));
    // Nor is one that nobody waits for any more.
    let mut dropped = writer.with_grace(LONG).create("/a", "", PERSISTENT);
    assert!(is_pending(&mut dropped));
    drop(dropped);
    wire.admit();
    state_is(&client, State::Connected).await;
    soon(writer.create("/b", "", PERSISTENT)).await.unwrap();
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_parked_write_of_a_lock_that_is_lost_meanwhile_fails_and_changes_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK).with_options(LockOptions::new().grace(LONG));
    let guard = soon(mutex.lock()).await.unwrap();
    disconnect(&client, &wire).await;
    let parked = tokio::spawn(guard.client().create("/a", "", PERSISTENT));
    delete(&other, guard.path()).await.unwrap();
    wire.admit();
    assert_eq!(soon(parked).await.unwrap().unwrap_err().kind(), LockErrorKind::LockLost);

    let guard = soon(mutex.lock()).await.unwrap();
    disconnect(&client, &wire).await;
    let parked = tokio::spawn(guard.client().create("/a", "", PERSISTENT));
    ground.end_session(&client, &wire).await;
    let error = soon(parked).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    assert!(error.is_session_over());
    assert_eq!(soon(guard.lost()).await, LostReason::SessionExpired);
    assert_eq!(soon(other.exists("/a")).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_server_refuses_is_refused_with_grace_too() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let writer = guard.client().with_grace(LONG);
    let error = soon(writer.set_data("/none", "", Version::ANY)).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoNode);
    assert_eq!(error.op_index(), Some(0));
    guard.release().await.unwrap();
}
