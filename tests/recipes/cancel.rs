//! Futures dropped at every await: nothing stays behind, and nobody is held up.

use std::future::Future;
use std::time::Duration;

use znode::proto::OpCode;
use znode::{Client, Version};
use znode_recipes::{Guard, LockError, Mutex};

use crate::ground::{Ground, LOCK, delete, drop_at, make_lock, soon};
use znode_tests::support::Wire;

/// More awaits than any path through a lock has.
const AWAITS_MAX: usize = 100;

/// Others get the lock at once, and nothing is left of anybody.
async fn is_free(ground: &Ground, other: &Client) {
    soon(Mutex::new(other, LOCK).lock()).await.unwrap().release().await.unwrap();
    ground.nothing_left().await;
}

/// Drops what `make` makes at its first await, its second, and so on until it completes.
async fn sweep<F, T>(ground: &Ground, mut make: impl FnMut() -> F) -> usize
where
    F: Future<Output = Result<T, LockError>>,
{
    let other = ground.connect().await;
    for pending in 1..AWAITS_MAX {
        let output = soon(drop_at(pending, make())).await;
        let is_complete = output.is_some();
        drop(output.transpose().unwrap());
        is_free(ground, &other).await;
        if is_complete {
            return pending;
        }
    }
    panic!("it never completes");
}

#[tokio::test]
async fn fact_19_a_lock_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make_lock(&client).await;
    let mutex = Mutex::new(&client, LOCK);
    let awaits = sweep(&ground, || mutex.lock()).await;
    assert!(awaits > 1, "nothing was dropped");
}

#[tokio::test]
async fn a_lock_can_be_dropped_while_its_parents_are_made() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for pending in 1..AWAITS_MAX {
        let client = ground.connect().await;
        let lock = Mutex::new(&client, LOCK).lock();
        let output = soon(drop_at(pending, lock)).await;
        let is_complete = output.is_some();
        drop(output);
        is_free(&ground, &other).await;
        for path in [LOCK, "/locks"] {
            delete(&other, path).await.unwrap();
        }
        if is_complete {
            assert!(pending > 3, "nothing was dropped");
            return;
        }
    }
    panic!("it never completes");
}

#[tokio::test]
async fn a_try_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mutex = Mutex::new(&client, LOCK);
    sweep(&ground, || mutex.try_lock()).await;
    let guard = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
    for pending in 1..AWAITS_MAX {
        let output = soon(drop_at(pending, mutex.try_lock())).await;
        let Some(output) = output else { continue };
        assert!(output.unwrap().is_none());
        assert!(pending > 2, "nothing was dropped");
        break;
    }
    drop(guard);
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_waiter_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for pending in 1..AWAITS_MAX {
        let (client, wire) = ground.connect_wired().await;
        let holder = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
        // The holder lets go once the waiter waits; if the waiter is gone by then, at the end.
        let release = tokio::spawn(async move {
            wire.until(OpCode::GetData, 1).await;
            holder.release().await.unwrap();
        });
        let output = soon(drop_at(pending, Mutex::new(&client, LOCK).lock())).await;
        let is_complete = output.is_some();
        drop(output.transpose().unwrap());
        release.abort();
        is_free(&ground, &other).await;
        if is_complete {
            assert!(pending > 2, "nothing was dropped");
            return;
        }
    }
    panic!("it never completes");
}

#[tokio::test]
async fn a_lock_can_be_dropped_at_every_await_while_any_reply_is_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    make_lock(&other).await;
    for (op, cut) in [
        (OpCode::Create2, Wire::cut_before_reply as fn(&Wire, OpCode)),
        (OpCode::Create2, Wire::cut_before_arrival),
        (OpCode::GetChildren, Wire::cut_before_reply),
        (OpCode::GetChildren, Wire::cut_before_arrival),
    ] {
        for pending in 1..AWAITS_MAX {
            let (client, wire) = ground.connect_wired().await;
            cut(&wire, op);
            let output = soon(drop_at(pending, Mutex::new(&client, LOCK).lock())).await;
            let is_complete = output.is_some();
            drop(output.transpose().unwrap());
            is_free(&ground, &other).await;
            if is_complete {
                assert!(pending > 2, "nothing was dropped");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_release_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let other = ground.connect().await;
    for is_cut in [false, true] {
        for pending in 0..AWAITS_MAX {
            let (client, wire) = ground.connect_wired().await;
            let guard: Guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
            if is_cut {
                wire.cut_before_reply(OpCode::Delete);
            }
            let release = guard.release();
            let output = if pending == 0 {
                drop(release);
                None
            } else {
                soon(drop_at(pending, release)).await
            };
            is_free(&ground, &other).await;
            if let Some(released) = output {
                released.unwrap();
                assert!(pending > 1, "nothing was dropped");
                break;
            }
        }
    }
    drop(client);
}

#[tokio::test]
async fn a_guarded_write_whose_future_is_dropped_takes_effect_all_the_same() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    drop(guard.client().create("/a", "x", znode::CreateMode::Persistent));
    drop(guard.client().set_data("/a", "y", Version::ANY));
    let (data, _) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"y");
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_dropped_with_its_lock_leaves_nothing_behind() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let lock = tokio::spawn(Mutex::new(&client, LOCK).lock_timeout(Duration::MAX));
    drop(client);
    wire.until(OpCode::Create2, 1).await;
    lock.abort();
    ground.nothing_left().await;
    wire.until(OpCode::CloseSession, 1).await;
}
