//! Those who do not wait, or not for ever.

use std::time::Duration;

use znode_recipes::Mutex;

use crate::ground::{Ground, LOCK, contenders, soon};

const LIMIT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn try_lock_takes_a_lock_that_nobody_has() {
    let ground = Ground::start().await;
    let mutex = Mutex::new(&ground.connect().await, LOCK);
    let guard = soon(mutex.try_lock()).await.unwrap().unwrap();
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn try_lock_leaves_nothing_behind_when_somebody_has_it() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    for _ in 0..3 {
        assert!(soon(Mutex::new(&other, LOCK).try_lock()).await.unwrap().is_none());
        // Confirmed by the server before it returned: no other client sees it any more.
        assert_eq!(contenders(&client).await.len(), 1);
    }
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_limit_of_zero_tries_once() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock_timeout(Duration::ZERO)).await.unwrap();
    let second = Mutex::new(&other, LOCK).lock_timeout(Duration::ZERO);
    assert!(soon(second).await.unwrap().is_none());
    assert_eq!(contenders(&client).await.len(), 1);
    drop(guard.unwrap());
    ground.nothing_left().await;
}

#[tokio::test]
async fn lock_timeout_gives_up_in_time_and_leaves_nothing_behind() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    assert!(soon(Mutex::new(&other, LOCK).lock_timeout(LIMIT)).await.unwrap().is_none());
    // Whatever that client asks next comes after the removal.
    assert_eq!(contenders(&other).await.len(), 1);
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn lock_timeout_takes_a_lock_that_is_released_in_time() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let waiter = tokio::spawn(Mutex::new(&other, LOCK).lock_timeout(Duration::MAX));
    crate::ground::children_are(&client, 2).await;
    guard.release().await.unwrap();
    drop(soon(waiter).await.unwrap().unwrap().unwrap());
    ground.nothing_left().await;
}
