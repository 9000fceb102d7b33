//! An ephemeral sequential node of one session, which is never lost sight of: found again after a
//! lost reply, and removed when whoever wanted it is gone.

use std::mem;

use tokio::runtime::Handle;
use znode::{
    Client, CreateMode, Created, Error, ErrorKind, Op, Outcome, Parents, Path, Reply, Version, Zxid,
};

use crate::departure::Departure;
use crate::final_look::{final_look, find_own, none_without_node};
use crate::options::LockOptions;
use crate::sequence::{Mode, Naming};
use crate::tombstone::Tombstone;

/// How often a create is tried before its failure is the caller's. A server that drops the
/// connection at every create, as one with a smaller frame limit than ours, ends here.
const ATTEMPTS_MAX: usize = 10;

/// A contender's node, from before it is created until it certainly is no more.
///
/// Dropping it hands whatever is left to do to a task of the session, which does not give up
/// before the node is gone or the session over. Nothing waits for that task, and nothing blocks.
/// Of a client that was detached the node stays, with a warning: it is the session's, and whoever
/// resumes that decides what becomes of it.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Where the task is spawned: a contender may be dropped outside of any runtime.
    runtime: Handle,
    node: Node,
}

/// What a removal has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The node was there until now.
    Removed,
    /// There was none: never made, or deleted by somebody else.
    WasGone,
}

#[derive(Debug)]
struct Node {
    client: Client,
    parent: Path,
    /// The node's path without the digits: `<parent>/_c_<uuid>-<marker>`.
    prefix: String,
    /// What missing parents are made as, if at all.
    parents: Option<Parents>,
    state: State,
    /// What is deleted together with the node, and stays if that goes by itself.
    tombstone: Option<Tombstone>,
}

#[derive(Debug)]
enum State {
    /// There is no node.
    Absent,
    /// The answer to the create will tell.
    Creating(Reply<Created>),
    /// The create was not answered: there is one node or none.
    Unknown,
    /// The node stands, as far as we had a hand in it.
    Standing { path: String, token: Zxid },
    /// The answer to the delete will tell.
    Leaving { path: String, departure: Departure },
    /// A delete was not answered.
    Lingering { path: String },
}

