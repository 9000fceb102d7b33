//! A node that comes back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use znode::{Client, Path, Zxid};

use super::desk::{Desk, NodeState, NodeStates};
use super::keeper::Keeper;
use crate::joined::joined;
use crate::recipe_error::RecipeError;

/// A node that comes back: whenever somebody deletes it, it is made anew, with the data that it is
/// to have. A task of its own sees to that, which ends with this handle.
///
/// It is Curator's `PersistentNode` on the wire. It is made once whatever replies are lost, and
/// while it stands it costs one watch and no request, also when the connection is made anew. Where
/// this session's node stands already, as after [`resume`](znode::ConnectOptions::resume), it goes
/// on with that. Where another session's does, as that of the same program before it was started
/// anew, it is made once that is gone; Curator takes such a node for its own, and it goes with the
/// other session. What somebody else writes to it stays until it is made anew.
///
/// Dropping it deletes an ephemeral node in the background, and leaves a persistent one.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::PersistentNode;
///
/// let node = PersistentNode::ephemeral(&client, "/workers/7", "idle")?;
/// println!("it stands since {}", node.until_created().await?);
/// node.set("busy").await?;
/// node.remove().await?;
/// # Ok(())
/// # }
/// ```
///
/// One that outlives its session, and somebody who is told what becomes of it:
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::StreamExt;
/// use znode_recipes::{NodeState, PersistentNode};
///
/// let node = PersistentNode::persistent(&client, "/config/limits", "100")?;
/// let mut states = node.states();
/// while let Some(state) = states.next().await {
///     match state {
///         NodeState::Standing { .. } => println!("{} stands", node.path()),
///         NodeState::Failed(error) => return Err(error),
///         other => println!("{other:?}"),
///     }
/// }
/// println!("{:?}", node.state());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it deletes an ephemeral node"]
pub struct PersistentNode {
    path: Arc<str>,
    desk: Arc<Desk>,
    /// Asks the task to delete the node.
    remove: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), RecipeError>>,
}

impl PersistentNode {
    /// Keeps an ephemeral node at `path`, from now on, below containers where nodes are missing.
    ///
    /// # Errors
    /// `InvalidPath`, or `InvalidArgument` if it is the root.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn ephemeral(
        client: &Client,
        path: impl Into<String>,
        data: impl AsRef<[u8]>,
    ) -> Result<Self, RecipeError> {
        Self::begin(client, path.into(), data.as_ref(), Keeper::ephemeral)
    }

    /// Keeps a node at `path` that stays when its session ends. If there is one, it is given the
    /// data, unless it has it.
    ///
    /// # Errors
    /// As [`ephemeral`](Self::ephemeral).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn persistent(
        client: &Client,
        path: impl Into<String>,
        data: impl AsRef<[u8]>,
    ) -> Result<Self, RecipeError> {
        Self::begin(client, path.into(), data.as_ref(), Keeper::persistent)
    }

    /// Keeps a node that goes when it was not touched for so long.
    pub(super) fn with_ttl(
        client: &Client,
        path: String,
        data: impl AsRef<[u8]>,
        ttl: Duration,
    ) -> Result<Self, RecipeError> {
        let keeper = |client: &_, path: &_, desk: &_| Keeper::with_ttl(client, path, desk, ttl);
        Self::begin(client, path, data.as_ref(), keeper)
    }

    fn begin(
        client: &Client,
        path: String,
        data: &[u8],
        keeper: impl FnOnce(&Client, &Arc<str>, &Arc<Desk>) -> Keeper,
    ) -> Result<Self, RecipeError> {
        if Path::parse(&path).map_err(RecipeError::invalid_path)?.is_root() {
            return Err(RecipeError::invalid_argument(&path, "the root always stands"));
        }
        let (path, desk): (Arc<str>, _) = (path.into(), Arc::new(Desk::new(data)));
        let (remove, removal) = oneshot::channel();
        let task = tokio::spawn(keeper(client, &path, &desk).run(removal));
        Ok(Self { path, desk, remove: Some(remove), task })
    }

    /// The path of the node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What has become of it, as far as is known.
    pub fn state(&self) -> NodeState {
        self.desk.state()
    }

    /// What becomes of it, beginning with what it is.
    pub fn states(&self) -> NodeStates {
        self.desk.states()
    }

    /// Waits until it stands; returns the transaction that made it.
    ///
    /// # Errors
    /// Why it is kept no more:
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session; with
    ///   `ConnectionLoss` if that comes of it 10 times in a row before it has stood with this data,
    ///   as from a server whose limit the data is over;
    /// - `Foreign` if it is ephemeral, and a node that is not stands at its path.
    ///
    /// # Cancel safety
    /// It goes on being kept.
    pub async fn until_created(&self) -> Result<Zxid, RecipeError> {
        self.desk.standing(&self.path).await
    }

    /// Changes its data, now and for whenever it is made anew; returns once it stands so. Of
    /// several changes that are asked for at once, the last is made.
    ///
    /// # Errors
    /// As [`until_created`](Self::until_created). If a server refuses the data it goes on being
    /// kept, with that which it had; so it does if the connection is lost over it 10 times in a
    /// row, but then the outcome is `Unknown`, and it may have the data until it is made anew.
    ///
    /// # Cancel safety
    /// From the first poll on, the data is changed all the same.
    pub async fn set(&self, data: impl AsRef<[u8]>) -> Result<(), RecipeError> {
        self.desk.want(data.as_ref(), &self.path).await
    }

    /// Keeps it no more and deletes it, also if it is persistent; when this returns it is gone.
    ///
    /// # Errors
    /// It could not be deleted, and if it is ephemeral goes with the session; or it was kept no
    /// more before, for this reason.
    ///
    /// # Cancel safety
    /// An ephemeral node goes all the same; a persistent one does or not.
    ///
    /// # Panics
    /// If the task that kept it has.
    pub async fn remove(mut self) -> Result<(), RecipeError> {
        if let Some(remove) = self.remove.take() {
            // It may have failed before.
            let _ = remove.send(());
        }
        // Without a runtime, there is nothing more to be done.
        joined((&mut self.task).await).unwrap_or(Ok(()))
    }
}

impl Drop for PersistentNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for PersistentNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("PersistentNode")
            .field("path", &self.path)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
