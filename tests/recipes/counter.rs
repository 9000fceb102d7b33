//! Numbers and values that several share: each change is made once, whatever is lost on the way.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use futures::StreamExt;
use futures::future::join_all;
use znode::proto::OpCode;
use znode::{Acl, Client, CreateMode, ErrorKind, Outcome, Version};
use znode_recipes::{
    AtomicValue, CachedCounter, Counter, Layout, RecipeError, RecipeErrorKind, UniqueIds,
};

use crate::ground::{Ground, Wire, drop_at, soon};

const COUNTER: &str = "/counters/one";

fn counter(client: &Client) -> Counter<i64> {
    Counter::new(client, COUNTER)
}

/// The witnesses that stand below the counter.
async fn witnesses(client: &Client) -> usize {
    soon(client.get_children(COUNTER)).await.unwrap().len()
}

async fn no_witness_is_left(client: &Client) {
    while witnesses(client).await > 0 {
        soon(client.sync("/")).await.unwrap();
    }
}

#[tokio::test]
async fn a_number_is_what_was_made_of_it() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let counter = counter(&client);
    assert_eq!(soon(counter.get()).await.unwrap(), 0);
    assert_eq!(soon(counter.add(5)).await.unwrap(), 5);
    assert_eq!(soon(counter.subtract(7)).await.unwrap(), -2);
    assert!(!soon(counter.initialize(9)).await.unwrap());
    assert_eq!(soon(counter.set(40)).await.unwrap(), -2);
    assert!(!soon(counter.compare_and_set(41, 1)).await.unwrap());
    assert!(soon(counter.compare_and_set(40, 41)).await.unwrap());
    assert_eq!(soon(counter.update(|number| number.checked_mul(2))).await.unwrap(), Some(82));
    assert_eq!(soon(counter.update(|_| None)).await.unwrap(), None);
    assert_eq!(soon(counter.get()).await.unwrap(), 82);
    let other = Counter::<i64>::new(&client, "/counters/other");
    assert!(soon(other.initialize(9)).await.unwrap());
    assert_eq!(soon(other.get()).await.unwrap(), 9);
}

#[tokio::test]
async fn numbers_stand_there_as_curator_and_kazoo_write_them() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    soon(counter(&client).add(258)).await.unwrap();
    let (data, _) = soon(client.get_data(COUNTER)).await.unwrap();
    assert_eq!(&data[..], [0, 0, 0, 0, 0, 0, 1, 2]);
    let small = Counter::<i32>::new(&client, "/counters/small");
    soon(small.subtract(1)).await.unwrap();
    let (data, _) = soon(client.get_data("/counters/small")).await.unwrap();
    assert_eq!(&data[..], [0xff; 4]);
    // Curator begins with a node without data, and so does kazoo.
    soon(client.set_data("/counters/small", "", Version::ANY)).await.unwrap();
    assert_eq!(soon(small.add(3)).await.unwrap(), 3);
    let text = Counter::<i64>::new(&client, "/texts/one").with_layout(Layout::Kazoo);
    soon(text.add(-17)).await.unwrap();
    let (data, _) = soon(client.get_data("/texts/one")).await.unwrap();
    assert_eq!(&data[..], b"-17");
    if let Some(is_container) = ground.is_container("/texts").await {
        assert!(!is_container, "kazoo does not make it anew");
        assert_eq!(ground.is_container("/counters").await, Some(true));
    }
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused_and_left_as_it_is() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let kind = |error: RecipeError| error.kind();
    for path in ["counters", "/a//b"] {
        let error = soon(Counter::<i64>::new(&client, path).add(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (RecipeErrorKind::InvalidPath, path));
        let error = soon(AtomicValue::new(&client, path).get()).await.unwrap_err();
        assert_eq!(error.kind(), RecipeErrorKind::InvalidPath);
    }
    let counter = counter(&client);
    soon(counter.set(i64::MAX)).await.unwrap();
    let error = soon(counter.add(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Exhausted, Outcome::NotSent));
    assert_eq!(soon(counter.get()).await.unwrap(), i64::MAX);
    soon(client.set_data(COUNTER, "17", Version::ANY)).await.unwrap();
    for refused in [soon(counter.add(1)).await, soon(counter.get()).await] {
        assert_eq!(kind(refused.unwrap_err()), RecipeErrorKind::Foreign);
    }
    let (data, _) = soon(client.get_data(COUNTER)).await.unwrap();
    assert_eq!(&data[..], b"17");
    let sealed = client.with_default_acl(vec![Acl::read_only()]);
    soon(sealed.create("/sealed", "", CreateMode::Persistent)).await.unwrap();
    let sealed = Counter::<i64>::new(&client, "/sealed");
    let error = soon(sealed.add(1)).await.unwrap_err();
    assert_eq!(error.client_error().map(znode::Error::kind), Some(ErrorKind::NoAuth));
    let blocks = CachedCounter::new(counter, 0);
    assert_eq!(kind(blocks.unwrap_err()), RecipeErrorKind::InvalidArgument);
    let ids = UniqueIds::new(&client, "/ids");
    assert_eq!(kind(ids.with_block(0).unwrap_err()), RecipeErrorKind::InvalidArgument);
}

