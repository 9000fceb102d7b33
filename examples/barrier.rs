//! Five that begin and end each round of work together: `cargo run --example barrier`.
//!
//! A gate keeps them until all is prepared, a countdown tells when all have done their part. One
//! has no patience before, and is not counted. Runs on an embedded server, or on the ensemble at
//! `ZNODE_CONNECT=host:port[,…][/chroot]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use znode::Client;
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Barrier, CountdownLatch, DoubleBarrier};

const MEMBERS: usize = 5;
const ROUNDS: usize = 3;

/// Who has begun a round, and who has ended it.
#[derive(Default)]
struct Board {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{MEMBERS} members, {}", ensemble.describe()));
    let home = ensemble.home("barrier").await?;
    let boss = ensemble.connect_at(&home, &Cable::default()).await?;
    let gate = Barrier::new(&boss, "/gate");
    gate.close().await?;
    let done = CountdownLatch::new(&boss, "/done", u32::try_from(MEMBERS)?)?;

    // Nobody else is there yet: whoever gives up does not count later.
    let hasty = DoubleBarrier::new(&boss, "/steps", u32::try_from(MEMBERS)?)?;
    if hasty.enter_timeout(Duration::from_millis(5)).await?.is_none() {
        timeline.say("boss", format!("gives up; {} are left", hasty.members().await?));
    }
    let board = Arc::new(Board::default());
    let mut members = JoinSet::new();
    for number in 1..=MEMBERS {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        members.spawn(work(client, number, Arc::clone(&board), timeline));
    }
    timeline.say("boss", "opens the gate");
    gate.open().await?;
    while let Some(worked) = members.join_next().await {
        worked??;
    }
    done.wait().await?;
    timeline.say("boss", "has heard of all that they are done");
    timeline.say("main", format!("{ROUNDS} rounds, begun and ended together"));
    Ok(())
}

async fn work(
    client: Client,
    number: usize,
    board: Arc<Board>,
    timeline: Timeline,
) -> Result<(), Error> {
    let who = format!("member {number}");
    let barrier = DoubleBarrier::new(&client, "/steps", u32::try_from(MEMBERS)?)?;
    Barrier::new(&client, "/gate").wait().await?;
    timeline.say(&who, "passes the gate");
    for round in 1..=ROUNDS {
        board.begun.fetch_add(1, Ordering::SeqCst);
        let inside = barrier.enter().await?;
        if board.begun.load(Ordering::SeqCst) < round * MEMBERS {
            return Err(format!("{who} began round {round} before the others").into());
        }
        timeline.say(&who, format!("works, round {round}"));
        board.ended.fetch_add(1, Ordering::SeqCst);
        inside.leave().await?;
        if board.ended.load(Ordering::SeqCst) < round * MEMBERS {
            return Err(format!("{who} ended round {round} before the others").into());
        }
    }
    let left = CountdownLatch::new(&client, "/done", u32::try_from(MEMBERS)?)?.count_down().await?;
    timeline.say(&who, format!("is done; {left} to go"));
    Ok(())
}
