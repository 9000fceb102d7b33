//! Permits: how many are held, who gets the next, and that none is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Client, CreateMode, Version};
use znode_recipes::{Guard, LockErrorKind, LostReason, Mutex, Permits, Semaphore};

use crate::ground::{Ground, delete, drop_at, is_pending, reconnect, soon};
use znode_tests::support::Wire;

const PATH: &str = "/limits/one";
const COUNT: &str = "/limits/one-count";

fn semaphore(client: &Client, permits: u32) -> Semaphore {
    Semaphore::new(client, PATH, permits)
}

/// Waits until so many stand in line and so many permits are held.
#[track_caller]
fn stands(client: &Client, waiting: usize, held: usize) -> impl Future<Output = ()> {
    soon(async move {
        for path in ["locks", "leases"] {
            let path = format!("{PATH}/{path}");
            client.ensure_path(&path, znode::Parents::Container).await.unwrap();
        }
        loop {
            let (line, _, line_watcher) =
                client.get_children_watched(&format!("{PATH}/locks")).await.unwrap();
            let (leases, _, leases_watcher) =
                client.get_children_watched(&format!("{PATH}/leases")).await.unwrap();
            if (line.len(), leases.len()) == (waiting, held) {
                return;
            }
            futures::future::select(line_watcher, leases_watcher).await;
        }
    })
}

async fn nothing_left(ground: &Ground, client: &Client) {
    stands(client, 0, 0).await;
    soon(async {
        while !ground.watched().await.is_empty() {
            client.sync("/").await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn as_many_hold_as_there_are_permits_and_the_rest_wait_in_order() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let first = soon(semaphore(&client, 2).acquire()).await.unwrap();
    let second = soon(semaphore(&other, 2).acquire()).await.unwrap();
    assert!(second.token() > first.token());
    assert!(soon(semaphore(&client, 2).try_acquire()).await.unwrap().is_none());
    let limited = semaphore(&client, 2).acquire_timeout(1, Duration::from_millis(5));
    assert!(soon(limited).await.unwrap().is_none());
    let mut third = tokio::spawn(semaphore(&client, 2).acquire());
    stands(&other, 1, 2).await;
    let mut fourth = tokio::spawn(semaphore(&client, 2).acquire());
    stands(&other, 2, 2).await;
    assert!(is_pending(&mut third) && is_pending(&mut fourth));
    soon(first.release()).await.unwrap();
    let third = soon(third).await.unwrap().unwrap();
    assert!(is_pending(&mut fourth));
    drop(second);
    drop((soon(fourth).await.unwrap().unwrap(), third));
    nothing_left(&ground, &client).await;
}

#[tokio::test]
async fn permits_are_named_as_curator_names_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let permit = soon(semaphore(&client, 1).acquire()).await.unwrap();
    let name = permit.path().strip_prefix("/limits/one/leases/_c_").unwrap();
    let (guid, digits) = name.split_once("-lease-").unwrap();
    assert_eq!((guid.len(), digits.len()), (36, 10), "{name}");
    let stat = soon(client.exists(permit.path())).await.unwrap().unwrap();
    assert_eq!((stat.ephemeral_owner, stat.czxid), (client.session_id(), permit.token()));
    assert_eq!(permit.lock_path(), PATH);
    let participants = soon(semaphore(&client, 1).participants()).await.unwrap();
    assert_eq!(participants, [permit.path()]);
    for path in [PATH, "/limits/one/locks", "/limits/one/leases"] {
        if let Some(is_container) = ground.is_container(path).await {
            assert!(is_container, "{path}");
        }
    }
}

/// Curator's waiter makes its lease first, and waits at the head of the line.
#[tokio::test]
async fn those_of_curator_are_counted() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    drop(soon(semaphore(&client, 1).acquire()).await.unwrap());
    stands(&client, 0, 0).await;
    let mode = CreateMode::EphemeralSequential;
    let at_head = soon(other.create("/limits/one/locks/_c_x-lock-", "", mode)).await.unwrap();
    let lease = soon(other.create("/limits/one/leases/_c_x-lease-", "", mode)).await.unwrap();
    assert!(soon(semaphore(&client, 2).try_acquire()).await.unwrap().is_none(), "it is first");
    delete(&other, &at_head.path).await.unwrap();
    assert!(soon(semaphore(&client, 1).try_acquire()).await.unwrap().is_none());
    drop(soon(semaphore(&client, 2).try_acquire()).await.unwrap().unwrap());
    let waiter = tokio::spawn(semaphore(&client, 1).acquire());
    stands(&other, 1, 1).await;
    delete(&other, &lease.path).await.unwrap();
    drop(soon(waiter).await.unwrap().unwrap());
}

#[tokio::test]
async fn several_are_granted_together_or_not_at_all() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let three = soon(semaphore(&client, 5).acquire_many(3)).await.unwrap();
    assert_eq!(three.len(), 3);
    let tokens: Vec<_> = three.iter().map(Guard::token).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "one transaction made them");
    assert!(soon(semaphore(&client, 5).try_acquire_many(3)).await.unwrap().is_none());
    let two = soon(semaphore(&client, 5).try_acquire_many(2)).await.unwrap().unwrap();
    soon(three.release()).await.unwrap();
    let mut three = soon(semaphore(&client, 5).acquire_many(3)).await.unwrap().into_guards();
    drop(three.pop());
    stands(&client, 0, 4).await;
    drop((two, three));
    let none = soon(semaphore(&client, 5).acquire_many(0)).await.unwrap();
    assert!(none.is_empty());
    soon(none.release()).await.unwrap();
    nothing_left(&ground, &client).await;
}

