//! What a lock must do, fact by fact, where no other room tells of it: in virtual time where that
//! helps, on servers of ours of each test's own.

use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use znode::proto::OpCode;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Quota, SessionId, Version, Zxid};
use znode_recipes::{
    GuardState, LockErrorKind, LockOptions, MultiLock, Mutex, ReadWriteLock, Semaphore,
};
use znode_testing::{InstanceSpec, TestingServer};

use crate::ground::{Ground, LOCK, children_are, drop_at, make_lock, soon};
use znode_tests::support::Wire;

const T: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_secs(2);

#[allow(clippy::disallowed_methods, reason = "what is compared is when things happened")]
fn now() -> Instant {
    Instant::now()
}

async fn connect(server: &TestingServer, timeout: Duration) -> (Client, Wire) {
    let wire = Wire::over(server.connector());
    let options = ConnectOptions::new().session_timeout(timeout).connector(wire.clone());
    (options.connect(&server.connect_string()).await.unwrap(), wire)
}

/// Strict guards, under links that stand still and break at random: the times in which each was
/// held, as it saw them, do not overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_01_the_times_in_which_strict_guards_are_held_never_overlap() {
    const T: Duration = Duration::from_millis(300);
    const ROUNDS: usize = 12;

    let tick = T / 3;
    let server = TestingServer::start_with(InstanceSpec::new().tick(tick)).await.unwrap();
    let held = Arc::new(StdMutex::new(Vec::<(Instant, Instant)>::new()));
    let address = server.connect_string();
    let tasks = (0..4_usize).map(|number| {
        let (held, address) = (Arc::clone(&held), address.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let wire = Wire::tcp();
                let options = ConnectOptions::new().session_timeout(T).tick_time(tick);
                let client = options.connector(wire.clone()).connect(&address).await.unwrap();
                let mutex = Mutex::new(&client, LOCK).with_options(LockOptions::new().strict());
                let Ok(guard) = mutex.lock().await else { continue };
                let from = now();
                match (round + number) % 4 {
                    0 => wire.stall(),
                    1 => wire.cut(),
                    2 => wire.refuse(),
                    _ => {}
                }
                let until = if (round + number).is_multiple_of(4) {
                    guard.lost().await;
                    // It may be told late, but whoever looks sees it from its deadline on.
                    now().min(client.assured_until() - T / 100)
                } else {
                    // As late as it may believe that it holds.
                    let until = now();
                    drop(guard);
                    until
                };
                held.lock().unwrap().push((from, until));
                wire.admit();
                wire.resume();
            }
        })
    });
    for task in tokio::time::timeout(Duration::from_secs(60), join_all(tasks)).await.unwrap() {
        task.unwrap();
    }
    let mut held = held.lock().unwrap().clone();
    assert!(held.len() > 30, "hardly anybody held: {}", held.len());
    held.sort();
    for pair in held.windows(2) {
        let [(_, until), (from, _)] = pair else { unreachable!() };
        assert!(until <= from, "two held for {:?}", *until - *from);
    }
}

#[tokio::test(start_paused = true)]
async fn fact_02_tokens_rise_over_a_restart_of_the_server() {
    let server = TestingServer::start().await.unwrap();
    let (client, _wire) = connect(&server, T).await;
    let mut last = Zxid::ZERO;
    for _ in 0..3 {
        let guard = Mutex::new(&client, LOCK).lock().await.unwrap();
        assert!(guard.token() > last);
        last = guard.token();
        guard.release().await.unwrap();
        server.stop().await;
        server.restart().await.unwrap();
    }
}

/// A client has one session: when that is over, so is whatever was asked of it.
#[tokio::test]
async fn fact_06_nothing_is_sent_again_in_a_new_session() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_lock(&client).await;
    wire.cut_before_arrival(OpCode::Create2);
    wire.refuse();
    let lock = tokio::spawn(Mutex::new(&client, LOCK).lock());
    crate::ground::state_is(&client, znode::State::Suspect).await;
    ground.end_session(&client, &wire).await;
    let error = soon(lock).await.unwrap().unwrap_err();
    assert!(error.is_session_over());
    let asked: Vec<_> = wire.handshakes().iter().map(|hello| hello.session).collect();
    assert_eq!(asked.iter().filter(|session| **session == SessionId::NONE).count(), 1);
    assert_eq!(wire.count(OpCode::Create2), 0);
    ground.nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn fact_13_the_next_holds_a_timeout_and_a_tick_after_a_death_and_at_once_after_a_release() {
    let spec = InstanceSpec::new().tick(TICK);
    let server = TestingServer::start_with(spec).await.unwrap();
    for dies in [true, false] {
        let (client, wire) = connect(&server, T).await;
        let guard = Mutex::new(&client, LOCK).lock().await.unwrap();
        let other = server.connect().await.unwrap();
        let next = tokio::spawn(async move {
            let next = Mutex::new(&other, LOCK).lock().await.unwrap();
            (next, now())
        });
        tokio::time::sleep(T).await; // virtual: the clock is paused
        let end = now();
        if dies {
            wire.stall();
        } else {
            guard.release().await.unwrap();
        }
        let (next, granted) = next.await.unwrap();
        let limit = if dies { T + TICK } else { Duration::from_millis(5) };
        assert!(granted - end <= limit, "after {:?}", granted - end);
        drop(next);
    }
}

