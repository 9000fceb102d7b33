//! Several queues as one, for more items than one node should have children.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use znode::{Client, CreateMode, ErrorKind, Op, Parents, Path};

use super::candidates::Shelf;
use super::delivery::Delivery;
use super::fifo::Queue;
use super::item::Item;
use super::names::Order;
use super::shards::{Child, Shards, name};
use super::taker::Taker;
use crate::clock::now;
use crate::lock::line::{Line, Patience};
use crate::recipe_error::RecipeError;
use crate::sequence::{Mode, Naming};

/// What is appended to the path for the claims to items, and for who may make more queues.
const CLAIMS: &str = "-locks";
const LEADERS: &str = "-leaders";

/// As Curator's.
const LIMIT: usize = 10_000;
const SHARDS_MAX: usize = 10;
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Several queues as one: an item goes to a random one that is not full, and when all are, there is
/// one more. For more items than a server can list: a node with some hundred thousand children
/// does not fit into an answer, and its queue stands still.
///
/// It is Curator's `QueueSharder` on the wire: the queues are `<path>/queue-<uuid>`, each as a
/// [`Queue`]; a new one is made under the leadership of a latch at [another
/// path](Self::with_leaders), or by Curator's if one of those leads. Items of one queue come in
/// its order, and those of several in any. What is put is there once, and what is taken comes back
/// unless it is acknowledged.
///
/// ```no_run
/// # async fn send(mail: &[u8]) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::ShardedQueue;
///
/// let mails = ShardedQueue::new(&client, "/queues/mail");
/// mails.put("to whom it may concern").await?;
/// loop {
///     let delivery = mails.take().await?;
///     send(delivery.data()).await;
///     delivery.ack().await?;
/// }
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::{Item, ShardedQueue};
///
/// let jobs = ShardedQueue::by_id(&client, "/queues/jobs")
///     .with_limit(1_000)
///     .with_shards_max(50)
///     .with_check_interval(Duration::from_secs(5))
///     .with_claims("/queues/jobs-in-work")
///     .with_leaders("/queues/jobs-leader");
/// jobs.put(Item::new("two of them").with_id("4711")).await?;
/// println!("{} items in {:?}", jobs.item_count().await?, jobs.shards().await?);
/// println!("{} taken back from {}", jobs.remove("4711").await?, jobs.path());
/// let urgent = ShardedQueue::by_priority(&client, "/queues/urgent");
/// let later = ShardedQueue::delayed(&client, "/queues/later");
/// if let Some(job) = urgent.try_take().await? {
///     job.ack().await?;
/// }
/// println!("{:?}", later.take_timeout(Duration::from_secs(5)).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ShardedQueue {
    /// Of the whole: its path, and that above the claims of each.
    shelf: Shelf,
    leaders: Arc<str>,
    check_interval: Duration,
    state: Arc<Mutex<State>>,
    taker: Taker,
}

#[derive(Debug)]
struct State {
    shards: Shards,
    /// When sizes were read last, if they were.
    checked_at: Option<Instant>,
    /// Others are to make one more, since they lead.
    is_left_to_others: bool,
    /// One handle for each, so that all who put share its witnesses. Who waits for an item has
    /// others, which wait with him.
    queues: BTreeMap<Arc<str>, Queue>,
}

