//! Losing a lock, and learning of it.

use futures::StreamExt;
use znode::State;
use znode_recipes::{GuardState, LockError, LockErrorKind, LostReason, Mutex};

use crate::ground::{
    Ground, LOCK, children_are, delete, disconnect, is_pending, reach, reconnect, soon, state_is,
};

#[tokio::test]
async fn a_guard_whose_session_ends_is_lost_and_the_next_in_line_has_the_lock() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let other = ground.connect().await;
    let waiter = tokio::spawn(Mutex::new(&other, LOCK).lock());
    children_are(&other, 2).await;
    let mut lost = guard.lost();
    assert!(is_pending(&mut lost));
    ground.end_session(&client, &wire).await;
    assert_eq!(soon(lost).await, LostReason::SessionExpired);
    assert_eq!(guard.state(), GuardState::Lost(LostReason::SessionExpired));
    let next = soon(waiter).await.unwrap().unwrap();
    assert!(next.token() > guard.token());
    let error = guard.release().await.unwrap_err();
    assert_eq!(error.kind(), LockErrorKind::LockLost);
    next.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_guard_whose_link_is_silent_is_lost_without_being_told() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    wire.stall();
    assert_eq!(soon(guard.lost()).await, LostReason::SessionExpired);
    wire.resume();
    let other = ground.connect().await;
    drop(soon(Mutex::new(&other, LOCK).lock()).await.unwrap());
    drop(guard);
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_guard_whose_node_is_deleted_by_somebody_else_is_lost() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    delete(&other, guard.path()).await.unwrap();
    assert_eq!(soon(guard.lost()).await, LostReason::Deleted);
    assert_eq!(guard.state(), GuardState::Lost(LostReason::Deleted));
    assert_eq!(client.state(), State::Connected);
    // The first reason stays.
    soon(client.close()).await.unwrap();
    assert_eq!(guard.state(), GuardState::Lost(LostReason::Deleted));
}

#[tokio::test]
async fn a_deletion_while_the_link_is_down_is_learnt_when_it_stands_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let other = ground.connect().await;
    disconnect(&client, &wire).await;
    delete(&other, guard.path()).await.unwrap();
    let mut lost = guard.lost();
    assert!(is_pending(&mut lost));
    wire.admit();
    assert_eq!(soon(lost).await, LostReason::Deleted);
}

#[tokio::test]
async fn a_closed_client_has_lost_its_guards() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    soon(client.close()).await.unwrap();
    assert_eq!(guard.state(), GuardState::Lost(LostReason::Closed));
    assert_eq!(soon(guard.lost()).await, LostReason::Closed);
    drop(guard);
    ground.nothing_left().await;
}

#[tokio::test]
async fn the_loss_can_be_awaited_any_number_of_times() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let tasks: Vec<_> = (0..5).map(|_| tokio::spawn(guard.lost())).collect();
    let mut given_up = guard.lost();
    assert!(is_pending(&mut given_up));
    drop(given_up);
    delete(&other, guard.path()).await.unwrap();
    for task in tasks {
        assert_eq!(soon(task).await.unwrap(), LostReason::Deleted);
    }
    let mut lost = guard.lost();
    for _ in 0..3 {
        assert_eq!(soon(&mut lost).await, LostReason::Deleted);
        assert_eq!(soon(lost.clone()).await, LostReason::Deleted);
    }
    let error = LockError::from(lost.await);
    assert_eq!(error.kind(), LockErrorKind::LockLost);
}

#[tokio::test]
async fn a_guard_is_held_again_after_a_reconnect_with_the_same_token() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let token = guard.token();
    let mut states = guard.states();
    reach(&mut states, GuardState::Held).await;
    for _ in 0..3 {
        disconnect(&client, &wire).await;
        assert!(guard.state().is_suspect());
        wire.admit();
        assert!(soon(states.next()).await.unwrap().is_suspect());
        assert_eq!(soon(states.next()).await, Some(GuardState::Held));
        assert_eq!((guard.state(), guard.token()), (GuardState::Held, token));
    }
    assert!(is_pending(&mut guard.lost()));
    guard.release().await.unwrap();
    assert_eq!(soon(states.next()).await, None);
    ground.nothing_left().await;
}

#[tokio::test]
async fn the_states_of_a_guard_end_with_its_loss() {
    let ground = Ground::start().await;
    let other = ground.connect().await;

    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let states = guard.states();
    reconnect(&client, &wire).await;
    delete(&other, guard.path()).await.unwrap();
    soon(guard.lost()).await;
    let states: Vec<_> = soon(states.collect()).await;
    assert_eq!(states.last(), Some(&GuardState::Lost(LostReason::Deleted)));
    assert_eq!(states.iter().filter(|state| matches!(state, GuardState::Lost(_))).count(), 1);

    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    let states = guard.states();
    ground.end_session(&client, &wire).await;
    state_is(&client, State::Expired).await;
    let states: Vec<_> = soon(states.collect()).await;
    assert_eq!(states.last(), Some(&GuardState::Lost(LostReason::SessionExpired)));
}

#[tokio::test]
async fn a_watch_that_somebody_removes_is_left_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    drop(guard.lost());
    wire.until(znode::proto::OpCode::GetData, 1).await;
    let removed = client.remove_watches(guard.path(), znode::WatcherType::Data);
    soon(removed).await.unwrap();
    wire.until(znode::proto::OpCode::GetData, 2).await;
    delete(&client, guard.path()).await.unwrap();
    assert_eq!(soon(guard.lost()).await, LostReason::Deleted);
}
