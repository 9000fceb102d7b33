//! Links cut at every request: there is one node or none, and never another session's.

use znode::ConnectOptions;
use znode::proto::OpCode;
use znode_recipes::{GuardState, Mutex};

use crate::ground::{Ground, LOCK, children_are, contenders, is_pending, make_lock, soon};

#[tokio::test]
async fn a_create_whose_reply_is_lost_is_found_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_lock(&client).await;
    wire.cut_before_reply(OpCode::Create2);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    assert_eq!(wire.count(OpCode::Create2), 1);
    let name = guard.path().rsplit('/').next().unwrap();
    assert_eq!(contenders(&client).await, [name]);
    let stat = soon(client.exists(guard.path())).await.unwrap().unwrap();
    assert_eq!(guard.token(), stat.czxid);
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_create_that_never_arrived_is_made_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_lock(&client).await;
    wire.cut_before_arrival(OpCode::Create2);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    assert_eq!(wire.count(OpCode::Create2), 1);
    assert_eq!(contenders(&client).await.len(), 1);
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_container_whose_reply_is_lost_is_not_missed() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.cut_before_reply(OpCode::CreateContainer);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_list_whose_reply_is_lost_is_asked_for_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_lock(&client).await;
    wire.cut_before_reply(OpCode::GetChildren);
    let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
    assert_eq!(contenders(&client).await.len(), 1);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn kazoo_282_a_waiter_keeps_its_place_over_lost_links() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let holder = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
    let (client, wire) = ground.connect_wired().await;
    wire.cut_before_reply(OpCode::GetData);
    let mut waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
    wire.until(OpCode::GetData, 2).await;
    let places = contenders(&other).await;
    for _ in 0..3 {
        crate::ground::reconnect(&client, &wire).await;
    }
    assert!(is_pending(&mut waiter));
    assert_eq!(contenders(&other).await, places);
    // What happens while the link is down is told when it stands again.
    crate::ground::disconnect(&client, &wire).await;
    holder.release().await.unwrap();
    wire.admit();
    let guard = soon(waiter).await.unwrap().unwrap();
    assert_eq!(contenders(&other).await, places[1..]);
    guard.release().await.unwrap();
    ground.nothing_left().await;
}

/// Two clients with one seed draw equal GUIDs, as a process that was copied while it ran would;
/// and a session that is dying has nodes that look like ours (CURATOR-498, CURATOR-604).
#[tokio::test]
async fn fact_05_curator_498_604_a_node_of_another_session_is_never_adopted() {
    let ground = Ground::start().await;
    let seeded = || ConnectOptions::new().seed(7);
    let other = ground.connect_with(seeded()).await;
    let theirs = soon(Mutex::new(&other, LOCK).lock()).await.unwrap();
    for is_applied in [false, true] {
        let (client, wire) = ground.connect_wired_with(seeded()).await;
        if is_applied {
            wire.cut_before_reply(OpCode::Create2);
        } else {
            wire.cut_before_arrival(OpCode::Create2);
        }
        let mut waiter = tokio::spawn(Mutex::new(&client, LOCK).lock());
        wire.until(OpCode::GetData, 1).await;
        let places = contenders(&other).await;
        let guids: Vec<_> = places.iter().map(|name| &name[..name.len() - 10]).collect();
        assert_eq!(places.len(), 2);
        assert_eq!(guids[0], guids[1], "the test tests nothing");
        assert!(is_pending(&mut waiter), "it took the other's node for its own");

        // Nor is it removed.
        waiter.abort();
        children_are(&other, 1).await;
        assert_eq!(theirs.state(), GuardState::Held);
        assert!(theirs.path().ends_with(&places[0]));
        assert_eq!(contenders(&other).await, places[..1]);
    }
    theirs.release().await.unwrap();
    ground.nothing_left().await;
}

#[tokio::test]
async fn curator_3_18_45_79_a_create_in_flight_at_a_drop_leaves_no_ghost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_lock(&client).await;
    wire.hold_replies();
    let lock = tokio::spawn(Mutex::new(&client, LOCK).lock());
    wire.until(OpCode::Create2, 1).await;
    let other = ground.connect().await;
    children_are(&other, 1).await;
    lock.abort();
    assert!(soon(lock).await.unwrap_err().is_cancelled());
    wire.cut();
    wire.resume();
    ground.nothing_left().await;
}

#[tokio::test]
async fn curator_678_a_release_whose_reply_is_lost_has_released() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for cut in [
        znode_tests::support::Wire::cut_before_reply,
        znode_tests::support::Wire::cut_before_arrival,
    ] {
        let guard = soon(Mutex::new(&client, LOCK).lock()).await.unwrap();
        cut(&wire, OpCode::Delete);
        soon(guard.release()).await.unwrap();
        ground.nothing_left().await;
    }
}
