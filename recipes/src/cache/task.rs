//! The task behind a cache: feeds the mirror with events and answers, and asks what it wants.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;
use znode::{AddWatchMode, Client, Error, ErrorKind, PersistentWatcher, WatchUpdate, Zxid};

use super::changes::CacheChange;
use super::handle::Shared;
use super::mirror::{Job, Mirror, Scope, Seen, differences};
use crate::recipe_error::RecipeError;

/// How many reads are under way at a time.
const UNDER_WAY_MAX: usize = 256;

/// Keeps the copy up to date, until that cannot be done any more.
pub(super) async fn follow(shared: Arc<Shared>) {
    let Err(error) = keep(&shared).await;
    shared.change(|copied| {
        for subscriber in copied.subscribers.drain(..) {
            subscriber.end(error.clone());
        }
        copied.failure = Some(error);
    });
}

async fn keep(shared: &Shared) -> Result<Infallible, RecipeError> {
    let failed = |error| RecipeError::client(&shared.path, error);
    let mut watcher = watch(shared).await.map_err(failed)?;
    let mut reads: FuturesUnordered<BoxFuture<'static, Read>> = FuturesUnordered::new();
    // What the session had seen when something was asked for that is answered by now: the events
    // of all that are in line before the answer.
    let mut known = Zxid::ZERO;
    loop {
        while let Some(update) = watcher.next().now_or_never() {
            take(shared, update, &mut watcher).await?;
        }
        while reads.len() < UNDER_WAY_MAX {
            let Some(job) = shared.lock().mirror.next_job() else { break };
            reads.push(read(shared.client.clone(), job).boxed());
        }
        if reads.is_empty() && shared.lock().true_at < known {
            shared.change(|copied| copied.true_at = known);
        }
        tokio::select! {
            biased;
            update = watcher.next() => take(shared, update, &mut watcher).await?,
            Some(read) = reads.next() => {
                known = known.max(read.known);
                answered(shared, read)?;
            }
            () = shared.asked.notified() => {
                reads.push(probe(shared.client.clone(), shared.path.clone()).boxed());
            }
        }
    }
}

/// Something that was read.
struct Read {
    /// What the session had seen when it was asked for.
    known: Zxid,
    /// What it was read for; `None` if only to hear what is in line before it.
    job: Option<Job>,
    seen: Result<Seen, Error>,
}

fn answered(shared: &Shared, read: Read) -> Result<(), RecipeError> {
    let seen = read.seen.map_err(|error| RecipeError::client(&shared.path, error))?;
    let Some(job) = read.job else { return Ok(()) };
    let len = step(shared, |mirror, out| {
        mirror.answered(&job, seen, out);
        mirror.len()
    });
    if len > shared.nodes_max {
        let what = format!("there are more than {} nodes", shared.nodes_max);
        return Err(RecipeError::exhausted(&shared.path, what));
    }
    Ok(())
}

/// Has the mirror take something in, and tells of what has changed by that.
fn step<T>(shared: &Shared, take: impl FnOnce(&mut Mirror, &mut Vec<CacheChange>) -> T) -> T {
    shared.change(|state| {
        let mut out = Vec::new();
        let taken = take(&mut state.mirror, &mut out);
        for change in &out {
            state.subscribers.retain_mut(|subscriber| subscriber.tell(change));
        }
        taken
    })
}

async fn watch(shared: &Shared) -> Result<PersistentWatcher, Error> {
    let mode = match shared.scope {
        Scope::Node => AddWatchMode::Persistent,
        Scope::Children | Scope::Tree => AddWatchMode::PersistentRecursive,
    };
    let client = &shared.client;
    client.until_answered(|| client.add_watch(&shared.path, mode)).await
}

async fn take(
    shared: &Shared,
    update: Option<WatchUpdate>,
    watcher: &mut PersistentWatcher,
) -> Result<(), RecipeError> {
    match update {
        Some(WatchUpdate::Event(event)) => {
            step(shared, |mirror, out| mirror.event(&event, out));
        }
        Some(WatchUpdate::Gap) => {
            shared.lock().mirror.doubt();
            sleep(part_of(shared.jitter, &shared.client)).await;
            shared.lock().mirror.gap();
        }
        Some(WatchUpdate::Lagged(_)) => shared.lock().mirror.gap(),
        // Somebody has removed it, the server knows none, or the session is over: which of these,
        // the client says.
        Some(_) | None => {
            let watched = watch(shared).await;
            *watcher = watched.map_err(|error| RecipeError::client(&shared.path, error))?;
            shared.lock().mirror.gap();
        }
    }
    Ok(())
}

/// A part of a time, drawn at random.
fn part_of(time: Duration, client: &Client) -> Duration {
    let share = client.random() % 1_000;
    time / 1_000 * u32::try_from(share).unwrap_or(0)
}

/// Reads what a job wants.
async fn read(client: Client, job: Job) -> Read {
    let known = client.last_zxid();
    let seen = match look(&client, &job).await {
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(Seen::Missing),
        seen => seen,
    };
    Read { known, job: Some(job), seen }
}

/// Reads nothing of interest.
async fn probe(client: Client, path: String) -> Read {
    let known = client.last_zxid();
    let looked = client.until_answered(|| client.exists(&path)).await;
    Read { known, job: None, seen: looked.map(|_| Seen::Same) }
}

async fn look(client: &Client, job: &Job) -> Result<Seen, Error> {
    let path = &*job.path;
    let (mut stat, with_data, mut with_children) = match &job.known {
        None => (None, true, job.with_children),
        Some(known) => {
            let Some(now) = client.until_answered(|| client.exists(path)).await? else {
                return Ok(Seen::Missing);
            };
            let (data, children) = differences(known, &now);
            (Some(now), data, children && job.with_children)
        }
    };
    let mut data = None;
    if with_data {
        let (bytes, now) = client.until_answered(|| client.get_data(path)).await?;
        // A copy, since the bytes are a part of all that came with them.
        data = Some(Box::from(&bytes[..]));
        // Of one that has no children now, the watch tells when it has.
        with_children &= now.num_children > 0 || job.known.is_some();
        stat = Some(now);
    }
    // Its metadata may be newer than the data; so that of the data counts.
    let children = match with_children {
        true => Some(client.until_answered(|| client.get_children(path)).await?),
        false => None,
    };
    match stat {
        Some(stat) if data.is_some() || children.is_some() => {
            Ok(Seen::Node { stat, data, children })
        }
        _ => Ok(Seen::Same),
    }
}
