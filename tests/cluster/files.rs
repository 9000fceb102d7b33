//! Servers that keep their data in files, and lose what was not written.

use std::path::PathBuf;
use std::time::Duration;

use znode::CreateMode;
use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster};

use super::{connect_to, create, followers, insist, soon};

/// A directory that is removed in the end.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("znode-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn cluster(dir: &Dir) -> TestingCluster {
    let each = InstanceSpec::new().tick(Duration::from_millis(40));
    let spec = ClusterSpec::new(3).each(each.data_dir(&dir.0).snap_count(50));
    soon(TestingCluster::start_with(spec)).await.expect("a cluster starts")
}

#[tokio::test]
async fn a_cluster_comes_back_from_its_files() {
    let dir = Dir::new("back");
    let first = cluster(&dir).await;
    let client = soon(first.connect()).await.unwrap();
    for i in 0..120 {
        soon(client.create(&format!("/n{i}"), "x", CreateMode::Persistent)).await.unwrap();
    }
    for id in first.ids() {
        soon(first.kill(id)).await;
    }
    drop(first);
    let second = cluster(&dir).await;
    soon(second.await_converged()).await;
    for id in second.ids() {
        assert!(second.server(id).node("/n119").await.is_some(), "on {id}");
    }
}

#[tokio::test]
async fn a_server_whose_disk_is_full_stops_and_the_others_go_on() {
    let dir = Dir::new("full");
    let cluster = cluster(&dir).await;
    let follower = followers(&cluster, 3).await[0];
    let client = connect_to(&cluster, soon(cluster.leader()).await).await;
    cluster.server(follower).fill_disk();
    for i in 0..20 {
        insist(|| client.create(&format!("/n{i}"), "", CreateMode::Persistent)).await;
    }
    soon(cluster.server(follower).failed()).await;
    cluster.server(follower).free_disk();
    soon(cluster.restart(follower)).await.unwrap();
    soon(cluster.await_converged()).await;
    assert!(cluster.server(follower).node("/n19").await.is_some());
}

#[tokio::test]
async fn a_server_that_was_away_for_long_takes_over_a_snapshot_and_keeps_it() {
    let dir = Dir::new("away");
    let cluster = cluster(&dir).await;
    let away = followers(&cluster, 3).await[0];
    soon(cluster.kill(away)).await;
    let client = connect_to(&cluster, soon(cluster.leader()).await).await;
    let writes: Vec<_> =
        (0..700).map(|i| client.create(&format!("/n{i}"), "", CreateMode::Persistent)).collect();
    for write in writes {
        soon(write).await.unwrap();
    }
    for _ in 0..2 {
        soon(cluster.restart(away)).await.unwrap();
        soon(cluster.await_converged()).await;
        assert!(cluster.server(away).node("/n699").await.is_some());
        insist(|| client.sync("/")).await;
    }
}

#[tokio::test]
async fn a_server_with_a_damaged_file_does_not_start_and_says_why() {
    let dir = Dir::new("damaged");
    let cluster = cluster(&dir).await;
    let client = soon(cluster.connect()).await.unwrap();
    for i in 0..20 {
        soon(client.create(&format!("/n{i}"), "data", CreateMode::Persistent)).await.unwrap();
    }
    let victim = followers(&cluster, 3).await[0];
    soon(cluster.await_converged()).await;
    soon(cluster.kill(victim)).await;
    let epoch = dir.0.join(victim.to_string()).join("version-2/currentEpoch");
    std::fs::write(&epoch, "seven").unwrap();
    let error = soon(cluster.restart(victim)).await.unwrap_err().to_string();
    assert!(error.contains("currentEpoch") && error.contains("is no epoch"), "{error}");
    create(&client, "/all-the-same").await;
}
