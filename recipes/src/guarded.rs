//! Writes that only the holder of a lock can do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use znode::{Acl, CreateMode, Created, Op, OpResult, Reply, Stat, State, Version};

use crate::error::LockError;
use crate::holding::Holding;
use crate::loss::LostReason;
use crate::parked::Parked;

/// A client whose writes take effect only while a lock is held: a former holder changes nothing,
/// whatever it believes and however late its request arrives.
///
/// Each write is one transaction that first checks that the lock's node exists. That node's path
/// has a GUID and a sequence number in it, so no other node will ever bear it, and whatever
/// exists there is the lock's. Its version does not matter: anybody may write a note into it.
/// The check takes READ on the node.
///
/// It is the lock's client in all else: it compresses what that does, and waits as long. It can be
/// cloned and moved like any client, and outlives its guard: after the release every
/// write fails with `LockLost`. (This is what CURATOR-689, CURATOR-637 and go-zookeeper#207 ask
/// for.)
///
/// ```no_run
/// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
/// use znode::{Acl, CreateMode, Op, Version};
///
/// let writer = guard.client();
/// let mode = CreateMode::Persistent;
/// writer.create("/invoices/4711", "draft", mode).await?;
/// writer.create_with_acl("/invoices/4711/paid", "", mode, &[Acl::read_only()]).await?;
/// let done = [Op::delete("/todo/4711", Version::ANY), Op::set_data("/invoices/4711", "sent", 0)];
/// writer.multi(done).await?; // both or none, and neither without the lock
/// writer.delete("/invoices/4710", Version::ANY).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Like those of [`Client`](znode::Client), operations take their place in line when they are
/// called, and dropping a future does not withdraw its request; but for those that are parked.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    /// One, or several that must all be held; never none.
    holdings: Arc<[Holding]>,
    /// A check of each one's node.
    checks: Arc<[Op]>,
    /// The lock, as its caller named it.
    lock: Arc<str>,
    /// How long writes may wait for a connection.
    grace: Option<Duration>,
}

/// The answer to a guarded write, which is in line already, or parked.
///
/// ```no_run
/// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
/// use znode::Version;
///
/// let writer = guard.client();
/// // Both are in line now, so this takes one round trip.
/// let replies = ["/a", "/b"].map(|path| writer.set_data(path, "new", Version::ANY));
/// for reply in replies {
///     println!("version {}", reply.await?.version);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping it does not withdraw a request that is in line. One that is parked is not sent.
#[must_use = "the operation is under way, but its failure would go unnoticed"]
pub struct GuardedReply<T> {
    answer: Answer,
    /// Takes the caller's result from those of its operations, if it is of the right kind.
    result: fn(Vec<OpResult>) -> Option<T>,
    /// How many checks come before what the caller asked for.
    checks: usize,
    lock: Arc<str>,
}

enum Answer {
    /// The lock was known to be lost: nothing was sent.
    Lost(LostReason),
    InLine(Reply<Vec<OpResult>>),
    /// It waits for a connection, if there is none.
    Patient(BoxFuture<'static, Result<Vec<OpResult>, LockError>>),
}

impl GuardedClient {
    pub(crate) fn new(holding: &Holding, lock: &Arc<str>, grace: Option<Duration>) -> Self {
        let checks = Arc::from([Op::check(&**holding.node(), Version::ANY)]);
        Self { holdings: Arc::from([holding.clone()]), checks, lock: Arc::clone(lock), grace }
    }

    /// A client for writes that need several locks, each with its check; there must be one.
    pub(crate) fn of_several(
        holdings: Arc<[Holding]>,
        checks: Arc<[Op]>,
        lock: &str,
        grace: Option<Duration>,
    ) -> Self {
        assert!(!holdings.is_empty(), "a guard of no lock guards no writes");
        Self { holdings, checks, lock: lock.into(), grace }
    }

    /// The same client, whose writes are parked for up to `limit` while the connection is down,
    /// and then fail as [`Suspect`](crate::LockErrorKind::Suspect), having changed nothing.
    ///
    /// Without a limit, what is asked while the connection is down waits in line for as long as
    /// the session may live, and what was in line when it went down fails. With it, both wait: the
    /// lock may be held still, and then nothing has happened. What may have been sent already is
    /// not sent again; it fails, its outcome unknown. Writes that are parked go when they are
    /// polled, in no certain order, and no more if their future is dropped. (Chubby: the grace
    /// period of a client in jeopardy, 45 seconds there.)
    ///
    /// ```no_run
    /// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
    /// use std::time::Duration;
    ///
    /// let writer = guard.client().with_grace(Duration::from_secs(45));
    /// writer.set_data("/invoices/last", "4711", znode::Version::ANY).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_grace(&self, limit: Duration) -> Self {
        Self { grace: Some(limit), ..self.clone() }
    }

