//! Queues: what is put is there once, what is taken comes back unless it is acknowledged.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Acl, Client, CreateMode, ErrorKind, Op, Outcome, Version};
use znode_recipes::{Delivery, Item, Layout, Queue, RecipeError, RecipeErrorKind, SimpleQueue};

use crate::ground::{Ground, Wire, delete, drop_at, is_pending, soon};

const QUEUE: &str = "/queues/one";
const CLAIMS: &str = "/queues/one-locks";
const CUTS: [fn(&Wire, OpCode); 2] = [Wire::cut_before_reply, Wire::cut_before_arrival];

fn queue(client: &Client) -> Queue {
    Queue::new(client, QUEUE)
}

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap()
}

async fn next(queue: &Queue) -> Delivery {
    soon(queue.take()).await.unwrap()
}

/// Takes and acknowledges everything that is there.
async fn drain(queue: &Queue) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(delivery) = soon(queue.try_take()).await.unwrap() {
        taken.push(text(delivery.data()).to_owned());
        soon(delivery.ack()).await.unwrap();
    }
    taken
}

/// No claim is left; nor a witness, if it is not a queue's that is used still.
async fn is_tidy(client: &Client, is_used: bool) {
    loop {
        soon(client.sync("/")).await.unwrap();
        let Ok(claims) = soon(client.get_children(CLAIMS)).await else { break };
        if claims.iter().all(|name| is_used && name.ends_with("-witness")) {
            break;
        }
    }
}

#[tokio::test]
async fn items_are_taken_in_the_order_of_their_queue() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let one = queue(&client);
    for item in ["a", "b", "c"] {
        soon(one.put(item)).await.unwrap();
    }
    assert_eq!(soon(one.item_count()).await.unwrap(), 3);
    assert_eq!(drain(&one).await, ["a", "b", "c"]);

    let urgent = Queue::by_priority(&client, "/queues/urgent");
    for (item, priority) in [("c", 5), ("a", -1), ("b", 0), ("d", 5)] {
        soon(urgent.put(Item::new(item).with_priority(priority))).await.unwrap();
    }
    let first = next(&urgent).await;
    assert_eq!(first.data(), b"a");
    // One that comes later is ahead of those that were seen.
    soon(urgent.put(Item::new("now").with_priority(-7))).await.unwrap();
    soon(client.sync("/")).await.unwrap();
    assert_eq!(drain(&urgent).await, ["now", "b", "c", "d"]);
    soon(first.ack()).await.unwrap();

    let later = Queue::delayed(&client, "/queues/later");
    let ms = Duration::from_millis;
    for (item, delay) in [("second", ms(90)), ("first", ms(30)), ("never", ms(1 << 40))] {
        soon(later.put(Item::new(item).with_delay(delay))).await.unwrap();
    }
    assert!(soon(later.try_take()).await.unwrap().is_none());
    for expected in ["first", "second"] {
        let delivery = next(&later).await;
        assert_eq!(text(delivery.data()), expected);
        soon(delivery.ack()).await.unwrap();
    }
    assert!(soon(later.take_timeout(ms(5))).await.unwrap().is_none());

    let named = Queue::by_id(&client, "/queues/named");
    for (item, id) in [("a", "x"), ("b", "y/1"), ("c", "x")] {
        soon(named.put(Item::new(item).with_id(id))).await.unwrap();
    }
    assert_eq!(soon(named.remove("x")).await.unwrap(), 2);
    assert_eq!(soon(named.remove("z")).await.unwrap(), 0);
    let left = next(&named).await;
    assert_eq!((left.data(), left.id()), (&b"b"[..], Some("y_1")));
    // What somebody has taken is not taken back.
    assert_eq!(soon(named.remove("y/1")).await.unwrap(), 0);
}

#[tokio::test]
async fn items_stand_there_as_curator_writes_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(queue(&client).put("hi")).await.unwrap();
    let names = soon(client.get_children(QUEUE)).await.unwrap();
    assert_eq!(names, ["queue-0000000000"]);
    let (data, stat) = soon(client.get_data(&format!("{QUEUE}/{}", names[0]))).await.unwrap();
    assert_eq!(&data[..], [0, 1, 0, 1, 1, 0, 0, 0, 2, b'h', b'i', 2]);
    assert_eq!(stat.ephemeral_owner.0, 0);
    let elsewhere = queue(&client).with_claims("/elsewhere");
    let delivery = next(&elsewhere).await;
    assert_eq!(soon(client.get_children("/elsewhere")).await.unwrap(), names);
    drop(delivery);
    let simple = SimpleQueue::new(&client, "/simple");
    soon(simple.put("hi")).await.unwrap();
    assert_eq!(soon(client.get_children("/simple")).await.unwrap(), ["qn-0000000000"]);
    let (data, _) = soon(client.get_data("/simple/qn-0000000000")).await.unwrap();
    assert_eq!(&data[..], b"hi");
    let kazoo = SimpleQueue::new(&client, "/kazoo").with_layout(Layout::Kazoo);
    soon(kazoo.put("hi")).await.unwrap();
    assert_eq!(soon(client.get_children("/kazoo")).await.unwrap(), ["entry-100-0000000000"]);
}

