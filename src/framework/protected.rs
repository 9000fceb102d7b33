//! Nodes with a GUID in their name: found again after a lost reply, and removed when whoever
//! wanted them is gone.

use std::mem;

use tokio::runtime::Handle;

use super::again::{ATTEMPTS_MAX, is_lost};
use super::guid;
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::{Error, ErrorKind, Outcome};
use crate::ops::Created;
use crate::path;
use crate::proto::{Stat, Zxid};
use crate::reply::Reply;

impl Client {
    /// Creates a node with a GUID in front of its name, `<parent>/_c_<uuid>-<name>`, so that
    /// exactly one is made even if replies are lost. (Curator: `withProtection()`, and its names.)
    ///
    /// If a reply is lost, the node is looked for on the next connection: a sequential one by its
    /// GUID among the children of the parent, any other by its path. An ephemeral node is
    /// believed only if it belongs to this very session, a persistent one if it is younger than
    /// the call. If there is none, there never was one, and it is created again. The metadata of
    /// a node that was found is that of the moment.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::CreateMode;
    ///
    /// let mode = CreateMode::EphemeralSequential;
    /// let place = client.create_protected("/queue/item-", "", mode).await?;
    /// println!("{}", place.path); // /queue/_c_<uuid>-item-0000000042
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create); `ConnectionLoss` only after 10 attempts. If the session ends
    /// meanwhile the [`outcome`](Error::outcome) may be `Unknown`: a persistent node may be left.
    ///
    /// # Cancel safety
    /// If the future is dropped, or fails while the session lives, a task of the session finds
    /// the node and deletes it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn create_protected(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
    ) -> Result<Created, Error> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let prefix = format!("{parent}/{}", self.protected_name(name));
        let mut protected = Protected {
            runtime: Handle::current(),
            node: Node { client: self.clone(), seen: self.last_zxid(), prefix, mode },
            state: State::Absent,
        };
        protected.create(data.as_ref()).await
    }

    /// Finds out what became of a create whose reply was lost: whether `path`, with digits if
    /// `mode` is sequential, was made. Its name is one of
    /// [`protected_name`](Self::protected_name), which this session alone knows; `seen` is the
    /// [`last_zxid`](Self::last_zxid) from before the create. For recipes that put more than the
    /// create in line; [`create_protected`](Self::create_protected) asks by itself.
    ///
    /// An ephemeral node counts only if it belongs to this session, a persistent one if it is
    /// younger than `seen`. The answer is final: a create that has not taken effect will not.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{CreateMode, Op, Outcome, Version};
    ///
    /// let path = format!("/queue/{}", client.protected_name("item"));
    /// let (mode, seen) = (CreateMode::Ephemeral, client.last_zxid());
    /// let ops = [Op::check("/queue/open", Version::ANY), Op::create(&path, "", mode)];
    /// match client.multi(ops).await {
    ///     Err(error) if error.outcome() == Outcome::Unknown => {
    ///         println!("made: {}", client.find_protected(&path, mode, seen).await?.is_some());
    ///     }
    ///     answered => drop(answered?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A server's refusal, or the end of the session.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn find_protected(
        &self,
        path: &str,
        mode: CreateMode,
        seen: Zxid,
    ) -> Result<Option<Created>, Error> {
        Node { client: self.clone(), seen, prefix: path.to_owned(), mode }.find().await
    }

    /// A name that meets no other, as Curator makes it: `_c_<uuid>-<name>`. The GUID is drawn from
    /// the seed of the session; see [`random`](Self::random).
    ///
    /// ```no_run
    /// # fn example(client: znode::Client) {
    /// assert!(client.protected_name("lock-").starts_with("_c_"));
    /// assert_ne!(client.protected_name("lock-"), client.protected_name("lock-"));
    /// # }
    /// ```
    pub fn protected_name(&self, name: &str) -> String {
        format!("{}{name}", guid::protected(self))
    }
}

/// A node on its way. Dropping it hands whatever is left to do to a task.
#[derive(Debug)]
struct Protected {
    /// Where the task is spawned: a future may be dropped outside of any runtime.
    runtime: Handle,
    node: Node,
    state: State,
}

