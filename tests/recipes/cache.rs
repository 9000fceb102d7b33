//! Caches: what they hold, what they tell of, and what they ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::runtime::{Builder, Runtime};
use znode::proto::OpCode;
use znode::{
    Acl, Client, ConnectOptions, CreateMode, ErrorKind, Op, State, Version, WatcherType, Zxid,
};
use znode_recipes::{
    Cache, CacheBuilder, CacheChange, CacheChanges, CachedNode, Current, RecipeErrorKind,
};

use crate::ground::{Ground, Wire, disconnect, drop_at, reconnect, soon, state_is};

const ROOT: &str = "/cached";

async fn make(client: &Client, paths: &[&str]) {
    for path in paths {
        soon(client.create(path, path.as_bytes(), CreateMode::Persistent)).await.unwrap();
    }
}

async fn make_children(client: &Client, count: usize) {
    let names: Vec<String> = (0..count).map(|number| format!("{ROOT}/{number}")).collect();
    make(client, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// As soon as possible after a lost connection.
async fn start(builder: CacheBuilder) -> Cache {
    soon(builder.jitter(Duration::ZERO).start()).await.unwrap()
}

async fn next(changes: &mut CacheChanges) -> String {
    let told =
        |node: &Arc<CachedNode>| format!("{} {}", node.path, String::from_utf8_lossy(&node.data));
    match soon(changes.next()).await {
        Some(Ok(CacheChange::Created(node))) => format!("created {}", told(&node)),
        Some(Ok(CacheChange::Changed { before, after })) => {
            assert_eq!(before.path, after.path);
            format!("changed {}", told(&after))
        }
        Some(Ok(CacheChange::Deleted(node))) => format!("deleted {}", told(&node)),
        Some(Ok(other)) => format!("{other:?}"),
        Some(Err(error)) => format!("{:?}", error.kind()),
        None => "the end".to_owned(),
    }
}

fn paths(cache: &Cache) -> Vec<String> {
    cache.nodes().iter().map(|node| node.path.to_string()).collect()
}

#[tokio::test]
async fn a_tree_is_held_and_followed() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    make(&other, &[ROOT, "/cached/a", "/cached/a/b", "/cached/c"]).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    assert_eq!(paths(&cache), [ROOT, "/cached/a", "/cached/a/b", "/cached/c"]);
    assert_eq!(*cache.get("/cached/a/b").unwrap().data, *b"/cached/a/b");
    assert_eq!(cache.get("/other"), None);
    let (nodes, mut changes) = cache.nodes_and_changes();
    assert_eq!(nodes.len(), 4);
    make(&other, &["/cached/a/b/d"]).await;
    assert_eq!(next(&mut changes).await, "created /cached/a/b/d /cached/a/b/d");
    soon(other.set_data("/cached/c", "new", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut changes).await, "changed /cached/c new");
    soon(other.delete_all("/cached/a")).await.unwrap();
    for path in ["/cached/a/b/d", "/cached/a/b", "/cached/a"] {
        assert_eq!(next(&mut changes).await, format!("deleted {path} {path}"));
    }
    assert_eq!(paths(&cache), [ROOT, "/cached/c"]);
    drop((cache, changes));
    while !ground.watched().await.is_empty() {
        soon(client.sync("/")).await.unwrap();
    }
}

#[tokio::test]
async fn one_node_and_the_children_of_one_are_held_and_nothing_else() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    // Nothing is there yet.
    let node = start(Cache::node(&client, ROOT)).await;
    let children = start(Cache::children(&client, ROOT)).await;
    assert_eq!((paths(&node), paths(&children)), (Vec::<String>::new(), Vec::new()));
    let (mut of_node, mut of_children) = (node.changes(), children.changes());
    make(&other, &[ROOT, "/cached/a", "/cached/a/b", "/cached/c"]).await;
    assert_eq!(next(&mut of_node).await, "created /cached /cached");
    assert_eq!(next(&mut of_children).await, "created /cached/a /cached/a");
    assert_eq!(next(&mut of_children).await, "created /cached/c /cached/c");
    soon(other.set_data(ROOT, "x", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut of_node).await, "changed /cached x");
    soon(other.set_data("/cached/c", "x", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut of_children).await, "changed /cached/c x");
    soon(other.delete_all(ROOT)).await.unwrap();
    assert_eq!(next(&mut of_node).await, "deleted /cached x");
    assert_eq!(next(&mut of_children).await, "deleted /cached/c x");
    assert_eq!(next(&mut of_children).await, "deleted /cached/a /cached/a");
}

