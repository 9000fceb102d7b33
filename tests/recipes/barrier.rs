//! Gates, barriers that are entered and left together, and countdowns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Acl, Client, CreateMode, ErrorKind, Op, Parents, Version};
use znode_recipes::{Barrier, CountdownLatch, DoubleBarrier, Inside, RecipeErrorKind};

use crate::ground::{CUTS, Ground, Wire, dropped_at_every_await, is_pending, reconnect, soon};

const GATE: &str = "/barriers/gate";
const DOUBLE: &str = "/barriers/double";
const SHORTLY: Duration = Duration::from_millis(20);

fn double(client: &Client, count: u32) -> DoubleBarrier {
    DoubleBarrier::new(client, DOUBLE, count).unwrap()
}

async fn enter(client: &Client, count: u32) -> tokio::task::JoinHandle<Inside> {
    let before = soon(double(client, count).members()).await.unwrap();
    let barrier = double(client, count);
    let entering = tokio::spawn(async move { barrier.enter().await.unwrap() });
    while soon(double(client, count).members()).await.unwrap() == before {}
    entering
}

async fn nobody_is_left(ground: &Ground, client: &Client) {
    while soon(double(client, 1).members()).await.unwrap() > 0 || !ground.watched().await.is_empty()
    {
        soon(client.sync("/")).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_passes_a_gate_before_it_is_opened() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    let (gate, theirs) = (Barrier::new(&one, GATE), Barrier::new(&other, GATE));
    soon(gate.wait()).await.unwrap();
    assert!(!soon(gate.is_closed()).await.unwrap());
    for _ in 0..2 {
        soon(gate.close()).await.unwrap();
    }
    let waiters = [gate.clone(), theirs.clone()];
    let mut waiting: Vec<_> =
        waiters.map(|gate| tokio::spawn(async move { gate.wait().await })).into();
    assert!(!soon(theirs.wait_timeout(SHORTLY)).await.unwrap());
    assert!(!soon(theirs.wait_timeout(Duration::ZERO)).await.unwrap());
    // What wakes them is no more than a reason to look.
    soon(other.set_data(GATE, "x", Version::ANY)).await.unwrap();
    soon(other.sync("/")).await.unwrap();
    assert!(waiting.iter_mut().all(is_pending));
    for _ in 0..2 {
        soon(theirs.open()).await.unwrap();
    }
    for waited in soon(join_all(waiting)).await {
        waited.unwrap().unwrap();
    }
    assert!(soon(theirs.wait_timeout(Duration::ZERO)).await.unwrap());
    assert!(ground.watched().await.is_empty());
}

#[tokio::test]
async fn a_gate_is_closed_and_opened_though_replies_are_lost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let gate = Barrier::new(&client, GATE);
    for cut in [Wire::cut_before_reply as fn(&Wire, OpCode), Wire::cut_before_arrival] {
        cut(&wire, OpCode::Create2);
        soon(gate.close()).await.unwrap();
        assert!(soon(gate.is_closed()).await.unwrap());
        cut(&wire, OpCode::Delete);
        soon(gate.open()).await.unwrap();
        assert!(!soon(gate.is_closed()).await.unwrap());
    }
}

/// Whoever opens or closes it and does not hear of it asks again: by then somebody else has done
/// the contrary, and knows it.
#[tokio::test]
async fn a_gate_is_not_opened_or_closed_twice_by_one_call() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let (ours, theirs) = (Barrier::new(&client, GATE), Barrier::new(&other, GATE));
    soon(theirs.close()).await.unwrap();

    wire.refuse();
    wire.cut_before_reply(OpCode::Delete);
    let opening = tokio::spawn(async move { ours.open().await });
    soon(theirs.wait()).await.unwrap();
    soon(theirs.close()).await.unwrap();
    wire.admit();
    soon(opening).await.unwrap().unwrap();
    soon(other.sync("/")).await.unwrap();
    assert!(soon(theirs.is_closed()).await.unwrap(), "it was opened twice");

    let ours = Barrier::new(&client, GATE);
    soon(theirs.open()).await.unwrap();
    let (_, closed) = soon(other.exists_watched(GATE)).await.unwrap();
    wire.refuse();
    wire.cut_before_reply(OpCode::Multi);
    let closing = tokio::spawn(async move { ours.close().await });
    soon(closed).await.unwrap();
    soon(theirs.open()).await.unwrap();
    wire.admit();
    soon(closing).await.unwrap().unwrap();
    soon(other.sync("/")).await.unwrap();
    assert!(!soon(theirs.is_closed()).await.unwrap(), "it was closed twice");
}

