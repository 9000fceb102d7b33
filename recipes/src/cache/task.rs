//! The task behind a cache: feeds the mirror with events and answers, and asks what it wants.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;
use znode::{AddWatchMode, Client, Error, ErrorKind, PersistentWatcher};

use super::mirror::{Answer, Ask, Asked, Job, Look, Next, Scope, Seen};
use super::shared::Shared;
use crate::recipe_error::RecipeError;

/// How many reads are under way at a time.
const UNDER_WAY_MAX: usize = 256;

/// Keeps the copy up to date, until that cannot be done any more.
pub(super) fn follow(shared: Arc<Shared>) -> impl Future<Output = ()> + Send {
    // Also of a task that never had its turn.
    let over = Over(shared);
    async move {
        let Err(error) = keep(&over.0).await;
        over.0.end(error);
    }
}

/// Tells that nobody follows the nodes any more, when it is dropped: with the runtime of the task,
/// or as that panics.
struct Over(Arc<Shared>);

impl Drop for Over {
    fn drop(&mut self) {
        let Self(shared) = self;
        shared.end(RecipeError::lost(&shared.path, "nobody follows it any more"));
    }
}

async fn keep(shared: &Shared) -> Result<Infallible, RecipeError> {
    let mut reads: FuturesUnordered<BoxFuture<'static, Read>> = FuturesUnordered::new();
    // Until when nobody looks at what may have been missed; meanwhile everything else goes on.
    let mut pause: Option<BoxFuture<'static, ()>> = None;
    loop {
        while reads.len() < UNDER_WAY_MAX {
            let Some(job) = shared.lock().mirror.next_job() else { break };
            reads.push(read(shared.client.clone(), job).boxed());
        }
        tokio::select! {
            biased;
            news = shared.news() => {
                if news.is_unwatched {
                    shared.watched(watch(shared).await?);
                } else if news.is_lagging {
                    shared.lock().mirror.look_again();
                } else if news.is_gap {
                    // Another one meanwhile is looked at together with this one.
                    let time = part_of(shared.jitter, &shared.client);
                    pause.get_or_insert_with(|| sleep(time).boxed());
                }
            }
            Some(read) = reads.next() => {
                // Whatever came before the answer is in line by now, and goes first.
                shared.hear();
                answered(shared, read)?;
            }
            () = shared.asked.notified() => {
                // What may have been missed has to be looked at before anything is certain, and
                // somebody waits for that.
                if pause.take().is_some() {
                    shared.lock().mirror.look_again();
                }
                reads.push(probe(shared.client.clone(), shared.path.clone()).boxed());
            }
            () = over(&mut pause) => {
                pause = None;
                shared.lock().mirror.look_again();
            }
        }
    }
}

/// Something that was read.
struct Read {
    asked: Asked,
    /// What it was read for; `None` if only to hear what is in line before it.
    job: Option<Job>,
    seen: Result<Seen, Error>,
}

fn answered(shared: &Shared, read: Read) -> Result<(), RecipeError> {
    let seen = read.seen.map_err(|error| RecipeError::client(&shared.path, error))?;
    if let (Seen::Refused(error), Some(Job { path, .. })) = (&seen, &read.job) {
        if **path == *shared.path {
            return Err(RecipeError::client(path, error.clone()));
        }
        if shared.lock().mirror.refusal(path).is_none() {
            tracing::warn!(path = &**path, %error, "hidden from the cache");
        }
    }
    let len = shared.change(|copied| {
        copied.step(|mirror, out| match read.job {
            Some(job) => mirror.answered(&job, seen, read.asked, out),
            None => mirror.hear(read.asked),
        });
        copied.mirror.len()
    });
    if len > shared.nodes_max {
        let what = format!("there are more than {} nodes", shared.nodes_max);
        return Err(RecipeError::exhausted(&shared.path, what));
    }
    Ok(())
}

/// What a session knows that asks for something now.
fn asked(client: &Client) -> Asked {
    Asked { zxid: client.last_zxid(), generation: client.liveness().0.generation }
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
    let asked = asked(&client);
    let seen = look(&client, &job).await;
    Read { asked, job: Some(job), seen }
}

/// Reads nothing of interest.
async fn probe(client: Client, path: String) -> Read {
    let asked = asked(&client);
    let looked = client.until_answered(|| client.exists(&path)).await;
    Read { asked, job: None, seen: looked.map(|_| Seen::Same) }
}

async fn look(client: &Client, job: &Job) -> Result<Seen, Error> {
    let (mut look, mut ask) = Look::new(job);
    loop {
        let answer = match answer(client, &job.path, ask).await {
            Err(error) => match error.kind() {
                ErrorKind::NoNode => Answer::Missing,
                ErrorKind::NoAuth | ErrorKind::InvalidData => Answer::Refused(error),
                _ => return Err(error),
            },
            Ok(answer) => answer,
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
