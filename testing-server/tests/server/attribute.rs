//! Tests that are given their servers: what `#[znode_testing::test]` makes of them.

use std::time::Duration;

use tokio::time::Instant;
use znode::{Client, CreateMode, Error, State};
use znode_testing::{InstanceSpec, Release, TestingCluster, TestingServer};

#[znode_testing::test]
async fn a_test_is_given_a_server(server: TestingServer) {
    assert_eq!(server.znode_count().await, 4);
}

#[znode_testing::test]
async fn or_a_client_whose_server_lives_as_long(client: Client) -> Result<(), Error> {
    client.create("/a", "", CreateMode::Persistent).await?;
    Ok(())
}

/// The two are of each other.
#[znode_testing::test]
async fn or_both(server: TestingServer, client: Client) -> Result<(), Box<dyn std::error::Error>> {
    client.create("/alive", "", CreateMode::Ephemeral).await?;
    assert!(server.expire(client.session_id()).await);
    assert!(server.node("/alive").await.is_none());
    Ok(())
}

#[znode_testing::test(
    spec = InstanceSpec::new().answer_as(Release::V3_5),
    start_paused = true,
)]
#[expect(clippy::disallowed_methods, reason = "the clock is paused: this is the test's own time")]
async fn of_any_kind_and_in_no_time(server: TestingServer, client: Client) {
    assert!(client.add_watch("/", znode::AddWatchMode::Persistent).await.is_err());
    let started = Instant::now();
    server.stop().await;
    let mut states = client.states();
    while client.state() != State::Expired {
        futures::StreamExt::next(&mut states).await;
    }
    assert!(started.elapsed() > Duration::from_secs(5));
}

#[znode_testing::test(servers = 3)]
async fn or_a_cluster(cluster: TestingCluster, client: Client) -> Result<(), Error> {
    client.create("/a", "", CreateMode::Persistent).await?;
    cluster.kill(cluster.leader().await).await;
    while client.exists("/a").await.ok().flatten().is_none() {}
    Ok(())
}

#[znode_testing::test]
#[should_panic(expected = "as any other test")]
async fn and_fails(_client: Client) {
    panic!("as any other test");
}
