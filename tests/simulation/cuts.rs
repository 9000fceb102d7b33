//! Every recipe with its link cut in place of every frame: it goes on, is given up there, or loses
//! its session there; nothing is left of it, and nobody is held up.

use std::ops::ControlFlow;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use tokio::time::sleep;
use znode::{Client, CreateMode, ErrorKind, Parents, Version, Zxid};
use znode_recipes::{
    Cache, CacheChange, CacheChanges, CloseMode, ColdStandby, Configuration, Counter,
    DoubleBarrier, Group, Guard, HotStandby, LeaderLatch, LeaderSelector, LockError, LockErrorKind,
    LockOptions, Membership, MultiLock, Mutex, NodeState, Partitioner, PersistentNode, Queue,
    ReadWriteLock, RecipeError, RecipeErrorKind, Semaphore, ShardedQueue, TtlNode, TwoPhaseCommit,
    Upgrade, Vote,
};
use znode_testing::{Fault, Simulation, World};

use crate::SECOND;

const LOCK: &str = "/cut/lock";
const READ_WRITE: &str = "/cut/read-write";
const SEMAPHORE: &str = "/cut/semaphore";
const LEASES: &str = "/cut/semaphore/leases";
const LEASE_LOCKS: &str = "/cut/semaphore/locks";
const COUNT: &str = "/cut/semaphore-count";
const LATCH: &str = "/cut/latch";
const SELECTOR: &str = "/cut/selector";
const JOBS: &str = "/cut/jobs";
const JOB: &str = "/cut/jobs/one";
const BARRIER: &str = "/cut/barrier";
const QUEUE: &str = "/cut/queue";
const CLAIMS: &str = "/cut/queue-locks";
const SHARDS: &str = "/cut/shards";
const SHARD_LEADERS: &str = "/cut/shards-leaders";
const SHARD_CLAIMS: &str = "/cut/shards-locks";
const COUNTER: &str = "/cut/counter";
const CACHED: &str = "/cut/cached";
const GROUP: &str = "/cut/group";
const TABLES: &str = "/cut/tables";
const TABLE_PARTY: &str = "/cut/tables/party";
const TABLE_LOCKS: [&str; 2] = ["/cut/tables/locks/a", "/cut/tables/locks/b"];
const STAYING: &str = "/cut/staying";
const LEASE: &str = "/cut/lease";
const LEASE_TTL: Duration = Duration::from_secs(3600);
const TRANSACTIONS: &str = "/cut/transactions";
const SETTINGS: &str = "/cut/settings";
const INSTANCES: &str = "/cut/jobs/one/instances";

/// How far a server may be behind.
const LAG: Duration = Duration::from_millis(200);

/// Some use of recipes by the first client, and by another one where it takes two.
type Scenario = fn(Client, Client) -> BoxFuture<'static, Result<(), Failed>>;

/// How a scenario fails, of locks or of other recipes.
#[derive(Debug)]
enum Failed {
    Lock(LockError),
    Recipe(RecipeError),
}

impl Failed {
    /// That the node of a lock is gone may be known before the end of the session.
    fn is_of_the_end(&self) -> bool {
        match self {
            Self::Lock(error) => error.is_session_over() || error.kind() == LockErrorKind::LockLost,
            Self::Recipe(error) => error.is_session_over(),
        }
    }
}

impl From<LockError> for Failed {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl From<RecipeError> for Failed {
    fn from(error: RecipeError) -> Self {
        Self::Recipe(error)
    }
}

/// What becomes of whoever's link is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It goes on over another link.
    GoesOn,
    /// Its future is dropped.
    IsGivenUp,
    /// Its session is ended by the leader.
    Dies,
}

/// Before which frame the link is cut, and what then.
#[derive(Debug, Clone)]
struct Cut {
    fault: Fault,
    fate: Fate,
}

impl Cut {
    /// The number of the frame in place of which it comes.
    fn frame(&self) -> u64 {
        match self.fault {
            Fault::CutAtRequest(0, number) | Fault::CutAtReply(0, number) => number,
            _ => unreachable!("there are no other boundaries"),
        }
    }

