//! Subtrees as they are walked, exported, imported and copied; and quotas on them.

use futures::StreamExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, Outcome, Parents, Quota, Tree, Version};

use crate::ground::{Ground, soon};
use crate::sweep::sweep;

const PERSISTENT: CreateMode = CreateMode::Persistent;

async fn make(client: &Client, paths: &[&str]) {
    let asked: Vec<_> = paths.iter().map(|path| client.create(path, path, PERSISTENT)).collect();
    assert!(soon(join_all(asked)).await.iter().all(Result::is_ok));
}

async fn walked(client: &Client, path: &str) -> Vec<String> {
    let nodes: Vec<_> = soon(client.walk(path).collect()).await;
    nodes.into_iter().map(|node| node.unwrap().path).collect()
}

#[tokio::test]
async fn a_walk_goes_depth_first_in_the_order_of_names() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let paths = ["/t", "/t/a", "/t/a/y", "/t/a/z", "/t/b", "/t/b/x", "/t/c"];
    make(&client, &paths).await;
    make(&client, &["/tt"]).await;
    assert_eq!(walked(&client, "/t").await, paths);
    let nodes: Vec<_> = soon(client.walk_with_data("/t").collect()).await;
    for (node, path) in nodes.into_iter().zip(paths) {
        let node = node.unwrap();
        assert_eq!(node.data.unwrap(), path);
        assert_eq!(usize::try_from(node.stat.num_children).unwrap(), node.children.len());
    }
    let view = client.with_chroot("/t/a").unwrap();
    assert_eq!(walked(&view, "/").await, ["/", "/y", "/z"]);
}

#[tokio::test]
async fn a_walk_asks_ahead_and_survives_lost_connections() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let names: Vec<String> = (0..300).map(|i| format!("/{i:03}")).collect();
    let asked: Vec<_> = names.iter().map(|path| client.create(path, "", PERSISTENT)).collect();
    assert!(soon(join_all(asked)).await.iter().all(Result::is_ok));
    wire.hold_replies();
    let mut walk = client.walk("/");
    let ahead = async {
        wire.until(OpCode::GetChildren2, 1).await;
        wire.resume();
    };
    let (first, ()) = tokio::join!(walk.next_node(), ahead);
    assert_eq!(first.unwrap().unwrap().children.len(), 300);
    wire.cut_before_reply(OpCode::GetChildren2);
    let rest: Vec<_> = soon(walk.collect()).await;
    assert!(rest.iter().map(|node| &node.as_ref().unwrap().path).eq(&names));
    let asked = wire.count(OpCode::GetChildren2);
    assert!(asked <= 301 + 64, "{asked} requests");
}

#[tokio::test]
async fn a_walk_over_thousands_of_siblings_and_levels_sees_each_once() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let deep: String = (0..100).map(|_| "/d").collect();
    soon(client.ensure_path(&deep, Parents::Persistent)).await.unwrap();
    let names = (0..3000).map(|i| format!("/d/{i:04}"));
    let asked: Vec<_> = names.map(|path| client.create(&path, "", PERSISTENT)).collect();
    assert!(soon(join_all(asked)).await.iter().all(Result::is_ok));
    let seen = walked(&client, "/").await;
    assert_eq!(seen.len(), 1 + 100 + 3000);
    assert!(seen.is_sorted(), "siblings and levels are in order");
    soon(client.delete_all("/d")).await.unwrap();
}

#[tokio::test]
async fn what_goes_during_a_walk_is_left_out_but_not_where_it_starts() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make(&client, &["/t", "/t/a", "/t/b"]).await;
    let mut walk = client.walk("/t");
    assert_eq!(soon(walk.next_node()).await.unwrap().unwrap().children, ["a", "b"]);
    soon(client.delete("/t/a", Version::ANY)).await.unwrap();
    assert_eq!(soon(walk.next_node()).await.unwrap().unwrap().path, "/t/b");
    assert!(soon(walk.next_node()).await.is_none());
    let mut walk = client.walk("/none");
    let error = soon(walk.next_node()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    assert!(soon(walk.next_node()).await.is_none());
}

#[tokio::test]
async fn a_walk_goes_on_beside_what_it_may_not_see() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make(&client, &["/t", "/t/a", "/t/a/x", "/t/b"]).await;
    let deaf = znode::Acl::new(znode::Perms::WRITE, "world", "anyone").unwrap();
    soon(client.set_acl("/t/a", &[deaf], Version::ANY)).await.unwrap();
    let nodes: Vec<_> = soon(client.walk("/t").collect()).await;
    let seen: Vec<_> = nodes
        .iter()
        .map(|node| node.as_ref().map(|node| &node.path[..]).map_err(znode::Error::kind))
        .collect();
    assert_eq!(seen, [Ok("/t"), Err(ErrorKind::NoAuth), Ok("/t/b")]);
}

#[tokio::test]
async fn a_tree_is_the_same_after_export_text_and_import() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make(&client, &["/t", "/t/a", "/t/a/ä %"]).await;
    soon(client.create("/t/raw", [0, 9, 10, 37, 255], PERSISTENT)).await.unwrap();
    soon(client.create("/t/mine", "", CreateMode::Ephemeral)).await.unwrap();
    let tree = soon(client.export("/t")).await.unwrap();
    let paths: Vec<_> = tree.nodes().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/", "/a", "/a/ä %", "/raw"]);
    let text = tree.to_string();
    soon(client.import("/u", &text.parse().unwrap())).await.unwrap();
    assert_eq!(soon(client.export("/u")).await.unwrap(), tree);
    // Into itself, too: what is copied was read before.
    soon(client.copy_all("/t", "/t/copy")).await.unwrap();
    assert_eq!(soon(client.export("/t/copy")).await.unwrap(), tree);
    let error = soon(client.import("/u", &tree)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NodeExists, Outcome::Rejected));
    let error = soon(client.copy_all("/none", "/v")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    let whole = soon(client.export("/")).await.unwrap();
    assert!(whole.nodes().count() > 2 * tree.nodes().count());
}

