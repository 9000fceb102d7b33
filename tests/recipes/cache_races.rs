//! Caches at their limits: as many nodes as there may be, whoever waits, and the end of a runtime.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::runtime::Builder;
use tokio::time::Instant;
use znode::{Client, ConnectOptions, CreateMode, State, Version, Zxid};
use znode_recipes::{Cache, CacheChange, RecipeErrorKind};
use znode_testing::TestingServer;

use crate::ground::{Ground, Wire, disconnect, soon, state_is};

const ROOT: &str = "/cached";

async fn make(client: &Client, paths: &[&str]) {
    for path in paths {
        soon(client.create(path, path.as_bytes(), CreateMode::Persistent)).await.unwrap();
    }
}

#[tokio::test]
async fn as_many_children_are_held_as_there_may_be_nodes() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    make(&client, &[ROOT, "/cached/a", "/cached/b"]).await;
    let children = soon(Cache::children(&client, ROOT).nodes_max(2).start()).await.unwrap();
    assert_eq!(children.nodes().len(), 2);
    let tree = soon(Cache::tree(&client, ROOT).nodes_max(3).start()).await.unwrap();
    assert_eq!(tree.nodes().len(), 3);
    let node = soon(Cache::node(&client, ROOT).nodes_max(1).start()).await.unwrap();
    assert_eq!(node.nodes().len(), 1);
    for too_small in
        [Cache::children(&client, ROOT).nodes_max(1), Cache::tree(&client, ROOT).nodes_max(2)]
    {
        let error = soon(too_small.start()).await.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::Exhausted);
    }
    // One more is one too many.
    let mut changes = children.changes();
    make(&client, &["/cached/c"]).await;
    assert!(matches!(soon(changes.next()).await, Some(Ok(CacheChange::Created(_)))));
    let error = soon(changes.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Exhausted);
}

/// A thousand caches look for themselves when they like; this one is asked.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_transaction_does_not_wait_out_the_pause_after_a_reconnect() {
    let server = TestingServer::start().await.unwrap();
    let wire = Wire::over(server.connector());
    let options = ConnectOptions::new().seed(1).connector(wire.clone());
    let client = options.connect(&server.connect_string()).await.unwrap();
    let other = server.connect().await.unwrap();
    make(&other, &[ROOT]).await;
    let hour = Duration::from_secs(3600);
    let cache = Cache::node(&client, ROOT).jitter(hour).start().await.unwrap();
    disconnect(&client, &wire).await;
    let stat = other.set_data(ROOT, "new", Version::ANY).await.unwrap();
    wire.admit();
    state_is(&client, State::Connected).await;
    let since = now();
    let node = cache.get_at_least(ROOT, stat.mzxid).await.unwrap().unwrap();
    assert_eq!(*node.data, *b"new");
    assert!(now() - since < Duration::from_secs(1), "it has waited for the pause");
}

#[allow(clippy::disallowed_methods, reason = "the clock is paused: this is the test's own time")]
fn now() -> Instant {
    Instant::now()
}

/// Its clones may live anywhere.
#[test]
fn the_end_of_a_caches_runtime_is_told_to_whoever_reads_elsewhere() {
    let others = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let of_cache = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (ground, client) = others.block_on(async {
        let ground = Ground::start().await;
        let client = ground.connect().await;
        make(&client, &[ROOT]).await;
        (ground, client)
    });
    let cache = of_cache.block_on(soon(Cache::node(&client, ROOT).start())).unwrap();
    let dropped = of_cache.block_on(soon(Cache::node(&client, ROOT).start())).unwrap();
    let mut changes = [cache.changes(), dropped.changes()];
    drop(dropped);
    drop(of_cache);
    others.block_on(async {
        let stat = soon(client.set_data(ROOT, "new", Version::ANY)).await.unwrap();
        let error = soon(cache.get_at_least(ROOT, stat.mzxid)).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::Lost, ROOT));
        assert_eq!(cache.failure().unwrap().kind(), RecipeErrorKind::Lost);
        assert_eq!(cache.current(ROOT).unwrap_err().kind(), RecipeErrorKind::Lost);
        let told = soon(changes[0].next()).await.unwrap();
        assert_eq!(told.unwrap_err().kind(), RecipeErrorKind::Lost);
        assert!(soon(changes[0].next()).await.is_none());
        // Who has let go of it has asked for nothing else.
        assert!(soon(changes[1].next()).await.is_none());
        assert!(cache.get_at_least(ROOT, Zxid(0)).now_or_never().unwrap().is_ok());
        // Nothing is watched any more.
        while !ground.watched().await.is_empty() {
            soon(client.sync("/")).await.unwrap();
        }
    });
}
