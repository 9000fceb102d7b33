//! Lists of children that are longer than any request may be: servers send them, and they are read.

use futures::future::try_join_all;
use znode::proto::FRAME_LEN_MAX;
use znode::{Client, CreateMode};
use znode_recipes::{Barrier, Cache, Counter, Group, Mutex, Queue};

use crate::ground::{Ground, soon};

/// Names of 250 characters, and more of them than fit into a frame.
const NAMES: usize = 4_500;
const ALL: &str = "/all";

/// Strangers below a node; what none of the recipes has made.
async fn strangers(client: &Client) -> Vec<String> {
    soon(client.create(ALL, "", CreateMode::Persistent)).await.unwrap();
    let names: Vec<String> = (0..NAMES).map(|nth| format!("{nth:0250}")).collect();
    let paths = names.iter().map(|name| format!("{ALL}/{name}"));
    for some in paths.collect::<Vec<_>>().chunks(500) {
        let made = some.iter().map(|path| client.create(path, "", CreateMode::Persistent));
        soon(try_join_all(made)).await.unwrap();
    }
    names
}

#[tokio::test]
async fn what_stands_among_more_strangers_than_a_frame_can_name_is_found_and_they_stay() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let names = strangers(&client).await;
    let list = soon(client.get_children(ALL)).await.unwrap();
    assert!(list.iter().map(|name| 4 + name.len()).sum::<usize>() > FRAME_LEN_MAX);

    let queue = Queue::new(&client, ALL);
    soon(queue.put("item")).await.unwrap();
    let delivery = soon(queue.take()).await.unwrap();
    assert_eq!(delivery.data(), b"item");
    soon(delivery.ack()).await.unwrap();

    let mutex = Mutex::new(&client, ALL);
    let guard = soon(mutex.lock()).await.unwrap();
    assert!(soon(mutex.try_lock()).await.unwrap().is_none());
    soon(guard.release()).await.unwrap();

    let members = soon(Group::new(&client, ALL).members()).await.unwrap();
    assert_eq!(members.len(), NAMES);
    let cache = soon(Cache::children(&client, ALL).nodes_max(NAMES).start()).await.unwrap();
    assert_eq!(cache.nodes().len(), NAMES);

    // What stands beside them does not care.
    assert_eq!(soon(Counter::<i64>::new(&client, "/count").add(1)).await.unwrap(), 1);
    assert!(!soon(Barrier::new(&client, "/gate").is_closed()).await.unwrap());
    let mut left = soon(client.get_children(ALL)).await.unwrap();
    left.sort_unstable();
    assert_eq!(left, names);
}
