//! Nodes with a time to live that are kept alive.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, sleep};
use znode::proto::OpCode;
use znode::{Client, CreateMode, ErrorKind, Stat, TTL_MAX, Version, Zxid};
use znode_recipes::{NodeState, NodeStates, RecipeError, RecipeErrorKind, TtlNode};
use znode_testing::{InstanceSpec, TestingServer};

use crate::ground::{CUTS, Ground, delete, dropped_at_every_await, soon};

const NODE: &str = "/leases/one";
const TOUCH: &str = "/leases/one/touch";
const HOUR: Duration = Duration::from_secs(3600);

fn lease(client: &Client, data: &str) -> TtlNode {
    TtlNode::new(client, NODE, HOUR, data).unwrap()
}

async fn stat(client: &Client, path: &str) -> Option<Stat> {
    soon(client.sync("/")).await.unwrap();
    soon(client.exists(path)).await.unwrap()
}

/// Waits until the child is there.
async fn touched(client: &Client) -> Stat {
    loop {
        if let Some(stat) = stat(client, TOUCH).await {
            return stat;
        }
    }
}

async fn fails(states: &mut NodeStates) -> RecipeError {
    loop {
        if let NodeState::Failed(error) = soon(states.next()).await.expect("it fails") {
            return error;
        }
    }
}

/// Deletes both, and waits until nobody watches anything.
async fn clear(ground: &Ground, client: &Client) {
    soon(async {
        loop {
            for path in [TOUCH, NODE] {
                match client.delete(path, Version::ANY).await {
                    Err(error) if error.kind() == ErrorKind::NoNode => {}
                    Err(error) if error.kind() == ErrorKind::NotEmpty => {}
                    deleted => deleted.unwrap(),
                }
            }
            if stat(client, NODE).await.is_none() && ground.watched().await.is_empty() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_and_its_child_stand_there_as_curator_makes_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let node = lease(&client, "idle");
    let czxid = soon(node.until_created()).await.unwrap();
    touched(&client).await;
    // That they have a time to live no server tells; see below.
    assert_eq!(soon(client.get_children(NODE)).await.unwrap(), ["touch"]);
    let (data, stat) = soon(client.get_data(NODE)).await.unwrap();
    assert_eq!((&data[..], stat.czxid), (&b"idle"[..], czxid));
    assert_eq!((node.path(), node.ttl()), (NODE, HOUR));
    if let Some(is_container) = ground.is_container("/leases").await {
        assert!(is_container);
    }
    soon(node.set("busy")).await.unwrap();
    let (data, _) = soon(client.get_data(NODE)).await.unwrap();
    assert_eq!(&data[..], b"busy");
    soon(node.remove()).await.unwrap();
    assert_eq!(soon(client.get_children("/leases")).await.unwrap(), [""; 0]);
}

/// All moments are virtual; on our server only.
#[tokio::test(start_paused = true)]
async fn it_lives_while_it_is_kept_wakes_nobody_and_goes_in_its_time() {
    let spec = InstanceSpec::new().container_checks(Duration::from_secs(60));
    let server = TestingServer::start_with(spec).await.unwrap();
    let client = server.connect().await.unwrap();
    let observer = server.connect().await.unwrap();
    let node = lease(&client, "first");
    let czxid = node.until_created().await.unwrap();
    let before = observer.exists(NODE).await.unwrap().unwrap();
    sleep(3 * HOUR).await; // virtual: the clock is paused
    let (after, mut gone) = observer.exists_watched(NODE).await.unwrap();
    let after = after.expect("it is kept");
    assert_eq!((after.mzxid, after.cversion), (before.mzxid, 1), "somebody was woken");
    let touches = observer.exists(TOUCH).await.unwrap().unwrap().version;
    assert!((5..=6).contains(&touches.0), "{touches:?}");

    // Another session goes on with it, by when it would have gone.
    drop(node);
    sleep(HOUR / 2).await; // virtual: the clock is paused
    let next = server.connect().await.unwrap();
    let node = lease(&next, "second");
    client.close().await.unwrap();
    assert_eq!(node.until_created().await.unwrap(), czxid);
    assert_eq!((&mut gone).await.unwrap().kind, znode::EventType::NodeDataChanged);
    sleep(3 * HOUR).await; // virtual: the clock is paused
    let (stat, gone) = observer.exists_watched(NODE).await.unwrap();
    assert_eq!(stat.unwrap().czxid, czxid);

    let since = now();
    drop(node);
    assert_eq!(gone.await.unwrap().kind, znode::EventType::NodeDeleted);
    let took = now() - since;
    // From half its time on, as it was touched up to then ago, and two looks of the server later.
    assert!(took > HOUR / 2 && took < HOUR + Duration::from_secs(121), "{took:?}");
}

#[allow(clippy::disallowed_methods, reason = "the clock is paused: this is the test's own time")]
fn now() -> Instant {
    Instant::now()
}

/// As long as nothing says otherwise, it is wanted.
#[tokio::test]
async fn what_somebody_deletes_comes_back() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let node = lease(&client, "idle");
    let mut czxid = soon(node.until_created()).await.unwrap();
    let mut states = node.states();
    for _ in 0..3 {
        touched(&other).await;
        delete(&other, TOUCH).await.unwrap();
        delete(&other, NODE).await.unwrap();
        czxid = loop {
            match soon(states.next()).await.expect("it is kept") {
                NodeState::Standing { czxid: now, .. } if now > czxid => break now,
                _ => {}
            }
        };
    }
    touched(&other).await;
    soon(node.remove()).await.unwrap();
}

#[tokio::test]
async fn it_is_made_once_and_set_and_removed_though_replies_are_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    for op in [OpCode::CreateTtl, OpCode::Exists, OpCode::SetData, OpCode::Delete] {
        for cut in CUTS {
            let (client, wire) = ground.connect_wired().await;
            cut(&wire, op);
            let node = lease(&client, "first");
            let czxid = soon(node.until_created()).await.unwrap();
            soon(node.set("second")).await.unwrap();
            let stat = touched(&other).await;
            assert!(stat.version <= Version(1), "it was touched too early");
            let (data, stat) = soon(other.get_data(NODE)).await.unwrap();
            assert_eq!((&data[..], stat.czxid), (&b"second"[..], czxid), "{op:?}");
            soon(node.remove()).await.unwrap();
            assert!(self::stat(&other, NODE).await.is_none());
            clear(&ground, &other).await;
        }
    }
}

#[tokio::test]
async fn it_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let all = async |client: &Client| {
        let node = lease(client, "first");
        node.until_created().await?;
        node.set("second").await?;
        node.remove().await
    };
    for cut in [None, Some((CUTS[0], OpCode::CreateTtl)), Some((CUTS[1], OpCode::CreateTtl))] {
        // What was made goes in its time; nobody makes it again, or looks after it.
        let clean = async || clear(&ground, &other).await;
        let dropped = dropped_at_every_await(&ground, cut, all, clean).await;
        assert!(dropped > 2, "nothing was dropped");
    }
}

