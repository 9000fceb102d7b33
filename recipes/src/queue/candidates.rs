//! Which items of a queue may be taken next, and waiting for one.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::OptionFuture;
use tokio::sync::Mutex;
use tokio::time::sleep;
use znode::{Client, Error, ErrorKind, OneshotWatcher};

use super::names::{Order, Place};
use crate::clock::wall_clock;
use crate::final_look::none_without_node;

/// The node of a queue, and that of the claims to its items.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) client: Client,
    pub(super) path: Arc<str>,
    /// Below it stands a node for each item that somebody has taken, under the item's name, where
    /// the order [has claims](Order::has_claims); and witnesses.
    pub(super) claims: Arc<str>,
    pub(super) order: Order,
}

/// Items that were seen, in their order; shared by all who take through one handle, so that each
/// is tried once.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    /// Held by one who waits for an item, too: he wakes for all of them.
    seen: Arc<Mutex<Seen>>,
    /// Items that nobody can take, and that were warned of.
    bad: Arc<std::sync::Mutex<BTreeSet<String>>>,
    rivals: Arc<Rivals>,
}

/// How many others seem to take as well.
///
/// If all of them tried the first item, one would get it and the rest would have asked for
/// nothing, each time. So each aims at one of the first few, as many as there seem to be rivals:
/// whoever finds an item gone aims among one more, whoever gets one among one less. One who takes
/// alone takes the first.
#[derive(Debug, Default)]
struct Rivals {
    count: AtomicUsize,
    /// Goes round, so that nobody aims at the same place again.
    aim: AtomicUsize,
}

/// How many rivals are reckoned with at most.
const RIVALS_MAX: usize = 15;

#[derive(Debug, Default)]
struct Seen {
    places: VecDeque<Place>,
    /// Fires when there are other items than were seen.
    changed: Option<OneshotWatcher>,
}

/// What there is to take, and what tells of more.
struct Look {
    places: VecDeque<Place>,
    items: OneshotWatcher,
    /// Where there are items that somebody has taken.
    claims: Option<OneshotWatcher>,
    /// How long it is to the next item that nobody may take yet.
    next_due: Option<Duration>,
}

impl Candidates {
    /// The first item that may be free, or with [rivals](Rivals) one of the first; waits until
    /// there is one.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&self, shelf: &Shelf) -> Result<Place, Error> {
        let mut seen = self.seen.lock().await;
        loop {
            if let Some(place) = seen.pop(self.aim(shelf)) {
                return Ok(place);
            }
            let look = self.look_closely(shelf).await?;
            seen.places = look.places;
            if seen.places.is_empty() {
                wait(look.items, look.claims, look.next_due).await?;
            } else {
                seen.changed = shelf.order.is_overtaken().then_some(look.items);
            }
        }
    }

    /// The first item that may be free, if any is; whoever waits for one is not waited for.
    ///
    /// # Errors
    /// As of [`next`](Self::next).
    ///
    /// # Cancel safety
    /// As of [`next`](Self::next).
    pub(super) async fn try_next(&self, shelf: &Shelf) -> Result<Option<Place>, Error> {
        let mut seen = self.seen.try_lock().ok();
        if let Some(place) = seen.as_mut().and_then(|seen| seen.pop(0)) {
            return Ok(Some(place));
        }
        let mut places = self.look(shelf).await?;
        let first = places.pop_front();
        // Nothing would tell of an item that comes before those.
        if let Some(seen) = seen.as_mut().filter(|_| !shelf.order.is_overtaken()) {
            seen.places = places;
        }
        Ok(first)
    }

    /// One of the first items that are known to have been there, if there is any; nobody is asked.
    pub(super) fn seen(&self, shelf: &Shelf) -> Option<Place> {
        self.seen.try_lock().ok()?.pop(self.aim(shelf))
    }

    /// An item was taken, or was gone already.
    pub(super) fn aimed(&self, was_there: bool) {
        let count = &self.rivals.count;
        let now = count.load(Ordering::Relaxed);
        let next = if was_there { now.saturating_sub(1) } else { RIVALS_MAX.min(now + 1) };
        // Of two that count at once one may be forgotten: it is a guess in any case.
        count.store(next, Ordering::Relaxed);
    }

    /// Which of the items that were seen is tried: the first, or with rivals one of the first few.
    /// Clients of different sessions begin at different ones. Where later items may be ahead of
    /// earlier ones, it is always the first.
    fn aim(&self, shelf: &Shelf) -> usize {
        let rivals = self.rivals.count.load(Ordering::Relaxed);
        if rivals == 0 || shelf.order.is_overtaken() {
            return 0;
        }
        let round = self.rivals.aim.fetch_add(1, Ordering::Relaxed);
        let session = usize::try_from(shelf.client.session_id().0 & 0xff).unwrap_or_default();
        session.wrapping_add(round) % (rivals + 1)
    }

    /// Passes an item over as long as it is there, and says so once.
    pub(super) fn pass_over(&self, place: &Place, path: &str, why: impl fmt::Display) {
        if self.bad().insert(place.name.clone()) {
            tracing::warn!(path, "passing this over: {why}");
        }
    }

    /// Puts an item that was given back where it was; those that others give back are seen with
    /// the next look.
    pub(super) fn give_back(&self, place: Place) {
        let Ok(mut seen) = self.seen.try_lock() else { return };
        if !seen.places.is_empty() {
            let at = seen.places.partition_point(|other| *other < place);
            seen.places.insert(at, place);
        }
    }

    fn bad(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The items that nobody has taken.
    async fn look(&self, shelf: &Shelf) -> Result<VecDeque<Place>, Error> {
        let (client, path, claims) = (&shelf.client, &*shelf.path, &*shelf.claims);
        let (items, claimed) = client
            .until_answered(|| {
                let items = client.get_children(path);
                let claimed = shelf.order.has_claims().then(|| client.get_children(claims));
                async {
                    let items = none_without_node(items.await)?;
                    let Some(claimed) = claimed else { return Ok((items, Vec::new())) };
                    Ok((items, none_without_node(claimed.await)?))
                }
            })
            .await?;
        Ok(self.free(shelf, &items, claimed).0)
    }

    /// The same, with watches for whoever finds nothing.
    async fn look_closely(&self, shelf: &Shelf) -> Result<Look, Error> {
        let (names, items) = shelf.watch(&shelf.path).await?;
        let is_item = |name: &String| shelf.order.place(name).is_some();
        let (claimed, claims) = if shelf.order.has_claims() && names.iter().any(is_item) {
            let (claimed, claims) = shelf.watch(&shelf.claims).await?;
            (claimed, Some(claims))
        } else {
            (Vec::new(), None)
        };
        let (places, next_due) = self.free(shelf, &names, claimed);
        Ok(Look { places, items, claims, next_due })
    }

    /// The items of these that nobody has taken, and how long it is until one more is due.
    fn free(
        &self,
        shelf: &Shelf,
        items: &[String],
        claimed: Vec<String>,
    ) -> (VecDeque<Place>, Option<Duration>) {
        let bad = &mut *self.bad();
        if !bad.is_empty() {
            let listed: BTreeSet<&String> = items.iter().collect();
            bad.retain(|name| listed.contains(name));
        }
        let claimed: BTreeSet<String> = claimed.into_iter().collect();
        let is_free = |place: &Place| !claimed.contains(&place.name) && !bad.contains(&place.name);
        let mut places: Vec<Place> =
            items.iter().filter_map(|name| shelf.order.place(name)).filter(is_free).collect();
        places.sort_unstable();
        if shelf.order != Order::Due {
            return (places.into(), None);
        }
        let now = wall_clock_ms();
        let later = places.split_off(places.partition_point(|place| place.rank <= now));
        let next_due = later.first().map(|place| place.rank.saturating_sub(now));
        let next_due = next_due.map(|ms| Duration::from_millis(ms.unsigned_abs()));
        (places.into(), next_due)
    }
}