/// Curator's counts to 3 with two additions of which one reply is lost.
#[tokio::test]
async fn fact_11_as_many_as_were_added_are_there_with_one_reply_lost_for_each() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let (client, wire) = ground.connect_wired().await;
    let (counter, theirs) = (counter(&client), counter(&other));
    let mut sum = 0;
    for cut in [Wire::cut_before_reply as fn(&Wire, OpCode), Wire::cut_before_arrival] {
        for round in 0..8 {
            if round % 3 == 0 {
                // So that what was seen last is not there any more.
                soon(theirs.add(1)).await.unwrap();
                sum += 1;
            }
            cut(&wire, OpCode::Multi);
            sum += 1;
            assert_eq!(soon(counter.add(1)).await.unwrap(), sum);
        }
    }
    assert_eq!(soon(theirs.add(0)).await.unwrap(), sum);
    drop((counter, theirs));
    no_witness_is_left(&other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_count_together_and_nothing_is_lost() {
    let ground = Ground::start().await;
    let clients = join_all((0..4).map(|_| ground.connect())).await;
    let tasks = clients.iter().flat_map(|client| {
        let counter = counter(client);
        // Handles of one client, and several tasks of one handle.
        [counter.clone(), counter].map(|counter| {
            tokio::spawn(async move {
                for _ in 0..25 {
                    counter.add(1).await.unwrap();
                }
            })
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        soon(task).await.unwrap();
    }
    soon(clients[0].sync("/")).await.unwrap();
    assert_eq!(soon(counter(&clients[0]).get()).await.unwrap(), 200);
    no_witness_is_left(&clients[0]).await;
}

#[tokio::test]
async fn an_addition_that_is_dropped_at_any_await_is_made_once_or_not_at_all() {
    let ground = Ground::start().await;
    let other = ground.connect().await;
    let theirs = counter(&other);
    soon(theirs.add(1)).await.unwrap();
    for is_cut in [false, true] {
        for pending in 1..100 {
            let (client, wire) = ground.connect_wired().await;
            let before = soon(theirs.add(0)).await.unwrap();
            if is_cut {
                wire.cut_before_reply(OpCode::Multi);
            }
            let counter = counter(&client);
            let added = soon(drop_at(pending, counter.add(1))).await;
            // What is asked next comes behind it.
            let after = soon(counter.add(0)).await.unwrap();
            assert!([before, before + 1].contains(&after), "{before} {after}");
            if let Some(added) = added {
                assert_eq!(added.unwrap(), before + 1);
                assert!(pending > 2, "nothing was dropped");
                break;
            }
        }
    }
    drop(theirs);
    no_witness_is_left(&other).await;
}

#[tokio::test]
async fn whether_it_was_counted_is_unknown_only_when_the_session_ends() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let counter = counter(&client);
    soon(counter.add(1)).await.unwrap();
    wire.refuse();
    wire.cut_before_reply(OpCode::Multi);
    let adding = tokio::spawn({
        let counter = counter.clone();
        async move { counter.add(1).await }
    });
    wire.until(OpCode::Multi, 2).await;
    ground.end_session(&client, &wire).await;
    let error = soon(adding).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (RecipeErrorKind::Client, Outcome::Unknown));
    assert!(error.is_session_over());
    let error = soon(counter.add(1)).await.unwrap_err();
    assert!(error.is_session_over() && error.outcome() == Outcome::NotSent);
}

/// Somebody sweeps what he does not know.
#[tokio::test]
async fn a_witness_that_is_deleted_is_made_anew() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let counter = counter(&client);
    for sum in 1..=3 {
        assert_eq!(soon(counter.add(1)).await.unwrap(), sum);
        let children = soon(client.get_children(COUNTER)).await.unwrap();
        assert_eq!(children.len(), 1);
        soon(client.delete(&format!("{COUNTER}/{}", children[0]), Version::ANY)).await.unwrap();
    }
    // And the counter itself.
    soon(client.delete_all("/counters")).await.unwrap();
    assert_eq!(soon(counter.add(1)).await.unwrap(), 1);
}

/// A node that was made anew has the versions of the old one: a version alone proves nothing.
#[tokio::test]
async fn a_counter_that_was_made_anew_is_read_and_not_guessed() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let (one, another) = (counter(&client), counter(&other));
    assert_eq!(soon(one.add(9)).await.unwrap(), 9);
    soon(other.delete_all(COUNTER)).await.unwrap();
    assert_eq!(soon(another.add(500)).await.unwrap(), 500);
    assert_eq!(soon(one.add(1)).await.unwrap(), 501);
    // By one who has only read it, too.
    let reader = counter(&client);
    assert!(!soon(reader.initialize(7)).await.unwrap());
    soon(other.delete_all(COUNTER)).await.unwrap();
    assert_eq!(soon(counter(&other).add(20)).await.unwrap(), 20);
    assert_eq!(soon(reader.add(1)).await.unwrap(), 21);
}