/// Curator's make both nodes when they start: if the server takes one away since it is empty, what
/// they put fails from then on, and what is put is never taken.
#[tokio::test]
async fn a_queue_is_no_container_that_goes_while_curators_are_at_work() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(queue(&client).put("hi")).await.unwrap();
    let elsewhere = queue(&client).with_claims("/elsewhere");
    soon(next(&elsewhere).await.ack()).await.unwrap();
    for path in [QUEUE, CLAIMS, "/elsewhere"] {
        if let Some(is_container) = ground.is_container(path).await {
            assert!(!is_container, "{path}");
        }
    }
    if let Some(is_container) = ground.is_container("/queues").await {
        assert!(is_container, "what is above goes with the last queue");
    }
}

/// Several that were put as one come as one.
#[tokio::test]
async fn what_was_put_as_one_is_delivered_as_one() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(queue(&client).put("first")).await.unwrap();
    let two = [0, 1, 0, 1, 1, 0, 0, 0, 1, b'a', 1, 0, 0, 0, 1, b'b', 2];
    let mode = CreateMode::PersistentSequential;
    soon(client.create(&format!("{QUEUE}/queue-"), two, mode)).await.unwrap();
    let queue = queue(&client);
    soon(next(&queue).await.ack()).await.unwrap();
    let delivery = next(&queue).await;
    assert_eq!(delivery.items(), [b"a", b"b"]);
}

/// In Curator an item whose creation is not answered is put twice, and one whose removal is not
/// answered is gone.
#[tokio::test]
async fn fact_12_each_item_is_put_and_done_once_with_every_reply_lost() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let (queue, simple) = (queue(&client), SimpleQueue::new(&client, "/simple"));
    soon(queue.put("before")).await.unwrap();
    soon(simple.put("before")).await.unwrap();
    let mut put = vec!["before".to_owned()];
    for (round, cut) in CUTS.into_iter().cycle().take(8).enumerate() {
        let item = round.to_string();
        cut(&wire, OpCode::Multi);
        soon(queue.put(&item)).await.unwrap();
        cut(&wire, OpCode::Multi);
        soon(simple.put(&item)).await.unwrap();
        put.push(item);
    }
    for (expected, cut) in put.iter().zip(CUTS.into_iter().cycle()) {
        cut(&wire, OpCode::Create2);
        let delivery = next(&queue).await;
        assert_eq!(text(delivery.data()), expected);
        cut(&wire, OpCode::Multi);
        soon(delivery.ack()).await.unwrap();
        cut(&wire, OpCode::Multi);
        assert_eq!(text(&soon(simple.take()).await.unwrap()), expected);
    }
    assert!(soon(queue.try_take()).await.unwrap().is_none());
    assert!(soon(simple.try_take()).await.unwrap().is_none());
    drop((queue, simple));
    is_tidy(&other, false).await;
}

/// Curator puts it back under another name, ahead of all others.
#[tokio::test]
async fn fact_12_fact_30_an_item_that_is_given_back_keeps_what_it_was_put_with() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    for (item, priority) in [("urgent", -5), ("late", 9)] {
        let item = Item::new(item).with_priority(priority);
        soon(Queue::by_priority(&client, QUEUE).put(item)).await.unwrap();
    }
    // What one handle has given back is for another to find at once.
    let first = async |client: &Client| {
        let delivery = next(&Queue::by_priority(client, QUEUE)).await;
        assert_eq!(delivery.data(), b"urgent");
        delivery
    };
    let path = first(&client).await.path().to_owned();
    is_tidy(&other, true).await;
    for cut in CUTS {
        let delivery = first(&client).await;
        assert_eq!(delivery.path(), path);
        cut(&wire, OpCode::Delete);
        soon(delivery.nack()).await.unwrap();
    }
    // Also when the session of whoever has taken it ends.
    let delivery = first(&client).await;
    ground.end_session(&client, &wire).await;
    assert!(soon(delivery.ack()).await.unwrap_err().is_session_over());
    let delivery = first(&other).await;
    assert_eq!(delivery.path(), path);
    soon(delivery.ack()).await.unwrap();
}