#[tokio::test]
async fn fact_18_a_quota_that_is_exceeded_is_an_error_of_the_call() {
    let spec = InstanceSpec::new().enforce_quota(true);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    for path in ["/full", "/full/one"] {
        client.create(path, "", CreateMode::Persistent).await.unwrap();
    }
    let quota = Quota { count_hard: Some(2), ..Quota::default() };
    client.set_quota("/full", &quota).await.unwrap();
    let error = soon(Mutex::new(&client, "/full/one").lock()).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (LockErrorKind::Client, Some("/full/one")));
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::QuotaExceeded);
    let error = soon(ReadWriteLock::new(&client, "/full/one").write()).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::QuotaExceeded);
    let error = soon(Semaphore::new(&client, "/full/one", 1).acquire()).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::QuotaExceeded);
    let error = soon(Mutex::new(&client, "/full/below/it").lock()).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn fact_18_who_may_not_is_told_so_by_every_lock() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let read_only = [znode::Acl::read_only()];
    let made = client.create_with_acl("/closed", "", CreateMode::Persistent, &read_only);
    soon(made).await.unwrap();
    let denied = |error: znode_recipes::LockError| {
        assert_eq!(error.kind(), LockErrorKind::Client, "{error}");
        assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoAuth);
    };
    let rw = ReadWriteLock::new(&client, "/closed");
    denied(soon(rw.read()).await.unwrap_err());
    denied(soon(rw.try_write()).await.unwrap_err());
    denied(soon(MultiLock::new().write(&rw).lock()).await.unwrap_err());
    let semaphore = Semaphore::new(&client, "/closed", 1);
    denied(soon(semaphore.acquire()).await.unwrap_err());
    denied(soon(semaphore.try_acquire_many(1)).await.unwrap_err());
    let shared = Semaphore::with_shared_limit(&client, "/open", "/closed/count", 1);
    denied(soon(shared.acquire()).await.unwrap_err());
    // A tombstone is written beside the lock.
    soon(client.create("/own", "", CreateMode::Persistent)).await.unwrap();
    soon(client.create("/own/lock", "", CreateMode::Persistent)).await.unwrap();
    soon(client.set_acl("/own", &read_only, Version::ANY)).await.unwrap();
    let mutex = Mutex::new(&client, "/own/lock");
    denied(soon(mutex.clone().with_lock_delay(T).lock()).await.unwrap_err());
    drop(soon(mutex.try_lock()).await.unwrap().expect("nothing is left there"));
}

#[tokio::test]
async fn fact_18_a_path_that_cannot_be_one_is_an_error_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    for path in ["", "locks", "/locks/", "/a//b"] {
        let rw = ReadWriteLock::new(&client, path);
        let several = MultiLock::new().mutex(&Mutex::new(&client, path));
        for error in [
            soon(rw.read()).await.unwrap_err(),
            soon(rw.write()).await.unwrap_err(),
            soon(rw.participants()).await.unwrap_err(),
            soon(Semaphore::new(&client, path, 1).acquire()).await.unwrap_err(),
            soon(several.lock()).await.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.path()), (LockErrorKind::InvalidPath, Some(path)));
        }
    }
    assert_eq!(wire.requests(), before);
}

#[tokio::test]
async fn fact_18_children_of_an_ephemeral_node_are_an_error_of_the_call() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/brief", "", CreateMode::Ephemeral)).await.unwrap();
    for path in ["/brief", "/brief/below"] {
        let error = soon(Mutex::new(&client, path).lock()).await.unwrap_err();
        let kind = error.client_error().unwrap().kind();
        assert_eq!(kind, ErrorKind::NoChildrenForEphemerals);
    }
}

