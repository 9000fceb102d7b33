//! What is told of a failure: the same one, with the few faults that it takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use znode::{ConnectOptions, CreateMode, State};
use znode_testing::{Fault, Faults, Simulation, World};

use crate::SECOND;

/// What a run under these faults says when it fails, each so many seconds after the beginning.
fn failure<F: Future<Output = ()>>(
    faults: impl IntoIterator<Item = (u32, Fault)>,
    test: impl Fn(World) -> F,
) -> String {
    let faults = faults.into_iter().map(|(at, fault)| (at * SECOND, fault));
    let simulation = Simulation::new(1).faults(Faults::plan(faults)).time_limit(60 * SECOND);
    let payload = catch_unwind(AssertUnwindSafe(|| simulation.run(&test))).unwrap_err();
    payload.downcast_ref::<String>().unwrap().clone()
}

/// The faults that it lists.
fn listed(said: &str) -> Vec<&str> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn a_failure_is_not_told_as_another_one() {
    let plan = [
        (1, Fault::CutLink(0)),
        (2, Fault::Kill(1)),
        (2, Fault::Kill(2)),
        (3, Fault::Restart(1)),
        (3, Fault::Restart(2)),
        (20, Fault::MendAll),
    ];
    let said = failure(plan, |world| async move {
        let client = world.connect().await.unwrap();
        sleep(4 * SECOND).await; // virtual: the clock is paused
        assert_eq!(client.stats().reconnects, 0, "two hold");
        world.after_faults().await;
        let last = timeout(20 * SECOND, world.connect()).await;
        last.expect("the last one has to wait").unwrap();
    });
    assert!(said.contains("two hold"), "{said}");
}

#[test]
fn what_was_put_right_does_not_stay_broken() {
    let plan = [
        (1, Fault::Expire(0)),
        (2, Fault::RefuseLink(0)),
        (3, Fault::MendLink(0)),
        (10, Fault::MendAll),
    ];
    let said = failure(plan, |world| async move {
        let options = ConnectOptions::new().session_timeout(30 * SECOND);
        let client = world.connect_with(options).await.unwrap();
        world.after_faults().await;
        while client.create("/a", "", CreateMode::Persistent).await.is_err() {
            sleep(SECOND).await; // virtual: the clock is paused
        }
    });
    assert!(said.contains("it has not ended within 60s"), "{said}");
    assert_eq!(listed(&said), ["1s Expire(0)", "10s MendAll"], "{said}");
}

#[test]
fn a_failure_that_comes_before_the_faults_are_over_follows_from_the_seed() {
    let plan = [(1, Fault::CutLink(0)), (2, Fault::CutLink(1)), (10, Fault::MendAll)];
    let said = failure(plan, |world| async move {
        let client = world.connect().await.unwrap();
        let _other = world.connect().await.unwrap();
        world.spawn(async move {
            sleep(5 * SECOND).await; // virtual: the clock is paused
            assert_eq!(client.stats().reconnects, 0, "the link has broken");
        });
        world.after_faults().await;
    });
    assert!(said.contains("the link has broken"), "{said}");
    assert!(!said.contains("does not follow from the seed"), "{said}");
    assert_eq!(listed(&said), ["1s CutLink(0)"], "{said}");
}

#[test]
fn a_remedy_goes_with_its_fault_and_comes_with_it() {
    let at = |fault| (1, fault);
    let plan = [
        at(Fault::StallLink(0)),
        (2, Fault::Kill(1)),
        (3, Fault::MendLink(0)),
        (3, Fault::Kill(1)),
        (4, Fault::Restart(1)),
        (5, Fault::Restart(1)),
        (20, Fault::MendAll),
    ];
    let said = failure(plan, |world| async move {
        let options = ConnectOptions::new().session_timeout(2 * SECOND);
        let client = world.connect_with(options).await.unwrap();
        sleep(Duration::from_millis(7_500)).await; // virtual: the clock is paused
        assert_eq!(client.state(), State::Connected, "it was out of reach");
    });
    assert_eq!(listed(&said), ["1s StallLink(0)", "3s MendLink(0)"], "{said}");
}
