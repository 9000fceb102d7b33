//! Runs of the world: seeds without a violation, and the same again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::world::World;
use crate::peer::planted::Bug;

/// Runs one seed to its end; returns what was done as one number, how much, and how many
/// configurations were agreed on.
fn run(seed: u64, planted: Option<Bug>) -> (u64, usize, usize) {
    let mut world = World::new(seed, planted);
    let end = world.faults_until + Duration::from_secs(1);
    while world.step(end) {}
    world.mend();
    // Everything is whole: soon there is one leader, whom everybody follows.
    let deadline = world.now + Duration::from_secs(30);
    while !world.is_settled() && world.step(deadline) {}
    assert!(world.is_settled(), "no leader that everybody follows within 30 s");
    // And it serves.
    let before: Vec<u32> = world.clients.iter().map(|client| client.answered).collect();
    let deadline = world.now + Duration::from_secs(30);
    let is_served = |world: &World| {
        world.clients.iter().zip(&before).all(|(client, before)| client.answered >= before + 10)
    };
    while !is_served(&world) && world.step(deadline) {}
    assert!(is_served(&world), "somebody is not served within 30 s");
    let deadline = world.now + Duration::from_secs(30);
    while !world.is_settled() && world.step(deadline) {}
    assert!(world.is_settled(), "it does not come to rest");
    let digests = world.digests();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    (world.trace, world.oracle.len(), world.oracle.configurations())
}

/// The same, or what was found.
fn judged(seed: u64, planted: Option<Bug>) -> Result<(u64, usize, usize), String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, planted))).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or_default().to_owned()
    })
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn seeds_without_a_violation() {
    let first = number("ZNODE_SIM_SEED", 1);
    let count = number("ZNODE_SIM_SEEDS", 60);
    let (mut decided, mut agreed) = (0, 0);
    let mut violations = Vec::new();
    for seed in first..first + count {
        match judged(seed, None) {
            Ok((_, count, configurations)) => {
                decided += count;
                agreed += configurations;
            }
            Err(text) => violations.push(format!("seed {seed}: {text}")),
        }
    }
    let listed = violations.join("\n");
    assert!(violations.is_empty(), "again with ZNODE_SIM_SEED=… ZNODE_SIM_SEEDS=1:\n{listed}");
    println!("{count} seeds, {decided} transactions, {agreed} changes of who belongs together");
    assert!(decided > 0);
    assert!(agreed > 0 || count < 10);
}

#[test]
fn a_seed_is_a_run() {
    assert_eq!(run(7, None), run(7, None));
}

/// Acknowledged or applied, and a quorum's disks do not hold it.
const TOO_FEW: &str = "on too few disks";
/// Two servers tell different stories.
const OTHER_ORDER: &str = "another order of transactions";
/// A server's data is not what the leader says that it must be.
const OTHER_TREE: &str = "a tree is not what was told of it";
/// A server forgets what it has promised.
const PROMISE: &str = "an epoch that nobody was promised";

/// Every mistake, the first seed that found it when somebody looked, and as what. Where the servers
/// have changed since, another of the first few will do. `ZNODE_SIM_HUNT=N` looks for the first
/// seed anew, among so many; `ZNODE_SIM_BUG=name` for one mistake alone.
const BUGS: [(Bug, u64, &str); 14] = [
    (Bug::AckBeforeHistory, 1, TOO_FEW),
    (Bug::EpochBeforeHistory, 4, TOO_FEW),
    (Bug::ProposalsForgotten, 3, OTHER_ORDER),
    (Bug::HoleInHistory, 56, OTHER_TREE),
    (Bug::TailKept, 28, OTHER_ORDER),
    (Bug::LeaderNamedTooEarly, 4, TOO_FEW),
    (Bug::SnapshotInMemory, 3, OTHER_TREE),
    (Bug::TailNotCounted, 28, OTHER_ORDER),
    (Bug::AckBeforeDisk, 1, TOO_FEW),
    (Bug::NoQuorum, 1, TOO_FEW),
    (Bug::PromiseNotWritten, 1, PROMISE),
    (Bug::NotForwarded, 190, OTHER_ORDER),
    (Bug::OldVotersAlone, 21, TOO_FEW),
    (Bug::NewVotersAlone, 24, TOO_FEW),
];

#[test]
fn every_planted_mistake_is_found() {
    let hunted = number("ZNODE_SIM_HUNT", 0);
    // What is expected here is nobody's news; what happens in other tests is.
    let (here, tell) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != here {
            tell(panic);
        }
    }));
    let mut missed = Vec::new();
    let only = std::env::var("ZNODE_SIM_BUG").ok();
    let chosen = |bug: &Bug| only.as_ref().is_none_or(|only| format!("{bug:?}") == *only);
    for (bug, known, words) in BUGS.into_iter().filter(|(bug, ..)| chosen(bug)) {
        // It is the mistake that is found: in these words, and not without it.
        let finds = |seed: &u64| {
            let found = judged(*seed, Some(bug)).is_err_and(|text| text.contains(words));
            found && judged(*seed, None).is_ok()
        };
        let found = match hunted {
            0 => std::iter::once(known).chain(1..=60).find(finds),
            _ => (1..=hunted).find(finds),
        };
        match found {
            Some(seed) => println!("{bug:?}: {seed}"),
            None => missed.push(bug),
        }
    }
    if !missed.is_empty() {
        println!("not found: {missed:?}");
    }
    assert!(missed.is_empty(), "some mistakes were not found");
}
