//! One-shot watches across a reconnect: what changed meanwhile is told, the rest stands again.

use std::time::Duration;

use futures::future::{join_all, select_all};
use znode::proto::OpCode;
use znode::{CreateMode, EventType, Op, WatchUpdate};

use crate::ground::{Ground, disconnect, is_pending, readmit, reconnect, settle, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_data_watch_fires_for_a_write_that_came_while_disconnected() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    for path in ["/a", "/b"] {
        soon(client.create(path, "", PERSISTENT)).await.unwrap();
    }
    let (_, _, data) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, exists) = soon(client.exists_watched("/b")).await.unwrap();
    disconnect(&client, &wire).await;
    soon(other.set_data("/a", "x", 0)).await.unwrap();
    soon(other.set_data("/b", "x", 0)).await.unwrap();
    wire.admit();
    for (watch, path) in [(data, "/a"), (exists, "/b")] {
        let event = soon(watch).await.unwrap();
        assert_eq!((event.kind, &event.path[..]), (EventType::NodeDataChanged, path));
    }
}

#[tokio::test]
async fn an_exists_watch_fires_for_a_node_that_was_created_while_disconnected() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let (_, watch) = soon(client.exists_watched("/a")).await.unwrap();
    disconnect(&client, &wire).await;
    soon(other.create("/a", "", PERSISTENT)).await.unwrap();
    wire.admit();
    let event = soon(watch).await.unwrap();
    assert_eq!((event.kind, &event.path[..]), (EventType::NodeCreated, "/a"));
}

#[tokio::test]
async fn a_children_watch_fires_for_a_child_that_came_while_disconnected() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(client.create("/p", "", PERSISTENT)).await.unwrap();
    let (_, _, watch) = soon(client.get_children_watched("/p")).await.unwrap();
    disconnect(&client, &wire).await;
    soon(other.create("/p/a", "", PERSISTENT)).await.unwrap();
    wire.admit();
    let event = soon(watch).await.unwrap();
    assert_eq!((event.kind, &event.path[..]), (EventType::NodeChildrenChanged, "/p"));
}

#[tokio::test]
async fn watches_fire_for_a_node_that_was_deleted_while_disconnected() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, exists) = soon(client.exists_watched("/a")).await.unwrap();
    let (_, _, data) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, _, children) = soon(client.get_children_watched("/a")).await.unwrap();
    disconnect(&client, &wire).await;
    soon(other.delete("/a", -1)).await.unwrap();
    wire.admit();
    for watch in [exists, data, children] {
        let event = soon(watch).await.unwrap();
        assert_eq!(event.kind, EventType::NodeDeleted);
    }
}

#[tokio::test]
async fn watches_without_news_stand_after_a_reconnect() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, mut missing) = soon(client.exists_watched("/b")).await.unwrap();
    let (_, _, mut data) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, _, mut children) = soon(client.get_children_watched("/a")).await.unwrap();
    for _ in 0..3 {
        reconnect(&client, &wire).await;
    }
    settle(&client).await;
    assert!(is_pending(&mut missing) && is_pending(&mut data) && is_pending(&mut children));
    soon(client.create("/b", "", PERSISTENT)).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    soon(client.create("/a/c", "", PERSISTENT)).await.unwrap();
    for (watch, kind) in [
        (missing, EventType::NodeCreated),
        (data, EventType::NodeDataChanged),
        (children, EventType::NodeChildrenChanged),
    ] {
        assert_eq!(soon(watch).await.unwrap().kind, kind);
    }
    assert_eq!(wire.notifications(), 3);
}

#[tokio::test]
async fn watches_that_have_fired_are_not_restored() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, watch) = soon(client.get_data_watched("/a")).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    soon(watch).await.unwrap();
    reconnect(&client, &wire).await;
    settle(&client).await;
    assert_eq!(wire.count(OpCode::SetWatches), 0);
    assert_eq!(wire.count(OpCode::SetWatches2), 0);
}

/// ZOOKEEPER-4655: were the event's zxid taken for what the client has seen, the reconnect would
/// lose the rest of its transaction.
#[tokio::test]
async fn events_do_not_move_what_the_client_says_it_has_seen() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let (_, watch) = soon(client.exists_watched("/a")).await.unwrap();
    let seen = client.last_zxid();
    soon(other.create("/a", "", PERSISTENT)).await.unwrap();
    soon(watch).await.unwrap();
    // A ping's reply may not move it either.
    assert_eq!(client.last_zxid(), seen);
    reconnect(&client, &wire).await;
    let handshakes = wire.handshakes();
    assert_eq!(handshakes.len(), 2);
    assert_eq!(handshakes[1].last_zxid, seen);
    assert_eq!(handshakes[1].session, client.session_id());
}