/// Whatever is asked of a lock or of its guard can be given up while its answer is awaited.
#[tokio::test]
async fn fact_19_every_other_future_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let strict = LockOptions::new().strict().grace(T);
    let mutex = Mutex::new(&client, LOCK).with_options(strict);
    let rw = ReadWriteLock::new(&client, "/locks/rw");
    let semaphore = Semaphore::with_shared_limit(&client, "/locks/s", "/locks/s-count", 2);
    for pending in 1..12 {
        drop(soon(drop_at(pending, mutex.lock())).await);
        let guard = soon(mutex.lock()).await.unwrap();
        drop(soon(drop_at(pending, guard.renew())).await);
        drop(soon(drop_at(pending, guard.wait_out_delay())).await);
        drop(soon(drop_at(pending, guard.run(client.sync("/")))).await);
        assert_eq!(drop_at(1, guard.lost()).await, None);
        drop_at(1, guard.revoked()).await.unwrap_or_default();
        drop(soon(drop_at(pending, guard.sequencer().verify(&other))).await);
        drop(soon(drop_at(pending, mutex.participants())).await);
        drop(soon(drop_at(pending, mutex.revoke())).await);
        drop(soon(drop_at(pending, rw.participants())).await);
        drop(soon(drop_at(pending, rw.revoke())).await);
        drop(soon(drop_at(pending, semaphore.participants())).await);
        drop(soon(drop_at(pending, semaphore.set_permits(2))).await);
        drop(soon(drop_at(pending, semaphore.try_acquire())).await);
        let limited = semaphore.acquire_timeout(2, Duration::from_millis(1));
        drop(soon(drop_at(pending, limited)).await);
        assert_eq!(guard.state(), GuardState::Held);
        soon(guard.release()).await.unwrap();
    }
    let permits = soon(semaphore.acquire_many(2)).await.unwrap();
    soon(permits.release()).await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn fact_20_a_timeout_or_an_error_leaves_no_node() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let holder = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
    let limit = Duration::from_millis(5);
    assert!(soon(Mutex::new(&client, LOCK).lock_timeout(limit)).await.unwrap().is_none());
    children_are(&other, 1).await;
    let foreign = format!("{LOCK}/queue-0000000000");
    soon(other.create(&foreign, "", CreateMode::Persistent)).await.unwrap();
    let error = soon(Mutex::new(&client, LOCK).lock()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::OtherRecipe);
    children_are(&other, 2).await;
    soon(other.delete(&foreign, Version::ANY)).await.unwrap();
    drop(holder);
    ground.nothing_left().await;
}

#[tokio::test]
async fn fact_21_of_recipes_that_are_gone_no_watch_task_or_listener_is_left() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = (tasks(), client.stats().watches);
    for round in 0..5 {
        let mutex = Mutex::new(&client, LOCK).with_options(LockOptions::new().strict());
        let rw = ReadWriteLock::new(&client, "/locks/rw");
        let semaphore = Semaphore::with_shared_limit(&client, "/locks/s", "/locks/s-count", 2);
        let holder = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
        let waiter = tokio::spawn(mutex.lock());
        children_are(&other, 2).await;
        if round % 2 == 0 {
            waiter.abort();
            drop(waiter.await);
            drop(holder);
        } else {
            drop(holder);
            drop(soon(waiter).await.unwrap().unwrap());
        }
        let several = MultiLock::new().mutex(&mutex).write(&rw);
        let several = soon(several.lock()).await.unwrap();
        drop((several.lost(), soon(semaphore.acquire_many(2)).await.unwrap(), several[0].states()));
    }
    ground.nothing_left().await;
    soon(async {
        while (tasks(), client.stats().watches) != before {
            client.sync("/").await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fact_22_a_lock_whose_idle_parents_were_reaped_still_works() {
    let spec = InstanceSpec::new().container_checks(Duration::from_secs(60));
    let server = TestingServer::start_with(spec).await.unwrap();
    let (client, _wire) = connect(&server, T).await;
    let mutex = Mutex::new(&client, LOCK);
    let mut last = Zxid::ZERO;
    for _ in 0..3 {
        let guard = mutex.lock().await.unwrap();
        assert!(guard.token() > last && guard.path().ends_with("-0000000000"));
        last = guard.token();
        guard.release().await.unwrap();
        while server.node("/locks").await.is_some() {
            tokio::time::sleep(T).await; // virtual: the clock is paused
        }
    }
    // Nobody reaps what somebody waits in.
    let guard = mutex.lock().await.unwrap();
    tokio::time::sleep(T * 20).await; // virtual: the clock is paused
    assert_eq!(guard.state(), GuardState::Held);
    guard.release().await.unwrap();
}

/// kazoo's non-blocking acquire left its contender behind when its connection was lost.
#[tokio::test]
async fn kazoo_732_a_try_that_fails_or_is_cut_off_leaves_no_contender() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let holder = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
    for op in [OpCode::Create2, OpCode::GetChildren, OpCode::Delete] {
        for cut in [Wire::cut_before_reply as fn(&Wire, OpCode), Wire::cut_before_arrival] {
            let (client, wire) = ground.connect_wired().await;
            cut(&wire, op);
            assert!(soon(Mutex::new(&client, LOCK).try_lock()).await.unwrap().is_none());
            children_are(&other, 1).await;
        }
    }
    drop(holder);
    ground.nothing_left().await;
}

/// kazoo watched by `exists`, which leaves a watch on a node that is gone already.
#[tokio::test]
async fn kazoo_9b0a793_a_predecessor_that_has_just_gone_leaves_no_watch() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    for _ in 0..5 {
        let holder = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
        let lists = wire.count(OpCode::GetChildren);
        wire.hold_replies();
        let waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
        wire.until(OpCode::GetChildren, lists + 1).await;
        // The list that is on its way still names the holder.
        children_are(&other, 2).await;
        soon(other.sync("/")).await.unwrap();
        holder.release().await.unwrap();
        wire.resume();
        soon(waiter).await.unwrap().unwrap().release().await.unwrap();
        ground.nothing_left().await;
    }
}
