//! The task behind a cache: feeds the mirror with events and answers, and asks what it wants.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;
use znode::{AddWatchMode, Client, Error, ErrorKind, PersistentWatcher, WatchUpdate, Zxid};

use super::changes::CacheChange;
use super::handle::Shared;
use super::mirror::{Answer, Ask, Job, Look, Mirror, Next, Scope, Seen};
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
    let mut feed = Feed { watcher: watch(shared).await?, pause: None };
    let mut reads: FuturesUnordered<BoxFuture<'static, Read>> = FuturesUnordered::new();
    loop {
        feed.drain(shared).await?;
        while reads.len() < UNDER_WAY_MAX {
            let Some(job) = shared.lock().mirror.next_job() else { break };
            reads.push(read(shared.client.clone(), job).boxed());
        }
        tokio::select! {
            biased;
            update = feed.watcher.next() => feed.take(shared, update).await?,
            Some(read) = reads.next() => {
                // Whatever came before the answer is in the queue by now, and goes first.
                feed.drain(shared).await?;
                answered(shared, read)?;
            }
            () = shared.asked.notified() => {
                reads.push(probe(shared.client.clone(), shared.path.clone()).boxed());
            }
            () = over(&mut feed.pause) => {
                feed.pause = None;
                shared.lock().mirror.look_again();
            }
        }
    }
}

/// What the watch tells.
struct Feed {
    watcher: PersistentWatcher,
    /// Until when nobody looks at what may have been missed; meanwhile everything else goes on.
    pause: Option<BoxFuture<'static, ()>>,
}

impl Feed {
    async fn drain(&mut self, shared: &Shared) -> Result<(), RecipeError> {
        while let Some(update) = self.watcher.next().now_or_never() {
            self.take(shared, update).await?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        shared: &Shared,
        update: Option<WatchUpdate>,
    ) -> Result<(), RecipeError> {
        match update {
            Some(WatchUpdate::Event(event)) => {
                step(shared, |mirror, out| mirror.event(&event, out));
            }
            Some(WatchUpdate::Gap) => {
                shared.lock().mirror.doubt();
                // Another one meanwhile is looked at together with this one.
                let pause = sleep(part_of(shared.jitter, &shared.client)).boxed();
                self.pause.get_or_insert(pause);
            }
            Some(WatchUpdate::Lagged(_)) => shared.look_again(),
            // Somebody has removed it, the server knows none, or the session is over: which of
            // these, the client says.
            Some(_) | None => {
                shared.lock().mirror.doubt();
                self.watcher = watch(shared).await?;
                shared.look_again();
            }
        }
        Ok(())
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
    let len = step(shared, |mirror, out| {
        match read.job {
            Some(job) => mirror.answered(&job, seen, read.known, out),
            None => mirror.hear(read.known),
        }
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
            state.subscribers.retain(|subscriber| subscriber.tell(change));
        }
        taken
    })
}

async fn watch(shared: &Shared) -> Result<PersistentWatcher, RecipeError> {
    let mode = match shared.scope {
        Scope::Node => AddWatchMode::Persistent,
        Scope::Children | Scope::Tree => AddWatchMode::PersistentRecursive,
    };
    let client = &shared.client;
    let watched = client.until_answered(|| client.add_watch(&shared.path, mode)).await;
    watched.map_err(|error| RecipeError::client(&shared.path, error))
}

/// Waits until a pause is over, or for ever if there is none.
async fn over(pause: &mut Option<BoxFuture<'static, ()>>) {
    match pause {
        Some(pause) => pause.await,
        None => pending().await,
    }
}

/// A part of a time, drawn at random.
fn part_of(time: Duration, client: &Client) -> Duration {
    let share = client.random() % 1_000;
    time / 1_000 * u32::try_from(share).unwrap_or(0)
}

/// Reads what a job wants.
async fn read(client: Client, job: Job) -> Read {
    let known = client.last_zxid();
    let seen = look(&client, &job).await;
    Read { known, job: Some(job), seen }
}

/// Reads nothing of interest.
async fn probe(client: Client, path: String) -> Read {
    let known = client.last_zxid();
    let looked = client.until_answered(|| client.exists(&path)).await;
    Read { known, job: None, seen: looked.map(|_| Seen::Same) }
}

async fn look(client: &Client, job: &Job) -> Result<Seen, Error> {
    let (mut look, mut ask) = Look::new(job);
    loop {
        let answer = match answer(client, &job.path, ask).await {
            Err(error) if error.kind() == ErrorKind::NoNode => Answer::Missing,
            answer => answer?,
        };
        match look.answered(answer) {
            Next::Ask(next) => ask = next,
            Next::Done(seen) => return Ok(seen),
        }
    }
}

async fn answer(client: &Client, path: &str, ask: Ask) -> Result<Answer, Error> {
    match ask {
        Ask::Exists => {
            let stat = client.until_answered(|| client.exists(path)).await?;
            Ok(stat.map_or(Answer::Missing, Answer::Exists))
        }
        Ask::Data => {
            let (data, stat) = client.until_answered(|| client.get_data(path)).await?;
            // A copy, since the bytes are a part of all that came with them.
            Ok(Answer::Data(Box::from(&data[..]), stat))
        }
        Ask::Children => {
            let children = client.until_answered(|| client.get_children(path)).await?;
            Ok(Answer::Children(children))
        }
    }
}
