//! Transactions whose coordinators, participants, servers and links fail in every way: nobody
//! applies what somebody else does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Std};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::timeout;
use znode::{Client, ConnectOptions, State};
use znode_recipes::{Decision, RecipeError, TwoPhaseCommit, Vote};
use znode_testing::{Faults, Simulation, World};

use crate::SECOND;

const PATH: &str = "/transactions";
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What everybody has written on a disk of its own, which survives whatever happens to it.
#[derive(Clone, Default)]
struct Disks(Arc<Std<BTreeMap<String, Told>>>);

#[derive(Default)]
struct Told {
    /// What each means to vote: it is written before the vote is cast.
    votes: BTreeMap<usize, Vote>,
    decision: Option<Decision>,
    applied: Vec<usize>,
}

impl Disks {
    fn vote(&self, id: &str, who: usize, vote: impl FnOnce() -> Vote) -> Vote {
        let mut disks = self.0.lock().unwrap();
        *disks.entry(id.to_owned()).or_default().votes.entry(who).or_insert_with(vote)
    }

    /// Somebody was told this.
    fn told(&self, id: &str, decision: &Decision) {
        let mut disks = self.0.lock().unwrap();
        let told = disks.entry(id.to_owned()).or_default();
        let before = told.decision.get_or_insert_with(|| decision.clone());
        assert_eq!(before, decision, "somebody was told otherwise of {id}");
        if decision.is_committed() {
            let yes = told.votes.values().filter(|vote| **vote == Vote::Yes).count();
            assert_eq!(yes, NAMES.len(), "{id} is committed, and not all have said yes");
        }
    }

    fn applies(&self, id: &str, who: usize, decision: &Decision) {
        self.told(id, decision);
        self.0.lock().unwrap().get_mut(id).unwrap().applied.push(who);
    }
}

fn transactions(client: &Client) -> TwoPhaseCommit {
    TwoPhaseCommit::new(client, PATH).with_patience(3 * SECOND)
}

async fn connect(world: &World) -> Option<Client> {
    world.connect_with(ConnectOptions::new().session_timeout(2 * SECOND)).await.ok()
}

/// Proposes one transaction after another; loses interest in some, dies while it waits for others.
async fn coordinate(world: World, disks: Disks, who: usize) {
    let mut count = 0;
    while world.elapsed() < 20 * SECOND {
        let Some(client) = connect(&world).await else { continue };
        while client.state() != State::Expired && world.elapsed() < 20 * SECOND {
            let id = format!("{who}-{count}");
            count += 1;
            let work = async {
                let proposal = transactions(&client).propose(&id, NAMES, "").await?;
                if world.random_below(8) == 0 {
                    proposal.abort().await
                } else {
                    proposal.outcome().await
                }
            };
            // As one that is killed, wherever it is.
            let life = Duration::from_millis(1 + world.random_below(6_000) as u64);
            if let Ok(Ok(decision)) = timeout(life, work).await {
                disks.told(&id, &decision);
            }
            world.random_pause(SECOND / 2).await;
        }
    }
}

/// Takes part in whatever is proposed, and is started anew whenever it dies.
async fn participate(world: World, disks: Disks, who: usize, until: Duration) {
    while world.elapsed() < until {
        let Some(client) = connect(&world).await else { continue };
        while client.state() != State::Expired && world.elapsed() < until {
            let life = Duration::from_millis(1 + world.random_below(5_000) as u64);
            let _ = timeout(life, take_part(&world, &client, &disks, who)).await;
        }
    }
}

async fn take_part(
    world: &World,
    client: &Client,
    disks: &Disks,
    who: usize,
) -> Result<(), RecipeError> {
    let mut ballots = transactions(client).ballots(NAMES[who]);
    while let Some(ballot) = ballots.try_next().await? {
        let fresh = || if world.random_below(8) == 0 { Vote::No } else { Vote::Yes };
        let vote = disks.vote(ballot.id(), who, fresh);
        assert!(ballot.cast().is_none_or(|cast| cast == vote), "its vote was changed");
        let voted = ballot.vote(vote).await?;
        assert!(voted.vote().is_none_or(|cast| cast == vote), "its vote was changed");
        let decided = voted.decision().await?;
        disks.applies(ballot.id(), who, decided.decision());
        world.random_pause(SECOND / 20).await;
        decided.applied().await?;
    }
    Ok(())
}

/// How many were committed, and how many aborted.
async fn run(world: World) -> (usize, usize) {
    let disks = Disks::default();
    let coordinators: Vec<_> =
        (0..2).map(|who| world.spawn(coordinate(world.clone(), disks.clone(), who))).collect();
    // When all else is over they have time to finish.
    let participants: Vec<_> = (0..NAMES.len())
        .map(|who| world.spawn(participate(world.clone(), disks.clone(), who, 60 * SECOND)))
        .collect();
    for task in coordinators.into_iter().chain(participants) {
        task.await.unwrap();
    }
    world.after_faults().await;
    let last = world.connect().await.unwrap();
    last.sync("/").await.unwrap();
    // Whatever they have not come to, nobody is in the way of.
    let left = transactions(&last).transactions().await.unwrap();
    assert_eq!(left, [], "somebody had all the time in the world to finish it");
    let disks = disks.0.lock().unwrap();
    let decided = |is: bool| {
        let of = |told: &&Told| told.decision.as_ref().is_some_and(|d| d.is_committed() == is);
        disks.values().filter(of).count()
    };
    for (id, told) in disks.iter().filter(|(_, told)| told.decision.is_some()) {
        let mut applied = told.applied.clone();
        applied.sort_unstable();
        applied.dedup();
        assert_eq!(applied, [0, 1, 2], "{id} was not applied by all");
    }
    (decided(true), decided(false))
}

#[test]
fn nobody_applies_what_somebody_else_does_not() {
    let (mut committed, mut aborted) = (0, 0);
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 20) {
        let faults = Faults::random().until(20 * SECOND);
        let (yes, no) = Simulation::new(seed).faults(faults).run(run);
        (committed, aborted) = (committed + yes, aborted + no);
    }
    println!("{committed} committed, {aborted} aborted");
    assert!(committed > 100 && aborted > 100, "{committed} committed, {aborted} aborted");
}
