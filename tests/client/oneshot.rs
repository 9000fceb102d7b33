//! One-shot watches: what fires them, once, and when the event arrives.

use futures::StreamExt;
use futures::future::join_all;
use znode::{CreateMode, ErrorKind, EventType, Op};

use crate::ground::{Ground, is_pending, next_node, settle, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn an_exists_watch_on_a_missing_node_fires_when_it_is_created() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    let (stat, watch) = soon(watcher.exists_watched("/a")).await.unwrap();
    assert_eq!(stat, None);
    let created = soon(other.create("/a", "", PERSISTENT)).await.unwrap();
    let event = soon(watch).await.unwrap();
    assert_eq!(event.kind, EventType::NodeCreated);
    assert_eq!(event.path, "/a");
    assert_eq!(event.zxid, Some(created.stat.czxid));
}

#[tokio::test]
async fn a_write_fires_watches_left_by_exists_and_by_get_data() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    soon(other.create("/a", "", PERSISTENT)).await.unwrap();
    settle(&watcher).await;
    let (stat, exists) = soon(watcher.exists_watched("/a")).await.unwrap();
    let (_, read, data) = soon(watcher.get_data_watched("/a")).await.unwrap();
    assert_eq!(stat, Some(read));
    let (_, _, mut children) = soon(watcher.get_children_watched("/a")).await.unwrap();
    let stat = soon(other.set_data("/a", "x", 0)).await.unwrap();
    for watch in [exists, data] {
        let event = soon(watch).await.unwrap();
        assert_eq!(event.kind, EventType::NodeDataChanged);
        assert_eq!(event.path, "/a");
        assert_eq!(event.zxid, Some(stat.mzxid));
    }
    settle(&watcher).await;
    assert!(is_pending(&mut children));
}

#[tokio::test]
async fn a_deletion_fires_watches_of_every_kind() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    soon(other.create("/a", "", PERSISTENT)).await.unwrap();
    settle(&watcher).await;
    let (_, exists) = soon(watcher.exists_watched("/a")).await.unwrap();
    let (_, _, data) = soon(watcher.get_data_watched("/a")).await.unwrap();
    let (_, _, children) = soon(watcher.get_children_watched("/a")).await.unwrap();
    soon(other.delete("/a", -1)).await.unwrap();
    for watch in [exists, data, children] {
        let event = soon(watch).await.unwrap();
        assert_eq!(event.kind, EventType::NodeDeleted);
        assert_eq!(event.path, "/a");
    }
}

#[tokio::test]
async fn a_children_watch_fires_when_a_child_comes_and_when_it_goes() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    soon(other.create("/p", "", PERSISTENT)).await.unwrap();
    settle(&watcher).await;
    let (children, _, watch) = soon(watcher.get_children_watched("/p")).await.unwrap();
    assert!(children.is_empty());
    soon(other.create("/p/a", "", PERSISTENT)).await.unwrap();
    let event = soon(watch).await.unwrap();
    assert_eq!(event.kind, EventType::NodeChildrenChanged);
    assert_eq!(event.path, "/p");
    let (children, _, watch) = soon(watcher.get_children_watched("/p")).await.unwrap();
    assert_eq!(children, ["a"]);
    soon(other.delete("/p/a", -1)).await.unwrap();
    let event = soon(watch).await.unwrap();
    assert_eq!(event.kind, EventType::NodeChildrenChanged);
}

#[tokio::test]
async fn a_child_does_not_fire_the_data_watch_of_its_parent() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/p", "", PERSISTENT)).await.unwrap();
    let (_, _, mut data) = soon(client.get_data_watched("/p")).await.unwrap();
    let (_, _, mut children) = soon(client.get_children_watched("/p")).await.unwrap();
    soon(client.create("/p/a", "", PERSISTENT)).await.unwrap();
    assert!(!is_pending(&mut children));
    assert!(is_pending(&mut data));
    // Nor does a grandchild fire the children watch of its grandparent.
    let (_, _, mut children) = soon(client.get_children_watched("/p")).await.unwrap();
    soon(client.create("/p/a/b", "", PERSISTENT)).await.unwrap();
    soon(client.set_data("/p/a", "x", -1)).await.unwrap();
    assert!(is_pending(&mut children));
}

#[tokio::test]
async fn a_watch_fires_once() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, watch) = soon(client.get_data_watched("/a")).await.unwrap();
    for i in 0..3 {
        soon(other.set_data("/a", i.to_string(), i)).await.unwrap();
    }
    soon(watch).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 1);
}

