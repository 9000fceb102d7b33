//! Taking watches back: by dropping them, and by asking for it.

use futures::StreamExt;
use znode::proto::OpCode;
use znode::{AddWatchMode, CreateMode, ErrorKind, EventType, WatchUpdate, WatcherType};

use crate::ground::{Ground, is_pending, next_event, settle, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_dropped_watcher_is_taken_back_from_the_server() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    drop(soon(client.exists_watched("/none")).await.unwrap());
    wire.until(OpCode::RemoveWatches, 1).await;
    drop(soon(client.get_data_watched("/a")).await.unwrap());
    wire.until(OpCode::RemoveWatches, 2).await;
    drop(soon(client.get_children_watched("/a")).await.unwrap());
    wire.until(OpCode::RemoveWatches, 3).await;
    for path in ["/none", "/a/b"] {
        soon(client.create(path, "", PERSISTENT)).await.unwrap();
    }
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn a_dropped_watcher_leaves_another_at_the_same_path_alone() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, dropped) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, _, kept) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, exists) = soon(client.exists_watched("/a")).await.unwrap();
    let (_, _, children) = soon(client.get_children_watched("/a")).await.unwrap();
    drop(dropped);
    settle(&client).await;
    soon(client.create("/a/b", "", PERSISTENT)).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert_eq!(soon(children).await.unwrap().kind, EventType::NodeChildrenChanged);
    for watch in [kept, exists] {
        assert_eq!(soon(watch).await.unwrap().kind, EventType::NodeDataChanged);
    }
}

#[tokio::test]
async fn a_dropped_watcher_leaves_the_default_watcher_alone() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut events = client.events();
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    soon(client.default_watch().exists("/a")).await.unwrap();
    drop(soon(client.exists_watched("/a")).await.unwrap());
    settle(&client).await;
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert_eq!(crate::ground::next_node(&mut events).await.path, "/a");
}

#[tokio::test]
async fn a_watch_set_right_after_one_was_dropped_still_fires() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    for version in 0..20 {
        drop(soon(client.get_data_watched("/a")).await.unwrap());
        let again = client.get_data_watched("/a");
        let (_, _, watch) = soon(again).await.unwrap();
        settle(&client).await;
        soon(client.set_data("/a", "x", version)).await.unwrap();
        soon(watch).await.unwrap();
    }
}

#[tokio::test]
async fn a_watch_dropped_while_another_is_asked_for_takes_only_itself() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    for version in 0..20 {
        let (_, _, first) = soon(client.get_data_watched("/a")).await.unwrap();
        let second = client.get_data_watched("/a");
        drop(first);
        let (_, _, watch) = soon(second).await.unwrap();
        settle(&client).await;
        soon(client.set_data("/a", "x", version)).await.unwrap();
        soon(watch).await.unwrap();
    }
}

#[tokio::test]
async fn a_watch_whose_request_was_dropped_is_taken_back() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    drop(client.get_data_watched("/a"));
    wire.until(OpCode::RemoveWatches, 1).await;
    settle(&client).await;
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn a_watcher_that_has_fired_needs_no_taking_back() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, heard) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, _, unheard) = soon(client.get_data_watched("/a")).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    soon(heard).await.unwrap();
    drop(unheard);
    settle(&client).await;
    assert_eq!(wire.count(OpCode::RemoveWatches), 0);
}

