//! Fleets of these recipes, of Curator's and of kazoo's, which contend for the same, while holders
//! and the leader of the ensemble are killed. A referee who is no part of ZooKeeper lets nobody in
//! beside whom he may not, and no token go back.
//!
//! `ZNODE_TEST_FLEETS=SECONDS` says for how long each fleet contends; without it there is none, and
//! that is told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod contender;
mod referee;

use std::io::{self, Write as _};
use std::process::Stdio;
use std::sync::Once;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};
use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster};
use znode_tests::support::soon;

use contender::contend;
use referee::Referee;

/// How many of each kind there are.
const OF_EACH: usize = 2;

/// How often a blow falls.
const BLOW: Duration = Duration::from_millis(700);

/// Who contends, beside ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Curator,
    Kazoo,
}

/// A contender of another kind, which is a process; killed when it is dropped.
fn start(others: Others, connect: &str, recipe: &str, path: &str, referee: &str) -> Child {
    let interop = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");
    let mut command = match others {
        Others::Curator => {
            let mut command = Command::new(format!("{interop}/curator.sh"));
            command.arg("run");
            command
        }
        Others::Kazoo => {
            let mut command = Command::new(std::env::var("ZNODE_TEST_PYTHON").unwrap());
            command.arg(format!("{interop}/kazoo_contender.py"));
            command
        }
    };
    command.args([connect, recipe, path, referee]);
    command.stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// For how long fleets are to contend, if they are asked for.
fn wants_fleets() -> Option<Duration> {
    static TOLD: Once = Once::new();
    let Ok(seconds) = std::env::var("ZNODE_TEST_FLEETS") else {
        // Not by `println!`, of which nothing is seen when a test passes.
        let told = "no fleet has contended: ZNODE_TEST_FLEETS=SECONDS asks for them\n";
        TOLD.call_once(|| io::stderr().write_all(told.as_bytes()).unwrap());
        return None;
    };
    Some(Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// Contends for `recipes` at one path, of which the others do each in turn, and so do ours.
async fn fleet(others: Others, recipes: &[&'static str]) {
    let Some(seconds) = wants_fleets() else { return };
    let each = InstanceSpec::new().tick(Duration::from_millis(100));
    let cluster = soon(TestingCluster::start_with(ClusterSpec::new(3).each(each))).await.unwrap();
    let connect = cluster.connect_string();
    let path = format!("/fleets/{}", recipes[0]);
    let referee = Referee::start().await;
    let theirs = |i: usize| {
        let recipe = recipes[i % recipes.len()];
        start(others, &connect, recipe, &path, &referee.address())
    };
    let mut processes: Vec<Child> = (0..OF_EACH * recipes.len()).map(theirs).collect();
    let mut ours = Vec::new();
    for i in 0..OF_EACH * recipes.len() {
        let client = soon(cluster.connect()).await.unwrap();
        let recipe = recipes[i % recipes.len()];
        let contending = contend(client, others, recipe, path.clone(), referee.address());
        ours.push(tokio::spawn(contending));
    }
    // A virtual machine takes its time to start.
    let everybody = processes.len() + ours.len();
    soon(referee.until_seen(everybody)).await;
    #[expect(clippy::disallowed_methods, reason = "it is asked for so much time")]
    let began = Instant::now();
    let (mut next, mut blows) = (began, 0);
    while next < began + seconds {
        next += BLOW;
        sleep_until(next).await; // so long was asked for
        if blows % 3 == 2 {
            // Its node stands until its session ends; the others wait for that.
            let one = blows / 3 % processes.len();
            processes[one].kill().await.unwrap();
            processes[one] = theirs(one);
        } else {
            let leader = soon(cluster.leader()).await;
            soon(cluster.kill(leader)).await;
            soon(cluster.leader()).await;
            soon(cluster.restart(leader)).await.unwrap();
        }
        blows += 1;
        ours.iter().for_each(|task| assert!(!task.is_finished(), "one of ours has ended"));
    }
    // After the last blow everybody has a turn.
    soon(referee.until_seen_again(everybody)).await;
    ours.iter().for_each(tokio::task::JoinHandle::abort);
    let turns = referee.turns();
    println!("{recipes:?}: {turns} turns, {blows} blows");
    assert!(turns > everybody * 3, "{turns}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_mutexes_of_curators_and_ours_are_the_same() {
    fleet(Others::Curator, &["mutex"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_readers_and_writers_of_curators_and_ours_exclude_each_other() {
    fleet(Others::Curator, &["write", "read"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_permits_of_curators_and_ours_are_counted_together() {
    fleet(Others::Curator, &["semaphore-3"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_latches_of_curators_and_ours_elect_one_leader() {
    fleet(Others::Curator, &["latch"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_mutexes_of_kazoos_and_ours_are_the_same() {
    fleet(Others::Kazoo, &["mutex"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_readers_and_writers_of_kazoos_and_ours_exclude_each_other() {
    fleet(Others::Kazoo, &["write", "read"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fact_29_elections_of_kazoos_and_selectors_of_ours_have_one_leader() {
    fleet(Others::Kazoo, &["latch"]).await;
}