/// Curator's cache has the old node for ever, and says nothing.
#[tokio::test]
async fn fact_26_curator_391_a_node_that_was_made_anew_meanwhile_is_told_of() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make(&other, &[ROOT, "/cached/a", "/cached/b", "/cached/c"]).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    let mut changes = cache.changes();
    disconnect(&client, &wire).await;
    soon(other.delete("/cached/a", Version::ANY)).await.unwrap();
    soon(other.create("/cached/a", "new", CreateMode::Persistent)).await.unwrap();
    soon(other.delete("/cached/b", Version::ANY)).await.unwrap();
    make(&other, &["/cached/d"]).await;
    wire.admit();
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "Resynced") {
        told.push(next(&mut changes).await);
    }
    told.sort();
    let expected = ["Resynced", "created /cached/a new", "created /cached/d /cached/d"];
    let gone = ["deleted /cached/a /cached/a", "deleted /cached/b /cached/b"];
    assert_eq!(told, [&expected[..], &gone].concat());
    assert_eq!(paths(&cache), [ROOT, "/cached/a", "/cached/c", "/cached/d"]);
}

/// The pause before a look covers them both.
#[tokio::test(start_paused = true)]
async fn fact_26_two_reconnects_in_a_short_time_are_told_of_once() {
    let server = znode_testing::TestingServer::start().await.unwrap();
    let wire = Wire::over(server.connector());
    let options = ConnectOptions::new().seed(1).connector(wire.clone());
    let client = options.connect(&server.connect_string()).await.unwrap();
    let other = server.connect().await.unwrap();
    for path in [ROOT, "/cached/a", "/cached/b"] {
        other.create(path, "not a short one", CreateMode::Persistent).await.unwrap();
    }
    let hour = Duration::from_secs(3600);
    let cache = Cache::tree(&client, ROOT).jitter(hour).start().await.unwrap();
    let mut changes = cache.changes();
    for data in ["first", "second"] {
        disconnect(&client, &wire).await;
        other.set_data("/cached/a", data, Version::ANY).await.unwrap();
        wire.admit();
        state_is(&client, State::Connected).await;
    }
    // What happens from here on is told of without waiting for the look.
    other.set_data("/cached/b", "new", Version::ANY).await.unwrap();
    let told = [changes.next().await, changes.next().await, changes.next().await];
    let told = told.map(|change| match change.unwrap().unwrap() {
        CacheChange::Changed { after, .. } => String::from_utf8(after.data.to_vec()).unwrap(),
        other => format!("{other:?}"),
    });
    assert_eq!(told, ["new", "second", "Resynced"]);
    // One for each node, and one because of the event.
    assert_eq!(wire.count(OpCode::Exists), 3);
    other.set_data("/cached/b", "last", Version::ANY).await.unwrap();
    assert!(matches!(changes.next().await, Some(Ok(CacheChange::Changed { .. }))));
}

#[tokio::test]
async fn fact_27_the_watch_stands_before_resynced_is_told_and_the_loss_of_a_session_is_seen() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make(&other, &[ROOT]).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    let mut changes = cache.changes();
    for round in 0..5 {
        reconnect(&client, &wire).await;
        assert_eq!(next(&mut changes).await, "Resynced");
        assert_eq!(ground.watched().await.len(), 1, "it stands");
        let path = format!("{ROOT}/{round}");
        make(&other, &[&path]).await;
        assert_eq!(next(&mut changes).await, format!("created {path} {path}"));
    }
    let (nodes, mut late) = cache.nodes_and_changes();
    ground.end_session(&client, &wire).await;
    for changes in [&mut changes, &mut late] {
        let lost = soon(changes.next()).await.unwrap().unwrap_err();
        assert!(lost.is_session_over(), "{lost}");
        assert!(soon(changes.next()).await.is_none());
    }
    assert!(soon(cache.changes().next()).await.unwrap().unwrap_err().is_session_over());
    assert_eq!(cache.nodes(), nodes, "as it was seen last");
}

