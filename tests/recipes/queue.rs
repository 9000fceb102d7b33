//! What is told of a line and to those who stand in it: places, participants, revocation, orders
//! that cannot end well.

use std::time::Duration;

use futures::StreamExt;
use znode::CreateMode;
use znode::proto::OpCode;
use znode_recipes::{LostReason, Mutex, Place, Progress, Waiting};

use crate::ground::{Ground, LOCK, children_are, contenders, is_pending, soon};
use znode_tests::support::Capture;

async fn place(waiting: &mut Waiting) -> Place {
    match soon(waiting.next()).await.expect("it goes on").unwrap() {
        Progress::Waiting(place) => place,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_waits_is_told_how_many_are_ahead() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let (second, ahead) = ground.connect_wired().await;
    let second = tokio::spawn(Mutex::new(&second, LOCK).lock());
    ahead.until(OpCode::GetData, 1).await;
    let mut waiting = Mutex::new(&client, LOCK).queue(None);
    let Place { position, ahead, .. } = place(&mut waiting).await;
    assert_eq!(position, 2);
    let names = contenders(&client).await;
    assert!(ahead.ends_with(&names[1]), "{ahead}");
    // The one in the middle gives up.
    second.abort();
    let Place { position, ahead, .. } = place(&mut waiting).await;
    assert_eq!((position, ahead), (1, holder.path().to_owned()));
    assert!(is_pending(&mut waiting.next()));
    holder.release().await.unwrap();
    let Some(Ok(Progress::Granted(guard))) = soon(waiting.next()).await else { panic!("no lock") };
    assert!(soon(waiting.next()).await.is_none());
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn who_looks_now_and_then_sees_the_line_move() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK);
    let holder = soon(mutex.lock()).await.unwrap();
    let second = tokio::spawn(mutex.lock());
    children_are(&client, 2).await;
    let third = tokio::spawn(mutex.lock());
    children_are(&client, 3).await;
    let mut waiting = mutex.queue(Some(Duration::from_millis(5)));
    assert_eq!(place(&mut waiting).await.position, 3);
    // It watches the third, which stays; and is told all the same.
    holder.release().await.unwrap();
    let second = soon(second).await.unwrap().unwrap();
    assert_eq!(place(&mut waiting).await.position, 2);
    drop(second);
    drop(soon(third).await.unwrap().unwrap());
    while !matches!(soon(waiting.next()).await, Some(Ok(Progress::Granted(_)))) {}
    ground.nothing_left().await;
}

#[tokio::test]
async fn each_look_costs_one_list_and_nothing_else() {
    let ground = Ground::start().await;
    let holder = soon(Mutex::new(&ground.connect().await, LOCK).lock()).await.unwrap();
    let (client, wire) = ground.connect_wired().await;
    let waiting = Mutex::new(&client, LOCK).queue(Some(Duration::from_millis(1)));
    let waiting = tokio::spawn(waiting.collect::<Vec<_>>());
    wire.until(OpCode::GetChildren, 10).await;
    drop(holder);
    let told = soon(waiting).await.unwrap();
    assert!(matches!(&told[..], [Ok(Progress::Waiting(_)), Ok(Progress::Granted(_))]), "{told:?}");
    assert_eq!((wire.count(OpCode::GetData), wire.count(OpCode::RemoveWatches)), (1, 0));
    drop(told);
    ground.nothing_left().await;
}

#[tokio::test]
async fn who_stops_looking_leaves_the_line() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK);
    let holder = soon(mutex.lock()).await.unwrap();
    let mut waiting = mutex.queue(None);
    assert!(is_pending(&mut waiting.next()));
    drop(waiting);
    children_are(&client, 1).await;
    let mut waiting = mutex.queue(Some(Duration::from_millis(1)));
    assert_eq!(place(&mut waiting).await.position, 1);
    drop(waiting);
    children_are(&client, 1).await;
    drop(holder);
    ground.nothing_left().await;
    let error = soon(Mutex::new(&client, "here").queue(None).next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), znode_recipes::LockErrorKind::InvalidPath);
}

#[tokio::test]
async fn participants_are_told_in_order_whoever_they_are() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mutex = Mutex::new(&client, LOCK);
    assert!(soon(mutex.participants()).await.unwrap().is_empty());
    let holder = soon(mutex.lock()).await.unwrap();
    let kazoo = format!("{LOCK}/00000000000000000000000000000000__lock__");
    let kazoo = soon(client.create(&kazoo, "", CreateMode::EphemeralSequential)).await.unwrap();
    let waiter = tokio::spawn(mutex.lock());
    children_are(&client, 3).await;
    let participants = soon(mutex.participants()).await.unwrap();
    assert_eq!(participants[..2], [holder.path().to_owned(), kazoo.path]);
    assert_eq!(participants.len(), 3);
    waiter.abort();
}

#[tokio::test]
async fn a_holder_that_is_asked_to_let_go_hears_of_it_and_holds_on() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mutex = Mutex::new(&other, LOCK);
    assert!(!soon(mutex.revoke()).await.unwrap(), "nobody holds it");
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let mut revoked = guard.revoked();
    soon(client.set_data(guard.path(), "a note", 0)).await.unwrap();
    soon(client.sync("/")).await.unwrap();
    assert!(is_pending(&mut revoked), "a note is no revocation");
    assert!(soon(mutex.revoke()).await.unwrap());
    for mut revoked in [revoked.clone(), revoked, guard.revoked()] {
        soon(&mut revoked).await;
        soon(revoked).await;
    }
    assert!(guard.state().is_held());
    assert!(is_pending(&mut guard.lost()));
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_guard_that_is_gone_is_not_revoked() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let (mut revoked, lost) = (guard.revoked(), guard.lost());
    guard.release().await.unwrap();
    assert_eq!(soon(lost).await, LostReason::Released);
    assert!(is_pending(&mut revoked));
}

/// Debug builds only, as these are.
#[tokio::test]
async fn locks_that_are_asked_for_in_both_orders_are_told_of() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (capture, _recording) = Capture::start();
    let take = |first: &'static str, then: &'static str| {
        let [first, then] = [first, then].map(|path| Mutex::new(&client, path));
        soon(tokio::spawn(async move {
            let first = first.lock().await.unwrap();
            let then = then.lock_timeout(Duration::from_millis(200)).await.unwrap();
            drop((first, then));
        }))
    };
    let is_told = |what: &str| {
        let text = capture.text();
        text.lines().any(|line| line.starts_with("WARN znode_recipes") && line.contains(what))
    };
    take("/a", "/b").await.unwrap();
    take("/b", "/c").await.unwrap();
    take("/a", "/c").await.unwrap();
    assert!(!is_told("both orders"), "these can be ordered");
    take("/c", "/a").await.unwrap();
    assert!(is_told("both orders"), "{}", capture.text());
    assert!(!is_told("waits for itself"));
    take("/d", "/d").await.unwrap();
    assert!(is_told("waits for itself"));
}
