//! What holds of queues, counters, barriers and groups alike, one test for each fact: refusals are
//! errors, time limits are limits, what is swept away is made anew, and nothing is left behind.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use znode::proto::OpCode;
use znode::{Acl, Client, ErrorKind, State, Version};
use znode_recipes::{
    AtomicValue, Barrier, Cache, CountdownLatch, Counter, DoubleBarrier, Group, NodeState,
    Partitioner, PersistentNode, Queue, RecipeError, ShardedQueue, SimpleQueue, UniqueIds,
};
use znode_testing::TestingServer;

use crate::ground::{Ground, disconnect, is_pending, soon};

/// Everything stands below it.
const HOME: &str = "/all";
const COUNTER: &str = "/all/counter";
const QUEUE: &str = "/all/queue";
const SIMPLE: &str = "/all/simple";
const GATE: &str = "/all/gate";
const DOUBLE: &str = "/all/double";
const LATCH: &str = "/all/latch";
const GROUP: &str = "/all/group";
const IDS: &str = "/all/ids";
const VALUE: &str = "/all/value";

type Use = fn(Client) -> BoxFuture<'static, Result<(), RecipeError>>;

/// Each recipe once through, by its name.
const USES: [(&str, Use); 9] = [
    ("counter", |client| {
        Box::pin(async move { Counter::<i64>::new(&client, COUNTER).add(1).await.map(drop) })
    }),
    ("value", |client| {
        Box::pin(async move { AtomicValue::new(&client, VALUE).set("x").await.map(drop) })
    }),
    ("ids", |client| Box::pin(async move { UniqueIds::new(&client, IDS).next().await.map(drop) })),
    ("queue", |client| {
        Box::pin(async move {
            let queue = Queue::new(&client, QUEUE);
            queue.put("x").await?;
            queue.take().await?.ack().await
        })
    }),
    ("simple queue", |client| {
        Box::pin(async move {
            let queue = SimpleQueue::new(&client, SIMPLE);
            queue.put("x").await?;
            queue.take().await.map(drop)
        })
    }),
    ("gate", |client| {
        Box::pin(async move {
            let gate = Barrier::new(&client, GATE);
            gate.close().await?;
            gate.open().await
        })
    }),
    ("double barrier", |client| {
        Box::pin(
            async move { DoubleBarrier::new(&client, DOUBLE, 1)?.enter().await?.leave().await },
        )
    }),
    ("countdown", |client| {
        Box::pin(async move {
            let latch = CountdownLatch::new(&client, LATCH, 3)?;
            latch.count_down().await?;
            latch.reset().await.map(drop)
        })
    }),
    ("group", |client| {
        Box::pin(async move { Group::new(&client, GROUP).join("me", "").await?.leave().await })
    }),
];

/// What is done again until a server has answered, and is over when the session is.
#[tokio::test]
async fn fact_06_work_of_a_session_that_has_ended_is_not_done_in_another() {
    for (name, work) in USES {
        let ground = Ground::start().await;
        let (client, wire) = ground.connect_short().await;
        soon(work(client.clone())).await.unwrap();
        let other = ground.connect().await;
        let tree = soon(other.export(HOME)).await.unwrap();
        // Whatever it begins with is lost, and the session ends.
        for op in [OpCode::Multi, OpCode::Create2, OpCode::GetChildren, OpCode::Sync] {
            wire.cut_before_arrival(op);
        }
        disconnect(&client, &wire).await;
        let mut working = Box::pin(work(client.clone()));
        assert!(is_pending(&mut working), "{name}");
        ground.end_session(&client, &wire).await;
        let error = soon(working).await.unwrap_err();
        assert!(error.is_session_over(), "{name}: {error}");
        let now = soon(other.export(HOME)).await.unwrap();
        assert!(now.nodes().count() <= tree.nodes().count(), "{name}:\n{now}");
    }
}

