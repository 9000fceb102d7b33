//! How many requests and watches it takes.

use futures::StreamExt;
use znode::proto::OpCode;
use znode_recipes::{Guard, LeaderLatch, Mutex, ReadWriteLock, Upgrade};

use crate::ground::{Ground, LOCK, children_are, contenders, is_pending, make_lock, soon};
use znode_tests::support::Wire;

#[tokio::test]
async fn a_lock_that_nobody_has_costs_three_requests_two_of_them_in_one_round_trip() {
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
    guard.release().await.unwrap();
    ground.nothing_left().await;
    assert_eq!(wire.requests() - before, 3, "the third is the deletion");
}

#[tokio::test]
async fn a_change_of_leader_costs_who_looks_on_one_list_and_two_reads() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let mut guard = soon(LeaderLatch::new(&other, LOCK).lead()).await.unwrap();
    let mut changes = LeaderLatch::new(&client, LOCK).changes();
    soon(changes.next()).await.unwrap().unwrap();
    for _ in 0..3 {
        let before = wire.requests();
        let next = tokio::spawn(LeaderLatch::new(&other, LOCK).lead());
        children_are(&other, 2).await;
        let mut told = tokio::spawn(async move { (changes.next().await, changes) });
        wire.until(OpCode::GetData, wire.count(OpCode::GetData) + 1).await;
        assert!(is_pending(&mut told));
        soon(guard.release()).await.unwrap();
        guard = soon(next).await.unwrap().unwrap();
        let leader;
        (leader, changes) = soon(told).await.unwrap();
        assert_eq!(leader.unwrap().unwrap().unwrap().epoch, guard.token());
        assert_eq!(wire.requests() - before, 3);
    }
}

#[tokio::test]
async fn an_upgrade_costs_three_requests_and_a_downgrade_one() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let reader = soon(ReadWriteLock::new(&client, LOCK).read()).await.unwrap();
    let before = wire.requests();
    let Upgrade::Done(writer) = soon(reader.try_upgrade()).await.unwrap() else {
        panic!("nobody else is in line");
    };
    assert_eq!(wire.requests() - before, 3);
    let reader = soon(writer.downgrade()).await.unwrap();
    assert_eq!(wire.requests() - before, 4);
    soon(reader.release()).await.unwrap();
}

#[tokio::test]
async fn who_wants_news_watches_its_node_with_one_request_more() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_lock(&client).await;
    let mutex = Mutex::new(&client, LOCK);
    let asks: [fn(&Guard); 5] = [
        |guard| drop(guard.lost()),
        |guard| drop(guard.states()),
        |guard| drop(guard.revoked()),
        |guard| drop(guard.run(async {})),
        |guard| assert!(guard.state().is_held()),
    ];
    for ask in asks {
        let (before, reads) = (wire.requests(), wire.count(OpCode::GetData));
        let guard = soon(mutex.lock()).await.unwrap();
        for ask in [ask, asks[0]] {
            ask(&guard);
        }
        wire.until(OpCode::GetData, reads + 1).await;
        guard.release().await.unwrap();
        assert_eq!(wire.requests() - before, 4);
    }
    ground.nothing_left().await;
}

#[tokio::test]
async fn the_first_lock_of_all_costs_a_look_and_a_create_for_each_missing_parent_more() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    // Create and list; a look at both parents, and both made; create and list. Each pair takes one
    // round trip.
    assert_eq!(wire.requests() - before, 8);
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
    guard.release().await.unwrap();
    assert_eq!(wire.requests() - before, 4, "it does not list again");
    assert_eq!(wire.count(OpCode::GetChildren), 1);
    ground.nothing_left().await;
}

#[tokio::test]
async fn who_is_further_back_needs_five_requests() {
    let ground = Ground::start().await;
    let holder = soon(Mutex::new(&ground.connect().await, LOCK).lock()).await.unwrap();
    let (second, ahead) = ground.connect_wired().await;
    let second = tokio::spawn(Mutex::new(&second, LOCK).lock());
    ahead.until(OpCode::GetData, 1).await;
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    let waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
    wire.until(OpCode::GetData, 1).await;
    holder.release().await.unwrap();
    soon(second).await.unwrap().unwrap().release().await.unwrap();
    soon(waiter).await.unwrap().unwrap().release().await.unwrap();
    assert_eq!(wire.requests() - before, 5);
    assert_eq!(wire.count(OpCode::GetChildren), 2);
    ground.nothing_left().await;
}

/// Only the deletion of one who was first in the list proves anything.
#[tokio::test]
async fn a_holds_b_waits_c_waits_behind_b_b_cancels_and_c_does_not_hold() {
    let ground = Ground::start().await;
    let a = soon(Mutex::new(&ground.connect().await, LOCK).lock()).await.unwrap();
    let (client, b_wire) = ground.connect_wired().await;
    let b = tokio::spawn(Mutex::new(&client, LOCK).lock());
    b_wire.until(OpCode::GetData, 1).await;
    let (client, c_wire) = ground.connect_wired().await;
    let mut c = tokio::spawn(Mutex::new(&client, LOCK).lock());
    c_wire.until(OpCode::GetData, 1).await;
    b.abort();
    // It has listed again, and waits for the holder.
    c_wire.until(OpCode::GetData, 2).await;
    soon(client.sync("/")).await.unwrap();
    assert!(is_pending(&mut c), "two hold");
    assert_eq!(c_wire.count(OpCode::GetChildren), 2);
    a.release().await.unwrap();
    soon(c).await.unwrap().unwrap().release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_15_a_release_wakes_one_of_a_thousand_and_each_lists_once_more() {
    const CLIENTS: usize = 20;
    const EACH: usize = 50;

    let ground = Ground::start().await;
    let client = ground.connect().await;
    let holder = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let (mut waiters, mut wires) = (Vec::new(), Vec::new());
    for _ in 0..CLIENTS {
        let (client, wire) = ground.connect_wired().await;
        let mutex = Mutex::new(&client, LOCK);
        waiters.extend((0..EACH).map(|_| {
            let lock = mutex.lock();
            tokio::spawn(async move { lock.await.unwrap().release().await.unwrap() })
        }));
        wire.until(OpCode::GetData, EACH).await;
        wires.push(wire);
    }
    holder.release().await.unwrap();
    for waiter in waiters {
        soon(waiter).await.unwrap();
    }
    let total = |op| wires.iter().map(|wire| wire.count(op)).sum::<usize>();
    let told: usize = wires.iter().map(Wire::notifications).sum();
    assert_eq!(told, CLIENTS * EACH, "one event for each release");
    assert_eq!(total(OpCode::Create2), CLIENTS * EACH);
    // One list to begin with, and one for each wake-up, but for the one who was second.
    assert_eq!(total(OpCode::GetChildren), 2 * CLIENTS * EACH - 1);
    assert_eq!(total(OpCode::Delete), CLIENTS * EACH);
    assert_eq!(total(OpCode::GetData), CLIENTS * EACH);
    ground.nothing_left().await;
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
    let (client, holder_wire) = ground.connect_wired().await;
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
    drop(holder.lost());
    holder_wire.until(OpCode::GetData, 1).await;
    soon(client.sync("/")).await.unwrap();
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

fn client_of(wires: &[(znode::Client, Wire)]) -> znode::Client {
    wires.last().unwrap().0.clone()
}

#[tokio::test]
async fn fact_14_a_waiter_that_gives_up_moves_only_the_one_behind_it() {
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
