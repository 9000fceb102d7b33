//! Five candidates, and one leader at a time: `cargo run --example leader`.
//!
//! Each leader writes into a register in the name of its leadership. One resigns, one has its cable
//! pulled out and learns that it leads no more. Runs on an embedded server, or on the ensemble at
//! `ZNODE_CONNECT=host:port[,…][/chroot]`; checks at the end that the epochs only rose.

use tokio::task::JoinSet;
use znode::{Client, CreateMode};
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{LeaderLatch, LockError};

const CANDIDATES: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{CANDIDATES} candidates, {}", ensemble.describe()));
    let home = ensemble.home("leader").await?;
    let observer = ensemble.connect_at(&home, &Cable::default()).await?;
    observer.create("/terms", "", CreateMode::Persistent).await?;

    let mut candidates = JoinSet::new();
    for number in 1..=CANDIDATES {
        let cable = Cable::default();
        let client = ensemble.connect_at(&home, &cable).await?;
        // One of them will be cut off while it leads.
        let cable = (number == 2).then_some(cable);
        candidates.spawn(stand(client, format!("candidate {number}"), cable, timeline));
    }
    while let Some(stood) = candidates.join_next().await {
        stood??;
    }
    judge(&observer, timeline).await
}

/// Stands for election once, leads, and leaves.
async fn stand(
    client: Client,
    who: String,
    cable: Option<Cable>,
    timeline: Timeline,
) -> Result<(), Error> {
    let latch = LeaderLatch::new(&client, "/election").with_id(&who);
    let term = latch.lead().await?;
    timeline.say(&who, format!("leads, epoch {}", term.token()));
    let note = |what: &str| {
        let entry = format!("{} {who} {what}", term.token().0);
        term.client().create("/terms/entry-", entry, CreateMode::PersistentSequential)
    };
    note("begins").await?;
    if let Some(cable) = cable {
        cable.pull_out();
        timeline.say(&who, "has its cable pulled out");
        timeline.say(&who, format!("leads no more: {:?}", term.lost().await));
        return match note("goes on").await {
            Ok(_) => Err("who leads no more has written".into()),
            Err(error) => {
                timeline.say(&who, format!("may not write: {error}"));
                Ok(())
            }
        };
    }
    note("resigns").await?;
    term.release().await?;
    timeline.say(&who, "resigns");
    client.close().await?;
    Ok(())
}

/// Reads the register in the order in which the server has put it on record.
async fn judge(observer: &Client, timeline: Timeline) -> Result<(), Error> {
    let mut entries = Vec::new();
    for name in observer.get_children("/terms").await? {
        let (entry, stat) = observer.get_data(&format!("/terms/{name}")).await?;
        entries.push((stat.czxid, String::from_utf8(entry.to_vec())?));
    }
    entries.sort();
    let epoch = |entry: &str| entry.split(' ').next().and_then(|epoch| epoch.parse::<i64>().ok());
    let epochs: Vec<i64> = entries.iter().filter_map(|(_, entry)| epoch(entry)).collect();
    if !epochs.is_sorted() || entries.len() != 2 * CANDIDATES - 1 {
        return Err(format!("two have led at a time: {entries:?}").into());
    }
    let nobody: Result<_, LockError> = LeaderLatch::new(observer, "/election").leader().await;
    timeline.say(
        "main",
        format!("{} entries, the epochs only rose; {:?} leads", epochs.len(), nobody?),
    );
    Ok(())
}
