//! Who is in a group, and with what.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};
use znode::{Client, Path};

use super::desk::NodeStates;
use super::node::PersistentNode;
use super::roll;
use super::roster::{Roster, read_children};
use crate::layout::Layout;
use crate::recipe_error::RecipeError;

/// A group: whoever is in it has a node below the group's, named after it, with what it says of
/// itself. The node comes back when somebody deletes it, and goes with the session.
///
/// It is Curator's `GroupMember` on the wire; with [`Layout::Kazoo`], kazoo's `Party`, in which a
/// member's node is `<hex>__party__` and its data what the member calls itself, and no more.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Group;
///
/// let workers = Group::new(&client, "/groups/workers");
/// let membership = workers.join("host-1", "idle").await?;
/// for (id, payload) in workers.members().await? {
///     println!("{} has {id}: {}", workers.path(), String::from_utf8_lossy(&payload));
/// }
/// membership.leave().await?;
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Group, Layout};
///
/// let party = Group::new(&client, "/parties/workers").with_layout(Layout::Kazoo);
/// let membership = party.join("host-1", "").await?;
/// println!("{} are there", party.members().await?.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Group {
    client: Client,
    path: Arc<str>,
    layout: Layout,
}

/// Being in a [`Group`]. Dropping it is leaving, in the background.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Group, Membership};
///
/// let membership: Membership = Group::new(&client, "/groups/workers").join("7", "idle").await?;
/// let mut states = membership.states(); // that it was deleted, that the session is over
/// membership.set("busy").await?;
/// println!("{} at {}", membership.id(), membership.path());
/// membership.leave().await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it is leaving"]
pub struct Membership {
    node: PersistentNode,
    id: Arc<str>,
    layout: Layout,
}

/// Who is in a [`Group`] and with what, now and whenever that has changed; see
/// [`Group::changes`]. It ends after an error.
///
/// Of memberships that come and go quickly some may not be told of; the last state always is. Who
/// has come is told of once its data is read, and does not hold up news of who has gone.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::TryStreamExt;
/// use znode_recipes::{Group, GroupChanges};
///
/// let mut changes: GroupChanges = Group::new(&client, "/groups/workers").changes();
/// while let Some(members) = changes.try_next().await? {
///     println!("{:?}", members.keys());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct GroupChanges(BoxStream<'static, Result<BTreeMap<String, Vec<u8>>, RecipeError>>);

impl Group {
    /// The group at `path`. Whether that can be a path is checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let (client, path) = (client.without_deadline(), path.into().into());
        Self { client, path, layout: Layout::Curator }
    }

    /// The same group, as others have it. In kazoo's those who are called alike count as one here.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The path of the group.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Joins, and waits until that is so: also until another session's member of this id is gone,
    /// as one that was this program before it was started anew; but not in a party of kazoo's,
    /// where several may be called alike.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `InvalidArgument` if the id cannot be the name of a node; in a party of kazoo's, if there
    ///   is a payload;
    /// - `Foreign` if a node that is not ephemeral has this name;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session.
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the membership.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn join(
        &self,
        id: &str,
        payload: impl AsRef<[u8]>,
    ) -> Result<Membership, RecipeError> {
        let path = child(&self.path, &roll::name(self.layout, id, &self.client.guid()))?;
        let data = roll::data(self.layout, &self.path, id, payload.as_ref())?;
        let mut client = self.client.clone();
        if self.layout == Layout::Kazoo {
            // What kazoo's read is no compressed data, and no container that is made anew.
            client = client.without_compression();
            let made = client.ensure_path(&self.path, self.layout.parents()).await;
            made.map_err(|error| RecipeError::client(&self.path, error))?;
        }
        let node = PersistentNode::ephemeral(&client, path, data)?;
        node.until_created().await?;
        Ok(Membership { node, id: id.into(), layout: self.layout })
    }

    /// Who is in it and with what, as the server that this client is connected to knows it. Who
    /// comes or goes meanwhile is told of or not.
    ///
    /// # Errors
    /// `InvalidPath`, before anything is sent; `Client` with the client's own error.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn members(&self) -> Result<BTreeMap<String, Vec<u8>>, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        let read = read_children(&self.reader(), &self.path).await;
        let read = read.map_err(|error| RecipeError::client(&self.path, error))?;
        Ok(roll::members(self.layout, read))
    }

    /// Who is in it and with what, now and whenever that has changed. It costs one watch and one
    /// for each member, and one read for each change of what one says of itself.
    pub fn changes(&self) -> GroupChanges {
        let (path, layout) = (Arc::clone(&self.path), self.layout);
        let roster = Roster::new(&self.reader(), &self.path);
        GroupChanges(Box::pin(roster.map(move |children| match children {
            Ok(children) => Ok(roll::members(layout, children)),
            Err(error) => Err(RecipeError::client(&path, error)),
        })))
    }

    fn reader(&self) -> Client {
        match self.layout {
            Layout::Kazoo => self.client.without_compression(),
            Layout::Curator | Layout::GoZookeeper => self.client.clone(),
        }
    }
}

impl Membership {
    /// What it is called in the group.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The path of its node.
    pub fn path(&self) -> &str {
        self.node.path()
    }

    /// What becomes of its node: that somebody has deleted it, or that the session is over.
    pub fn states(&self) -> NodeStates {
        self.node.states()
    }

    /// Says something else of itself.
    ///
    /// # Errors
    /// As [`PersistentNode::set`]; `InvalidArgument` in a party of kazoo's, if there is a payload.
    ///
    /// # Cancel safety
    /// As [`PersistentNode::set`].
    pub async fn set(&self, payload: impl AsRef<[u8]>) -> Result<(), RecipeError> {
        let group = znode::path::parent(self.path()).unwrap_or("/");
        let data = roll::data(self.layout, group, &self.id, payload.as_ref())?;
        self.node.set(data).await
    }

    /// Leaves; when this returns its node is gone.
    ///
    /// # Errors
    /// As [`PersistentNode::remove`].
    ///
    /// # Cancel safety
    /// It leaves all the same.
    pub async fn leave(self) -> Result<(), RecipeError> {
        self.node.remove().await
    }
}

/// The path of a child of this name.
///
/// # Errors
/// `InvalidPath` if the parent is none; `InvalidArgument` if no child can be called so.
pub(crate) fn child(parent: &str, name: &str) -> Result<String, RecipeError> {
    Path::parse(parent).map_err(RecipeError::invalid_path)?;
    let path = znode::path::join(parent, name);
    if name.is_empty() || name.contains('/') || Path::parse(&path).is_err() {
        let what = format!("no node can be called {name:?}");
        return Err(RecipeError::invalid_argument(parent, what));
    }
    Ok(path)
}

impl Stream for GroupChanges {
    type Item = Result<BTreeMap<String, Vec<u8>>, RecipeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for GroupChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupChanges")
    }
}