    /// Waits until the link was cut.
    async fn is_done(&self, world: &World) {
        let is_done = || match self.fault {
            Fault::CutAtRequest(..) => world.requests(0) >= self.frame(),
            _ => world.replies(0) >= self.frame(),
        };
        while !is_done() {
            sleep(Duration::from_micros(100)).await; // virtual: the clock is paused
        }
    }
}

/// Carries a scenario out with a cut, and says how many frames its client sent and got.
fn carry_out(scenario: Scenario, cut: Option<Cut>) -> (u64, u64) {
    Simulation::new(1).run(move |world| {
        let cut = cut.clone();
        async move {
            let client = world.connect().await.unwrap();
            let other = world.connect().await.unwrap();
            if let Some(cut) = &cut {
                // Whoever goes on at another server may find it behind.
                let behind = 1 + cut.frame() % 3;
                for other in (1..=3).filter(|other| *other != behind) {
                    world.apply(Fault::SlowServers(behind, other, LAG)).await;
                }
                world.apply(cut.fault.clone()).await;
            }
            let task = world.spawn(scenario(client.clone(), other.clone()));
            let abort = task.abort_handle();
            let blow = async {
                let Some(cut) = &cut else { return };
                cut.is_done(&world).await;
                match cut.fate {
                    Fate::GoesOn => {}
                    Fate::IsGivenUp => abort.abort(),
                    Fate::Dies => world.apply(Fault::Expire(0)).await,
                }
                std::future::pending::<()>().await;
            };
            let fate = cut.as_ref().map_or(Fate::GoesOn, |cut| cut.fate);
            let ended = tokio::select! {
                ended = task => ended,
                () = blow, if cut.is_some() => unreachable!("it waits for the scenario"),
            };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(failed)) => {
                    assert!(fate == Fate::Dies && failed.is_of_the_end(), "{failed:?}");
                }
                Err(ended) => assert!(fate == Fate::IsGivenUp && ended.is_cancelled(), "{ended}"),
            }
            let counted = (world.requests(0), world.replies(0));
            if fate == Fate::Dies {
                // It may have come to its end before its link did.
                world.apply(Fault::Expire(0)).await;
                let _ = client.close().await;
            }
            // Whatever goes on in the background has come to its end.
            sleep(10 * LAG).await; // virtual: the clock is paused
            world.apply(Fault::HealServers).await;
            everybody_can(&world, fate).await;
            counted
        }
    })
}

/// Others have all of it, without waiting for a session to end, and find nothing left.
async fn everybody_can(world: &World, fate: Fate) {
    let next = world.connect().await.unwrap();
    let since = world.elapsed();
    let mutex = Mutex::new(&next, LOCK).with_lock_delay(Duration::ZERO);
    let guard = mutex.lock().await.unwrap();
    assert!(guard.unclean_death().is_none() || fate == Fate::Dies, "nobody has died");
    guard.release().await.unwrap();
    ReadWriteLock::new(&next, READ_WRITE).write().await.unwrap().release().await.unwrap();
    let semaphore = Semaphore::with_shared_limit(&next, SEMAPHORE, COUNT, 3);
    semaphore.acquire_many(3).await.unwrap().release().await.unwrap();
    LeaderLatch::new(&next, LATCH).lead().await.unwrap().release().await.unwrap();
    let once = |_| async { ControlFlow::Break(()) };
    LeaderSelector::new(&next, SELECTOR).run(once).await.unwrap();
    HotStandby::new(&next, JOB).run(|_| async { ControlFlow::Break(()) }).await.unwrap();
    let counter = Counter::<i64>::new(&next, COUNTER);
    let counted = counter.add(1).await.unwrap() - 1;
    assert!(counted <= 3 && counted % 3 == 0 || fate != Fate::GoesOn, "{counted} were counted");
    drop(counter);
    let queue = Queue::new(&next, QUEUE);
    while let Some(delivery) = queue.try_take().await.unwrap() {
        assert_ne!(fate, Fate::GoesOn, "it is done already");
        delivery.ack().await.unwrap();
    }
    queue.put("next").await.unwrap();
    queue.take().await.unwrap().ack().await.unwrap();
    drop(queue);
    let claims = everybody_puts(&next, fate).await;
    let barrier = DoubleBarrier::new(&next, BARRIER, 1).unwrap();
    barrier.enter().await.unwrap().leave().await.unwrap();
    let group = Group::new(&next, GROUP);
    group.join("ours", "").await.unwrap().leave().await.unwrap();
    share(&next).await.unwrap();
    let lease = TtlNode::new(&next, LEASE, LEASE_TTL, "next").unwrap();
    lease.until_created().await.unwrap();
    lease.remove().await.unwrap();
    everybody_finishes(&next, fate).await;
    everybody_publishes(&next, fate).await;
    next.sync("/").await.unwrap();
    assert!(world.elapsed() - since < SECOND, "something was in the way");
    let of_locks = [LOCK, READ_WRITE, LEASES, LEASE_LOCKS, LATCH, SELECTOR, INSTANCES];
    let of_others = [COUNTER, BARRIER, QUEUE, CLAIMS, GROUP, TABLE_PARTY, TRANSACTIONS];
    let of_shards = claims.iter().map(String::as_str).chain([SHARD_LEADERS]);
    for line in of_locks.into_iter().chain(of_others).chain(TABLE_LOCKS).chain(of_shards) {
        assert_eq!(next.get_children(line).await.unwrap(), Vec::<String>::new(), "{line} {fate:?}");
    }
}