impl Seen {
    /// The item that was seen at this place among them, or the last, unless others may have come
    /// that are ahead of it.
    fn pop(&mut self, aim: usize) -> Option<Place> {
        let has_changed = self.changed.as_mut().is_some_and(|it| it.now_or_never().is_some());
        if has_changed {
            self.changed = None;
            self.places.clear();
        }
        let last = self.places.len().checked_sub(1)?;
        self.places.remove(aim.min(last))
    }
}

impl Shelf {
    /// The place of an item, by its path.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        self.order.place(path.rsplit('/').next()?)
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
}

/// What the wall clock says, in milliseconds since 1970.
pub(super) fn wall_clock_ms() -> i64 {
    let since = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits until there may be something to take.
async fn wait(
    items: OneshotWatcher,
    claims: Option<OneshotWatcher>,
    next_due: Option<Duration>,
) -> Result<(), Error> {
    let claims = OptionFuture::from(claims);
    let due = async {
        match next_due {
            Some(time) => sleep(time).await,
            None => pending().await,
        }
    };
    tokio::select! {
        event = items => event.map(drop),
        Some(event) = claims => event.map(drop),
        () = due => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(count: usize) -> Seen {
        let name = |nth| format!("qn-{nth:010}");
        let places = (0..count).map(|nth| Order::Simple.place(&name(nth)).unwrap());
        Seen { places: places.collect(), changed: None }
    }

    #[test]
    fn items_are_popped_where_one_aims_and_the_last_if_there_are_fewer() {
        let mut seen = seen(4);
        let popped = [2, 0, 7, 1, 0].map(|aim| seen.pop(aim).map(|place| place.name));
        let names = [2, 0, 3, 1].map(|nth| Some(format!("qn-{nth:010}")));
        assert_eq!(popped[..4], names);
        assert_eq!(popped[4], None);
    }

    #[test]
    fn rivals_are_those_who_were_faster_lately() {
        let candidates = Candidates::default();
        let count = || candidates.rivals.count.load(Ordering::Relaxed);
        candidates.aimed(true);
        assert_eq!(count(), 0);
        (0..100).for_each(|_| candidates.aimed(false));
        assert_eq!(count(), RIVALS_MAX);
        (0..RIVALS_MAX).for_each(|_| candidates.aimed(true));
        assert_eq!(count(), 0);
    }
}
