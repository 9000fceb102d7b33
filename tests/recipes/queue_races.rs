//! Queues that several take from, where replies are lost and hands meddle: an item has one taker,
//! and whoever has it keeps it.

use tokio::task::yield_now;
use znode::proto::OpCode;
use znode::{Acl, Client, CreateMode, Version};
use znode_recipes::{Delivery, Item, Queue, SimpleQueue};

use crate::ground::{Ground, is_pending, soon};

const QUEUE: &str = "/queues/one";
const CLAIMS: &str = "/queues/one-locks";

fn queue(client: &Client) -> Queue {
    Queue::new(client, QUEUE)
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(delivery.data()).unwrap()
}

async fn put(client: &Client, items: &[&str]) {
    for item in items {
        soon(queue(client).put(*item)).await.unwrap();
    }
}

/// Has a handle know what there is, and have nothing.
async fn look(queue: &Queue) {
    soon(soon(queue.take()).await.unwrap().nack()).await.unwrap();
}

async fn claims(client: &Client) -> usize {
    soon(client.sync("/")).await.unwrap();
    let claims = soon(client.get_children(CLAIMS)).await.unwrap();
    claims.iter().filter(|name| !name.ends_with("-witness")).count()
}

#[tokio::test]
async fn two_handles_of_one_session_never_have_one_item() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    put(&ground.connect().await, &["a", "b"]).await;
    let (one, other) = (queue(&client), queue(&client));
    look(&one).await;
    look(&other).await;
    // Both claims are on their way, one is the server's, and nobody hears of either.
    wire.hold_replies();
    let before = wire.count(OpCode::Create2);
    let (mut one, mut other) = (Box::pin(one.take()), Box::pin(other.take()));
    assert!(is_pending(&mut one) && is_pending(&mut other));
    wire.until(OpCode::Create2, before + 2).await;
    wire.cut();
    wire.resume();
    let (one, other) = soon(async { tokio::join!(one, other) }).await;
    let (one, other) = (one.unwrap(), other.unwrap());
    let mut taken = [text(&one), text(&other)];
    taken.sort_unstable();
    assert_eq!(taken, ["a", "b"]);
    assert_eq!(claims(&client).await, 2);
}

/// Whoever gives an item back and does not hear of it asks again: by then somebody else has it.
#[tokio::test]
async fn an_item_that_is_given_back_twice_is_not_taken_from_the_next() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    put(&other, &["a"]).await;
    for is_dropped in [false, true] {
        let delivery = soon(queue(&client).take()).await.unwrap();
        let waits = queue(&other);
        let mut next = Box::pin(waits.take());
        assert!(is_pending(&mut next));
        wire.refuse();
        wire.cut_before_reply(OpCode::Delete);
        let mut given_back = Box::pin(async {
            if is_dropped {
                drop(delivery);
            } else {
                delivery.nack().await.unwrap();
            }
        });
        assert_eq!(is_pending(&mut given_back), !is_dropped);
        let next = soon(next).await.unwrap();
        wire.admit();
        if !is_dropped {
            soon(given_back).await;
        }
        soon(client.sync("/")).await.unwrap();
        soon(client.sync("/")).await.unwrap();
        assert_eq!(claims(&other).await, 1);
        assert!(soon(queue(&client).try_take()).await.unwrap().is_none());
        soon(next.nack()).await.unwrap();
    }
}

/// What was read before the claim was made is of nobody's item.
#[tokio::test]
async fn an_item_is_read_behind_the_claim_to_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    put(&other, &["a"]).await;
    soon(other.delete_all(CLAIMS)).await.unwrap();
    let (late, early) = (queue(&client), queue(&other));
    let mut taking = Box::pin(late.try_take());
    // It has read the item, and makes the node that was missing for its claim.
    let before = wire.count(OpCode::Create2);
    soon(async {
        while wire.count(OpCode::Create2) < before + 2 {
            assert!(is_pending(&mut taking));
            client.sync("/").await.unwrap();
        }
    })
    .await;
    let delivery = soon(early.take()).await.unwrap();
    soon(delivery.ack()).await.unwrap();
    assert!(soon(taking).await.unwrap().is_none(), "it was done already");
}

#[tokio::test]
async fn kazoo_366_501_whoever_waits_for_an_item_holds_nobody_up_who_does_not() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let queue = queue(&client);
    let simple = SimpleQueue::new(&client, "/queues/simple");
    let (mut taking, mut taking_simply) = (Box::pin(queue.take()), Box::pin(simple.take()));
    // Until both have looked, and wait.
    soon(async {
        while ground.watched().await.len() < 2 {
            assert!(is_pending(&mut taking) && is_pending(&mut taking_simply));
            yield_now().await;
        }
    })
    .await;
    assert!(soon(queue.try_take()).await.unwrap().is_none());
    assert_eq!(soon(simple.try_take()).await.unwrap(), None);
    assert_eq!(soon(simple.peek()).await.unwrap(), None);
    soon(queue.put("a")).await.unwrap();
    assert_eq!(text(&soon(taking).await.unwrap()), "a");
}

