//! Contenders take one lock in turn, and one of them loses its session while it holds it:
//! `cargo run --example lock`.
//!
//! Runs on an embedded server, or on the ensemble at `ZNODE_CONNECT=host:port[,…][/chroot]`. Ends
//! by reading back what the server has on record and checking that no two holds overlapped and
//! that the fencing tokens only rose; exits non-zero otherwise.

use std::time::Duration;

use tokio::task::JoinSet;
use znode::{Client, ConnectOptions, CreateMode, Version, Zxid};
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Guard, Mutex};

const CONTENDERS: usize = 6;
/// How much each of them writes under the lock.
const ENTRIES: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{CONTENDERS} contenders, {}", ensemble.describe()));
    let observer = ensemble.connect(ConnectOptions::new()).await?;
    let home = observer.create("/lock-example-", "", CreateMode::PersistentSequential).await?.path;
    let observer = observer.with_chroot(&home)?;
    observer.create("/ledger", "", CreateMode::Persistent).await?;

    let mut contenders = JoinSet::new();
    for number in 1..=CONTENDERS {
        let cable = Cable::default();
        let options = ConnectOptions::new()
            .session_timeout(Duration::from_millis(500))
            .connector(cable.clone());
        let client = ensemble.connect(options).await?.with_chroot(&home)?;
        // One of them will lose its session.
        let cable = (number == 2).then_some(cable);
        contenders.spawn(contend(client, format!("contender {number}"), cable, timeline));
    }
    while let Some(result) = contenders.join_next().await {
        result??;
    }
    judge(&observer, timeline).await
}

/// Takes the lock once and works under it.
async fn contend(
    client: Client,
    who: String,
    cable: Option<Cable>,
    timeline: Timeline,
) -> Result<(), Error> {
    let guard = Mutex::new(&client, "/lock").lock().await?;
    timeline.say(&who, format!("holds the lock, token {}", guard.token()));
    for _ in 1..ENTRIES {
        enter(&guard, &who).await?;
    }
    if let Some(cable) = cable {
        return lose_session(guard, &who, &cable, timeline).await;
    }
    enter(&guard, &who).await?;
    guard.release().await?;
    timeline.say(&who, "has released the lock");
    client.close().await?;
    Ok(())
}

/// Writes a line into the ledger. A guarded write fails once the lock is lost, whatever its
/// holder believes.
async fn enter(guard: &Guard, who: &str) -> Result<(), Error> {
    let entry = format!("{} {who}", guard.token().0);
    guard.client().create("/ledger/entry-", entry, CreateMode::PersistentSequential).await?;
    Ok(())
}

/// Works on with a cable that was pulled out, and learns what came of it.
async fn lose_session(
    guard: Guard,
    who: &str,
    cable: &Cable,
    timeline: Timeline,
) -> Result<(), Error> {
    cable.pull_out();
    timeline.say(who, "has its cable pulled out");
    match enter(&guard, who).await {
        Ok(()) => return Err("a write got through a cable that is out".into()),
        Err(error) => timeline.say(who, format!("cannot write: {error}")),
    }
    timeline.say(who, format!("believes of its lock: {:?}", guard.state()));
    let why = guard.lost().await;
    timeline.say(who, format!("has lost its lock: {why:?}"));
    match enter(&guard, who).await {
        Ok(()) => Err("a write was accepted without the lock".into()),
        Err(error) => {
            timeline.say(who, format!("may not write: {error}"));
            Ok(())
        }
    }
}

/// Reads the ledger in the order in which the server has put it on record.
async fn judge(observer: &Client, timeline: Timeline) -> Result<(), Error> {
    let mut ledger = Vec::new();
    for name in observer.get_children("/ledger").await? {
        let (entry, stat) = observer.get_data(&format!("/ledger/{name}")).await?;
        let entry = String::from_utf8(entry.to_vec())?;
        let (token, who) = entry.split_once(' ').ok_or("an entry has no token")?;
        ledger.push((stat.czxid, Zxid(token.parse()?), who.to_owned()));
    }
    ledger.sort();
    // Were two holds to overlap, an entry of the older would stand behind one of the newer.
    for pair in ledger.windows(2) {
        let [(_, before, _), (at, token, who)] = pair else { continue };
        if token < before {
            return Err(format!("{who} wrote in {at} with token {token} after {before}").into());
        }
    }
    let mut tokens: Vec<Zxid> = ledger.iter().map(|(_, token, _)| *token).collect();
    tokens.dedup();
    // The one that lost its session misses its last entry.
    if tokens.len() != CONTENDERS || ledger.len() != CONTENDERS * ENTRIES - 1 {
        return Err(format!("{} holds, {} entries on record", tokens.len(), ledger.len()).into());
    }
    timeline.say(
        "server",
        format!(
            "has {} entries under {} tokens on record: no holds overlapped, tokens only rose",
            ledger.len(),
            tokens.len()
        ),
    );
    clean_up(observer).await
}

/// Leaves nothing behind but the (empty) home of this run, which is no part of this view.
async fn clean_up(observer: &Client) -> Result<(), Error> {
    for parent in ["/ledger", "/lock"] {
        for name in observer.get_children(parent).await? {
            observer.delete(&format!("{parent}/{name}"), Version::ANY).await?;
        }
        observer.delete(parent, Version::ANY).await?;
    }
    observer.close().await?;
    Ok(())
}
