//! Sessions belong to the ensemble, not to a server.

use std::time::Duration;

use futures::StreamExt;
use znode::{ConnectOptions, CreateMode, ErrorKind, SessionTicket, State, Zxid};

use super::{cluster, connect_to, followers, insist, soon};

#[tokio::test]
async fn a_session_survives_the_server_that_it_was_opened_through() {
    let cluster = cluster(3, 0).await;
    let client = soon(cluster.connect()).await.unwrap();
    let session = client.session_id();
    soon(client.create("/mine", "", CreateMode::Ephemeral)).await.unwrap();
    for id in cluster.ids() {
        soon(cluster.kill(id)).await;
        insist(|| client.get_data("/mine")).await;
        soon(cluster.restart(id)).await.unwrap();
        soon(cluster.await_converged()).await;
    }
    assert_eq!(client.session_id(), session);
}

#[tokio::test]
async fn a_session_that_falls_silent_ends_everywhere_and_not_before_its_time() {
    let cluster = cluster(3, 1).await;
    let follower = followers(&cluster, 3).await[0];
    let options = ConnectOptions::new()
        .connector(cluster.connector())
        .session_timeout(Duration::from_millis(400));
    let client = soon(options.connect(&cluster.server(follower).connect_string())).await.unwrap();
    soon(client.create("/gone", "", CreateMode::Ephemeral)).await.unwrap();
    let watcher = connect_to(&cluster, 4).await;
    soon(watcher.sync("/")).await.unwrap();
    // For a while it says nothing but that it is there, through a follower.
    let (_, gone) = soon(watcher.exists_watched("/gone")).await.unwrap();
    let gone = tokio::spawn(gone);
    let mut quiet = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..24 {
        quiet.tick().await;
        soon(watcher.sync("/")).await.unwrap();
        assert!(soon(watcher.exists("/gone")).await.unwrap().is_some(), "ended too early");
    }
    soon(cluster.kill(follower)).await;
    soon(gone).await.unwrap().unwrap();
    soon(cluster.restart(follower)).await.unwrap();
    soon(cluster.await_converged()).await;
    for id in cluster.ids() {
        assert!(cluster.server(id).node("/gone").await.is_none(), "on {id}");
        assert!(cluster.server(id).ephemerals().await.is_empty(), "on {id}");
    }
}

#[tokio::test]
async fn a_session_is_expired_through_its_leader() {
    let cluster = cluster(3, 0).await;
    let follower = followers(&cluster, 3).await[0];
    let client = connect_to(&cluster, follower).await;
    soon(client.create("/gone", "", CreateMode::Ephemeral)).await.unwrap();
    let mut states = client.states();
    assert!(soon(cluster.expire(client.session_id())).await);
    let expired = async {
        while let Some(change) = states.next().await {
            if change.state == State::Expired {
                return;
            }
        }
    };
    soon(expired).await;
    soon(cluster.await_converged()).await;
    assert!(cluster.server(follower).node("/gone").await.is_none());
    assert!(!soon(cluster.expire(client.session_id())).await);
}

#[tokio::test]
async fn a_session_that_has_moved_writes_nothing_through_its_old_server() {
    let cluster = cluster(3, 0).await;
    let followers = followers(&cluster, 3).await;
    let old = connect_to(&cluster, followers[0]).await;
    let ticket = SessionTicket::from_parts(old.session_id(), old.session_password(), Zxid::ZERO);
    let options = ConnectOptions::new().connector(cluster.connector()).resume(ticket);
    let new = soon(options.connect(&cluster.server(followers[1]).connect_string())).await.unwrap();
    assert_eq!(new.session_id(), old.session_id());
    let stray = soon(old.create("/stray", "", CreateMode::Persistent)).await.unwrap_err();
    assert_eq!(stray.kind(), ErrorKind::ConnectionLoss);
    // The old client comes back for its session as soon as it is cut off, and must not end it.
    drop(soon(old.detach()).await);
    insist(|| new.create("/through-the-new", "", CreateMode::Persistent)).await;
    soon(cluster.await_converged()).await;
    assert!(cluster.server(1).node("/stray").await.is_none());
}

#[tokio::test]
async fn a_session_closed_through_a_follower_takes_its_nodes_along() {
    let cluster = cluster(3, 0).await;
    let follower = followers(&cluster, 3).await[0];
    let client = connect_to(&cluster, follower).await;
    soon(client.create("/mine", "", CreateMode::Ephemeral)).await.unwrap();
    soon(client.close()).await.unwrap();
    soon(cluster.await_converged()).await;
    for id in cluster.ids() {
        assert!(cluster.server(id).node("/mine").await.is_none(), "on {id}");
        assert!(cluster.server(id).sessions().await.is_empty(), "on {id}");
    }
}