/// Several queues are one still; says where the claims to their items are.
async fn everybody_puts(next: &Client, fate: Fate) -> Vec<String> {
    let shards = ShardedQueue::new(next, SHARDS).with_limit(1);
    while let Some(delivery) = shards.try_take().await.unwrap() {
        assert_ne!(fate, Fate::GoesOn, "it is done already");
        delivery.ack().await.unwrap();
    }
    for item in ["next", "and another"] {
        shards.put(item).await.unwrap();
    }
    for _ in 0..2 {
        shards.take().await.unwrap().ack().await.unwrap();
    }
    let claims = shards
        .shards()
        .await
        .unwrap()
        .into_keys()
        .map(|path| format!("{SHARD_CLAIMS}/{}", znode::path::name(&path)));
    let claims: Vec<_> = claims.collect();
    assert!(claims.len() <= 4, "more were made than needed: {claims:?}");
    claims
}

/// Whatever transaction was left is brought to its end, and then there is room for the next.
async fn everybody_finishes(next: &Client, fate: Fate) {
    let transactions = TwoPhaseCommit::new(next, TRANSACTIONS);
    for left in transactions.transactions().await.unwrap() {
        assert_ne!(fate, Fate::GoesOn, "it is done already");
        if let Some(proposal) = transactions.recover(left.id()).await.unwrap() {
            proposal.outcome_within(Duration::ZERO).await.unwrap();
        }
        for participant in left.votes().keys() {
            take_part(next, participant, Vote::Yes).await.unwrap();
        }
    }
    let proposal = transactions.propose("one", ["ours"], "").await.unwrap();
    assert!(take_part(next, "ours", Vote::Yes).await.unwrap());
    proposal.outcome().await.unwrap();
}

/// Settings are what they were or what they were to be, and there is room for the next.
async fn everybody_publishes(next: &Client, fate: Fate) {
    let settings = Configuration::<String>::new(next, SETTINGS);
    let rollout = settings.rollout().await.unwrap();
    let stable = rollout.as_ref().and_then(znode_recipes::Rollout::stable);
    let staged = rollout.as_ref().and_then(znode_recipes::Rollout::staged);
    assert!(fate != Fate::GoesOn || staged.is_none() && [None, Some(4)].contains(&stable));
    let changed = match (staged, stable) {
        (Some((staged, _)), Some(stable)) => settings.roll_back(staged, stable).await,
        _ => settings.publish(stable, &"next".to_owned()).await,
    };
    changed.unwrap();
    drop(settings);
    let left = next.get_children(SETTINGS).await.unwrap();
    assert_eq!(left, ["versions"], "{fate:?}");
}

