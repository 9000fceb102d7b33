//! A holder whose server is cut off from its quorum: that goes on to answer pings as if nothing had
//! happened, while the leader lets the session expire. On an ensemble of ours of its own.

use std::time::Duration;

use tokio::time::Instant;
use znode::{Client, ConnectOptions, State};
use znode_recipes::{GuardState, LockOptions, LostReason, Mutex};
use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster};

use crate::ground::{LOCK, children_are, soon};

const TICK: Duration = Duration::from_millis(100);
/// Shorter than a follower believes in a leader that it does not hear.
const T: Duration = Duration::from_millis(420);
const ROUNDS: usize = 4;

#[allow(clippy::disallowed_methods, reason = "what is compared is when things happened")]
fn now() -> Instant {
    Instant::now()
}

async fn cluster() -> TestingCluster {
    let spec = ClusterSpec::new(3).each(InstanceSpec::new().tick(TICK));
    soon(TestingCluster::start_with(spec)).await.unwrap()
}

async fn connect(cluster: &TestingCluster, id: u64) -> Client {
    let options = ConnectOptions::new().session_timeout(T).tick_time(TICK);
    let options = options.connector(cluster.connector());
    soon(options.connect(&cluster.server(id).connect_string())).await.unwrap()
}

/// R1: the deadline ends before another grant, even if the follower is cut off right after it has
/// passed on a write, and before it has reported that its client lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_01_curator_206_nobody_else_holds_before_the_deadline_of_one_who_is_cut_off() {
    let cluster = cluster().await;
    let leader = cluster.leader().await;
    let ids = [1, 2, 3];
    let (follower, rest) =
        (ids.into_iter().find(|id| *id != leader).unwrap(), ids.into_iter().collect::<Vec<_>>());
    for round in 0..ROUNDS {
        let rest: Vec<u64> = rest.iter().copied().filter(|id| *id != follower).collect();
        let (client, other) = (connect(&cluster, follower).await, connect(&cluster, leader).await);
        let is_strict = round % 2 == 0;
        let options = LockOptions::new();
        let options = if is_strict { options.strict() } else { options };
        let mutex = Mutex::new(&client, LOCK).with_options(options);
        let guard = soon(mutex.lock()).await.unwrap();
        let next = tokio::spawn(async move {
            let guard = Mutex::new(&other, LOCK).lock().await.unwrap();
            (guard, now())
        });
        children_are(&client, 2).await;
        // As long as a client is silent at the most, and a little less.
        tokio::time::sleep(T / 3 - Duration::from_millis(20)).await; // its clock cannot be paused
        let mut deadline = soon(guard.renew()).await.unwrap();
        cluster.partition(&[follower], &rest);
        let lost = guard.lost();
        let lost = tokio::spawn(async move { (lost.await, now()) });
        let (next, granted) = soon(next).await.unwrap();
        let believed = guard.state();
        // What was on its way when the link was cut may have moved it.
        deadline = guard.deadline().unwrap_or(deadline).max(deadline);
        assert!(deadline <= granted, "round {round}: {:?} too late", deadline - granted);
        assert!(next.token() > guard.token());
        if is_strict {
            assert_eq!(believed, GuardState::Lost(LostReason::Overdue));
            let (reason, at) = soon(lost).await.unwrap();
            assert_eq!(reason, LostReason::Overdue);
            assert!(at <= granted, "round {round}: told {:?} too late", at - granted);
        } else if client.state() == State::Connected {
            println!("round {round}: without strictness it believes {believed:?}");
        }
        cluster.heal();
        drop((guard, next));
        soon(cluster.await_converged()).await;
    }
}