#[derive(Debug, Clone)]
struct Node {
    client: Client,
    /// What the session had seen when the call began: what is older is not ours.
    seen: Zxid,
    /// The path, of a sequential node without the digits.
    prefix: String,
    mode: CreateMode,
}

#[derive(Debug)]
enum State {
    /// There is no node, or it is the caller's.
    Absent,
    /// The answer to the create will tell.
    Creating(Reply<Created>),
    /// The create was not answered: there is one node or none.
    Unknown,
}

impl Protected {
    async fn create(&mut self, data: &[u8]) -> Result<Created, Error> {
        let mut attempt = 1;
        loop {
            let Node { client, prefix, mode, .. } = &self.node;
            self.state = State::Creating(client.create(prefix, data, *mode));
            match self.created().await {
                Err(error) if is_lost(&error) && attempt < ATTEMPTS_MAX => {
                    if matches!(self.state, State::Unknown) {
                        let found = self.node.find().await;
                        let found =
                            found.map_err(|error| error.unproven("create", &self.node.prefix))?;
                        self.state = State::Absent;
                        if let Some(created) = found {
                            return Ok(created);
                        }
                    }
                }
                created => return created,
            }
            attempt += 1;
        }
    }

    /// Waits for the answer to the create, if there is one to wait for.
    async fn created(&mut self) -> Result<Created, Error> {
        let State::Creating(reply) = &mut self.state else {
            unreachable!("it is asked right after the create");
        };
        let created = reply.await;
        let is_unknown = created.as_ref().is_err_and(|error| error.outcome() == Outcome::Unknown);
        self.state = if is_unknown { State::Unknown } else { State::Absent };
        created
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        let state = mem::replace(&mut self.state, State::Absent);
        if matches!(state, State::Absent) || self.node.client.state().is_terminal() {
            return;
        }
        let client = self.node.client.without_deadline();
        let node = Node { client, ..self.node.clone() };
        let runtime = self.runtime.clone();
        drop(self.runtime.spawn(async move { node.remove(state, &runtime).await }));
    }
}

impl Node {
    /// Finds out what became of a create that was not answered.
    ///
    /// The `sync` makes the answer final: what the lost connection had carried to the leader
    /// comes before it, and nothing can come after it, as the session has moved on.
    ///
    /// Two clients with one seed draw equal GUIDs, and a dying session's node may bear ours
    /// (CURATOR-498, CURATOR-604); so a node counts only if this session owns it.
    async fn find(&self) -> Result<Option<Created>, Error> {
        let client = &self.client;
        if !self.mode.is_sequential() {
            let stat = client.synced(&self.prefix).await?;
            let path = self.prefix.clone();
            return Ok(stat.filter(|s| self.is_ours(s)).map(|stat| Created { path, stat }));
        }
        let parent = path::parent(&self.prefix).unwrap_or("/");
        let listed = client.until_answered(|| {
            let (sync, children) = (client.sync(parent), client.get_children(parent));
            async move {
                sync.await?;
                children.await
            }
        });
        let names = match listed.await {
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
            listed => listed?,
        };
        let ours = path::name(&self.prefix);
        for name in names.iter().filter(|name| name.starts_with(ours)) {
            let path = path::join(parent, name);
            let stat = client.until_answered(|| client.exists(&path)).await?;
            if let Some(stat) = stat.filter(|stat| self.is_ours(stat)) {
                return Ok(Some(Created { path, stat }));
            }
        }
        Ok(None)
    }

    fn is_ours(&self, stat: &Stat) -> bool {
        if self.mode.is_ephemeral() {
            stat.ephemeral_owner == self.client.session_id()
        } else {
            stat.czxid > self.seen
        }
    }

    /// Brings the node to its end.
    async fn remove(self, state: State, runtime: &Handle) {
        let found = match state {
            State::Absent => return,
            State::Creating(reply) => match reply.await {
                Ok(created) => Ok(Some(created)),
                Err(error) if error.outcome() == Outcome::Unknown => self.find().await,
                Err(error) => Err(error),
            },
            State::Unknown => self.find().await,
        };
        let gone = match found {
            Ok(Some(Created { path, .. })) => self.client.spawn_delete(&path, runtime).await,
            Ok(None) => return,
            Err(error) => Ok(Err(error)),
        };
        tracing::debug!(path = self.prefix, ?gone, "abandoned node");
    }
}