#[tokio::test]
async fn more_than_there_are_is_refused_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let before = wire.requests();
    for (path, kind) in
        [(PATH, LockErrorKind::Unsatisfiable), ("limits", LockErrorKind::InvalidPath)]
    {
        let semaphore = Semaphore::new(&client, path, 2);
        let asked = if kind == LockErrorKind::InvalidPath { 1 } else { 3 };
        let error = soon(semaphore.acquire_many(asked)).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, Some(path)));
    }
    assert_eq!(wire.requests(), before);
}

/// Curator's waits at the head of the line, and everybody behind it.
#[tokio::test]
async fn a_large_request_that_is_blocked_lets_small_ones_through() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let two = soon(semaphore(&client, 3).acquire_many(2)).await.unwrap();
    let mut large = tokio::spawn(semaphore(&client, 3).acquire_many(3));
    // It has looked, and stands aside.
    stands(&client, 0, 2).await;
    for _ in 0..3 {
        let small = soon(semaphore(&client, 3).acquire()).await.unwrap();
        assert!(is_pending(&mut large));
        soon(small.release()).await.unwrap();
    }
    soon(two.release()).await.unwrap();
    let large = soon(large).await.unwrap().unwrap();
    assert_eq!(large.len(), 3);
    drop(large);
    nothing_left(&ground, &client).await;
}

