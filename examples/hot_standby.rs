//! Tables that are replicated by whoever is first in line: `cargo run --example hot_standby`.
//!
//! A console says in ZooKeeper what is to be replicated. Every instance stands by at every table;
//! the one with the smallest sequence number copies it, and saves how far it is. One has its cable
//! pulled out: the next goes on from there. With `-- --cold` nobody stands by: an instance takes
//! whichever table nobody copies. Runs on an embedded server, or on the ensemble at
//! `ZNODE_CONNECT=host:port[,…][/chroot]`; checks at the end that every row has been copied.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use tokio::task::JoinSet;
use tokio::time::sleep;
use znode::{Client, CreateMode};
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{ColdStandby, HotStandby, Shift};

const TABLES: &str = "/tables";
const INSTANCES: usize = 3;
/// How many rows are copied between two checkpoints.
const BATCH: u64 = 10;
/// A table, and how many rows it has.
type Wanted = (&'static str, u64);
const WANTED: [Wanted; 3] = [("customers", 30), ("invoices", 20), ("orders", 60)];

/// Whoever copies, and what all of them have copied, in order.
#[derive(Clone)]
struct Instance {
    name: String,
    client: Client,
    cable: Cable,
    replica: Arc<Mutex<Vec<(String, u64)>>>,
    timeline: Timeline,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cold = std::env::args().any(|argument| argument == "--cold");
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{INSTANCES} instances, {}", ensemble.describe()));
    let home = ensemble.home("hot-standby").await?;
    let console = ensemble.connect_at(&home, &Cable::default()).await?;
    console.create(TABLES, "", CreateMode::Persistent).await?;
    let (mut instances, replica) = (JoinSet::new(), Arc::default());
    for number in 1..=INSTANCES {
        let (name, cable) = (format!("instance {number}"), Cable::default());
        let client = ensemble.connect_at(&home, &cable).await?;
        let instance = Instance { name, client, cable, replica: Arc::clone(&replica), timeline };
        instances.spawn(async move {
            if cold { instance.take_what_is_free().await } else { instance.stand_by().await }
        });
    }
    let [customers, invoices, orders] = WANTED;
    tokio::try_join!(replicate(&console, orders, timeline), async {
        replicate(&console, customers, timeline).await?;
        replicate(&console, invoices, timeline).await
    })?;
    drop(instances);
    let replica = replica.lock().expect("nobody panics");
    for (table, rows) in WANTED {
        let rows_of = |(of, row): &(String, u64)| (of == table).then_some(*row);
        let mut copied: Vec<u64> = replica.iter().filter_map(rows_of).collect();
        let count = copied.len();
        copied.sort_unstable();
        copied.dedup();
        let again = (count - copied.len()) as u64;
        // What was copied behind the last checkpoint is copied again.
        if !copied.into_iter().eq(0..rows) || again > BATCH {
            return Err(format!("{table}: {replica:?}").into());
        }
        timeline.say("main", format!("{table}: {rows} rows, {again} of them twice"));
    }
    Ok(())
}

/// What an operator does: a node is all it takes, and another says how far it is.
async fn replicate(client: &Client, (table, rows): Wanted, log: Timeline) -> Result<(), Error> {
    let path = format!("{TABLES}/{table}");
    log.say("console", format!("wants {table} replicated, {rows} rows"));
    client.create(&path, rows.to_string(), CreateMode::Persistent).await?;
    let mut saved = client.watch_data(&format!("{path}/checkpoint"));
    while let Some(now) = saved.next().await {
        if now?.is_some_and(|(data, _)| data == rows.to_string()) {
            log.say("console", format!("sees that {table} is replicated"));
            return Ok(());
        }
    }
    Err("the console is gone".into())
}

impl Instance {
    /// Stands in line at every table that there is, or will be.
    async fn stand_by(self) {
        let mut tables = self.client.watch_children(TABLES);
        let (mut lines, mut known) = (JoinSet::new(), BTreeSet::new());
        while let Some(Ok(now)) = tables.next().await {
            for table in now.map_or_else(Vec::new, |(names, _)| names) {
                let (path, this) = (format!("{TABLES}/{table}"), self.clone());
                let line = HotStandby::new(&self.client, path).with_id(&self.name);
                if known.insert(table) {
                    lines.spawn(async move { line.run(|shift| this.clone().copy(shift)).await });
                }
            }
        }
        self.timeline.say(&self.name, "is out: its session is over");
    }

    /// Copies one table after another that nobody copies.
    async fn take_what_is_free(self) {
        let free = ColdStandby::new(&self.client, TABLES).with_id(&self.name);
        let copy = |shift| async {
            // What is done is free, too: others are to have their turn.
            sleep(Duration::from_millis(5)).await;
            let _ = self.clone().copy(shift).await;
            ControlFlow::<Infallible>::Continue(())
        };
        let Err(error) = free.run(copy).await;
        self.timeline.say(&self.name, format!("is out: {error}"));
    }

    /// Copies a table from where it was left.
    async fn copy(self, shift: Shift) -> ControlFlow<()> {
        let number = |data: &[u8]| std::str::from_utf8(data).ok()?.parse::<u64>().ok();
        let table = znode::path::name(shift.path()).to_owned();
        let wanted = self.client.get_data(shift.path()).await.ok();
        let rows = wanted.and_then(|(rows, _)| number(&rows)).unwrap_or(0);
        let from = shift.checkpoint().and_then(number).unwrap_or(0);
        for row in from..rows {
            if row == from {
                self.timeline.say(&self.name, format!("copies {table} from row {from}"));
            }
            sleep(Duration::from_millis(2)).await;
            self.replica.lock().expect("nobody panics").push((table.clone(), row));
            if (row + 1).is_multiple_of(BATCH) && shift.save((row + 1).to_string()).await.is_err() {
                return ControlFlow::Continue(());
            }
            if table == "orders" && row == 33 && from == 0 {
                self.timeline.say(&self.name, format!("has its cable pulled out at row {row}"));
                self.cable.pull_out();
            }
        }
        ControlFlow::Break(())
    }
}
