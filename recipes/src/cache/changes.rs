//! What a cache tells of, and those whom it tells.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures::Stream;

use super::handle::CachedNode;
use crate::recipe_error::RecipeError;

/// How many changes one who does not read may let lie: [`CacheChanges`] names the number.
const LYING_MAX: usize = 10_000;

/// A change of what a [`Cache`](crate::Cache) holds. Whoever carries them out one after the other,
/// on the nodes that the cache had when he began, has what it has.
///
/// ```
/// use znode_recipes::CacheChange;
///
/// fn told(change: &CacheChange) -> String {
///     match change {
///         CacheChange::Changed { before, after } => {
///             format!("{}: {:?} is {:?} now", after.path, before.data, after.data)
///         }
///         CacheChange::Lagged => "read all of it again".to_owned(),
///         other => format!("{other:?} of {:?}", other.node().map(|node| &node.path)),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CacheChange {
    /// A node is there.
    Created(Arc<CachedNode>),
    /// A node has other data, or was written with the same.
    #[expect(missing_docs, reason = "they are what they are called")]
    Changed { before: Arc<CachedNode>, after: Arc<CachedNode> },
    /// A node is gone. If another stands in its place already, that follows.
    Deleted(Arc<CachedNode>),
    /// Everything that was there all the while has been read for the first time.
    Filled,
    /// The connection was down, and everything that changed meanwhile has been told of.
    Resynced,
    /// Whoever reads this was too slow, and was not told of what came after the change before it:
    /// begin anew with [`nodes_and_changes`](crate::Cache::nodes_and_changes). Whoever goes on with
    /// this stream hears of what changes from here on, on the nodes that the cache has now.
    Lagged,
}

impl CacheChange {
    /// The node that it is about: as it is, or, of one that is gone, as it was.
    pub fn node(&self) -> Option<&Arc<CachedNode>> {
        match self {
            Self::Created(node) | Self::Deleted(node) => Some(node),
            Self::Changed { after, .. } => Some(after),
            Self::Filled | Self::Resynced | Self::Lagged => None,
        }
    }
}

/// The changes of a [`Cache`](crate::Cache), in order; it ends after an error.
///
/// Up to 10,000 of them wait for whoever does not read. What comes beyond that is left out until
/// all of them have been read; then [`Lagged`](CacheChange::Lagged) says so at once, whether
/// anything changes further or not.
///
/// ```no_run
/// # async fn example(cache: znode_recipes::Cache) {
/// use futures::StreamExt;
/// use znode_recipes::CacheChanges;
///
/// let mut changes: CacheChanges = cache.changes();
/// while let Some(Ok(change)) = changes.next().await {
///     println!("{change:?}");
/// }
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct CacheChanges(Arc<Mutex<Lying>>);

/// One who is told. Whoever does not listen any more has dropped the other end.
#[derive(Debug)]
pub(super) struct Subscriber(Weak<Mutex<Lying>>);

/// What one reader was told of and has not read. Both sides share one lock, so that "full" and
/// "read" cannot cross.
#[derive(Debug, Default)]
struct Lying {
    changes: VecDeque<CacheChange>,
    /// Whether some were left out; told once those before them are read.
    is_lagging: bool,
    /// Why nothing follows, if there is a reason; told last.
    failure: Option<RecipeError>,
    is_ended: bool,
    reader: Option<Waker>,
}

impl Stream for CacheChanges {
    type Item = Result<CacheChange, RecipeError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut lying = lock(&self.0);
        if let Some(change) = lying.changes.pop_front() {
            return Poll::Ready(Some(Ok(change)));
        }
        if std::mem::take(&mut lying.is_lagging) {
            return Poll::Ready(Some(Ok(CacheChange::Lagged)));
        }
        if lying.is_ended {
            return Poll::Ready(lying.failure.take().map(Err));
        }
        lying.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Subscriber {
    pub(super) fn new() -> (Self, CacheChanges) {
        let lying = Arc::default();
        (Self(Arc::downgrade(&lying)), CacheChanges(lying))
    }

    /// Tells of a change; `false` if nobody listens any more.
    pub(super) fn tell(&self, change: &CacheChange) -> bool {
        self.change(|lying| {
            if lying.is_lagging || lying.changes.len() >= LYING_MAX {
                lying.is_lagging = true;
            } else {
                lying.changes.push_back(change.clone());
            }
        })
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Tells of the end; nothing follows.
    pub(super) fn end(self, error: RecipeError) {
        self.change(|lying| lying.failure = Some(error));
    }

    fn change(&self, change: impl FnOnce(&mut Lying)) -> bool {
        let Some(lying) = self.0.upgrade() else { return false };
        let mut lying = lock(&lying);
        change(&mut lying);
        let reader = lying.reader.take();
        drop(lying);
        reader.into_iter().for_each(Waker::wake);
        true
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.change(|lying| lying.is_ended = true);
    }
}

fn lock(lying: &Mutex<Lying>) -> MutexGuard<'_, Lying> {
    lying.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    fn read(changes: &mut CacheChanges) -> Option<Option<CacheChange>> {
        changes.next().now_or_never().map(|told| told.map(Result::unwrap))
    }

    /// Nothing further is told of, and whoever was left out learns it all the same.
    #[test]
    fn whoever_was_too_slow_is_told_of_it_when_nothing_else_changes() {
        let (subscriber, mut changes) = Subscriber::new();
        (0..LYING_MAX + 3).for_each(|_| assert!(subscriber.tell(&CacheChange::Filled)));
        for _ in 0..LYING_MAX {
            assert!(matches!(read(&mut changes), Some(Some(CacheChange::Filled))));
            assert!(subscriber.tell(&CacheChange::Resynced), "left out, until that is told of");
        }
        assert!(matches!(read(&mut changes), Some(Some(CacheChange::Lagged))));
        assert!(read(&mut changes).is_none(), "it is told of once");
        subscriber.tell(&CacheChange::Resynced);
        assert!(matches!(read(&mut changes), Some(Some(CacheChange::Resynced))));
    }

    #[test]
    fn the_end_comes_last_and_whoever_listens_no_more_is_forgotten() {
        let (subscriber, mut changes) = Subscriber::new();
        (0..=LYING_MAX).for_each(|_| assert!(subscriber.tell(&CacheChange::Filled)));
        subscriber.end(RecipeError::exhausted("/cached", "there are too many"));
        for _ in 0..LYING_MAX {
            assert!(matches!(read(&mut changes), Some(Some(CacheChange::Filled))));
        }
        assert!(matches!(read(&mut changes), Some(Some(CacheChange::Lagged))));
        assert!(changes.next().now_or_never().flatten().is_some_and(|told| told.is_err()));
        assert!(matches!(read(&mut changes), Some(None)));
        let (subscriber, changes) = Subscriber::new();
        assert!(!subscriber.is_gone());
        drop(changes);
        assert!(subscriber.is_gone() && !subscriber.tell(&CacheChange::Filled));
    }
}
