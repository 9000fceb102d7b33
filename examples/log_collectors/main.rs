//! Sources of logs, divided among collectors: `cargo run --example log_collectors`.
//!
//! Each is collected by one at a time. When a collector comes or dies all are divided anew; when
//! loads drift apart, whoever has the least takes a source over from whoever has the most. Runs on
//! an embedded server, or on the ensemble at `ZNODE_CONNECT=host:port[,…][/chroot]`.

mod loads;

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Arc, Mutex as Shared, MutexGuard};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use znode::Client;
use znode_examples::{Cable, Ensemble, Error, Timeline};
use znode_recipes::{Group, Guard, Layout, LockOptions, Mutex, Partitioner, ShareStates};

use loads::{Loads, Rates, SOURCES, is_fair, is_whole, parse, report, shift, sum};

const TICK: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ensemble = Ensemble::from_env().await?;
    let timeline = Timeline::start();
    timeline.say("main", format!("{} sources, {}", SOURCES.len(), ensemble.describe()));
    let home = ensemble.home("log-collectors").await?;
    let monitor = ensemble.connect_at(&home, &Cable::default()).await?;
    let world = Arc::new(Shared::new(SOURCES.map(|name| (name.to_owned(), 10)).into()));
    let cables = [(); 3].map(|()| Cable::default());
    let settled = |loads: &Loads, count| loads.len() == count && is_fair(loads);
    for (i, id) in ["ann", "bob", "cid"].into_iter().enumerate() {
        let client = ensemble.connect_at(&home, &cables[i]).await?;
        let (world, mine) = (Arc::clone(&world), Shared::default());
        tokio::spawn(Arc::new(Collector { id, client, world, mine, timeline }).run());
        watch(&monitor, timeline, |loads| settled(loads, i + 1)).await?;
    }
    timeline.say("main", "api and db, which ann has, become loud");
    lock(&world).extend([("api".to_owned(), 50), ("db".to_owned(), 40)]);
    let all = |loads: &Loads| loads.values().map(sum).sum::<u64>();
    watch(&monitor, timeline, |loads| all(loads) == 130 && settled(loads, 3)).await?;
    cables[0].pull_out();
    timeline.say("main", "ann has its cable pulled out");
    watch(&monitor, timeline, |loads| settled(loads, 2)).await?;
    timeline.say("main", "each source is collected, and by one");
    Ok(())
}

/// Tells of every change, until each source is somebody's and all is as it should be.
async fn watch(on: &Client, to: Timeline, is_it: impl Fn(&Loads) -> bool) -> Result<(), Error> {
    let mut reports = Group::new(on, "/status").changes();
    loop {
        let loads = parse(reports.next().await.ok_or("nobody reports any more")??);
        let told = loads.iter().map(|(id, of)| format!("{id} {} {:?}", sum(of), of.keys()));
        to.say("monitor", told.collect::<Vec<_>>().join("  "));
        if is_whole(&loads) && is_it(&loads) {
            return Ok(());
        }
    }
}

struct Collector {
    id: &'static str,
    client: Client,
    /// What sources do, and which of them are collected here.
    world: Arc<Shared<Rates>>,
    mine: Shared<BTreeSet<String>>,
    timeline: Timeline,
}

impl Collector {
    /// Collects until it is cut off.
    async fn run(self: Arc<Self>) -> Result<(), Error> {
        let group = Group::new(&self.client, "/status");
        let (status, mut reports) = (group.join(self.id, "").await?, group.changes());
        let sources = Partitioner::new(&self.client, "/sources", SOURCES)?.with_settling(TICK);
        let mut share = sources.join(self.id).await?;
        let (mut tick, mut drifting) = (tokio::time::interval(TICK), 0);
        let (mut loads, mut told) = (Loads::new(), String::new());
        loop {
            tokio::select! {
                part = share.next() => {
                    let Some(Ok(part)) = part else { break };
                    let this = Arc::clone(&self);
                    tokio::spawn(async move {
                        this.collect(part.guard(), part.recalled()).await;
                    });
                }
                Some(Ok(members)) = reports.next() => loads = parse(members),
                _ = tick.tick() => {
                    let report = report(&*lock(&self.mine), &lock(&self.world));
                    if report != told && status.set(&report).await.is_err() {
                        break;
                    }
                    told = report;
                    let source = shift(&loads, self.id).filter(|_| share.state().is_settled());
                    drifting = if source.is_some() { drifting + 1 } else { 0 };
                    // Not at once: others may be about to divide anew.
                    if let Some(source) = source.filter(|_| drifting % 5 == 0) {
                        tokio::spawn(Arc::clone(&self).take_over(source, share.states()));
                    }
                }
            }
        }
        self.timeline.say(self.id, "is cut off, and stops");
        Ok(())
    }

    /// Asks whoever has a source for it, and keeps it until members come or go.
    async fn take_over(self: Arc<Self>, source: String, mut states: ShareStates) {
        let before = states.next().await.map_or_else(Vec::new, |state| state.members);
        let source = Mutex::new(&self.client, format!("/sources/locks/{source}"));
        let source = source.with_options(LockOptions::new().layout(Layout::Kazoo));
        // Whoever has it finds us in line behind it.
        let (Ok(guard), _) = tokio::join!(source.lock(), source.revoke()) else { return };
        self.timeline.say(self.id, format!("takes over {}", guard.lock_path()));
        let regrouped = states.skip_while(|state| ready(state.members == before)).into_future();
        self.collect(&guard, regrouped.map(drop)).await;
    }

    /// Collects a source until others are to, or it is lost.
    async fn collect(&self, guard: &Guard, due: impl Future<Output = ()>) {
        let source = znode::path::name(guard.lock_path()).to_owned();
        lock(&self.mine).insert(source.clone());
        tokio::select! {
            () = due => {}
            () = guard.revoked() => {}
            _ = guard.lost() => {}
        }
        lock(&self.mine).remove(&source);
    }
}

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nobody panics with it")
}