/// However many want one: those who want two come to their turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_is_not_passed_for_ever() {
    let ground = Ground::start().await;
    let clients = join_all((0..3).map(|_| ground.connect())).await;
    let first = soon(semaphore(&clients[0], 2).acquire()).await.unwrap();
    let stop = Arc::new(AtomicUsize::new(0));
    let small: Vec<_> = clients[1..]
        .iter()
        .map(|client| {
            let (semaphore, stop) = (semaphore(client, 2), Arc::clone(&stop));
            tokio::spawn(async move {
                while stop.load(Ordering::SeqCst) == 0 {
                    semaphore.acquire().await.unwrap().release().await.unwrap();
                }
            })
        })
        .collect();
    let large = tokio::spawn(semaphore(&clients[0], 2).acquire_many(2));
    drop(first);
    drop(soon(large).await.unwrap().unwrap());
    stop.store(1, Ordering::SeqCst);
    for task in small {
        soon(task).await.unwrap();
    }
    nothing_left(&ground, &clients[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_08_there_are_never_more_holders_than_permits() {
    let ground = Ground::start().await;
    let clients = join_all((0..6).map(|_| ground.connect())).await;
    let held = Arc::new(AtomicUsize::new(0));
    let tasks = clients.iter().enumerate().map(|(number, client)| {
        let (client, held) = (client.clone(), Arc::clone(&held));
        tokio::spawn(async move {
            for round in 0..12 {
                let count = 1 + (round + number) % 3;
                let wanted = semaphore(&client, 4).acquire_many(u32::try_from(count).unwrap());
                let permits = wanted.await.unwrap();
                assert!(held.fetch_add(count, Ordering::SeqCst) + count <= 4, "too many");
                // As the server has it, too.
                let leases = client.get_children("/limits/one/leases").await.unwrap();
                assert!(leases.len() <= 4, "{leases:?}");
                held.fetch_sub(count, Ordering::SeqCst);
                permits.release().await.unwrap();
            }
        })
    });
    for task in soon(join_all(tasks)).await {
        task.unwrap();
    }
    nothing_left(&ground, &clients[0]).await;
}

#[tokio::test]
async fn fact_08_raising_the_limit_wakes_as_many_as_fit_and_lowering_it_revokes_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let shared = || Semaphore::with_shared_limit(&client, PATH, COUNT, 1);
    let first = soon(shared().acquire()).await.unwrap();
    let (data, _) = soon(client.get_data(COUNT)).await.unwrap();
    assert_eq!(&data[..], [0, 0, 0, 1], "as Curator's SharedCount has it");
    // It may rise, so nothing is too much.
    let mut waiters: Vec<_> = (0..4).map(|_| tokio::spawn(shared().acquire())).collect();
    stands(&client, 4, 1).await;
    // As many wake as fit.
    assert!(soon(shared().set_permits(3)).await.unwrap());
    stands(&client, 2, 3).await;
    let is_done: Vec<_> = waiters.iter().map(tokio::task::JoinHandle::is_finished).collect();
    soon(client.sync("/")).await.unwrap();
    assert_eq!(is_done.iter().filter(|is_done| **is_done).count(), 2, "{is_done:?}");
    // Fewer take nothing away, and nobody is let in before enough have left.
    assert!(soon(shared().set_permits(1)).await.unwrap());
    let mut held = vec![first];
    for at in (0..4).rev() {
        if waiters[at].is_finished() {
            held.push(soon(waiters.remove(at)).await.unwrap().unwrap());
        }
    }
    assert!(held.iter().all(|permit| permit.state().is_held()));
    for left in [2, 1] {
        soon(held.pop().unwrap().release()).await.unwrap();
        stands(&client, 2, left).await;
    }
    drop(held);
    stands(&client, 1, 1).await;
    waiters.iter().for_each(tokio::task::JoinHandle::abort);
    drop(waiters);
    assert!(!soon(semaphore(&client, 1).set_permits(2)).await.unwrap(), "it is fixed");
}

#[tokio::test]
async fn a_count_that_is_none_is_refused() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/count", "ten", CreateMode::Persistent)).await.unwrap();
    let semaphore = Semaphore::with_shared_limit(&client, PATH, "/count", 1);
    let error = soon(semaphore.acquire()).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (LockErrorKind::OtherRecipe, Some("/count")));
    stands(&client, 0, 0).await;
    let nowhere = Semaphore::with_shared_limit(&client, PATH, "count", 1);
    let error = soon(nowhere.acquire()).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), znode::ErrorKind::InvalidPath);
}

#[tokio::test]
async fn a_path_of_a_mutex_is_refused_and_the_other_way_round() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, PATH).lock()).await.unwrap();
    let error = soon(semaphore(&client, 1).acquire()).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (LockErrorKind::OtherRecipe, Some(PATH)));
    soon(guard.release()).await.unwrap();
    drop(soon(semaphore(&client, 1).acquire()).await.unwrap());
    let error = soon(Mutex::new(&client, PATH).lock()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::OtherRecipe);
    let rw = znode_recipes::ReadWriteLock::new(&client, PATH);
    assert_eq!(soon(rw.read()).await.unwrap_err().kind(), LockErrorKind::OtherRecipe);
}

#[tokio::test]
async fn free_permits_cost_four_requests_of_three_round_trips() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let semaphore = semaphore(&client, 2);
    drop(soon(semaphore.acquire()).await.unwrap());
    let before = wire.requests();
    let permit = soon(semaphore.acquire()).await.unwrap();
    // Create and list; the leases; one transaction.
    assert_eq!(wire.requests() - before, 4 + 1, "and the release of the one before");
    soon(permit.release()).await.unwrap();
    assert_eq!(wire.count(OpCode::Multi), 2);
}

/// Each permit is a node of its own session: it goes with that, and its holder learns of it.
#[tokio::test]
async fn curator_595_permits_are_freed_when_their_session_is_lost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let permits = soon(semaphore(&client, 2).acquire_many(2)).await.unwrap();
    let waiter = tokio::spawn(semaphore(&other, 2).acquire_many(2));
    stands(&other, 1, 2).await;
    ground.end_session(&client, &wire).await;
    assert_eq!(soon(permits.lost()).await, LostReason::SessionExpired);
    let next: Permits = soon(waiter).await.unwrap().unwrap();
    let write = permits[1].client().create("/a", "", CreateMode::Persistent);
    assert_eq!(soon(write).await.unwrap_err().kind(), LockErrorKind::LockLost);
    let error = soon(permits.release()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    drop(next);
    nothing_left(&ground, &other).await;
}

