//! Sessions of which one server alone knows, and servers that have lost all others.

use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Op, State, Version};
use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster};

use super::{connect_to, followers, soon};

fn spec() -> ClusterSpec {
    ClusterSpec::new(3).each(InstanceSpec::new().tick(Duration::from_millis(40)))
}

async fn start(spec: ClusterSpec) -> TestingCluster {
    soon(TestingCluster::start_with(spec)).await.expect("a cluster starts")
}

/// How many sessions each server knows, one after another.
async fn known(cluster: &TestingCluster) -> Vec<usize> {
    let mut known = Vec::new();
    for id in cluster.ids() {
        known.push(cluster.server(id).sessions().await.len());
    }
    known
}

#[tokio::test]
async fn a_local_session_is_no_concern_of_the_others() {
    for upgrade in [false, true] {
        let cluster = start(spec().local_sessions(upgrade)).await;
        let leader = soon(cluster.leader()).await;
        for id in cluster.ids() {
            let before = cluster.server(id).zxid().await;
            let client = connect_to(&cluster, id).await;
            soon(client.sync("/")).await.unwrap();
            assert_eq!(cluster.server(leader).zxid().await, before, "no transaction");
            assert_eq!(known(&cluster).await.iter().sum::<usize>(), 1);
            assert_eq!(cluster.server(id).sessions().await.len(), 1);
            // It writes whatever does not belong to it.
            let path = format!("/by-{id}");
            soon(client.create(&path, "1", CreateMode::Persistent)).await.unwrap();
            soon(client.set_data(&path, "2", Version::ANY)).await.unwrap();
            assert_eq!(soon(client.get_data(&path)).await.unwrap().0, "2");
            soon(client.close()).await.unwrap();
            assert_eq!(known(&cluster).await, [0, 0, 0]);
        }
        soon(cluster.await_converged()).await;
    }
}

#[tokio::test]
async fn a_local_session_that_may_not_become_another_has_no_ephemeral_node() {
    let cluster = start(spec().local_sessions(false)).await;
    for id in cluster.ids() {
        let client = connect_to(&cluster, id).await;
        let error = soon(client.create("/mine", "", CreateMode::Ephemeral)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::EphemeralOnLocalSession, "{error}");
        soon(client.create("/a", "", CreateMode::PersistentSequential)).await.unwrap();
        assert_eq!(client.state(), State::Connected);
    }
}

#[tokio::test]
async fn a_local_session_becomes_everybodys_with_its_first_ephemeral_node() {
    let cluster = start(spec().local_sessions(true)).await;
    for id in cluster.ids() {
        let path = format!("/mine-{id}");
        let client = connect_to(&cluster, id).await;
        let session = client.session_id();
        soon(client.create(&path, "", CreateMode::Ephemeral)).await.unwrap();
        soon(cluster.await_converged()).await;
        assert_eq!(known(&cluster).await, [1, 1, 1]);
        assert_eq!(client.session_id(), session);
        let other = connect_to(&cluster, 1 + id % 3).await;
        soon(other.sync("/")).await.unwrap();
        let stat = soon(other.exists(&path)).await.unwrap().unwrap();
        assert_eq!(stat.ephemeral_owner, session);
        soon(other.close()).await.unwrap();
        // It ends like any other, and its node with it.
        soon(client.close()).await.unwrap();
        soon(cluster.await_converged()).await;
        assert_eq!(known(&cluster).await, [0, 0, 0]);
        assert!(cluster.server(id).node(&path).await.is_none());
    }
}

#[tokio::test]
async fn a_transaction_with_an_ephemeral_node_makes_a_session_everybodys_too() {
    let cluster = start(spec().local_sessions(true)).await;
    let follower = followers(&cluster, 3).await[0];
    let client = connect_to(&cluster, follower).await;
    let both = [
        Op::create("/plain", "", CreateMode::Persistent),
        Op::create("/mine", "", CreateMode::EphemeralSequential),
    ];
    soon(client.multi(both)).await.unwrap();
    soon(cluster.await_converged()).await;
    assert_eq!(known(&cluster).await, [1, 1, 1]);
}

/// Nobody else has heard of it: its client has to begin anew.
#[tokio::test]
async fn a_local_session_ends_with_its_server() {
    let cluster = start(spec().local_sessions(true)).await;
    let follower = followers(&cluster, 3).await[0];
    let options = ConnectOptions::new().connector(cluster.connector());
    let first = cluster.server(follower).connect_string();
    let client = soon(options.connect(&first)).await.unwrap();
    let mut states = client.states();
    client.update_hosts(&cluster.connect_string()).unwrap();
    soon(cluster.kill(follower)).await;
    soon(async { while states.next().await.unwrap().state != State::Expired {} }).await;
}

