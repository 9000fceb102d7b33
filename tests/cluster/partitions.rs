//! Servers that do not reach each other, or stand still.

use znode::{ConnectOptions, CreateMode, Error, ErrorKind, Version};
use znode_testing::TestingCluster;

use super::{cluster, connect_to, followers, insist, soon};

/// The leader and the others.
async fn sides(cluster: &TestingCluster) -> (u64, Vec<u64>) {
    (soon(cluster.leader()).await, followers(cluster, 3).await)
}

/// Waits until another server leads.
async fn succeeded(cluster: &TestingCluster, old: u64) -> u64 {
    soon(async {
        loop {
            let leader = cluster.leader().await;
            if leader != old {
                return leader;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn is_lost<T>(outcome: &Result<T, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionLoss)
}

#[tokio::test]
async fn a_leader_that_was_cut_off_commits_nothing_and_another_does() {
    let cluster = cluster(3, 0).await;
    let (old, others) = sides(&cluster).await;
    let stranded = connect_to(&cluster, old).await;
    soon(stranded.create("/a", "old", CreateMode::Persistent)).await.unwrap();
    cluster.partition(&[old], &others);
    let lost = soon(stranded.set_data("/a", "stray", Version::ANY)).await;
    assert!(is_lost(&lost), "{lost:?}");
    succeeded(&cluster, old).await;
    let client = connect_to(&cluster, others[0]).await;
    insist(|| client.set_data("/a", "new", Version::ANY)).await;
    cluster.heal();
    soon(cluster.await_converged()).await;
    for id in cluster.ids() {
        let node = cluster.server(id).node("/a").await.unwrap();
        assert_eq!(node.data.as_deref(), Some(&b"new"[..]), "on {id}");
    }
}

#[tokio::test]
async fn a_follower_that_hears_nothing_looks_elsewhere_and_comes_back() {
    let cluster = cluster(3, 0).await;
    let (leader, others) = sides(&cluster).await;
    cluster.partition_one_way(&[leader], &[others[0]]);
    let client = connect_to(&cluster, leader).await;
    for i in 0..20 {
        insist(|| client.create(&format!("/n{i}"), "", CreateMode::Persistent)).await;
    }
    cluster.heal();
    soon(cluster.await_converged()).await;
    assert!(cluster.server(others[0]).node("/n19").await.is_some());
}

#[tokio::test]
async fn a_deposed_leader_that_goes_on_vouches_for_nothing_old() {
    let cluster = cluster(3, 0).await;
    for round in 0..5 {
        let (old, others) = sides(&cluster).await;
        let old_value = format!("old {round}");
        let new_value = format!("new {round}");
        let stranded = connect_to(&cluster, old).await;
        let path = format!("/a{round}");
        soon(stranded.create(&path, old_value, CreateMode::Persistent)).await.unwrap();
        cluster.pause(old);
        // Asked while it stands still; it answers only what it has made sure of.
        let sync = stranded.sync("/");
        let read = stranded.get_data(&path);
        succeeded(&cluster, old).await;
        let client = connect_to(&cluster, others[0]).await;
        insist(|| client.set_data(&path, new_value.clone(), Version::ANY)).await;
        cluster.resume(old);
        if soon(sync).await.is_ok()
            && let Ok((data, _)) = soon(read).await
        {
            assert_eq!(data, new_value, "a sync that proved nothing");
        }
        soon(cluster.await_converged()).await;
    }
}

#[tokio::test]
async fn clients_of_a_paused_follower_go_elsewhere() {
    let cluster = cluster(3, 0).await;
    let (_, others) = sides(&cluster).await;
    let address = cluster.server(others[0]).connect_string();
    let elsewhere = cluster.server(others[1]).connect_string();
    let options = ConnectOptions::new()
        .connector(cluster.connector())
        .session_timeout(std::time::Duration::from_millis(600));
    let client = soon(options.connect(&address)).await.unwrap();
    let session = client.session_id();
    cluster.pause(others[0]);
    client.update_hosts(&elsewhere).unwrap();
    insist(|| client.create("/through-another", "", CreateMode::Ephemeral)).await;
    assert_eq!(client.session_id(), session);
    cluster.resume(others[0]);
    soon(cluster.await_converged()).await;
}

#[tokio::test]
async fn a_slow_follower_holds_nobody_up() {
    let cluster = cluster(3, 0).await;
    let (leader, others) = sides(&cluster).await;
    cluster.slow_link(leader, others[0], std::time::Duration::from_millis(60));
    let client = connect_to(&cluster, leader).await;
    for i in 0..20 {
        soon(client.create(&format!("/n{i}"), "", CreateMode::Persistent)).await.unwrap();
    }
    assert!(cluster.server(others[0]).node("/n19").await.is_none(), "it cannot have it yet");
    cluster.heal();
    soon(cluster.await_converged()).await;
    assert!(cluster.server(others[0]).node("/n19").await.is_some());
}

#[tokio::test]
async fn a_wall_clock_that_jumps_ends_no_session() {
    let cluster = cluster(3, 0).await;
    let client = soon(cluster.connect()).await.unwrap();
    soon(client.create("/mine", "", CreateMode::Ephemeral)).await.unwrap();
    for (id, by_ms) in [(1, 3_600_000), (2, -3_600_000), (3, 86_400_000)] {
        cluster.clock_skew(id, by_ms);
    }
    for _ in 0..10 {
        insist(|| client.sync("/")).await;
    }
    let leader = soon(cluster.leader()).await;
    soon(cluster.kill(leader)).await;
    insist(|| client.get_data("/mine")).await;
}
