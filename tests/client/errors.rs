//! What an error says: the kind, the operation, the path, and whether anything was done.

use std::error::Error as _;

use znode::{Acl, AddWatchMode, CreateMode, Error, ErrorKind, Op, Outcome, Version, WatcherType};

use crate::ground::{Ground, settle, soon};

/// What can be wrong with a path.
const INVALID: [&str; 9] = ["", "a", "/a/", "//a", "/a//b", "/a/./b", "/..", "/a\0b", "/a\u{7f}"];

#[track_caller]
fn assert_says(error: &Error, kind: ErrorKind, op: &str, path: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.op(), op, "{error}");
    assert_eq!(error.path(), Some(path), "{error}");
    assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
    assert!(!error.is_session_over(), "{error}");
    let text = error.to_string();
    assert!(text.contains(path), "{text:?} names no path");
}

#[tokio::test]
async fn an_error_names_its_operation_and_path() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let no_node = ErrorKind::NoNode;
    let error = soon(client.get_data("/none")).await.unwrap_err();
    assert_says(&error, no_node, "get_data", "/none");
    let error = soon(client.set_data("/none", "", -1)).await.unwrap_err();
    assert_says(&error, no_node, "set_data", "/none");
    let error = soon(client.delete("/none", -1)).await.unwrap_err();
    assert_says(&error, no_node, "delete", "/none");
    let error = soon(client.get_children("/none")).await.unwrap_err();
    assert_says(&error, no_node, "get_children", "/none");
    let error = soon(client.get_acl("/none")).await.unwrap_err();
    assert_says(&error, no_node, "get_acl", "/none");
    let error = soon(client.set_acl("/none", &[Acl::open()], -1)).await.unwrap_err();
    assert_says(&error, no_node, "set_acl", "/none");
    let create = client.create("/none/a", "", CreateMode::Persistent);
    assert_says(&soon(create).await.unwrap_err(), no_node, "create", "/none/a");
}

#[tokio::test]
async fn each_refusal_of_the_server_has_its_kind() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for (path, mode) in [
        ("/a", CreateMode::Persistent),
        ("/a/b", CreateMode::Persistent),
        ("/e", CreateMode::Ephemeral),
    ] {
        soon(client.create(path, "", mode)).await.unwrap();
    }
    let create = |path: &str| client.create(path, "", CreateMode::Persistent);
    let error = soon(create("/a")).await.unwrap_err();
    assert_says(&error, ErrorKind::NodeExists, "create", "/a");
    let error = soon(create("/e/c")).await.unwrap_err();
    assert_says(&error, ErrorKind::NoChildrenForEphemerals, "create", "/e/c");
    let error = soon(client.delete("/a", -1)).await.unwrap_err();
    assert_says(&error, ErrorKind::NotEmpty, "delete", "/a");
    let error = soon(client.set_data("/a", "", 9)).await.unwrap_err();
    assert_says(&error, ErrorKind::BadVersion, "set_data", "/a");
    let error = soon(client.remove_watches("/a", WatcherType::Any)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoWatcher);
    let unheard = Acl::new(znode::Perms::ALL, "no-such-scheme", "x").unwrap();
    let error = soon(client.set_acl("/a", &[unheard], -1)).await.unwrap_err();
    assert_says(&error, ErrorKind::InvalidAcl, "set_acl", "/a");
    soon(client.set_acl("/a", &[Acl::read_only()], -1)).await.unwrap();
    let error = soon(client.set_data("/a", "", -1)).await.unwrap_err();
    assert_says(&error, ErrorKind::NoAuth, "set_data", "/a");
}

#[tokio::test]
async fn an_invalid_path_is_refused_before_anything_is_sent() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    settle(&client).await;
    let sent = wire.requests();
    let any = Version::ANY;
    for path in INVALID {
        let errors = [
            soon(client.create(path, "", CreateMode::Persistent)).await.err(),
            soon(client.delete(path, any)).await.err(),
            soon(client.exists(path)).await.err(),
            soon(client.exists_watched(path)).await.err(),
            soon(client.get_data(path)).await.err(),
            soon(client.set_data(path, "", any)).await.err(),
            soon(client.get_children(path)).await.err(),
            soon(client.get_children_with_stat(path)).await.err(),
            soon(client.get_acl(path)).await.err(),
            soon(client.set_acl(path, &[Acl::open()], any)).await.err(),
            soon(client.sync(path)).await.err(),
            soon(client.get_all_children_number(path)).await.err(),
            soon(client.add_watch(path, AddWatchMode::Persistent)).await.err(),
            soon(client.remove_watches(path, WatcherType::Any)).await.err(),
        ];
        for (i, error) in errors.into_iter().enumerate() {
            let error = error.unwrap_or_else(|| panic!("{path:?} is accepted by call {i}"));
            assert_eq!(error.kind(), ErrorKind::InvalidPath, "{path:?} by call {i}");
            assert_eq!(error.outcome(), Outcome::NotSent, "{path:?} by call {i}");
            assert_eq!(error.path(), Some(path), "{path:?} by call {i}");
        }
    }
    assert_eq!(wire.requests(), sent);
}

#[tokio::test]
async fn an_invalid_path_leaves_the_requests_around_it_alone() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let before = client.create("/before", "", CreateMode::Persistent);
    let between = client.create("nowhere", "", CreateMode::Persistent);
    let after = client.create("/after", "", CreateMode::Persistent);
    soon(before).await.unwrap();
    soon(between).await.unwrap_err();
    soon(after).await.unwrap();
}

#[tokio::test]
async fn an_invalid_path_in_a_multi_is_named_with_its_index() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    settle(&client).await;
    let sent = wire.requests();
    let error = soon(
        client.multi([Op::create("/a", "", CreateMode::Persistent), Op::delete("nowhere", -1)]),
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    assert_eq!(error.op_index(), Some(1));
    assert_eq!(error.path(), Some("nowhere"));
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(wire.requests(), sent);
}

#[tokio::test]
async fn an_access_control_list_must_not_be_empty() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let create = client.create_with_acl("/a", "", CreateMode::Persistent, &[]);
    let error = soon(create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAcl);
    let error = soon(client.set_acl("/", &[], -1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAcl);
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_path_that_is_only_ours_to_judge_for_sequential_nodes_is_judged_with_its_digits() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let sequential = CreateMode::PersistentSequential;
    let created = soon(client.create("/.", "", sequential)).await.unwrap();
    assert_eq!(created.path, "/.0000000000");
    let error = soon(client.create("//", "", sequential)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
}

#[tokio::test]
async fn an_error_is_a_value_that_can_be_kept_and_sent() {
    fn keepable<T: std::error::Error + Clone + Send + Sync + 'static>(_: &T) {}

    let ground = Ground::start().await;
    let client = ground.connect().await;
    let error = soon(client.get_data("/none")).await.unwrap_err();
    keepable(&error);
    let kept = error.clone();
    assert_eq!(kept.to_string(), error.to_string());
    assert_eq!(kept.kind(), error.kind());
    // What the cause says is the cause's to say.
    if let Some(source) = error.source() {
        assert!(!error.to_string().contains(&source.to_string()));
    }
}
