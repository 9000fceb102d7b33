//! Orders that three services take together or not at all: `cargo run --example two_phase_commit`.
//!
//! One is refused; one service dies behind its promise, and finds what was decided when it is back;
//! one coordinator dies as soon as it has asked; and one service is asleep. Runs on an embedded
//! server, or on the ensemble at `ZNODE_CONNECT=host:port[,…][/chroot]`; checks at the end that all
//! three have booked the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::task::JoinSet;
use tokio::time::sleep;
use znode::Client;
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{TwoPhaseCommit, Vote};

const SERVICES: [&str; 3] = ["stock", "payments", "courier"];
const ORDERS: &str = "/orders";

/// What a service has on its own disk, by the order: it survives the service.
type Disk = Arc<Mutex<BTreeMap<String, &'static str>>>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{} services, {}", SERVICES.len(), ensemble.describe()));
    let home = ensemble.home("two-phase-commit").await?;
    let (mut services, mut disks) = (JoinSet::new(), Vec::new());
    for service in SERVICES {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        let disk = Disk::default();
        disks.push(Arc::clone(&disk));
        services.spawn(keep_up(client, service, disk, timeline));
    }
    let shop = ensemble.connect_at(&home, &Cable::default()).await?;
    let orders = TwoPhaseCommit::new(&shop, ORDERS);
    let texts = [
        ("order-1", "2 lamps"),
        ("order-2", "0 chairs"),
        ("order-3", "1 bed"),
        ("order-4", "bulky"),
    ];
    for (order, text) in texts {
        let proposal = orders.propose(order, SERVICES, text).await?;
        timeline.say("shop", format!("asks for {text}: {order}"));
        let patience = Duration::from_millis(if text == "bulky" { 400 } else { 10_000 });
        let outcome = proposal.outcome_within(patience).await?;
        timeline.say("shop", format!("{order} is {outcome}"));
    }
    // A coordinator that dies as soon as it has asked: nobody waits for it.
    let cable = Cable::default();
    let unlucky = ensemble.connect_at(&home, &cable).await?;
    let theirs = TwoPhaseCommit::new(&unlucky, ORDERS);
    let proposal = theirs.propose("order-5", SERVICES, "9 cups").await?;
    cable.pull_out();
    timeline.say("other shop", "asks for 9 cups: order-5, and has its cable pulled out");
    shop.sync("/").await?;
    let recovered = orders.recover("order-5").await?.ok_or("it is forgotten")?;
    timeline.say("shop", format!("takes over: order-5 is {}", recovered.outcome().await?));
    drop(proposal);

    while !orders.transactions().await?.is_empty() {
        if let Some(ended) = services.try_join_next() {
            ended??;
        }
        sleep(Duration::from_millis(10)).await;
    }
    judge(&disks, timeline)
}

/// Starts a service anew whenever it has died.
async fn keep_up(
    client: Client,
    name: &'static str,
    disk: Disk,
    timeline: Timeline,
) -> Result<(), Error> {
    loop {
        serve(&client, name, &disk, timeline).await?;
        sleep(Duration::from_millis(100)).await;
        timeline.say(name, "is back");
    }
}

/// Votes on whatever is asked, and does what is decided, until it dies.
async fn serve(
    client: &Client,
    name: &'static str,
    disk: &Disk,
    timeline: Timeline,
) -> Result<(), Error> {
    let mut ballots = TwoPhaseCommit::new(client, ORDERS).ballots(name);
    while let Some(ballot) = ballots.try_next().await? {
        let order = ballot.id().to_owned();
        let write = |what| disk.lock().expect("nobody panics").insert(order.clone(), what);
        if name == "courier" && ballot.payload() == b"bulky" {
            timeline.say(name, format!("is asleep, and does not hear of {order}"));
            while !is_decided(client, &order).await? {
                sleep(Duration::from_millis(10)).await;
            }
        }
        let vote = match ballot.cast() {
            Some(before) => {
                timeline.say(name, format!("has said {before} to {order} before"));
                before
            }
            None if name == "stock" && ballot.payload().starts_with(b"0") => Vote::No,
            None => {
                // On its disk before it says so: a promise is kept whatever happens to it.
                write("reserved");
                Vote::Yes
            }
        };
        let voted = ballot.vote(vote).await?;
        if name == "payments" && order == "order-3" && ballot.cast().is_none() {
            timeline.say(name, format!("says yes to {order}, and dies"));
            return Ok(());
        }
        let decided = voted.decision().await?;
        let is_committed = decided.decision().is_committed();
        write(if is_committed { "booked" } else { "released" });
        decided.applied().await?;
        let what = if is_committed { "books" } else { "lets go of" };
        timeline.say(name, format!("{what} {order}"));
    }
    Ok(())
}

async fn is_decided(client: &Client, order: &str) -> Result<bool, Error> {
    let all = TwoPhaseCommit::new(client, ORDERS).transactions().await?;
    Ok(all.iter().any(|one| one.id() == order && one.decision().is_some()))
}

/// All have booked the same, and nothing is reserved for ever.
fn judge(disks: &[Disk], timeline: Timeline) -> Result<(), Error> {
    let read = |disk: &Disk| disk.lock().expect("nobody panics").clone();
    let first = read(&disks[0]);
    let booked = first.values().filter(|what| **what == "booked").count();
    if disks.iter().any(|disk| read(disk) != first) || first.len() != 5 || booked != 3 {
        return Err(format!("they differ: {disks:?}").into());
    }
    timeline.say("main", format!("{booked} orders booked by all, 2 by nobody"));
    Ok(())
}
