//! Links that break at random while everybody contends: whatever happens, guarded writes of two
//! holders never interleave, and nothing stays behind.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use futures::future::join_all;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Outcome, Version, Zxid};
use znode_recipes::{Guard, LockErrorKind, Mutex, ReadWriteLock, Semaphore, Upgrade};

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
    let (seed, ground) = (seed(), Ground::start().await);
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
    finish(tasks).await;
    let done = done.lock().unwrap().clone();
    assert!(done.len() > 10, "hardly anything was done");
    assert!(done.is_sorted_by(|earlier, later| earlier < later), "{done:?}");
    ground.nothing_left().await;
}

/// Reads the record twice, as a reader may: nobody writes in between, if the lock was held.
async fn read_twice(client: &Client, guard: &Guard) {
    let Ok((_, first)) = client.get_data("/record").await else { return };
    let Ok((_, second)) = client.get_data("/record").await else { return };
    if guard.renew().await.is_ok() {
        assert_eq!(first.version, second.version, "somebody writes beside a reader");
    }
}

async fn read_and_write(client: Client, wire: Wire, mut dice: Dice, done: Arc<AtomicUsize>) {
    let lock = ReadWriteLock::new(&client, LOCK);
    for _ in 0..TURNS {
        if dice.one_in(3) {
            wire.cut();
        }
        if dice.one_in(8) {
            drop(crate::ground::drop_at(2, lock.write()).await);
        } else if dice.one_in(2) {
            let writer = lock.write().await.unwrap();
            done.fetch_add(1, Ordering::SeqCst);
            write_twice(&client, &writer).await;
            if dice.one_in(3) {
                wire.cut();
            }
            if dice.one_in(3) {
                drop(crate::ground::drop_at(2, writer.downgrade()).await);
            } else {
                let reader = writer.downgrade().await.unwrap();
                read_twice(&client, &reader).await;
            }
        } else {
            let reader = lock.read().await.unwrap();
            read_twice(&client, &reader).await;
            if dice.one_in(3) {
                wire.cut();
            }
            if dice.one_in(4) {
                drop(crate::ground::drop_at(2, reader.try_upgrade()).await);
                continue;
            }
            match reader.try_upgrade().await.unwrap() {
                Upgrade::Done(writer) => {
                    done.fetch_add(1, Ordering::SeqCst);
                    write_twice(&client, &writer).await;
                }
                Upgrade::Refused(reader) => read_twice(&client, &reader).await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_exclude_each_other_whatever_the_links_do() {
    let (seed, ground, done) = (seed(), Ground::start().await, Arc::new(AtomicUsize::new(0)));
    let observer = ground.connect().await;
    soon(observer.create("/record", "", CreateMode::Persistent)).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..CLIENTS {
        let options = ConnectOptions::new().seed(seed ^ number);
        let (client, wire) = ground.connect_wired_with(options).await;
        let dice = Dice(seed.wrapping_add(number << 32));
        tasks.push(tokio::spawn(read_and_write(client, wire, dice, Arc::clone(&done))));
    }
    finish(tasks).await;
    assert!(done.load(Ordering::SeqCst) > 20, "hardly anything was done");
    drop(soon(ReadWriteLock::new(&observer, LOCK).write()).await.unwrap());
    ground.nothing_left().await;
}

async fn take_permits(client: Client, wire: Wire, mut dice: Dice, observer: Client) {
    const PERMITS: usize = 3;

    let semaphore = Semaphore::new(&client, "/limits/one", 3);
    for _ in 0..TURNS {
        if dice.one_in(3) {
            wire.cut();
        }
        let count = 1 + u32::from(dice.one_in(2)) + u32::from(dice.one_in(2));
        if dice.one_in(4) {
            drop(crate::ground::drop_at(4, semaphore.acquire_many(count)).await);
            continue;
        }
        let permits = semaphore.acquire_many(count).await.unwrap();
        let leases = observer.get_children("/limits/one/leases").await.unwrap();
        assert!(leases.len() <= PERMITS, "{leases:?}");
        for permit in permits.iter() {
            let name = permit.path().rsplit('/').next().unwrap();
            assert!(permit.state().is_lost() || leases.iter().any(|lease| lease == name));
        }
        if dice.one_in(4) {
            wire.cut();
        }
        if dice.one_in(2) {
            permits.release().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits_are_never_too_many_nor_lost_whatever_the_links_do() {
    let (seed, ground) = (seed(), Ground::start().await);
    let observer = ground.connect().await;
    let mut tasks = Vec::new();
    for number in 0..CLIENTS {
        let options = ConnectOptions::new().seed(seed ^ number);
        let (client, wire) = ground.connect_wired_with(options).await;
        let dice = Dice(seed.wrapping_add(number << 32));
        tasks.push(tokio::spawn(take_permits(client, wire, dice, observer.clone())));
    }
    finish(tasks).await;
    let all = soon(Semaphore::new(&observer, "/limits/one", 3).acquire_many(3)).await.unwrap();
    soon(all.release()).await.unwrap();
}

/// The seed of a run, which is told, and may be given again.
fn seed() -> u64 {
    let seed = match std::env::var("ZNODE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => RandomState::new().hash_one(()),
    };
    println!("ZNODE_TEST_SEED={seed}");
    seed
}

async fn finish(tasks: Vec<tokio::task::JoinHandle<()>>) {
    let limit = std::time::Duration::from_secs(60);
    let ends = tokio::time::timeout(limit, join_all(tasks)).await;
    for end in ends.expect("everybody has their turn in the end") {
        end.unwrap();
    }
}
