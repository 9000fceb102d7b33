//! Servers that do not know an operation: what is asked of them instead, and what is told.

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{
    AddWatchMode, Client, CreateMode, Created, ErrorKind, EventType, Op, OpResult, Outcome,
    SessionId, State, Version, WatchUpdate,
};

use znode_testing::{InstanceSpec, Release, TestingServer};

use crate::ground::{Ground, disconnect, readmit, reconnect, soon};
use znode_tests::support::Wire;

const PERSISTENT: CreateMode = CreateMode::Persistent;

/// A client of a server from before 3.5.
async fn connect_old(ground: &Ground) -> (Client, Wire) {
    let (client, wire) = ground.connect_wired().await;
    wire.unlearn(OpCode::Create2);
    (client, wire)
}

/// What `create` told is what the server says, but for the times.
async fn is_true(client: &Client, created: &Created) {
    let mut stat = soon(client.exists(&created.path)).await.unwrap().unwrap();
    (stat.ctime, stat.mtime) = (0, 0);
    assert_eq!(created.stat, stat);
}

#[tokio::test]
async fn a_create_falls_back_and_tells_its_metadata_but_for_the_times() {
    let ground = Ground::start().await;
    let (client, wire) = connect_old(&ground).await;
    for (path, data, mode) in [
        ("/a", "", PERSISTENT),
        ("/a/b", "some data", CreateMode::PersistentSequential),
        ("/c", "x", CreateMode::Ephemeral),
        ("/a/", "", CreateMode::EphemeralSequential),
    ] {
        let created = soon(client.create(path, data, mode)).await.unwrap();
        assert!(created.path.starts_with(path));
        let owner = if mode.is_ephemeral() { client.session_id() } else { SessionId::NONE };
        assert_eq!(created.stat.ephemeral_owner, owner);
        is_true(&client, &created).await;
    }
    // It was tried once, and cost one connection.
    assert_eq!((wire.count(OpCode::Create2), wire.count(OpCode::Create)), (1, 4));
    assert_eq!(wire.handshakes().len(), 2);
}

#[tokio::test]
async fn what_is_learned_holds_for_the_session() {
    let ground = Ground::start().await;
    let (client, wire) = connect_old(&ground).await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    reconnect(&client, &wire).await;
    soon(client.create("/b", "", PERSISTENT)).await.unwrap();
    assert_eq!((wire.count(OpCode::Create2), wire.count(OpCode::Create)), (1, 2));
}

#[tokio::test]
async fn nothing_overtakes_a_create_that_falls_back() {
    let ground = Ground::start().await;
    let (client, wire) = connect_old(&ground).await;
    let create = client.create("/a", "", PERSISTENT);
    let behind: Vec<_> = (0..5).map(|_| client.create("/a/n-", "", PERSISTENT)).collect();
    match soon(create).await {
        Ok(created) => is_true(&client, &created).await,
        // Apache may reset the connection before its answer was read, as more was on the way.
        Err(error) => assert_eq!(error.outcome(), Outcome::Unknown),
    }
    for error in soon(join_all(behind)).await {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    }
    assert!(wire.count(OpCode::Create) <= 1);
    assert_eq!(soon(client.get_children("/")).await.unwrap().len(), wire.count(OpCode::Create));
}

#[tokio::test]
async fn a_refusal_of_the_older_request_is_the_callers() {
    let ground = Ground::start().await;
    let (client, _wire) = connect_old(&ground).await;
    let error = soon(client.create("/a/b", "", PERSISTENT)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoNode, Outcome::Rejected));
    assert_eq!((error.op(), error.path()), ("create", Some("/a/b")));
}

#[tokio::test]
async fn a_lost_reply_to_the_older_request_is_unknown() {
    let ground = Ground::start().await;
    let (client, wire) = connect_old(&ground).await;
    wire.cut_before_reply(OpCode::Create);
    let error = soon(client.create("/a", "", PERSISTENT)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ConnectionLoss, Outcome::Unknown));
    assert!(soon(client.exists("/a")).await.unwrap().is_some());
    assert_eq!(wire.count(OpCode::Create), 1);
}

#[tokio::test]
async fn containers_are_not_made_into_something_else() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.unlearn(OpCode::CreateContainer);
    let error = soon(client.create("/a", "", CreateMode::Container)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unimplemented, Outcome::Rejected));
    assert_eq!(soon(ground.connect().await.exists("/a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_persistent_watch_is_refused_by_a_server_that_knows_none() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.unlearn(OpCode::AddWatch);
    let error = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unimplemented, Outcome::Rejected));
    // The server closes the connection after it; the session lives on.
    while soon(client.exists("/")).await.is_err() {}
    assert_eq!(client.state(), State::Connected);
}

#[tokio::test]
async fn persistent_watches_end_with_a_word_on_a_server_that_knows_none() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    soon(client.create("/a", "", PERSISTENT)).await.unwrap();
    let modes = [AddWatchMode::Persistent, AddWatchMode::PersistentRecursive];
    let asked = modes.map(|mode| client.add_watch("/a", mode));
    let mut persistent = soon(join_all(asked)).await;
    let (_, _, oneshot) = soon(client.get_data_watched("/a")).await.unwrap();
    disconnect(&client, &wire).await;
    wire.unlearn(OpCode::SetWatches2);
    readmit(&client, &wire).await;
    for watcher in &mut persistent {
        let watcher = watcher.as_mut().unwrap();
        let mut updates = Vec::new();
        while let Some(update) = soon(watcher.recv()).await {
            updates.push(update);
        }
        assert_eq!(updates.last(), Some(&WatchUpdate::Unsupported), "{updates:?}");
    }
    // The one-shot watch of the same request is restored in the older way.
    soon(other.set_data("/a", "x", Version::ANY)).await.unwrap();
    assert_eq!(soon(oneshot).await.unwrap().kind, EventType::NodeDataChanged);
    assert_eq!((wire.count(OpCode::SetWatches2), wire.count(OpCode::SetWatches)), (1, 1));
    assert_eq!(client.state(), State::Connected);
}

/// Apache's last release of that line cannot be had as a jar by itself; ours refuses what it does.
#[tokio::test]
async fn a_transaction_with_creates_falls_back_on_a_server_before_3_5() {
    let spec = InstanceSpec::new().answer_as(Release::V3_4);
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    let created = |result: &OpResult| match result {
        OpResult::Created(created) => created.clone(),
        other => panic!("{other:?}"),
    };
    let ops = || {
        [
            Op::create("/a", "some data", PERSISTENT),
            Op::create("/a/n-", "x", CreateMode::EphemeralSequential),
            Op::check("/a", 0),
        ]
    };
    let results = soon(client.multi(ops())).await.unwrap();
    is_true(&client, &created(&results[1])).await;
    assert_eq!(created(&results[0]).stat.data_length, 9);
    assert_eq!(created(&results[1]).path, "/a/n-0000000000");
    // It failed, and as a transaction fails.
    let error = soon(client.multi(ops())).await.unwrap_err();
    assert_eq!((error.kind(), error.op_index()), (ErrorKind::NodeExists, Some(0)));
    // What is learned by the one verb does not cost the other its connection twice.
    soon(client.create("/b", "", PERSISTENT)).await.unwrap();
    let results = soon(client.multi([Op::create("/c", "", PERSISTENT)])).await.unwrap();
    is_true(&client, &created(&results[0])).await;
    // Containers are not made into something else.
    let error = soon(client.multi([Op::create("/d", "", CreateMode::Container)])).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Marshalling);
    assert_eq!(soon(client.exists("/d")).await.unwrap(), None);
}
