//! Locks of a client that compresses what it writes: its own nodes are as they are, and what is
//! written under the lock is compressed. With the feature `gzip` only.

use znode::{CreateMode, Version};
use znode_recipes::{LockOptions, Mutex, Semaphore};

use crate::ground::{Ground, LOCK, children_are, delete, make_lock, soon};

#[tokio::test]
async fn a_lock_of_a_client_that_compresses_reads_what_others_have_written() {
    let ground = Ground::start().await;
    let (plain, other) = (ground.connect().await, ground.connect().await);
    make_lock(&plain).await;
    let client = plain.with_compression();
    let theirs = format!("{LOCK}/_c_x-lock-");
    let theirs = other.create(&theirs, "10.0.0.1", CreateMode::EphemeralSequential);
    let theirs = soon(theirs).await.unwrap().path;
    let options = LockOptions::new().data("me");
    let waiter = tokio::spawn(Mutex::new(&client, LOCK).with_options(options).lock());
    children_are(&other, 2).await;
    delete(&other, &theirs).await.unwrap();
    let guard = soon(waiter).await.unwrap().unwrap();
    let (data, _) = soon(plain.get_data(guard.path())).await.unwrap();
    assert_eq!(&data[..], b"me");
    // Curator's revocation is no gzip stream either.
    let revoked = guard.revoked();
    soon(plain.set_data(guard.path(), "__REVOKE__", Version::ANY)).await.unwrap();
    soon(revoked).await;
    soon(guard.client().create("/a", "written", CreateMode::Persistent)).await.unwrap();
    let (data, _) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"written");
    let (data, _) = soon(plain.get_data("/a")).await.unwrap();
    assert_ne!(&data[..], b"written");
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_semaphore_of_a_client_that_compresses_counts_as_others_do() {
    let ground = Ground::start().await;
    let plain = ground.connect().await;
    let client = plain.with_compression();
    let semaphore = Semaphore::with_shared_limit(&client, "/s", "/s-count", 3);
    let permits = soon(semaphore.acquire_many(3)).await.unwrap();
    let (data, _) = soon(plain.get_data("/s-count")).await.unwrap();
    assert_eq!(&data[..], [0, 0, 0, 3]);
    drop(permits);
    drop(soon(Semaphore::with_shared_limit(&plain, "/s", "/s-count", 1).acquire()).await.unwrap());
}
