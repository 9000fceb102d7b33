//! Links that break at random while everybody contends: whatever happens, guarded writes of two
//! holders never interleave, and nothing stays behind.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex as StdMutex};

use futures::future::join_all;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Outcome, Version, Zxid};
use znode_recipes::{Guard, LockErrorKind, Mutex};

use crate::ground::{Ground, LOCK, soon};
use znode_tests::support::Wire;

const CLIENTS: u64 = 4;
const TURNS: u64 = 30;

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    /// Whether one of so many chances has come up.
    fn one_in(&mut self, chances: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 29)).is_multiple_of(chances)
    }
}

/// Reads the record, and writes its successor in the name of the guard: two writes, so that
/// another holder in between would be seen. Returns whether both certainly took effect.
async fn write_twice(client: &Client, guard: &Guard) -> Option<bool> {
    let (_, stat) = client.get_data("/record").await.ok()?;
    let token = guard.token().0.to_string();
    for step in 0..2 {
        let version = Version(stat.version.0 + step);
        match guard.client().set_data("/record", &token, version).await {
            Ok(_) => {}
            Err(error) if error.outcome() == Outcome::Unknown => return None,
            Err(error) if error.kind() == LockErrorKind::LockLost => return None,
            Err(error) => {
                let kind = error.client_error().unwrap().kind();
                assert_ne!(kind, ErrorKind::BadVersion, "somebody else wrote: {error}");
                return None;
            }
        }
    }
    Some(true)
}

async fn contend(client: Client, wire: Wire, mut dice: Dice, done: Arc<StdMutex<Vec<Zxid>>>) {
    let mutex = Mutex::new(&client, LOCK);
    for _ in 0..TURNS {
        if dice.one_in(3) {
            wire.cut();
        }
        let lock = mutex.lock();
        if dice.one_in(5) {
            let pending = if dice.one_in(2) { 1 } else { 3 };
            drop(crate::ground::drop_at(pending, lock).await);
            continue;
        }
        let guard = lock.await.unwrap();
        if dice.one_in(4) {
            wire.cut();
        }
        if write_twice(&client, &guard).await.is_some() {
            done.lock().unwrap().push(guard.token());
        }
        if dice.one_in(4) {
            wire.cut();
        }
        if dice.one_in(2) {
            guard.release().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guarded_writes_never_interleave_whatever_the_links_do() {
    let seed = match std::env::var("ZNODE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => RandomState::new().hash_one(()),
    };
    println!("ZNODE_TEST_SEED={seed}");
    let ground = Ground::start().await;
    let observer = ground.connect().await;
    soon(observer.create("/record", "", CreateMode::Persistent)).await.unwrap();
    let done = Arc::new(StdMutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..CLIENTS {
        let options = ConnectOptions::new().seed(seed ^ number);
        let (client, wire) = ground.connect_wired_with(options).await;
        let dice = Dice(seed.wrapping_add(number << 32));
        tasks.push(tokio::spawn(contend(client, wire, dice, Arc::clone(&done))));
    }
    for task in tokio::time::timeout(std::time::Duration::from_secs(60), join_all(tasks))
        .await
        .expect("everybody gets the lock in the end")
    {
        task.unwrap();
    }
    let done = done.lock().unwrap().clone();
    assert!(done.len() > 10, "hardly anything was done");
    assert!(done.is_sorted_by(|earlier, later| earlier < later), "{done:?}");
    ground.nothing_left().await;
}