#[tokio::test]
async fn watch_fires_before_new_data_is_read() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    soon(other.create("/a", "", PERSISTENT)).await.unwrap();
    settle(&watcher).await;
    for version in 0..50 {
        let (_, stat, mut watch) = soon(watcher.get_data_watched("/a")).await.unwrap();
        assert_eq!(stat.version.0, version);
        assert!(is_pending(&mut watch));
        // Both are under way at once, so the event and the reply race towards the client.
        let write = other.set_data("/a", "x", version);
        loop {
            let (_, stat) = soon(watcher.get_data("/a")).await.unwrap();
            if stat.version.0 > version {
                break;
            }
        }
        assert!(!is_pending(&mut watch), "version {version} was read first");
        soon(write).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_sees_its_own_event_before_the_reply_that_caused_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    for version in 0..20 {
        let (_, _, mut watch) = soon(client.get_data_watched("/a")).await.unwrap();
        soon(client.set_data("/a", "x", version)).await.unwrap();
        assert!(!is_pending(&mut watch));
    }
}

#[tokio::test]
async fn every_watcher_of_a_path_is_told() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let asked = (0..5).map(|_| client.get_data_watched("/a"));
    let watches: Vec<_> =
        soon(join_all(asked)).await.into_iter().map(|answer| answer.unwrap().2).collect();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    for event in soon(join_all(watches)).await {
        assert_eq!(event.unwrap().kind, EventType::NodeDataChanged);
    }
}

#[tokio::test]
async fn a_read_that_fails_leaves_no_watch() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let error = soon(client.get_data_watched("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    let error = soon(client.get_children_watched("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    soon(client.delete("/a", 1)).await.unwrap();
    settle(&client).await;
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn setting_an_access_control_list_fires_nothing() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let (_, _, mut watch) = soon(client.get_data_watched("/a")).await.unwrap();
    soon(client.set_acl("/a", &[znode::Acl::open()], 0)).await.unwrap();
    // Neither does a write that fails.
    soon(client.set_data("/a", "x", 7)).await.unwrap_err();
    soon(client.multi([Op::set_data("/a", "x", 0), Op::check("/a", 7)])).await.unwrap_err();
    settle(&client).await;
    assert!(is_pending(&mut watch));
    assert_eq!(wire.notifications(), 0);
}

#[tokio::test]
async fn events_of_one_multi_arrive_in_its_order() {
    let ground = Ground::start().await;
    let (watcher, other) = (ground.connect().await, ground.connect().await);
    let mut events = watcher.events();
    let default = watcher.default_watch();
    for path in ["/c", "/a", "/b"] {
        soon(default.exists(path)).await.unwrap();
    }
    let creates = ["/b", "/c", "/a"].map(|path| Op::create(path, "", PERSISTENT));
    soon(other.multi(creates)).await.unwrap();
    let mut zxids = Vec::new();
    for expected in ["/b", "/c", "/a"] {
        let event = next_node(&mut events).await;
        assert_eq!(event.path, expected);
        zxids.push(event.zxid);
    }
    assert!(zxids.iter().all(|zxid| *zxid == zxids[0]));
}

#[tokio::test]
async fn the_default_watcher_hears_every_kind_of_watch() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut events = client.events();
    let default = client.default_watch();
    assert_eq!(soon(default.exists("/a")).await.unwrap(), None);
    soon(client.create("/a", "x", PERSISTENT)).await.unwrap();
    let event = next_node(&mut events).await;
    assert_eq!((event.kind, &event.path[..]), (EventType::NodeCreated, "/a"));
    let (data, _) = soon(default.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"x");
    soon(client.set_data("/a", "y", 0)).await.unwrap();
    let event = next_node(&mut events).await;
    assert_eq!(event.kind, EventType::NodeDataChanged);
    let (children, _) = soon(default.get_children("/a")).await.unwrap();
    assert!(children.is_empty());
    soon(client.create("/a/b", "", PERSISTENT)).await.unwrap();
    let event = next_node(&mut events).await;
    assert_eq!(event.kind, EventType::NodeChildrenChanged);
}

#[tokio::test]
async fn every_stream_of_the_default_watcher_hears_each_event_once() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (mut one, mut other) = (client.events(), client.events());
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    for version in 0..3 {
        soon(client.default_watch().exists("/a")).await.unwrap();
        soon(client.set_data("/a", "x", version)).await.unwrap();
    }
    soon(client.close()).await.unwrap();
    for events in [&mut one, &mut other] {
        let mut heard = 0;
        while let Some(event) = soon(events.next()).await {
            heard += usize::from(matches!(event, znode::ClientEvent::Node(_)));
        }
        assert_eq!(heard, 3);
    }
}

#[tokio::test]
async fn a_watcher_and_the_default_watcher_share_a_path() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut events = client.events();
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    soon(client.default_watch().get_data("/a")).await.unwrap();
    let (_, _, watch) = soon(client.get_data_watched("/a")).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert_eq!(soon(watch).await.unwrap().path, "/a");
    assert_eq!(next_node(&mut events).await.path, "/a");
}
