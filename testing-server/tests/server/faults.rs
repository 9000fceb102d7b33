//! Trouble on demand, as a client meets it.

use std::time::Duration;

use tokio::time::Instant;
use znode::proto::OpCode;
use znode::{ConnectOptions, CreateMode, ErrorKind, Outcome, State};
use znode_testing::{InstanceSpec, LostReply, Release, TestingServer};

use crate::Dir;

const PERSISTENT: CreateMode = CreateMode::Persistent;

#[tokio::test]
async fn a_lost_reply_leaves_the_write_done_and_the_session_alive() {
    let server = TestingServer::start().await.unwrap();
    let client = server.connect().await.unwrap();
    server.lose_reply(LostReply::of(OpCode::Create).at("/n").after(1));
    client.create("/m", "", PERSISTENT).await.unwrap();
    client.create("/n", "", PERSISTENT).await.unwrap();
    client.delete("/n", znode::Version::ANY).await.unwrap();
    let lost = client.create("/n", "", CreateMode::Ephemeral).await.unwrap_err();
    assert_eq!((lost.kind(), lost.outcome()), (ErrorKind::ConnectionLoss, Outcome::Unknown));
    assert_eq!(server.lost_replies(), 1);
    assert_eq!(server.ephemerals().await[&client.session_id()], ["/n"]);
    // What is proven after a lost reply needs no guess.
    server.lose_reply(LostReply::of_any_write());
    let proven = client.create_proven("/p", "", CreateMode::Ephemeral).await;
    assert!(proven.is_ok(), "{proven:?}");
    assert_eq!(server.lost_replies(), 2);
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the clock is paused: this is the test's own time")]
async fn delayed_replies_come_late_in_their_order_and_behind_each_other() {
    let server = TestingServer::start().await.unwrap();
    let client = server.connect().await.unwrap();
    let started = Instant::now();
    server.delay_replies(Duration::from_secs(2));
    let (first, second) = (client.create("/a", "", PERSISTENT), client.exists("/a"));
    first.await.unwrap();
    assert!(second.await.unwrap().is_some());
    assert!(started.elapsed() >= Duration::from_secs(2));
    let at = Instant::now();
    server.delay_replies(Duration::ZERO);
    client.exists("/a").await.unwrap();
    assert!(at.elapsed() < Duration::from_secs(1));
    // Later than the session's timeout is as bad as never.
    server.delay_replies(Duration::from_secs(600));
    let lost = client.exists("/a").await.unwrap_err();
    assert!(lost.kind() == ErrorKind::ConnectionLoss || client.state() == State::Expired);
}

#[tokio::test]
async fn refused_connections_are_cut_and_let_in_again() {
    let server = TestingServer::start().await.unwrap();
    let standing = server.connect().await.unwrap();
    server.refuse_connections(true);
    let patience = Duration::from_millis(200);
    for options in [ConnectOptions::new(), ConnectOptions::new().connector(server.connector())] {
        let options = options.connect_timeout(patience);
        assert!(options.connect(&server.connect_string()).await.is_err());
    }
    standing.exists("/").await.unwrap();
    server.refuse_connections(false);
    server.connect().await.unwrap();
}

#[tokio::test]
async fn an_older_release_is_met_as_one() {
    let spec = InstanceSpec::new().answer_as(Release::V3_4);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    client.create("/a", "x", PERSISTENT).await.unwrap();
    let refused = client.add_watch("/a", znode::AddWatchMode::Persistent).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unimplemented);
}

#[tokio::test]
async fn a_killed_server_keeps_what_it_has_acknowledged_and_finishes_nothing() {
    let dir = Dir::new();
    let spec = InstanceSpec::new().data_dir(dir.path()).snap_count(40);
    let server = TestingServer::start_with(spec).await.unwrap();
    for round in 0..8 {
        let client = server.connect().await.unwrap();
        let node = format!("/r{round}-");
        let writes: Vec<_> =
            (0..200).map(|_| client.create(&node, "", CreateMode::PersistentSequential)).collect();
        let mut acknowledged = Vec::new();
        for (i, write) in writes.into_iter().enumerate() {
            if i == 20 * round {
                server.kill().await;
            }
            if let Ok(created) = write.await {
                acknowledged.push(created.path);
            }
        }
        server.restart().await.unwrap();
        for path in &acknowledged {
            assert!(server.node(path).await.is_some(), "{path} of round {round}");
        }
    }
    server.kill().await;
    server.kill().await;
    // Without files, memory is the disk.
    let server = TestingServer::start().await.unwrap();
    server.connect().await.unwrap().create("/kept", "", PERSISTENT).await.unwrap();
    server.kill().await;
    server.restart().await.unwrap();
    assert!(server.node("/kept").await.is_some());
}

/// As Apache's: a server that stands alone has no others to which a session could be local.
#[tokio::test]
async fn a_session_of_a_server_that_stands_alone_is_never_a_local_one() {
    let lines = "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=false";
    let spec = InstanceSpec::new().zoo_cfg(lines).unwrap();
    let server = TestingServer::start_with(spec).await.unwrap();
    let before = server.zxid().await;
    let client = server.connect().await.unwrap();
    assert_eq!(server.zxid().await.0, before.0 + 1, "its beginning is a transaction");
    client.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.sessions().await[0].id, client.session_id());
}

#[tokio::test]
async fn a_longer_frame_is_let_in_where_the_limit_is_raised() {
    let spec = InstanceSpec::new().zoo_cfg("jute.maxbuffer=0x300000").unwrap();
    let server = TestingServer::start_with(spec).await.unwrap();
    let mut raw = tokio::net::TcpStream::connect(server.connect_string()).await.unwrap();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut hello = vec![0; 4 + 4 + 8 + 4 + 8 + 4 + 16 + 1];
    hello[3] = 45;
    hello[18..20].copy_from_slice(&10_000_u16.to_be_bytes());
    hello[31] = 16;
    raw.write_all(&hello).await.unwrap();
    let mut response = [0; 41];
    raw.read_exact(&mut response).await.unwrap();
    // A sync with a path of two megabytes, which comes back.
    let path = vec![b'x'; 2 << 20];
    let mut frame = Vec::new();
    let word = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
    for part in [&word(12 + path.len())[..], &word(1), &word(9), &word(path.len()), &path] {
        frame.extend_from_slice(part);
    }
    raw.write_all(&frame).await.unwrap();
    let mut answer = vec![0; 4 + 16 + 4 + path.len()];
    raw.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[24..], path);
}
