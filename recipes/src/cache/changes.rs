//! What a cache tells of, and those whom it tells.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use super::handle::CachedNode;
use crate::recipe_error::RecipeError;

/// How many changes one who does not read may let lie.
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
    /// Everything was read for the first time.
    Filled,
    /// The connection was down, and everything that changed meanwhile has been told of.
    Resynced,
    /// Whoever reads this was too slow, and was not told of some changes: what the cache holds is
    /// to be read again.
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
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct CacheChanges(Receiver<Result<CacheChange, RecipeError>>);

impl Stream for CacheChanges {
    type Item = Result<CacheChange, RecipeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// One who is told.
#[derive(Debug)]
pub(super) struct Subscriber {
    sender: Sender<Result<CacheChange, RecipeError>>,
    /// Whether some were not told of.
    is_lagging: bool,
}

impl Subscriber {
    pub(super) fn new() -> (Self, CacheChanges) {
        // One place more, for the end.
        let (sender, receiver) = channel(LYING_MAX + 1);
        (Self { sender, is_lagging: false }, CacheChanges(receiver))
    }

    /// Tells of a change; `false` if nobody listens any more.
    pub(super) fn tell(&mut self, change: &CacheChange) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        if self.is_lagging {
            if self.sender.capacity() < 3 {
                return true;
            }
            self.is_lagging = self.sender.try_send(Ok(CacheChange::Lagged)).is_err();
        }
        if self.sender.capacity() < 2 {
            self.is_lagging = true;
            return true;
        }
        match self.sender.try_send(Ok(change.clone())) {
            Ok(()) | Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Closed(_)) => false,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }

    /// Tells of the end; nothing follows.
    pub(super) fn end(self, error: RecipeError) {
        // Whoever does not listen any more has dropped the other end.
        let _ = self.sender.try_send(Err(error));
    }
}
