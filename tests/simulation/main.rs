//! Whole systems in virtual time: what a simulation promises, and recipes under everything that can
//! go wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod cache;
mod configurations;
mod cuts;
mod locks;
mod partition;
mod shrinking;
mod transactions;
mod work;

use std::time::Duration;

use futures::StreamExt;
use tokio::time::sleep;
use znode::{Client, ConnectOptions, CreateMode, State};
use znode_testing::{ClusterSpec, Fault, Faults, Simulation, World};

const SECOND: Duration = Duration::from_secs(1);

/// A number that the environment may set.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().expect("it is a number"))
}

/// Writes for a while and keeps an ephemeral node, whatever happens; a new session for an old one.
async fn work(world: World, name: String) -> usize {
    let mut done = 0;
    while world.elapsed() < 20 * SECOND {
        let options = ConnectOptions::new().session_timeout(2 * SECOND);
        let Ok(client) = world.connect_with(options).await else { continue };
        while client.state() != State::Expired && world.elapsed() < 20 * SECOND {
            let path = format!("/{name}-{done}");
            done += usize::from(client.create(&path, "", CreateMode::Ephemeral).await.is_ok());
            world.random_pause(SECOND / 2).await;
        }
        let _ = client.close().await;
    }
    done
}

async fn two_workers(world: World) -> (usize, usize) {
    let one = world.spawn(work(world.clone(), "one".to_owned()));
    let other = world.spawn(work(world.clone(), "other".to_owned()));
    let done = (one.await.unwrap(), other.await.unwrap());
    world.after_faults().await;
    world.cluster().await_converged().await;
    done
}

#[test]
fn a_seed_is_a_run() {
    let faults = Faults::random().until(20 * SECOND);
    let mut traces = Vec::new();
    for seed in 1..=20 {
        let simulation = Simulation::new(seed).faults(faults.clone());
        let finished = simulation.try_run(two_workers).unwrap();
        assert_eq!(simulation.try_run(two_workers).unwrap(), finished, "seed {seed}");
        assert!(finished.value.0 + finished.value.1 > 0);
        traces.push(finished.trace);
    }
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 20, "some seeds are the same");
}

async fn expiry(world: World) -> Duration {
    let options = ConnectOptions::new().session_timeout(30 * SECOND);
    let mortal = world.connect_with(options).await.unwrap();
    let other = world.connect().await.unwrap();
    mortal.create("/mortal", "", CreateMode::Ephemeral).await.unwrap();
    other.sync("/").await.unwrap();
    let (_, gone) = other.exists_watched("/mortal").await.unwrap();
    let since = world.elapsed();
    world.apply(Fault::StallLink(0)).await;
    gone.await.unwrap();
    assert_eq!(mortal.state(), State::Expired);
    world.elapsed() - since
}

