//! A cache of five servers that die and come back, under random writes: it ends equal to a fresh
//! read, and its changes rebuild it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use znode::{Client, ConnectOptions, CreateMode, State, Version, Zxid};
use znode_recipes::{Cache, CacheChange, CacheChanges, CachedNode};
use znode_testing::{ClusterSpec, Fault, Faults, Simulation, World};

use crate::SECOND;

const PATHS: [&str; 7] = ["/t", "/t/a", "/t/a/x", "/t/a/y", "/t/b", "/t/b/z", "/t/c"];

/// What tells two states of a node apart.
type Contents = BTreeMap<String, (Zxid, Zxid, Vec<u8>)>;

fn contents<'a>(nodes: impl IntoIterator<Item = &'a Arc<CachedNode>>) -> Contents {
    let of = |node: &Arc<CachedNode>| {
        (node.path.to_string(), (node.stat.czxid, node.stat.mzxid, node.data.to_vec()))
    };
    nodes.into_iter().map(of).collect()
}

/// Creates, writes and deletes at random, whatever comes of it.
async fn write(world: World) {
    while world.elapsed() < 20 * SECOND {
        let options = ConnectOptions::new().session_timeout(2 * SECOND);
        let Ok(client) = world.connect_with(options).await else { continue };
        while client.state() != State::Expired && world.elapsed() < 20 * SECOND {
            let path = PATHS[world.random_below(PATHS.len())];
            let data = world.random_below(1_000).to_string();
            let _ = match world.random_below(3) {
                0 => client.create(path, data, CreateMode::Persistent).await.map(drop),
                1 => client.set_data(path, data, Version::ANY).await.map(drop),
                _ => client.delete(path, Version::ANY).await,
            };
            world.random_pause(Duration::from_millis(200)).await;
        }
        let _ = client.close().await;
    }
}

/// Carries out every change, each of which must fit what was there.
async fn rebuild(nodes: Vec<Arc<CachedNode>>, mut changes: CacheChanges) -> Contents {
    let mut held = contents(&nodes);
    while let Some(Ok(change)) = changes.next().await {
        match change {
            CacheChange::Created(node) => {
                assert_eq!(held.insert(node.path.to_string(), one(&node)), None);
            }
            CacheChange::Changed { before, after } => {
                assert_eq!(held.insert(after.path.to_string(), one(&after)), Some(one(&before)));
            }
            CacheChange::Deleted(node) => {
                assert_eq!(held.remove(&*node.path), Some(one(&node)));
            }
            CacheChange::Filled | CacheChange::Resynced => {}
            other => panic!("{other:?}"),
        }
    }
    held
}

fn one(node: &Arc<CachedNode>) -> (Zxid, Zxid, Vec<u8>) {
    contents([node]).into_values().next().unwrap()
}

async fn fresh(client: &Client) -> Contents {
    let nodes: Vec<_> = match client.walk_with_data("/t").try_collect().await {
        Err(error) if error.kind() == znode::ErrorKind::NoNode => Vec::new(),
        nodes => nodes.unwrap(),
    };
    let of = |node: znode::TreeNode| {
        (node.path, (node.stat.czxid, node.stat.mzxid, node.data.unwrap().to_vec()))
    };
    nodes.into_iter().map(of).collect()
}

/// Reads with the session of a cache, and asks that for what it holds: how often it knew for
/// certain.
async fn compare(world: World, reader: Client, cache: Cache) -> usize {
    let mut known = 0;
    let mut stamps = BTreeMap::new();
    while world.elapsed() < 20 * SECOND {
        let path = PATHS[world.random_below(PATHS.len())];
        let Ok(seen) = reader.exists(path).await else { continue };
        if let Some(current) = cache.current(path).unwrap() {
            known += 1;
            let seen = seen.map_or(Zxid::ZERO, |stat| stat.mzxid);
            let held = current.node.map(|node| node.stat.mzxid);
            assert!(held.is_none_or(|held| held >= seen), "{path}: {held:?} is before {seen}");
            let before = stamps.insert(path, current.zxid).unwrap_or_default();
            assert!(before <= current.zxid, "{path}: {before} {}", current.zxid);
        }
        world.random_pause(Duration::from_millis(50)).await;
    }
    known
}

