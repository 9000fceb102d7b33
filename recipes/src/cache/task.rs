//! The task behind a cache: feeds the mirror with events and answers, and asks what it wants.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;
use znode::{AddWatchMode, Client, Error, ErrorKind, PersistentWatcher, ReadOp, ReadResult, Stat};

use super::mirror::{Answer, Ask, Asked, Job, Line, Looked, Request, Scope, Seen, Turn};
use super::shared::Shared;
use crate::recipe_error::RecipeError;

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
    let mut line = Line::new();
    let mut requests: FuturesUnordered<BoxFuture<'static, Returned>> = FuturesUnordered::new();
    // Until when nobody looks at what may have been missed; meanwhile everything else goes on.
    let mut pause: Option<BoxFuture<'static, ()>> = None;
    loop {
        let asked = asked(&shared.client);
        while let Some(request) = next(shared, &mut line, asked) {
            requests.push(send(shared.client.clone(), request).boxed());
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
            Some(returned) = requests.next() => {
                // Whatever came before the answer is in line by now, and goes first.
                shared.hear();
                returned.taken_in(shared, &mut line)?;
            }
            () = shared.asked.notified() => {
                // What may have been missed has to be looked at before anything is certain, and
                // somebody waits for that.
                if pause.take().is_some() {
                    shared.lock().mirror.look_again();
                }
                requests.push(probe(shared.client.clone(), shared.path.clone()).boxed());
            }
            () = over(&mut pause) => {
                pause = None;
                shared.lock().mirror.look_again();
            }
        }
    }
}

/// What has come of what was asked for.
enum Returned {
    /// Nothing of interest: what came before it is in line.
    Heard(Result<Asked, Error>),
    /// An answer to each turn, or why there is none.
    Answers(Request, Result<Vec<Answer>, Error>),
}

impl Returned {
    fn taken_in(self, shared: &Shared, line: &mut Line) -> Result<(), RecipeError> {
        match self {
            Self::Heard(asked) => {
                let asked = asked.map_err(|error| RecipeError::client(&shared.path, error))?;
                shared.change(|copied| copied.mirror.hear(asked));
                Ok(())
            }
            Self::Answers(request, Ok(answers)) => looked(shared, line.answered(request, answers)),
            // Each of them is asked for again, and that says what there is to say.
            Self::Answers(request, Err(error)) if request.turns.len() > 1 => {
                tracing::debug!(path = %shared.path, %error, "reads of the cache go one by one");
                match error.kind() {
                    ErrorKind::Unimplemented => line.refused(request),
                    _ => line.lost(request),
                }
                Ok(())
            }
            Self::Answers(_, Err(error)) => Err(RecipeError::client(&shared.path, error)),
        }
    }
}

fn next(shared: &Shared, line: &mut Line, asked: Asked) -> Option<Request> {
    line.next(&mut shared.lock().mirror, asked)
}

fn looked(shared: &Shared, looked: Vec<Looked>) -> Result<(), RecipeError> {
    for Looked { job: Job { path, .. }, seen, .. } in &looked {
        let Seen::Refused(error) = seen else { continue };
        if **path == *shared.path {
            return Err(RecipeError::client(path, error.clone()));
        }
        if shared.lock().mirror.refusal(path).is_none() {
            tracing::warn!(path = &**path, %error, "hidden from the cache");
        }
    }
    let len = shared.change(|copied| {
        copied.step(|mirror, out| {
            for Looked { job, asked, seen } in looked {
                mirror.answered(&job, seen, asked, out);
            }
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

/// Reads nothing of interest.
async fn probe(client: Client, path: String) -> Returned {
    let asked = asked(&client);
    let looked = client.until_answered(|| client.exists(&path)).await;
    Returned::Heard(looked.map(|_| asked))
}

/// Asks for what a request is about.
async fn send(client: Client, request: Request) -> Returned {
    let answers = match &request.turns[..] {
        [turn] => answer(&client, turn).await.map(|answer| vec![answer]),
        turns => answers(&client, turns).await,
    };
    Returned::Answers(request, answers)
}

/// Asks by an operation of its own, until there is an answer.
async fn answer(client: &Client, turn: &Turn) -> Result<Answer, Error> {
    let path = &*turn.job.path;
    let answer = match turn.ask {
        Ask::Exists => {
            let stat = client.until_answered(|| client.exists(path)).await;
            stat.map(|stat| stat.map_or(Answer::Missing, Answer::Exists))
        }
        Ask::Data => {
            let read = client.until_answered(|| client.get_data(path)).await;
            read.map(|(data, stat)| of_data(&data, stat))
        }
        Ask::Children => {
            client.until_answered(|| client.get_children(path)).await.map(Answer::Children)
        }
    };
    answer.or_else(of_error)
}

/// Asks for all of it at once, and once only.
async fn answers(client: &Client, turns: &[Turn]) -> Result<Vec<Answer>, Error> {
    let ops = turns.iter().map(|turn| match turn.ask {
        Ask::Children => ReadOp::get_children(&*turn.job.path),
        Ask::Data | Ask::Exists => ReadOp::get_data(&*turn.job.path),
    });
    let results = client.multi_read(ops).await?;
    let mut answers = Vec::with_capacity(turns.len());
    for (turn, result) in turns.iter().zip(results) {
        answers.push(match (turn.ask, result) {
            (Ask::Data, Ok(ReadResult::Data(data, stat))) => of_data(&data, stat),
            (Ask::Children, Ok(ReadResult::Children(names))) => Answer::Children(names),
            (_, Err(error)) => of_error(error)?,
            // It is not what was asked for.
            (_, Ok(_)) => answer(client, turn).await?,
        });
    }
    Ok(answers)
}

fn of_data(data: &[u8], stat: Stat) -> Answer {
    // A copy, since the bytes may be a part of all that came with them.
    Answer::Data(Box::from(data), stat)
}

fn of_error(error: Error) -> Result<Answer, Error> {
    match error.kind() {
        ErrorKind::NoNode => Ok(Answer::Missing),
        ErrorKind::NoAuth | ErrorKind::InvalidData => Ok(Answer::Refused(error)),
        _ => Err(error),
    }
}
