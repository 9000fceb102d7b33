//! A queue whose items come back if they are not acknowledged.

use std::time::Duration;

use futures::stream::{Stream, unfold};
use std::sync::{Arc, OnceLock};
use znode::{Client, CreateMode, ErrorKind, Op, OpResult, Parents, Path};

use super::candidates::{Candidates, Shelf, wall_clock_ms};
use super::delivery::Delivery;
use super::item::{Item, OrderedBy};
use super::names::{Key, Order, Place, as_name};
use super::payload;
use crate::final_look::is_unreadable;
use crate::presence::Presence;
use crate::recipe_error::RecipeError;
use crate::witness::Witnesses;

/// What is appended to the path of a queue for the claims to its items.
const CLAIMS: &str = "-locks";

/// A queue that delivers each item at least once: whoever takes one acknowledges it, or it comes
/// back. An item that is put is there once, whatever replies are lost.
///
/// It is Curator's `DistributedQueue` on the wire, with `putOrderedInBackground` and a lock path
/// ([`with_claims`](Self::with_claims)); or its `DistributedPriorityQueue`, its
/// `DistributedDelayQueue`, its `DistributedIdQueue`.
///
/// ```no_run
/// # async fn send(mail: &[u8]) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Queue;
///
/// let mails = Queue::new(&client, "/queues/mail");
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
/// use znode_recipes::{Item, Queue};
///
/// let jobs = Queue::by_priority(&client, "/queues/jobs")
///     .with_capacity(1_000)
///     .with_claims("/queues/jobs-in-work");
/// jobs.put(Item::new("urgent").with_priority(-1)).await?;
/// if let Some(job) = jobs.try_take().await? {
///     job.nack().await?;
/// }
/// let job = jobs.take_timeout(Duration::from_secs(5)).await?;
/// println!("{} left at {}, and {:?}", jobs.item_count().await?, jobs.path(), job);
///
/// let reminders = Queue::delayed(&client, "/queues/reminders");
/// reminders.put(Item::new("tea").with_delay(Duration::from_secs(300))).await?;
///
/// let orders = Queue::by_id(&client, "/queues/orders");
/// orders.put(Item::new("two of them").with_id("4711")).await?;
/// println!("{} taken back", orders.remove("4711").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Queue {
    shelf: Shelf,
    candidates: Candidates,
    capacity: Option<usize>,
    /// Made with the first item that is put.
    witnesses: Arc<OnceLock<Witnesses>>,
}

