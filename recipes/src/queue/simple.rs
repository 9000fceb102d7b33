//! A queue without acknowledgements: what is taken is gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use znode::{Client, CreateMode, Error, ErrorKind, Op, Parents, Path, Reply, Stat};

use super::candidates::{Candidates, Shelf};
use super::names::{Key, Order, Place};
use crate::final_look::is_unreadable;
use crate::layout::Layout;
use crate::recipe_error::RecipeError;
use crate::witness::Witnesses;

/// What is appended to the path of a queue for the witnesses of what is done to it.
const WITNESSES: &str = "-witnesses";

/// A queue that delivers each item once, and at most once: whoever takes one and dies has it.
///
/// Nothing is lost on the way and nothing put or taken twice, whatever replies are lost: Curator's
/// loses an item whose removal was not answered, and puts one twice whose creation was not.
///
/// It is Curator's `SimpleDistributedQueue` on the wire, which is the queue of ZooKeeper's own
/// recipes; with [`Layout::Kazoo`], kazoo's `Queue`.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::{Layout, SimpleQueue};
///
/// let mails = SimpleQueue::new(&client, "/queues/mail").with_layout(Layout::Kazoo);
/// mails.put("to whom it may concern").await?;
/// println!("{:?} at {}", mails.peek().await?, mails.path());
/// let mail: Vec<u8> = mails.take().await?;
/// let next: Option<Vec<u8>> = mails.try_take().await?;
/// let last = mails.take_timeout(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SimpleQueue {
    shelf: Shelf,
    candidates: Candidates,
    ahead: Arc<Mutex<VecDeque<Ahead>>>,
    parents: Parents,
    /// Made with the first change.
    witnesses: Arc<OnceLock<Witnesses>>,
}

/// An item that is being read before anybody has asked for it, in the same batch as the removal of
/// the one before: then its own removal is all that is waited for. Whoever removes it proves that
/// it is still what was read.
#[derive(Debug)]
struct Ahead {
    place: Place,
    read: Reply<(Bytes, Stat)>,
}

/// How many items are read ahead. With others about, the next one is likely to be gone.
const AHEAD_MAX: usize = 2;