impl Contender {
    /// A contender without a node yet.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new(
        client: &Client,
        parent: &Path,
        naming: Naming,
        mode: Mode,
        options: &LockOptions,
    ) -> Self {
        let name = naming.prefix(options.layout, mode, &client.guid());
        let mut contender = Self::absent(client, parent, &name);
        contender.node.parents = Some(options.layout.parents());
        contender
    }

    /// The same contender, which makes no parent where there is none.
    pub(crate) fn without_parents(mut self) -> Self {
        self.node.parents = None;
        self
    }

    /// A contender whose node stands already, and what fences it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn standing(client: &Client, parent: &Path, path: String, token: Zxid) -> Self {
        let mut contender = Self::absent(client, parent, name(&path));
        contender.node.state = State::Standing { path, token };
        contender
    }

    fn absent(client: &Client, parent: &Path, name: &str) -> Self {
        let prefix = znode::path::join(parent.as_str(), name);
        let node = Node {
            client: client.clone(),
            parent: parent.clone(),
            prefix,
            parents: None,
            state: State::Absent,
            tombstone: None,
        };
        Self { runtime: Handle::current(), node }
    }

    /// Creates the node, with its parents as containers where they are missing, and returns the
    /// names of its parent's children as of then or later.
    ///
    /// Create and list travel together: the server executes them in that order, so the list has
    /// the node in it, and both cost one round trip.
    ///
    /// # Errors
    /// A server's refusal, the end of the session, or `ConnectionLoss` after several attempts.
    ///
    /// # Cancel safety
    /// The node's fate stays known to `self`.
    pub(crate) async fn enter(&mut self, data: &[u8]) -> Result<Vec<String>, Error> {
        let node = &mut self.node;
        let mut attempt = 1;
        loop {
            node.create(data);
            let children = node.client.get_children(node.parent.as_str());
            match node.created().await {
                Ok(()) => match children.await {
                    Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                        return self.siblings().await;
                    }
                    listed => return none_without_node(listed),
                },
                Err(error) if attempt == ATTEMPTS_MAX => return Err(error),
                Err(error) if error.kind() == ErrorKind::NoNode && !node.parent.is_root() => {
                    let Some(parents) = node.parents else { return Err(error) };
                    node.client.ensure_path(node.parent.as_str(), parents).await?;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                    node.find().await?;
                    if matches!(node.state, State::Standing { .. }) {
                        return self.siblings().await;
                    }
                }
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    /// The names of the parent's children; none if there is no parent any more.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session.
    pub(crate) async fn siblings(&self) -> Result<Vec<String>, Error> {
        let Node { client, parent, .. } = &self.node;
        let listed = client.until_answered(|| client.get_children(parent.as_str()));
        none_without_node(listed.await)
    }

    /// Removes the node and waits until it certainly is no more.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session, which ends the node too.
    ///
    /// # Cancel safety
    /// If the future is dropped, the removal goes on in the background.
    pub(crate) async fn remove(mut self) -> Result<Removal, Error> {
        self.node.leave();
        self.node.removed().await
    }

    pub(crate) fn client(&self) -> &Client {
        &self.node.client
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The path of the node, with its digits; before it stands, without.
    pub(crate) fn path(&self) -> &str {
        match &self.node.state {
            State::Standing { path, .. } => path,
            _ => &self.node.prefix,
        }
    }

    /// The name of the node in its parent.
    pub(crate) fn name(&self) -> &str {
        name(self.path())
    }

    /// The node whose children contend.
    pub(crate) fn parent(&self) -> &Path {
        &self.node.parent
    }

    /// What is to be deleted together with the node.
    pub(crate) fn tombstone(&mut self) -> &mut Option<Tombstone> {
        &mut self.node.tombstone
    }

    /// Forgets a node that is gone.
    pub(crate) fn forget(mut self) {
        self.node.state = State::Absent;
    }

    /// The path of a sibling.
    pub(crate) fn sibling(&self, name: &str) -> String {
        self.node.child(name)
    }

    /// The transaction that took the place in line, which is that of the node's creation unless it
    /// has taken the place of another; zero before it stands.
    pub(crate) fn token(&self) -> Zxid {
        match self.node.state {
            State::Standing { token, .. } => token,
            _ => Zxid::ZERO,
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        if let Some(mut rest) = self.node.take_rest() {
            drop(self.runtime.spawn(async move {
                let path = rest.prefix.clone();
                match rest.removed().await {
                    Ok(removal) => tracing::debug!(path, ?removal, "abandoned node"),
                    Err(error) => tracing::debug!(path, %error, "abandoned node"),
                }
            }));
        }
    }
}

impl Node {
    fn create(&mut self, data: &[u8]) {
        let mode = CreateMode::EphemeralSequential;
        self.state = State::Creating(self.client.create(&self.prefix, data, mode));
    }

    /// Waits for the answer to the create, if there is one to wait for.
    async fn created(&mut self) -> Result<(), Error> {
        let State::Creating(reply) = &mut self.state else {
            return Ok(());
        };
        match reply.await {
            Ok(Created { path, stat }) => {
                self.state = State::Standing { path, token: stat.czxid };
                Ok(())
            }
            Err(error) => {
                let is_unknown = error.outcome() == Outcome::Unknown;
                self.state = if is_unknown { State::Unknown } else { State::Absent };
                Err(error)
            }
        }
    }

    /// Finds out what became of a create that was not answered.
    async fn find(&mut self) -> Result<(), Error> {
        if !matches!(self.state, State::Unknown) {
            return Ok(());
        }
        let (client, parent) = (&self.client, self.parent.as_str());
        let listed = final_look(client, parent, || client.get_children(parent)).await;
        let children = none_without_node(listed)?;
        let ours = name(&self.prefix);
        for child in children.iter().filter(|child| child.starts_with(ours)) {
            let path = self.child(child);
            if let Some(stat) = find_own(client, &path).await? {
                self.state = State::Standing { path, token: stat.czxid };
                return Ok(());
            }
        }
        self.state = State::Absent;
        Ok(())
    }

    /// Puts the delete in line, now, if it is known what to delete.
    fn leave(&mut self) {
        if self.tombstone.as_ref().is_some_and(|tombstone| !tombstone.is_settled()) {
            return;
        }
        if let State::Standing { path, .. } = &mut self.state {
            let path = mem::take(path);
            let departure = self.departure(&path);
            self.state = State::Leaving { path, departure };
        }
    }

    fn departure(&self, path: &str) -> Departure {
        match self.tombstone.as_ref().and_then(Tombstone::removal) {
            None => Departure::Alone(self.client.delete(path, Version::ANY)),
            Some(removal) => {
                Departure::Both(self.client.multi([Op::delete(path, Version::ANY), removal]))
            }
        }
    }

    /// Brings the node to its end from whatever state it is in.
    async fn removed(&mut self) -> Result<Removal, Error> {
        loop {
            match &mut self.state {
                State::Absent => return Ok(Removal::WasGone),
                // Why there is no node is of no interest here.
                State::Creating(_) => drop(self.created().await),
                State::Unknown => self.find().await?,
                State::Standing { .. } => {
                    if let Some(tombstone) = &mut self.tombstone {
                        tombstone.settle(&self.client).await?;
                    }
                    self.leave();
                }
                State::Leaving { path, departure } => match departure.await {
                    Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                        self.state = State::Lingering { path: mem::take(path) };
                    }
                    answered => match self.gone(answered, Removal::WasGone) {
                        Some(end) => return end,
                        None => self.tombstone = None,
                    },
                },
                State::Lingering { path } => {
                    let path = path.clone();
                    let answered = self.client.until_answered(|| self.departure(&path)).await;
                    // If it is gone, then most likely by the delete whose answer was lost.
                    match self.gone(answered, Removal::Removed) {
                        Some(end) => return end,
                        None => self.tombstone = None,
                    }
                }
            }
        }
    }

    /// The node's end, as the answer to a departure tells it; `None` if it failed by the tombstone,
    /// which is gone or somebody else's, and must be tried without.
    fn gone(
        &mut self,
        answered: Result<(), Error>,
        missing: Removal,
    ) -> Option<Result<Removal, Error>> {
        let end = match answered {
            Ok(()) => Ok(Removal::Removed),
            Err(error) if error.op_index() == Some(1) => {
                tracing::warn!(path = self.prefix, %error, "the tombstone is not ours any more");
                if let State::Leaving { path, .. } | State::Lingering { path } = &mut self.state {
                    let path = mem::take(path);
                    self.state = State::Standing { path, token: Zxid::ZERO };
                }
                return None;
            }
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(missing),
            Err(error) => Err(error),
        };
        self.state = State::Absent;
        Some(end)
    }

    /// What is left to do, if anything.
    fn take_rest(&mut self) -> Option<Self> {
        self.leave();
        let state = mem::replace(&mut self.state, State::Absent);
        if matches!(state, State::Absent) {
            return None;
        }
        if self.client.is_detached() {
            // Its session lives on without it, and so does the node; nothing here can change that.
            let path = match &state {
                State::Leaving { path, .. } | State::Lingering { path } => path,
                _ => &self.prefix,
            };
            tracing::warn!(
                path,
                "left a node to whoever resumes the session: the client was detached before"
            );
        }
        if self.client.state().is_terminal() {
            return None;
        }
        let (client, parent) = (self.client.clone(), self.parent.clone());
        let (prefix, tombstone) = (mem::take(&mut self.prefix), self.tombstone.take());
        Some(Self { client, parent, prefix, parents: self.parents, state, tombstone })
    }

    fn child(&self, name: &str) -> String {
        znode::path::join(self.parent.as_str(), name)
    }
}

/// The last component of a path.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
