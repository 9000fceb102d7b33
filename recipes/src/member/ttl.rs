//! A node that goes some time after whoever keeps it is gone.

use std::fmt;
use std::time::Duration;

use znode::{Client, TTL_MAX, Zxid};

use super::desk::{NodeState, NodeStates};
use super::node::PersistentNode;
use crate::recipe_error::RecipeError;

/// A node with a time to live that is kept alive: it outlives sessions and starts of this program,
/// may have children, and goes by itself when nobody has kept it for its time.
///
/// It is Curator's `PersistentTtlNode` on the wire: below the node is a child `touch` with the same
/// time to live, which is written twice in that time, so that nobody who watches the node is woken.
/// When it is written no more the server deletes it, and then the node, unless that has other
/// children. How soon after its time depends on how often the server looks
/// (`znode.container.checkIntervalMs`, a minute unless told otherwise). Like a [`PersistentNode`]
/// it is made anew whenever somebody deletes it, and ends with its session; another one at the same
/// path, as of the next session, goes on with the node. Several may keep one.
///
/// Servers must have nodes with times to live: Apache's since 3.5.3, with
/// `extendedTypesEnabled=true`.
///
/// Dropping it leaves the node, for its time.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::TtlNode;
///
/// let hour = Duration::from_secs(3600);
/// let lease = TtlNode::new(&client, "/leases/host-1", hour, "idle")?;
/// println!("it stands since {}", lease.until_created().await?);
/// lease.set("busy").await?;
/// drop(lease); // an hour from now it is gone, if nobody keeps it
/// # Ok(())
/// # }
/// ```
#[must_use = "it is kept alive until this is dropped"]
pub struct TtlNode {
    node: PersistentNode,
    ttl: Duration,
}

impl TtlNode {
    /// Keeps a node at `path` alive, from now on, below containers where nodes are missing. If
    /// there is one, it is given the data, unless it has it. It goes when it was made to: that of
    /// another time in that, and a plain one never; which of these it is no server tells.
    ///
    /// # Errors
    /// `InvalidPath`; `InvalidArgument` if it is the root, or the time is less than a millisecond
    /// or more than [`TTL_MAX`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(
        client: &Client,
        path: impl Into<String>,
        ttl: Duration,
        data: impl AsRef<[u8]>,
    ) -> Result<Self, RecipeError> {
        let path = path.into();
        if ttl < Duration::from_millis(1) || ttl > TTL_MAX {
            let what = format!("a time to live is from 1 ms to {TTL_MAX:?}, and not {ttl:?}");
            return Err(RecipeError::invalid_argument(&path, what));
        }
        Ok(Self { node: PersistentNode::with_ttl(client, path, data, ttl)?, ttl })
    }

    /// The path of the node.
    pub fn path(&self) -> &str {
        self.node.path()
    }

    /// How long the node outlives this.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// What has become of it, as far as is known.
    pub fn state(&self) -> NodeState {
        self.node.state()
    }

    /// What becomes of it, beginning with what it is.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
    /// use futures::StreamExt;
    /// use std::time::Duration;
    /// use znode_recipes::{NodeState, TtlNode};
    ///
    /// let lease = TtlNode::new(&client, "/leases/host-1", Duration::from_secs(60), "")?;
    /// println!("{} for {:?}: {:?}", lease.path(), lease.ttl(), lease.state());
    /// let mut states = lease.states();
    /// while let Some(state) = states.next().await {
    ///     if let NodeState::Failed(error) = state {
    ///         return Err(error); // as a server that knows no times to live
    ///     }
    /// }
    /// lease.remove().await
    /// # }
    /// ```
    pub fn states(&self) -> NodeStates {
        self.node.states()
    }

    /// Waits until it stands; returns the transaction that made it.
    ///
    /// # Errors
    /// Why it is kept no more:
    /// - `Client` with the client's own error, as `NoAuth`, `Unimplemented` of a server without
    ///   times to live, or the end of the session; with `ConnectionLoss` as of
    ///   [`PersistentNode::until_created`];
    /// - `Foreign` if an ephemeral node stands where its child should.
    ///
    /// # Cancel safety
    /// It goes on being kept.
    pub async fn until_created(&self) -> Result<Zxid, RecipeError> {
        self.node.until_created().await
    }

    /// Changes its data, now and for whenever it is made anew, as [`PersistentNode::set`].
    ///
    /// # Errors
    /// As [`until_created`](Self::until_created). If a server refuses the data it goes on being
    /// kept, with that which it had, as is said of [`PersistentNode::set`].
    ///
    /// # Cancel safety
    /// From the first poll on, the data is changed all the same.
    pub async fn set(&self, data: impl AsRef<[u8]>) -> Result<(), RecipeError> {
        self.node.set(data).await
    }

    /// Keeps it no more, and deletes it and its child before their time; when this returns they
    /// are gone, unless others keep them.
    ///
    /// # Errors
    /// It could not be deleted, as since it has other children, and goes in its time; or it was
    /// kept no more before, for this reason.
    ///
    /// # Cancel safety
    /// It goes in its time.
    ///
    /// # Panics
    /// If the task that kept it has.
    pub async fn remove(self) -> Result<(), RecipeError> {
        self.node.remove().await
    }
}

impl fmt::Debug for TtlNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("TtlNode")
            .field("path", &self.path())
            .field("ttl", &self.ttl)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
