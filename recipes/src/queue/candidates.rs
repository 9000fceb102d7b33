//! Which items of a queue may be taken next, and waiting for one.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::{Either, pending, select};
use tokio::sync::Mutex;
use tokio::time::sleep;
use znode::{Client, Error, ErrorKind, OneshotWatcher};

use super::names::{Order, Place};
use crate::clock::wall_clock;

/// The node of a queue, and that of the claims to its items.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) client: Client,
    pub(super) path: Arc<str>,
    /// Below it stands a node for each item that somebody has taken, under the item's name.
    pub(super) claims: Arc<str>,
    pub(super) order: Order,
}

/// Items that were seen, in their order; shared by all who take through one handle, so that each
/// is tried once.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    places: VecDeque<Place>,
    /// Fires when there are other items than were seen.
    changed: Option<OneshotWatcher>,
    /// Items that nobody can take, and that were warned of.
    bad: BTreeSet<String>,
}

/// What there is to take, and what tells of more.
struct Look {
    places: VecDeque<Place>,
    items: OneshotWatcher,
    claims: OneshotWatcher,
    /// How long it is to the next item that nobody may take yet.
    next_due: Option<Duration>,
}

impl Candidates {
    /// The first item that may be free; waits until there is one.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&self, shelf: &Shelf) -> Result<Place, Error> {
        let mut seen = self.seen.lock().await;
        loop {
            if let Some(place) = seen.pop() {
                return Ok(place);
            }
            let look = shelf.look_closely(&seen.bad).await?;
            seen.places = look.places;
            if seen.places.is_empty() {
                wait(look.items, look.claims, look.next_due).await?;
            } else {
                seen.changed = shelf.order.is_overtaken().then_some(look.items);
            }
        }
    }

    /// The first item that may be free, if any is.
    ///
    /// # Errors
    /// As of [`next`](Self::next).
    ///
    /// # Cancel safety
    /// As of [`next`](Self::next).
    pub(super) async fn try_next(&self, shelf: &Shelf) -> Result<Option<Place>, Error> {
        let mut seen = self.seen.lock().await;
        if let Some(place) = seen.pop() {
            return Ok(Some(place));
        }
        let (places, _) = shelf.look(&seen.bad).await?;
        seen.places = places;
        Ok(seen.places.pop_front())
    }

    /// Passes an item over from now on; `false` if it was already.
    pub(super) async fn pass_over(&self, place: &Place) -> bool {
        self.seen.lock().await.bad.insert(place.name.clone())
    }
}

impl Seen {
    /// The first item that was seen, unless others may have come that are ahead of it.
    fn pop(&mut self) -> Option<Place> {
        let has_changed = self.changed.as_mut().is_some_and(|it| it.now_or_never().is_some());
        if has_changed {
            self.changed = None;
            self.places.clear();
        }
        self.places.pop_front()
    }
}

impl Shelf {
    /// The place of an item, by its path.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        self.order.place(path.rsplit('/').next()?)
    }

    /// The items that nobody has taken, and how long it is until one is due.
    async fn look(
        &self,
        bad: &BTreeSet<String>,
    ) -> Result<(VecDeque<Place>, Option<Duration>), Error> {
        let (client, path, claims) = (&self.client, &*self.path, &*self.claims);
        let (items, claimed) = client
            .until_answered(|| {
                let (items, claimed) = (client.get_children(path), client.get_children(claims));
                async { Ok((none_without_node(items.await)?, none_without_node(claimed.await)?)) }
            })
            .await?;
        Ok(self.free(&items, claimed, bad))
    }

    /// The same, with watches for whoever finds nothing.
    async fn look_closely(&self, bad: &BTreeSet<String>) -> Result<Look, Error> {
        let (items_changed, claims_changed) =
            (self.watch(&self.path).await?, self.watch(&self.claims).await?);
        let (items, items_watcher) = items_changed;
        let (claimed, claims_watcher) = claims_changed;
        let (places, next_due) = self.free(&items, claimed, bad);
        Ok(Look { places, items: items_watcher, claims: claims_watcher, next_due })
    }

    async fn watch(&self, path: &str) -> Result<(Vec<String>, OneshotWatcher), Error> {
        let client = &self.client;
        loop {
            match client.until_answered(|| client.get_children_watched(path)).await {
                Ok((children, _, watcher)) => return Ok((children, watcher)),
                Err(error) if error.kind() != ErrorKind::NoNode => return Err(error),
                Err(_) => {}
            }
            if let (None, watcher) = client.until_answered(|| client.exists_watched(path)).await? {
                return Ok((Vec::new(), watcher));
            }
        }
    }

    fn free(
        &self,
        items: &[String],
        claimed: Vec<String>,
        bad: &BTreeSet<String>,
    ) -> (VecDeque<Place>, Option<Duration>) {
        let claimed: BTreeSet<String> = claimed.into_iter().collect();
        let is_free = |place: &Place| !claimed.contains(&place.name) && !bad.contains(&place.name);
        let mut places: Vec<Place> =
            items.iter().filter_map(|name| self.order.place(name)).filter(is_free).collect();
        places.sort_unstable();
        if self.order != Order::Due {
            return (places.into(), None);
        }
        let now = wall_clock_ms();
        let later = places.split_off(places.partition_point(|place| place.rank <= now));
        let next_due = later.first().map(|place| place.rank.saturating_sub(now));
        let next_due = next_due.map(|ms| Duration::from_millis(ms.unsigned_abs()));
        (places.into(), next_due)
    }
}

/// What the wall clock says, in milliseconds since 1970.
pub(super) fn wall_clock_ms() -> i64 {
    let since = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn none_without_node(listed: Result<Vec<String>, Error>) -> Result<Vec<String>, Error> {
    match listed {
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(Vec::new()),
        listed => listed,
    }
}

/// Waits until there may be something to take.
async fn wait(
    items: OneshotWatcher,
    claims: OneshotWatcher,
    next_due: Option<Duration>,
) -> Result<(), Error> {
    let due = std::pin::pin!(async {
        match next_due {
            Some(time) => sleep(time).await,
            None => pending().await,
        }
    });
    match select(select(items, claims), due).await {
        Either::Left((Either::Left((event, _)) | Either::Right((event, _)), _)) => event.map(drop),
        Either::Right(_) => Ok(()),
    }
}