/// Somebody else writes a witness, which so proves nothing any more.
#[tokio::test]
async fn a_witness_that_was_written_by_others_is_not_left_behind() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let counter = counter(&client);
    soon(counter.add(1)).await.unwrap();
    let children = soon(client.get_children(COUNTER)).await.unwrap();
    let witness = format!("{COUNTER}/{}", children[0]);
    soon(client.set_data(&witness, "", Version::ANY)).await.unwrap();
    assert_eq!(soon(counter.add(1)).await.unwrap(), 2);
    soon(client.sync("/")).await.unwrap();
    assert_eq!(soon(client.exists(&witness)).await.unwrap(), None);
    assert_eq!(soon(client.get_children(COUNTER)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_addition_costs_one_round_trip_and_one_transaction() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let counter = counter(&client);
    soon(counter.add(1)).await.unwrap();
    let before = wire.requests();
    for _ in 0..10 {
        soon(counter.add(1)).await.unwrap();
    }
    assert_eq!(wire.requests() - before, 10);
    let numbers = CachedCounter::new(counter, 100).unwrap();
    let before = wire.requests();
    for expected in 12..=1_011 {
        assert_eq!(soon(numbers.next()).await.unwrap(), expected);
    }
    assert_eq!(wire.requests() - before, 10);
}

#[tokio::test]
async fn a_value_is_what_was_made_of_it() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let value = AtomicValue::new(&client, "/values/motto");
    assert_eq!(soon(value.get()).await.unwrap(), None);
    assert!(soon(value.initialize("a")).await.unwrap());
    assert!(!soon(value.initialize("b")).await.unwrap());
    wire.cut_before_reply(OpCode::Multi);
    assert_eq!(soon(value.set("b")).await.unwrap(), Some(b"a".to_vec()));
    assert!(!soon(value.compare_and_set("a", "c")).await.unwrap());
    wire.cut_before_reply(OpCode::Multi);
    assert!(soon(value.compare_and_set("b", "c")).await.unwrap());
    let longer = soon(value.update(|now| Some([now, b"d"].concat()))).await.unwrap();
    assert_eq!(longer, Some(b"cd".to_vec()));
    assert_eq!(soon(value.get()).await.unwrap(), longer);
}

#[tokio::test]
async fn whoever_follows_a_number_sees_the_last_one() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let count = Counter::<i32>::new(&client, COUNTER);
    let mut counts = count.values();
    assert_eq!(soon(counts.next()).await.unwrap().unwrap(), 0);
    let theirs = Counter::<i32>::new(&other, COUNTER);
    soon(theirs.set(7)).await.unwrap();
    while soon(counts.next()).await.unwrap().unwrap() != 7 {}
    // What is no number is told, and what follows, too.
    soon(other.set_data(COUNTER, "7", Version::ANY)).await.unwrap();
    let error = soon(counts.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), RecipeErrorKind::Foreign);
    soon(other.set_data(COUNTER, [0, 0, 0, 9], Version::ANY)).await.unwrap();
    assert_eq!(soon(counts.next()).await.unwrap().unwrap(), 9);
    let mut values = AtomicValue::new(&client, COUNTER).values();
    assert_eq!(soon(values.next()).await.unwrap().unwrap(), Some(vec![0, 0, 0, 9]));
    drop((count, counts, values, theirs));
    no_witness_is_left(&other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_is_given_twice_and_each_process_gives_larger_ones() {
    let ground = Ground::start().await;
    let clients = join_all((0..3).map(|_| ground.connect())).await;
    let tasks: Vec<_> = clients
        .iter()
        .map(|client| {
            let ids = UniqueIds::new(client, "/ids/orders").with_block(7).unwrap();
            tokio::spawn(async move {
                let mut given = Vec::new();
                for _ in 0..100 {
                    given.push(ids.next().await.unwrap());
                }
                given
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    for task in tasks {
        let given = soon(task).await.unwrap();
        assert!(given.is_sorted_by(|one, next| one < next));
        all.extend(given);
    }
    assert_eq!(all.len(), 300);
    // It is a time of this day, as the server knows it.
    let stat = soon(clients[0].exists("/ids/orders")).await.unwrap().unwrap();
    let written = UNIX_EPOCH + Duration::from_millis(stat.mtime.unsigned_abs());
    let last = UniqueIds::time(*all.last().unwrap());
    let apart = last.duration_since(written).unwrap_or_else(|error| error.duration());
    assert!(apart < Duration::from_secs(3_600), "{apart:?}");
    // What is left of an old block is not given out any more.
    let ids = UniqueIds::new(&clients[0], "/ids/orders").with_age_max(Duration::ZERO);
    let (one, other) = (soon(ids.next()).await.unwrap(), soon(ids.next()).await.unwrap());
    assert!(other - one >= 1_000);
    assert!(one > *all.last().unwrap());
}