#[tokio::test]
async fn fact_16_what_is_swept_away_is_made_anew() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let member = soon(Group::new(&client, GROUP).join("me", "here")).await.unwrap();
    let queue = Queue::new(&client, QUEUE);
    let mut taking = Box::pin(queue.take());
    assert!(is_pending(&mut taking));
    for _ in 0..3 {
        for (name, work) in USES {
            soon(work(client.clone())).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        // The member comes back while the sweeping goes on.
        soon(async {
            while other.exists(GROUP).await.unwrap().is_none()
                || other.delete_all(HOME).await.is_err()
            {}
        })
        .await;
    }
    soon(async {
        while Group::new(&other, GROUP).members().await.unwrap().is_empty() {
            other.sync("/").await.unwrap();
        }
    })
    .await;
    soon(Queue::new(&other, QUEUE).put("late")).await.unwrap();
    assert_eq!(soon(taking).await.unwrap().data(), b"late");
    soon(member.leave()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn fact_17_a_restart_in_time_is_not_noticed_by_who_waits() {
    let server = TestingServer::start().await.unwrap();
    let (client, other) = (server.connect().await.unwrap(), server.connect().await.unwrap());
    let member = Group::new(&client, GROUP).join("me", "").await.unwrap();
    let cache = Cache::tree(&client, HOME).start().await.unwrap();
    let queue = Queue::new(&client, QUEUE);
    let mut taking = Box::pin(queue.take());
    assert!(is_pending(&mut taking));
    let owner = client.session_id();
    server.stop().await;
    tokio::time::sleep(Duration::from_secs(5)).await; // virtual: the clock is paused
    assert_eq!(client.state(), State::Suspect);
    server.restart().await.unwrap();
    Queue::new(&other, QUEUE).put("x").await.unwrap();
    assert_eq!(taking.await.unwrap().data(), b"x");
    let stat = other.exists(member.path()).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, owner);
    assert!(cache.get(member.path()).is_some());
    assert_eq!(cache.failure().map(|error| error.to_string()), None);
    member.leave().await.unwrap();
}

#[tokio::test]
async fn fact_18_who_may_not_is_told_so_by_every_recipe() {
    let ground = Ground::start().await;
    let owner = ground.connect().await;
    for (_, work) in USES {
        soon(work(owner.clone())).await.unwrap();
    }
    soon(owner.delete_all(HOME)).await.unwrap();
    let persistent = znode::CreateMode::Persistent;
    soon(owner.create(HOME, "", persistent)).await.unwrap();
    soon(owner.set_acl(HOME, &[Acl::read_only()], Version::ANY)).await.unwrap();
    let stranger = ground.connect().await;
    for (name, work) in USES {
        let error = soon(work(stranger.clone())).await.unwrap_err();
        let kind = error.client_error().map(znode::Error::kind);
        assert_eq!(kind, Some(ErrorKind::NoAuth), "{name}: {error}");
    }
}

#[tokio::test]
async fn fact_20_a_panic_while_something_is_held_lets_go_of_it() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    soon(Queue::new(&client, QUEUE).put("x")).await.unwrap();
    let barrier = DoubleBarrier::new(&client, DOUBLE, 1).unwrap();
    let clumsy = tokio::spawn({
        let barrier = barrier.clone();
        async move {
            let _delivery = Queue::new(&client, QUEUE).take().await.unwrap();
            let _inside = barrier.enter().await.unwrap();
            let _member = Group::new(&client, GROUP).join("me", "").await.unwrap();
            panic!("on purpose");
        }
    });
    assert!(soon(clumsy).await.unwrap_err().is_panic());
    let delivery = soon(Queue::new(&other, QUEUE).take()).await.unwrap();
    soon(delivery.ack()).await.unwrap();
    soon(async {
        let group = Group::new(&other, GROUP);
        while barrier.members().await.unwrap() > 0 || !group.members().await.unwrap().is_empty() {
            other.sync("/").await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn fact_21_curator_710_729_gh_1277_1292_of_work_that_is_over_nothing_is_left() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    for (_, work) in USES {
        soon(work(other.clone())).await.unwrap();
    }
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = (tasks(), client.stats().watches);
    for _ in 0..5 {
        for (_, work) in USES {
            soon(work(client.clone())).await.unwrap();
        }
        let queue = Queue::new(&client, QUEUE);
        let mut taking = Box::pin(queue.take());
        let node = PersistentNode::ephemeral(&client, "/all/mine", "x").unwrap();
        let cache = soon(Cache::tree(&client, HOME).start()).await.unwrap();
        let mut values = Counter::<i64>::new(&client, COUNTER).values();
        assert!(is_pending(&mut taking));
        soon(values.next()).await.unwrap().unwrap();
        soon(node.until_created()).await.unwrap();
        drop((cache.changes(), Group::new(&client, GROUP).changes(), node.states()));
    }
    soon(async {
        while (tasks(), client.stats().watches) != before || !ground.watched().await.is_empty() {
            client.sync("/").await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fact_22_many_thousand_uses_leave_no_trace() {
    let server = TestingServer::start().await.unwrap();
    let client = server.connect().await.unwrap();
    for (_, work) in USES {
        work(client.clone()).await.unwrap();
    }
    let settled = async || {
        // Witnesses and members go behind those who had them.
        while server.ephemerals().await.values().any(|paths| !paths.is_empty()) {
            client.sync("/").await.unwrap();
        }
        server.znode_count().await
    };
    let nodes = settled().await;
    for _ in 0..1_000 {
        for (_, work) in USES {
            work(client.clone()).await.unwrap();
        }
    }
    assert_eq!(settled().await, nodes);
    assert!(server.watches().await.is_empty());
}

/// On a clock that only this test moves: a limit of a minute is a minute, over a link that brings
/// nothing, too; and none at all tries once.
#[tokio::test(start_paused = true)]
async fn fact_23_time_limits_cover_the_whole_call_and_zero_tries_once() {
    const MINUTE: Duration = Duration::from_secs(60);
    let server = TestingServer::start().await.unwrap();
    let client = server.connect().await.unwrap();
    let gate = Barrier::new(&client, GATE);
    gate.close().await.unwrap();
    let (queue, simple) = (Queue::new(&client, QUEUE), SimpleQueue::new(&client, SIMPLE));
    let double = DoubleBarrier::new(&client, DOUBLE, 2).unwrap();
    let latch = CountdownLatch::new(&client, LATCH, 1).unwrap();
    for limit in [Duration::ZERO, MINUTE] {
        took(limit, async { assert!(queue.take_timeout(limit).await.unwrap().is_none()) }).await;
        took(limit, async { assert_eq!(simple.take_timeout(limit).await.unwrap(), None) }).await;
        took(limit, async { assert!(!gate.wait_timeout(limit).await.unwrap()) }).await;
        took(limit, async { assert!(double.enter_timeout(limit).await.unwrap().is_none()) }).await;
        took(limit, async { assert!(!latch.wait_timeout(limit).await.unwrap()) }).await;
    }
    queue.put("x").await.unwrap();
    assert!(queue.take_timeout(Duration::ZERO).await.unwrap().is_some());
    gate.open().await.unwrap();
    assert!(gate.wait_timeout(Duration::ZERO).await.unwrap());
}

#[expect(clippy::disallowed_methods, reason = "it measures virtual time")]
async fn took(limit: Duration, what: impl Future<Output = ()>) {
    let since = tokio::time::Instant::now();
    what.await;
    let took = since.elapsed();
    assert!((limit..limit + Duration::from_millis(100)).contains(&took), "{limit:?} took {took:?}");
}

/// CURATOR-623: a consumer that was cut off for long heard of nothing any more.
#[tokio::test]
async fn curator_311_329_623_whoever_waits_hears_of_what_came_while_it_was_cut_off() {
    let ground = Ground::start().await;
    let (client, wire) = ground.connect_wired().await;
    let other = ground.connect().await;
    let (queue, gate) = (Queue::new(&client, QUEUE), Barrier::new(&client, GATE));
    soon(Barrier::new(&other, GATE).close()).await.unwrap();
    let mut values = Counter::<i64>::new(&client, COUNTER).values();
    assert_eq!(soon(values.next()).await.unwrap().unwrap(), 0);
    let (mut taking, mut waiting) = (Box::pin(queue.take()), Box::pin(gate.wait()));
    for round in 1..=3 {
        soon(async {
            while ground.watched().await.len() < 3 {
                assert!(is_pending(&mut taking) && is_pending(&mut waiting));
                client.sync("/").await.unwrap();
            }
        })
        .await;
        disconnect(&client, &wire).await;
        assert!(is_pending(&mut taking) && is_pending(&mut waiting));
        // CURATOR-311, CURATOR-329: a shared value that nobody reads anew.
        soon(Counter::<i64>::new(&other, COUNTER).set(round)).await.unwrap();
        if round == 3 {
            soon(Queue::new(&other, QUEUE).put("late")).await.unwrap();
            soon(Barrier::new(&other, GATE).open()).await.unwrap();
        }
        wire.admit();
        assert_eq!(soon(values.next()).await.unwrap().unwrap(), round);
    }
    assert_eq!(soon(taking).await.unwrap().data(), b"late");
    soon(waiting).await.unwrap();
}

/// CURATOR-56, CURATOR-224: what is given back again and again keeps its name, and its place.
#[tokio::test]
async fn curator_56_224_an_item_given_back_a_hundred_times_keeps_its_name() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let queue = Queue::new(&client, QUEUE);
    soon(queue.put("x")).await.unwrap();
    let before = soon(client.get_children(QUEUE)).await.unwrap();
    for _ in 0..100 {
        soon(soon(queue.take()).await.unwrap().nack()).await.unwrap();
    }
    assert_eq!(soon(client.get_children(QUEUE)).await.unwrap(), before);
}

/// Who is told that a node stands knows it for its own.
#[tokio::test]
async fn fact_05_a_node_of_another_session_is_not_taken_for_ones_own() {
    let ground = Ground::start().await;
    let (client, other) = (ground.connect().await, ground.connect().await);
    let ephemeral = znode::CreateMode::Ephemeral;
    soon(other.create("/mine", "x", ephemeral)).await.unwrap();
    let node = PersistentNode::ephemeral(&client, "/mine", "x").unwrap();
    let mut states = node.states();
    let is_theirs = |state: &NodeState| match state {
        NodeState::Occupied { owner, .. } => *owner == other.session_id(),
        _ => false,
    };
    soon(async { while !is_theirs(&states.next().await.unwrap()) {} }).await;
    soon(other.close()).await.unwrap();
    soon(node.until_created()).await.unwrap();
    let stat = soon(client.exists("/mine")).await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, client.session_id());
}

/// A clock cannot tell of a moment that is so far off.
#[tokio::test]
async fn what_is_to_wait_for_ever_does_not_panic() {
    let ground = Ground::start().await;
    let client = ground.connect().await;
    let queues = ShardedQueue::new(&client, QUEUE).with_check_interval(Duration::MAX);
    for _ in 0..2 {
        soon(queues.put("x")).await.unwrap();
    }
    assert_eq!(soon(queues.item_count()).await.unwrap(), 2);
    let parts = Partitioner::new(&client, HOME, ["a"]).unwrap().with_settling(Duration::MAX);
    let mut share = soon(parts.join("1")).await.unwrap();
    for _ in 0..3 {
        soon(client.sync("/")).await.unwrap();
    }
    assert!(is_pending(&mut share.next()), "nothing is ever divided");
    soon(share.leave()).await.unwrap();
}
