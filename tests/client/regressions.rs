//! What has gone wrong in other clients, each fact named after its report. Others of these stand
//! where they are cheapest to see: among the scenarios of the session, and among the recipes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use znode::proto::replies::{DataReply, StatReply};
use znode::proto::requests::{SetWatches2Request, SetWatchesRequest};
use znode::proto::{Decoder, ErrorCode, JutePut, OpCode, ReplyHeader, WatcherEvent, Xid, Zxid};
use znode::{
    AddWatchMode, Client, ConnectOptions, Connecting, Connector, CreateMode, ErrorKind, EventType,
    HostPort, Outcome, SessionId, Stat, State, TcpConnector, Version, WatchUpdate,
};

use crate::ground::{Ground, disconnect, next_event, reach, readmit, settle, soon};
use crate::paused::now;
use crate::script::{Peer, Script};

/// Answers a read of data and returns when the client has it.
async fn serve_read(client: &Client, peer: &mut Peer, zxid: i64) {
    let read = client.get_data("/a");
    let request = peer.expect(OpCode::GetData).await;
    peer.answer_with(request.xid, zxid, &DataReply { data: None, stat: Stat::default() }).await;
    soon(read).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn kezhuw_82d25e5_the_newest_zxid_is_sent_on_reconnect() {
    let (client, mut peer, mut script) = Script::connected().await;
    serve_read(&client, &mut peer, 0x2_0000_0005).await;
    drop(peer);
    assert_eq!(script.accept().await.greet(7).await.last_zxid, Zxid(0x2_0000_0005));
    assert_eq!(client.last_zxid(), Zxid(0x2_0000_0005));
}

/// Several events of one transaction, and the link lost between them: were the first to move the
/// zxid, the server would take the rest for told (also ZOOKEEPER-1289, ZOOKEEPER-4655).
#[tokio::test(start_paused = true)]
async fn kezhuw_82_an_event_does_not_move_the_zxid() {
    let (client, mut peer, mut script) = Script::connected().await;
    let mut watchers = Vec::new();
    for path in ["/a", "/b"] {
        let read = client.get_data_watched(path);
        let request = peer.expect(OpCode::GetData).await;
        peer.answer_with(request.xid, 5, &DataReply { data: None, stat: Stat::default() }).await;
        watchers.push(soon(read).await.unwrap().2);
    }
    peer.notify(6, EventType::NodeDataChanged, "/a").await;
    soon(watchers.remove(0)).await.unwrap();
    drop(peer);
    let mut peer = script.accept().await;
    assert_eq!(peer.greet(7).await.last_zxid, Zxid(5));
    let restored = peer.expect(OpCode::SetWatches).await;
    let restored: SetWatchesRequest<'_> = Decoder::new(&restored.body).read().unwrap();
    assert_eq!((restored.relative_zxid, restored.data), (Zxid(5), vec!["/b".into()]));
}

#[tokio::test(start_paused = true)]
async fn rust_zookeeper_49c272a_the_zxid_never_falls() {
    let (client, mut peer, _script) = Script::connected().await;
    for zxid in [7, 3, 0, -1] {
        serve_read(&client, &mut peer, zxid).await;
    }
    assert_eq!(client.last_zxid(), Zxid(7));
}

#[tokio::test(start_paused = true)]
async fn kezhuw_22_an_unwatch_is_numbered_like_any_request() {
    let (client, mut peer, _script) = Script::connected().await;
    let read = client.get_data_watched("/a");
    let request = peer.expect(OpCode::GetData).await;
    peer.answer_with(request.xid, 1, &DataReply { data: None, stat: Stat::default() }).await;
    drop(soon(read).await.unwrap());
    let removal = peer.expect(OpCode::RemoveWatches).await;
    assert_eq!(removal.xid, request.xid + 1);
    peer.answer(removal.xid, 1, ErrorCode::Ok).await;
    serve_read(&client, &mut peer, 1).await;
}

#[tokio::test]
async fn kezhuw_d20c161_a_late_unwatch_does_not_remove_a_newer_watch() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    let (_, _, old) = soon(client.get_data_watched("/a")).await.unwrap();
    let newer = client.get_data_watched("/a");
    drop(old);
    let (_, _, newer) = soon(newer).await.unwrap();
    settle(&client).await;
    soon(client.set_data("/a", "x", Version::ANY)).await.unwrap();
    assert_eq!(soon(newer).await.unwrap().kind, EventType::NodeDataChanged);
}

