//! A lock as one might write it at first, and the recipe's, each in hundreds of worlds in which
//! links, servers and clocks fail: `cargo run --example simulate_lock`.
//!
//! Contenders write into a ledger that is no part of ZooKeeper, three lines each, and only one of
//! them at a time should. Every world runs in virtual time and follows from one seed. A world in
//! which two contenders' lines mix is printed with the few faults that it takes. Exits non-zero if
//! the naive lock is not found out, or the recipe's lets two in.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex as Std, PoisonError};
use std::time::Duration;

use znode::{Client, ConnectOptions, CreateMode, State, Version, Zxid};
use znode_examples::Error;
use znode_recipes::Mutex;
use znode_testing::{Faults, Simulation, World};

const CONTENDERS: usize = 3;
const WORLDS: u64 = 200;
/// How long contenders go on in each world.
const TIME: Duration = Duration::from_secs(20);
/// What is said of lines that mix.
const MIXED: &str = "behind those of contender";

fn main() -> Result<(), Error> {
    println!("A naive lock, in up to {WORLDS} worlds:");
    match catch_unwind(|| explore(naive)) {
        Ok(_) => return Err("nothing was found against the naive lock".into()),
        Err(told) if is_of_two_who_met(&*told) => {}
        // Something else has gone wrong, which says nothing about the lock.
        Err(told) => resume_unwind(told),
    }
    println!("It was found out. The recipe's, in {WORLDS} worlds:");
    let lines = explore(recipe);
    println!("{lines} lines, each where it belongs");
    Ok(())
}

/// Whether it was found that contenders' lines mix.
fn is_of_two_who_met(told: &(dyn Any + Send)) -> bool {
    told.downcast_ref::<String>().is_some_and(|told| told.contains(MIXED))
}

/// Has contenders work in one world after another; panics in the first in which their lines mix.
fn explore<F>(contend: impl Fn(World, Ledger, usize) -> F) -> usize
where
    F: Future<Output = ()> + Send + 'static,
{
    let lines = Cell::new(0);
    Simulation::seeds(1..=WORLDS, |simulation| {
        let simulation = simulation.faults(Faults::random().until(TIME));
        let written = simulation.run(async |world| {
            let ledger = Ledger::default();
            let tasks =
                (0..CONTENDERS).map(|who| world.spawn(contend(world.clone(), ledger.clone(), who)));
            for task in tasks.collect::<Vec<_>>() {
                let _ = task.await;
            }
            ledger.lines()
        });
        lines.set(lines.get() + written);
    });
    lines.get()
}

/// Whoever could create the node has the lock until he deletes it. That his session may end before
/// he is done has not come to his mind.
async fn naive(world: World, ledger: Ledger, who: usize) {
    while let Some(client) = connect(&world).await {
        while is_in_time(&world, &client) {
            if client.create("/naive", "", CreateMode::Ephemeral).await.is_err() {
                world.random_pause(Duration::from_millis(200)).await;
                continue;
            }
            let _ = write(&world, &ledger, who, None).await;
            let _ = client.delete("/naive", Version::ANY).await;
        }
    }
}

/// Stops as soon as the lock is lost, and shows the lock's token to the ledger: a holder that
/// cannot know yet is sent away there.
async fn recipe(world: World, ledger: Ledger, who: usize) {
    while let Some(client) = connect(&world).await {
        while is_in_time(&world, &client) {
            let Ok(guard) = Mutex::new(&client, "/locks/ledger").lock().await else {
                world.random_pause(Duration::from_millis(200)).await;
                continue;
            };
            tokio::select! {
                biased;
                _ = guard.lost() => continue,
                _ = write(&world, &ledger, who, Some(guard.token())) => {}
            }
            let _ = guard.release().await;
        }
    }
}

async fn connect(world: &World) -> Option<Client> {
    while world.elapsed() < TIME {
        let options = ConnectOptions::new().session_timeout(Duration::from_secs(2));
        if let Ok(client) = world.connect_with(options).await {
            return Some(client);
        }
    }
    None
}

fn is_in_time(world: &World, client: &Client) -> bool {
    client.state() != State::Expired && world.elapsed() < TIME
}

/// Three lines, with time to think in between.
async fn write(
    world: &World,
    ledger: &Ledger,
    who: usize,
    token: Option<Zxid>,
) -> Result<(), Refused> {
    for line in 1..=3 {
        ledger.write(who, line, token)?;
        world.random_pause(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// What is written to: by one at a time, if all goes well.
#[derive(Clone, Default)]
struct Ledger(Arc<Std<Lines>>);

#[derive(Default)]
struct Lines {
    count: usize,
    /// Who has written last, and which of his lines.
    last: (usize, usize),
    newest: Zxid,
}

/// Somebody with a newer token has been here.
struct Refused;

impl Ledger {
    /// Panics if somebody goes on where somebody else has begun.
    fn write(&self, who: usize, line: usize, token: Option<Zxid>) -> Result<(), Refused> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if token.is_some_and(|token| token < lines.newest) {
            return Err(Refused);
        }
        lines.newest = token.unwrap_or(lines.newest);
        assert!(
            line == 1 || lines.last == (who, line - 1),
            "contender {who} writes its line {line} {MIXED} {}",
            lines.last.0
        );
        lines.last = (who, line);
        lines.count += 1;
        Ok(())
    }

    fn lines(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}
