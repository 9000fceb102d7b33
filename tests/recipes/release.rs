//! Letting go: on purpose, by a drop, and while the link is down.

use znode::proto::OpCode;
use znode::{Acl, Perms, State};
use znode_recipes::{GuardState, LockErrorKind, LostReason, Mutex};

use crate::ground::{
    Ground, LOCK, children_are, contenders, delete, disconnect, is_pending, make_lock, soon,
    state_is,
};

#[tokio::test]
async fn a_release_is_confirmed() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    soon(guard.release()).await.unwrap();
    assert!(contenders(&other).await.is_empty());
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_guard_that_is_dropped_lets_go() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let waiter = tokio::spawn(Mutex::new(&other, LOCK).lock());
    children_are(&other, 2).await;
    drop(guard);
    drop(soon(waiter).await.unwrap().unwrap());
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_drop_comes_before_whatever_its_client_asks_next() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for _ in 0..10 {
        drop(soon(Mutex::new(&client, LOCK).lock()).await.unwrap());
        assert!(contenders(&client).await.is_empty());
    }
    // So the same lock can be tried again at once.
    for _ in 0..10 {
        let guard = soon(Mutex::new(&client, LOCK).try_lock()).await.unwrap();
        drop(guard.expect("nobody else has it"));
    }
}

#[tokio::test]
async fn fact_20_a_panic_while_it_is_held_lets_go() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let task = tokio::spawn(async move {
        let _guard = guard;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(soon(task).await.unwrap_err().is_panic());
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_guard_that_is_dropped_while_the_link_is_down_lets_go_when_it_stands_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let other = ground.connect().await;
    let mut waiter = tokio::spawn(Mutex::new(&other, LOCK).lock());
    children_are(&other, 2).await;
    disconnect(&client, &wire).await;
    drop(guard);
    soon(other.sync("/")).await.unwrap();
    assert_eq!(contenders(&other).await.len(), 2);
    assert!(is_pending(&mut waiter));
    wire.admit();
    drop(soon(waiter).await.unwrap().unwrap());
    ground.nothing_left().await;
    assert_eq!(client.state(), State::Connected);
}

#[tokio::test]
async fn a_release_waits_for_the_link() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    disconnect(&client, &wire).await;
    let mut release = Box::pin(guard.release());
    assert!(is_pending(&mut release));
    wire.admit();
    soon(release).await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_release_that_is_given_up_while_the_link_is_down_takes_effect_later() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    wire.cut_before_arrival(OpCode::Delete);
    wire.refuse();
    let mut release = Box::pin(guard.release());
    assert!(is_pending(&mut release));
    state_is(&client, State::Suspect).await;
    // It has learnt that the first delete was lost, and waits for the link with the second, which
    // is lost too.
    assert!(is_pending(&mut release));
    drop(release);
    wire.cut_before_arrival(OpCode::Delete);
    wire.admit();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_guard_keeps_its_session_until_it_has_let_go() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    drop(client);
    let other = ground.connect().await;
    assert_eq!(contenders(&other).await.len(), 1);
    drop(guard);
    wire.until(OpCode::CloseSession, 1).await;
    assert_eq!(wire.count(OpCode::Delete), 1);
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_release_after_a_loss_says_so() {
    let ground = Ground::start().await;
    let ((client, wire), other) = (ground.connect_wired().await, ground.connect().await);
    for is_known in [true, false] {
        let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
        if !is_known {
            wire.hold_replies();
        }
        delete(&other, guard.path()).await.unwrap();
        if is_known {
            soon(guard.lost()).await;
        }
        let mut release = Box::pin(guard.release());
        assert!(is_pending(&mut release));
        wire.resume();
        let error = soon(release).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::LockLost);
        assert!(!error.is_session_over());
    }
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    soon(client.close()).await.unwrap();
    let error = soon(guard.release()).await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    assert!(error.is_session_over());
}

#[tokio::test]
async fn whoever_waits_for_the_loss_of_a_released_guard_is_told() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let waits = tokio::spawn(guard.lost());
    let mut again = guard.lost();
    guard.release().await.unwrap();
    assert_eq!(soon(waits).await.unwrap(), LostReason::Released);
    assert_eq!(soon(&mut again).await, LostReason::Released);
    assert_eq!(soon(&mut again).await, LostReason::Released);
}

#[test]
fn a_guard_may_be_dropped_outside_of_any_runtime() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    let lasting = runtime();
    let ground = lasting.block_on(Ground::start());
    let guard = lasting
        .block_on(async { soon(Mutex::new(&ground.connect().await, LOCK).lock()).await.unwrap() });
    drop(guard);
    lasting.block_on(ground.nothing_left());

    // Where there is nobody any more to let go, the session expires.
    let short = runtime();
    let (guard, waiting) = short.block_on(async {
        let (client, _) = ground.connect_short().await;
        let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
        let waiting = Mutex::new(&client, LOCK).lock();
        (guard, waiting)
    });
    drop(short);
    drop((guard, waiting));
    lasting.block_on(ground.nothing_left());
}

#[tokio::test]
async fn a_guard_of_an_expired_session_is_dropped_without_ado() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    ground.end_session(&client, &wire).await;
    state_is(&client, State::Expired).await;
    drop(guard);
    ground.nothing_left().await;
}

#[tokio::test]
async fn no_task_is_left_of_a_guard_that_cannot_be_watched() {
    let ground = Ground::start().await;
    let unreadable = Acl::new(Perms::DELETE, "world", "anyone").unwrap();
    let client = ground.connect().await;
    make_lock(&client).await;
    let mutex = Mutex::new(&client.with_default_acl(vec![unreadable]), LOCK);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let guard = soon(mutex.lock()).await.unwrap();
    soon(client.sync("/")).await.unwrap();
    assert_eq!(guard.state(), GuardState::Held);
    assert_eq!(tasks(), before + 1);
    guard.release().await.unwrap();
    while tasks() > before {
        soon(client.sync("/")).await.unwrap();
    }
    ground.nothing_left().await;
}

/// A handle's deadline bounds what its caller waits for, not what a lock needs to clean up.
#[tokio::test]
async fn a_deadline_of_the_handle_leaves_no_place_behind() {
    let ground = Ground::start().await;
    let client = ground.connect().await.with_deadline(std::time::Duration::ZERO);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    soon(guard.release()).await.unwrap();
    ground.nothing_left().await;
}
