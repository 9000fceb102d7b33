//! What those see who read from a cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use znode::{Client, Path, Stat, State, Zxid};

use super::changes::{CacheChanges, Subscriber};
use super::mirror::Scope;
use super::shared::{Copied, Shared};
use super::task;
use crate::clock::now;
use crate::recipe_error::RecipeError;

/// For how long at most a cache waits before it looks what has changed while its link was down:
/// a thousand of them would otherwise ask at once.
const JITTER: Duration = Duration::from_millis(500);

/// A node as a cache holds it.
///
/// ```
/// fn told(node: &znode_recipes::CachedNode) -> String {
///     format!("{} has {} bytes since {}", node.path, node.data.len(), node.stat.mzxid)
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedNode {
    /// Its path.
    pub path: Arc<str>,
    /// Its metadata, read with the data. How many children it has may be another number by now.
    pub stat: Stat,
    /// Its data.
    pub data: Box<[u8]>,
}

/// What a [`Cache`] holds in some place, while it knows of nothing newer; see [`Cache::current`].
///
/// ```no_run
/// # fn example(cache: znode_recipes::Cache) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Current;
///
/// if let Some(Current { node, zxid }) = cache.current("/config/rate")? {
///     println!("{node:?} as of {zxid}, without asking anybody");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to a value than when it is true")]
pub struct Current {
    /// The node; `None` if there is none.
    pub node: Option<Arc<CachedNode>>,
    /// It was so after this transaction, or after a later one.
    pub zxid: Zxid,
}

/// How a [`Cache`] is to be.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::{Cache, CacheBuilder};
///
/// let tree: CacheBuilder = Cache::tree(&client, "/config");
/// let cache = tree.nodes_max(10_000).jitter(Duration::from_secs(2)).start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is started"]
pub struct CacheBuilder {
    client: Client,
    path: String,
    scope: Scope,
    nodes_max: usize,
    jitter: Duration,
}

/// A copy of some nodes in memory, which follows them; and what becomes of them, as a stream.
///
/// One persistent watch tells of all of them; what it tells of is read, and nothing else. After a
/// lost connection everything that may have changed is looked at, without its data, and read where
/// it has; that is told of once, as [`Resynced`](crate::CacheChange::Resynced). A node that was
/// deleted and made anew is another node, whatever its version. (CURATOR-391)
///
/// What it holds is what *its session* may read: a server that is behind shows others less.
/// [`get_at_least`](Self::get_at_least) waits for what somebody else has seen.
///
/// A node below its path that the session may not read, or whose data the client's codec cannot
/// read, is [`hidden`](Self::hidden): the log tells of it once, and the rest goes on. One that was
/// held before is told of as deleted. It is looked at again when the watch tells of it and after
/// each reconnect. Nothing else says that it may be read by now, since a change of an access
/// control list fires no watch. Servers since 3.9.2 do not tell at all of what a session may not
/// read, and who cannot read a node cannot list what is below it: what comes to be there unseen is
/// found after the next reconnect.
///
/// It is Curator's `CuratorCache`, with its options `SINGLE_NODE_CACHE` ([`node`](Self::node)), and
/// its older `PathChildrenCache` ([`children`](Self::children)) and `TreeCache`
/// ([`tree`](Self::tree)). Clones are the same cache; it ends with the last of them.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::StreamExt;
/// use znode_recipes::Cache;
///
/// let config = Cache::tree(&client, "/config").start().await?;
/// println!("{} nodes, {:?}", config.nodes().len(), config.get("/config/rate"));
/// let (nodes, mut changes) = config.nodes_and_changes();
/// while let Some(change) = changes.next().await {
///     println!("{:?}", change?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Cache;
///
/// let rate = Cache::node(&client, "/config/rate").start().await?;
/// let workers = Cache::children(&client, "/workers").start().await?;
/// let written = client.last_zxid(); // by this session, or told of by somebody
/// let rate = rate.get_at_least("/config/rate", written).await?;
/// println!("{:?}: {} workers; {:?}", rate, workers.nodes().len(), workers.failure());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
    _task: Arc<Task>,
}