/// Curator's left leases behind when a reply was lost, and counted them for ever.
#[tokio::test]
async fn curator_315_335_462_no_lease_is_orphaned_by_a_lost_reply() {
    let ground = Ground::start().await;
    let observer = ground.connect().await;
    drop(soon(semaphore(&observer, 3).acquire()).await.unwrap());
    let ops = [OpCode::Create2, OpCode::GetChildren, OpCode::GetChildren2, OpCode::Multi];
    for op in ops {
        for cut in [Wire::cut_before_reply as fn(&Wire, OpCode), Wire::cut_before_arrival] {
            let (client, wire) = ground.connect_wired().await;
            let semaphore = semaphore(&client, 3);
            drop(soon(semaphore.acquire()).await.unwrap());
            stands(&observer, 0, 0).await;
            cut(&wire, op);
            let permits = soon(semaphore.acquire_many(2)).await.unwrap();
            stands(&observer, 0, 2).await;
            assert!(permits.iter().all(|permit| permit.state().is_held()));
            cut(&wire, OpCode::Delete);
            soon(permits.release()).await.unwrap();
            nothing_left(&ground, &observer).await;
        }
    }
}

#[tokio::test]
async fn curator_315_335_462_no_lease_is_orphaned_by_who_gives_up() {
    let ground = Ground::start().await;
    let (observer, other) = (ground.connect().await, ground.connect().await);
    for (is_cut, is_held) in [(false, false), (true, false), (false, true)] {
        for pending in 1..100 {
            let (client, wire) = ground.connect_wired().await;
            let held = soon(semaphore(&other, 3).acquire_many(2)).await.unwrap();
            if is_cut {
                wire.cut_before_reply(OpCode::Multi);
            }
            let count = if is_held { 2 } else { 1 };
            let wanted = semaphore(&client, 3).acquire_many(count);
            // What is held is let go at some time in between.
            let release = tokio::spawn(async move {
                if is_held {
                    wire.until(OpCode::GetChildren2, 1).await;
                }
                held.release().await
            });
            let output = soon(drop_at(pending, wanted)).await;
            let is_complete = output.is_some();
            drop(output.transpose().unwrap());
            release.abort();
            drop(release.await);
            let all = soon(semaphore(&other, 3).acquire_many(3)).await.unwrap();
            soon(all.release()).await.unwrap();
            nothing_left(&ground, &observer).await;
            if is_complete {
                assert!(pending > 3, "nothing was dropped");
                break;
            }
        }
    }
}

/// kazoo's semaphore deadlocked when its session was lost while it held the inner lock.
#[tokio::test]
async fn kazoo_a674322_who_dies_at_the_head_of_the_line_holds_nobody_up() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let held = soon(semaphore(&other, 1).acquire()).await.unwrap();
    let head = tokio::spawn(semaphore(&client, 1).acquire());
    stands(&other, 1, 1).await;
    let next = tokio::spawn(semaphore(&other, 1).acquire());
    stands(&other, 2, 1).await;
    ground.end_session(&client, &wire).await;
    let error = soon(head).await.unwrap().unwrap_err();
    assert!(error.is_session_over());
    soon(held.release()).await.unwrap();
    drop(soon(next).await.unwrap().unwrap());
    nothing_left(&ground, &other).await;
}

#[tokio::test]
async fn who_is_sent_away_from_the_head_of_the_line_stands_in_it_again() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let held = soon(semaphore(&other, 1).acquire()).await.unwrap();
    let waiter = tokio::spawn(semaphore(&client, 1).acquire());
    stands(&other, 1, 1).await;
    let head = soon(other.get_children("/limits/one/locks")).await.unwrap().remove(0);
    soon(other.delete(&format!("/limits/one/locks/{head}"), Version::ANY)).await.unwrap();
    stands(&other, 1, 1).await;
    soon(held.release()).await.unwrap();
    drop(soon(waiter).await.unwrap().unwrap());
    nothing_left(&ground, &other).await;
}

#[tokio::test]
async fn a_waiter_keeps_its_turn_over_lost_links() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let held = soon(semaphore(&other, 1).acquire()).await.unwrap();
    let mut waiter = tokio::spawn(semaphore(&client, 1).acquire());
    stands(&other, 1, 1).await;
    for _ in 0..3 {
        reconnect(&client, &wire).await;
    }
    assert!(is_pending(&mut waiter));
    crate::ground::disconnect(&client, &wire).await;
    soon(held.release()).await.unwrap();
    wire.admit();
    drop(soon(waiter).await.unwrap().unwrap());
    nothing_left(&ground, &other).await;
}
