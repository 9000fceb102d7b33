//! What a proxy does to a real client.

use znode::{Client, ConnectOptions, CreateMode, Outcome};

use super::*;
use crate::TestingServer;

async fn behind() -> (TestingServer, FaultProxy, Client) {
    let server = TestingServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.connect_string()).await.unwrap();
    let client = Client::connect(&proxy.connect_string()).await.unwrap();
    (server, proxy, client)
}

#[tokio::test]
async fn a_lost_reply_leaves_the_write_done_and_its_outcome_unknown() {
    let (server, proxy, client) = behind().await;
    proxy.lose_next_reply();
    let error = client.create("/a", "", CreateMode::Persistent).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(server.node("/a").await.is_some());
    client.create("/b", "", CreateMode::Persistent).await.unwrap();
}

#[tokio::test]
async fn a_cut_behind_a_frame_lets_that_frame_pass() {
    let (_server, proxy, client) = behind().await;
    proxy.cut_after(2);
    client.create("/a", "", CreateMode::Persistent).await.unwrap();
    client.create("/b", "", CreateMode::Persistent).await.unwrap();
    let session = client.session_id();
    // Lost with the old connection or answered on the new one.
    let _ = client.get_data("/").await;
    client.create("/c", "", CreateMode::Ephemeral).await.unwrap();
    assert_eq!(client.session_id(), session);
}

#[tokio::test]
async fn cuts_and_resets_end_connections_and_healing_lets_new_ones_pass() {
    let (_server, proxy, client) = behind().await;
    for end in [FaultProxy::cut, FaultProxy::reset] {
        let pending = client.get_data("/");
        proxy.refuse();
        end(&proxy);
        // Answered before the end or lost with it, but never left waiting.
        let _ = pending.await;
        proxy.heal();
        client.get_data("/").await.unwrap();
    }
}

#[tokio::test]
async fn a_stall_holds_bytes_up_and_loses_none() {
    let (server, proxy, client) = behind().await;
    proxy.stall();
    let pending = tokio::spawn(client.create("/a", "", CreateMode::Persistent).into_future());
    tokio::task::yield_now().await;
    assert!(server.node("/a").await.is_none());
    proxy.heal();
    pending.await.unwrap().unwrap();
    assert!(server.node("/a").await.is_some());
}

#[tokio::test]
async fn over_a_half_open_link_requests_arrive_and_answers_do_not() {
    let (server, proxy, client) = behind().await;
    proxy.half_open();
    let pending = tokio::spawn(client.create("/a", "", CreateMode::Persistent).into_future());
    while server.node("/a").await.is_none() {
        tokio::task::yield_now().await;
    }
    proxy.cut();
    proxy.heal();
    assert_eq!(pending.await.unwrap().unwrap_err().outcome(), Outcome::Unknown);
}

#[tokio::test]
async fn latency_and_bandwidth_slow_down_what_they_should() {
    let (_server, proxy, client) = behind().await;
    proxy.latency(Duration::from_millis(20));
    let took = time(client.get_data("/")).await;
    assert!(took >= Duration::from_millis(40), "both ways: {took:?}");
    proxy.heal();
    proxy.bandwidth(Some(100_000));
    let took = time(client.create("/a", vec![0; 10_000], CreateMode::Persistent)).await;
    assert!(took >= Duration::from_millis(95), "{took:?}");
}

#[tokio::test]
async fn nobody_behind_the_proxy_is_a_closed_connection() {
    let proxy = FaultProxy::start("127.0.0.1:1").await.unwrap();
    let connecting = ConnectOptions::new().connect_timeout(Duration::from_millis(200));
    assert!(connecting.connect(&proxy.connect_string()).await.is_err());
}

#[expect(clippy::disallowed_methods, reason = "what is slowed down is measured")]
async fn time<T, E: std::fmt::Debug>(doing: impl IntoFuture<Output = Result<T, E>>) -> Duration {
    let start = tokio::time::Instant::now();
    doing.await.unwrap();
    start.elapsed()
}