    /// Creates a node; see [`Client::create`](znode::Client::create).
    ///
    /// # Errors
    /// - `LockLost`, and nothing was done; or, if its [outcome](LockError::outcome) is `Unknown`,
    ///   the session ended before the answer came, and it may have been done under the lock;
    /// - `Suspect`, and nothing was done, with a [grace](Self::with_grace) that is over;
    /// - `Client` with the client's own error.
    pub fn create(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
    ) -> GuardedReply<Created> {
        self.checked([Op::create(path, data, mode)], created)
    }

    /// Creates a node with an access control list of its own.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_acl(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
        acl: &[Acl],
    ) -> GuardedReply<Created> {
        self.checked([Op::create_with_acl(path, data, mode, acl)], created)
    }

    /// Writes the data of a node; see [`Client::set_data`](znode::Client::set_data).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn set_data(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Version>,
    ) -> GuardedReply<Stat> {
        self.checked([Op::set_data(path, data, version)], |mut results| match results.pop()? {
            OpResult::DataSet(stat) => Some(stat),
            _ => None,
        })
    }

    /// Deletes a node; see [`Client::delete`](znode::Client::delete).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn delete(&self, path: &str, version: impl Into<Version>) -> GuardedReply<()> {
        self.checked([Op::delete(path, version)], |mut results| match results.pop()? {
            OpResult::Deleted => Some(()),
            _ => None,
        })
    }

    /// Carries out several writes as one transaction; see [`Client::multi`](znode::Client::multi).
    ///
    /// # Errors
    /// As [`create`](Self::create), where [`LockError::op_index`] counts the operations that were
    /// given here.
    pub fn multi(&self, ops: impl IntoIterator<Item = Op>) -> GuardedReply<Vec<OpResult>> {
        self.checked(ops, Some)
    }

    fn checked<T>(
        &self,
        ops: impl IntoIterator<Item = Op>,
        result: fn(Vec<OpResult>) -> Option<T>,
    ) -> GuardedReply<T> {
        let ops = self.checks.iter().cloned().chain(ops);
        let lost = self.holdings.iter().find_map(Holding::lost_by_now);
        let answer = match (lost, self.grace) {
            (Some(reason), _) => Answer::Lost(reason),
            (None, None) => Answer::InLine(self.holdings[0].writer().multi(ops)),
            (None, Some(grace)) => self.patient(ops.collect(), grace),
        };
        GuardedReply { answer, result, checks: self.checks.len(), lock: Arc::clone(&self.lock) }
    }

    fn patient(&self, ops: Vec<Op>, grace: Duration) -> Answer {
        let (holdings, lock) = (Arc::clone(&self.holdings), Arc::clone(&self.lock));
        let client = holdings[0].writer();
        let reply = (client.state() == State::Connected).then(|| client.multi(ops.clone()));
        let checks = self.checks.len();
        Answer::Patient(Parked { holdings, lock, ops, checks, grace, reply }.write().boxed())
    }
}

fn created(mut results: Vec<OpResult>) -> Option<Created> {
    match results.pop()? {
        OpResult::Created(created) => Some(created),
        _ => None,
    }
}

impl<T> Future for GuardedReply<T> {
    type Output = Result<T, LockError>;

    /// # Panics
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { answer, result, checks, lock } = &mut *self;
        let answer = match answer {
            Answer::Lost(reason) => Err(LockError::lost(lock, *reason)),
            Answer::InLine(reply) => {
                let answered = ready!(Pin::new(reply).poll(cx));
                answered.map_err(|error| LockError::guarded_by(lock, error, *checks))
            }
            Answer::Patient(write) => ready!(write.poll_unpin(cx)),
        };
        Poll::Ready(answer.and_then(|mut results| {
            let is_checked = results.iter().take(*checks).all(|it| *it == OpResult::Checked);
            let rest = (is_checked && results.len() >= *checks).then(|| results.split_off(*checks));
            rest.and_then(*result).ok_or_else(|| LockError::unexpected(lock))
        }))
    }
}

impl<T> fmt::Debug for GuardedReply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedReply").field("lock", &self.lock).finish_non_exhaustive()
    }
}