impl Queue {
    /// The queue at `path`, in the order in which its items are put. Whether that can be a path is
    /// checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Put)
    }

    /// The queue at `path`, in the order of [priorities](Item::with_priority): the smallest first,
    /// and of equal ones the one that was put first.
    pub fn by_priority(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Priority)
    }

    /// The queue at `path`, whose items are taken when their [delay](Item::with_delay) is over.
    pub fn delayed(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Due)
    }

    /// The queue at `path`, whose items have [ids](Item::with_id) by which they can be removed.
    pub fn by_id(client: &Client, path: impl Into<String>) -> Self {
        Self::ordered(client, path.into(), Order::Id)
    }

    fn ordered(client: &Client, path: String, order: Order) -> Self {
        let (client, claims) = (client.without_deadline(), format!("{path}{CLAIMS}").into());
        Self::at(Shelf { client, path: path.into(), claims, order })
    }

    pub(super) fn at(shelf: Shelf) -> Self {
        Self { shelf, candidates: Candidates::default(), capacity: None, witnesses: Arc::default() }
    }

    /// The same queue, in which [`put`](Self::put) waits while there are so many items. Several
    /// who put at once may exceed it by as many as they are.
    #[must_use]
    pub fn with_capacity(mut self, items: usize) -> Self {
        self.capacity = Some(items);
        self
    }

    /// The same queue, with the claims to its items at another path: Curator's lock path. Otherwise
    /// they stand beside the queue, at its path with `-locks`. Who uses the queue must name the
    /// same.
    #[must_use]
    pub fn with_claims(mut self, path: impl Into<String>) -> Self {
        self.shelf.claims = path.into().into();
        self
    }

    /// The path of the queue.
    pub fn path(&self) -> &str {
        &self.shelf.path
    }

    /// How many items there are, taken or not, as the server that this client is connected to knows
    /// it.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn item_count(&self) -> Result<usize, RecipeError> {
        self.check_paths()?;
        let (client, path) = (&self.shelf.client, &*self.shelf.path);
        let stat = client.until_answered(|| client.exists(path)).await;
        let stat = stat.map_err(|error| self.failed(error))?;
        Ok(stat.map_or(0, |stat| usize::try_from(stat.num_children).unwrap_or(0)))
    }

    /// Puts an item, once, whatever replies are lost.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `InvalidArgument` for an item with a key that this queue has no order by, or without the
    ///   id that it needs; nothing was sent;
    /// - `Exhausted` if the server has numbered 2³¹ items and goes on with negative numbers; the
    ///   item was taken out again, and the queue's node must be made anew;
    /// - `Client` with the client's own error, as `NoAuth`, `QuotaExceeded`, data over its limit,
    ///   or the end of the session. Then, or where somebody deletes the witness meanwhile, its
    ///   [outcome](RecipeError::outcome) may be `Unknown`.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn put(&self, item: impl Into<Item>) -> Result<(), RecipeError> {
        let item = item.into();
        self.check_paths()?;
        let path = self.prefix_of(&item)?;
        let Some(data) = payload::encode(&item.data) else {
            let what = format!("{} bytes are more than an item can have", item.data.len());
            return Err(RecipeError::invalid_argument(self.path(), what));
        };
        self.wait_for_room().await?;
        let op = Op::create(path, data, CreateMode::PersistentSequential);
        let witnesses = || Witnesses::new(&self.shelf.client, &*self.shelf.claims);
        let witnesses = self.witnesses.get_or_init(witnesses);
        let results = loop {
            match witnesses.commit(std::slice::from_ref(&op)).await {
                Err(error) if is_missing(&error) => self.make_nodes().await?,
                committed => break committed?,
            }
        };
        if let Some([OpResult::Created(created)]) = results.as_deref()
            && self.shelf.place(&created.path).is_some_and(|place| place.has_rolled_over())
        {
            let deleting = self.shelf.client.delete_guaranteed(&created.path);
            deleting.await.map_err(|error| self.failed(error))?;
            return Err(RecipeError::exhausted(self.path(), "the number of the item is negative"));
        }
        Ok(())
    }

    /// Takes the first item that nobody else has taken; waits until there is one.
    ///
    /// It costs one round trip for an item that was seen before, and three more to see which there
    /// are. Items that are no Curator's, or that cannot be read, are passed over, with a warning in
    /// the log, and left as they are.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session.
    ///
    /// # Cancel safety
    /// If the future is dropped, an item that was taken is given back in the background.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn take(&self) -> Result<Delivery, RecipeError> {
        self.check_paths()?;
        loop {
            let place = self.look().await?;
            if let Some(delivery) = self.claim(place).await? {
                return Ok(delivery);
            }
        }
    }

    /// Takes the first item that nobody else has taken, if there is one now.
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
        loop {
            let place = self.candidates.try_next(&self.shelf).await;
            let Some(place) = place.map_err(|error| self.failed(error))? else { return Ok(None) };
            if let Some(delivery) = self.claim(place).await? {
                return Ok(Some(delivery));
            }
        }
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

    /// All deliveries, one after the other, for whoever works at nothing else. It ends after an
    /// error.
    ///
    /// ```no_run
    /// # async fn send(mail: &[u8]) {}
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
    /// use std::pin::pin;
    ///
    /// use futures::TryStreamExt;
    /// use znode_recipes::Queue;
    ///
    /// let mut mails = pin!(Queue::new(&client, "/queues/mail").deliveries());
    /// while let Some(mail) = mails.try_next().await? {
    ///     send(mail.data()).await;
    ///     mail.ack().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// As [`take`](Self::take).
    pub fn deliveries(&self) -> impl Stream<Item = Result<Delivery, RecipeError>> + Send + use<> {
        unfold(Some(self.clone()), |queue| async {
            let queue = queue?;
            let taken = queue.take().await;
            let next = taken.is_ok().then_some(queue);
            Some((taken, next))
        })
    }

    /// Removes the items that were put with this id and that nobody has taken; returns how many.
    ///
    /// # Errors
    /// As [`take`](Self::take); `InvalidArgument` if the items of this queue have none.
    ///
    /// # Cancel safety
    /// If the future is dropped, some may be removed.
    ///
    /// # Panics
    /// As [`take`](Self::take).
    pub async fn remove(&self, id: &str) -> Result<usize, RecipeError> {
        self.check_paths()?;
        if self.shelf.order != Order::Id {
            let what = "items of this queue have no ids";
            return Err(RecipeError::invalid_argument(self.path(), what));
        }
        let (client, path) = (&self.shelf.client, &*self.shelf.path);
        let names = match client.until_answered(|| client.get_children(path)).await {
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(0),
            listed => listed.map_err(|error| self.failed(error))?,
        };
        let id = as_name(id);
        let mut removed = 0;
        for name in names.iter().filter(|name| Order::Id.id(name) == Some(&id)) {
            let Some(place) = Order::Id.place(name) else { continue };
            if let Some(delivery) = self.claim(place).await? {
                delivery.ack().await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Queue {
    fn prefix_of(&self, item: &Item) -> Result<String, RecipeError> {
        let key = match &item.ordered_by {
            OrderedBy::Nothing => Key::None,
            OrderedBy::Priority(priority) => Key::Priority(*priority),
            OrderedBy::Id(id) => Key::Id(id.clone()),
            OrderedBy::Delay(delay) => {
                let ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                Key::Due(wall_clock_ms().saturating_add(ms))
            }
        };
        let prefix = self.shelf.order.prefix(&key).ok_or_else(|| {
            let what = format!("a queue in the order of {:?} has no such item", self.shelf.order);
            RecipeError::invalid_argument(self.path(), what)
        })?;
        let path = znode::path::join(self.path(), &prefix);
        // An id may have what no path can.
        Path::parse(&path).map_err(RecipeError::invalid_path)?;
        Ok(path)
    }

    /// Waits while there are too many items.
    async fn wait_for_room(&self) -> Result<(), RecipeError> {
        let Some(capacity) = self.capacity else { return Ok(()) };
        let (client, path) = (&self.shelf.client, self.path());
        if self.item_count().await? < capacity.max(1) {
            return Ok(());
        }
        loop {
            let listed = client.until_answered(|| client.get_children_watched(path)).await;
            let (items, _, watcher) = match listed {
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
                listed => listed.map_err(|error| self.failed(error))?,
            };
            if items.len() < capacity.max(1) {
                return Ok(());
            }
            watcher.await.map_err(|error| self.failed(error))?;
        }
    }

    /// The first item that may be free; waits until there is one.
    pub(super) async fn look(&self) -> Result<Place, RecipeError> {
        let place = self.candidates.next(&self.shelf).await;
        place.map_err(|error| self.failed(error))
    }

    /// Makes an item ours; `None` if it is somebody else's, or gone, or no item.
    pub(super) async fn claim(&self, place: Place) -> Result<Option<Delivery>, RecipeError> {
        let Shelf { client, path, claims, .. } = &self.shelf;
        let item = znode::path::join(path, &place.name);
        let mut claim = Presence::claim(client, znode::path::join(claims, &place.name));
        // The read is in line behind the claim, and so of what was claimed.
        let mut attempt = 1;
        let (claimed, read) = loop {
            let (claimed, read) = tokio::join!(claim.enter_below(b""), async {
                let read = client.get_data(&item);
                read.await
            });
            match claimed {
                Err(error) if error.kind() == ErrorKind::NoNode && attempt < PARENTS_MAX => {
                    attempt += 1;
                    // What is missing above is made to stay, as by who puts. What was read
                    // meanwhile was nobody's.
                    let made = client.ensure_path(claims, Parents::Persistent).await;
                    made.map_err(|error| self.failed(error))?;
                }
                claimed => break (claimed, read),
            }
        };
        if !claimed.map_err(|error| self.failed(error))? {
            return Ok(None);
        }
        let read = match read {
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                client.until_answered(|| client.get_data(&item)).await
            }
            read => read,
        };
        let data = match read {
            Ok((data, _)) => data,
            Err(error) if error.kind() == ErrorKind::NoNode => {
                claim.leave().await.map_err(|error| self.failed(error))?;
                return Ok(None);
            }
            Err(error) if is_unreadable(&error) => {
                self.candidates.pass_over(&place, &item, &error);
                return Ok(None);
            }
            Err(error) => return Err(self.failed(error)),
        };
        let Some(items) = payload::decode(&data) else {
            self.candidates.pass_over(&place, &item, "it is no item of a queue");
            return Ok(None);
        };
        let (shelf, candidates) = (self.shelf.clone(), self.candidates.clone());
        Ok(Some(Delivery { shelf, candidates, place, path: item, claim, items }))
    }

    /// Makes both, to stay while they are empty: Curator's make them when they start, and what they
    /// put or take fails if a server has taken them away since.
    pub(super) async fn make_nodes(&self) -> Result<(), RecipeError> {
        let (client, mode) = (&self.shelf.client, CreateMode::Persistent);
        for path in [&self.shelf.path, &self.shelf.claims] {
            let make = || client.create_with_parents(path, "", mode, Parents::Container);
            match client.until_answered(make).await {
                Err(error) if error.kind() != ErrorKind::NodeExists => {
                    return Err(self.failed(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), RecipeError> {
        for path in [&self.shelf.path, &self.shelf.claims] {
            Path::parse(path).map_err(RecipeError::invalid_path)?;
        }
        Ok(())
    }

    fn failed(&self, error: znode::Error) -> RecipeError {
        RecipeError::client(self.path(), error)
    }
}

/// How often the node of the claims may be taken away before that is the caller's to hear of.
const PARENTS_MAX: usize = 10;

fn is_missing(error: &RecipeError) -> bool {
    error.client_error().is_some_and(|error| error.kind() == ErrorKind::NoNode)
}
