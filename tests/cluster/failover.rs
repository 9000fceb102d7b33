//! Servers die and come back.

use znode::{CreateMode, ErrorKind};

use super::{cluster, connect_to, followers, insist, soon};

#[tokio::test]
async fn what_was_acknowledged_survives_every_leader() {
    let cluster = cluster(3, 0).await;
    let client = soon(cluster.connect()).await.unwrap();
    let mut written = Vec::new();
    for round in 0..6 {
        let leader = soon(cluster.leader()).await;
        let path = format!("/round-{round}");
        // An unknown outcome may have been a success.
        loop {
            match soon(client.create(&path, "", CreateMode::Persistent)).await {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::NodeExists => break,
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {}
                Err(error) => panic!("{error}"),
            }
        }
        written.push(path);
        soon(cluster.kill(leader)).await;
        soon(cluster.restart(leader)).await.unwrap();
    }
    soon(cluster.await_converged()).await;
    for id in cluster.ids() {
        for path in &written {
            assert!(cluster.server(id).node(path).await.is_some(), "{path} on {id}");
        }
    }
}

#[tokio::test]
async fn a_server_that_was_away_gets_what_it_missed_be_it_little_or_everything() {
    let cluster = cluster(3, 1).await;
    let away = followers(&cluster, 3).await[0];
    for missed in [10, 700] {
        soon(cluster.kill(away)).await;
        let client = connect_to(&cluster, soon(cluster.leader()).await).await;
        let writes: Vec<_> = (0..missed)
            .map(|i| client.create(&format!("/of-{missed}-{i}"), "", CreateMode::Persistent))
            .collect();
        for write in writes {
            soon(write).await.unwrap();
        }
        soon(cluster.restart(away)).await.unwrap();
        soon(cluster.await_converged()).await;
        let last = format!("/of-{missed}-{}", missed - 1);
        assert!(cluster.server(away).node(&last).await.is_some());
    }
}

#[tokio::test]
async fn without_a_quorum_nobody_is_served_and_with_one_everybody_is_again() {
    let cluster = cluster(3, 0).await;
    let client = soon(cluster.connect()).await.unwrap();
    soon(client.create("/before", "", CreateMode::Persistent)).await.unwrap();
    soon(cluster.kill(1)).await;
    soon(cluster.kill(2)).await;
    // The one that is left gives up, and cuts its clients off.
    let lost = async { while client.sync("/").await.is_ok() {} };
    soon(lost).await;
    soon(cluster.restart(1)).await.unwrap();
    insist(|| client.sync("/")).await;
    insist(|| client.get_data("/before")).await;
}

#[tokio::test]
async fn a_whole_cluster_that_was_down_comes_back_with_its_data() {
    let cluster = cluster(3, 1).await;
    let client = soon(cluster.connect()).await.unwrap();
    soon(client.create("/kept", "x", CreateMode::Persistent)).await.unwrap();
    for id in cluster.ids() {
        soon(cluster.kill(id)).await;
    }
    for id in cluster.ids() {
        soon(cluster.restart(id)).await.unwrap();
    }
    let (data, _) = insist(|| client.get_data("/kept")).await;
    assert_eq!(data, "x");
    soon(cluster.await_converged()).await;
}

#[tokio::test]
async fn the_server_with_the_longest_log_leads() {
    let cluster = cluster(3, 0).await;
    let behind = followers(&cluster, 3).await[1];
    soon(cluster.kill(behind)).await;
    let client = soon(cluster.connect()).await.unwrap();
    soon(client.create("/missed", "", CreateMode::Persistent)).await.unwrap();
    let leader = soon(cluster.leader()).await;
    soon(cluster.kill(leader)).await;
    soon(cluster.restart(behind)).await.unwrap();
    let next = soon(cluster.leader()).await;
    assert!(next != leader && next != behind, "{next}");
    insist(|| client.get_data("/missed")).await;
}