/// Kazoo cc8ce89, CURATOR-43: what others put below a barrier is nobody who comes.
#[tokio::test]
async fn curator_43_what_others_have_put_there_does_not_count() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let barrier = double(&client, 2);
    let note = format!("{}/notes", barrier.path());
    soon(client.create_with_parents(&note, "", CreateMode::Persistent, Parents::Persistent))
        .await
        .unwrap();
    let entering = barrier.enter_timeout(SHORTLY);
    assert!(soon(entering).await.unwrap().is_none(), "one of two has entered");
    let (one, other) = soon(async { tokio::join!(barrier.enter(), barrier.enter()) }).await;
    let (one, other) = (one.unwrap(), other.unwrap());
    let (one, other) = soon(async { tokio::join!(one.leave(), other.leave()) }).await;
    one.and(other).unwrap();
    assert!(soon(client.exists(&note)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_barrier_is_refused_by_the_call_that_asks_for_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["barriers", "/a//b"] {
        let barrier = DoubleBarrier::new(&client, path, 1).unwrap();
        let error = soon(barrier.enter()).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidPath, path));
        let error = soon(Barrier::new(&client, path).wait()).await.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    }
    let error = DoubleBarrier::new(&client, DOUBLE, 0).unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    for count in [0, 1 << 31] {
        let error = CountdownLatch::new(&client, "/latch", count).unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    }
    let sealed = client.with_default_acl(vec![Acl::read_only()]);
    soon(sealed.create("/sealed", "", CreateMode::Persistent)).await.unwrap();
    let refused = |error: znode_recipes::RecipeError| {
        error.client_error().map(znode::Error::kind) == Some(ErrorKind::NoAuth)
    };
    let barrier = DoubleBarrier::new(&client, "/sealed", 1).unwrap();
    assert!(refused(soon(barrier.enter()).await.unwrap_err()));
    assert!(refused(soon(Barrier::new(&client, "/sealed/gate").close()).await.unwrap_err()));
}

