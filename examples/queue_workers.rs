//! Orders in a queue, and workers that take them: `cargo run --example queue_workers`.
//!
//! One worker has its cable pulled out with an order in its hands: somebody else does it. Each
//! order is booked in the transaction that takes it out of the queue, so it is booked once. Runs on
//! an embedded server, or on the ensemble at `ZNODE_CONNECT=host:port[,…][/chroot]`.

use std::time::Duration;

use tokio::task::JoinSet;
use znode::{Client, CreateMode, Op};
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Delivery, Item, Queue};

const ORDERS: usize = 12;
const WORKERS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    let crowd = format!("{ORDERS} orders, {WORKERS} workers, {}", ensemble.describe());
    timeline.say("main", crowd);
    let home = ensemble.home("queue-workers").await?;
    let shop = ensemble.connect_at(&home, &Cable::default()).await?;
    shop.create("/booked", "", CreateMode::Persistent).await?;
    let orders = Queue::by_priority(&shop, "/orders");
    for number in 1..=ORDERS {
        // Every fourth is urgent.
        let priority = if number % 4 == 0 { -1 } else { 0 };
        orders.put(Item::new(format!("order-{number:02}")).with_priority(priority)).await?;
    }
    timeline.say("shop", format!("{} orders are in", orders.item_count().await?));

    // One of them takes an order and is cut off with it, before the others are there.
    let cable = Cable::default();
    let unlucky = ensemble.connect_at(&home, &cable).await?;
    let order = Queue::by_priority(&unlucky, "/orders").take().await?;
    timeline.say("worker 0", format!("takes {}", String::from_utf8_lossy(order.data())));
    let mut workers = JoinSet::new();
    workers.spawn(lose(order, cable, timeline));
    for number in 1..=WORKERS {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        workers.spawn(work(client, format!("worker {number}"), timeline));
    }
    while let Some(worked) = workers.join_next().await {
        worked??;
    }
    let mut booked = shop.get_children("/booked").await?;
    booked.sort();
    if booked.len() != ORDERS || orders.item_count().await? != 0 {
        return Err(format!("booked: {booked:?}").into());
    }
    timeline.say("main", format!("{ORDERS} orders booked, each once"));
    Ok(())
}

async fn work(client: Client, who: String, timeline: Timeline) -> Result<(), Error> {
    let orders = Queue::by_priority(&client, "/orders");
    // Longer than a session lives without its connection.
    let patience = Duration::from_secs(3);
    while let Some(order) = orders.take_timeout(patience).await? {
        let name = String::from_utf8(order.data().to_vec())?;
        timeline.say(&who, format!("takes {name}"));
        let booked = Op::create(format!("/booked/{name}"), &who, CreateMode::Persistent);
        order.ack_with([booked]).await?;
        timeline.say(&who, format!("has booked {name}"));
        if orders.item_count().await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Keeps an order in its hands until its session is over, and may not book it then.
async fn lose(order: Delivery, cable: Cable, timeline: Timeline) -> Result<(), Error> {
    let who = "worker 0";
    cable.pull_out();
    timeline.say(who, "has its cable pulled out");
    let late = Op::create("/booked/late", who, CreateMode::Persistent);
    match order.ack_with([late]).await {
        Ok(()) => Err("an order was booked without a connection".into()),
        Err(error) => {
            timeline.say(who, format!("cannot book it: {error}"));
            Ok(())
        }
    }
}
