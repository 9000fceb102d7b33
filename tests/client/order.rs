//! The order in which requests take effect and resolve.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{CreateMode, ErrorKind, Version};

use crate::ground::{Ground, is_pending, settle, soon};

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn pipelined_requests_take_effect_in_the_order_of_their_calls() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    // Each names the version that the one before it leaves.
    let writes: Vec<_> = (0..500).map(|i| client.set_data("/a", i.to_string(), i)).collect();
    for (i, stat) in soon(join_all(writes)).await.into_iter().enumerate() {
        assert_eq!(stat.unwrap().version.0, i32::try_from(i + 1).unwrap());
    }
}

#[tokio::test]
async fn pipelined_requests_resolve_in_the_order_of_their_calls() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let resolved = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for i in 0..100 {
        let resolved = Arc::clone(&resolved);
        // Reads and writes alike, some of which fail.
        let reply: futures::future::BoxFuture<'static, ()> = match i % 3 {
            0 => {
                let reply = client.create("/n-", "", CreateMode::PersistentSequential);
                Box::pin(async move { drop(reply.await) })
            }
            1 => {
                let reply = client.get_data("/");
                Box::pin(async move { drop(reply.await) })
            }
            _ => {
                let reply = client.delete("/none", -1);
                Box::pin(async move { drop(reply.await) })
            }
        };
        tasks.push(async move {
            reply.await;
            resolved.lock().unwrap().push(i);
        });
    }
    soon(join_all(tasks)).await;
    let resolved = resolved.lock().unwrap();
    assert!(resolved.is_sorted(), "{resolved:?}");
}

#[tokio::test]
async fn a_place_in_line_is_taken_by_the_call_and_not_by_the_await() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let first = client.set_data("/a", "first", -1);
    let second = client.set_data("/a", "second", -1);
    let second = soon(second).await.unwrap();
    let first = soon(first).await.unwrap();
    assert!(first.mzxid < second.mzxid);
    let (data, _) = soon(client.get_data("/a")).await.unwrap();
    assert_eq!(&data[..], b"second");
}

#[tokio::test]
async fn a_request_is_sent_though_nobody_awaits_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let reply = client.create("/a", "", PERSISTENT);
    wire.until(OpCode::Create2, 1).await;
    let other = ground.connect().await;
    settle(&other).await;
    assert!(soon(other.exists("/a")).await.unwrap().is_some());
    soon(reply).await.unwrap();
}

#[tokio::test]
async fn a_request_takes_effect_though_its_reply_was_dropped() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    drop(client.create("/a", "", PERSISTENT));
    for i in 0..20 {
        drop(client.set_data("/a", "x", i));
    }
    let stat = soon(client.exists("/a")).await.unwrap().unwrap();
    assert_eq!(stat.version, Version(20));
}

#[tokio::test]
async fn a_request_takes_effect_though_its_reply_was_dropped_half_way() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut reply = client.create("/a", "", PERSISTENT);
    assert!(is_pending(&mut reply));
    drop(reply);
    let error = soon(client.create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NodeExists);
}

#[tokio::test]
async fn a_read_sees_the_writes_that_were_asked_for_before_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let create = client.create("/a", "0", PERSISTENT);
    for i in 1..50 {
        let write = client.set_data("/a", i.to_string(), -1);
        let (data, _) = soon(client.get_data("/a")).await.unwrap();
        assert_eq!(&data[..], i.to_string().as_bytes());
        soon(write).await.unwrap();
    }
    soon(create).await.unwrap();
}

#[tokio::test]
async fn clones_and_views_stand_in_one_line() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/app", "", PERSISTENT)).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    let clone = client.clone();
    let writes = (0..60).map(|i| match i % 3 {
        0 => client.set_data("/app", "", i),
        1 => view.set_data("/", "", i),
        _ => clone.set_data("/app", "", i),
    });
    let writes: Vec<_> = writes.collect();
    for stat in soon(join_all(writes)).await {
        stat.unwrap();
    }
}

#[tokio::test]
async fn thousands_of_requests_may_be_in_line() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let reads: Vec<_> = (0..5000).map(|_| client.exists("/")).collect();
    for stat in soon(join_all(reads)).await {
        assert!(stat.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_reply_outlives_its_client_and_may_move_between_tasks() {
    let ground = Ground::start().await;
    let keeper = ground.connect().await;
    let reply = keeper.clone().create("/a", "", PERSISTENT);
    let created = soon(tokio::spawn(reply)).await.unwrap().unwrap();
    assert_eq!(created.path, "/a");
}
