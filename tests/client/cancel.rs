//! Every verb of a client, its future dropped at each await, on a good link and on one that is cut
//! in place of the request or of its reply: no watch is left, and the next call works. What is made
//! of several requests is swept beside its own facts.

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use znode::proto::OpCode;
use znode::{
    Acl, AddWatchMode, Client, ConnectOptions, CreateMode, Error, Op, ReadOp, State, Supervisor,
    Version, WatcherType,
};

use crate::ground::{Ground, reach, settle, soon};
use crate::sweep::sweep;
use znode_tests::support::{Wire, drop_at};

/// A verb by its operation, with whatever it needs.
type Verb = (OpCode, fn(Client) -> LocalBoxFuture<'static, Result<(), Error>>);

macro_rules! verbs {
    ($($op:ident => |$client:ident| $call:expr,)*) => {
        &[$((OpCode::$op, |$client| Box::pin(async move { $call.await.map(drop) })),)*]
    };
}

const READS: &[Verb] = verbs! {
    Exists => |client| client.exists("/node"),
    Exists => |client| client.exists_watched("/node"),
    Exists => |client| client.exists_watched("/none"),
    GetData => |client| client.get_data("/node"),
    GetData => |client| client.get_data_watched("/node"),
    GetChildren => |client| client.get_children("/node"),
    GetChildren2 => |client| client.get_children_with_stat("/node"),
    GetChildren2 => |client| client.get_children_watched("/node"),
    GetAllChildrenNumber => |client| client.get_all_children_number("/"),
    GetEphemerals => |client| client.get_ephemerals("/"),
    GetAcl => |client| client.get_acl("/node"),
    WhoAmI => |client| client.who_am_i(),
    Sync => |client| client.sync("/"),
    MultiRead => |client| client.multi_read([ReadOp::get_data("/node")]),
    AddWatch => |client| client.add_watch("/node", AddWatchMode::Persistent),
    AddWatch => |client| client.add_watch("/", AddWatchMode::PersistentRecursive),
};

const WRITES: &[Verb] = verbs! {
    Create2 => |client| client.create("/made", "", CreateMode::Persistent),
    Create2 => |client| client.create("/made", "", CreateMode::Ephemeral),
    CreateContainer => |client| client.create("/made", "", CreateMode::Container),
    Delete => |client| client.delete("/node", Version::ANY),
    SetData => |client| client.set_data("/node", "x", Version::ANY),
    SetAcl => |client| client.set_acl("/node", &[Acl::open()], Version::ANY),
    Multi => |client| client.multi([Op::create("/made", "", CreateMode::Persistent)]),
    Auth => |client| client.add_auth("digest", "user:password"),
};

/// The node that the verbs work on stands, and what they may have made does not.
async fn restore(other: &Client) {
    for (path, wanted) in [("/node", true), ("/made", false)] {
        match (soon(other.exists(path)).await.unwrap(), wanted) {
            (None, true) => {
                soon(other.create(path, "", CreateMode::Persistent)).await.unwrap();
            }
            (Some(_), false) => soon(other.delete(path, Version::ANY)).await.unwrap(),
            _ => {}
        }
    }
}

async fn sweep_verbs(verbs: &[Verb]) {
    let ground = Ground::start().await;
    restore(&ground.connect().await).await;
    for (op, verb) in verbs {
        sweep(&ground, &[*op], verb, async |other, _| restore(other).await).await;
    }
}

#[tokio::test]
async fn a_read_that_is_dropped_leaves_nothing() {
    sweep_verbs(READS).await;
}

#[tokio::test]
async fn a_write_that_is_dropped_leaves_the_session_well() {
    sweep_verbs(WRITES).await;
}

#[tokio::test]
async fn a_watcher_that_is_dropped_while_it_waits_leaves_no_watch() {
    let ground = Ground::start().await;
    restore(&ground.connect().await).await;
    let make = |client: Client| async move {
        let (_, _, changed) = client.get_data_watched("/node").await?;
        let mut updates = client.add_watch("/node", AddWatchMode::Persistent).await?;
        let written = client.set_data("/node", "x", Version::ANY);
        let _ = updates.recv().await;
        // Only what is known to be written is known to be told.
        written.await?;
        changed.await?;
        updates.remove().await
    };
    let ops = [OpCode::GetData, OpCode::AddWatch, OpCode::SetData, OpCode::RemoveWatches];
    sweep(&ground, &ops, make, async |_, _| {}).await;
}

#[tokio::test]
async fn a_removal_that_is_dropped_is_carried_out() {
    let ground = Ground::start().await;
    restore(&ground.connect().await).await;
    let make = |client: Client| async move {
        let (_, _, changed) = client.get_data_watched("/node").await?;
        client.remove_watches("/node", WatcherType::Data).await?;
        changed.await.map(drop)
    };
    let ops = [OpCode::GetData, OpCode::RemoveWatches];
    sweep(&ground, &ops, make, async |_, _| {}).await;
}

/// Connecting, dropped at each await: no session stays behind.
#[tokio::test]
async fn a_connect_that_is_dropped_leaves_no_session() {
    let ground = Ground::start().await;
    for pending in 1.. {
        let wire = Wire::tcp();
        let options = ConnectOptions::new().connector(wire.clone()).auth("digest", "user:password");
        match soon(drop_at(pending, ground.try_connect(options))).await {
            Some(connected) => {
                soon(connected.unwrap().close()).await.unwrap();
                assert!(pending > 1, "nothing was dropped");
                break;
            }
            // What was opened is closed, and whatever was not never will be.
            None if !wire.handshakes().is_empty() => {
                soon(wire.until(OpCode::CloseSession, 1)).await;
            }
            None => {}
        }
    }
}

#[tokio::test]
async fn a_close_that_is_dropped_is_carried_out() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let mut states = client.states();
    assert!(drop_at(1, client.close()).await.is_none());
    reach(&mut states, State::Closed).await;
}