#[test]
fn waiting_takes_its_time() {
    let finished = Simulation::new(1).try_run(expiry).unwrap();
    assert!((29 * SECOND..32 * SECOND).contains(&finished.value), "{finished:?}");
    assert!(finished.elapsed >= finished.value);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is what real time is compared with")]
fn an_hour_costs_a_small_part_of_one() {
    let hour = 3_600 * SECOND;
    let simulation = Simulation::new(1).time_limit(2 * hour);
    let since = std::time::Instant::now();
    let finished = simulation.try_run(|world| async move {
        let client = world.connect().await.unwrap();
        sleep(3_600 * SECOND).await; // virtual: the clock is paused
        assert_eq!(client.state(), State::Connected);
    });
    let virtually = finished.unwrap().elapsed;
    let really = since.elapsed();
    assert!(virtually >= hour);
    // On a machine that has other things to do.
    assert!(virtually > 20 * really, "{virtually:?} took {really:?}");
    println!("an hour took {really:?}");
}

#[test]
fn a_client_that_is_dropped_closes_its_session() {
    Simulation::new(1).run(|world| async move {
        let options = ConnectOptions::new().session_timeout(30 * SECOND);
        let dropped = world.connect_with(options).await.unwrap();
        let other = world.connect().await.unwrap();
        dropped.create("/alive", "", CreateMode::Ephemeral).await.unwrap();
        other.sync("/").await.unwrap();
        let (_, gone) = other.exists_watched("/alive").await.unwrap();
        let since = world.elapsed();
        drop(dropped);
        gone.await.unwrap();
        assert!(world.elapsed() - since < SECOND, "it was waited for");
    });
}

/// The states that a client goes through while this happens, up to `last`.
fn states(faults: &[(Duration, Fault)], last: State) -> Vec<State> {
    let spec = ClusterSpec::new(3);
    let simulation = Simulation::new(1).cluster(spec).faults(Faults::plan(faults.to_vec()));
    simulation.run(|world| async move {
        let options = ConnectOptions::new().session_timeout(2 * SECOND);
        let client = world.connect_with(options).await.unwrap();
        let mut changes = client.states();
        assert_eq!(changes.next().await.unwrap().state, State::Connected);
        let mut seen = Vec::new();
        world.after_faults().await;
        while seen.last() != Some(&last) {
            match changes.next().await {
                Some(change) => seen.push(change.state),
                None => panic!("it ends behind {seen:?}"),
            }
        }
        seen
    })
}

#[test]
fn faults_of_a_plan_come_at_their_times() {
    let at = |ms| Duration::from_millis(ms);
    let back = [State::Suspect, State::Connected];
    assert_eq!(states(&[(at(500), Fault::CutLink(0))], State::Connected), back);
    let plan = [(at(500), Fault::StallLink(0)), (at(1_500), Fault::MendLink(0))];
    assert_eq!(states(&plan, State::Connected), back);
    let plan = [(at(500), Fault::RefuseLink(0)), (at(9_000), Fault::MendLink(0))];
    assert_eq!(states(&plan, State::Expired), [State::Suspect, State::Expired]);
    let plan = [(at(500), Fault::Expire(0)), (at(2_000), Fault::MendAll)];
    assert_eq!(states(&plan, State::Expired), [State::Suspect, State::Expired]);
    let everybody = |fault: fn(u64) -> Fault, ms| (1..=3).map(move |id| (at(ms), fault(id)));
    let plan: Vec<_> = everybody(Fault::Kill, 500).chain(everybody(Fault::Restart, 900)).collect();
    assert_eq!(states(&plan, State::Connected), back);
    let plan: Vec<_> = everybody(Fault::Pause, 500).chain([(at(1_500), Fault::MendAll)]).collect();
    assert_eq!(states(&plan, State::Connected), back);
}

#[test]
fn what_no_leader_was_there_for_does_not_go_wrong_afterwards() {
    let at = |ms| Duration::from_millis(ms);
    let plan: Vec<_> = (1..=3)
        .map(|id| (at(500), Fault::Kill(id)))
        .chain([(at(600), Fault::Expire(0)), (at(900), Fault::MendAll)])
        .collect();
    Simulation::new(1).faults(Faults::plan(plan)).run(|world| async move {
        let client = world.connect().await.unwrap();
        let session = client.session_id();
        world.after_faults().await;
        sleep(5 * SECOND).await; // virtual: the clock is paused
        client.sync("/").await.unwrap();
        assert_eq!(client.session_id(), session);
    });
}

/// What a failure says, without what differs.
fn failure(
    simulation: &Simulation,
    test: impl Fn(World) -> futures::future::BoxFuture<'static, ()>,
) -> String {
    let run = std::panic::AssertUnwindSafe(|| simulation.run(&test));
    let payload = std::panic::catch_unwind(run).unwrap_err();
    payload.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_failure_names_its_seed_and_the_faults_that_it_needs() {
    let faults = Faults::random().until(20 * SECOND).clients(1);
    let simulation = Simulation::new(77).faults(faults);
    let said = failure(&simulation, |world| {
        Box::pin(async move {
            let client = world.connect().await.unwrap();
            let mut states = client.states();
            while let Some(change) = states.next().await {
                assert_eq!(change.state, State::Connected, "the link has broken");
            }
        })
    });
    assert!(said.starts_with("seed 77 fails after "), "{said}");
    assert!(said.contains("the link has broken"), "{said}");
    assert!(said.contains("again with ZNODE_SIMULATION_SEED=77, or Simulation::new(77)"), "{said}");
    // Of some twenty faults one is enough, or two that make one.
    let faults = said.lines().filter(|line| line.starts_with("  ")).count();
    assert!((1..=3).contains(&faults), "{said}");
}

#[test]
fn a_task_that_falls_and_a_test_that_never_ends_are_failures() {
    let simulation = Simulation::new(3).time_limit(60 * SECOND);
    let said = failure(&simulation, |world| {
        Box::pin(async move {
            world.spawn(async { panic!("a task has fallen") });
            std::future::pending::<()>().await;
        })
    });
    assert!(said.contains("a task has fallen"), "{said}");
    let said = failure(&simulation, |_| Box::pin(std::future::pending()));
    assert!(said.contains("after 60s: it has not ended within 60s"), "{said}");
}

#[test]
fn a_failure_that_does_not_come_again_is_told_as_one() {
    let times = std::cell::Cell::new(0);
    let run = std::panic::AssertUnwindSafe(|| {
        Simulation::new(5).run(|_| {
            times.set(times.get() + 1);
            let is_first = times.get() == 1;
            async move { assert!(!is_first, "once") }
        });
    });
    let payload = std::panic::catch_unwind(run).unwrap_err();
    let said = payload.downcast_ref::<String>().unwrap();
    assert!(said.contains("something in it does not follow from the seed"), "{said}");
}

#[test]
fn frames_are_counted_and_cut_one_by_one() {
    let create = |world: World| async move {
        let client = world.connect().await.unwrap();
        let created = client.create("/a", "", CreateMode::Persistent).await.is_ok();
        let is_there = exists(&world.connect().await.unwrap()).await;
        (created, is_there, world.requests(0), world.replies(0))
    };
    assert_eq!(Simulation::new(1).run(create), (true, true, 2, 2));
    let cut = |fault| Simulation::new(1).faults(Faults::plan([(Duration::ZERO, fault)]));
    let late = |fault| {
        cut(fault).run(|world| async move {
            sleep(SECOND).await; // virtual: the clock is paused
            create(world).await
        })
    };
    // The client is not there yet when its frames are to be cut.
    assert_eq!(late(Fault::CutAtRequest(0, 2)), (true, true, 2, 2));
    let outcome = |fault: Fault| {
        Simulation::new(1).run(move |world| {
            let fault = fault.clone();
            async move {
                let client = world.connect().await.unwrap();
                world.apply(fault).await;
                let created = client.create("/a", "", CreateMode::Persistent).await.is_ok();
                (created, exists(&world.connect().await.unwrap()).await)
            }
        })
    };
    assert_eq!(outcome(Fault::CutAtRequest(0, 2)), (false, false));
    assert_eq!(outcome(Fault::CutAtReply(0, 2)), (false, true));
}

async fn exists(client: &Client) -> bool {
    client.sync("/").await.unwrap();
    client.exists("/a").await.unwrap().is_some()
}
