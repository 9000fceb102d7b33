//! An ensemble of ours, torn apart in every way that a test can ask for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod failover;
mod files;
mod local;
mod partitions;
mod reconfig;
mod sessions;

use std::future::Future;
use std::time::Duration;

use znode::{Client, ConnectOptions, CreateMode, Error, ErrorKind, Version};
use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster};
use znode_tests::support::soon;

/// A cluster whose servers miss each other soon.
async fn cluster(participants: u64, observers: u64) -> TestingCluster {
    let each = InstanceSpec::new().tick(Duration::from_millis(40));
    let spec = ClusterSpec::new(participants).observers(observers).each(each);
    soon(TestingCluster::start_with(spec)).await.expect("a cluster starts")
}

/// A client of one server alone.
async fn connect_to(cluster: &TestingCluster, id: u64) -> Client {
    let options = ConnectOptions::new().connector(cluster.connector());
    soon(options.connect(&cluster.server(id).connect_string()))
        .await
        .expect("a server of the cluster lets clients in")
}

/// Tries again for as long as the connection is the trouble, and it is safe.
async fn insist<T, F: Future<Output = Result<T, Error>>>(mut what: impl FnMut() -> F) -> T {
    soon(async {
        loop {
            match what().await {
                Ok(done) => return done,
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

/// Creates a node, however often the connection breaks: whether it was done is not known then.
async fn create(client: &Client, path: &str) {
    soon(async {
        loop {
            match client.create(path, "", CreateMode::Persistent).await {
                Ok(_) => return,
                Err(error) if error.kind() == ErrorKind::NodeExists => return,
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
}

/// The servers that vote and do not lead, in the order of their numbers.
async fn followers(cluster: &TestingCluster, voters: u64) -> Vec<u64> {
    let leader = soon(cluster.leader()).await;
    (1..=voters).filter(|id| *id != leader).collect()
}

#[tokio::test]
async fn clients_may_send_no_more_than_servers_pass_on() {
    let each = |max| ClusterSpec::new(1).each(InstanceSpec::new().frame_len_max(max));
    assert!(TestingCluster::start_with(each(2 * 1024 * 1024)).await.is_ok());
    let refused = TestingCluster::start_with(each(4 * 1024 * 1024)).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("must be at most 2097152"), "{refused}");
}

#[tokio::test]
async fn a_write_through_any_server_is_read_through_every_other_after_a_sync() {
    let cluster = cluster(3, 1).await;
    let mut clients = Vec::new();
    for id in cluster.ids() {
        clients.push(connect_to(&cluster, id).await);
    }
    for (i, writer) in clients.iter().enumerate() {
        let path = format!("/by-{i}");
        soon(writer.create(&path, "x", CreateMode::Persistent)).await.unwrap();
        for reader in &clients {
            soon(reader.sync("/")).await.unwrap();
            let (data, _) = soon(reader.get_data(&path)).await.unwrap();
            assert_eq!(data, "x");
        }
    }
    soon(cluster.await_converged()).await;
}

#[tokio::test]
async fn a_watch_on_a_follower_tells_of_a_write_through_another() {
    let cluster = cluster(3, 0).await;
    let followers = followers(&cluster, 3).await;
    let one = connect_to(&cluster, followers[0]).await;
    let other = connect_to(&cluster, followers[1]).await;
    soon(one.create("/watched", "1", CreateMode::Persistent)).await.unwrap();
    soon(other.sync("/")).await.unwrap();
    let (_, _, watcher) = soon(other.get_data_watched("/watched")).await.unwrap();
    soon(one.set_data("/watched", "2", Version::ANY)).await.unwrap();
    let event = soon(watcher).await.unwrap();
    assert_eq!(event.path, "/watched");
    assert_eq!(soon(other.get_data("/watched")).await.unwrap().0, "2");
}

#[tokio::test]
async fn a_single_server_is_an_ensemble_too() {
    let cluster = cluster(1, 1).await;
    let client = connect_to(&cluster, 2).await;
    soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    soon(client.sync("/")).await.unwrap();
    soon(cluster.await_converged()).await;
}

#[tokio::test]
async fn a_cluster_of_nobody_is_refused() {
    let error = TestingCluster::start(0).await.unwrap_err();
    assert_eq!(error.to_string(), "0 servers, 0 of which vote: must be 1 to 254");
}