/// Votes on a transaction, and applies what is decided; says whether that is to be done.
async fn take_part(client: &Client, name: &str, vote: Vote) -> Result<bool, RecipeError> {
    let mut ballots = TwoPhaseCommit::new(client, TRANSACTIONS).ballots(name);
    let ballot = ballots.try_next().await?.expect("it goes on until it fails");
    let decided = ballot.vote(ballot.cast().unwrap_or(vote)).await?.decision().await?;
    decided.applied().await?;
    Ok(decided.decision().is_committed())
}

/// Cuts a scenario in place of every frame, with every fate.
fn sweep(scenario: Scenario) {
    let (requests, replies) = carry_out(scenario, None);
    assert!(requests > 4 && replies > 4, "nothing was done: {requests} {replies}");
    // The handshake is behind it when a scenario begins.
    let boundaries = (2..=requests)
        .map(|number| Fault::CutAtRequest(0, number))
        .chain((2..=replies).map(|number| Fault::CutAtReply(0, number)));
    for fault in boundaries {
        for fate in [Fate::GoesOn, Fate::IsGivenUp, Fate::Dies] {
            carry_out(scenario, Some(Cut { fault: fault.clone(), fate }));
        }
    }
}

/// Gives others time to get in line, and lets go.
async fn release_later(guard: Guard) -> Result<(), LockError> {
    sleep(Duration::from_millis(100)).await; // virtual: the clock is paused
    guard.release().await
}

#[test]
fn a_mutex() {
    sweep(|client, _| {
        async move {
            let mutex = Mutex::new(&client, LOCK);
            let guard = mutex.lock().await?;
            guard.renew().await?;
            assert!(guard.sequencer().verify(&client).await?);
            guard.release().await?;
            let strict = mutex.with_options(LockOptions::new().strict());
            let guard = strict.try_lock().await?.expect("nobody else is there");
            Ok(guard.release().await?)
        }
        .boxed()
    });
}

#[test]
fn a_mutex_with_a_delay() {
    sweep(|client, _| {
        async move {
            let mutex = Mutex::new(&client, LOCK).with_lock_delay(Duration::ZERO);
            let guard = mutex.lock().await?;
            guard.wait_out_delay().await?;
            Ok(guard.release().await?)
        }
        .boxed()
    });
}

#[test]
fn whoever_waits_for_a_mutex() {
    sweep(|client, other| {
        async move {
            let holder = Mutex::new(&other, LOCK).lock().await?;
            let mutex = Mutex::new(&client, LOCK);
            let (released, taken) = tokio::join!(release_later(holder), mutex.lock());
            released?;
            Ok(taken?.release().await?)
        }
        .boxed()
    });
}

#[test]
fn guarded_writes() {
    sweep(|client, _| {
        async move {
            let guard = Mutex::new(&client, LOCK).lock().await?;
            // What it says after a lost answer is that the answer was lost.
            let written = guard.client().set_data("/cut", "by the holder", Version::ANY).await;
            let is_lost = |error: &LockError| {
                error.client_error().is_some_and(|error| error.kind() == ErrorKind::ConnectionLoss)
            };
            match written {
                Err(error) if !is_lost(&error) => Err(error.into()),
                _ => Ok(guard.release().await?),
            }
        }
        .boxed()
    });
}

#[test]
fn readers_and_writers() {
    sweep(|client, _| {
        async move {
            let lock = ReadWriteLock::new(&client, READ_WRITE);
            let reader = lock.write().await?.downgrade().await?;
            let second = lock.read().await?;
            let Upgrade::Refused(reader) = reader.try_upgrade().await? else {
                panic!("there is another reader");
            };
            second.release().await?;
            let Upgrade::Done(writer) = reader.try_upgrade().await? else {
                panic!("there is no other reader");
            };
            Ok(writer.release().await?)
        }
        .boxed()
    });
}

#[test]
fn a_semaphore() {
    sweep(|client, _| {
        async move {
            let semaphore = Semaphore::with_shared_limit(&client, SEMAPHORE, COUNT, 3);
            let two = semaphore.acquire_many(2).await?;
            assert!(semaphore.try_acquire_many(2).await?.is_none());
            let one = semaphore.acquire().await?;
            two.release().await?;
            Ok(one.release().await?)
        }
        .boxed()
    });
}