#[tokio::test]
async fn a_tree_of_thousands_is_copied_in_few_transactions() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mut text = "znode-tree 1\n/\t\n".to_owned();
    for i in 0..30 {
        text += &format!("/{i}\t{}\n", "x".repeat(20_000));
        for j in 0..40 {
            text += &format!("/{i}/{j}\tdata\n");
        }
    }
    let tree: Tree = text.parse().unwrap();
    soon(client.import("/t", &tree)).await.unwrap();
    soon(client.copy_all("/t", "/u")).await.unwrap();
    assert_eq!(soon(client.get_all_children_number("/u")).await.unwrap(), 30 * 41);
    assert!(wire.request_len_max() < 512 * 1024);
    assert!(wire.count(OpCode::Multi) <= 10);
    assert_eq!(wire.handshakes().len(), 1);
}

#[tokio::test]
async fn trees_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make(&client, &["/t", "/t/a", "/t/a/b", "/t/c"]).await;
    let copy = |client: Client| async move { client.copy_all("/t", "/u").await };
    let ops = [OpCode::GetChildren2, OpCode::GetData, OpCode::Multi];
    sweep(&ground, &ops, copy, async |other, output| {
        if let Some(Err(error)) = output {
            assert_eq!(error.outcome(), Outcome::Unknown);
        }
        drop(soon(other.delete_all("/u")).await);
    })
    .await;
}

#[tokio::test]
async fn a_quota_is_stored_where_zookeepers_own_tools_look() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let whole = soon(Client::connect(ground.address())).await.unwrap();
    make(&client, &["/q", "/q/a", "/q/a/b"]).await;
    assert_eq!(soon(client.quota("/q/a")).await.unwrap(), None);
    let soft = Quota { count: Some(10), bytes: Some(100), ..Quota::default() };
    soon(client.set_quota("/q/a", &soft)).await.unwrap();
    let place = format!("/zookeeper/quota{}/q/a", ground.root());
    let (text, _) = soon(whole.get_data(&format!("{place}/zookeeper_limits"))).await.unwrap();
    assert_eq!(&text[..], b"count=10,bytes=100");
    let (stored, usage) = soon(client.quota("/q/a")).await.unwrap().unwrap();
    assert_eq!(stored, soft);
    // Our server stores quotas and does not count yet.
    if std::env::var("ZNODE_TEST_CONNECT").is_ok() {
        assert_eq!((usage.count, usage.bytes), (2, 10));
    }
    let hard = Quota { bytes_hard: Some(1), ..soft };
    soon(client.set_quota("/q/a", &hard)).await.unwrap();
    assert_eq!(soon(client.quota("/q/a")).await.unwrap().unwrap().0, hard);
    soon(client.delete_quota("/q/a")).await.unwrap();
    assert_eq!(soon(client.quota("/q/a")).await.unwrap(), None);
    let ours = format!("/zookeeper/quota{}", ground.root());
    assert_eq!(soon(whole.exists(&ours)).await.unwrap(), None);
    let error = soon(client.delete_quota("/q/a")).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NoNode, Some("/q/a")));
}

#[tokio::test]
async fn quotas_do_not_nest_and_the_root_has_none() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make(&client, &["/q", "/q/a", "/q/a/b", "/qq"]).await;
    let quota = Quota { count: Some(10), ..Quota::default() };
    soon(client.set_quota("/q/a", &quota)).await.unwrap();
    for nested in ["/q", "/q/a/b", "/"] {
        let error = soon(client.set_quota(nested, &quota)).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::BadArguments, Some(nested)));
    }
    soon(client.set_quota("/qq", &quota)).await.unwrap();
    soon(client.delete_quota("/q/a")).await.unwrap();
    soon(client.set_quota("/q", &quota)).await.unwrap();
    let error = soon(client.set_quota("/none", &quota)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    let whole = soon(Client::connect(ground.address())).await.unwrap();
    let error = soon(whole.set_quota("/", &quota)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::BadArguments, Outcome::NotSent));
    for path in ["/q", "/qq"] {
        soon(client.delete_quota(path)).await.unwrap();
    }
}

#[tokio::test]
async fn a_quota_can_be_given_up_at_every_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.ensure_path("/q/a", Parents::Persistent)).await.unwrap();
    let quota = Quota { count: Some(10), ..Quota::default() };
    let set = |client: Client| async move { client.set_quota("/q/a", &quota).await };
    sweep(&ground, &[OpCode::Multi, OpCode::Exists], set, async |other, output| {
        let is_set = soon(other.quota("/q/a")).await.unwrap();
        if let Some(Ok(())) = output {
            assert_eq!(is_set.unwrap().0, quota);
        }
        drop(soon(other.delete_quota("/q/a")).await);
    })
    .await;
    let around = |client: Client| async move {
        client.set_quota("/q/a", &quota).await?;
        client.quota("/q/a").await?;
        client.delete_quota("/q/a").await
    };
    sweep(&ground, &[OpCode::GetData, OpCode::Delete], around, async |other, output| {
        let is_set = soon(other.quota("/q/a")).await.unwrap();
        if let Some(Ok(())) = output {
            assert_eq!(is_set, None);
        }
        drop(soon(other.delete_quota("/q/a")).await);
    })
    .await;
}