#[tokio::test]
async fn removed_watchers_are_told_so() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, data) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, _, mut children) = soon(client.get_children_watched("/a")).await.unwrap();
    soon(client.remove_watches("/a", WatcherType::Data)).await.unwrap();
    let event = soon(data).await.unwrap();
    assert_eq!(event.kind, EventType::DataWatchRemoved);
    assert_eq!(event.path, "/a");
    assert!(is_pending(&mut children));
    soon(client.remove_watches("/a", WatcherType::Children)).await.unwrap();
    let event = soon(children).await.unwrap();
    assert_eq!(event.kind, EventType::ChildWatchRemoved);
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    soon(client.create("/a/b", "", PERSISTENT)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn any_removes_watches_of_every_kind() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, data) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, _, children) = soon(client.get_children_watched("/a")).await.unwrap();
    let mut updates = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    soon(client.remove_watches("/a", WatcherType::Any)).await.unwrap();
    assert_eq!(soon(data).await.unwrap().kind, EventType::DataWatchRemoved);
    assert_eq!(soon(children).await.unwrap().kind, EventType::ChildWatchRemoved);
    assert!(matches!(soon(updates.next()).await, Some(WatchUpdate::Removed)));
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn there_must_be_a_watch_to_remove() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, mut data) = soon(client.get_data_watched("/a")).await.unwrap();
    let error = soon(client.remove_watches("/a", WatcherType::Children)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoWatcher);
    assert_eq!((error.op(), error.path()), ("remove_watches", Some("/a")));
    let error = soon(client.remove_watches("/b", WatcherType::Any)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoWatcher);
    assert!(is_pending(&mut data));
}

#[tokio::test]
async fn watches_of_another_client_are_not_removed() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    soon(one.create("/a", "", PERSISTENT)).await.unwrap();
    settle(&other).await;
    let (_, _, theirs) = soon(other.get_data_watched("/a")).await.unwrap();
    let (_, _, ours) = soon(one.get_data_watched("/a")).await.unwrap();
    soon(one.remove_watches("/a", WatcherType::Any)).await.unwrap();
    soon(ours).await.unwrap();
    soon(one.set_data("/a", "x", 0)).await.unwrap();
    let event = soon(theirs).await.unwrap();
    assert_eq!(event.kind, EventType::NodeDataChanged);
}

#[tokio::test]
async fn a_dropped_one_shot_watcher_leaves_persistent_ones_alone() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let mut updates = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    let mut below = soon(client.add_watch("/a", AddWatchMode::PersistentRecursive)).await.unwrap();
    drop(soon(client.get_data_watched("/a")).await.unwrap());
    drop(soon(client.get_children_watched("/a")).await.unwrap());
    settle(&client).await;
    soon(client.create("/a/b", "", PERSISTENT)).await.unwrap();
    let event = next_event(&mut updates).await;
    assert_eq!(event.kind, EventType::NodeChildrenChanged);
    let event = next_event(&mut below).await;
    assert_eq!((event.kind, &event.path[..]), (EventType::NodeCreated, "/a/b"));
}

#[tokio::test]
async fn a_dropped_persistent_watcher_leaves_one_shot_ones_alone() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    for mode in [AddWatchMode::Persistent, AddWatchMode::PersistentRecursive] {
        let removed = wire.count(OpCode::RemoveWatches);
        let updates = soon(client.add_watch("/a", mode)).await.unwrap();
        let (_, stat, watch) = soon(client.get_data_watched("/a")).await.unwrap();
        drop(updates);
        wire.until(OpCode::RemoveWatches, removed + 1).await;
        settle(&client).await;
        soon(client.set_data("/a", "x", stat.version)).await.unwrap();
        soon(watch).await.unwrap();
    }
}

#[tokio::test]
async fn removing_a_persistent_watcher_waits_until_the_server_keeps_none() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let updates = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    soon(updates.remove()).await.unwrap();
    assert_eq!(wire.count(OpCode::RemoveWatches), 1);
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn removing_a_watcher_that_another_shares_asks_the_server_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, gone) = soon(client.get_data_watched("/a")).await.unwrap();
    let (_, _, stays) = soon(client.get_data_watched("/a")).await.unwrap();
    soon(gone.remove()).await.unwrap();
    assert_eq!(wire.count(OpCode::RemoveWatches), 0);
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert_eq!(soon(stays).await.unwrap().kind, EventType::NodeDataChanged);
}
