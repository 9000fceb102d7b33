//! Persistent and recursive watches.

use futures::StreamExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{AddWatchMode, CreateMode, ErrorKind, EventType, WatchUpdate, WatcherType};

use crate::ground::{Ground, disconnect, expire, next_event, readmit, reconnect, settle, soon};

const NODE: CreateMode = CreateMode::Persistent;
const PERSISTENT: AddWatchMode = AddWatchMode::Persistent;
const RECURSIVE: AddWatchMode = AddWatchMode::PersistentRecursive;

#[tokio::test]
async fn a_persistent_watch_tells_every_change_of_its_node_and_children() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    let mut updates = soon(watcher.add_watch("/a", PERSISTENT)).await.unwrap();
    let created = soon(other.create("/a", "", NODE)).await.unwrap();
    soon(other.set_data("/a", "x", 0)).await.unwrap();
    soon(other.set_data("/a", "y", 1)).await.unwrap();
    soon(other.create("/a/b", "", NODE)).await.unwrap();
    soon(other.set_data("/a/b", "x", 0)).await.unwrap();
    soon(other.create("/a/b/c", "", NODE)).await.unwrap();
    soon(other.delete("/a/b/c", -1)).await.unwrap();
    soon(other.delete("/a/b", -1)).await.unwrap();
    soon(other.delete("/a", -1)).await.unwrap();
    soon(other.create("/a", "", NODE)).await.unwrap();
    for (i, kind) in [
        EventType::NodeCreated,
        EventType::NodeDataChanged,
        EventType::NodeDataChanged,
        EventType::NodeChildrenChanged,
        EventType::NodeChildrenChanged,
        EventType::NodeDeleted,
        EventType::NodeCreated,
    ]
    .into_iter()
    .enumerate()
    {
        let event = next_event(&mut updates).await;
        assert_eq!((event.kind, &event.path[..]), (kind, "/a"), "event {i}");
        if i == 0 {
            assert_eq!(event.zxid, Some(created.stat.czxid));
        }
    }
}

#[tokio::test]
async fn a_recursive_watch_tells_every_change_below_it_and_no_lists_of_children() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    let mut updates = soon(watcher.add_watch("/a", RECURSIVE)).await.unwrap();
    for path in ["/a", "/ab", "/a/b", "/a/b/c"] {
        soon(other.create(path, "", NODE)).await.unwrap();
    }
    soon(other.set_data("/a/b", "x", 0)).await.unwrap();
    soon(other.set_data("/ab", "x", 0)).await.unwrap();
    soon(other.delete("/a/b/c", -1)).await.unwrap();
    soon(other.delete("/a/b", -1)).await.unwrap();
    soon(other.delete("/a", -1)).await.unwrap();
    for expected in [
        (EventType::NodeCreated, "/a"),
        (EventType::NodeCreated, "/a/b"),
        (EventType::NodeCreated, "/a/b/c"),
        (EventType::NodeDataChanged, "/a/b"),
        (EventType::NodeDeleted, "/a/b/c"),
        (EventType::NodeDeleted, "/a/b"),
        (EventType::NodeDeleted, "/a"),
    ] {
        let event = next_event(&mut updates).await;
        assert_eq!((event.kind, &event.path[..]), expected);
    }
}

#[tokio::test]
async fn a_recursive_watch_ignores_lists_of_children_that_other_watches_ask_for() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", NODE)).await.unwrap();
    let mut below = soon(client.add_watch("/a", RECURSIVE)).await.unwrap();
    let (_, _, children) = soon(client.get_children_watched("/a")).await.unwrap();
    soon(client.create("/a/b", "", NODE)).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert_eq!(soon(children).await.unwrap().kind, EventType::NodeChildrenChanged);
    let event = next_event(&mut below).await;
    assert_eq!((event.kind, &event.path[..]), (EventType::NodeCreated, "/a/b"));
    let event = next_event(&mut below).await;
    assert_eq!((event.kind, &event.path[..]), (EventType::NodeDataChanged, "/a"));
}

#[tokio::test]
async fn a_recursive_watch_at_the_top_sees_everything_below_the_chroot() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    let mut updates = soon(watcher.add_watch("/", RECURSIVE)).await.unwrap();
    soon(other.create("/a", "", NODE)).await.unwrap();
    soon(other.create("/a/b", "", NODE)).await.unwrap();
    soon(other.set_data("/", "x", -1)).await.unwrap();
    for expected in ["/a", "/a/b", "/"] {
        assert_eq!(next_event(&mut updates).await.path, expected);
    }
}

#[tokio::test]
async fn every_persistent_watcher_of_a_path_is_told_each_event_once() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut watchers = Vec::new();
    for _ in 0..3 {
        watchers.push(soon(client.add_watch("/a", PERSISTENT)).await.unwrap());
    }
    // A further one comes and goes, and takes nothing with it.
    drop(soon(client.add_watch("/a", PERSISTENT)).await.unwrap());
    settle(&client).await;
    soon(client.create("/a", "", NODE)).await.unwrap();
    soon(client.delete("/a", 0)).await.unwrap();
    for updates in &mut watchers {
        assert_eq!(next_event(updates).await.kind, EventType::NodeCreated);
        assert_eq!(next_event(updates).await.kind, EventType::NodeDeleted);
    }
}