#[tokio::test]
async fn what_is_done_for_an_item_in_the_same_transaction_is_done_once() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let queue = queue(&client);
    soon(client.create("/done", "", CreateMode::Persistent)).await.unwrap();
    for item in ["a", "b"] {
        soon(queue.put(item)).await.unwrap();
    }
    for cut in CUTS {
        let delivery = next(&queue).await;
        let done = format!("/done/{}", text(delivery.data()));
        cut(&wire, OpCode::Multi);
        let done = Op::create(done, "", CreateMode::Persistent);
        soon(delivery.ack_with([done])).await.unwrap();
    }
    let mut done = soon(client.get_children("/done")).await.unwrap();
    done.sort();
    assert_eq!(done, ["a", "b"]);
    // What cannot be done leaves the item.
    soon(queue.put("a")).await.unwrap();
    let delivery = next(&queue).await;
    let error = soon(delivery.ack_with([Op::create("/done/a", "", CreateMode::Persistent)]));
    let error = error.await.unwrap_err();
    assert_eq!(error.client_error().unwrap().op_index(), Some(2));
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(next(&queue).await.data(), b"a");
}

/// CURATOR-605: a consumer cannot learn there that its claim is gone.
#[tokio::test]
async fn curator_605_whoever_has_lost_a_claim_is_told_and_does_nothing() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let queue = queue(&client);
    for item in ["a", "b"] {
        soon(queue.put(item)).await.unwrap();
    }
    let (one, two) = (next(&queue).await, next(&queue).await);
    for delivery in [&one, &two] {
        let name = delivery.path().rsplit('/').next().unwrap();
        delete(&other, &format!("{CLAIMS}/{name}")).await.unwrap();
    }
    assert_eq!(soon(one.ack()).await.unwrap_err().kind(), RecipeErrorKind::Lost);
    assert_eq!(soon(two.nack()).await.unwrap_err().kind(), RecipeErrorKind::Lost);
    assert_eq!(soon(queue.item_count()).await.unwrap(), 2, "they are there for others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_put_and_many_take_and_each_item_is_done_once() {
    const EACH: usize = 50;
    let ground = Ground::start().await;
    let clients = join_all((0..4).map(|_| ground.connect())).await;
    let producers = clients.iter().enumerate().map(|(who, client)| {
        let queue = queue(client);
        tokio::spawn(async move {
            for number in 0..EACH {
                queue.put(format!("{who}-{number}")).await.unwrap();
            }
            Vec::new()
        })
    });
    let consumers = clients.iter().map(|client| {
        let queue = queue(client);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..EACH {
                let delivery = queue.take().await.unwrap();
                taken.push(text(delivery.data()).to_owned());
                delivery.ack().await.unwrap();
            }
            taken
        })
    });
    let tasks: Vec<_> = producers.chain(consumers).collect();
    let mut all = BTreeSet::new();
    for task in tasks {
        for item in soon(task).await.unwrap() {
            assert!(all.insert(item), "it was done twice");
        }
    }
    assert_eq!(all.len(), 4 * EACH);
    is_tidy(&clients[0], false).await;
}

/// Curator's queues cannot list so many.
#[tokio::test]
async fn more_than_ten_thousand_items_are_no_trouble() {
    const COUNT: usize = 10_001;
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(queue(&client).put("first")).await.unwrap();
    let item = |number: usize| {
        let text = format!("{number:05}");
        let data = [&[0, 1, 0, 1, 1, 0, 0, 0, 5][..], text.as_bytes(), &[2]].concat();
        Op::create(format!("{QUEUE}/queue-"), data, CreateMode::PersistentSequential)
    };
    let numbers: Vec<usize> = (1..COUNT).collect();
    let put = numbers.chunks(500).map(|some| client.multi(some.iter().map(|one| item(*one))));
    for put in put.collect::<Vec<_>>() {
        soon(put).await.unwrap();
    }
    let queue = queue(&client);
    assert_eq!(soon(queue.item_count()).await.unwrap(), COUNT);
    assert_eq!(next(&queue).await.data(), b"first");
    for number in 1..100 {
        let delivery = next(&queue).await;
        assert_eq!(text(delivery.data()), format!("{number:05}"));
        soon(delivery.ack()).await.unwrap();
    }
    soon(client.delete_all("/queues")).await.unwrap();
}

#[tokio::test]
async fn a_full_queue_has_those_wait_who_put() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let bounded = queue(&client).with_capacity(2);
    for item in ["a", "b"] {
        soon(bounded.put(item)).await.unwrap();
    }
    let mut putting = tokio::spawn({
        let bounded = bounded.clone();
        async move { bounded.put("c").await }
    });
    let theirs = queue(&other);
    let delivery = next(&theirs).await;
    soon(client.sync("/")).await.unwrap();
    assert!(is_pending(&mut putting), "what is taken is there still");
    soon(delivery.ack()).await.unwrap();
    soon(putting).await.unwrap().unwrap();
    assert_eq!(drain(&theirs).await, ["b", "c"]);
}

