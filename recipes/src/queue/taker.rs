//! Which of several queues has the next item, and waiting for one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// How many wait for an item.
    waiting: Arc<AtomicUsize>,
}

/// One who waits for an item. The last one who goes without takes all watches along.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    taker: &'a Taker,
    is_served: bool,
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
        let (round, waiting) = Default::default();
        Self { client: client.clone(), path: path.into(), round, waiting }
    }

    /// Begins to wait.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting { taker: self, is_served: false }
    }
}

impl Waiting<'_> {
    /// It has an item; watches stand for whoever waits next.
    pub(super) fn served(mut self) {
        self.is_served = true;
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
        let mut round = self.taker.round.lock().await;
        let next = round.next(self.taker, open).await;
        if next.is_err() {
            *round = Round::default();
        }
        next
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let is_last = self.taker.waiting.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last && !self.is_served {
            // Whoever has it by now has come since, and goes on with it.
            if let Ok(mut round) = self.taker.round.try_lock() {
                *round = Round::default();
            }
        }
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
