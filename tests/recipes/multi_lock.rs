//! Several locks as one, and one lock several times.

use std::time::Duration;

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, Op, Outcome, Version};
use znode_recipes::{
    LockErrorKind, LockOptions, LostReason, MultiLock, Mutex, ReadWriteLock, ReentrantGuard,
};

use crate::ground::{Ground, LOCK, delete, disconnect, drop_at, is_pending, soon};

const PATHS: [&str; 3] = ["/locks/a", "/locks/b", "/locks/c"];

fn all(client: &Client) -> MultiLock {
    let [a, b, c] = PATHS;
    MultiLock::new()
        .write(&ReadWriteLock::new(client, c))
        .mutex(&Mutex::new(client, a))
        .read(&ReadWriteLock::new(client, b))
}

async fn nobody(client: &Client) {
    for path in PATHS {
        soon(async {
            while let Ok((children, _, watcher)) = client.get_children_watched(path).await
                && !children.is_empty()
            {
                watcher.await.unwrap();
            }
        })
        .await;
    }
}

#[tokio::test]
async fn all_are_held_or_none() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(all(&client).lock()).await.unwrap();
    let paths: Vec<_> = guard.iter().map(|guard| guard.lock_path().to_owned()).collect();
    assert_eq!(paths, PATHS, "in the order of their paths");
    assert!(soon(all(&other).try_lock()).await.unwrap().is_none());
    assert!(soon(Mutex::new(&other, PATHS[0]).try_lock()).await.unwrap().is_none());
    drop(soon(ReadWriteLock::new(&other, PATHS[1]).try_read()).await.unwrap().unwrap());
    assert!(soon(ReadWriteLock::new(&other, PATHS[2]).try_read()).await.unwrap().is_none());
    let waiter = tokio::spawn(all(&other).lock());
    soon(guard.release()).await.unwrap();
    drop(soon(waiter).await.unwrap().unwrap());
    nobody(&other).await;
    // One that is held elsewhere is enough.
    let last = soon(ReadWriteLock::new(&other, PATHS[2]).read()).await.unwrap();
    for limit in [Duration::ZERO, Duration::from_millis(20)] {
        assert!(soon(all(&client).lock_timeout(limit)).await.unwrap().is_none());
        drop(soon(Mutex::new(&other, PATHS[0]).lock()).await.unwrap());
    }
    drop(last);
    drop(soon(all(&client).lock_timeout(Duration::MAX)).await.unwrap().unwrap());
    nobody(&other).await;
    let none = soon(MultiLock::new().lock()).await.unwrap();
    assert_eq!(soon(none.run(async { 7 })).await.unwrap(), 7);
    soon(none.release()).await.unwrap();
}

/// Each in its own order: they would wait for each other for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_order_they_are_named_in_nobody_deadlocks() {
    let ground = Ground::start().await;
    let clients = join_all((0..3).map(|_| ground.connect())).await;
    let tasks = clients.iter().enumerate().map(|(first, client)| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                let locks = (0..3).fold(MultiLock::new(), |locks, at| {
                    locks.mutex(&Mutex::new(&client, PATHS[(first + at) % 3]))
                });
                locks.lock().await.unwrap().release().await.unwrap();
            }
        })
    });
    for task in soon(join_all(tasks)).await {
        task.unwrap();
    }
    nobody(&clients[0]).await;
}

#[tokio::test]
async fn fact_24_a_failure_gives_back_what_was_taken_in_reverse_and_asks_for_no_more() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/closed", "", CreateMode::Persistent)).await.unwrap();
    soon(client.set_acl("/closed", &[znode::Acl::read_only()], Version::ANY)).await.unwrap();
    let lock = |path: &str| Mutex::new(&client, path);
    let locks = [&lock("/z"), &lock("/closed"), &lock("/b"), &lock("/a")];
    let locks = locks.into_iter().fold(MultiLock::new(), MultiLock::mutex);
    let error = soon(locks.lock()).await.unwrap_err();
    assert_eq!(error.path(), Some("/closed"));
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NoAuth);
    assert_eq!(soon(client.exists("/z")).await.unwrap(), None, "it was asked for");
    for path in ["/a", "/b"] {
        assert!(soon(client.get_children(path)).await.unwrap().is_empty());
    }
    assert_eq!(wire.count(OpCode::Delete), 2);
    // The one that was taken last is the first to go.
    let [a, b] = ["/a", "/b"].map(|path| client.exists(path));
    let (a, b) = (soon(a).await.unwrap().unwrap(), soon(b).await.unwrap().unwrap());
    assert!(b.pzxid < a.pzxid);
}

#[tokio::test]
async fn a_lock_that_is_named_twice_is_refused_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let below = client.with_chroot("/locks").unwrap();
    let before = wire.requests();
    let locks = MultiLock::new().mutex(&Mutex::new(&client, "/locks/one"));
    let locks = locks.read(&ReadWriteLock::new(&below, "/one"));
    let error = soon(locks.lock()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::Duplicate);
    assert_eq!(wire.requests(), before);
}

#[tokio::test]
async fn one_that_is_lost_while_others_are_waited_for_ends_it() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let last = soon(Mutex::new(&other, PATHS[2]).lock()).await.unwrap();
    let both = MultiLock::new().mutex(&Mutex::new(&client, PATHS[0]));
    let both = both.mutex(&Mutex::new(&client, PATHS[2]));
    let waiter = tokio::spawn(both.lock());
    soon(async {
        while soon(Mutex::new(&other, PATHS[2]).participants()).await.unwrap().len() < 2 {
            other.sync("/").await.unwrap();
        }
    })
    .await;
    let first = soon(Mutex::new(&other, PATHS[0]).participants()).await.unwrap().remove(0);
    delete(&other, &first).await.unwrap();
    let error = soon(waiter).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.path()), (LockErrorKind::LockLost, Some(PATHS[0])));
    drop(last);
    nobody(&other).await;
}