#[tokio::test]
async fn a_detach_that_is_dropped_is_carried_out() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let mut states = client.states();
    assert!(drop_at(1, client.detach()).await.is_none());
    reach(&mut states, State::Closed).await;
    assert_eq!(wire.count(OpCode::CloseSession), 0);
}

/// Streams lose nothing when a wait for their next item is given up.
#[tokio::test]
async fn a_stream_loses_nothing_to_a_dropped_wait() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let mut updates = soon(client.add_watch("/a", AddWatchMode::Persistent)).await.unwrap();
    let mut states = client.states();
    reach(&mut states, State::Connected).await;
    for _ in 0..10 {
        assert!(drop_at(1, updates.recv()).await.is_none());
        assert!(drop_at(1, states.next()).await.is_none());
        soon(other.create("/a", "", CreateMode::Persistent)).await.unwrap();
        soon(other.delete("/a", Version::ANY)).await.unwrap();
        assert!(soon(updates.recv()).await.is_some());
        assert!(soon(updates.recv()).await.is_some());
    }
    settle(&client).await;
}

#[tokio::test]
async fn a_supervisor_that_is_dropped_while_it_connects_leaves_no_session() {
    let ground = Ground::start().await;
    for pending in 1.. {
        let wire = Wire::tcp();
        let options = ConnectOptions::new().connector(wire.clone());
        let list = ground.connect_string();
        match soon(drop_at(pending, Supervisor::connect(options, &list))).await {
            Some(supervisor) => {
                let supervisor = supervisor.unwrap();
                assert!(drop_at(1, supervisor.close()).await.is_none());
                soon(supervisor.close()).await.unwrap();
                assert_eq!(supervisor.client().state(), State::Closed);
                break;
            }
            None if !wire.handshakes().is_empty() => {
                soon(wire.until(OpCode::CloseSession, 1)).await;
            }
            None => {}
        }
    }
}