/// Curator's caches choke on more children than fit into a short.
#[tokio::test]
async fn curator_690_more_than_64k_children_are_held() {
    const COUNT: usize = 70_000;
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    make(&other, &[ROOT]).await;
    for first in (0..COUNT).step_by(1_000) {
        let create = |number| Op::create(format!("{ROOT}/{number}"), "", CreateMode::Persistent);
        soon(other.multi((first..first + 1_000).map(create).collect::<Vec<_>>())).await.unwrap();
    }
    let cache = start(Cache::children(&client, ROOT)).await;
    assert_eq!(cache.nodes().len(), COUNT);
    let mut changes = cache.changes();
    make(&other, &["/cached/last"]).await;
    assert_eq!(next(&mut changes).await, "created /cached/last /cached/last");
}

#[tokio::test]
async fn a_reconnect_with_nothing_changed_costs_a_look_at_each_node_and_no_data() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make(&other, &[ROOT]).await;
    make_children(&other, 50).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    // The root, a list of its children, and those together.
    let reads = [OpCode::GetData, OpCode::GetChildren, OpCode::MultiRead];
    let read = || reads.map(|op| wire.count(op));
    assert_eq!(read(), [1, 1, 2]);
    let mut changes = cache.changes();
    reconnect(&client, &wire).await;
    assert_eq!(next(&mut changes).await, "Resynced");
    assert_eq!((wire.count(OpCode::Exists), read()), (51, [1, 1, 2]));
    soon(other.set_data("/cached/7", "new", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut changes).await, "changed /cached/7 new");
}

/// Metadata alone would be as long.
#[tokio::test]
async fn a_reconnect_costs_no_look_of_its_own_where_there_is_hardly_any_data() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make(&other, &[ROOT]).await;
    for number in 0..50 {
        let path = format!("{ROOT}/{number}");
        soon(other.create(&path, "", CreateMode::Persistent)).await.unwrap();
    }
    let cache = start(Cache::tree(&client, ROOT)).await;
    let mut changes = cache.changes();
    disconnect(&client, &wire).await;
    soon(other.set_data("/cached/7", "new", Version::ANY)).await.unwrap();
    wire.admit();
    assert_eq!(next(&mut changes).await, "changed /cached/7 new");
    assert_eq!(next(&mut changes).await, "Resynced");
    assert_eq!((wire.count(OpCode::Exists), wire.count(OpCode::GetData)), (0, 1));
}

#[tokio::test]
async fn where_servers_know_no_shared_reads_each_node_is_read_by_itself() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    wire.unlearn(OpCode::MultiRead);
    let other = ground.connect().await;
    make(&other, &[ROOT]).await;
    make_children(&other, 50).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    assert_eq!(cache.nodes().len(), 51);
    let tried = wire.count(OpCode::MultiRead);
    assert!(tried > 0);
    // The connection was lost at it, and nobody tries again.
    let mut changes = cache.changes();
    reconnect(&client, &wire).await;
    soon(other.delete_all("/cached/1")).await.unwrap();
    make(&other, &["/cached/last", "/cached/last/a"]).await;
    let mut told = String::new();
    while told != "created /cached/last/a /cached/last/a" {
        told = next(&mut changes).await;
        assert_ne!(told, "the end");
    }
    assert_eq!(wire.count(OpCode::MultiRead), tried);
}

