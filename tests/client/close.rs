//! The end of a session that was asked for, and the one that is handed on.

use futures::StreamExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{AddWatchMode, ConnectOptions, CreateMode, ErrorKind, EventType, Outcome, State};

use crate::ground::{Ground, disconnect, expire, is_pending, soon};
use znode_tests::support::Wire;

#[tokio::test]
async fn ephemeral_nodes_are_gone_when_close_returns() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    for i in 0..10 {
        soon(client.create(&format!("/e{i}"), "", CreateMode::Ephemeral)).await.unwrap();
    }
    soon(client.create("/p", "", CreateMode::Persistent)).await.unwrap();
    soon(other.sync("/")).await.unwrap();
    let (_, watch) = soon(other.exists_watched("/e3")).await.unwrap();
    soon(client.close()).await.unwrap();
    assert_eq!(soon(other.get_children("/")).await.unwrap(), ["p"]);
    assert_eq!(soon(watch).await.unwrap().kind, EventType::NodeDeleted);
}

#[tokio::test]
async fn after_close_everything_fails() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.close()).await.unwrap();
    let sent = wire.requests();
    let errors = [
        soon(client.create("/a", "", CreateMode::Persistent)).await.err(),
        soon(client.get_data("/")).await.err(),
        soon(client.multi([znode::Op::check("/", 0)])).await.err(),
        soon(client.add_watch("/", AddWatchMode::Persistent)).await.err(),
        soon(client.who_am_i()).await.err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        assert!(error.is_session_over(), "{error}");
    }
    assert_eq!(client.state(), State::Closed);
    assert_eq!((wire.requests(), wire.attempts()), (sent, 1));
}

#[tokio::test]
async fn close_can_be_asked_for_again() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let (first, second) = (client.close(), client.close());
    soon(first).await.unwrap();
    soon(second).await.unwrap();
    soon(client.clone().close()).await.unwrap();
    assert_eq!(wire.count(OpCode::CloseSession), 1);
}

#[tokio::test]
async fn close_closes_all_clones_and_views() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (clone, view) = (client.clone(), client.with_chroot("/app").unwrap());
    soon(view.close()).await.unwrap();
    for handle in [client, clone, view] {
        assert_eq!(handle.state(), State::Closed);
        let error = soon(handle.exists("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn streams_and_watchers_end_with_close() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let (states, events) = (client.states(), client.events());
    let (_, watch) = soon(client.exists_watched("/a")).await.unwrap();
    let mut updates = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    soon(client.close()).await.unwrap();
    let states: Vec<State> = soon(states.map(|change| change.state).collect()).await;
    assert_eq!(states, [State::Connected, State::Closed]);
    soon(events.collect::<Vec<_>>()).await;
    assert_eq!(soon(watch).await.unwrap_err().kind(), ErrorKind::Closed);
    while soon(updates.next()).await.is_some() {}
}

#[tokio::test]
async fn what_was_asked_before_close_is_answered_before_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let writes: Vec<_> =
        (0..100).map(|_| client.create("/n-", "", CreateMode::PersistentSequential)).collect();
    let close = client.close();
    let after = client.create("/after", "", CreateMode::Persistent);
    for created in soon(join_all(writes)).await {
        created.unwrap();
    }
    soon(close).await.unwrap();
    let error = soon(after).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let other = ground.connect().await;
    assert_eq!(soon(other.exists("/after")).await.unwrap(), None);
}

#[tokio::test]
async fn close_takes_place_though_nobody_awaits_it() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    soon(other.sync("/")).await.unwrap();
    let (_, watch) = soon(other.exists_watched("/e")).await.unwrap();
    drop(client.close());
    assert_eq!(soon(watch).await.unwrap().kind, EventType::NodeDeleted);
}

#[tokio::test]
async fn close_without_a_server_ends_all_the_same() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    disconnect(&client, &wire).await;
    let queued = client.create("/a", "", CreateMode::Persistent);
    // The server could not be told; what matters here is that this returns and is final.
    let _told = soon(client.close()).await;
    assert!(client.state().is_terminal());
    let error = soon(queued).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.is_session_over());
}

#[tokio::test]
async fn close_after_expiry_is_nothing_more() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_short().await;
    expire(&client, &wire).await;
    let _over = soon(client.close()).await;
    assert_eq!(client.state(), State::Expired);
}