impl ShardedQueue {
    /// The queues below `path`, each in the order in which its items are put. Whether that can be a
    /// path is checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Put)
    }

    /// The queues below `path`, each in the order of [priorities](Item::with_priority).
    pub fn by_priority(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Priority)
    }

    /// The queues below `path`, whose items are taken when their [delay](Item::with_delay) is over.
    pub fn delayed(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Due)
    }

    /// The queues below `path`, whose items have [ids](Item::with_id) by which they can be removed.
    pub fn by_id(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Id)
    }

    fn ordered(client: &Client, path: String, order: Order) -> Self {
        let client = client.without_deadline();
        let (claims, leaders) = (format!("{path}{CLAIMS}"), format!("{path}{LEADERS}").into());
        let shards = Shards::new(LIMIT, SHARDS_MAX);
        let (checked_at, is_left_to_others, queues) = (None, false, BTreeMap::new());
        let state = State { shards, checked_at, is_left_to_others, queues };
        let taker = Taker::new(&client, &path);
        let shelf = Shelf { client, path: path.into(), claims: claims.into(), order };
        let (check_interval, state) = (CHECK_INTERVAL, Arc::new(Mutex::new(state)));
        Self { shelf, leaders, check_interval, state, taker }
    }

    /// The same queues, of which one is full from so many items on; 10 000 unless told otherwise.
    /// Several who put may exceed it by what they put between two looks.
    #[must_use]
    pub fn with_limit(self, items: usize) -> Self {
        self.state().shards.limit = items;
        self
    }

    /// The same queues, of which there are never made more than so many; 10 unless told otherwise.
    /// When all of them are full, items go to any.
    #[must_use]
    pub fn with_shards_max(self, count: usize) -> Self {
        self.state().shards.count_max = count;
        self
    }

    /// The same queues, whose sizes are read again by who puts when they were not for so long;
    /// every 30 seconds unless told otherwise, and whenever all seem to be full.
    #[must_use]
    pub fn with_check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// The same queues, with the claims to the items of each below another path: Curator's lock
    /// path of a queue is this and the queue's name. Otherwise they are below its path with
    /// `-locks`. It must not be below the path of the queues.
    #[must_use]
    pub fn with_claims(mut self, path: impl Into<String>) -> Self {
        self.shelf.claims = path.into().into();
        self
    }

    /// The same queues, of which more are made by whoever leads at another path: Curator's leader
    /// path. Otherwise it is their path with `-leaders`. It must not be below the path of the
    /// queues.
    #[must_use]
    pub fn with_leaders(mut self, path: impl Into<String>) -> Self {
        self.leaders = path.into().into();
        self
    }

    /// The path of the queues.
    pub fn path(&self) -> &str {
        &self.shelf.path
    }

    /// The path of each queue, and how many items it has, taken or not.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn shards(&self) -> Result<BTreeMap<String, usize>, RecipeError> {
        self.check_paths()?;
        let sizes = self.sizes().await?;
        Ok(sizes.into_iter().map(|(name, items)| (self.below(&name), items)).collect())
    }

    /// How many items there are in all queues, taken or not.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn item_count(&self) -> Result<usize, RecipeError> {
        Ok(self.shards().await?.values().sum())
    }

    /// Puts an item into one of the queues, once, whatever replies are lost.
    ///
    /// It costs what a [`Queue::put`] does; now and then one list and a look at each queue, and
    /// some more when there is to be another queue.
    ///
    /// # Errors
    /// - As [`Queue::put`];
    /// - `InvalidArgument` if claims or leaders are below the path of the queues; nothing was sent;
    /// - `Foreign` if it is the path of one queue and not of several, or something else contends
    ///   at that of the leaders.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect; a queue that was made stays.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn put(&self, item: impl Into<Item>) -> Result<(), RecipeError> {
        let item = item.into();
        self.check_paths()?;
        if self.is_to_be_checked() {
            self.check().await?;
        }
        let random = self.shelf.client.random();
        let Some(name) = self.state().shards.choose(random) else {
            // Somebody has deleted them all since.
            return Err(RecipeError::lost(self.path(), "there is no queue any more"));
        };
        self.queue(&name).put(item).await?;
        self.state().shards.note_put(&name);
        Ok(())
    }

    /// Takes the first item of any queue that nobody else has taken; waits until there is one, also
    /// in a queue that is yet to be made.
    ///
    /// It leaves watches for whoever takes next: one on the path and up to two on each queue, until
    /// this handle and its clones are dropped.
    ///
    /// # Errors
    /// - As [`Queue::take`];
    /// - `InvalidArgument` if claims or leaders are below the path of the queues; nothing was sent;
    /// - `Foreign` if it is the path of one queue and not of several.
    ///
    /// # Cancel safety
    /// If the future is dropped, an item that was taken is given back in the background, and the
    /// watches go unless somebody else waits with this handle or a clone.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn take(&self) -> Result<Delivery, RecipeError> {
        self.check_paths()?;
        let waiting = self.taker.wait();
        loop {
            let (queue, place) = waiting.next(|name| self.open(name)).await?;
            if let Some(delivery) = queue.claim(place).await? {
                waiting.served();
                return Ok(delivery);
            }
        }
    }

    /// Takes the first item of any queue that nobody else has taken, if there is one now; looks at
    /// one queue after the other.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// As [`take`](Self::take).
    ///
    /// # Panics
    /// As [`take`](Self::take).
    pub async fn try_take(&self) -> Result<Option<Delivery>, RecipeError> {
        self.check_paths()?;
        let mut names = self.names().await?;
        if !names.is_empty() {
            let first = usize::try_from(self.shelf.client.random() % names.len() as u64);
            names.rotate_left(first.unwrap_or(0));
        }
        for name in names {
            if let Some(delivery) = self.queue(&name).try_take().await? {
                return Ok(Some(delivery));
            }
        }
        Ok(None)
    }

    /// Waits for an item no longer than `limit`; `None` if that was not long enough. A limit of
    /// zero tries once.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// As [`take`](Self::take).
    ///
    /// # Panics
    /// As [`take`](Self::take).
    pub async fn take_timeout(&self, limit: Duration) -> Result<Option<Delivery>, RecipeError> {
        if limit.is_zero() {
            return self.try_take().await;
        }
        tokio::time::timeout(limit, self.take()).await.ok().transpose()
    }

    /// Removes the items that were put with this id and that nobody has taken, from all queues;
    /// returns how many.
    ///
    /// # Errors
    /// As [`take`](Self::take); `InvalidArgument` if the items of these queues have none.
    ///
    /// # Cancel safety
    /// If the future is dropped, some may be removed.
    ///
    /// # Panics
    /// As [`take`](Self::take).
    pub async fn remove(&self, id: &str) -> Result<usize, RecipeError> {
        self.check_paths()?;
        if self.shelf.order != Order::Id {
            let what = "items of these queues have no ids";
            return Err(RecipeError::invalid_argument(self.path(), what));
        }
        let mut removed = 0;
        for name in self.names().await? {
            removed += self.queue(&name).remove(id).await?;
        }
        Ok(removed)
    }
}