#[tokio::test]
async fn a_connection_that_is_lost_with_shared_reads_loses_none_of_them() {
    for cut in [Wire::cut_before_reply, Wire::cut_before_arrival] {
        let ground = Ground::start().await;
        let (client, wire) = ground.connect_wired().await;
        let other = ground.connect().await;
        make(&other, &[ROOT]).await;
        make_children(&other, 200).await;
        cut(&wire, OpCode::MultiRead);
        let cache = start(Cache::tree(&client, ROOT)).await;
        assert_eq!(cache.nodes().len(), 201);
        for node in cache.nodes() {
            assert_eq!(*node.data, *node.path.as_bytes());
        }
        assert_eq!(wire.handshakes().len(), 2);
    }
}

#[tokio::test]
async fn what_somebody_else_has_seen_can_be_waited_for() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make(&other, &[ROOT]).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    for round in 0..20 {
        let data = round.to_string();
        let stat = soon(other.set_data(ROOT, &data, Version::ANY)).await.unwrap();
        let node = soon(cache.get_at_least(ROOT, stat.mzxid)).await.unwrap().unwrap();
        assert_eq!(*node.data, *data.as_bytes());
        let current = cache.current(ROOT).unwrap().unwrap();
        assert_eq!(current.node, Some(node));
        assert!(current.zxid >= stat.mzxid);
    }
    assert_eq!(soon(cache.get_at_least("/cached/none", Zxid(1))).await.unwrap(), None);
    let error = soon(cache.get_at_least(ROOT, Zxid(i64::MAX))).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidArgument);
    // While nobody can know, nobody is told.
    let mut changes = cache.changes();
    disconnect(&client, &wire).await;
    assert_eq!(cache.current(ROOT).unwrap(), None);
    assert!(cache.get(ROOT).is_some(), "as it was seen last");
    wire.admit();
    state_is(&client, State::Connected).await;
    assert_eq!(next(&mut changes).await, "Resynced");
    assert!(cache.current(ROOT).unwrap().is_some());
}

/// One whose tasks have a turn only while somebody waits on it.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What the watch has told is there before any answer that shows more, and whoever has that answer
/// may be faster than the task of the cache.
#[test]
fn whoever_has_read_something_is_not_given_what_was_before() {
    let (of_cache, others) = (runtime(), runtime());
    let (_ground, client, other) = others.block_on(async {
        let ground = Ground::start().await;
        let (client, other) = (ground.connect().await, ground.connect().await);
        make(&other, &[ROOT, "/cached/a"]).await;
        (ground, client, other)
    });
    // Its task has a turn only where it is waited for; the client's own has one with the others.
    let starting = of_cache.spawn(Cache::tree(&client, ROOT).start());
    let cache = loop {
        others.block_on(soon(client.sync("/"))).unwrap();
        of_cache.block_on(tokio::task::yield_now());
        if starting.is_finished() {
            break of_cache.block_on(starting).unwrap().unwrap();
        }
    };
    let current = |path| cache.current(path).unwrap();
    assert_eq!(*current(ROOT).unwrap().node.unwrap().data, *ROOT.as_bytes());
    let stat = others.block_on(async {
        let stat = soon(other.set_data(ROOT, "new", Version::ANY)).await.unwrap();
        soon(client.sync("/")).await.unwrap();
        assert_eq!(soon(client.get_data(ROOT)).await.unwrap().0, "new");
        stat
    });
    assert_eq!(current(ROOT), None, "the session has seen something newer");
    assert!(current("/cached/a").is_some(), "nothing has happened to it");
    while current(ROOT).is_none() {
        of_cache.block_on(tokio::task::yield_now());
        others.block_on(soon(client.sync("/"))).unwrap();
    }
    let Current { node, zxid } = current(ROOT).unwrap();
    assert_eq!(*node.unwrap().data, *b"new");
    assert!(zxid >= stat.mzxid);
}