#[test]
fn several_locks() {
    sweep(|client, _| {
        async move {
            let lock = ReadWriteLock::new(&client, READ_WRITE);
            let both = MultiLock::new().write(&lock).mutex(&Mutex::new(&client, LOCK));
            Ok(both.lock().await?.release().await?)
        }
        .boxed()
    });
}

#[test]
fn a_latch() {
    sweep(|client, other| {
        async move {
            let first = LeaderLatch::new(&other, LATCH).lead().await?;
            let latch = LeaderLatch::new(&client, LATCH).with_id("second");
            let candidacy = latch.join();
            let (released, led) = tokio::join!(release_later(first), candidacy.until_leader());
            released?;
            led?;
            latch.participants().await?;
            Ok(candidacy.leave(CloseMode::Silent).await?)
        }
        .boxed()
    });
}

#[test]
fn a_selector() {
    sweep(|client, other| {
        async move {
            let first = Mutex::new(&other, SELECTOR).lock().await?;
            let selector = LeaderSelector::new(&client, SELECTOR).with_id("second");
            let turn = |term: znode_recipes::Term| async move {
                match term.client().set_data("/cut", "by the leader", Version::ANY).await {
                    Ok(_) => ControlFlow::Break(()),
                    Err(_) => ControlFlow::Continue(()),
                }
            };
            let (released, led) = tokio::join!(release_later(first), selector.run(turn));
            Ok(released.and(led)?)
        }
        .boxed()
    });
}

