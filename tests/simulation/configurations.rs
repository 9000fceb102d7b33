//! Settings whose publishers, readers, servers and links fail in every way: versions only rise, and
//! each says the same to everybody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Std};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::timeout;
use znode::{Client, ConnectOptions, State};
use znode_recipes::{Configuration, RecipeError, RecipeErrorKind, Rollout};
use znode_testing::{Fault, Faults, Simulation, World};

use crate::SECOND;

const PATH: &str = "/settings";

/// What was seen of each version, and which version was published by whom.
#[derive(Clone, Default)]
struct Seen(Arc<Std<Versions>>);

#[derive(Default)]
struct Versions {
    says: BTreeMap<u64, String>,
    published: usize,
    told: usize,
}

impl Seen {
    /// Somebody knows what a version says.
    fn is(&self, version: u64, text: &str) {
        let mut seen = self.0.lock().unwrap();
        let before = seen.says.entry(version).or_insert_with(|| text.to_owned());
        assert_eq!(before, text, "version {version} says two things");
    }
}

fn settings(client: &Client) -> Configuration<String> {
    Configuration::new(client, PATH).with_history(4)
}

async fn connect(world: &World) -> Option<Client> {
    world.connect_with(ConnectOptions::new().session_timeout(2 * SECOND)).await.ok()
}

/// Publishes, stages, promotes and takes back, whatever there is to do.
async fn publish(world: World, seen: Seen, who: usize) {
    let mut count = 0;
    while world.elapsed() < 20 * SECOND {
        let Some(client) = connect(&world).await else { continue };
        while client.state() != State::Expired && world.elapsed() < 20 * SECOND {
            count += 1;
            // As one that is killed, wherever it is.
            let life = Duration::from_millis(1 + world.random_below(2_000) as u64);
            let change = change(&world, &client, &seen, format!("{who}-{count}"));
            if let Ok(Err(error)) = timeout(life, change).await {
                let kind = error.kind();
                let is_expected = [RecipeErrorKind::Conflict, RecipeErrorKind::Client];
                assert!(is_expected.contains(&kind), "{error:?}");
            }
            world.random_pause(SECOND / 5).await;
        }
    }
}

async fn change(
    world: &World,
    client: &Client,
    seen: &Seen,
    text: String,
) -> Result<(), RecipeError> {
    let settings = settings(client);
    let rollout = settings.rollout().await?;
    let stable = rollout.as_ref().and_then(Rollout::stable);
    let staged = rollout.as_ref().and_then(Rollout::staged);
    let version = match (staged, world.random_below(3)) {
        (Some((version, percent)), 0) => {
            return settings.roll_out(version, percent.saturating_add(20).min(100)).await;
        }
        (Some((version, _)), 1) => return settings.promote(version).await,
        (Some((version, _)), _) => {
            settings.roll_back(version, stable.unwrap_or(version)).await?;
            return Ok(());
        }
        (None, 0) => settings.stage(stable, &text, 30).await?,
        (None, _) => settings.publish(stable, &text).await?,
    };
    seen.is(version, &text);
    seen.0.lock().unwrap().published += 1;
    Ok(())
}

/// Follows them; what it is told only rises, over lost links and new sessions.
async fn follow(world: World, seen: Seen, member: String) {
    let mut last = 0;
    while world.elapsed() < 25 * SECOND {
        let Some(client) = connect(&world).await else { continue };
        let mut changes = settings(&client).subscribe(&member);
        let mut is_first = true;
        // Another server may be behind.
        while let Ok(Some(told)) = timeout(3 * SECOND, changes.next()).await {
            let release = match told {
                Ok(release) => release,
                Err(error) => {
                    assert_eq!(error.kind(), RecipeErrorKind::Client, "{error:?}");
                    continue;
                }
            };
            let is_again = is_first && release.version == last;
            assert!(release.version > last || is_again, "{} after {last}", release.version);
            (last, is_first) = (release.version, false);
            assert_eq!(changes.latest().map(|latest| latest.version), Some(last));
            seen.is(last, &release.settings);
            seen.0.lock().unwrap().told += 1;
        }
    }
}

async fn run(world: World) -> (usize, usize) {
    let seen = Seen::default();
    let tasks: Vec<_> = (0..2)
        .map(|who| world.spawn(publish(world.clone(), seen.clone(), who)))
        .chain((0..3).map(|number| {
            world.spawn(follow(world.clone(), seen.clone(), format!("host-{number}")))
        }))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    world.after_faults().await;
    // Whoever comes last has what is in force, and whoever publishes finds nobody in the way.
    let last = world.connect().await.unwrap();
    last.sync("/").await.unwrap();
    let settings = settings(&last);
    let rollout = settings.rollout().await.unwrap().expect("somebody has published");
    if let Some((version, _)) = rollout.staged() {
        settings.promote(version).await.unwrap();
    }
    let newest = settings.rollout().await.unwrap().unwrap().stable();
    let next = settings.publish(newest, &"last".to_owned()).await.unwrap();
    let release = settings.subscribe("host-9").next().await.unwrap().unwrap();
    assert_eq!((release.version, &release.settings[..]), (next, "last"));
    let trees = last.get_children(&format!("{PATH}/versions")).await.unwrap();
    assert!(trees.len() <= 4, "{trees:?} were not taken away");
    let seen = seen.0.lock().unwrap();
    (seen.published, seen.told)
}

#[test]
fn versions_only_rise_and_say_the_same_to_everybody() {
    let (mut published, mut told) = (0, 0);
    for seed in 1..=crate::number("ZNODE_SIM_SEEDS", 20) {
        let faults = Faults::random().until(20 * SECOND);
        let (some, more) = Simulation::new(seed).faults(faults).run(run);
        (published, told) = (published + some, told + more);
    }
    println!("{published} published, {told} told");
    assert!(published > 200 && told > 500, "{published} published, {told} told");
}

/// Also where the server that is asked then is behind the one that was asked before.
#[test]
fn versions_do_not_go_back_from_one_subscription_to_the_next() {
    for behind in 1..=3 {
        Simulation::new(behind).run(move |world| async move {
            let clients = [world.connect().await.unwrap(), world.connect().await.unwrap()];
            let publisher = world.connect().await.unwrap();
            let shop = settings(&publisher);
            let mut version = shop.publish(None, &"first".to_owned()).await.unwrap();
            for other in (1..=3).filter(|other| *other != behind) {
                let lag = Duration::from_millis(200);
                world.apply(Fault::SlowServers(behind, other, lag)).await;
            }
            for round in 0..6 {
                let text = format!("round {round}");
                version = shop.publish(Some(version), &text).await.unwrap();
                // What somebody has seen, nobody sees go back: neither does the publisher's own.
                for client in [&publisher, &clients[round % 2], &clients[(round + 1) % 2]] {
                    let told = settings(client).subscribe("host").next().await.unwrap().unwrap();
                    assert_eq!(told.version, version, "server {behind} is behind");
                }
            }
        });
    }
}
