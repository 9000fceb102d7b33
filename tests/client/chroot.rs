//! Views of one session below a path of their own.

use znode::{AddWatchMode, CreateMode, ErrorKind, EventType, Op, OpResult, State};

use crate::ground::{Ground, next_event, next_node, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_view_shares_the_session() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let view = client.with_chroot("/app").unwrap();
    assert_eq!(view.session_id(), client.session_id());
    assert_eq!(view.session_timeout(), client.session_timeout());
    assert_eq!(view.state(), State::Connected);
    soon(client.create("/app", "", PERSISTENT)).await.unwrap();
    let created = soon(view.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    assert_eq!(created.stat.ephemeral_owner, client.session_id());
    assert!(view.last_zxid() >= created.stat.czxid);
    assert_eq!(view.last_zxid(), client.last_zxid());
}

#[tokio::test]
async fn a_view_names_paths_from_its_own_root() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/app", "top", PERSISTENT)).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    let created = soon(view.create("/a", "x", PERSISTENT)).await.unwrap();
    assert_eq!(created.path, "/a");
    let sequential = CreateMode::PersistentSequential;
    let created = soon(view.create("/n-", "", sequential)).await.unwrap();
    assert_eq!(created.path, "/n-0000000001");
    let (data, _) = soon(client.get_data("/app/a")).await.unwrap();
    assert_eq!(&data[..], b"x");
    let (data, _) = soon(view.get_data("/")).await.unwrap();
    assert_eq!(&data[..], b"top");
    let mut names = soon(view.get_children("/")).await.unwrap();
    names.sort();
    assert_eq!(names, ["a", "n-0000000001"]);
}

#[tokio::test]
async fn a_view_of_a_view_is_deeper() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    assert_eq!(client.chroot().as_str(), ground.root());
    for path in ["/a", "/a/b"] {
        soon(client.create(path, "", PERSISTENT)).await.unwrap();
    }
    let view = client.with_chroot("/a").unwrap().with_chroot("/b").unwrap();
    assert_eq!(view.chroot().as_str(), format!("{}/a/b", ground.root()));
    soon(view.create("/c", "", PERSISTENT)).await.unwrap();
    assert!(soon(client.exists("/a/b/c")).await.unwrap().is_some());
    let same = view.with_chroot("/").unwrap();
    assert_eq!(same.chroot(), view.chroot());
}

#[tokio::test]
async fn a_chroot_must_be_a_path() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["", "app", "/app/", "//", "/a/../b"] {
        let error = client.with_chroot(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath, "{path:?}");
    }
}

#[tokio::test]
async fn events_are_told_from_the_root_of_the_view_that_watches() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/app", "", PERSISTENT)).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    let (_, inner) = soon(view.exists_watched("/a")).await.unwrap();
    let (_, outer) = soon(client.exists_watched("/app/a")).await.unwrap();
    let (_, _, top) = soon(view.get_children_watched("/")).await.unwrap();
    let mut below = soon(view.add_watch("/", AddWatchMode::PersistentRecursive)).await.unwrap();
    soon(client.create("/app/a", "", PERSISTENT)).await.unwrap();
    assert_eq!(soon(inner).await.unwrap().path, "/a");
    assert_eq!(soon(outer).await.unwrap().path, "/app/a");
    let event = soon(top).await.unwrap();
    assert_eq!(event.kind, EventType::NodeChildrenChanged);
    assert_eq!(event.path, "/");
    assert_eq!(next_event(&mut below).await.path, "/a");
}

#[tokio::test]
async fn the_default_watcher_is_told_from_the_root_of_the_view_that_listens() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/app", "", PERSISTENT)).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    let (mut outer, mut inner) = (client.events(), view.events());
    soon(view.default_watch().exists("/a")).await.unwrap();
    soon(client.create("/app/a", "", PERSISTENT)).await.unwrap();
    assert_eq!(next_node(&mut outer).await.path, "/app/a");
    assert_eq!(next_node(&mut inner).await.path, "/a");
}

#[tokio::test]
async fn errors_name_the_path_that_was_asked_for() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let view = client.with_chroot("/app").unwrap();
    let error = soon(view.get_data("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    assert_eq!(error.path(), Some("/a"));
    assert!(!error.to_string().contains(ground.root()));
    let error = soon(view.multi([Op::delete("/b", -1)])).await.unwrap_err();
    assert_eq!(error.path(), Some("/b"));
}

#[tokio::test]
async fn edge_34_results_of_a_multi_are_named_from_the_root_of_the_view() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/app", "", PERSISTENT)).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    let results = soon(view.multi([
        Op::create("/a", "", PERSISTENT),
        Op::create("/n-", "", CreateMode::PersistentSequential),
        Op::create("/t-", "", CreateMode::EphemeralSequential),
    ]))
    .await
    .unwrap();
    let paths: Vec<&str> = results
        .iter()
        .map(|result| match result {
            OpResult::Created(created) => &created.path[..],
            other => panic!("{other:?} is no creation"),
        })
        .collect();
    assert_eq!(paths, ["/a", "/n-0000000001", "/t-0000000002"]);
}

#[tokio::test]
async fn edge_34_ephemeral_nodes_are_listed_from_the_root_of_the_view() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/app", "/app2"] {
        soon(client.create(path, "", PERSISTENT)).await.unwrap();
    }
    let view = client.with_chroot("/app").unwrap();
    for path in ["/app/a", "/app2/b", "/c"] {
        soon(client.create(path, "", CreateMode::Ephemeral)).await.unwrap();
    }
    assert_eq!(soon(view.get_ephemerals("/")).await.unwrap(), ["/a"]);
    let mut all = soon(client.get_ephemerals("/")).await.unwrap();
    all.sort();
    assert_eq!(all, ["/app/a", "/app2/b", "/c"]);
    let none = soon(view.get_ephemerals("/c")).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn descendants_and_lists_count_below_the_view() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/app", "/app/a", "/app/a/b", "/other"] {
        soon(client.create(path, "", PERSISTENT)).await.unwrap();
    }
    let view = client.with_chroot("/app").unwrap();
    assert_eq!(soon(view.get_all_children_number("/")).await.unwrap(), 2);
    assert_eq!(soon(client.get_all_children_number("/")).await.unwrap(), 4);
}

/// As in Java: the root of a view is not the view's to delete, whatever it is to the server.
#[tokio::test]
async fn the_root_of_a_view_is_not_deleted() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/app", "", PERSISTENT)).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    let error = soon(view.delete("/", -1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadArguments);
    assert!(soon(client.exists("/app")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_watch_of_one_view_is_not_disturbed_by_another() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/app", "", PERSISTENT)).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    let (_, kept) = soon(client.exists_watched("/app/a")).await.unwrap();
    drop(soon(view.exists_watched("/a")).await.unwrap());
    soon(client.sync("/")).await.unwrap();
    soon(view.create("/a", "", PERSISTENT)).await.unwrap();
    assert_eq!(soon(kept).await.unwrap().path, "/app/a");
}
