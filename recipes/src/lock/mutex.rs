//! A lock that one holds at a time, in the order in which they asked.

use std::future::Future;
use std::time::Duration;

use znode::Client;

use super::line::{Line, Patience};
use super::place::Waiting;
use super::within::within;
use crate::error::LockError;
use crate::guard::Guard;
use crate::options::LockOptions;
use crate::sequence::{Mode, Naming};

/// An exclusive lock, fair and first come first served, at a path of the ensemble.
///
/// It is Curator's `InterProcessMutex` on the wire: each contender is an ephemeral sequential
/// node `_c_<uuid>-lock-<number>` below the path, whose missing nodes are made as containers, so
/// users of Curator and go-zookeeper contend for the same lock. kazoo's contenders are waited
/// for; for kazoo to wait for ours see [`Layout`](crate::Layout). Other children are ignored,
/// unless they belong to another recipe: such a path is refused as
/// [`OtherRecipe`](crate::LockErrorKind::OtherRecipe).
///
/// It is not re-entrant: who holds it and asks again waits for itself;
/// [`ReentrantGuard`](crate::ReentrantGuard) is for those who must. Debug builds warn of that, and
/// of locks that are asked for in one order here and in the other there. A `Mutex` is a name, and
/// cheap to clone; nothing is sent before a future of it is polled.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// let mutex = znode_recipes::Mutex::new(&client, "/locks/invoice-run");
/// let guard = mutex.lock().await?;
/// guard.client().set_data("/invoices/last", "4711", znode::Version::ANY).await?;
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
///
/// # What it costs
/// Where nobody is ahead, one round trip of two requests. The second in line sends one more, to
/// watch the one ahead, and has the lock as soon as that leaves. Who is further back lists again
/// when the one directly ahead leaves, since that may have given up while others hold. A release is
/// one request; it wakes one waiter. A guard adds one request, to watch its own node, if it is
/// asked for news.
///
/// Whoever has been sent away, its node having been deleted by somebody else, takes a new place;
/// but who is second in line does not look again, and is granted a lock that is lost already. A
/// [strict](LockOptions::strict) one does look, with one request more.
///
/// # Lost connections and sessions
/// While the connection is down, waiting goes on, in the same place in line if the session
/// survives. A create whose answer was lost is looked for by its GUID, and counts only if this
/// session owns what was found (CURATOR-79, CURATOR-498, CURATOR-604). Nothing is ever asked
/// again in the name of another session.
///
/// With less patience:
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::time::Duration;
/// use znode_recipes::{LockOptions, Mutex};
///
/// let mutex = Mutex::new(&client, "/locks/one").with_options(LockOptions::new().strict());
/// if let Some(guard) = mutex.try_lock().await? {
///     return guard.release().await;
/// }
/// println!("{} stand in line at {}", mutex.participants().await?.len(), mutex.path());
/// if let Some(guard) = mutex.lock_timeout(Duration::from_secs(5)).await? {
///     return guard.release().await;
/// }
/// println!("the holder was asked to let go: {}", mutex.revoke().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Mutex {
    line: Line,
}

