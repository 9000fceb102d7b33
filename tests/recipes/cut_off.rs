//! A holder whose server is cut off from its quorum: that goes on to answer pings as if nothing had
//! happened, while the leader lets the session expire. On an ensemble of ours of its own.

use std::time::Duration;

use tokio::time::Instant;
use znode::{Client, ConnectOptions, State};
use znode_recipes::{GuardState, LockOptions, LostReason, Mutex};
use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster};

use crate::ground::{LOCK, children_are, soon};

const TICK: Duration = Duration::from_millis(200);
/// Shorter than a follower believes in a leader that it does not hear.
const T: Duration = Duration::from_millis(900);
const ROUNDS: usize = 4;

#[allow(clippy::disallowed_methods, reason = "what is compared is when things happened")]
fn now() -> Instant {
    Instant::now()
}

async fn cluster() -> TestingCluster {
    let spec = ClusterSpec::new(3).each(InstanceSpec::new().tick(TICK));
    soon(TestingCluster::start_with(spec)).await.unwrap()
}

async fn connect(cluster: &TestingCluster, id: u64, timeout: Duration) -> Client {
    let options = ConnectOptions::new().session_timeout(timeout).tick_time(TICK);
    let options = options.connector(cluster.connector());
    soon(options.connect(&cluster.server(id).connect_string())).await.unwrap()
}

/// R1: the deadline ends before another grant, even if the follower is cut off right after it has
/// passed on a write, and before it has reported that its client lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_01_curator_206_nobody_else_holds_before_the_deadline_of_one_who_is_cut_off() {
    let cluster = cluster().await;
    let leader = cluster.leader().await;
    let (follower, rest): (Vec<u64>, _) =
        [1, 2, 3].into_iter().partition(|id| *id == leader % 3 + 1);
    let mut rounds = 0;
    while rounds < ROUNDS {
        let client = connect(&cluster, follower[0], T).await;
        let other = connect(&cluster, leader, 10 * T).await;
        let is_strict = rounds % 2 == 0;
        let options = LockOptions::new();
        let options = if is_strict { options.strict() } else { options };
        let mutex = Mutex::new(&client, LOCK).with_options(options);
        // A machine that is too busy to keep so short a session is to try again.
        let Ok(guard) = soon(mutex.lock()).await else { continue };
        let next = tokio::spawn({
            let lock = Mutex::new(&other, LOCK).lock();
            async move { (lock.await.unwrap(), now()) }
        });
        children_are(&other, 2).await;
        // As long as a client is silent at the most, and a little less.
        tokio::time::sleep(T / 3 - TICK / 10).await; // its clock cannot be paused
        let Ok(mut deadline) = soon(guard.renew()).await else {
            drop((guard, soon(next).await));
            continue;
        };
        cluster.partition(&follower, &rest);
        let lost = guard.lost();
        let lost = tokio::spawn(lost);
        let (next, granted) = soon(next).await.unwrap();
        let believed = guard.state();
        // What was on its way when the link was cut may have moved it.
        deadline = guard.deadline().unwrap_or(deadline).max(deadline);
        assert!(deadline <= granted, "round {rounds}: {:?} too late", deadline - granted);
        assert!(next.token() > guard.token());
        if is_strict {
            assert_eq!(believed, GuardState::Lost(LostReason::Overdue));
            assert_eq!(soon(lost).await.unwrap(), LostReason::Overdue);
        } else if client.state() == State::Connected {
            println!("round {rounds}: without strictness it believes {believed:?}");
        }
        rounds += 1;
        cluster.heal();
        drop((guard, next));
        soon(cluster.await_converged()).await;
    }
}