/// Ends with the last handle.
#[derive(Debug)]
struct Task {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        // That is no failure.
        self.shared.close();
        self.task.abort();
    }
}

impl CacheBuilder {
    /// The same, of no more than so many nodes; one million otherwise. If there are more the cache
    /// fails, as `Exhausted`, and does not take up all memory.
    pub fn nodes_max(mut self, nodes: usize) -> Self {
        self.nodes_max = nodes;
        self
    }

    /// The same, which waits for a part of such a time, drawn at random, before it looks what has
    /// changed while its link was down; half a second otherwise.
    pub fn jitter(mut self, time: Duration) -> Self {
        self.jitter = time;
        self
    }

    /// Starts the cache, and waits until it is filled. Where there is no node it is empty, and
    /// filled when there is.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Exhausted` if there are more nodes than it may have;
    /// - `Client` with the client's own error, as `NoAuth` at the path of the cache itself,
    ///   `Unimplemented` by servers before 3.6, or the end of the session.
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the cache, and its watch goes.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn start(self) -> Result<Cache, RecipeError> {
        let Self { client, path, scope, nodes_max, jitter } = self;
        Path::parse(&path).map_err(RecipeError::invalid_path)?;
        let shared = Arc::new(Shared::new(client, path, scope, nodes_max, jitter));
        let task = tokio::spawn(task::follow(Arc::clone(&shared)));
        let task = Task { shared: Arc::clone(&shared), task: task.abort_handle() };
        let cache = Cache { shared, _task: Arc::new(task) };
        cache.shared.until(|state| state.mirror.is_filled().then_some(())).await?;
        Ok(cache)
    }
}

impl Cache {
    /// A cache of one node.
    pub fn node(client: &Client, path: impl Into<String>) -> CacheBuilder {
        Self::of(client, path.into(), Scope::Node)
    }

    /// A cache of the nodes right below one.
    pub fn children(client: &Client, path: impl Into<String>) -> CacheBuilder {
        Self::of(client, path.into(), Scope::Children)
    }

    /// A cache of a node and everything below it.
    pub fn tree(client: &Client, path: impl Into<String>) -> CacheBuilder {
        Self::of(client, path.into(), Scope::Tree)
    }

    fn of(client: &Client, path: String, scope: Scope) -> CacheBuilder {
        let (client, jitter) = (client.without_deadline(), JITTER);
        CacheBuilder { client, path, scope, nodes_max: 1_000_000, jitter }
    }

    /// A node, as it was seen last; `None` also of what the cache does not hold at all.
    pub fn get(&self, path: &str) -> Option<Arc<CachedNode>> {
        self.shared.lock().mirror.get(path)
    }

    /// All nodes, as they were seen last, in the order of their paths. Those with less than a
    /// kibibyte of data are made anew for whoever asks: the cache itself holds them in less memory.
    pub fn nodes(&self) -> Vec<Arc<CachedNode>> {
        self.shared.lock().mirror.nodes().collect()
    }

    /// The paths of nodes that are there, and cannot be read.
    ///
    /// ```no_run
    /// # fn example(cache: znode_recipes::Cache) {
    /// for path in cache.hidden() {
    ///     println!("somebody should look at the access control list of {path}");
    /// }
    /// # }
    /// ```
    pub fn hidden(&self) -> Vec<Arc<str>> {
        self.shared.lock().mirror.hidden().cloned().collect()
    }

    /// What changes from now on.
    pub fn changes(&self) -> CacheChanges {
        self.nodes_and_changes().1
    }

