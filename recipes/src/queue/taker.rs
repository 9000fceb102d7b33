//! Which of several queues has the next item, and waiting for one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::Mutex;
use znode::{Client, Stat, Watched};

use super::fifo::Queue;
use super::names::Place;
use super::sharded::only_shards;
use crate::recipe_error::RecipeError;

/// Looks at all queues for whoever takes from any; shared by all who take through one handle.
#[derive(Clone)]
pub(super) struct Taker {
    client: Client,
    path: Arc<str>,
    round: Arc<Mutex<Round>>,
}

/// Looking at each queue: what one has seen is not forgotten when another was first, and its
/// watches stand for whoever takes next.
#[derive(Default)]
struct Round {
    /// Which queues there are; begun again after an error.
    names: Option<Watched<(Vec<String>, Stat)>>,
    looked_at: BTreeSet<Arc<str>>,
    looks: FuturesUnordered<BoxFuture<'static, Look>>,
}

/// A queue, and what was seen in it.
type Look = (Queue, Result<Place, RecipeError>);

impl Taker {
    pub(super) fn new(client: &Client, path: &str) -> Self {
        Self { client: client.clone(), path: path.into(), round: Arc::default() }
    }

    /// An item that may be free, and its queue; waits until there is one. Each queue has its turn.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session; `Foreign` if there are items and not queues.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(
        &self,
        open: impl Fn(&str) -> Queue,
    ) -> Result<(Queue, Place), RecipeError> {
        let mut round = self.round.lock().await;
        let next = round.next(self, open).await;
        if next.is_err() {
            *round = Round::default();
        }
        next
    }
}

impl Round {
    async fn next(
        &mut self,
        taker: &Taker,
        open: impl Fn(&str) -> Queue,
    ) -> Result<(Queue, Place), RecipeError> {
        let path = &*taker.path;
        self.names.get_or_insert_with(|| taker.client.watch_children(path));
        loop {
            let names = self.names.as_mut().expect("it was begun");
            tokio::select! {
                biased;
                names = names.next() => {
                    let names = match names {
                        Some(Ok(names)) => names.map_or_else(Vec::new, |(names, _)| names),
                        Some(Err(error)) => return Err(RecipeError::client(path, error)),
                        None => return Err(RecipeError::lost(path, "nobody watches it any more")),
                    };
                    self.look_at(only_shards(path, names)?, &open);
                }
                Some((queue, place)) = self.looks.next(), if !self.looks.is_empty() => {
                    let place = place?;
                    // Behind the others: each has its turn.
                    self.look(queue.clone());
                    return Ok((queue, place));
                }
            }
        }
    }

    /// Looks at these queues, and at no others.
    fn look_at(&mut self, names: Vec<Arc<str>>, open: impl Fn(&str) -> Queue) {
        let names = BTreeSet::from_iter(names);
        if !self.looked_at.is_subset(&names) {
            // Somebody has deleted one.
            self.looked_at.clear();
            self.looks.clear();
        }
        for name in names.difference(&self.looked_at) {
            self.look(open(name));
        }
        self.looked_at = names;
    }

    fn look(&self, queue: Queue) {
        self.looks.push(Box::pin(async move {
            let place = queue.look().await;
            (queue, place)
        }));
    }
}

impl fmt::Debug for Taker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taker").field("path", &self.path).finish_non_exhaustive()
    }
}
