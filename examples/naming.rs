//! Ids from many processes, none of them twice: `cargo run --example naming`.
//!
//! Each process leases blocks of ids that grow with time, and numbers its invoices without a gap
//! from a counter. Runs on an embedded server, or on the ensemble at
//! `ZNODE_CONNECT=host:port[,…][/chroot]`.

use std::collections::BTreeSet;

use tokio::task::JoinSet;
use znode::Client;
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Counter, UniqueIds};

const PROCESSES: usize = 4;
const IDS: usize = 2_500;
const INVOICES: i64 = 5;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{PROCESSES} processes, {}", ensemble.describe()));
    let home = ensemble.home("naming").await?;
    let mut processes = JoinSet::new();
    for number in 1..=PROCESSES {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        processes.spawn(name(client, format!("process {number}"), timeline));
    }
    let mut ids = BTreeSet::new();
    let mut invoices = BTreeSet::new();
    while let Some(named) = processes.join_next().await {
        let (its_ids, its_invoices) = named??;
        if !its_ids.is_sorted() {
            return Err("the ids of a process have gone back".into());
        }
        ids.extend(its_ids);
        invoices.extend(its_invoices);
    }
    if ids.len() != PROCESSES * IDS {
        return Err("an id was given twice".into());
    }
    let expected: BTreeSet<i64> = (1..=INVOICES * i64::try_from(PROCESSES)?).collect();
    if invoices != expected {
        return Err(format!("the invoices have gaps: {invoices:?}").into());
    }
    let invoices = invoices.len();
    timeline.say("main", format!("{} ids, none twice; {invoices} invoices, no gap", ids.len()));
    Ok(())
}

async fn name(
    client: Client,
    who: String,
    timeline: Timeline,
) -> Result<(Vec<i64>, Vec<i64>), Error> {
    let ids = UniqueIds::new(&client, "/ids");
    let mut given = Vec::with_capacity(IDS);
    for _ in 0..IDS {
        given.push(ids.next().await?);
    }
    let (first, last) = (given[0], given[IDS - 1]);
    timeline.say(&who, format!("{IDS} ids from {first:#018x} to {last:#018x}"));
    let counter = Counter::<i64>::new(&client, "/invoices");
    let mut numbers = Vec::new();
    for _ in 0..INVOICES {
        numbers.push(counter.add(1).await?);
    }
    timeline.say(&who, format!("invoices {numbers:?}"));
    Ok((given, numbers))
}