/// The state says so before the watch tells of the gap, and the task may be slow to hear of it.
#[test]
fn after_a_reconnect_nothing_is_given_as_current_before_it_was_looked_at() {
    let (of_cache, others) = (runtime(), runtime());
    let (_ground, client, wire, other) = others.block_on(async {
        let ground = Ground::start().await;
        let (client, wire) = ground.connect_wired().await;
        let other = ground.connect().await;
        make(&other, &[ROOT]).await;
        (ground, client, wire, other)
    });
    let starting = of_cache.spawn(Cache::node(&client, ROOT).jitter(Duration::ZERO).start());
    let turn = || {
        others.block_on(soon(client.sync("/"))).unwrap();
        of_cache.block_on(tokio::task::yield_now());
    };
    while !starting.is_finished() {
        turn();
    }
    let cache = of_cache.block_on(starting).unwrap().unwrap();
    let current = || cache.current(ROOT).unwrap();
    assert!(current().is_some());
    others.block_on(async {
        disconnect(&client, &wire).await;
        soon(other.set_data(ROOT, "new", Version::ANY)).await.unwrap();
        wire.admit();
        let mut states = client.states();
        while soon(states.next()).await.unwrap().state != State::Connected {
            assert_eq!(cache.current(ROOT).unwrap(), None);
        }
        assert_eq!(cache.current(ROOT).unwrap(), None, "nothing was looked at");
    });
    while current().is_none() {
        turn();
    }
    assert_eq!(*current().unwrap().node.unwrap().data, *b"new");
}

/// Whoever asks may have its turn before the client has noticed how late it is.
#[tokio::test(start_paused = true)]
async fn after_the_process_stood_still_nothing_is_given_as_current() {
    let server = znode_testing::TestingServer::start().await.unwrap();
    let options = ConnectOptions::new()
        .session_timeout(Duration::from_secs(30))
        .connector(server.connector());
    let client = options.connect(&server.connect_string()).await.unwrap();
    client.create(ROOT, "", CreateMode::Persistent).await.unwrap();
    let cache = Cache::node(&client, ROOT).start().await.unwrap();
    // Pings are enough.
    tokio::time::sleep(Duration::from_secs(3600)).await; // virtual: the clock is paused
    assert!(cache.current(ROOT).unwrap().is_some());
    tokio::time::advance(Duration::from_secs(21)).now_or_never();
    assert_eq!(client.state(), State::Connected, "it has not noticed");
    assert_eq!(cache.current(ROOT).unwrap(), None);
}

#[tokio::test]
async fn what_the_cache_does_not_hold_is_refused_and_not_said_to_be_missing() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make(&client, &[ROOT, "/cached/a", "/cached/a/b", "/cachedtoo"]).await;
    let node = start(Cache::node(&client, ROOT)).await;
    let children = start(Cache::children(&client, ROOT)).await;
    let tree = start(Cache::tree(&client, ROOT)).await;
    for (cache, path) in [
        (&node, "/cached/a"),
        (&children, ROOT),
        (&children, "/cached/a/b"),
        (&tree, "/cachedtoo"),
        (&tree, "/"),
    ] {
        let waited = soon(cache.get_at_least(path, Zxid(1))).await.unwrap_err();
        for error in [cache.current(path).unwrap_err(), waited] {
            assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidArgument, path));
            let held = std::error::Error::source(&error).unwrap().to_string();
            assert!(held.contains(ROOT), "{held}");
        }
        assert_eq!(cache.get(path), None);
    }
    let error = tree.current("/cached//a").unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    for path in ["/cached/a/b", "/cached/none"] {
        let there = soon(client.exists(path)).await.unwrap().is_some();
        assert_eq!(tree.current(path).unwrap().unwrap().node.is_some(), there);
    }
}

