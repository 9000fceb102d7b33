//! How many requests and watches it takes.

use znode::proto::OpCode;
use znode_recipes::Mutex;

use crate::ground::{Ground, LOCK, children_are, contenders, make_lock, soon};

#[tokio::test]
async fn a_lock_that_nobody_has_costs_two_requests_in_one_round_trip() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_lock(&client).await;
    let before = wire.requests();
    // Both requests are on their way before the first is answered.
    wire.hold_replies();
    let lock = tokio::spawn(Mutex::new(&client, LOCK).lock());
    wire.until(OpCode::Create2, 1).await;
    wire.until(OpCode::GetChildren, 1).await;
    wire.resume();
    let guard = soon(lock).await.unwrap().unwrap();
    // The third is the watch on the node that was granted.
    wire.until(OpCode::GetData, 1).await;
    assert_eq!(wire.requests() - before, 3);
    guard.release().await.unwrap();
    assert_eq!(wire.requests() - before, 4);
    ground.nothing_left().await;
    assert_eq!(wire.requests() - before, 4, "nothing else was asked");
}

#[tokio::test]
async fn the_first_lock_of_all_costs_a_look_and_a_create_for_each_missing_parent_more() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    wire.until(OpCode::GetData, 1).await;
    // Create and list; a look at both parents, and both made; create and list; the watch. Each
    // pair takes one round trip.
    assert_eq!(wire.requests() - before, 9);
    assert_eq!(wire.count(OpCode::CreateContainer), 2);
    drop(guard);
    ground.nothing_left().await;
}

#[tokio::test]
async fn who_is_second_in_line_needs_four_requests() {
    let ground = Ground::start().await;
    let holder = soon(Mutex::new(&ground.connect().await, LOCK).lock()).await.unwrap();
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    let waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
    wire.until(OpCode::GetData, 1).await;
    assert_eq!(wire.requests() - before, 3);
    holder.release().await.unwrap();
    let guard = soon(waiter).await.unwrap().unwrap();
    wire.until(OpCode::GetData, 2).await;
    assert_eq!(wire.requests() - before, 4 + 1, "the last is the watch on what was granted");
    assert_eq!(wire.count(OpCode::GetChildren), 2);
    drop(guard);
}

#[tokio::test]
async fn a_try_that_fails_costs_three_requests() {
    let ground = Ground::start().await;
    let holder = soon(Mutex::new(&ground.connect().await, LOCK).lock()).await.unwrap();
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    assert!(soon(Mutex::new(&client, LOCK).try_lock()).await.unwrap().is_none());
    assert_eq!(wire.requests() - before, 3);
    assert_eq!(wire.notifications(), 0);
    drop(holder);
}

#[tokio::test]
async fn each_waiter_watches_the_one_ahead_and_a_release_wakes_one() {
    const WAITERS: usize = 10;

    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let (mut waiters, mut wires) = (Vec::new(), Vec::new());
    for number in 0..WAITERS {
        let (client, wire) = ground.connect_wired().await;
        waiters.push(tokio::spawn(Mutex::new(&client, LOCK).lock()));
        wire.until(OpCode::GetData, 1).await;
        wires.push((client, wire));
        assert_eq!(contenders(&client_of(&wires)).await.len(), number + 2);
    }
    // One watch of the holder on its own node, and one of each waiter on the node ahead.
    let mut watched = ground.watched().await;
    let total = watched.len();
    assert_eq!(total, 1 + WAITERS);
    watched.sort();
    watched.dedup();
    assert_eq!(watched.len(), WAITERS, "two watch the holder's node, nobody the last one's");

    let requests: Vec<_> = wires.iter().map(|(_, wire)| wire.requests()).collect();
    holder.release().await.unwrap();
    let guard = soon(waiters.remove(0)).await.unwrap().unwrap();
    for (client, _) in &wires {
        // Whatever else was on its way has arrived after this.
        soon(client.sync("/")).await.unwrap();
    }
    let notified: Vec<_> = wires.iter().map(|(_, wire)| wire.notifications()).collect();
    assert_eq!(notified.iter().sum::<usize>(), 1, "{notified:?}");
    assert_eq!(notified[0], 1);
    for (at, (_, wire)) in wires.iter().enumerate().skip(1) {
        assert_eq!(wire.requests() - requests[at], 1, "the sync, and nothing else");
    }
    waiters.iter().for_each(tokio::task::JoinHandle::abort);
    drop(guard);
    children_are(&client, 0).await;
    ground.nothing_left().await;
}

fn client_of(wires: &[(znode::Client, znode_tests::support::Wire)]) -> znode::Client {
    wires.last().unwrap().0.clone()
}

#[tokio::test]
async fn a_waiter_that_gives_up_moves_only_the_one_behind_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..3 {
        let (client, wire) = ground.connect_wired().await;
        let waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
        wire.until(OpCode::GetData, 1).await;
        waiters.push((waiter, client, wire));
    }
    let (first, middle, last) = (waiters.remove(0), waiters.remove(0), waiters.remove(0));
    let before = first.2.requests();
    middle.0.abort();
    children_are(&client, 3).await;
    // The last one looks again, and waits for the first now.
    last.2.until(OpCode::GetData, 2).await;
    assert_eq!(first.2.requests(), before);
    assert_eq!(first.2.notifications(), 0);
    assert!(!first.0.is_finished() && !last.0.is_finished());

    holder.release().await.unwrap();
    let guard = soon(first.0).await.unwrap().unwrap();
    assert!(!last.0.is_finished());
    guard.release().await.unwrap();
    drop(soon(last.0).await.unwrap().unwrap());
    ground.nothing_left().await;
}