impl ShardedQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_to_be_checked(&self) -> bool {
        let state = self.state();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now());
        state.checked_at.is_none_or(|at| is_due(at.checked_add(self.check_interval)))
            || state.shards.lack_room() && !state.is_left_to_others
    }

    /// Reads how full the queues are, and makes one more if there should be.
    async fn check(&self) -> Result<(), RecipeError> {
        let sizes = self.sizes().await?;
        if self.see(&sizes, false) {
            if sizes.is_empty() {
                self.make_first().await?;
                self.see(&self.sizes().await?, false);
            } else {
                self.grow().await?;
            }
        }
        Ok(())
    }

    /// Makes the first queue, whoever leads, unless somebody else has: as each writes the common
    /// node along with it, one of those who do so at once does. However often a reply is lost,
    /// there is a queue or not.
    async fn make_first(&self) -> Result<(), RecipeError> {
        // What stands in the common node stays as it is.
        let (client, path) = (self.shelf.client.without_compression(), self.path());
        let failed = |error| RecipeError::client(path, error);
        loop {
            client.ensure_path(path, Parents::Container).await.map_err(failed)?;
            let (data, stat) = match client.until_answered(|| client.get_data(path)).await {
                Err(error) if error.kind() == ErrorKind::NoNode => continue,
                read => read.map_err(failed)?,
            };
            // Read behind that: a queue that is not in it is made after the version.
            if !self.names().await?.is_empty() {
                return Ok(());
            }
            let shard = self.below(&name(&client.guid()));
            let made = client.multi([
                Op::set_data(path, data, stat.version),
                Op::create(shard, "", CreateMode::Persistent),
            ]);
            match made.await.map_err(|error| (error.kind(), error)) {
                Ok(_) => return Ok(()),
                Err((ErrorKind::BadVersion | ErrorKind::NoNode | ErrorKind::ConnectionLoss, _)) => {
                }
                Err((_, error)) => return Err(failed(error)),
            }
        }
    }

    /// Takes in how full the queues are; whether there should be one more.
    fn see(&self, sizes: &BTreeMap<Arc<str>, usize>, is_left_to_others: bool) -> bool {
        let mut state = self.state();
        state.shards.see(sizes);
        state.checked_at = Some(now());
        state.is_left_to_others = is_left_to_others;
        state.queues.retain(|name, _| sizes.contains_key(name));
        state.shards.lack_room()
    }

    /// Makes one more queue, unless others lead: they see to it.
    async fn grow(&self) -> Result<(), RecipeError> {
        let client = &self.shelf.client;
        let line = Line::new(client, self.leaders.to_string(), Naming::LATCH, Mode::Exclusive);
        let leads = line.stand(Patience::None, drop).await;
        let leads = leads.map_err(|error| RecipeError::of_lock(&error))?;
        let mut sizes = self.sizes().await?;
        if self.see(&sizes, leads.is_none()) && leads.is_some() {
            let name: Arc<str> = name(&client.guid()).into();
            // However often that is done, it is one queue.
            self.queue(&name).make_nodes().await?;
            sizes.insert(name, 0);
            self.see(&sizes, false);
        }
        // Dropping the leadership gives it back: nobody waits for that here.
        Ok(())
    }

    /// How many items each queue has.
    async fn sizes(&self) -> Result<BTreeMap<Arc<str>, usize>, RecipeError> {
        let names = self.names().await?;
        let counted = names.into_iter().map(|name| async move {
            let items = self.queue(&name).item_count().await?;
            Ok((name, items))
        });
        join_all(counted).await.into_iter().collect()
    }

    /// Which queues there are.
    async fn names(&self) -> Result<Vec<Arc<str>>, RecipeError> {
        let (client, path) = (&self.shelf.client, self.path());
        let names = match client.until_answered(|| client.get_children(path)).await {
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            listed => listed.map_err(|error| RecipeError::client(path, error))?,
        };
        only_shards(path, names)
    }

    fn queue(&self, name: &Arc<str>) -> Queue {
        self.state().queues.entry(Arc::clone(name)).or_insert_with(|| self.open(name)).clone()
    }

    fn open(&self, name: &str) -> Queue {
        let claims = znode::path::join(&self.shelf.claims, name).into();
        Queue::at(Shelf { path: self.below(name).into(), claims, ..self.shelf.clone() })
    }

    fn below(&self, name: &str) -> String {
        znode::path::join(self.path(), name)
    }

    /// What is below the path of the queues is taken for one of them by Curator's.
    fn check_paths(&self) -> Result<(), RecipeError> {
        Path::parse(self.path()).map_err(RecipeError::invalid_path)?;
        for path in [&self.shelf.claims, &self.leaders] {
            Path::parse(path).map_err(RecipeError::invalid_path)?;
            let below = path.strip_prefix(self.path());
            if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                let what = format!("{path:?} is below the path of the queues");
                return Err(RecipeError::invalid_argument(self.path(), what));
            }
        }
        Ok(())
    }
}

/// The names of queues among those of children.
///
/// # Errors
/// `Foreign` if there are items.
pub(super) fn only_shards(path: &str, names: Vec<String>) -> Result<Vec<Arc<str>>, RecipeError> {
    let mut shards = Vec::new();
    for name in names {
        match Child::of(&name) {
            Child::Shard => shards.push(name.into()),
            Child::Item => {
                let what = format!("{name:?} is an item of a queue that has this path");
                return Err(RecipeError::foreign(path, what));
            }
            Child::Stranger => {}
        }
    }
    Ok(shards)
}