#[tokio::test]
async fn what_cannot_be_held_is_refused_by_the_call_that_asks_for_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    for path in ["cached", "/a//b"] {
        let error = soon(Cache::tree(&client, path).start()).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidPath, path));
    }
    make(&client, &[ROOT, "/cached/a", "/cached/b"]).await;
    let error = soon(Cache::tree(&client, ROOT).nodes_max(2).start()).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Exhausted);
    let cache = soon(Cache::tree(&client, ROOT).nodes_max(3).start()).await.unwrap();
    let mut changes = cache.changes();
    make(&client, &["/cached/c"]).await;
    assert_eq!(next(&mut changes).await, "created /cached/c /cached/c");
    assert_eq!(next(&mut changes).await, "Exhausted");
    assert_eq!(next(&mut changes).await, "the end");
    assert_eq!(cache.failure().unwrap().kind(), RecipeErrorKind::Exhausted);
    assert_eq!(next(&mut cache.changes()).await, "Exhausted");
    make(&client, &["/sealed"]).await;
    let acl = [Acl::new(znode::Perms::ADMIN, "world", "anyone").unwrap()];
    soon(client.set_acl("/sealed", &acl, Version::ANY)).await.unwrap();
    let error = soon(Cache::node(&client, "/sealed").start()).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::NoAuth));
    // With its session it ends, and says so.
    let cache = soon(Cache::node(&client, ROOT).start()).await.unwrap();
    let mut changes = cache.changes();
    ground.end_session(&client, &wire).await;
    assert_eq!(next(&mut changes).await, "Client");
    assert!(cache.failure().unwrap().is_session_over());
    assert!(cache.current(ROOT).unwrap_err().is_session_over());
    let seen = soon(cache.get_at_least(ROOT, Zxid(i64::MAX))).await;
    assert!(seen.unwrap_err().is_session_over());
}

/// One child that its maker keeps to himself, in a cache of many.
#[tokio::test]
async fn a_node_that_may_not_be_read_is_hidden_and_the_rest_goes_on() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make(&other, &[ROOT, "/cached/a", "/cached/sealed", "/cached/sealed/below", "/cached/z"]).await;
    let sealed = [Acl::new(znode::Perms::ADMIN, "world", "anyone").unwrap()];
    soon(other.set_acl("/cached/sealed", &sealed, Version::ANY)).await.unwrap();
    let cache = start(Cache::tree(&client, ROOT)).await;
    let children = start(Cache::children(&client, ROOT)).await;
    assert_eq!(paths(&cache), [ROOT, "/cached/a", "/cached/z"]);
    assert_eq!(paths(&children), ["/cached/a", "/cached/z"]);
    assert_eq!((cache.hidden().len(), &*cache.hidden()[0]), (1, "/cached/sealed"));
    assert_eq!(
        (cache.get("/cached/sealed"), cache.current("/cached/sealed").unwrap()),
        (None, None)
    );
    let error = soon(cache.get_at_least("/cached/sealed", Zxid(1))).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::NoAuth));
    let mut changes = cache.changes();
    make(&other, &["/cached/b"]).await;
    assert_eq!(next(&mut changes).await, "created /cached/b /cached/b");
    // One that was held, and one that comes to be readable: after a reconnect both are known.
    disconnect(&client, &wire).await;
    soon(other.set_data("/cached/z", "secret", Version::ANY)).await.unwrap();
    soon(other.set_acl("/cached/z", &sealed, Version::ANY)).await.unwrap();
    soon(other.set_acl("/cached/sealed", &[Acl::open()], Version::ANY)).await.unwrap();
    wire.admit();
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "Resynced") {
        told.push(next(&mut changes).await);
    }
    told.sort();
    let found = "created /cached/sealed /cached/sealed";
    let below = "created /cached/sealed/below /cached/sealed/below";
    assert_eq!(told, ["Resynced", found, below, "deleted /cached/z /cached/z"]);
    assert_eq!(cache.hidden(), [Arc::from("/cached/z")]);
    assert_eq!(cache.failure().map(|failure| failure.kind()), None);
}

#[cfg(feature = "gzip")]
#[tokio::test]
async fn data_that_cannot_be_decompressed_is_hidden_until_it_can() {
    let ground = Ground::start().await;
    let client = ground.connect().await.with_compression();
    make(&client, &[ROOT, "/cached/a"]).await;
    let plain = ground.connect().await;
    make(&plain, &["/cached/b"]).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    assert_eq!(paths(&cache), [ROOT, "/cached/a"]);
    assert_eq!(cache.hidden(), [Arc::from("/cached/b")]);
    let error = soon(cache.get_at_least("/cached/b", Zxid(1))).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::InvalidData));
    let mut changes = cache.changes();
    soon(client.set_data("/cached/b", "new", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut changes).await, "created /cached/b new");
    soon(plain.set_data("/cached/a", "plain", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut changes).await, "deleted /cached/a /cached/a");
    soon(plain.delete("/cached/a", Version::ANY)).await.unwrap();
    make(&client, &["/cached/a"]).await;
    assert_eq!(next(&mut changes).await, "created /cached/a /cached/a");
    assert_eq!(cache.hidden(), Vec::<Arc<str>>::new());
}

