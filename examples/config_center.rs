//! Settings of ten hosts, from one console: `cargo run --example config_center`.
//!
//! A version is tried on some hosts, then on more, and is taken back; another is promoted. Whoever
//! publishes over what he has not seen is told so, and what is no settings reaches nobody. Runs on
//! an embedded server, or on the ensemble at `ZNODE_CONNECT=host:port[,…][/chroot]`; checks at the
//! end that no host has seen versions go back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use tokio::task::JoinSet;
use tokio::time::sleep;
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Configuration, Latest, RecipeErrorKind, Settings, Subscription};

const HOSTS: usize = 10;
const PATH: &str = "/config/shop";

/// What the hosts want to know.
struct Limits {
    workers: u32,
}

impl Settings for Limits {
    type Invalid = String;

    fn to_tree(&self) -> BTreeMap<String, Vec<u8>> {
        [("limits/workers".to_owned(), self.workers.to_string().into_bytes())].into()
    }

    fn from_tree(tree: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let workers = tree.get("limits/workers").ok_or("there is no limits/workers")?;
        match std::str::from_utf8(workers).ok().and_then(|text| text.parse().ok()) {
            Some(workers @ 1..=64) => Ok(Self { workers }),
            _ => Err("limits/workers is not 1 to 64".to_owned()),
        }
    }
}

/// The versions that each host has seen, and what it was told beside.
type Log = Arc<Mutex<BTreeMap<String, (Vec<u64>, usize)>>>;

/// Waits until each host has what it is to have, and says who has what.
async fn settle(
    hosts: &BTreeMap<String, Latest<Limits>>,
    shop: &Configuration<Limits>,
) -> Result<String, Error> {
    let mut all: BTreeMap<u64, (u32, Vec<&str>)> = BTreeMap::new();
    for (host, latest) in hosts {
        let wanted = shop.get(host).await?.ok_or("nothing is published")?;
        while latest.get().is_none_or(|now| now.version < wanted.version) {
            sleep(Duration::from_millis(1)).await;
        }
        let (_, hosts) = all.entry(wanted.version).or_insert((wanted.settings.workers, vec![]));
        hosts.push(host.trim_start_matches("app-"));
    }
    let told = all.into_iter().map(|(version, (workers, hosts))| {
        format!("version {version} ({workers} workers) on {}", hosts.join(" "))
    });
    Ok(told.collect::<Vec<_>>().join("; "))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{HOSTS} hosts, {}", ensemble.describe()));
    let home = ensemble.home("config-center").await?;
    let (mut tasks, log, mut hosts) = (JoinSet::new(), Log::default(), BTreeMap::new());
    for number in 0..HOSTS {
        let client = ensemble.connect_at(&home, &Cable::default()).await?;
        let host = format!("app-{number}");
        let changes = Configuration::new(&client, PATH).subscribe(&host);
        hosts.insert(host.clone(), changes.handle());
        tasks.spawn(follow(host, changes, Arc::clone(&log), timeline));
    }
    let client = ensemble.connect_at(&home, &Cable::default()).await?;
    let shop = Configuration::<Limits>::new(&client, PATH);
    let say = async |what: String| {
        timeline.say("console", what);
        timeline.say("hosts", settle(&hosts, &shop).await?);
        Ok::<_, Error>(())
    };
    let first = shop.publish(None, &Limits { workers: 8 }).await?;
    say(format!("publishes version {first}")).await?;
    let second = shop.stage(Some(first), &Limits { workers: 16 }, 20).await?;
    say(format!("tries version {second} on 20 %")).await?;
    shop.roll_out(second, 60).await?;
    say(format!("rolls version {second} out to 60 %")).await?;
    let third = shop.roll_back(second, first).await?;
    say(format!("takes it back: version {third} is as version {first} was")).await?;
    let fourth = shop.stage(Some(third), &Limits { workers: 12 }, 50).await?;
    say(format!("tries version {fourth} on 50 %")).await?;
    shop.promote(fourth).await?;
    say(format!("promotes version {fourth}")).await?;

    // Somebody who has seen an older one, somebody who errs, and somebody who is wrong here.
    for (seen, workers, expected) in
        [(third, 9, RecipeErrorKind::Conflict), (fourth, 640, RecipeErrorKind::InvalidValue)]
    {
        match shop.publish(Some(seen), &Limits { workers }).await {
            Err(error) if error.kind() == expected => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                timeline.say("console", format!("is refused: {}", why.unwrap_or_default()));
            }
            other => return Err(format!("published over version {seen}: {other:?}").into()),
        }
    }
    timeline.say("somebody", "publishes a text where there were limits");
    let wrong = Configuration::<String>::new(&client, PATH);
    let fifth = wrong.publish(Some(fourth), &"no limits".to_owned()).await?;
    while log.lock().expect("nobody panics").values().filter(|(_, told)| *told > 0).count() < HOSTS
    {
        sleep(Duration::from_millis(1)).await;
    }
    let sixth = shop.roll_back(fifth, fourth).await?;
    say(format!("takes it back: version {sixth}")).await?;
    drop(tasks);
    let log = log.lock().expect("nobody panics");
    if log.len() != HOSTS || !log.values().all(|(seen, _)| seen.is_sorted_by(|a, b| a < b)) {
        return Err(format!("versions have gone back: {log:?}").into());
    }
    timeline.say("main", format!("{} hosts, and none has seen versions go back", log.len()));
    Ok(())
}

/// Notes what a host is told; it works with what it has had, if that is no settings.
async fn follow(host: String, mut changes: Subscription<Limits>, log: Log, timeline: Timeline) {
    while let Some(told) = changes.next().await {
        match told {
            Ok(release) => {
                let mut log = log.lock().expect("nobody panics");
                log.entry(host.clone()).or_default().0.push(release.version);
            }
            Err(error) => {
                if host == "app-0" {
                    let kept = changes.latest().map_or(0, |latest| latest.version);
                    timeline.say(&host, format!("{error}; keeps version {kept}, as do all"));
                }
                log.lock().expect("nobody panics").entry(host.clone()).or_default().1 += 1;
            }
        }
    }
}
