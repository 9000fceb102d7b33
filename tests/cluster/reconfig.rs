//! Servers join, leave, and change what they are, while clients go on.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use znode::proto::ErrorCode;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Reconfig};
use znode_testing::{ClusterSpec, InstanceSpec, Role, TestingCluster};

use super::files::Dir;
use super::{cluster, connect_to, create, followers, insist, soon};

#[tokio::test]
async fn a_server_joins_and_counts_from_then_on() {
    let mut cluster = cluster(2, 0).await;
    let client = soon(cluster.connect()).await.unwrap();
    soon(client.create("/before", "x", CreateMode::Persistent)).await.unwrap();
    let third = soon(cluster.join(Role::Participant)).await.unwrap();
    assert_eq!((third, cluster.voters()), (3, vec![1, 2, 3]));
    soon(cluster.await_converged()).await;
    assert!(cluster.server(third).node("/before").await.is_some());
    // Two of two would have been needed; two of three are enough.
    soon(cluster.kill(1)).await;
    let other = connect_to(&cluster, third).await;
    create(&other, "/after").await;
}

#[tokio::test]
async fn an_observer_joins_votes_and_observes_again() {
    let mut cluster = cluster(3, 0).await;
    let fourth = soon(cluster.join(Role::Observer)).await.unwrap();
    assert_eq!((cluster.voters(), cluster.observers()), (vec![1, 2, 3], vec![fourth]));
    soon(cluster.change_role(fourth, Role::Participant)).await.unwrap();
    assert_eq!((cluster.voters(), cluster.observers()), (vec![1, 2, 3, fourth], vec![]));
    soon(cluster.change_role(1, Role::Observer)).await.unwrap();
    assert_eq!((cluster.voters(), cluster.observers()), (vec![2, 3, fourth], vec![1]));
    let client = connect_to(&cluster, 1).await;
    create(&client, "/through-an-observer").await;
    soon(cluster.await_converged()).await;
    assert_ne!(soon(cluster.leader()).await, 1);
}

#[tokio::test]
async fn a_leader_that_leaves_or_votes_no_longer_hands_over() {
    let cluster = cluster(4, 0).await;
    let client = soon(cluster.connect()).await.unwrap();
    let first = soon(cluster.leader()).await;
    create(&client, "/a").await;
    soon(cluster.remove(first)).await.unwrap();
    let second = soon(cluster.leader()).await;
    assert_ne!(second, first);
    create(&client, "/b").await;
    soon(cluster.change_role(second, Role::Observer)).await.unwrap();
    let third = soon(cluster.leader()).await;
    assert!(third != first && third != second, "{third}");
    create(&client, "/c").await;
    // Who has left follows without a vote, until it is stopped.
    soon(cluster.await_converged()).await;
    assert!(cluster.server(first).node("/c").await.is_some());
}

/// Writes until it is told to end, and returns what was acknowledged.
async fn write(client: Client, prefix: &str, is_over: Arc<AtomicBool>) -> Vec<String> {
    let mut written = Vec::new();
    for i in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let path = format!("/{prefix}-{i}");
        match soon(client.create(&path, "", CreateMode::Persistent)).await {
            Ok(_) => written.push(path),
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {}
            Err(error) => panic!("{error}"),
        }
    }
    written
}

#[tokio::test]
async fn under_load_everybody_is_replaced_and_nothing_is_lost() {
    let mut cluster = cluster(3, 0).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let options = ConnectOptions::new().session_timeout(Duration::from_secs(20));
    let mut writers = Vec::new();
    for prefix in ["x", "y"] {
        let options = options.clone().connector(cluster.connector());
        let client = soon(options.connect(&cluster.connect_string())).await.unwrap();
        let follows = client.follow_config();
        let is_over = Arc::clone(&is_over);
        writers.push(tokio::spawn(async move {
            let _follows = follows;
            write(client, prefix, is_over).await
        }));
    }
    for old in 1..=3 {
        soon(cluster.join(Role::Participant)).await.unwrap();
        // The leader last.
        let leader = soon(cluster.leader()).await;
        let goes =
            (1..=3).rev().find(|id| cluster.voters().contains(id) && (*id != leader || old == 3));
        let goes = goes.unwrap_or(leader);
        soon(cluster.remove(goes)).await.unwrap();
        soon(cluster.stop(goes)).await;
    }
    let voters = cluster.voters();
    assert_eq!(voters.len(), 3, "{voters:?}");
    is_over.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        for path in soon(writer).await.unwrap() {
            soon(cluster.await_converged()).await;
            written += 1;
            for id in &voters {
                assert!(cluster.server(*id).node(&path).await.is_some(), "{path} on {id}");
            }
        }
    }
    assert!(written > 0);
}

