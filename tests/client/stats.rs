//! What a client has counted of its own work.

use znode::proto::OpCode;
use znode::{ConnectOptions, CreateMode};

use crate::ground::{Ground, SHORT, disconnect, expire, reconnect, settle, soon};

#[tokio::test]
async fn requests_are_counted_by_their_outcome() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/a", "data", CreateMode::Persistent)).await.unwrap();
    soon(client.get_data("/a")).await.unwrap();
    soon(client.get_data("/missing")).await.unwrap_err();
    wire.cut_before_reply(OpCode::SetData);
    soon(client.set_data("/a", "x", -1)).await.unwrap_err();
    let stats = client.stats();
    assert_eq!((stats.requests_ok, stats.requests_rejected), (2, 1));
    assert_eq!((stats.requests_unknown, stats.requests_not_sent), (1, 0));
    assert_eq!((stats.in_flight, stats.waiting), (0, 0));
    assert!(stats.max_latency_us >= stats.last_latency_us);
    assert!(stats.bytes_sent > 100 && stats.bytes_received > 100, "{stats:?}");
}

#[tokio::test]
async fn what_waits_and_what_is_under_way_is_told() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    disconnect(&client, &wire).await;
    let waiting: Vec<_> = (0..3).map(|_| client.exists("/")).collect();
    soon(async {
        while client.stats().waiting < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    wire.admit();
    for reply in waiting {
        soon(reply).await.unwrap();
    }
    assert_eq!(client.stats().waiting, 0);
}

#[tokio::test]
async fn watches_and_events_are_counted() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (_, changed) = soon(client.exists_watched("/w")).await.unwrap();
    assert_eq!(client.stats().watches, 1);
    soon(client.create("/w", "", CreateMode::Persistent)).await.unwrap();
    soon(changed).await.unwrap();
    settle(&client).await;
    let stats = client.stats();
    assert_eq!((stats.watches, stats.events), (0, 1));
}

#[tokio::test]
async fn connections_and_the_end_of_a_session_are_counted() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    reconnect(&client, &wire).await;
    let stats = client.stats();
    assert_eq!((stats.connections, stats.reconnects, stats.expiries), (2, 1, 0));
    expire(&client, &wire).await;
    let stats = client.stats();
    assert_eq!((stats.connections, stats.reconnects, stats.expiries), (2, 1, 1));
    assert!(stats.attempts > 2, "{stats:?}");
}

#[tokio::test]
async fn pings_are_counted_and_timed() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().session_timeout(SHORT);
    let client = ground.connect_with(options).await;
    soon(async {
        while client.stats().last_ping_us == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(client.stats().pings > 0);
}
