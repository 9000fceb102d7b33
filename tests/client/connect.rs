//! How a session starts, and what a client says when none can.

use std::time::Duration;

use tokio::net::TcpListener;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Outcome, State};

use crate::ground::{Ground, TIMEOUT_MAX, TIMEOUT_MIN, soon};
use znode_tests::support::Wire;

/// How long these tests let a client try in vain.
const IN_VAIN: Duration = Duration::from_millis(200);

/// A port at which nobody listens: it was ours a moment ago.
async fn refused_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn connect_gives_a_session_with_the_timeout_that_was_asked_for() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().session_timeout(Duration::from_millis(12_300));
    let client = ground.connect_with(options).await;
    assert_eq!(client.session_timeout(), Duration::from_millis(12_300));
    assert_eq!(client.state(), State::Connected);
    assert_ne!(client.session_id().0, 0);
}

#[tokio::test]
async fn connect_alone_asks_for_ten_seconds() {
    let ground = Ground::start().await;
    let client = soon(Client::connect(&ground.connect_string())).await.unwrap();
    assert_eq!(client.session_timeout(), Duration::from_secs(10));
}

#[tokio::test]
async fn the_server_bounds_the_session_timeout() {
    let ground = Ground::start().await;
    for (asked, granted) in
        [(Duration::from_millis(1), TIMEOUT_MIN), (Duration::from_secs(3600), TIMEOUT_MAX)]
    {
        let options = ConnectOptions::new().session_timeout(asked);
        let client = ground.connect_with(options).await;
        assert_eq!(client.session_timeout(), granted);
    }
}

#[tokio::test]
async fn every_connect_opens_a_session_of_its_own() {
    let ground = Ground::start().await;
    let (one, other) = (ground.connect().await, ground.connect().await);
    assert_ne!(one.session_id(), other.session_id());
    assert_eq!(one.session_id(), one.clone().session_id());
}

#[tokio::test]
async fn a_server_that_never_answers_ends_in_a_connect_timeout() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let options = ConnectOptions::new().connect_timeout(IN_VAIN);
    let error = soon(options.connect(&address)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    assert_eq!(error.outcome(), Outcome::NotSent);
}

#[tokio::test]
async fn a_refused_port_ends_in_a_connect_timeout() {
    let options = ConnectOptions::new().connect_timeout(IN_VAIN);
    let error = soon(options.connect(&refused_port().await)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
}

#[tokio::test]
async fn a_client_keeps_trying_until_a_server_is_there() {
    let ground = Ground::start().await;
    let wire = Wire::tcp();
    wire.refuse();
    let options = ConnectOptions::new().connector(wire.clone());
    let list = ground.connect_string();
    let connect = tokio::spawn(async move { options.connect(&list).await });
    wire.until_attempts(3).await;
    wire.admit();
    let client = soon(connect).await.unwrap().unwrap();
    assert_eq!(client.state(), State::Connected);
}

#[tokio::test]
async fn dead_hosts_in_the_list_do_not_stop_a_connect() {
    let ground = Ground::start().await;
    let dead = [refused_port().await, refused_port().await];
    // The list is shuffled by the seed, so some of these meet the dead ones first.
    for seed in 0..6 {
        let list = format!("{},{},{}", dead[0], dead[1], ground.connect_string());
        let client = soon(ConnectOptions::new().seed(seed).connect(&list)).await.unwrap();
        assert_eq!(client.state(), State::Connected);
    }
}

#[tokio::test]
async fn a_mute_host_in_the_list_does_not_stop_a_connect() {
    let ground = Ground::start().await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let list = format!("{},{}", mute.local_addr().unwrap(), ground.connect_string());
    for seed in 0..4 {
        let options = ConnectOptions::new()
            .seed(seed)
            .connect_timeout(Duration::from_secs(5))
            .session_timeout(Duration::from_millis(400));
        soon(options.connect(&list)).await.unwrap();
    }
}

#[tokio::test]
async fn a_connect_string_that_cannot_be_one_is_refused_with_its_fault_named() {
    for (text, fault) in [
        ("", "host"),
        ("/only/a/chroot", "host"),
        ("zk1:port", "port"),
        ("zk1:0", "0"),
        ("zk1:65536", "65536"),
        ("zk 1:2181", "zk 1"),
        ("zk1:2181/a//b", "/a//b"),
    ] {
        let error = soon(Client::connect(text)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConnectString, "{text:?}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{text:?}");
        let told = told(&error);
        assert!(told.contains(fault), "{text:?} gives {told:?}");
    }
}

/// The message with those of its causes.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn a_chroot_that_is_not_there_gives_no_node_at_the_first_use() {
    let ground = Ground::start().await;
    let list = format!("{}/not/there", ground.connect_string());
    let client = soon(Client::connect(&list)).await.unwrap();
    let error = soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    assert_eq!(error.path(), Some("/a"));
    assert_eq!(soon(client.exists("/")).await.unwrap(), None);
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_chroot_means_nothing() {
    let ground = Ground::start().await;
    let list = format!("{}/", ground.connect_string());
    let client = soon(Client::connect(&list)).await.unwrap();
    assert_eq!(client.chroot().as_str(), ground.root());
    assert!(soon(client.exists("/")).await.unwrap().is_some());
}

#[tokio::test]
async fn identities_of_the_options_hold_from_the_first_request() {
    let ground = Ground::start().await;
    let options = ConnectOptions::new().auth("digest", b"ann:secret");
    let client = ground.connect_with(options).await;
    let identities = soon(client.who_am_i()).await.unwrap();
    assert!(identities.iter().any(|info| info.scheme == "digest" && info.user == "ann"));
}

#[tokio::test]
async fn the_first_handshake_knows_no_session_and_no_transaction() {
    let ground = Ground::start().await;
    let (_client, wire) = ground.connect_wired().await;
    let handshakes = wire.handshakes();
    assert_eq!(handshakes.len(), 1);
    assert_eq!(handshakes[0].session.0, 0);
    assert_eq!(handshakes[0].last_zxid.0, 0);
}

#[tokio::test]
async fn a_client_can_be_shared_between_tasks() {
    fn shareable<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}

    let ground = Ground::start().await;
    let client = ground.connect().await;
    shareable(&client);
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let client = client.clone();
            let path = format!("/{i}");
            tokio::spawn(async move { client.create(&path, "", CreateMode::Persistent).await })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap().unwrap();
    }
    assert_eq!(soon(client.get_children("/")).await.unwrap().len(), 8);
}
