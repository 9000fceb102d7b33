//! Reading, writing and deleting nodes.

use futures::future::join_all;
use znode::{CreateMode, ErrorKind, Version};

use crate::ground::{Ground, settle, soon};

#[tokio::test]
async fn a_write_raises_the_version_and_leaves_the_rest() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let before = soon(client.create("/a", "old", CreateMode::Persistent)).await.unwrap().stat;
    let after = soon(client.set_data("/a", "newer", 0)).await.unwrap();
    assert_eq!(after.version, Version(1));
    assert_eq!(after.data_length, 5);
    assert!(after.mzxid > before.mzxid);
    assert!(after.mtime >= before.mtime);
    assert_eq!((after.czxid, after.pzxid), (before.czxid, before.pzxid));
    assert_eq!((after.cversion, after.ctime), (0, before.ctime));
    let (data, stat) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat), (&b"newer"[..], after));
}

#[tokio::test]
async fn a_write_at_another_version_changes_nothing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "old", CreateMode::Persistent)).await.unwrap();
    for version in [1, 7, -2] {
        let error = soon(client.set_data("/a", "new", version)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadVersion, "{version}");
    }
    let (data, stat) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"old"[..], Version(0)));
}

#[tokio::test]
async fn any_version_writes_and_deletes_whatever_is_there() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    for expected in 1..4 {
        let stat = soon(client.set_data("/a", "x", Version::ANY)).await.unwrap();
        assert_eq!(stat.version, Version(expected));
    }
    soon(client.delete("/a", Version::ANY)).await.unwrap();
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_delete_minds_the_version() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    let error = soon(client.delete("/a", 0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadVersion);
    soon(client.delete("/a", 1)).await.unwrap();
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_node_with_children_is_not_deleted() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/a", "/a/b"] {
        soon(client.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    let error = soon(client.delete("/a", -1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotEmpty);
    soon(client.delete("/a/b", -1)).await.unwrap();
    soon(client.delete("/a", -1)).await.unwrap();
}

#[tokio::test]
async fn exists_tells_the_stat_or_that_there_is_none() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    assert_eq!(soon(client.exists("/a")).await.unwrap(), None);
    assert_eq!(soon(client.exists("/a/b/c")).await.unwrap(), None);
    let created = soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    assert_eq!(soon(client.exists("/a")).await.unwrap(), Some(created.stat));
}

#[tokio::test]
async fn children_are_listed_by_name_with_and_without_the_stat() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/p", "/p/b", "/p/a", "/p/c", "/p/a/grandchild"] {
        soon(client.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    let mut names = soon(client.get_children("/p")).await.unwrap();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
    let (mut again, stat) = soon(client.get_children_with_stat("/p")).await.unwrap();
    again.sort();
    assert_eq!(again, names);
    assert_eq!(stat.num_children, 3);
    assert_eq!(soon(client.exists("/p")).await.unwrap(), Some(stat));
    assert!(soon(client.get_children("/p/b")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_child_changes_only_the_child_fields_of_its_parent() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let before = soon(client.create("/p", "", CreateMode::Persistent)).await.unwrap().stat;
    let child = soon(client.create("/p/a", "", CreateMode::Persistent)).await.unwrap().stat;
    let with = soon(client.exists("/p")).await.unwrap().unwrap();
    assert_eq!((with.cversion, with.num_children), (1, 1));
    assert_eq!(with.pzxid, child.czxid);
    soon(client.delete("/p/a", -1)).await.unwrap();
    let without = soon(client.exists("/p")).await.unwrap().unwrap();
    assert_eq!((without.cversion, without.num_children), (2, 0));
    assert!(without.pzxid > with.pzxid);
    assert_eq!(without.mzxid, before.mzxid);
    assert_eq!(without.version, before.version);
}

#[tokio::test]
async fn a_name_that_is_used_again_is_another_node() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let first = soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    soon(client.set_data("/a", "x", 0)).await.unwrap();
    soon(client.delete("/a", 1)).await.unwrap();
    let second = soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    assert!(second.stat.czxid > first.stat.czxid);
    assert_eq!(second.stat.version, Version(0));
}

#[tokio::test]
async fn all_descendants_are_counted() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["/p", "/p/a", "/p/b", "/p/a/c", "/q"] {
        soon(client.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    for (path, count) in [("/", 5), ("/p", 3), ("/p/a", 1), ("/q", 0)] {
        let counted = soon(client.get_all_children_number(path)).await.unwrap();
        assert_eq!(counted, count, "{path}");
    }
    let error = soon(client.get_all_children_number("/r")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
}

#[tokio::test]
async fn only_ephemeral_nodes_of_this_session_are_listed() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    soon(one.create("/jobs", "", CreateMode::Persistent)).await.unwrap();
    for path in ["/jobs/a", "/jobs/b", "/c"] {
        soon(one.create(path, "", CreateMode::Ephemeral)).await.unwrap();
    }
    soon(other.create("/jobs/d", "", CreateMode::Ephemeral)).await.unwrap();
    for (prefix, expected) in [
        ("/", vec!["/c", "/jobs/a", "/jobs/b"]),
        ("/jobs", vec!["/jobs/a", "/jobs/b"]),
        ("/jobs/b", vec!["/jobs/b"]),
        ("/none", vec![]),
    ] {
        let mut listed = soon(one.get_ephemerals(prefix)).await.unwrap();
        listed.sort();
        assert_eq!(listed, expected, "{prefix}");
    }
}

#[tokio::test]
async fn sync_succeeds_also_for_a_node_that_is_not_there() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.sync("/")).await.unwrap();
    soon(client.sync("/not/there")).await.unwrap();
}

#[tokio::test]
async fn after_a_sync_a_client_reads_what_another_has_written() {
    let ground = Ground::start().await;
    let (writer, reader) = (ground.connect().await, ground.connect().await);
    soon(writer.create("/a", "", CreateMode::Persistent)).await.unwrap();
    for i in 0..20 {
        let data = i.to_string();
        soon(writer.set_data("/a", &data, i)).await.unwrap();
        soon(reader.sync("/a")).await.unwrap();
        let (read, _) = soon(reader.get_data("/a")).await.unwrap();
        assert_eq!(&read[..], data.as_bytes());
    }
}

#[tokio::test]
async fn the_newest_transaction_is_known_from_replies() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let created = soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    assert!(client.last_zxid() >= created.stat.czxid);
    let stat = soon(client.set_data("/a", "x", 0)).await.unwrap();
    assert!(client.last_zxid() >= stat.mzxid);
    let before = client.last_zxid();
    // A write that fails is a transaction, too.
    soon(client.set_data("/a", "x", 0)).await.unwrap_err();
    assert!(client.last_zxid() > before);
}

#[tokio::test]
async fn a_read_shows_a_transaction_of_another_client() {
    let ground = Ground::start().await;
    let (writer, reader) = (ground.connect().await, ground.connect().await);
    let created = soon(writer.create("/a", "", CreateMode::Persistent)).await.unwrap();
    settle(&reader).await;
    assert!(reader.last_zxid() >= created.stat.czxid);
}

#[tokio::test]
async fn a_thousand_children_are_listed() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let creates = (0..1000).map(|_| client.create("/n-", "", CreateMode::PersistentSequential));
    let created = soon(join_all(creates)).await;
    assert!(created.iter().all(Result::is_ok));
    let mut names = soon(client.get_children("/")).await.unwrap();
    names.sort();
    let expected: Vec<String> = (0..1000).map(|i| format!("n-{i:010}")).collect();
    assert_eq!(names, expected);
}