/// Somebody of the same session removes the watch.
#[tokio::test]
async fn a_watch_that_is_removed_is_set_again_and_nothing_is_missed() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    make(&other, &[ROOT]).await;
    let cache = start(Cache::tree(&client, ROOT)).await;
    let mut changes = cache.changes();
    soon(client.remove_watches(ROOT, WatcherType::Any)).await.unwrap();
    make(&other, &["/cached/a"]).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        told.push(next(&mut changes).await);
    }
    told.sort();
    assert_eq!(told, ["Resynced", "created /cached/a /cached/a"]);
}

#[tokio::test]
async fn whoever_is_too_slow_is_told_of_that_and_not_of_everything() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    make(&other, &[ROOT]).await;
    let cache = start(Cache::node(&client, ROOT)).await;
    let mut lazy = cache.changes();
    let mut count = 0;
    let mut changes = cache.changes();
    for round in 0..10_100 {
        soon(other.set_data(ROOT, round.to_string(), Version::ANY)).await.unwrap();
        // Each of them is a change of its own.
        next(&mut changes).await;
    }
    // Nothing changes any more.
    loop {
        match soon(lazy.next()).await.unwrap().unwrap() {
            CacheChange::Changed { .. } => count += 1,
            CacheChange::Lagged => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(count, 10_000);
    soon(other.set_data(ROOT, "last", Version::ANY)).await.unwrap();
    assert_eq!(next(&mut lazy).await, "changed /cached last");
}

#[tokio::test]
async fn starting_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    make(&other, &[ROOT, "/cached/a"]).await;
    for is_cut in [false, true] {
        for pending in 1..100 {
            let (client, wire) = ground.connect_wired().await;
            if is_cut {
                wire.cut_before_reply(OpCode::AddWatch);
            }
            let started = soon(drop_at(pending, Cache::tree(&client, ROOT).start())).await;
            let is_complete = started.is_some();
            if let Some(cache) = started {
                let held: BTreeMap<_, _> = cache
                    .unwrap()
                    .nodes()
                    .into_iter()
                    .map(|node| (node.path.clone(), node))
                    .collect();
                assert_eq!(held.len(), 2);
            }
            while !ground.watched().await.is_empty() {
                soon(other.sync("/")).await.unwrap();
            }
            if is_complete {
                break;
            }
        }
    }
}

#[tokio::test]
async fn waiting_for_a_transaction_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    make(&other, &[ROOT, "/elsewhere"]).await;
    let cache = start(Cache::node(&client, ROOT)).await;
    for is_cut in [false, true] {
        let mut complete = 0;
        for pending in 1..100 {
            if is_cut {
                wire.cut_before_reply(OpCode::Sync);
            }
            // Nobody tells the cache of that.
            let stat = soon(other.set_data("/elsewhere", "", Version::ANY)).await.unwrap();
            let node = soon(drop_at(pending, cache.get_at_least(ROOT, stat.mzxid))).await;
            complete += usize::from(node.is_some_and(|node| node.unwrap().is_some()));
            // Whoever comes next is not held up.
            let stat = soon(other.set_data(ROOT, pending.to_string(), Version::ANY)).await.unwrap();
            let node = soon(cache.get_at_least(ROOT, stat.mzxid)).await.unwrap().unwrap();
            assert_eq!(*node.data, *pending.to_string().as_bytes());
            // The link may be down once more; then the cache's own watch stands, and no other.
            let settled = async {
                while ground.watched().await.len() != 1 {
                    other.sync("/").await.unwrap();
                }
            };
            soon(settled).await;
            if complete > 0 {
                break;
            }
        }
        assert_eq!(complete, 1);
    }
    drop(cache);
    while !ground.watched().await.is_empty() {
        soon(other.sync("/")).await.unwrap();
    }
}