/// A claim that did not arrive, while somebody else's did: it is his, and nothing has failed.
#[tokio::test]
async fn whoever_was_too_slow_takes_the_next_item() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    put(&other, &["a", "b"]).await;
    let (one, another) = (queue(&client), queue(&other));
    look(&one).await;
    wire.refuse();
    wire.cut_before_arrival(OpCode::Create2);
    let mut taking = Box::pin(one.take());
    assert!(is_pending(&mut taking));
    let theirs = soon(another.take()).await.unwrap();
    assert_eq!(text(&theirs), "a");
    wire.admit();
    assert_eq!(text(&soon(taking).await.unwrap()), "b");
}

#[tokio::test]
async fn an_item_that_cannot_be_read_holds_nobody_up() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    put(&client, &["a"]).await;
    let name = &soon(client.get_children(QUEUE)).await.unwrap()[0];
    let secret = format!("{QUEUE}/{name}");
    soon(client.add_auth("digest", "other:secret")).await.unwrap();
    soon(client.set_acl(&secret, &[Acl::creator_all()], Version::ANY)).await.unwrap();
    put(&client, &["b"]).await;

    let stranger = ground.connect().await;
    let one = queue(&stranger);
    assert_eq!(text(&soon(one.take()).await.unwrap()), "b");
    assert_eq!(soon(one.item_count()).await.unwrap(), 2);
    // And whoever may read it takes it.
    assert_eq!(text(&soon(queue(&client).take()).await.unwrap()), "a");
}

#[tokio::test]
async fn what_is_urgent_overtakes_whoever_does_not_wait() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let queue = Queue::by_priority(&client, QUEUE);
    for (item, priority) in [("c", 5), ("b", 0)] {
        soon(queue.put(Item::new(item).with_priority(priority))).await.unwrap();
    }
    let first = soon(queue.try_take()).await.unwrap().unwrap();
    assert_eq!(text(&first), "b");
    soon(queue.put(Item::new("a").with_priority(-7))).await.unwrap();
    let urgent = soon(queue.try_take()).await.unwrap().unwrap();
    assert_eq!(text(&urgent), "a");
    // Given back it is urgent still.
    soon(queue.put(Item::new("d").with_priority(9))).await.unwrap();
    let last = soon(queue.take()).await.unwrap();
    assert_eq!(text(&last), "c");
    soon(urgent.nack()).await.unwrap();
    assert_eq!(text(&soon(queue.take()).await.unwrap()), "a");
}

/// Who waits where there is nothing is woken by what is put, and not by what others take.
#[tokio::test]
async fn waiting_where_there_is_nothing_costs_one_request() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    soon(client.create_with_parents(QUEUE, "", CreateMode::Persistent, znode::Parents::Persistent))
        .await
        .unwrap();
    for is_simple in [false, true] {
        let before = wire.requests();
        let (queue, simple) = (queue(&client), SimpleQueue::new(&client, QUEUE));
        let mut taking = Box::pin(async {
            match is_simple {
                true => drop(simple.take().await),
                false => drop(queue.take().await),
            }
        });
        // Each round trip is time enough for one more request, if there were any.
        for _ in 0..4 {
            assert!(is_pending(&mut taking));
            soon(client.sync("/")).await.unwrap();
        }
        assert_eq!(wire.requests() - before, 1 + 4);
        assert_eq!(client.stats().watches, 1);
        drop(taking);
        soon(async {
            while client.stats().watches > 0 {
                client.sync("/").await.unwrap();
            }
        })
        .await;
    }
}

/// The next items are read with the removal of one: what others do to them meanwhile counts.
#[tokio::test]
async fn what_was_read_ahead_is_taken_as_it_is_by_then() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let queue = SimpleQueue::new(&client, "/ahead");
    for item in ["a", "b", "c"] {
        soon(queue.put(item)).await.unwrap();
    }
    assert_eq!(soon(queue.take()).await.unwrap(), b"a");
    let mut names = soon(other.get_children("/ahead")).await.unwrap();
    names.sort_unstable();
    let [second, third] = [0, 1].map(|nth| format!("/ahead/{}", names[nth]));
    soon(other.set_data(&second, "B", Version::ANY)).await.unwrap();
    soon(other.delete(&third, Version::ANY)).await.unwrap();
    soon(queue.put("d")).await.unwrap();
    assert_eq!(soon(queue.take()).await.unwrap(), b"B");
    assert_eq!(soon(queue.take()).await.unwrap(), b"d");
    assert_eq!(soon(queue.try_take()).await.unwrap(), None);
    // However they are taken, they come in their order.
    let items = ["e", "f", "g", "h", "i"];
    for item in items {
        soon(queue.put(item)).await.unwrap();
    }
    for (nth, item) in items.iter().enumerate() {
        let taken = match nth % 2 {
            0 => soon(queue.take()).await.unwrap(),
            _ => soon(queue.try_take()).await.unwrap().unwrap(),
        };
        assert_eq!(taken, item.as_bytes());
    }
}