#[tokio::test(start_paused = true)]
async fn kezhuw_280ae6f_expiry_is_told_as_expiry_not_as_a_close() {
    let (client, peer, mut script) = Script::connected().await;
    drop(peer);
    let waiting = client.get_data("/a");
    let mut peer = script.accept().await;
    peer.hello().await;
    peer.confirm(0, 0).await;
    assert_eq!(soon(waiting).await.unwrap_err().kind(), ErrorKind::SessionExpired);
    assert_eq!(client.state(), State::Expired);
    assert_eq!(soon(client.get_data("/a")).await.unwrap_err().kind(), ErrorKind::SessionExpired);
}

/// Also ZOOKEEPER-4508: without a server there is an end to ConnectionLoss.
#[tokio::test(start_paused = true)]
async fn kezhuw_0e4e201_zookeeper_4508_expiry_is_not_delayed_by_back_off() {
    let (client, peer, script) = Script::connected().await;
    let started = now();
    drop((peer, script));
    let waiting = client.get_data("/a");
    assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::SessionExpired);
    assert_eq!(started.elapsed(), client.session_timeout());
}

/// Doubling a pause for ever runs over; here it stays at its bound (CURATOR-262, GH-1248).
#[tokio::test(start_paused = true)]
async fn kezhuw_77_curator_262_gh_1248_back_off_does_not_overflow() {
    let (options, script) = Script::new();
    drop(script);
    let options = options.connect_timeout(Duration::from_secs(3600));
    let error = options.connect("script:1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
}

#[tokio::test(start_paused = true)]
async fn kezhuw_45_a_refused_identity_is_told() {
    let (client, mut peer, _script) = Script::connected().await;
    let mut states = client.states();
    let added = client.add_auth("digest", "user:password");
    peer.expect(OpCode::Auth).await;
    peer.answer(-4, 0, ErrorCode::AuthFailed).await;
    assert_eq!(soon(added).await.unwrap_err().kind(), ErrorKind::AuthFailed);
    reach(&mut states, State::AuthFailed).await;
    assert_eq!(states.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn go_zk_463724b_zookeeper_2251_a_mute_server_holds_nobody_up() {
    let (client, _mute, _script) = Script::connected().await;
    let asked = (client.get_data("/a"), client.set_data("/a", "x", 1), client.sync("/"));
    let closed = client.close();
    assert_eq!(asked.0.await.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(asked.1.await.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(asked.2.await.unwrap_err().outcome(), Outcome::Unknown);
    // The server could not be told, and this is said.
    assert_eq!(closed.await.unwrap_err().kind(), ErrorKind::ConnectionLoss);
}

/// An identity whose answer was lost is sent again, and its caller answered once.
#[tokio::test(start_paused = true)]
async fn go_zk_ff6eb7f_an_identity_on_its_way_survives_a_reconnect() {
    let (client, mut peer, mut script) = Script::connected().await;
    let added = client.add_auth("digest", "user:password");
    peer.expect(OpCode::Auth).await;
    drop(peer);
    let mut peer = script.accept().await;
    peer.greet(7).await;
    peer.expect(OpCode::Auth).await;
    peer.answer(-4, 0, ErrorCode::Ok).await;
    soon(added).await.unwrap();
    serve_read(&client, &mut peer, 1).await;
}

/// Answers to identities carry no number of their own; those around them keep theirs.
#[tokio::test(start_paused = true)]
async fn kazoo_add_auth_between_requests_keeps_their_numbers() {
    let (client, mut peer, _script) = Script::connected().await;
    let first = client.get_data("/a");
    let added = client.add_auth("digest", "user:password");
    let second = client.get_data("/b");
    let xids = [
        peer.expect(OpCode::GetData).await.xid,
        peer.expect(OpCode::Auth).await.xid,
        peer.expect(OpCode::GetData).await.xid,
    ];
    assert_eq!(xids, [1, -4, 2]);
    // A server may answer identities out of turn.
    peer.answer(-4, 0, ErrorCode::Ok).await;
    peer.answer(1, 1, ErrorCode::NoNode).await;
    peer.answer(2, 1, ErrorCode::NoNode).await;
    soon(added).await.unwrap();
    for read in [first, second] {
        assert_eq!(soon(read).await.unwrap_err().kind(), ErrorKind::NoNode);
    }
}

/// One ping is under way at a time, however slow the server.
#[tokio::test(start_paused = true)]
async fn rust_zookeeper_a43f686_pings_do_not_pile_up() {
    let (client, mut peer, _script) = Script::connected().await;
    assert_eq!(peer.request().await.op, OpCode::Ping);
    assert_eq!(peer.frame().await, None, "the link is given up before another ping");
    assert_eq!(client.state(), State::Suspect);
}

/// A client that does nothing but read answers still pings: here one that is kept busy with events.
#[tokio::test(start_paused = true)]
async fn kazoo_89e0660_answers_do_not_starve_pings() {
    let (client, mut peer, _script) = Script::connected().await;
    let adding = client.add_watch("/a", AddWatchMode::Persistent);
    let request = peer.expect(OpCode::AddWatch).await;
    peer.answer_with(request.xid, 1, &0i32).await;
    let mut updates = soon(adding).await.unwrap();
    let mut pings = 0;
    for zxid in 0..100 {
        peer.notify(zxid, EventType::NodeDataChanged, "/a").await;
        next_event(&mut updates).await;
        tokio::time::advance(Duration::from_millis(200)).await;
        settle_time().await;
        while let Some(ping) = peer.try_request().await {
            assert_eq!(ping.op, OpCode::Ping);
            peer.answer(-2, 0, ErrorCode::Ok).await;
            pings += 1;
        }
    }
    assert!((5..=8).contains(&pings), "{pings} pings in 20 s of a timeout of 9 s");
}

/// Lets every task see the time as it is.
async fn settle_time() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Nothing of a client is left once its session is over: no task holds what it was given.
#[tokio::test]
async fn rust_zookeeper_5bd4cbe_nothing_runs_on_after_the_end() {
    #[derive(Debug)]
    struct Counted(#[expect(dead_code, reason = "it is its count that matters")] Arc<()>);

    impl Connector for Counted {
        fn connect(&self, host: &HostPort) -> Connecting {
            TcpConnector.connect(host)
        }
    }

    let ground = Ground::start().await;
    let held = Arc::new(());
    let options = ConnectOptions::new().connector(Counted(Arc::clone(&held)));
    let client = ground.connect_with(options).await;
    assert_eq!(Arc::strong_count(&held), 2);
    soon(client.close()).await.unwrap();
    drop(client);
    soon(async {
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// More paths than one frame may carry, below a chroot: each batch is small enough, and each path
/// is the whole one (also go-zk 6f3354f; ZOOKEEPER-961, -1412, -1667).
#[tokio::test(start_paused = true)]
async fn zookeeper_706_961_1412_1667_watches_are_restored_whole_and_in_batches() {
    let (options, script) = Script::new();
    let (client, mut peer, mut script) = script.connected_with(options, "script:1/app").await;
    let mut watchers = Vec::new();
    for number in 0..2000 {
        let read = client.exists_watched(&format!("/{number:0>500}"));
        let request = peer.expect(OpCode::Exists).await;
        peer.answer(request.xid, 3, ErrorCode::NoNode).await;
        watchers.push(soon(read).await.unwrap());
    }
    drop(peer);
    let mut peer = script.accept().await;
    peer.greet(7).await;
    let mut restored = 0;
    while restored < watchers.len() {
        let batch = peer.expect(OpCode::SetWatches).await;
        assert!(batch.body.len() < 140 * 1024, "{}", batch.body.len());
        let batch: SetWatchesRequest<'_> = Decoder::new(&batch.body).read().unwrap();
        assert!(batch.exist.iter().all(|path| path.starts_with("/app/0") && path.len() == 505));
        restored += batch.exist.len();
    }
}

/// The server keeps one entry for a path and a connection; the client must not let one watcher's
/// end be another's.
#[tokio::test]
async fn zookeeper_1910_4466_4475_modes_on_one_path_do_not_interfere() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(client.create("/a", "", CreateMode::Persistent)).await.unwrap();
    let recursive = AddWatchMode::PersistentRecursive;
    let mut below = soon(client.add_watch("/a", recursive)).await.unwrap();
    let mut node = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    let (_, _, once) = soon(client.get_data_watched("/a")).await.unwrap();
    drop(once);
    settle(&client).await;
    soon(client.set_data("/a", "x", Version::ANY)).await.unwrap();
    soon(client.create("/a/b", "", CreateMode::Persistent)).await.unwrap();
    for kind in [EventType::NodeDataChanged, EventType::NodeChildrenChanged] {
        assert_eq!(next_event(&mut node).await.kind, kind);
    }
    for kind in [EventType::NodeDataChanged, EventType::NodeCreated] {
        assert_eq!(next_event(&mut below).await.kind, kind);
    }
    drop(node);
    settle(&client).await;
    soon(client.delete("/a/b", Version::ANY)).await.unwrap();
    assert_eq!(next_event(&mut below).await.kind, EventType::NodeDeleted);
}

/// A chroot comes off at a component's end only, and the root below it is `/`.
#[tokio::test(start_paused = true)]
async fn zookeeper_2282_4565_a_chroot_comes_off_events_and_nothing_else_does() {
    let (options, script) = Script::new();
    let (client, mut peer, _script) = script.connected_with(options, "script:1/app").await;
    let adding = client.add_watch("/", AddWatchMode::PersistentRecursive);
    let request = peer.expect(OpCode::AddWatch).await;
    peer.answer_with(request.xid, 1, &0i32).await;
    let mut updates = soon(adding).await.unwrap();
    for (told, heard) in [("/app", "/"), ("/app/a", "/a"), ("/app/app", "/app")] {
        peer.notify(1, EventType::NodeCreated, told).await;
        assert_eq!(next_event(&mut updates).await.path, heard);
    }
    // A sibling is not below.
    peer.notify(1, EventType::NodeCreated, "/apple").await;
    peer.notify(1, EventType::NodeDeleted, "/app/a").await;
    assert_eq!(next_event(&mut updates).await.kind, EventType::NodeDeleted);
}

/// Names are given to the connector at every attempt, never an address that one once had.
#[tokio::test(start_paused = true)]
async fn zookeeper_2184_3100_a_name_is_resolved_anew_at_each_attempt() {
    let (options, script) = Script::new();
    let (_client, mut peer, mut script) = script.connected_with(options, "by-name:1").await;
    for _ in 0..3 {
        peer = script.accept_after(&mut peer).await;
        assert_eq!(peer.host, HostPort::new("by-name", 1));
    }
}

/// A keeper that answers a resume with a session of its own choosing has lost ours.
#[tokio::test(start_paused = true)]
async fn clickhouse_116690_another_session_is_never_taken_for_ours() {
    let (client, mut peer, mut script) = Script::connected().await;
    let adding = client.add_watch("/a", AddWatchMode::Persistent);
    let request = peer.expect(OpCode::AddWatch).await;
    peer.answer_with(request.xid, 1, &0i32).await;
    let mut updates = soon(adding).await.unwrap();
    let mut states = client.states();
    drop(peer);
    assert_eq!(script.accept().await.greet(8).await.session, SessionId(7));
    reach(&mut states, State::Expired).await;
    assert_eq!(soon(updates.recv()).await, None);
    assert_eq!(client.session_id(), SessionId(7));
}

/// Persistent watches lose what happens while the link is down; the subscriber is told so.
#[tokio::test]
async fn zookeeper_4698_a_gap_in_a_persistent_watch_is_told() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mut updates = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    disconnect(&client, &wire).await;
    let other = ground.connect().await;
    soon(other.create("/a", "", CreateMode::Persistent)).await.unwrap();
    readmit(&client, &wire).await;
    assert_eq!(soon(updates.recv()).await, Some(WatchUpdate::Gap));
    assert!(soon(client.exists("/a")).await.unwrap().is_some());
}

/// A persistent watch is restored by the request that knows of it, a one-shot one by the older.
#[tokio::test(start_paused = true)]
async fn an_old_server_is_asked_only_what_it_knows_where_that_suffices() {
    let (client, mut peer, mut script) = Script::connected().await;
    let written = client.set_data("/a", "", Version::ANY);
    let request = peer.expect(OpCode::SetData).await;
    peer.answer_with(request.xid, 4, &StatReply { stat: Stat::default() }).await;
    soon(written).await.unwrap();
    let adding = client.add_watch("/a", AddWatchMode::Persistent);
    let request = peer.expect(OpCode::AddWatch).await;
    peer.answer_with(request.xid, 1, &0i32).await;
    let _updates = soon(adding).await.unwrap();
    drop(peer);
    let mut peer = script.accept().await;
    peer.greet(7).await;
    let restored = peer.expect(OpCode::SetWatches2).await;
    let restored: SetWatches2Request<'_> = Decoder::new(&restored.body).read().unwrap();
    assert_eq!(restored.persistent, ["/a"]);
    peer.send(|out| {
        let (xid, zxid, error) = (Xid::NOTIFICATION, Zxid(5), ErrorCode::Ok);
        out.put(&ReplyHeader { xid, zxid, error });
        out.put(&WatcherEvent { kind: 3, state: 3, path: "/a".into() });
    })
    .await;
}
