//! Whole paths and subtrees: made with their parents, written wherever they are, deleted whole.

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, Outcome, Parents, Stored, Version};

use crate::ground::{Ground, soon};
use crate::sweep::sweep;

const PERSISTENT: CreateMode = CreateMode::Persistent;

async fn exists(client: &Client, path: &str) -> bool {
    soon(client.exists(path)).await.unwrap().is_some()
}

/// Makes a tree of so many children, each with as many of its own.
async fn make_tree(client: &Client, root: &str, width: usize) {
    soon(client.ensure_path(root, Parents::Persistent)).await.unwrap();
    let mut asked = Vec::new();
    for i in 0..width {
        asked.push(client.create(&format!("{root}/{i}"), "", PERSISTENT));
        for j in 0..width {
            asked.push(client.create(&format!("{root}/{i}/{j}"), "", PERSISTENT));
        }
    }
    assert!(soon(join_all(asked)).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn parents_are_made_together_however_deep() {
    let ground = Ground::start().await;
    for parents in [Parents::Persistent, Parents::Container] {
        let (client, wire) = ground.connect_wired().await;
        let path = format!("/{parents:?}/b/c/d/e/f");
        let created = client.create_with_parents(&path, "x", CreateMode::Ephemeral, parents);
        assert_eq!(soon(created).await.unwrap().path, path);
        let made = wire.count(OpCode::Create2) + wire.count(OpCode::CreateContainer);
        // The node twice, and each of its five parents looked for and made.
        assert_eq!((wire.count(OpCode::Exists), made), (5, 2 + 5));
        let error = client.create_with_parents(&path, "", PERSISTENT, parents);
        assert_eq!(soon(error).await.unwrap_err().kind(), ErrorKind::NodeExists);
    }
}

#[tokio::test]
async fn parents_that_exist_are_left_alone() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "data", PERSISTENT)).await.unwrap();
    soon(client.ensure_path("/a/b/c", Parents::Persistent)).await.unwrap();
    let requests = wire.requests();
    soon(client.ensure_path("/a/b/c", Parents::Persistent)).await.unwrap();
    assert_eq!(wire.requests(), requests + 3);
    soon(client.ensure_path("/", Parents::Persistent)).await.unwrap();
    let (data, stat) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"data"[..], Version(0)));
}

#[tokio::test]
async fn below_an_ephemeral_node_nothing_is_made() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    let created = client.create_with_parents("/e/a/b", "", PERSISTENT, Parents::Persistent);
    let error = soon(created).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoChildrenForEphemerals);
    assert_eq!(error.path(), Some("/e/a"));
    assert_eq!(error.outcome(), Outcome::Rejected);
}

#[tokio::test]
async fn a_chroot_that_is_missing_is_not_made() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let client = client.with_chroot("/none").unwrap();
    let error = soon(client.ensure_path("/a/b", Parents::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    let made = client.create_with_parents("/a", "", PERSISTENT, Parents::Persistent);
    assert_eq!(soon(made).await.unwrap_err().kind(), ErrorKind::NoNode);
    assert_eq!(wire.count(OpCode::Create2), 2 + 1);
    for invalid in ["", "a", "/a/", "/a//b"] {
        let error = soon(client.ensure_path(invalid, Parents::Persistent)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath, "{invalid:?}");
    }
}

#[tokio::test]
async fn many_make_and_remove_the_same_parents_and_all_get_their_node() {
    let ground = Ground::start().await;
    let mut tasks = Vec::new();
    for i in 0..8 {
        let client = ground.connect().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                let path = format!("/a/b/c/{i}");
                let made = client.create_with_parents(&path, "", PERSISTENT, Parents::Persistent);
                made.await.unwrap();
                client.delete(&path, Version::ANY).await.unwrap();
                // Whoever is alone takes the parents away.
                for path in ["/a/b/c", "/a/b", "/a"] {
                    drop(client.delete(path, Version::ANY).await);
                }
            }
        }));
    }
    for done in soon(join_all(tasks)).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_value_is_stored_whether_the_node_is_there_or_not() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let stored = soon(client.create_or_set("/a", "1", PERSISTENT)).await.unwrap();
    assert!(matches!(&stored, Stored::Created(created) if created.path == "/a"));
    let stored = soon(client.create_or_set("/a", "22", PERSISTENT)).await.unwrap();
    assert!(matches!(stored, Stored::Set(_)));
    assert_eq!((stored.stat().version, stored.stat().data_length), (Version(1), 2));
    let error = soon(client.create_or_set("/b/c", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
}

#[tokio::test]
async fn a_tree_is_deleted_whole_and_its_siblings_are_not() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_tree(&client, "/t", 30).await;
    make_tree(&client, "/tt", 1).await;
    soon(client.delete_all("/t")).await.unwrap();
    assert!(!exists(&client, "/t").await);
    assert!(exists(&client, "/tt/0/0").await);
    // 931 nodes.
    assert_eq!((wire.count(OpCode::Multi), wire.count(OpCode::Delete)), (2, 0));
    let error = soon(client.delete_all("/t")).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NoNode, Some("/t")));
}