#[tokio::test]
async fn a_detached_session_goes_on_under_its_ticket() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let session = client.session_id();
    soon(client.create("/e", "x", CreateMode::Ephemeral)).await.unwrap();
    let ticket = soon(client.detach()).await.unwrap();
    let resumed = ground.connect_with(ConnectOptions::new().resume(ticket)).await;
    assert_eq!(resumed.session_id(), session);
    let (data, stat) = soon(resumed.get_data("/e")).await.unwrap();
    assert_eq!((&data[..], stat.ephemeral_owner), (&b"x"[..], session));
    assert_eq!(soon(resumed.get_ephemerals("/")).await.unwrap(), ["/e"]);
    soon(resumed.close()).await.unwrap();
    let other = ground.connect().await;
    assert_eq!(soon(other.exists("/e")).await.unwrap(), None);
}

#[tokio::test]
async fn a_detached_client_is_over_and_its_session_is_not() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let states = client.states();
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    let pending = client.set_data("/e", "x", 0);
    let _ticket = soon(client.detach()).await.unwrap();
    // What was in line has been answered, one way or the other.
    let _answer = soon(pending).await;
    let error = soon(client.get_data("/e")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(client.state().is_terminal());
    soon(states.collect::<Vec<_>>()).await;
    assert_eq!(wire.count(OpCode::CloseSession), 0);
    soon(other.sync("/")).await.unwrap();
    assert!(soon(other.exists("/e")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_resumed_session_says_which_one_it_is() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.set_data("/", "x", -1)).await.unwrap();
    let (session, seen) = (client.session_id(), client.last_zxid());
    let ticket = soon(client.detach()).await.unwrap();
    let wire = Wire::tcp();
    let options = ConnectOptions::new().connector(wire.clone()).resume(ticket);
    let resumed = ground.connect_with(options).await;
    assert_eq!(resumed.session_id(), session);
    let handshake = wire.handshakes()[0];
    assert_eq!(handshake.session, session);
    assert!(handshake.last_zxid <= seen);
}

#[tokio::test]
async fn a_session_is_closed_when_its_last_handle_is_dropped() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    soon(other.sync("/")).await.unwrap();
    let (_, mut watch) = soon(other.exists_watched("/e")).await.unwrap();
    let view = client.with_chroot("/app").unwrap();
    drop(client.clone());
    drop(client);
    soon(view.exists("/")).await.unwrap();
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut watch));
    drop(view);
    assert_eq!(soon(watch).await.unwrap().kind, EventType::NodeDeleted);
}

#[tokio::test]
async fn a_watcher_keeps_its_session() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let (_, watch) = soon(client.exists_watched("/a")).await.unwrap();
    drop(client);
    soon(other.create("/a", "", CreateMode::Persistent)).await.unwrap();
    assert_eq!(soon(watch).await.unwrap().kind, EventType::NodeCreated);
}

#[tokio::test]
async fn a_connect_that_is_given_up_leaves_no_session() {
    let ground = Ground::start().await;
    let wire = Wire::tcp();
    wire.hold_replies();
    let options = ConnectOptions::new().connector(wire.clone());
    let list = ground.connect_string();
    let connect = tokio::spawn(async move { options.connect(&list).await });
    wire.until_handshakes(1).await;
    connect.abort();
    assert!(soon(connect).await.unwrap_err().is_cancelled());
    wire.resume();
    wire.until(OpCode::CloseSession, 1).await;
}

#[tokio::test]
async fn close_is_final_though_its_reply_is_lost() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create("/e", "", CreateMode::Ephemeral)).await.unwrap();
    wire.cut_before_reply(OpCode::CloseSession);
    let _told = soon(client.close()).await;
    assert_eq!(client.state(), State::Closed);
    let other = ground.connect().await;
    assert_eq!(soon(other.exists("/e")).await.unwrap(), None);
    assert_eq!(wire.attempts(), 1);
}

/// The task of a session dies with the runtime that it was spawned on; nobody may wait for it.
#[test]
fn a_client_that_outlives_its_runtime_fails_what_is_asked_of_it() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // The server has a runtime of its own, so that it is not the connection that goes.
    let (servers, first, second) = (runtime(), runtime(), runtime());
    let ground = servers.block_on(Ground::start());
    let (client, queued, _wire) = first.block_on(async {
        let (client, wire) = ground.connect_wired().await;
        wire.hold_replies();
        let queued = client.get_data("/a");
        // A task that had no time to take the request would rightly say that it was not sent.
        wire.until(OpCode::GetData, 1).await;
        (client, queued, wire)
    });
    drop(first);
    second.block_on(async {
        let error = soon(queued).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::Unknown));
        let error = soon(client.get_data("/a")).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotSent));
        assert_eq!(client.state(), State::Closed);
    });
}
