//! What the successor of a holder that died is told, and how long it may wait.

use std::time::Duration;

use znode::proto::OpCode;
use znode::{CreateMode, Version};
use znode_recipes::{LockErrorKind, Mutex};

use crate::ground::{Ground, LOCK, children_are, delete, drop_at, is_pending, soon};
use znode_tests::support::Wire;

const TOMBSTONE: &str = "/locks/one-tombstone";
const DELAY: Duration = Duration::from_millis(150);

fn mutex(client: &znode::Client) -> Mutex {
    Mutex::new(client, LOCK).with_lock_delay(DELAY)
}

#[tokio::test]
async fn who_lets_go_leaves_nothing_behind() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for is_dropped in [false, true] {
        let guard = soon(mutex(&client).lock()).await.unwrap();
        assert_eq!(guard.unclean_death(), None);
        soon(guard.wait_out_delay()).await.unwrap();
        assert!(soon(client.exists(TOMBSTONE)).await.unwrap().is_some());
        if is_dropped {
            drop(guard);
        } else {
            guard.release().await.unwrap();
        }
        assert_eq!(soon(client.exists(TOMBSTONE)).await.unwrap(), None);
    }
    assert_eq!(wire.count(OpCode::Delete), 0, "both go in one transaction");
    ground.nothing_left().await;
}

#[tokio::test]
async fn the_successor_of_one_whose_session_ended_learns_of_it_and_waits() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let dead = soon(mutex(&client).lock()).await.unwrap();
    let waiter = tokio::spawn(mutex(&other).lock());
    children_are(&other, 2).await;
    ground.end_session(&client, &wire).await;
    let guard = soon(waiter).await.unwrap().unwrap();
    let death = guard.unclean_death().expect("it has died");
    assert_eq!((death.holder(), death.delay()), (&dead.sequencer(), DELAY));
    assert!(!soon(death.holder().verify(&other)).await.unwrap());
    let mut wait = Box::pin(guard.wait_out_delay());
    assert!(is_pending(&mut wait));
    soon(wait).await.unwrap();
    soon(guard.wait_out_delay()).await.unwrap();
    guard.release().await.unwrap();
    // It is told once.
    let next = soon(mutex(&other).lock()).await.unwrap();
    assert_eq!(next.unclean_death(), None);
    drop((next, dead));
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_holder_whose_node_was_deleted_has_died_too() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let dead = soon(mutex(&client).lock()).await.unwrap();
    delete(&client, dead.path()).await.unwrap();
    let error = soon(dead.release()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    let guard = soon(mutex(&client).lock()).await.unwrap();
    assert!(guard.unclean_death().is_some());
    // Who loses the lock while it waits does not wait for nothing.
    let wait = tokio::spawn({
        let path = guard.path().to_owned();
        let waited = async move { guard.wait_out_delay().await };
        delete(&client, &path).await.unwrap();
        waited
    });
    assert_eq!(soon(wait).await.unwrap().unwrap_err().kind(), LockErrorKind::LockLost);
}