    /// All nodes, and what changes from there on: between the two nothing is missed.
    pub fn nodes_and_changes(&self) -> (Vec<Arc<CachedNode>>, CacheChanges) {
        let (subscriber, changes) = Subscriber::new();
        let mut state = self.shared.lock();
        match state.failure.clone() {
            Some(failure) => subscriber.end(failure),
            None => {
                let nodes = state.mirror.nodes().collect();
                state.subscribers.retain(|other| !other.is_gone());
                state.subscribers.push(subscriber);
                return (nodes, changes);
            }
        }
        (state.mirror.nodes().collect(), changes)
    }

    /// A node, without asking anybody: not older than
    /// - [`zxid`](Current::zxid), which never falls for a path;
    /// - anything that a reply to this client had shown when this was called, to whichever handle
    ///   or task of its session;
    /// - anything that this cache had told of, or given, before.
    ///
    /// It is *not* what a server would answer now: others may have written since, a server that is
    /// behind does not know, and a watch event may be on its way.
    /// [`get_at_least`](Self::get_at_least) waits for what somebody has seen.
    ///
    /// `None` while that cannot be promised: unless the connection stands, to a server that may
    /// write, and something was answered that was asked for in the last two thirds of the
    /// [session timeout](Client::session_timeout); from a reconnect on until
    /// [`Resynced`](crate::CacheChange::Resynced) is told; while this very node is being read; and
    /// if it is [`hidden`](Self::hidden).
    ///
    /// # Errors
    /// - `InvalidPath`;
    /// - `InvalidArgument` if the cache does not hold such nodes;
    /// - why the cache does not follow any more.
    pub fn current(&self, path: &str) -> Result<Option<Current>, RecipeError> {
        let shared = &self.shared;
        shared.check(path)?;
        // Before what the watch has told: a connection that comes between the two brings doubt.
        let (change, live_until) = shared.client.liveness();
        let is_live = change.state == State::Connected && now() < live_until;
        let mut state = shared.lock();
        state.hear_aside();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let zxid = state.mirror.settled(path, change.generation).filter(|_| is_live);
        Ok(zxid.map(|zxid| Current { node: state.mirror.get(path), zxid }))
    }

    /// A node, as it is after this transaction or a later one: for whoever was told of it by
    /// somebody else. Of other nodes that says nothing.
    ///
    /// # Errors
    /// As [`failure`](Self::failure); `Client` with `NoAuth` or `InvalidData` of a node that is
    /// [`hidden`](Self::hidden); `InvalidArgument` if the cache does not hold such nodes, or if
    /// there is no such transaction yet.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn get_at_least(
        &self,
        path: &str,
        zxid: Zxid,
    ) -> Result<Option<Arc<CachedNode>>, RecipeError> {
        let shared = &self.shared;
        shared.check(path)?;
        let is_there = |state: &Copied| {
            let node = || match state.mirror.refusal(path) {
                Some(error) => Err(RecipeError::client(path, error.clone())),
                None => Ok(state.mirror.get(path)),
            };
            (state.mirror.as_of(path) >= zxid).then(node)
        };
        if let Some(node) = is_there(&shared.lock()) {
            return node;
        }
        // Our server has it, then; and with its answer come the events that are before it.
        let synced = shared.client.until_answered(|| shared.client.sync(&shared.path)).await;
        synced.map_err(|error| RecipeError::client(&shared.path, error))?;
        if shared.client.last_zxid() < zxid {
            let what = format!("the ensemble has not come to transaction {zxid}");
            return Err(RecipeError::invalid_argument(&shared.path, what));
        }
        shared.asked.notify_one();
        shared.until(is_there).await?
    }

    /// Why the cache does not follow any more, if it does not: an error as of
    /// [`start`](CacheBuilder::start), or `Lost` if the runtime that it was started on is gone.
    pub fn failure(&self) -> Option<RecipeError> {
        self.shared.lock().failure.clone()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.shared.lock().mirror.len();
        let path = &self.shared.path;
        f.debug_struct("Cache").field("path", path).field("nodes", &nodes).finish_non_exhaustive()
    }
}