#[test]
fn fact_26_a_cache_ends_equal_to_a_fresh_read_and_its_changes_rebuild_it() {
    let (mut resynced, mut known) = (0, 0);
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 15) {
        let faults = Faults::random().until(20 * SECOND).without_expiry();
        let simulation = Simulation::new(seed).cluster(ClusterSpec::new(5)).faults(faults);
        let counted = simulation.run(|world| async move {
            let patient = ConnectOptions::new().session_timeout(30 * SECOND);
            let reader = world.connect_with(patient).await.unwrap();
            let cache = Cache::tree(&reader, "/t").start().await.unwrap();
            let (nodes, changes) = cache.nodes_and_changes();
            let rebuilt = world.spawn(rebuild(nodes, changes));
            let comparing = world.spawn(compare(world.clone(), reader.clone(), cache.clone()));
            let writers = [(); 2].map(|()| world.spawn(write(world.clone())));
            for writer in writers {
                writer.await.unwrap();
            }
            world.after_faults().await;
            let last = world.connect().await.unwrap();
            last.sync("/").await.unwrap();
            let there = fresh(&last).await;
            for path in PATHS {
                cache.get_at_least(path, last.last_zxid()).await.unwrap();
            }
            assert_eq!(contents(&cache.nodes()), there);
            let counted = (reader.stats().reconnects, comparing.await.unwrap());
            drop(cache);
            assert_eq!(rebuilt.await.unwrap(), there);
            counted
        });
        (resynced, known) = (resynced + counted.0, known + counted.1);
    }
    assert!(known > 1_000, "it hardly ever knew anything for certain: {known}");
    assert!(resynced > 5, "the link of the cache was never down: {resynced}");
}

/// Many changes in the time that one read takes: there is no moment in which nothing is being read.
#[test]
fn a_cache_is_ready_and_can_be_waited_for_while_everything_changes() {
    Simulation::new(1).run(|world| async move {
        let reader = world.connect().await.unwrap();
        let writer = world.connect().await.unwrap();
        for path in PATHS {
            writer.create(path, "", CreateMode::Persistent).await.unwrap();
        }
        let same = writer.clone();
        let writing = world.spawn(async move {
            for round in 0_u64.. {
                let write = |path| same.set_data(path, round.to_string(), Version::ANY);
                futures::future::try_join_all(PATHS.map(write)).await.unwrap();
            }
        });
        world.apply(Fault::SlowLink(0, Duration::from_millis(20))).await;
        let soon = |what| tokio::time::timeout(SECOND, what);
        let cache = Cache::tree(&reader, "/t").jitter(Duration::ZERO).start();
        let cache = soon(cache.boxed()).await.expect("it is filled in a few round trips").unwrap();
        assert_eq!(cache.nodes().len(), PATHS.len());
        let mut changes = cache.changes();
        for turn in 0..20 {
            let path = PATHS[turn % PATHS.len()];
            let written = writer.set_data(path, "", Version::ANY).await.unwrap();
            let node = tokio::time::timeout(SECOND, cache.get_at_least(path, written.mzxid));
            let node = node.await.expect("it takes a few round trips").unwrap().unwrap();
            assert!(node.stat.mzxid >= written.mzxid);
        }
        world.apply(Fault::CutLink(0)).await;
        world.apply(Fault::SlowLink(0, Duration::from_millis(20))).await;
        let mut followed = 0;
        let resynced = async {
            while let Some(change) = changes.try_next().await.unwrap() {
                followed += usize::from(matches!(change, CacheChange::Changed { .. }));
                if matches!(change, CacheChange::Resynced) {
                    break;
                }
            }
        };
        tokio::time::timeout(5 * SECOND, resynced).await.expect("it is resynced");
        assert!(followed > 20, "changes are shown while more come: {followed}");
        assert!(reader.stats().reconnects > 0);
        writing.abort();
    });
}