impl Mutex {
    /// The lock at `path`. Whether that can be a path is checked when the lock is first asked
    /// for.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self { line: Line::new(client, path.into(), Naming::LOCK, Mode::Exclusive) }
    }

    /// The same lock, asked for in another way.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.line.options = options;
        self
    }

    /// The same lock, whose holder leaves a tombstone beside it for as long as it holds: its
    /// successor finds that, if the holder has died, and may wait for `delay` or look after what
    /// was left half done; see [`Guard::unclean_death`]. (Chubby's lock-delay.)
    ///
    /// The tombstone is a persistent node `<path>-tombstone`, written in one transaction with a
    /// check of the lock's node after that was granted, and deleted in one transaction with it: two
    /// requests more, one after the other. All who contend should do so; who does not, and
    /// Curator does not, leaves and finds none. Nobody is kept waiting by force.
    ///
    /// ```no_run
    /// # async fn recover(token: znode::Zxid) {}
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
    /// use std::time::Duration;
    ///
    /// let mutex = znode_recipes::Mutex::new(&client, "/locks/invoice-run");
    /// let guard = mutex.with_lock_delay(Duration::from_secs(60)).lock().await?;
    /// if let Some(death) = guard.unclean_death() {
    ///     recover(death.holder().token()).await;
    ///     guard.wait_out_delay().await?;
    /// }
    /// guard.release().await
    /// # }
    /// ```
    #[must_use]
    pub fn with_lock_delay(mut self, delay: Duration) -> Self {
        self.line.lock_delay = Some(delay);
        self
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// The path of the lock.
    pub fn path(&self) -> &str {
        &self.line.path
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth`, `QuotaExceeded`, or the end of the
    ///   session;
    /// - `OtherRecipe` if something else contends at the path;
    /// - `SequenceExhausted` if the children of the path cannot be ordered any more;
    /// - `PlaceDeleted` if somebody deletes each of our nodes.
    ///
    /// # Cancel safety
    /// If the future is dropped, at whatever point, its node is removed in the background, also
    /// one whose creation is under way (kazoo#732, CURATOR-79); those in line behind it stay in
    /// line, and nobody is woken but the next, who moves up.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub fn lock(&self) -> impl Future<Output = Result<Guard, LockError>> + Send + use<> {
        let line = self.line.clone();
        async move { line.turn().await }
    }

    /// Takes the lock if nobody has it or waits for it; `None` otherwise, with nothing left
    /// behind.
    ///
    /// It takes a place in line to find out, so the answer is true of the moment in which it
    /// did, and not of what a server that is behind still shows. It waits for the answers of the
    /// ensemble, but for no other contender.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    pub fn try_lock(
        &self,
    ) -> impl Future<Output = Result<Option<Guard>, LockError>> + Send + use<> {
        let line = self.line.clone();
        async move { line.stand(Patience::None, drop).await }
    }

    /// Waits for the lock no longer than `limit`; `None` if that was not long enough.
    ///
    /// The limit covers everything, lost connections too, on tokio's clock from the first poll.
    /// When it is over, this returns at once: the removal of the node is in line before whatever
    /// is asked of the client next, or follows the creation if that is still under way.
    ///
    /// A limit of zero tries once, as [`try_lock`](Self::try_lock) does.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    pub fn lock_timeout(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<Guard>, LockError>> + Send + use<> {
        within(limit, self.lock(), self.try_lock())
    }

    /// Waits for the lock, and tells of the place in line meanwhile: whenever the one directly
    /// ahead leaves, and every `interval` if one is given. Each time costs one list: a thousand who
    /// wait and look every second are a thousand lists a second. (CURATOR-592.)
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
    /// use futures::StreamExt;
    /// use std::time::Duration;
    /// use znode_recipes::{Mutex, Progress};
    ///
    /// let mut waiting = Mutex::new(&client, "/locks/one").queue(Some(Duration::from_secs(5)));
    /// while let Some(progress) = waiting.next().await {
    ///     match progress? {
    ///         Progress::Waiting(place) => println!("{} ahead of us", place.position),
    ///         Progress::Granted(guard) => return guard.release().await,
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it is polled outside of a tokio runtime with time enabled.
    pub fn queue(&self, interval: Option<Duration>) -> Waiting {
        let patience = interval.map_or(Patience::Endless, Patience::Curious);
        Waiting::new(self.line.clone(), patience)
    }

    /// The nodes of all contenders, in order: the first one's holds the lock.
    ///
    /// # Errors
    /// As [`lock`](Self::lock). Where there is no lock there are no contenders.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn participants(&self) -> Result<Vec<String>, LockError> {
        self.line.contenders(|_, path| path).await
    }

    /// Asks whoever holds the lock to let go, by writing `__REVOKE__` into its node; `false` if
    /// nobody holds it. Holders of ours hear of it if they listen to [`Guard::revoked`], Curator's
    /// if they were made revocable; nobody is forced.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    pub async fn revoke(&self) -> Result<bool, LockError> {
        match self.participants().await?.first() {
            Some(holder) => self.line.revoke(holder).await,
            None => Ok(false),
        }
    }
}
