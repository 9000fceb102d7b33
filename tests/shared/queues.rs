//! Queues that ours, Curator's and kazoo's put into and take from: each item is taken once, in the
//! order of its queue, whoever has put it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, pin_mut};
use tokio::sync::mpsc::UnboundedSender;
use znode::Client;
use znode_recipes::{Item, Layout, Queue, ShardedQueue, SimpleQueue};
use znode_tests::support::soon;

use crate::Site;
use crate::worker::{Others, Taken, Worker};

/// How many each puts at a time: an odd number, since Curator's puts two as one.
const ITEMS: usize = 33;

/// A kind of queue, by what it is called for the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Queue,
    Priority,
    Delay,
    Id,
    Simple,
    Kazoo,
}

/// A queue of ours.
#[derive(Clone)]
enum Ours {
    Acknowledged(Queue),
    Simple(SimpleQueue),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Queue | Self::Kazoo => "queue",
            Self::Priority => "priority-queue",
            Self::Delay => "delay-queue",
            Self::Id => "id-queue",
            Self::Simple => "simple-queue",
        }
    }

    fn others(self) -> Others {
        if self == Self::Kazoo { Others::Kazoo } else { Others::Curator }
    }

    fn open(self, client: &Client, path: &str) -> Ours {
        let acknowledged = match self {
            Self::Queue => Queue::new(client, path),
            Self::Priority => Queue::by_priority(client, path),
            Self::Delay => Queue::delayed(client, path),
            Self::Id => Queue::by_id(client, path),
            Self::Simple => return Ours::Simple(SimpleQueue::new(client, path)),
            Self::Kazoo => {
                let queue = SimpleQueue::new(client, path);
                return Ours::Simple(queue.with_layout(Layout::Kazoo));
            }
        };
        Ours::Acknowledged(acknowledged.with_claims(format!("{path}-locks")))
    }

    fn item(self, word: &str, i: usize) -> Item {
        let name = format!("{word}-{i}");
        match self {
            Self::Queue | Self::Simple | Self::Kazoo => Item::new(name),
            Self::Priority => Item::new(name).with_priority(priority(i)),
            Self::Id => Item::new(&name).with_id(name),
            Self::Delay => {
                let delay = u64::try_from(i * 7 % 11 * 20).unwrap();
                let due = now_ms() + i64::try_from(delay).unwrap();
                Item::new(format!("{name}@{due}")).with_delay(Duration::from_millis(delay))
            }
        }
    }

    /// In which order the items of this word come; nothing is said of those that are delayed.
    fn order(self, word: &str, is_theirs: bool) -> Vec<String> {
        let mut order: Vec<usize> = (0..ITEMS).collect();
        // Items of ours have no priorities in a queue of kazoo's.
        if self == Self::Priority || (self == Self::Kazoo && is_theirs) {
            order.sort_by_key(|i| priority(*i));
        }
        order.into_iter().map(|i| format!("{word}-{i}")).collect()
    }
}

/// The priority of an item: as the others give them, too.
fn priority(i: usize) -> i32 {
    i32::try_from(i * 7 % 11).unwrap() - 5
}

#[expect(clippy::disallowed_methods, reason = "items are due by the clocks of all who take them")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

impl Ours {
    async fn put(&self, item: Item, data: &str) {
        match self {
            Self::Acknowledged(queue) => soon(queue.put(item)).await.unwrap(),
            Self::Simple(queue) => soon(queue.put(data)).await.unwrap(),
        }
    }

    async fn put_all(&self, kind: Kind, word: &str) {
        for i in 0..ITEMS {
            self.put(kind.item(word, i), &format!("{word}-{i}")).await;
        }
    }

    /// Takes one after the other, for as long as it is polled.
    async fn take_all(&self, tally: &UnboundedSender<Taken>) {
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        loop {
            let items = match self {
                Self::Acknowledged(queue) => {
                    let delivery = queue.take().await.unwrap();
                    let items = delivery.items().iter().map(|item| text(item)).collect();
                    let at_ms = now_ms();
                    delivery.ack().await.unwrap();
                    (at_ms, items)
                }
                Self::Simple(queue) => (now_ms(), vec![text(&queue.take().await.unwrap())]),
            };
            let (at_ms, items): (i64, Vec<String>) = items;
            for item in items {
                tally.send(Taken { at_ms, item }).unwrap();
            }
        }
    }
}

/// The items that are taken next; each is due by then, if that is said of it.
async fn next(worker: &mut Worker, count: usize) -> Vec<String> {
    let mut items = Vec::new();
    for _ in 0..count {
        let Taken { at_ms, item } = soon(worker.taken.recv()).await.expect("it takes on");
        let (name, due) = item.split_once('@').unwrap_or((&item, "0"));
        assert!(at_ms >= due.parse().unwrap(), "{item} is taken at {at_ms}");
        items.push(name.to_owned());
    }
    items
}

/// What was taken of these is all there was, in its order if it has one.
fn check(kind: Kind, mut taken: Vec<String>, mut expected: Vec<String>, has_order: bool) {
    if kind == Kind::Delay || !has_order {
        taken.sort();
        expected.sort();
    }
    assert_eq!(taken, expected);
}

async fn until_empty(client: &Client, path: &str) {
    let items = client.watch_children(path);
    pin_mut!(items);
    while !soon(items.next()).await.unwrap().unwrap().is_none_or(|(items, _)| items.is_empty()) {}
}