#[tokio::test]
async fn strangers_are_left_as_they_are() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let other = ground.connect().await;
    soon(client.ensure_path("/leases", znode::Parents::Container)).await.unwrap();
    soon(other.create(NODE, "theirs", CreateMode::Ephemeral)).await.unwrap();
    let node = lease(&client, "ours");
    let mut states = node.states();
    while !matches!(soon(states.next()).await.unwrap(), NodeState::Occupied { .. }) {}
    delete(&other, NODE).await.unwrap();
    assert!(soon(node.until_created()).await.unwrap() > Zxid::ZERO);
    soon(node.remove()).await.unwrap();

    let mode = CreateMode::PersistentTtl { ttl: HOUR };
    soon(client.create(NODE, "ours", mode)).await.unwrap();
    soon(other.create(TOUCH, "theirs", CreateMode::Ephemeral)).await.unwrap();
    let node = lease(&client, "ours");
    let error = fails(&mut node.states()).await;
    assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Foreign, TOUCH));
    assert_eq!(stat(&client, TOUCH).await.unwrap().version, Version(0));
}

#[tokio::test]
async fn refusals_are_errors_and_not_silence() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for ttl in [Duration::ZERO, Duration::from_micros(999), TTL_MAX + Duration::from_millis(1)] {
        let error = TtlNode::new(&client, NODE, ttl, "").unwrap_err();
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidArgument, NODE));
    }
    let error = TtlNode::new(&client, "leases", HOUR, "").unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    let error = TtlNode::new(&client, "/", HOUR, "").unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    // Its other children are not ours to delete.
    let node = lease(&client, "");
    soon(node.until_created()).await.unwrap();
    soon(client.create("/leases/one/other", "", CreateMode::Persistent)).await.unwrap();
    let error = soon(node.remove()).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::NotEmpty);
    delete(&client, "/leases/one/other").await.unwrap();
    delete(&client, NODE).await.unwrap();
    // A server without times to live.
    wire.unlearn(OpCode::CreateTtl);
    let node = lease(&client, "");
    let error = soon(node.until_created()).await.unwrap_err();
    assert_eq!(error.client_error().unwrap().kind(), ErrorKind::Unimplemented);
    // And one whose session is over.
    let (client, wire) = ground.connect_wired().await;
    let node = lease(&client, "");
    soon(node.until_created()).await.unwrap();
    ground.end_session(&client, &wire).await;
    assert!(fails(&mut node.states()).await.is_session_over());
    let next = ground.connect().await;
    assert!(stat(&next, NODE).await.is_some(), "it outlives its session");
}