#[tokio::test]
async fn both_modes_stand_side_by_side_on_one_path() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", NODE)).await.unwrap();
    let mut own = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    let mut below = soon(client.add_watch("/a", RECURSIVE)).await.unwrap();
    let (_, _, data) = soon(client.get_data_watched("/a")).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert_eq!(soon(data).await.unwrap().kind, EventType::NodeDataChanged);
    assert_eq!(next_event(&mut own).await.kind, EventType::NodeDataChanged);
    assert_eq!(next_event(&mut below).await.kind, EventType::NodeDataChanged);
    drop(own);
    wire.until(OpCode::RemoveWatches, 1).await;
    settle(&client).await;
    soon(client.create("/a/b", "", NODE)).await.unwrap();
    assert_eq!(next_event(&mut below).await.path, "/a/b");
    let mut own = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    drop(below);
    wire.until(OpCode::RemoveWatches, 2).await;
    settle(&client).await;
    soon(client.delete("/a/b", -1)).await.unwrap();
    let event = next_event(&mut own).await;
    assert_eq!(event.kind, EventType::NodeChildrenChanged);
}

#[tokio::test]
async fn a_dropped_persistent_watcher_is_taken_back_from_the_server() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for (i, mode) in [PERSISTENT, RECURSIVE].into_iter().enumerate() {
        drop(soon(client.add_watch("/a", mode)).await.unwrap());
        wire.until(OpCode::RemoveWatches, i + 1).await;
    }
    soon(client.create("/a", "", NODE)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn a_persistent_watcher_is_told_when_it_is_removed() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut own = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    let mut below = soon(client.add_watch("/a", RECURSIVE)).await.unwrap();
    soon(client.create("/a", "", NODE)).await.unwrap();
    soon(client.remove_watches("/a", WatcherType::Persistent)).await.unwrap();
    // What came before is still told before.
    assert_eq!(next_event(&mut own).await.kind, EventType::NodeCreated);
    assert!(matches!(soon(own.next()).await, Some(WatchUpdate::Removed)));
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert_eq!(next_event(&mut below).await.kind, EventType::NodeCreated);
    assert_eq!(next_event(&mut below).await.kind, EventType::NodeDataChanged);
    soon(client.remove_watches("/a", WatcherType::PersistentRecursive)).await.unwrap();
    assert!(matches!(soon(below.recv()).await, Some(WatchUpdate::Removed)));
}

#[tokio::test]
async fn persistent_watches_survive_a_reconnect_and_tell_the_gap() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let mut own = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    let mut below = soon(client.add_watch("/a", RECURSIVE)).await.unwrap();
    soon(other.create("/a", "", NODE)).await.unwrap();
    settle(&client).await;
    disconnect(&client, &wire).await;
    soon(other.set_data("/a", "missed", 0)).await.unwrap();
    readmit(&client, &wire).await;
    settle(&client).await;
    soon(other.create("/a/b", "", NODE)).await.unwrap();
    assert_eq!(next_event(&mut own).await.kind, EventType::NodeCreated);
    assert!(matches!(soon(own.next()).await, Some(WatchUpdate::Gap)));
    assert_eq!(next_event(&mut own).await.kind, EventType::NodeChildrenChanged);
    assert_eq!(next_event(&mut below).await.kind, EventType::NodeCreated);
    assert!(matches!(soon(below.next()).await, Some(WatchUpdate::Gap)));
    assert_eq!(next_event(&mut below).await.path, "/a/b");
}

#[tokio::test]
async fn whoever_reads_again_after_a_gap_misses_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(other.create("/a", "", NODE)).await.unwrap();
    let mut updates = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    for version in 0..10 {
        wire.cut();
        while !matches!(soon(updates.next()).await, Some(WatchUpdate::Gap)) {}
        // Both race with the restoration of the watch: the first is read, or told, or both.
        soon(other.set_data("/a", "x", version * 2)).await.unwrap();
        let (_, stat) = soon(client.get_data("/a")).await.unwrap();
        assert_eq!(stat.version.0, version * 2 + 1);
        let last = soon(other.set_data("/a", "x", stat.version)).await.unwrap();
        while next_event(&mut updates).await.zxid != Some(last.mzxid) {}
    }
}

#[tokio::test]
async fn a_dropped_watcher_is_not_restored() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let updates = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    let (_, watch) = soon(client.exists_watched("/a")).await.unwrap();
    disconnect(&client, &wire).await;
    drop((updates, watch));
    readmit(&client, &wire).await;
    settle(&client).await;
    soon(client.create("/a", "", NODE)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_has_missed() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    soon(other.create("/a", "", NODE)).await.unwrap();
    let mut updates = soon(watcher.add_watch("/a", PERSISTENT)).await.unwrap();
    const WRITES: u64 = 3000;
    for write in soon(join_all((0..WRITES).map(|_| other.set_data("/a", "x", -1)))).await {
        write.unwrap();
    }
    settle(&watcher).await;
    soon(watcher.close()).await.unwrap();
    let (mut told, mut lost) = (0, 0);
    while let Some(update) = soon(updates.next()).await {
        match update {
            WatchUpdate::Event(_) => told += 1,
            WatchUpdate::Lagged(count) => lost += count,
            WatchUpdate::Gap | WatchUpdate::Removed => {}
            other => panic!("{other:?} is no update of this test"),
        }
    }
    assert_eq!(told + lost, WRITES);
    assert!(told > 0);
}

#[tokio::test]
async fn persistent_watchers_end_with_the_session() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    let mut updates = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    expire(&client, &wire).await;
    while let Some(update) = soon(updates.next()).await {
        assert!(!matches!(update, WatchUpdate::Event(_)));
    }
    let error = soon(client.add_watch("/a", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
}

#[tokio::test]
async fn a_reconnect_tells_no_gap_to_watches_that_are_set_after_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    reconnect(&client, &wire).await;
    let mut updates = soon(client.add_watch("/a", PERSISTENT)).await.unwrap();
    soon(client.create("/a", "", NODE)).await.unwrap();
    assert_eq!(next_event(&mut updates).await.kind, EventType::NodeCreated);
}