/// A follower that took it for everybody's would give it nodes that nobody ever deletes.
#[tokio::test]
async fn a_local_session_of_the_leader_does_not_move_to_a_follower() {
    for upgrade in [false, true] {
        let cluster = start(spec().local_sessions(upgrade)).await;
        let leader = soon(cluster.leader()).await;
        let follower = followers(&cluster, 3).await[0];
        let client = connect_to(&cluster, leader).await;
        let ticket = soon(client.detach()).await.unwrap();
        let moved = ConnectOptions::new().connector(cluster.connector()).resume(ticket);
        let address = cluster.server(follower).connect_string();
        let error = soon(moved.connect(&address)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionExpired);
        assert!(cluster.server(follower).sessions().await.is_empty());
    }
}

#[tokio::test]
async fn a_local_session_whose_client_falls_silent_ends_on_its_server() {
    let cluster = start(spec().local_sessions(true)).await;
    for id in cluster.ids() {
        let options = ConnectOptions::new()
            .connector(cluster.connector())
            .session_timeout(Duration::from_millis(200));
        let client = soon(options.connect(&cluster.server(id).connect_string())).await.unwrap();
        let ticket = soon(client.detach()).await.unwrap();
        let server = cluster.server(id);
        soon(async {
            while !server.sessions().await.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // And is not there any more.
        let again = ConnectOptions::new().connector(cluster.connector()).resume(ticket);
        let error = soon(again.connect(&server.connect_string())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionExpired);
    }
}

/// What the third server answers to a word.
async fn ask(cluster: &TestingCluster, word: &[u8; 4]) -> String {
    let mut stream = TcpStream::connect(cluster.server(3).connect_string()).await.unwrap();
    stream.write_all(word).await.unwrap();
    let mut told = String::new();
    soon(stream.read_to_string(&mut told)).await.unwrap();
    told
}

async fn connect_to_read(cluster: &TestingCluster) -> Client {
    let options = ConnectOptions::new().connector(cluster.connector()).read_only(true);
    soon(options.connect(&cluster.connect_string())).await.unwrap()
}

#[tokio::test]
async fn a_server_without_a_leader_lets_clients_read() {
    let cluster = start(spec().read_only_after(Duration::from_millis(100))).await;
    let before = soon(cluster.connect()).await.unwrap();
    soon(before.create("/known", "1", CreateMode::Persistent)).await.unwrap();
    soon(before.close()).await.unwrap();
    soon(cluster.await_converged()).await;
    for id in [1, 2] {
        soon(cluster.kill(id)).await;
    }
    let client = connect_to_read(&cluster).await;
    assert_eq!(client.state(), State::ConnectedReadOnly);
    assert_eq!(soon(client.get_data("/known")).await.unwrap().0, "1");
    let refused = soon(client.set_data("/known", "2", Version::ANY)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotReadOnly);
    let refused = soon(client.sync("/")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotReadOnly);
    let (_, gone) = soon(client.exists_watched("/known")).await.unwrap();
    assert_eq!(cluster.server(3).zxid().await, client.last_zxid());
    assert_eq!(ask(&cluster, b"isro").await, "ro");
    let told = ask(&cluster, b"srvr").await;
    let title = told.lines().nth(1).unwrap();
    assert_eq!(title, "READ-ONLY mode; serving only read-only clients");
    assert!(told.contains("\nMode: read-only\n"), "{told}");

    // Once there is a leader again the client goes on where it can write, and its watch with it.
    let mut states = client.states();
    for id in [1, 2] {
        soon(cluster.restart(id)).await.unwrap();
    }
    soon(async { while states.next().await.unwrap().state != State::Connected {} }).await;
    soon(client.delete("/known", Version::ANY)).await.unwrap();
    soon(gone).await.unwrap();
    soon(cluster.await_converged()).await;
}

#[tokio::test]
async fn a_client_that_wants_to_write_is_not_let_in_where_it_cannot() {
    let cluster = start(spec().read_only_after(Duration::from_millis(50))).await;
    for id in [1, 2] {
        soon(cluster.kill(id)).await;
    }
    let reader = connect_to_read(&cluster).await;
    let options = ConnectOptions::new()
        .connector(cluster.connector())
        .connect_timeout(Duration::from_millis(300));
    let error = soon(options.connect(&cluster.connect_string())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout, "{error}");
    soon(reader.close()).await.unwrap();
    assert!(cluster.server(3).sessions().await.is_empty());
}