#[tokio::test]
async fn whoever_waits_for_an_item_hears_of_each_that_comes_or_comes_back() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let (queue, theirs) = (queue(&client), queue(&other));
    // Nothing is there yet, not even the queue.
    let mut waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await.unwrap() }
    });
    soon(client.sync("/")).await.unwrap();
    assert!(is_pending(&mut waiting));
    soon(theirs.put("a")).await.unwrap();
    let delivery = soon(waiting).await.unwrap();
    let mut waiting = tokio::spawn({
        let theirs = theirs.clone();
        async move { theirs.take().await.unwrap() }
    });
    soon(other.sync("/")).await.unwrap();
    assert!(is_pending(&mut waiting), "somebody else has it");
    soon(delivery.nack()).await.unwrap();
    let delivery = soon(waiting).await.unwrap();
    assert_eq!(delivery.data(), b"a");
    // Whoever stops waiting watches nothing any more.
    assert!(soon(queue.take_timeout(Duration::from_millis(5))).await.unwrap().is_none());
    while !ground.watched().await.is_empty() {
        soon(client.sync("/")).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_item_is_passed_over_and_left_as_it_is() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let queue = queue(&client);
    soon(queue.put("a")).await.unwrap();
    let foreign = ["readme", "lock-0000000000", "queue-x", "queue-0000000099"];
    for name in foreign {
        let path = format!("{QUEUE}/{name}");
        soon(client.create(&path, [0, 1, 0, 1, 1, 0xff], CreateMode::Persistent)).await.unwrap();
    }
    soon(queue.put("b")).await.unwrap();
    assert_eq!(drain(&queue).await, ["a", "b"]);
    for name in foreign {
        let (data, stat) = soon(client.get_data(&format!("{QUEUE}/{name}"))).await.unwrap();
        assert_eq!((&data[..], stat.version), (&[0, 1, 0, 1, 1, 0xff][..], Version(0)));
    }
    is_tidy(&client, true).await;
}

#[tokio::test]
async fn what_cannot_be_queued_is_refused_by_the_call_that_asks_for_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    for path in ["queues", "/a//b"] {
        let error = soon(Queue::new(&client, path).put("a")).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidPath, path));
        let error = soon(SimpleQueue::new(&client, path).take()).await.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    }
    let (queue, named) = (queue(&client), Queue::by_id(&client, QUEUE));
    let refused: [RecipeError; 4] = [
        soon(queue.put(Item::new("a").with_priority(1))).await.unwrap_err(),
        soon(queue.put(Item::new("a").with_id("x"))).await.unwrap_err(),
        soon(named.put("a")).await.unwrap_err(),
        soon(queue.remove("x")).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(
            (error.kind(), error.outcome()),
            (RecipeErrorKind::InvalidArgument, Outcome::NotSent)
        );
    }
    let error = soon(named.put(Item::new("a").with_id("a\u{0}b"))).await.unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    let error = soon(queue.put(vec![0; 2 << 20])).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Client, Outcome::NotSent));
    let sealed = client.with_default_acl(vec![Acl::read_only()]);
    for path in ["/sealed", "/sealed-locks"] {
        soon(sealed.create(path, "", CreateMode::Persistent)).await.unwrap();
    }
    let error = soon(Queue::new(&client, "/sealed").put("a")).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::NoAuth));
}

#[tokio::test]
async fn putting_and_taking_can_be_dropped_at_every_await() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let theirs = queue(&other);
    soon(theirs.put("first")).await.unwrap();
    soon(next(&theirs).await.ack()).await.unwrap();
    for is_cut in [false, true] {
        for pending in 1..100 {
            let (client, wire) = ground.connect_wired().await;
            let queue = queue(&client);
            if is_cut {
                wire.cut_before_reply(OpCode::Multi);
            }
            let put = soon(drop_at(pending, queue.put("a"))).await;
            soon(client.until_answered(|| client.sync("/"))).await.unwrap();
            let count = soon(queue.item_count()).await.unwrap();
            assert!(count <= 1 && (put.is_none() || count == 1), "{count}");
            if count == 0 {
                soon(queue.put("a")).await.unwrap();
            }
            if is_cut {
                wire.cut_before_reply(OpCode::Create2);
            }
            let both = async { queue.take().await?.ack().await };
            let done = soon(drop_at(pending, both)).await;
            drop(queue);
            is_tidy(&other, true).await;
            let left = drain(&theirs).await;
            assert!(left.len() <= 1 && (done.is_none() || left.is_empty()), "{left:?}");
            if let (Some(put), Some(done)) = (put, done) {
                put.and(done).unwrap();
                assert!(pending > 3, "nothing was dropped");
                break;
            }
        }
    }
    drop(theirs);
    is_tidy(&other, false).await;
}
