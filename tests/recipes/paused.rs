//! What takes hours, in no time: the clock is paused, and moves only when everybody waits.
//!
//! All moments here are virtual. These facts hold on our server only, over its in-memory links.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use znode::{Client, ConnectOptions, State};
use znode_recipes::{GuardState, LostReason, Mutex};
use znode_testing::TestingServer;

use crate::ground::LOCK;
use znode_tests::support::Wire;

const HOUR: Duration = Duration::from_secs(3600);
const HALF_MINUTE: Duration = Duration::from_secs(30);
/// Timers are as coarse as this.
const GRAIN: Duration = Duration::from_millis(5);

async fn connect(server: &TestingServer) -> (Client, Wire) {
    let wire = Wire::over(server.connector());
    let options = ConnectOptions::new().session_timeout(HALF_MINUTE).connector(wire.clone());
    (options.connect(&server.connect_string()).await.unwrap(), wire)
}

#[allow(clippy::disallowed_methods, reason = "the clock is paused: this is the test's own time")]
fn now() -> Instant {
    Instant::now()
}

async fn patiently<F: Future>(what: F) -> F::Output {
    timeout(HOUR * 24, what).await.expect("it happens within a day")
}

#[tokio::test(start_paused = true)]
async fn fact_23_a_time_limit_covers_the_whole_call_whatever_the_link_does() {
    let server = TestingServer::start().await.unwrap();
    let (client, wire) = connect(&server).await;
    let holder = Mutex::new(&server.connect().await.unwrap(), LOCK).lock().await.unwrap();
    for limit in [Duration::from_millis(1), Duration::from_secs(1), HALF_MINUTE / 2] {
        for is_stalled in [false, true] {
            if is_stalled {
                wire.stall();
            }
            let asked = now();
            let guard = patiently(Mutex::new(&client, LOCK).lock_timeout(limit)).await.unwrap();
            let waited = now() - asked;
            assert!(guard.is_none());
            assert!(waited + GRAIN >= limit && waited <= limit + GRAIN, "{limit:?}: {waited:?}");
            wire.resume();
            client.sync("/").await.unwrap();
            assert_eq!(client.get_children(LOCK).await.unwrap().len(), 1);
        }
    }
    holder.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn go_zookeeper_1d7be4e_a_waiter_waits_for_a_day_and_does_not_spin() {
    let server = TestingServer::start().await.unwrap();
    let (client, wire) = connect(&server).await;
    let holder = Mutex::new(&server.connect().await.unwrap(), LOCK).lock().await.unwrap();
    let waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
    wire.until(znode::proto::OpCode::GetData, 1).await;
    let before = wire.requests();
    tokio::time::sleep(HOUR * 24).await; // virtual: the clock is paused
    assert_eq!(wire.requests(), before, "pings are not counted");
    holder.release().await.unwrap();
    let guard = patiently(waiter).await.unwrap().unwrap();
    assert_eq!(guard.state(), GuardState::Held);
}

#[tokio::test(start_paused = true)]
async fn fact_03_a_loss_is_known_before_the_server_gives_the_lock_away() {
    let server = TestingServer::start().await.unwrap();
    let (client, wire) = connect(&server).await;
    let holder = Mutex::new(&client, LOCK).lock().await.unwrap();
    let next = server.connect().await.unwrap();
    let next = tokio::spawn(Mutex::new(&next, LOCK).lock());
    tokio::time::sleep(HOUR).await; // virtual: the clock is paused
    wire.stall();
    let lost = holder.lost();
    let known = tokio::spawn(async move { (lost.await, now()) });
    let guard = patiently(next).await.unwrap().unwrap();
    let granted = now();
    assert_eq!(holder.state(), GuardState::Lost(LostReason::SessionExpired));
    let (reason, known) = patiently(known).await.unwrap();
    assert_eq!(reason, LostReason::SessionExpired);
    assert!(known <= granted, "{:?} too late", known - granted);
    assert!(guard.token() > holder.token());
}

#[tokio::test(start_paused = true)]
async fn fact_17_a_restart_in_time_leaves_guards_held_with_the_same_token() {
    let server = TestingServer::start().await.unwrap();
    let (client, _wire) = connect(&server).await;
    let guard = Mutex::new(&client, LOCK).lock().await.unwrap();
    let token = guard.token();
    let waiter =
        tokio::spawn(Mutex::new(&server.connect().await.unwrap(), LOCK).lock_timeout(HOUR));
    server.stop().await;
    tokio::time::sleep(Duration::from_secs(5)).await; // virtual: the clock is paused
    assert_eq!(client.state(), State::Suspect);
    assert!(guard.state().is_suspect());
    server.restart().await.unwrap();
    patiently(client.sync("/")).await.unwrap();
    assert_eq!((guard.state(), guard.token()), (GuardState::Held, token));
    guard.release().await.unwrap();
    let next = patiently(waiter).await.unwrap().unwrap().unwrap();
    assert!(next.token() > token);
}

#[tokio::test(start_paused = true)]
async fn fact_22_many_thousand_turns_leave_no_trace() {
    let server = TestingServer::start().await.unwrap();
    let (client, _wire) = connect(&server).await;
    let mutex = Mutex::new(&client, LOCK);
    mutex.lock().await.unwrap().release().await.unwrap();
    let nodes = server.znode_count().await;
    for turn in 0..20_000 {
        let guard = mutex.lock().await.unwrap();
        if turn % 2 == 0 {
            guard.release().await.unwrap();
        }
    }
    client.sync("/").await.unwrap();
    assert_eq!(server.znode_count().await, nodes);
    assert!(server.watches().await.is_empty());
    assert!(server.ephemerals().await.values().all(Vec::is_empty));
}