#[tokio::test]
async fn what_is_asked_for_is_judged_by_the_rules() {
    let each = InstanceSpec::new()
        .tick(Duration::from_millis(40))
        .super_digest("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    let cluster = soon(TestingCluster::start_with(ClusterSpec::new(3).each(each))).await.unwrap();
    let nobody = soon(cluster.connect()).await.unwrap();
    let none: [&str; 0] = [];
    let leaves = Reconfig::incremental(none, [3]);
    let kind = |outcome: Result<_, znode::Error>| outcome.map(|_: (_, _)| ()).unwrap_err().kind();
    assert_eq!(kind(soon(nobody.reconfig(&leaves)).await), ErrorKind::NoAuth);

    let options = ConnectOptions::new().connector(cluster.connector());
    let options = options.auth("digest", "super:admin");
    let client = soon(options.connect(&cluster.connect_string())).await.unwrap();
    let (before, stat, changed) = soon(client.get_config_watched()).await.unwrap();
    let before = String::from_utf8(before.to_vec()).unwrap();
    assert_eq!(before, cluster.configuration(1));
    let version = stat.mzxid.0;
    assert!(before.ends_with(&format!("version={version:x}")), "{before}");
    assert_eq!((version & 0xffff_ffff, stat.version.0), (0, -1));
    for (change, expected) in [
        (Reconfig::incremental(none, [3]).from_config(7), ErrorKind::BadVersion),
        (Reconfig::incremental(none, [1, 2, 3]), ErrorKind::BadArguments),
        (Reconfig::incremental(["server.9=127.0.0.1:1:2"], []), ErrorKind::BadArguments),
        (
            Reconfig::incremental(["server.8=a:1:2;3", "server.9=b:1:2;3"], [2, 3]),
            ErrorKind::Other(ErrorCode::NewConfigNoQuorum),
        ),
        (Reconfig::members(["tickTime=4"]), ErrorKind::BadArguments),
    ] {
        assert_eq!(kind(soon(client.reconfig(&change)).await), expected, "{change:?}");
    }
    let (after, stat) = soon(client.reconfig(&leaves.from_config(version))).await.unwrap();
    let after = String::from_utf8(after.to_vec()).unwrap();
    assert!(!after.contains("server.3="), "{after}");
    assert!(after.ends_with(&format!("version={:x}", stat.mzxid.0)), "{after}");
    soon(changed).await.unwrap();
    insist(|| client.sync("/")).await;
    let (read, read_stat) = insist(|| client.get_config()).await;
    // A new leader may have written it anew, by the clock of the server that is asked.
    let read = String::from_utf8(read.to_vec()).unwrap();
    assert_eq!((read, read_stat.mzxid), (after, stat.mzxid));

    let fixed = ClusterSpec::new(1).reconfig_enabled(false);
    let fixed = soon(TestingCluster::start_with(fixed)).await.unwrap();
    let client = soon(fixed.connect()).await.unwrap();
    let refused = soon(client.reconfig(&Reconfig::incremental(none, [1]))).await;
    assert_eq!(kind(refused), ErrorKind::Unimplemented);
    let refused = soon(fixed.remove(1)).await.unwrap_err().to_string();
    assert_eq!(refused, "reconfiguration is disabled");
}

#[tokio::test]
async fn everybody_comes_back_as_what_it_has_become() {
    let dir = Dir::new("reconfigured");
    let each = InstanceSpec::new().tick(Duration::from_millis(40)).data_dir(dir.path());
    let mut cluster =
        soon(TestingCluster::start_with(ClusterSpec::new(3).each(each))).await.unwrap();
    let fourth = soon(cluster.join(Role::Participant)).await.unwrap();
    soon(cluster.remove(1)).await.unwrap();
    soon(cluster.change_role(2, Role::Observer)).await.unwrap();
    let client = connect_to(&cluster, fourth).await;
    create(&client, "/kept").await;
    soon(cluster.await_converged()).await;
    let agreed = cluster.configuration(fourth);
    for id in cluster.ids() {
        soon(cluster.kill(id)).await;
        let dynamic = dir.path().join(format!("{id}/zoo.cfg"));
        let pointer = std::fs::read_to_string(&dynamic).unwrap();
        let version = agreed.rsplit('=').next().unwrap();
        assert!(pointer.trim_end().ends_with(&format!("zoo.cfg.dynamic.{version}")), "{pointer}");
    }
    for id in [2, 3, fourth] {
        soon(cluster.restart(id)).await.unwrap();
    }
    soon(cluster.await_converged()).await;
    assert_eq!((cluster.voters(), cluster.observers()), (vec![3, fourth], vec![2]));
    for id in [2, 3, fourth] {
        assert_eq!(cluster.configuration(id), agreed);
        assert!(cluster.server(id).node("/kept").await.is_some());
    }
}

/// Has clients of a server come to a port that nobody has, as far as one can know. Returns where
/// they came before, and where they come now.
async fn move_clients(cluster: &TestingCluster, superuser: &Client, id: u64) -> [String; 2] {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let known = cluster.configuration(id);
    let member = known.lines().find(|line| line.starts_with(&format!("server.{id}="))).unwrap();
    let (peers, clients) = member.split_once(';').unwrap();
    let moved = Reconfig::incremental([format!("{peers};{free}")], []);
    insist(|| superuser.reconfig(&moved)).await;
    [clients.to_owned(), free]
}

/// Clients come to one place, and not to another.
async fn has_moved([from, to]: &[String; 2]) {
    let client = soon(Client::connect(to)).await.expect("clients come to where it has moved to");
    soon(client.close()).await.unwrap();
    soon(async {
        while TcpStream::connect(from).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_port_that_was_moved_is_not_forgotten_with_a_restart() {
    let dir = Dir::new("moved");
    let each = InstanceSpec::new()
        .tick(Duration::from_millis(40))
        .super_digest("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=")
        .data_dir(dir.path());
    let cluster = soon(TestingCluster::start_with(ClusterSpec::new(3).each(each))).await.unwrap();
    let options =
        ConnectOptions::new().connector(cluster.connector()).auth("digest", "super:admin");
    let leader = cluster.server(soon(cluster.leader()).await).connect_string();
    let superuser = soon(options.connect(&leader)).await.unwrap();
    let moves = followers(&cluster, 3).await[0];

    let first = move_clients(&cluster, &superuser, moves).await;
    has_moved(&first).await;
    soon(cluster.restart(moves)).await.unwrap();
    has_moved(&first).await;
    // What has come back from files can be moved, too.
    let second = move_clients(&cluster, &superuser, moves).await;
    assert_eq!(second[0], first[1]);
    has_moved(&second).await;
}