#[tokio::test]
async fn the_root_is_not_deleted_nor_anything_below_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    make_tree(&client, "/t", 1).await;
    let requests = wire.requests();
    let error = soon(client.delete_all("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BadArguments, Outcome::NotSent));
    let error = soon(client.delete_all("t")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    assert_eq!(wire.requests(), requests);
}

#[tokio::test]
async fn children_that_come_in_while_a_tree_is_deleted_are_deleted_too() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    for _ in 0..20 {
        make_tree(&client, "/t", 8).await;
        let intruder = {
            let other = other.clone();
            tokio::spawn(async move {
                let asked: Vec<_> = (0..8)
                    .flat_map(|i| (0..4).map(move |j| format!("/t/{i}/new-{j}")))
                    .map(|path| other.create(&path, "", PERSISTENT))
                    .collect();
                join_all(asked).await;
            })
        };
        soon(client.delete_all("/t")).await.unwrap();
        soon(intruder).await.unwrap();
        assert!(!exists(&client, "/t").await);
    }
}

#[tokio::test]
async fn a_child_that_came_in_after_the_list_is_found_in_the_next_round() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make_tree(&client, "/t", 2).await;
    let lists = wire.count(OpCode::GetChildren);
    wire.hold_replies();
    let late = async {
        // The list is on its way to us, most likely, without the late child.
        wire.until(OpCode::GetChildren, lists + 1).await;
        soon(other.create("/t/late", "", PERSISTENT)).await.unwrap();
        soon(other.create("/t/late/below", "", PERSISTENT)).await.unwrap();
        wire.resume();
    };
    let (deleted, ()) = tokio::join!(soon(client.delete_all("/t")), late);
    deleted.unwrap();
    assert!(!exists(&client, "/t").await);
}

#[tokio::test]
async fn two_can_delete_one_tree() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    for _ in 0..10 {
        make_tree(&client, "/t", 10).await;
        let deleted = tokio::join!(client.delete_all("/t"), other.delete_all("/t"));
        for deleted in [deleted.0, deleted.1] {
            // The slower one may have found nothing at all.
            assert!(deleted.is_ok() || deleted.unwrap_err().kind() == ErrorKind::NoNode);
        }
        assert!(!exists(&client, "/t").await);
    }
}

#[tokio::test]
async fn parents_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let ops = [OpCode::Create2, OpCode::Exists];
    let make = |client: Client| async move {
        client.create_with_parents("/a/b/c", "", PERSISTENT, Parents::Persistent).await
    };
    sweep(&ground, &ops, make, async |other, output| {
        if let Some(Err(error)) = output {
            assert_eq!(error.outcome(), Outcome::Unknown);
        }
        if exists(other, "/a").await {
            soon(other.delete_all("/a")).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_deletion_of_a_tree_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let maker = ground.connect().await;
    make_tree(&maker, "/t", 3).await;
    let ops = [OpCode::GetChildren, OpCode::Multi];
    let make = |client: Client| async move { client.delete_all("/t").await };
    sweep(&ground, &ops, make, async |other, output| {
        if let Some(deleted) = output {
            deleted.unwrap();
            assert!(!exists(other, "/t").await);
        }
        // What is in line is deleted in the meantime, or after this.
        while exists(other, "/t").await {
            drop(soon(other.delete_all("/t")).await);
        }
        make_tree(other, "/t", 3).await;
    })
    .await;
}
