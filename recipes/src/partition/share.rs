//! Being one of those among whom parts are divided.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt, unfold};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::board::Board;
use super::part::Part;
use crate::joined::joined;
use crate::recipe_error::RecipeError;

/// A member's share of the parts of a [`Partitioner`](crate::Partitioner): a stream of them, each
/// as soon as it is ours. After an error, as the end of the session, nothing follows.
///
/// Each [`Part`] is kept by whoever reads it here, and says when it is to be let go of. What is
/// ours and was not read yet is let go of as it is recalled.
///
/// Dropping it is [leaving](Self::leave), in the background.
///
/// ```no_run
/// # async fn work(part: znode_recipes::Part) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::TryStreamExt;
/// use znode_recipes::{Partitioner, Share};
///
/// let queues = Partitioner::new(&client, "/work-queues", ["orders", "mails", "bills"])?;
/// let mut share: Share = queues.join("host-1").await?;
/// println!("{} at {}", share.id(), share.path());
/// while let Some(part) = share.try_next().await? {
///     println!("{} is ours, of {:?}", part.name(), share.held());
///     tokio::spawn(work(part));
/// }
/// share.leave().await
/// # }
/// ```
#[must_use = "dropping it is leaving"]
pub struct Share {
    id: Arc<str>,
    path: Arc<str>,
    board: Arc<Board>,
    parts: BoxStream<'static, Result<Part, RecipeError>>,
    /// Asks the task to leave.
    leave: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), RecipeError>>,
}

/// How a share stands; see [`Share::state`].
///
/// kazoo's states can be seen in it: what is due and not held is being allocated, what is held and
/// not due is to be released, and where both are the same it is acquired.
///
/// ```
/// use znode_recipes::ShareState;
///
/// fn told(state: &ShareState) -> String {
///     let recalled: Vec<_> = state.recalled().collect();
///     match state.is_settled() {
///         true => format!("{:?} of {} members", state.held, state.members.len()),
///         false => format!("{:?} are to be let go of, {:?} to come", recalled, state.due),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShareState {
    /// What members call themselves, in order, as of the last division; none before the first.
    pub members: Vec<String>,
    /// What the last division gives us.
    pub due: BTreeSet<String>,
    /// What we have taken and not let go of, be it read from the share or not, be it lost or not.
    pub held: BTreeSet<String>,
}

/// How a share stands, and each change of it; see [`Share::states`]. It ends with the share.
///
/// Of states that come and go quickly some may not be told of; the last always is.
///
/// ```no_run
/// # async fn example(share: znode_recipes::Share) {
/// use futures::StreamExt;
/// use znode_recipes::ShareStates;
///
/// let mut states: ShareStates = share.states();
/// while let Some(state) = states.next().await {
///     println!("{state:?}");
/// }
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct ShareStates(BoxStream<'static, ShareState>);

impl ShareState {
    /// Whether we have what is due to us, and nothing else.
    pub fn is_settled(&self) -> bool {
        self.due == self.held
    }

    /// What is to be let go of.
    pub fn recalled(&self) -> impl Iterator<Item = &str> {
        self.held.difference(&self.due).map(|part| &**part)
    }
}

impl Share {
    pub(super) fn new(
        id: &str,
        path: &Arc<str>,
        board: &Arc<Board>,
        leave: oneshot::Sender<()>,
        task: JoinHandle<Result<(), RecipeError>>,
    ) -> Self {
        let parts = unfold(Arc::clone(board), |board| async move {
            Some((Arc::clone(&board).next().await?, board))
        });
        let (path, board, leave) = (Arc::clone(path), Arc::clone(board), Some(leave));
        Self { id: id.into(), path, board, parts: parts.fuse().boxed(), leave, task }
    }

    /// What it is called among the members.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path of what is divided.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The parts that are ours now, as far as can be known: those that were taken and neither let
    /// go of nor lost, be they recalled or not.
    pub fn held(&self) -> BTreeSet<String> {
        self.board.held()
    }

    /// How it stands: who is there, what is due to us and what we have.
    pub fn state(&self) -> ShareState {
        self.board.state()
    }

    /// How it stands, and each change of it.
    pub fn states(&self) -> ShareStates {
        let from = (Arc::clone(&self.board), None);
        ShareStates(Box::pin(unfold(from, |(board, last): (Arc<Board>, _)| async move {
            let (state, changes) = board.next_state(last).await?;
            Some((state, (board, Some(changes))))
        })))
    }

    /// Leaves: when this returns others divide the parts without us. What we have is recalled, and
    /// ours until it is let go of.
    ///
    /// # Errors
    /// Our node could not be deleted, and goes with the session; or the share was over before, for
    /// this reason.
    ///
    /// # Cancel safety
    /// It leaves all the same.
    ///
    /// # Panics
    /// If the task that sought parts has.
    pub async fn leave(mut self) -> Result<(), RecipeError> {
        if let Some(leave) = self.leave.take() {
            // It may have failed before.
            let _ = leave.send(());
        }
        // Without a runtime, there is nothing more to be done.
        joined((&mut self.task).await).unwrap_or(Ok(()))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.task.abort();
        // Not before the task has its turn.
        self.board.end(None);
    }
}

impl Stream for Share {
    type Item = Result<Part, RecipeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.parts.poll_next_unpin(cx)
    }
}

impl Stream for ShareStates {
    type Item = ShareState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ShareState>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Share")
            .field("id", &self.id)
            .field("path", &self.path)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ShareStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareStates")
    }
}
