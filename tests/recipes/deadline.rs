//! Until when a guard holds for certain: what moves that, and what a strict guard makes of it.
//!
//! All moments here are virtual, over the in-memory links of our server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;
use znode::proto::OpCode;
use znode::{Client, ConnectOptions, CreateMode, Outcome, State, Version};
use znode_recipes::{Guard, GuardState, LockErrorKind, LockOptions, LostReason, Mutex};
use znode_testing::{InstanceSpec, TestingServer};

use crate::ground::{LOCK, is_pending, soon};
use znode_tests::support::Wire;

const T: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_secs(2);
/// A deadline is so far from the sending of what proved it: T − T/3 − half a tick − T/100.
const REACH: Duration = Duration::from_millis(30_000 - 10_000 - 1000 - 300);

#[allow(clippy::disallowed_methods, reason = "the clock is paused: this is the test's own time")]
fn now() -> Instant {
    Instant::now()
}

async fn connect(server: &TestingServer) -> (Client, Wire) {
    let wire = Wire::over(server.connector());
    let options = ConnectOptions::new().session_timeout(T).tick_time(TICK);
    let client = options.connector(wire.clone()).connect(&server.connect_string()).await.unwrap();
    assert_eq!(client.session_timeout(), T);
    (client, wire)
}

async fn lock(client: &Client, options: LockOptions) -> Guard {
    Mutex::new(client, LOCK).with_options(options).lock().await.unwrap()
}

/// Lets the clock go on while everybody does what they have to.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await; // virtual: the clock is paused
}

#[tokio::test(start_paused = true)]
async fn only_what_a_quorum_has_moves_a_deadline() {
    let server = TestingServer::start().await.unwrap();
    let (client, wire) = connect(&server).await;
    pass(T).await;
    let guard = lock(&client, LockOptions::new()).await;
    let granted = now();
    assert_eq!(guard.deadline(), Some(granted + REACH));
    // Pings and reads are answered by a server that knows nothing.
    pass(T / 2).await;
    client.get_data(LOCK).await.unwrap();
    client.sync("/").await.unwrap();
    assert_eq!(guard.deadline(), Some(granted + REACH));
    pass(T).await;
    assert!(guard.deadline().unwrap() < now(), "it has passed");
    assert_eq!(guard.state(), GuardState::Held, "and means nothing by itself");
    let renewed = guard.renew().await.unwrap();
    assert_eq!((renewed, guard.deadline()), (now() + REACH, Some(renewed)));
    // Any write of the session will do.
    pass(T / 4).await;
    client.create("/a", "", CreateMode::Persistent).await.unwrap();
    assert_eq!(guard.deadline(), Some(now() + REACH));
    // And each handshake.
    pass(T / 4).await;
    crate::ground::reconnect(&client, &wire).await;
    assert!(guard.deadline().unwrap() <= now() + REACH);
    assert!(guard.deadline().unwrap() > now() + REACH - Duration::from_secs(1));
    guard.release().await.unwrap();
}

/// The moment counts from the sending: the answer may have been under way for ever so long.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_proves_no_more_than_a_fast_one() {
    let server = TestingServer::start().await.unwrap();
    let (client, wire) = connect(&server).await;
    let guard = lock(&client, LockOptions::new()).await;
    pass(T / 4).await;
    wire.hold_replies();
    let asked = now();
    let renewed = tokio::spawn(async move { guard.renew().await.unwrap() });
    pass(T / 4).await;
    wire.resume();
    let renewed = renewed.await.unwrap();
    assert!(renewed <= asked + REACH, "{:?} too late", renewed - asked - REACH);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_less_what_clocks_may_drift() {
    let server = TestingServer::start().await.unwrap();
    let (client, _wire) = connect(&server).await;
    let deadline = |ppm| {
        let client = client.clone();
        async move {
            let guard = lock(&client, LockOptions::new().clock_drift(ppm)).await;
            let reach = guard.deadline().unwrap() - now();
            guard.release().await.unwrap();
            reach
        }
    };
    pass(T).await;
    assert_eq!(deadline(0).await - deadline(100_000).await, T / 10);
}

#[tokio::test(start_paused = true)]
async fn a_strict_guard_renews_itself_every_third_of_the_timeout() {
    let server = TestingServer::start().await.unwrap();
    let (client, wire) = connect(&server).await;
    pass(T).await;
    let guard = lock(&client, LockOptions::new().strict()).await;
    assert_eq!(wire.count(OpCode::Multi), 1, "before it is granted");
    for renewals in 1..=10 {
        pass(T / 3).await;
        assert!(wire.count(OpCode::Multi) >= renewals);
        assert!(guard.deadline().unwrap() > now());
        assert_eq!(guard.state(), GuardState::Held);
    }
    assert!(wire.count(OpCode::Multi) <= 12, "and no oftener");
    guard.release().await.unwrap();
    let renewals = wire.count(OpCode::Multi);
    pass(T).await;
    assert_eq!(wire.count(OpCode::Multi), renewals, "nobody renews what is released");
}