/// One may die while it cleans up after another: its successor learns of it.
#[tokio::test]
async fn a_successor_that_dies_is_found_dead() {
    let ground = Ground::start().await;
    let observer = ground.connect().await;
    let mut last = None;
    for _ in 0..3 {
        let (client, wire) = ground.connect_wired().await;
        let guard = soon(mutex(&client).lock()).await.unwrap();
        assert_eq!(guard.unclean_death().map(|death| death.holder().clone()), last);
        last = Some(guard.sequencer());
        ground.end_session(&client, &wire).await;
        soon(guard.lost()).await;
    }
    let guard = soon(mutex(&observer).lock()).await.unwrap();
    assert_eq!(guard.unclean_death().map(|death| death.holder().clone()), last);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn lost_replies_make_nobody_dead() {
    let ground = Ground::start().await;
    for cut in [Wire::cut_before_reply as fn(&Wire, OpCode), Wire::cut_before_arrival] {
        let (client, wire) = ground.connect_wired().await;
        cut(&wire, OpCode::Multi);
        let guard = soon(mutex(&client).lock()).await.unwrap();
        assert_eq!(guard.unclean_death(), None);
        cut(&wire, OpCode::Multi);
        guard.release().await.unwrap();
        assert_eq!(soon(client.exists(TOMBSTONE)).await.unwrap(), None);
    }
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_tombstone_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    soon(mutex(&other).lock()).await.unwrap().release().await.unwrap();
    for is_cut in [false, true] {
        for pending in 1..100 {
            let (client, wire) = ground.connect_wired().await;
            if is_cut {
                wire.cut_before_reply(OpCode::Multi);
            }
            let output = soon(drop_at(pending, mutex(&client).lock())).await;
            let is_complete = output.is_some();
            drop(output.transpose().unwrap());
            let next = soon(mutex(&other).lock()).await.unwrap();
            assert_eq!(next.unclean_death(), None, "given up at {pending}");
            next.release().await.unwrap();
            ground.nothing_left().await;
            assert_eq!(soon(other.exists(TOMBSTONE)).await.unwrap(), None);
            if is_complete {
                assert!(pending > 2, "nothing was dropped");
                break;
            }
        }
    }
}

/// Who gives up after it has found one, and before it could be told, leaves it to the next.
#[tokio::test]
async fn a_death_that_nobody_was_told_of_is_not_forgotten() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for pending in 1..100_usize {
        let (client, wire) = ground.connect_wired().await;
        let dead = soon(mutex(&client).lock()).await.unwrap();
        ground.end_session(&client, &wire).await;
        soon(dead.lost()).await;
        let (client, wire) = ground.connect_wired().await;
        if pending % 2 == 0 {
            wire.cut_before_reply(OpCode::Multi);
        }
        let output = soon(drop_at(pending.div_ceil(2), mutex(&client).lock())).await;
        let is_told = output.is_some();
        drop(output.transpose().unwrap());
        let next = soon(mutex(&other).lock()).await.unwrap();
        let found = next.unclean_death().map(|death| death.holder().clone());
        let expected = (!is_told).then(|| dead.sequencer());
        assert_eq!(found, expected, "given up at {pending}");
        next.release().await.unwrap();
        if is_told && pending % 2 == 0 {
            assert!(pending > 4, "nothing was dropped");
            break;
        }
    }
}

#[tokio::test]
async fn what_is_no_tombstone_is_left_alone() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(mutex(&client).lock()).await.unwrap().release().await.unwrap();
    soon(client.create(TOMBSTONE, "mine", CreateMode::Persistent)).await.unwrap();
    let error = soon(mutex(&client).lock()).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (LockErrorKind::OtherRecipe, Some(LOCK)));
    let (data, stat) = soon(client.get_data(TOMBSTONE)).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"mine"[..], Version(0)));
    ground.nothing_left().await;
    let root = Mutex::new(&client.with_chroot("/locks").unwrap(), "/").with_lock_delay(DELAY);
    assert_eq!(soon(root.lock()).await.unwrap_err().kind(), LockErrorKind::InvalidPath);
}

#[tokio::test]
async fn a_tombstone_that_somebody_took_away_holds_nobody_up() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for is_dropped in [false, true] {
        let guard = soon(mutex(&client).lock()).await.unwrap();
        delete(&client, TOMBSTONE).await.unwrap();
        if is_dropped {
            drop(guard);
        } else {
            guard.release().await.unwrap();
        }
        ground.nothing_left().await;
    }
    // Nor does one that somebody wrote to: it is theirs now.
    let guard = soon(mutex(&client).lock()).await.unwrap();
    soon(client.set_data(TOMBSTONE, "mine", Version::ANY)).await.unwrap();
    guard.release().await.unwrap();
    ground.nothing_left().await;
    let (data, _) = soon(client.get_data(TOMBSTONE)).await.unwrap();
    assert_eq!(&data[..], b"mine");
}
