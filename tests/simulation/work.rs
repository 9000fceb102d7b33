//! Counters, queues and barriers that several work at while everything fails: each addition counts
//! once, in an order that everybody agrees on; each item is done once, by one at a time; nobody
//! enters before enough are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Std};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use znode::{Client, ConnectOptions, CreateMode, ErrorKind, Op, Outcome, State};
use znode_recipes::{Counter, DoubleBarrier, Queue, RecipeError, RecipeErrorKind};
use znode_testing::{Faults, Simulation, World};

use crate::SECOND;

const COUNTER: &str = "/all/counter";
const QUEUE: &str = "/all/queue";
const DONE: &str = "/all/done";
const BARRIER: &str = "/all/barrier";

/// How long there is work, and trouble.
const TIME: Duration = Duration::from_secs(20);

async fn connect(world: &World) -> Option<Client> {
    world.connect_with(ConnectOptions::new().session_timeout(2 * SECOND)).await.ok()
}

fn goes_on(world: &World, client: &Client) -> bool {
    client.state() != State::Expired && world.elapsed() < TIME
}

/// An addition that was answered: from when to when it was under way, and the sum.
type Added = (Duration, Duration, i64);

/// Adds one again and again; says how often nobody knows what has become of it.
async fn add(world: World) -> (Vec<Added>, i64) {
    let (mut added, mut unknown) = (Vec::new(), 0);
    while world.elapsed() < TIME {
        let Some(client) = connect(&world).await else { continue };
        let counter = Counter::<i64>::new(&client, COUNTER);
        while goes_on(&world, &client) {
            let since = world.elapsed();
            match counter.add(1).await {
                Ok(sum) => added.push((since, world.elapsed(), sum)),
                Err(error) => unknown += i64::from(error.outcome() == Outcome::Unknown),
            }
            world.random_pause(SECOND / 5).await;
        }
        let _ = client.close().await;
    }
    (added, unknown)
}

#[test]
fn r6_additions_count_once_and_in_the_order_in_which_they_were_made() {
    let (mut all, mut doubtful) = (0, 0);
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 12) {
        let faults = Faults::random().until(TIME);
        let (count, unknown) = Simulation::new(seed).faults(faults).run(|world| async move {
            let adders: Vec<_> = (0..4).map(|_| world.spawn(add(world.clone()))).collect();
            let (mut added, mut unknown) = (Vec::new(), 0);
            for adder in join_all(adders).await {
                let (theirs, doubtful) = adder.unwrap();
                added.extend(theirs);
                unknown += doubtful;
            }
            world.after_faults().await;
            let client = world.connect().await.unwrap();
            client.sync("/").await.unwrap();
            let sum = Counter::<i64>::new(&client, COUNTER).get().await.unwrap();
            let count = i64::try_from(added.len()).unwrap();
            assert!((count..=count + unknown).contains(&sum), "{sum} of {count} and {unknown}");
            added.sort_by_key(|(.., sum)| *sum);
            let (mut last, mut asked) = (0, Duration::ZERO);
            for (since, until, sum) in added {
                assert!(last < sum, "{sum} twice");
                assert!(asked <= until, "{sum} was told before a lesser one was asked for");
                (last, asked) = (sum, asked.max(since));
            }
            (count, unknown)
        });
        (all, doubtful) = (all + count, doubtful + unknown);
    }
    println!("{all} additions, and {doubtful} that nobody knows of");
    assert!(all > 2_000, "{all}");
}

/// Who has which item in his hands; and which ones were put, done, or perhaps.
#[derive(Clone, Default)]
struct Books(Arc<Std<Pages>>);

#[derive(Default)]
struct Pages {
    held: BTreeMap<String, Client>,
    put: BTreeSet<String>,
    perhaps_put: BTreeSet<String>,
    done: BTreeSet<String>,
}

impl Books {
    fn put(&self, item: String, outcome: Result<(), RecipeError>) {
        let mut pages = self.0.lock().unwrap();
        match outcome {
            Ok(()) => _ = pages.put.insert(item),
            Err(error) if error.outcome() == Outcome::Unknown => _ = pages.perhaps_put.insert(item),
            Err(_) => {}
        }
    }

    fn take(&self, item: &str, client: &Client) {
        let mut pages = self.0.lock().unwrap();
        if let Some(other) = pages.held.insert(item.to_owned(), client.clone()) {
            let state = other.state();
            assert!(state.is_terminal(), "{item} is in the hands of another, who is {state:?}");
        }
    }

    /// Not any more: from here on it may be somebody else's.
    fn let_go(&self, item: &str, client: &Client) {
        let mut pages = self.0.lock().unwrap();
        let is_his = |held: &Client| held.session_id() == client.session_id();
        if pages.held.get(item).is_some_and(is_his) {
            pages.held.remove(item);
        }
    }

    fn done(&self, item: &str, outcome: Result<(), RecipeError>) {
        match outcome {
            Ok(()) => assert!(self.0.lock().unwrap().done.insert(item.to_owned()), "{item} twice"),
            Err(error) => {
                let kind = error.client_error().map(znode::Error::kind);
                assert_ne!(kind, Some(ErrorKind::NodeExists), "{item} was done before");
                assert!(
                    error.is_session_over() || error.kind() == RecipeErrorKind::Lost,
                    "{error}"
                );
            }
        }
    }
}

async fn produce(world: World, books: Books, who: usize) {
    let mut number = 0;
    while world.elapsed() < TIME {
        let Some(client) = connect(&world).await else { continue };
        let queue = Queue::new(&client, QUEUE);
        while goes_on(&world, &client) {
            let item = format!("{who}-{number}");
            number += 1;
            let outcome = queue.put(&item).await;
            books.put(item, outcome);
            world.random_pause(SECOND / 5).await;
        }
        let _ = client.close().await;
    }
}