#[tokio::test]
async fn a_reconnect_tells_what_the_client_has_seen() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for version in 0..3 {
        soon(client.set_data("/", "x", version)).await.unwrap();
        let seen = client.last_zxid();
        reconnect(&client, &wire).await;
        let last = wire.handshakes().pop().unwrap();
        assert_eq!(last.last_zxid, seen);
    }
}

#[tokio::test]
async fn thousands_of_watches_are_restored_in_batches() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let long = "n".repeat(120);
    let paths: Vec<String> = (0..3000).map(|i| format!("/{long}-{i:04}")).collect();
    let asked = paths.iter().map(|path| client.exists_watched(path));
    let watches: Vec<_> =
        soon(join_all(asked)).await.into_iter().map(|answer| answer.unwrap().1).collect();
    disconnect(&client, &wire).await;
    let create = |paths: &[String]| {
        let creates = paths.iter().map(|path| Op::create(path, "", PERSISTENT));
        other.multi(creates)
    };
    let (meanwhile, later) = paths.split_at(1000);
    for batch in meanwhile.chunks(500) {
        soon(create(batch)).await.unwrap();
    }
    readmit(&client, &wire).await;
    settle(&client).await;
    for batch in later.chunks(500) {
        soon(create(batch)).await.unwrap();
    }
    for (event, path) in soon(join_all(watches)).await.into_iter().zip(&paths) {
        let event = event.unwrap();
        assert_eq!((event.kind, &event.path), (EventType::NodeCreated, path));
    }
    let batches = wire.count(OpCode::SetWatches) + wire.count(OpCode::SetWatches2);
    assert!(batches >= 3, "{batches} batches");
    assert!(wire.request_len_max() <= 160 * 1024);
    // One handshake was enough: nothing that was sent made the server break the link.
    assert_eq!(wire.handshakes().len(), 2);
}

#[tokio::test]
async fn watches_of_every_kind_are_restored_together() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let mut own = soon(client.add_watch("/a", znode::AddWatchMode::Persistent)).await.unwrap();
    let (_, _, data) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, missing) = soon(client.exists_watched("/b")).await.unwrap();
    disconnect(&client, &wire).await;
    soon(other.set_data("/a", "x", 0)).await.unwrap();
    wire.admit();
    assert_eq!(soon(data).await.unwrap().kind, EventType::NodeDataChanged);
    soon(other.create("/b", "", PERSISTENT)).await.unwrap();
    assert_eq!(soon(missing).await.unwrap().kind, EventType::NodeCreated);
    soon(other.create("/a/c", "", PERSISTENT)).await.unwrap();
    let mut gaps = 0;
    loop {
        match soon(own.recv()).await.unwrap() {
            WatchUpdate::Gap => gaps += 1,
            WatchUpdate::Event(event) if event.kind == EventType::NodeChildrenChanged => break,
            // What the server tells the one-shot watch, it tells this one, too.
            WatchUpdate::Event(event) => assert_eq!(event.kind, EventType::NodeDataChanged),
            update => panic!("{update:?} is no update of this test"),
        }
    }
    assert_eq!(gaps, 1);
}

#[tokio::test]
async fn a_watch_asked_for_while_disconnected_is_set_after_the_reconnect() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    disconnect(&client, &wire).await;
    let asked = client.exists_watched("/a");
    wire.admit();
    let (stat, watch) = soon(asked).await.unwrap();
    assert_eq!(stat, None);
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    assert_eq!(soon(watch).await.unwrap().kind, EventType::NodeCreated);
}

#[tokio::test]
async fn a_link_that_breaks_again_while_watches_are_restored_loses_none() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let paths: Vec<String> = (0..50).map(|i| format!("/{i}")).collect();
    let asked = paths.iter().map(|path| client.exists_watched(path));
    let mut watches: Vec<_> =
        soon(join_all(asked)).await.into_iter().map(|answer| answer.unwrap().1).collect();
    for arrived in [2, 5] {
        wire.cut_before_reply(OpCode::SetWatches);
        wire.cut();
        wire.until(OpCode::SetWatches, arrived).await;
        wire.cut_before_arrival(OpCode::SetWatches);
        wire.cut();
        wire.until(OpCode::SetWatches, arrived + 1).await;
    }
    settle(&client).await;
    for path in &paths {
        soon(client.create(path, "", PERSISTENT)).await.unwrap();
    }
    while !watches.is_empty() {
        let (event, _, rest) = soon(select_all(watches)).await;
        assert_eq!(event.unwrap().kind, EventType::NodeCreated);
        watches = rest;
    }
}

#[tokio::test]
async fn a_timeout_around_a_watch_takes_it_back() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let (_, watch) = soon(client.exists_watched("/a")).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_millis(1), watch).await;
    assert!(heard.is_err());
    wire.until(OpCode::RemoveWatches, 1).await;
}
