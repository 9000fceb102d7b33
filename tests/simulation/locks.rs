//! Locks whose holders, servers and links fail in every way: nobody holds what somebody else holds.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex as Std};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use znode::{Client, ConnectOptions, CreateMode, State, Version, Zxid};
use znode_recipes::{LeaderLatch, LeaderSelector, Mutex, Term};
use znode_testing::{Faults, Simulation, World};

const SECOND: Duration = Duration::from_secs(1);
const LOCK: &str = "/locks/one";
const LEADERS: &str = "/leaders/one";

/// Something that only one may use at a time, and who uses it.
#[derive(Clone, Default)]
struct Resource(Arc<Std<Uses>>);

#[derive(Default)]
struct Uses {
    by: Option<usize>,
    newest: Zxid,
    count: usize,
}

impl Resource {
    fn begin(&self, who: usize, token: Zxid) {
        let mut uses = self.0.lock().unwrap();
        assert_eq!(uses.by, None, "{who} has met somebody");
        assert!(token > uses.newest, "a token goes back");
        (uses.by, uses.newest) = (Some(who), token);
        uses.count += 1;
    }

    fn end(&self, who: usize) {
        assert_eq!(self.0.lock().unwrap().by.take(), Some(who));
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().count
    }
}

/// Leaves the resource whenever whoever uses it stops, also when that is dropped.
struct Using(Resource, usize);

impl Drop for Using {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.end(self.1);
        }
    }
}

async fn connect(world: &World) -> Option<Client> {
    world.connect_with(ConnectOptions::new().session_timeout(2 * SECOND)).await.ok()
}

/// Takes the lock again and again, and uses the resource while it holds. Returns its last session.
async fn contend(world: World, resource: Resource, who: usize) -> Option<Client> {
    let mut last = None;
    while world.elapsed() < 20 * SECOND {
        let Some(client) = connect(&world).await else { continue };
        while client.state() != State::Expired && world.elapsed() < 20 * SECOND {
            let Ok(guard) = Mutex::new(&client, LOCK).lock().await else {
                world.random_pause(SECOND / 4).await;
                continue;
            };
            let pause = Duration::from_millis(world.random_below(3_000) as u64);
            let using = async {
                resource.begin(who, guard.token());
                let _using = Using(resource.clone(), who);
                sleep(pause).await; // virtual: the clock is paused
            };
            tokio::select! {
                biased;
                _ = guard.lost() => continue,
                () = using => {}
            }
            let _ = guard.release().await;
        }
        last = Some(client);
    }
    last
}

/// Once faults are over and everybody has stopped: nothing is left of whoever still has a session.
/// Says how many have.
async fn nothing_is_left(world: &World, path: &str, last: Vec<JoinHandle<Option<Client>>>) -> u64 {
    let mut clients = Vec::new();
    for contender in last {
        clients.extend(contender.await.unwrap());
    }
    world.after_faults().await;
    // Sessions that have ended for their clients end on the servers, too.
    sleep(10 * SECOND).await; // virtual: the clock is paused
    let other = world.connect().await.unwrap();
    other.sync("/").await.unwrap();
    let left = other.get_children(path).await.unwrap();
    assert_eq!(left, Vec::<String>::new(), "left behind");
    clients.iter().filter(|client| client.state() == State::Connected).count() as u64
}

/// But for sessions that are ended before their time: the holder cannot know, and it is the token
/// that keeps it out.
#[test]
fn nobody_holds_a_mutex_that_somebody_else_holds() {
    let (mut uses, mut living) = (0, 0);
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 60) {
        let faults = Faults::random().until(20 * SECOND).without_expiry();
        let (used, live) = Simulation::new(seed).faults(faults).run(|world| async move {
            let resource = Resource::default();
            let contenders = (0..4).map(|who| contend(world.clone(), resource.clone(), who));
            let contenders = contenders.map(|contender| world.spawn(contender)).collect();
            let living = nothing_is_left(&world, LOCK, contenders).await;
            let last = world.connect().await.unwrap();
            let guard = Mutex::new(&last, LOCK).lock().await.unwrap();
            guard.release().await.unwrap();
            (resource.count(), living)
        });
        (uses, living) = (uses + used, living + live);
    }
    assert!(uses > 500, "{uses}");
    assert!(living > 60, "{living} sessions might have left something behind");
}

/// A lock as one might write it at first: whoever could create the node holds it, until he deletes
/// it. That the session may end meanwhile has not come to his mind.
async fn naive(world: World, resource: Resource, who: usize) {
    while world.elapsed() < 20 * SECOND {
        let Some(client) = connect(&world).await else { continue };
        while client.state() != State::Expired && world.elapsed() < 20 * SECOND {
            let Ok(created) = client.create("/naive", "", CreateMode::Ephemeral).await else {
                world.random_pause(SECOND / 4).await;
                continue;
            };
            resource.begin(who, created.stat.czxid);
            world.random_pause(3 * SECOND).await;
            resource.end(who);
            let _ = client.delete("/naive", Version::ANY).await;
        }
    }
}

#[test]
fn a_naive_lock_is_found_out() {
    let found = (1..=20).find_map(|seed| {
        let simulation = Simulation::new(seed).faults(Faults::random().until(20 * SECOND));
        let run = simulation.try_run(|world| async move {
            let resource = Resource::default();
            for who in 0..4 {
                world.spawn(naive(world.clone(), resource.clone(), who));
            }
            sleep(30 * SECOND).await; // virtual: the clock is paused
        });
        run.err()
    });
    let found = found.expect("20 seeds, and nobody has met anybody");
    assert!(found.said.contains("has met somebody"), "{found}");
}

/// Takes part in an election again and again, and uses the resource while it leads. Returns its
/// last session.
async fn stand(world: World, resource: Resource, who: usize) -> Option<Client> {
    let mut last = None;
    while world.elapsed() < 20 * SECOND {
        let Some(client) = connect(&world).await else { continue };
        let selector = LeaderSelector::new(&client, LEADERS).with_id(who.to_string());
        let work = |term: Term| {
            let (world, resource) = (world.clone(), resource.clone());
            async move {
                resource.begin(who, term.epoch());
                let _using = Using(resource, who);
                world.random_pause(3 * SECOND).await;
                if world.elapsed() < 20 * SECOND {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            }
        };
        // It ends with the session.
        let _ = selector.run(work).await;
        last = Some(client);
    }
    last
}

#[test]
fn nobody_leads_while_somebody_else_does() {
    let (mut terms, mut living) = (0, 0);
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 40) {
        let faults = Faults::random().until(20 * SECOND).without_expiry();
        let (led, live) = Simulation::new(seed).faults(faults).run(|world| async move {
            let resource = Resource::default();
            let stands = (0..4).map(|who| stand(world.clone(), resource.clone(), who));
            let stands = stands.map(|stand| world.spawn(stand)).collect();
            let living = nothing_is_left(&world, LEADERS, stands).await;
            let last = world.connect().await.unwrap();
            let guard = LeaderLatch::new(&last, LEADERS).lead().await.unwrap();
            guard.release().await.unwrap();
            (resource.count(), living)
        });
        (terms, living) = (terms + led, living + live);
    }
    assert!(terms > 300, "{terms}");
    assert!(living > 40, "{living} sessions might have left something behind");
}