/// What is done for an item in the transaction that acknowledges it: a second time it would fail.
fn mark(item: &str) -> Op {
    Op::create(format!("{DONE}/{item}"), "", CreateMode::Persistent)
}

async fn consume(world: World, books: Books) {
    while world.elapsed() < TIME {
        let Some(client) = connect(&world).await else { continue };
        // Two who take at the same time, and do not know of each other.
        let queues = [Queue::new(&client, QUEUE), Queue::new(&client, QUEUE)];
        let takes = queues.map(|queue| {
            let (world, books, client) = (world.clone(), books.clone(), client.clone());
            async move {
                while goes_on(&world, &client) {
                    let Ok(taken) = queue.take_timeout(SECOND).await else { continue };
                    let Some(delivery) = taken else { continue };
                    let item = std::str::from_utf8(delivery.data()).unwrap().to_owned();
                    books.take(&item, &client);
                    world.random_pause(SECOND / 5).await;
                    books.let_go(&item, &client);
                    match world.random_below(4) {
                        0 => drop(delivery),
                        1 => _ = delivery.nack().await,
                        _ => books.done(&item, delivery.ack_with([mark(&item)]).await),
                    }
                }
            }
        });
        join_all(takes).await;
        let _ = client.close().await;
    }
}

#[test]
fn r5_each_item_is_done_once_and_by_one_at_a_time() {
    let mut all = 0;
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 12) {
        let faults = Faults::random().until(TIME).without_expiry();
        all += Simulation::new(seed).faults(faults).run(|world| async move {
            let first = world.connect().await.unwrap();
            first.ensure_path(DONE, znode::Parents::Persistent).await.unwrap();
            let books = Books::default();
            let mut workers = Vec::new();
            for who in 0..2 {
                workers.push(world.spawn(produce(world.clone(), books.clone(), who)));
                workers.push(world.spawn(consume(world.clone(), books.clone())));
                workers.push(world.spawn(consume(world.clone(), books.clone())));
            }
            for worker in join_all(workers).await {
                worker.unwrap();
            }
            world.after_faults().await;
            // Whoever is left takes the rest.
            let client = world.connect().await.unwrap();
            client.sync("/").await.unwrap();
            let queue = Queue::new(&client, QUEUE);
            while let Some(rest) = queue.take_timeout(10 * SECOND).await.unwrap() {
                let item = std::str::from_utf8(rest.data()).unwrap().to_owned();
                books.done(&item, rest.ack_with([mark(&item)]).await);
            }
            let marks: BTreeSet<String> =
                client.get_children(DONE).await.unwrap().into_iter().collect();
            let pages = books.0.lock().unwrap();
            assert!(marks.is_superset(&pages.done), "what was done is not marked");
            let undone: Vec<_> = pages.put.difference(&marks).collect();
            assert!(undone.is_empty(), "lost: {undone:?}");
            let strange = marks.iter().filter(|item| !pages.put.contains(*item)).cloned().collect();
            assert!(pages.perhaps_put.is_superset(&strange), "{strange:?} from nowhere");
            marks.len()
        });
    }
    println!("{all} items");
    assert!(all > 2_000, "{all}");
}

/// How many come to the barrier, and how many it takes.
const COMERS: usize = 4;
const NEEDED: u32 = 3;

/// How long a node may stand whose member is gone: as long as its session, and as faults last.
const LINGERS: Duration = Duration::from_secs(6);

/// Comes, goes on or gives up, and stays away for a while; counts how often it has entered.
async fn come_and_go(world: World, there: Arc<AtomicUsize>) -> usize {
    let mut entered = 0;
    while world.elapsed() < 6 * TIME {
        let Some(client) = connect(&world).await else { continue };
        let barrier = DoubleBarrier::new(&client, BARRIER, NEEDED).unwrap();
        while client.state() != State::Expired && world.elapsed() < 6 * TIME {
            world.random_pause(10 * SECOND).await;
            there.fetch_add(1, Ordering::SeqCst);
            let is_clean = match barrier.enter_timeout(3 * SECOND).await {
                Ok(Some(inside)) => {
                    let there = there.load(Ordering::SeqCst);
                    assert!(there >= NEEDED as usize, "has entered with {there} there");
                    entered += 1;
                    inside.leave_timeout(3 * SECOND).await.is_ok_and(|is_last| is_last)
                }
                _ => false,
            };
            if !is_clean {
                sleep(LINGERS).await; // virtual: the clock is paused
            }
            there.fetch_sub(1, Ordering::SeqCst);
        }
        let _ = client.close().await;
    }
    entered
}

#[test]
fn r7_nobody_enters_a_barrier_before_enough_are_there() {
    let mut all = 0;
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 12) {
        let faults = Faults::random().until(6 * TIME).without_expiry();
        all += Simulation::new(seed).faults(faults).run(|world| async move {
            let there = Arc::new(AtomicUsize::new(0));
            let comers = (0..COMERS).map(|_| come_and_go(world.clone(), Arc::clone(&there)));
            let comers: Vec<_> = comers.map(|comer| world.spawn(comer)).collect();
            let mut entered = 0;
            for comer in join_all(comers).await {
                entered += comer.unwrap();
            }
            world.after_faults().await;
            sleep(10 * SECOND).await; // virtual: the clock is paused
            let client = world.connect().await.unwrap();
            client.sync("/").await.unwrap();
            let barrier = DoubleBarrier::new(&client, BARRIER, 1).unwrap();
            assert_eq!(barrier.members().await.unwrap(), 0, "left behind");
            entered
        });
    }
    println!("{all} times entered");
    assert!(all > 100, "{all}");
}