/// Each of three goes through the same barrier again and again, as fast as it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_10_all_enter_together_and_leave_together_round_after_round() {
    const COUNT: usize = 3;
    const ROUNDS: usize = 20;
    let ground = Ground::start().await;
    let clients = join_all((0..COUNT).map(|_| ground.connect())).await;
    let (came, went) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = clients
        .iter()
        .map(|client| {
            let barrier = double(client, 3);
            let (came, went) = (Arc::clone(&came), Arc::clone(&went));
            tokio::spawn(async move {
                for round in 1..=ROUNDS {
                    came.fetch_add(1, Ordering::SeqCst);
                    let inside = barrier.enter().await.unwrap();
                    assert!(came.load(Ordering::SeqCst) >= round * COUNT, "it entered alone");
                    went.fetch_add(1, Ordering::SeqCst);
                    inside.leave().await.unwrap();
                    assert!(went.load(Ordering::SeqCst) >= round * COUNT, "it left alone");
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    nobody_is_left(&ground, &clients[0]).await;
}

/// Since 4.1 of Curator a lone member could pass when anything woke it.
#[tokio::test]
async fn gh_1290_whoever_is_woken_alone_goes_on_waiting() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    // What an earlier round has left, which opens nothing, and is watched all the same.
    let ready = format!("{DOUBLE}/ready");
    let parents = Parents::Persistent;
    let left = other.create_with_parents(&ready, "", CreateMode::Persistent, parents);
    soon(left).await.unwrap();
    let mut entering = enter(&client, 2).await;
    soon(async {
        while !ground.watched().await.iter().any(|path| path.ends_with("/ready")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let before = wire.notifications();
    soon(other.delete(&ready, Version::ANY)).await.unwrap();
    soon(async {
        while wire.notifications() == before {
            client.sync("/").await.unwrap();
        }
    })
    .await;
    for _ in 0..3 {
        // And once more for each connection.
        reconnect(&client, &wire).await;
        soon(client.sync("/")).await.unwrap();
        assert!(is_pending(&mut entering));
    }
    let second = enter(&other, 2).await;
    let (one, two) = (soon(entering).await.unwrap(), soon(second).await.unwrap());
    let (one, two) = soon(futures::future::join(one.leave(), two.leave())).await;
    one.and(two).unwrap();
    nobody_is_left(&ground, &client).await;
}

/// A member of kazoo's takes back that enough have come when it begins to leave.
#[tokio::test]
async fn whoever_is_told_that_enough_have_come_enters_though_it_is_taken_back() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let entering = enter(&client, 2).await;
    let (ready, kazoo) = (format!("{DOUBLE}/ready"), format!("{DOUBLE}/0123"));
    soon(other.create(&kazoo, "", CreateMode::Ephemeral)).await.unwrap();
    while !ground.watched().await.iter().any(|path| path.ends_with("/ready")) {
        soon(other.sync("/")).await.unwrap();
    }
    let at_once = [
        Op::create(&ready, "", CreateMode::Persistent),
        Op::delete(&ready, Version::ANY),
        Op::delete(&kazoo, Version::ANY),
    ];
    soon(other.multi(at_once)).await.unwrap();
    soon(soon(entering).await.unwrap().leave()).await.unwrap();
    nobody_is_left(&ground, &client).await;
}

/// In Curator two who have given up and one who comes late are three.
#[tokio::test]
async fn curator_318_whoever_gives_up_does_not_count() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let barrier = double(&client, 3);
    for is_cut in [false, true, false] {
        if is_cut {
            wire.cut_before_reply(OpCode::Create2);
        }
        assert!(soon(barrier.enter_timeout(SHORTLY)).await.unwrap().is_none());
        // Nor for the instant in which it goes: it may be back by then.
        if !is_cut {
            assert_eq!(soon(barrier.members()).await.unwrap(), 0);
        }
    }
    let other = ground.connect().await;
    assert!(soon(double(&other, 3).enter_timeout(SHORTLY)).await.unwrap().is_none());
    nobody_is_left(&ground, &other).await;
}

/// Its round has ended with the sessions of all members.
#[tokio::test]
async fn what_an_earlier_round_has_left_opens_nothing() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    for path in ["/barriers", DOUBLE, "/barriers/double/ready"] {
        soon(client.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    let mut entering = enter(&client, 2).await;
    soon(client.sync("/")).await.unwrap();
    assert!(is_pending(&mut entering), "it has passed alone");
    let second = enter(&other, 2).await;
    drop((soon(entering).await.unwrap(), soon(second).await.unwrap()));
    nobody_is_left(&ground, &client).await;
}

#[tokio::test]
async fn those_inside_do_not_wait_for_one_whose_session_ends() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let (one, two) = (enter(&client, 2).await, enter(&other, 2).await);
    let (one, two) = (soon(one).await.unwrap(), soon(two).await.unwrap());
    let mut leaving = tokio::spawn(two.leave());
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut leaving), "the first is inside");
    ground.end_session(&client, &wire).await;
    soon(leaving).await.unwrap().unwrap();
    assert!(soon(one.leave()).await.unwrap_err().is_session_over());
    // Nor for one that is dropped, nor longer than they want to.
    let third = ground.connect().await;
    let (two, three) = (enter(&other, 2).await, enter(&third, 2).await);
    let (two, three) = (soon(two).await.unwrap(), soon(three).await.unwrap());
    assert!(!soon(two.leave_timeout(SHORTLY)).await.unwrap());
    drop(three);
    nobody_is_left(&ground, &other).await;
}

#[tokio::test]
async fn entering_and_leaving_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let both = async |client: &Client| double(client, 1).enter().await?.leave().await;
    for cut in [None, Some((CUTS[0], OpCode::Create2))] {
        let clean = async || nobody_is_left(&ground, &other).await;
        let dropped = dropped_at_every_await(&ground, cut, both, clean).await;
        assert!(dropped > 2, "nothing was dropped");
    }
}

#[tokio::test]
async fn a_countdown_ends_when_it_was_counted_so_often_and_not_before() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let latch = CountdownLatch::new(&client, "/latch", 3).unwrap();
    let theirs = CountdownLatch::new(&other, "/latch", 3).unwrap();
    assert_eq!(soon(theirs.count()).await.unwrap(), 3);
    let mut waiting = tokio::spawn({
        let theirs = theirs.clone();
        async move { theirs.wait().await }
    });
    for left in [2, 1] {
        wire.cut_before_reply(OpCode::Multi);
        assert_eq!(soon(latch.count_down()).await.unwrap(), left);
        soon(other.sync("/")).await.unwrap();
        assert!(is_pending(&mut waiting));
    }
    assert!(!soon(theirs.wait_timeout(SHORTLY)).await.unwrap());
    assert_eq!(soon(theirs.count_down()).await.unwrap(), 0);
    soon(waiting).await.unwrap().unwrap();
    // It is not counted below nothing.
    assert_eq!(soon(latch.count_down()).await.unwrap(), 0);
    assert!(soon(latch.wait_timeout(Duration::ZERO)).await.unwrap());
    assert_eq!(soon(latch.reset()).await.unwrap(), 0);
    assert_eq!(soon(theirs.count()).await.unwrap(), 3);
}

/// A node that is gone is where counting begins, and not where it ends.
#[tokio::test]
async fn a_countdown_does_not_end_because_its_node_is_deleted() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let latch = CountdownLatch::new(&client, "/latch", 2).unwrap();
    assert_eq!(soon(latch.count_down()).await.unwrap(), 1);
    let mut waiting = tokio::spawn({
        let latch = latch.clone();
        async move { latch.wait().await }
    });
    soon(async {
        while ground.watched().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(client.delete_all("/latch")).await.unwrap();
    soon(client.sync("/")).await.unwrap();
    assert_eq!(soon(latch.count()).await.unwrap(), 2);
    assert!(is_pending(&mut waiting), "nobody has counted");
    assert_eq!(soon(latch.count_down()).await.unwrap(), 1);
    assert!(is_pending(&mut waiting));
    assert_eq!(soon(latch.count_down()).await.unwrap(), 0);
    soon(waiting).await.unwrap().unwrap();
}