#[tokio::test]
async fn writes_of_a_guard_of_several_need_each_of_them() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    for at in 0..3 {
        let guard = soon(all(&client).lock()).await.unwrap();
        let writer = guard.client().unwrap();
        let name = format!("/n{at}");
        soon(writer.create(&name, "", CreateMode::Persistent)).await.unwrap();
        let error = soon(
            writer
                .multi([Op::set_data(&name, "", Version::ANY), Op::delete("/none", Version::ANY)]),
        );
        let error = error.await.unwrap_err();
        assert_eq!((error.kind(), error.op_index()), (LockErrorKind::Client, Some(1)));
        assert_eq!(soon(guard.run(async { 7 })).await.unwrap(), 7);
        let work = tokio::spawn({
            let writer = writer.clone();
            async move { writer.set_data("/none", "", Version::ANY).await }
        });
        assert_eq!(soon(work).await.unwrap().unwrap_err().op_index(), Some(0));
        delete(&other, guard[at].path()).await.unwrap();
        let error = soon(writer.set_data(&name, "", Version::ANY)).await.unwrap_err();
        assert_eq!((error.kind(), error.op_index()), (LockErrorKind::LockLost, None));
        assert_ne!(error.outcome(), Outcome::Unknown);
        assert_eq!(soon(guard.lost()).await, LostReason::Deleted);
        let error = soon(guard.run(std::future::pending::<()>())).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::LockLost);
        let error = soon(guard.release()).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (LockErrorKind::LockLost, Some(PATHS[at])));
        nobody(&other).await;
    }
}

#[tokio::test]
async fn locks_of_one_guard_may_be_of_several_chroots() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/locks", "", CreateMode::Persistent)).await.unwrap();
    let below = client.with_chroot("/locks").unwrap();
    let (above, below) = (Mutex::new(&client, "/locks/a"), Mutex::new(&below, "/b"));
    let guard = soon(MultiLock::new().mutex(&below).mutex(&above).lock()).await.unwrap();
    let writer = guard.client().unwrap();
    soon(writer.create("/n", "", CreateMode::Persistent)).await.unwrap();
    soon(guard.release()).await.unwrap();
    let elsewhere = Mutex::new(&client.with_chroot("/locks").unwrap(), "/");
    let guard = soon(MultiLock::new().mutex(&elsewhere).mutex(&Mutex::new(&client, "/z")).lock());
    let error = guard.await.unwrap().client().unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::InvalidPath);
}

#[tokio::test]
async fn several_locks_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for releases in [false, true] {
        for pending in 1..100 {
            let client = ground.connect().await;
            let is_complete = if releases {
                let guard = soon(all(&client).lock()).await.unwrap();
                soon(drop_at(pending, guard.release())).await.is_some()
            } else {
                soon(drop_at(pending, all(&client).lock())).await.is_some()
            };
            soon(all(&other).lock()).await.unwrap().release().await.unwrap();
            nobody(&other).await;
            if is_complete {
                assert!(pending > 2, "nothing was dropped");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_holder_can_take_its_lock_again_if_it_says_so() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let first = ReentrantGuard::from(guard);
    let second = first.reenter().unwrap();
    let third = second.reenter().unwrap();
    assert_eq!((first.token(), first.depth()), (third.token(), 3));
    assert!(!soon(first.release()).await.unwrap());
    drop(third);
    let mut waiter = tokio::spawn(Mutex::new(&other, LOCK).lock());
    crate::ground::children_are(&other, 2).await;
    assert!(is_pending(&mut waiter));
    soon(second.client().create("/a", "", CreateMode::Persistent)).await.unwrap();
    assert!(soon(second.release()).await.unwrap());
    let first = ReentrantGuard::from(soon(waiter).await.unwrap().unwrap());
    delete(&client, first.path()).await.unwrap();
    soon(first.lost()).await;
    assert_eq!(first.reenter().unwrap_err().kind(), LockErrorKind::LockLost);
    let error = soon(first.release()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    ground.nothing_left().await;
}

#[tokio::test]
async fn writes_of_several_locks_wait_with_grace_too() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(all(&client).lock()).await.unwrap();
    let writer = guard.client().unwrap().with_grace(Duration::from_secs(60));
    disconnect(&client, &wire).await;
    let mut parked = writer.create("/a", "", CreateMode::Persistent);
    assert!(is_pending(&mut parked));
    wire.admit();
    soon(parked).await.unwrap();
    soon(guard.release()).await.unwrap();
}

#[tokio::test]
async fn several_locks_have_the_shortest_grace_of_all() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let with = |path: &str, ms| {
        let grace = LockOptions::new().grace(Duration::from_millis(ms));
        Mutex::new(&client, path).with_options(grace)
    };
    let both = MultiLock::new().mutex(&with("/locks/a", 20)).mutex(&with("/locks/b", 60_000));
    let guard = soon(both.lock()).await.unwrap();
    let writer = guard.client().unwrap();
    disconnect(&client, &wire).await;
    let error = soon(writer.create("/a", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (LockErrorKind::Suspect, Outcome::NotSent));
    wire.admit();
    soon(guard.release()).await.unwrap();
}