#[test]
fn a_hot_standby() {
    sweep(|client, _| {
        async move {
            let once = |shift: znode_recipes::Shift| async move {
                let begun = shift.checkpoint().is_some();
                match shift.save("begun").await {
                    Ok(()) if begun => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            };
            Ok(HotStandby::new(&client, JOB).run(once).await?)
        }
        .boxed()
    });
}

#[test]
fn a_cold_standby() {
    sweep(|client, other| {
        async move {
            other.ensure_path(JOB, Parents::Persistent).await.expect("nobody cuts its link");
            let once = |shift: znode_recipes::Shift| async move {
                assert_eq!(shift.path(), JOB);
                ControlFlow::Break(())
            };
            Ok(ColdStandby::new(&client, JOBS).run(once).await?)
        }
        .boxed()
    });
}

#[test]
fn a_counter() {
    sweep(|client, _| {
        async move {
            let counter = Counter::<i64>::new(&client, COUNTER);
            for sum in 1..=3 {
                assert_eq!(counter.add(1).await?, sum);
            }
            Ok(())
        }
        .boxed()
    });
}

#[test]
fn a_double_barrier() {
    sweep(|client, other| {
        async move {
            let step = async |client: &Client| {
                let inside = DoubleBarrier::new(client, BARRIER, 2)?.enter().await?;
                inside.leave().await
            };
            // The other one does not wait for ever for one who is not coming.
            let theirs = tokio::time::timeout(5 * SECOND, step(&other));
            let (ours, theirs) = tokio::join!(step(&client), theirs);
            ours?;
            Ok(theirs.unwrap_or(Ok(()))?)
        }
        .boxed()
    });
}

#[test]
fn a_queue() {
    sweep(|client, _| {
        async move {
            let queue = Queue::new(&client, QUEUE);
            for item in ["a", "b"] {
                queue.put(item).await?;
            }
            let (first, second) = (queue.take().await?, queue.take().await?);
            assert_eq!((first.data(), second.data()), (&b"a"[..], &b"b"[..]));
            first.nack().await?;
            second.ack().await?;
            let first = queue.take().await?;
            assert_eq!(first.data(), b"a");
            Ok(first.ack().await?)
        }
        .boxed()
    });
}

#[test]
fn a_cache() {
    sweep(|client, other| {
        async move {
            const CHILD: &str = "/cut/cached/child";
            other.ensure_path(CACHED, Parents::Persistent).await.expect("nobody cuts its link");
            let cache = Cache::tree(&client, CACHED).jitter(LAG).start().await?;
            let mut changes = cache.changes();
            let created = other.create(CHILD, "first", CreateMode::Persistent).await;
            created.expect("nobody cuts its link");
            until(&mut changes, |change| matches!(change, CacheChange::Created(_))).await?;
            let written = other.set_data(CHILD, "second", Version::ANY).await;
            let written = written.expect("nobody cuts its link").mzxid;
            let node = cache.get_at_least(CHILD, written).await?.expect("it is there");
            assert_eq!(*node.data, *b"second");
            if let Some(current) = cache.current(CHILD)? {
                assert_eq!(current.node.as_ref(), Some(&node));
                assert!(current.zxid >= written);
            }
            other.delete(CHILD, Version::ANY).await.expect("nobody cuts its link");
            until(&mut changes, |change| matches!(change, CacheChange::Deleted(_))).await?;
            assert_eq!(cache.get(CHILD), None);
            Ok(())
        }
        .boxed()
    });
}

#[test]
fn several_queues_as_one() {
    sweep(|client, _| {
        async move {
            let queue = ShardedQueue::new(&client, SHARDS).with_limit(1).with_shards_max(3);
            for item in ["a", "b"] {
                queue.put(item).await?;
            }
            assert_eq!(queue.shards().await?.len(), 2);
            let (first, second) = (queue.take().await?, queue.take().await?);
            let data = std::collections::BTreeSet::from([first.data(), second.data()]);
            assert_eq!(Vec::from_iter(data), [b"a", b"b"]);
            first.ack().await?;
            Ok(second.ack().await?)
        }
        .boxed()
    });
}

/// Waits until a cache tells of this.
async fn until(
    changes: &mut CacheChanges,
    is_it: fn(&CacheChange) -> bool,
) -> Result<(), RecipeError> {
    while let Some(change) = changes.try_next().await? {
        if is_it(&change) {
            return Ok(());
        }
    }
    unreachable!("it does not end without an error")
}

#[test]
fn a_node_that_stays() {
    sweep(|client, other| {
        async move {
            let node = PersistentNode::persistent(&client, STAYING, "first")?;
            node.until_created().await?;
            node.set("second").await?;
            let _ = other.delete(STAYING, Version::ANY).await;
            node.set("third").await?;
            let next = PersistentNode::persistent(&client, STAYING, "fourth")?;
            next.until_created().await?;
            drop(next);
            other.sync(STAYING).await.expect("nobody cuts its link");
            let (data, _) = other.get_data(STAYING).await.expect("nobody cuts its link");
            assert_eq!(&data[..], b"fourth");
            Ok(node.remove().await?)
        }
        .boxed()
    });
}

#[test]
fn a_node_with_a_time_to_live() {
    sweep(|client, other| {
        async move {
            let lease = TtlNode::new(&client, LEASE, LEASE_TTL, "first")?;
            let czxid = lease.until_created().await?;
            lease.set("second").await?;
            other.sync(LEASE).await.expect("nobody cuts its link");
            let (data, stat) = other.get_data(LEASE).await.expect("nobody cuts its link");
            assert_eq!((&data[..], stat.czxid), (&b"second"[..], czxid));
            Ok(lease.remove().await?)
        }
        .boxed()
    });
}

/// Waits until its node stands that was made after `before`.
async fn made(membership: &Membership, before: Zxid) -> Result<Zxid, Failed> {
    let mut states = membership.states();
    while let Some(state) = states.next().await {
        match state {
            NodeState::Standing { czxid, .. } if czxid > before => return Ok(czxid),
            NodeState::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
    unreachable!("it is kept")
}

#[test]
fn a_group() {
    sweep(|client, other| {
        async move {
            let group = Group::new(&client, GROUP);
            let membership = group.join("ours", "idle").await?;
            let first = made(&membership, Zxid::ZERO).await?;
            // Whatever its link does, somebody takes its node away.
            let _ = other.delete(membership.path(), Version::ANY).await;
            membership.set("busy").await?;
            made(&membership, first).await?;
            let mut changes = group.changes();
            while let Some(members) = changes.try_next().await? {
                if members.get("ours").is_some_and(|payload| payload == b"busy") {
                    break;
                }
            }
            Ok(membership.leave().await?)
        }
        .boxed()
    });
}

/// Takes part in dividing, has everything, and leaves.
async fn share(client: &Client) -> Result<(), Failed> {
    let tables = Partitioner::new(client, TABLES, ["a", "b"])?.with_settling(Duration::ZERO);
    let mut share = tables.join("ours").await?;
    for _ in TABLE_LOCKS {
        let part = share.try_next().await?.expect("it goes on");
        part.release().await?;
    }
    Ok(share.leave().await?)
}

#[test]
fn a_share_of_parts() {
    sweep(|client, other| {
        async move {
            let tables = Partitioner::new(&client, TABLES, ["a", "b"])?;
            let mut first = tables.with_settling(Duration::ZERO).join("first").await?;
            let had = (first.try_next().await?, first.try_next().await?);
            // The other one has a part as soon as ours is let go of, and lets go of it.
            let (theirs, recalled) = tokio::join!(
                async { tokio::time::timeout(5 * SECOND, share(&other)).await },
                async {
                    let (Some(one), Some(two)) = had else { panic!("two are had") };
                    let two = match one.name() {
                        "a" => two,
                        _ => one,
                    };
                    two.recalled().await;
                    two.release().await
                }
            );
            drop(theirs);
            recalled?;
            Ok(first.leave().await?)
        }
        .boxed()
    });
}

#[test]
fn a_configuration() {
    sweep(|client, other| {
        async move {
            let settings = Configuration::<String>::new(&client, SETTINGS).with_history(2);
            let mut changes = settings.subscribe("ours");
            let mut theirs = Configuration::<String>::new(&other, SETTINGS).subscribe("theirs");
            let say = str::to_owned;
            assert_eq!(settings.publish(None, &say("first")).await?, 1);
            assert_eq!(settings.stage(Some(1), &say("second"), 0).await?, 2);
            settings.roll_out(2, 100).await?;
            let refused = settings.publish(Some(1), &say("none")).await;
            match refused {
                Err(error) if error.kind() == RecipeErrorKind::Conflict => {}
                other => drop(other?),
            }
            settings.promote(2).await?;
            assert_eq!(settings.publish(Some(2), &say("third")).await?, 3);
            assert_eq!(settings.roll_back(3, 2).await?, 4);
            for changes in [&mut changes, &mut theirs] {
                let mut last = 0;
                while last < 4 {
                    let release = changes.try_next().await?.expect("it goes on until it fails");
                    assert!(release.version > last, "it goes back");
                    last = release.version;
                }
                assert_eq!(changes.latest().expect("it was told").settings, "second");
            }
            Ok(())
        }
        .boxed()
    });
}

#[test]
fn a_transaction() {
    for vote in [Vote::Yes, Vote::No] {
        // A scenario is a function, and knows nothing of what is around it.
        sweep(if vote == Vote::Yes { all_say_yes } else { one_says_no });
    }
}

fn all_say_yes(client: Client, other: Client) -> BoxFuture<'static, Result<(), Failed>> {
    decide_together(client, other, Vote::Yes).boxed()
}

fn one_says_no(client: Client, other: Client) -> BoxFuture<'static, Result<(), Failed>> {
    decide_together(client, other, Vote::No).boxed()
}

async fn decide_together(client: Client, other: Client, vote: Vote) -> Result<(), Failed> {
    let transactions = TwoPhaseCommit::new(&client, TRANSACTIONS).with_patience(2 * SECOND);
    let proposal = async {
        let proposal = transactions.propose("one", ["ours", "theirs"], "").await?;
        Ok::<_, RecipeError>(proposal.outcome().await?.is_committed())
    };
    // The other one does not wait for ever for what was never proposed.
    let theirs = tokio::time::timeout(10 * SECOND, take_part(&other, "theirs", Vote::Yes));
    let ours = take_part(&client, "ours", vote);
    let (outcome, ours, theirs) = tokio::join!(proposal, ours, theirs);
    let (outcome, ours) = (outcome?, ours?);
    let theirs = theirs.expect("it was proposed")?;
    assert_eq!([outcome, ours, theirs], [vote == Vote::Yes; 3]);
    Ok(())
}