async fn share(kind: Kind) {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let (client, other) = (site.connect().await, site.connect().await);
        let (ours, also_ours) = (kind.open(&client, &path), kind.open(&other, &path));
        // The queue is made by ours; it is there still when it is empty.
        ours.put(kind.item("first", 0), "first-0").await;
        let mut worker = site.worker(kind.others(), kind.name(), &path).await;
        let tally = worker.tally.clone();
        {
            let taking = ours.take_all(&tally);
            pin_mut!(taking);
            tokio::select! {
                () = &mut taking => unreachable!("it takes for ever"),
                first = next(&mut worker, 1) => assert_eq!(first, ["first-0"]),
            }
        }
        site.sweep().await;

        // Theirs put, and ours take.
        assert_eq!(worker.does(&format!("put theirs {ITEMS}")).await, [""; 0]);
        let taken = tokio::select! {
            () = ours.take_all(&tally) => unreachable!("it takes for ever"),
            taken = next(&mut worker, ITEMS) => taken,
        };
        check(kind, taken, kind.order("theirs", true), true);

        // Ours put, and theirs take.
        also_ours.put_all(kind, "ours").await;
        assert_eq!(worker.does("consume").await, [""; 0]);
        let taken = next(&mut worker, ITEMS).await;
        check(kind, taken, kind.order("ours", false), true);

        // All put, and all take.
        worker.tell(&format!("put more-theirs {ITEMS}")).await;
        let taken = tokio::select! {
            () = async { tokio::join!(ours.take_all(&tally), also_ours.take_all(&tally)); } => {
                unreachable!("they take for ever")
            }
            (taken, ()) = async {
                tokio::join!(next(&mut worker, 2 * ITEMS), also_ours.put_all(kind, "more-ours"))
            } => taken,
        };
        let expected = [kind.order("more-theirs", true), kind.order("more-ours", false)].concat();
        check(kind, taken, expected, false);
        assert_eq!(worker.answer().await, [""; 0]);
        until_empty(&client, &path).await;
        drop(tally);
        assert_eq!(worker.end().await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_curators_queue_and_ours_are_taken_once() {
    share(Kind::Queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_curators_priority_queue_and_ours_are_taken_once_and_in_order() {
    share(Kind::Priority).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_curators_delay_queue_and_ours_are_taken_once_and_not_before_they_are_due()
{
    share(Kind::Delay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_curators_id_queue_and_ours_are_taken_once() {
    share(Kind::Id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_curators_simple_queue_and_ours_are_taken_once() {
    share(Kind::Simple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_kazoos_queue_and_ours_are_taken_once() {
    share(Kind::Kazoo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_curators_id_queue_and_ours_are_removed_by_either() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let queue = Queue::by_id(&site.connect().await, &path);
        let mut worker = site.worker(Others::Curator, "id-queue", &path).await;
        assert_eq!(worker.does("put theirs 3").await, [""; 0]);
        assert_eq!(soon(queue.remove("theirs-1")).await.unwrap(), 1);
        soon(queue.put(Item::new("x").with_id("ours"))).await.unwrap();
        soon(queue.put(Item::new("y").with_id("ours"))).await.unwrap();
        assert_eq!(worker.does("remove ours").await, ["removed 2"]);
        assert_eq!(worker.does("remove theirs-1").await, ["removed 0"]);
        assert_eq!(soon(queue.item_count()).await.unwrap(), 2);
        for id in ["theirs-0", "theirs-2"] {
            let delivery = soon(queue.take()).await.unwrap();
            assert_eq!((delivery.id(), delivery.data()), (Some(id), id.as_bytes()));
            soon(delivery.ack()).await.unwrap();
        }
        assert_eq!(worker.end().await, []);
    }
}

/// So many fill three queues.
const SHARDED: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_items_of_curators_sharded_queue_and_ours_are_taken_once() {
    let Some(mut site) = Site::open().await else { return };
    while let Some(path) = site.next_path() {
        let client = site.connect().await;
        let queue = ShardedQueue::new(&client, &path).with_limit(20).with_shards_max(4);
        let all = |word: &str| (0..SHARDED).map(|i| format!("{word}-{i}")).collect::<BTreeSet<_>>();
        // Ours puts; theirs finds every queue, and takes.
        for item in all("ours") {
            soon(queue.put(item)).await.unwrap();
        }
        assert_eq!(soon(queue.shards()).await.unwrap().len(), 3);
        let mut worker = site.worker(Others::Curator, "sharded-queue", &path).await;
        assert_eq!(worker.does("consume").await, [""; 0]);
        let taken = next(&mut worker, SHARDED).await;
        assert_eq!((taken.len(), BTreeSet::from_iter(taken)), (SHARDED, all("ours")));
        worker.end().await;

        // Theirs puts, and makes more queues, since it leads; ours takes.
        let mut worker = site.worker(Others::Curator, "sharded-queue", &path).await;
        assert_eq!(worker.does(&format!("put theirs {SHARDED}")).await, [""; 0]);
        let patient = queue.clone().with_check_interval(Duration::ZERO);
        for item in all("more") {
            soon(patient.put(item)).await.unwrap();
        }
        assert_eq!(worker.does("shards 4").await, [""; 0]);
        let mut taken = Vec::new();
        while taken.len() < 2 * SHARDED {
            let delivery = soon(queue.take()).await.unwrap();
            taken.push(String::from_utf8(delivery.data().to_vec()).unwrap());
            soon(delivery.ack()).await.unwrap();
        }
        let expected = &all("theirs") | &all("more");
        assert_eq!(BTreeSet::from_iter(taken), expected);
        assert_eq!(soon(queue.item_count()).await.unwrap(), 0);
        assert_eq!(worker.end().await, []);
    }
}