impl SimpleQueue {
    /// The queue at `path`. Whether that can be a path is checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let (client, path) = (client.without_deadline(), path.into());
        let claims = format!("{path}{WITNESSES}").into();
        let shelf = Shelf { client, path: path.into(), claims, order: Order::Simple };
        let (candidates, ahead, witnesses) = Default::default();
        Self { shelf, candidates, ahead, parents: Parents::Container, witnesses }
    }

    /// The same queue, as others name its items.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.parents = layout.parents();
        self.shelf.order = match layout {
            Layout::Kazoo => Order::Kazoo,
            Layout::Curator | Layout::GoZookeeper => Order::Simple,
        };
        self
    }

    /// The path of the queue.
    pub fn path(&self) -> &str {
        &self.shelf.path
    }

    /// Puts an item, once, whatever replies are lost.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth`, `QuotaExceeded`, data over its limit,
    ///   or the end of the session. Then, or where somebody deletes the witness meanwhile, its
    ///   [outcome](RecipeError::outcome) may be `Unknown`.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn put(&self, data: impl AsRef<[u8]>) -> Result<(), RecipeError> {
        self.check_path()?;
        let prefix = self.shelf.order.prefix(&Key::None).expect("items of these have no keys");
        let path = znode::path::join(self.path(), &prefix);
        let put = Op::create(path, data, CreateMode::PersistentSequential);
        loop {
            match self.witnesses().commit(std::slice::from_ref(&put)).await {
                Err(error) if failed_with(&error, ErrorKind::NoNode, None) => {
                    self.make_nodes().await?;
                }
                committed => return committed.map(drop),
            }
        }
    }

    /// Takes the first item; waits until there is one. Where others take as well, it is one of the
    /// first few: as many as it seems to have rivals, so that not all of them ask for the same one.
    ///
    /// It reads up to two items ahead, which others may take all the same.
    ///
    /// # Errors
    /// As [`put`](Self::put); if the outcome is `Unknown`, an item may be taken that nobody has.
    ///
    /// # Cancel safety
    /// If the future is dropped while the removal is in line, the item may be gone: with
    /// [`Queue`](crate::Queue) it comes back.
    ///
    /// # Panics
    /// As [`put`](Self::put).
    pub async fn take(&self) -> Result<Vec<u8>, RecipeError> {
        self.check_path()?;
        loop {
            let (place, read) = match self.next_ahead() {
                Some(Ahead { place, read }) => (place, Some(read)),
                None => {
                    let place = self.candidates.next(&self.shelf).await;
                    (place.map_err(|error| self.failed(error))?, None)
                }
            };
            let taken = self.remove(place, read).await?;
            self.candidates.aimed(taken.is_some());
            if let Some(data) = taken {
                return Ok(data);
            }
        }
    }

    /// Takes the first item, if there is one now.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    ///
    /// # Cancel safety
    /// As [`take`](Self::take).
    ///
    /// # Panics
    /// As [`put`](Self::put).
    pub async fn try_take(&self) -> Result<Option<Vec<u8>>, RecipeError> {
        self.check_path()?;
        loop {
            let (place, read) = match self.next_ahead() {
                Some(Ahead { place, read }) => (place, Some(read)),
                None => match self.candidates.try_next(&self.shelf).await {
                    Ok(Some(place)) => (place, None),
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(self.failed(error)),
                },
            };
            if let Some(data) = self.remove(place, read).await? {
                return Ok(Some(data));
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
    /// As [`put`](Self::put).
    pub async fn take_timeout(&self, limit: Duration) -> Result<Option<Vec<u8>>, RecipeError> {
        if limit.is_zero() {
            return self.try_take().await;
        }
        tokio::time::timeout(limit, self.take()).await.ok().transpose()
    }

    /// The data of the first item, if there is one now; it stays where it is.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn peek(&self) -> Result<Option<Vec<u8>>, RecipeError> {
        self.check_path()?;
        let fresh = Candidates::default();
        loop {
            let place = fresh.try_next(&self.shelf).await.map_err(|error| self.failed(error))?;
            let Some(place) = place else { return Ok(None) };
            let path = znode::path::join(self.path(), &place.name);
            let client = &self.shelf.client;
            match client.until_answered(|| client.get_data(&path)).await {
                Ok((data, _)) => return Ok(Some(data.to_vec())),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) if is_unreadable(&error) => fresh.pass_over(&place, &path, &error),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// What was read ahead comes before all that was only seen.
    fn next_ahead(&self) -> Option<Ahead> {
        self.ahead().pop_front()
    }

    /// Has the next items read, as far as it is known which these are.
    fn read_ahead(&self) {
        if self.shelf.order.is_overtaken() {
            return;
        }
        let mut ahead = self.ahead();
        while ahead.len() < AHEAD_MAX {
            let Some(place) = self.candidates.seen(&self.shelf) else { return };
            let read = self.shelf.client.get_data(&znode::path::join(self.path(), &place.name));
            ahead.push_back(Ahead { place, read });
        }
    }

    fn ahead(&self) -> MutexGuard<'_, VecDeque<Ahead>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an item out, which may be read already; `None` if somebody else was faster, or nobody
    /// can read it.
    async fn remove(
        &self,
        place: Place,
        mut read: Option<Reply<(Bytes, Stat)>>,
    ) -> Result<Option<Vec<u8>>, RecipeError> {
        let path = znode::path::join(self.path(), &place.name);
        let client = &self.shelf.client;
        loop {
            let read = match read.take() {
                Some(read) => read.await,
                None => client.get_data(&path).await,
            };
            let read = match read {
                Err(error) if is_unanswered(&error) => {
                    client.until_answered(|| client.get_data(&path)).await
                }
                read => read,
            };
            let (data, stat) = match read {
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
                Err(error) if is_unreadable(&error) => {
                    self.candidates.pass_over(&place, &path, &error);
                    return Ok(None);
                }
                read => read.map_err(|error| self.failed(error))?,
            };
            self.read_ahead();
            let removal = Op::delete(&path, stat.version);
            match self.witnesses().commit(std::slice::from_ref(&removal)).await {
                Ok(_) => return Ok(Some(data.to_vec())),
                Err(error) if failed_with(&error, ErrorKind::NoNode, Some(0)) => return Ok(None),
                // Somebody has written it since.
                Err(error) if failed_with(&error, ErrorKind::BadVersion, Some(0)) => {}
                Err(error) if failed_with(&error, ErrorKind::NoNode, None) => {
                    self.make_nodes().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn witnesses(&self) -> &Witnesses {
        let new = || Witnesses::new(&self.shelf.client, &*self.shelf.claims);
        self.witnesses.get_or_init(new)
    }

    async fn make_nodes(&self) -> Result<(), RecipeError> {
        for path in [&self.shelf.path, &self.shelf.claims] {
            let made = self.shelf.client.ensure_path(path, self.parents).await;
            made.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    fn check_path(&self) -> Result<(), RecipeError> {
        Path::parse(&self.shelf.path).map_err(RecipeError::invalid_path)?;
        Path::parse(&self.shelf.claims).map_err(RecipeError::invalid_path)?;
        Ok(())
    }

    fn failed(&self, error: Error) -> RecipeError {
        RecipeError::client(self.path(), error)
    }
}

/// Whether no server has answered, and the session may live on.
fn is_unanswered(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionLoss | ErrorKind::Overloaded)
}

/// Whether an operation, this one if it is said, has failed so.
fn failed_with(error: &RecipeError, kind: ErrorKind, index: Option<usize>) -> bool {
    error.client_error().is_some_and(|error| {
        error.kind() == kind && index.is_none_or(|at| error.op_index() == Some(at))
    })
}