#[tokio::test(start_paused = true)]
async fn a_strict_guard_that_waited_long_is_granted_with_its_deadline_ahead() {
    let server = TestingServer::start().await.unwrap();
    let (client, _wire) = connect(&server).await;
    let holder = Mutex::new(&server.connect().await.unwrap(), LOCK).lock().await.unwrap();
    let strict = LockOptions::new().strict();
    let waiter = tokio::spawn(Mutex::new(&client, LOCK).with_options(strict).lock());
    pass(10 * T).await;
    holder.release().await.unwrap();
    let guard = waiter.await.unwrap().unwrap();
    assert_eq!(guard.deadline(), Some(now() + REACH));
}

#[tokio::test(start_paused = true)]
async fn a_strict_guard_is_lost_at_its_deadline_and_writes_no_more() {
    let server = TestingServer::start().await.unwrap();
    let (client, wire) = connect(&server).await;
    client.create("/a", "before", CreateMode::Persistent).await.unwrap();
    pass(T).await;
    let guard = lock(&client, LockOptions::new().strict()).await;
    let (deadline, states) = (guard.deadline().unwrap(), guard.states());
    wire.stall();
    let lost = guard.lost();
    let known = tokio::spawn(async move { (lost.await, now()) });
    let (reason, at) = known.await.unwrap();
    assert_eq!(reason, LostReason::Overdue);
    assert!(!reason.is_session_over());
    let late = at - deadline;
    assert!(at >= deadline && late <= Duration::from_millis(2), "{late:?}");
    assert_eq!(states.collect::<Vec<_>>().await.last(), Some(&GuardState::Lost(reason)));
    assert_eq!(guard.deadline(), None);
    assert_eq!(client.state(), State::Connected, "the session knows nothing yet");
    let error = guard.client().set_data("/a", "after", Version::ANY).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (LockErrorKind::LockLost, Outcome::NotSent));
    let error = guard.renew().await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    // It lets go like any other.
    wire.resume();
    let error = guard.release().await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    assert!(client.get_children(LOCK).await.unwrap().is_empty());
    let (data, _) = client.get_data("/a").await.unwrap();
    assert_eq!(&data[..], b"before");
}

/// As after a process was stopped: the clock has gone on, and nobody has had a turn yet. In real
/// time, on the one thread of this test.
#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "it is the whole process that stands still")]
async fn after_a_stall_the_first_look_sees_the_loss_before_anything_is_sent() {
    const T: Duration = Duration::from_millis(200);

    let server = TestingServer::start_with(InstanceSpec::new().tick(T / 2)).await.unwrap();
    let wire = Wire::over(server.connector());
    let options = ConnectOptions::new().session_timeout(T).tick_time(T / 2);
    let client = options.connector(wire.clone()).connect(&server.connect_string()).await.unwrap();
    let guard = lock(&client, LockOptions::new().strict()).await;
    let polled = Arc::new(AtomicUsize::new(0));
    let mut work = Box::pin(guard.run({
        let polled = Arc::clone(&polled);
        std::future::poll_fn(move |_| {
            polled.fetch_add(1, Ordering::SeqCst);
            std::task::Poll::<()>::Pending
        })
    }));
    assert!(is_pending(&mut work));
    let sent = wire.requests();
    std::thread::sleep(T); // nobody has a turn
    let error = at_once(&mut work).unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    assert_eq!(polled.load(Ordering::SeqCst), 1, "the work went on");
    assert_eq!(guard.state(), GuardState::Lost(LostReason::Overdue));
    let error = guard.client().create("/a", "", CreateMode::Persistent).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (LockErrorKind::LockLost, Outcome::NotSent));
    assert_eq!(wire.requests(), sent);
}

/// What a future has come to without anybody else having a turn.
fn at_once<F: Future + Unpin>(what: &mut F) -> F::Output {
    futures::FutureExt::now_or_never(what).expect("it is over")
}

#[tokio::test(start_paused = true)]
async fn a_strict_guard_whose_node_is_deleted_learns_it_by_its_renewal_at_the_latest() {
    let server = TestingServer::start().await.unwrap();
    let (client, _wire) = connect(&server).await;
    // What cannot be read cannot be watched, nor renewed.
    let guard = lock(&client, LockOptions::new().strict()).await;
    let other = server.connect().await.unwrap();
    other.delete(guard.path(), Version::ANY).await.unwrap();
    assert_eq!(soon(guard.lost()).await, LostReason::Deleted);
    assert_eq!(guard.renew().await.unwrap_err().kind(), LockErrorKind::LockLost);
}

#[tokio::test(start_paused = true)]
async fn a_strict_guard_that_nobody_may_read_is_not_granted() {
    let server = TestingServer::start().await.unwrap();
    let (client, _wire) = connect(&server).await;
    let unreadable = znode::Acl::new(znode::Perms::DELETE, "world", "anyone").unwrap();
    let client = client.with_default_acl(vec![unreadable]);
    let mutex = Mutex::new(&client, "/lock").with_options(LockOptions::new().strict());
    server.connect().await.unwrap().create("/lock", "", CreateMode::Persistent).await.unwrap();
    let error = mutex.lock().await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), znode::ErrorKind::NoAuth);
    client.sync("/").await.unwrap();
    assert!(server.ephemerals().await.values().all(Vec::is_empty));
}
