//! A number of permits, of which each holder has some.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use znode::{Client, ErrorKind, Path};

use super::leases::Leases;
use super::limit::Limit;
use super::line::{Line, Patience};
use super::permits::Permits;
use super::within::within;
use crate::error::LockError;
use crate::guard::Guard;
use crate::layout::Layout;
use crate::options::LockOptions;
use crate::sequence::{self, LEASES, LOCKS, Mode, Naming};

/// A counting semaphore: at most so many permits are held at any time, at a path of the ensemble.
///
/// It is Curator's `InterProcessSemaphoreV2` on the wire: a permit is an ephemeral sequential node
/// `<path>/leases/_c_<uuid>-lease-<number>`, made under a mutex at `<path>/locks`. How many there
/// are is a matter of agreement, or stands in a node, as Curator's `SharedCount` writes it.
///
/// Permits are granted in the order in which they were asked for. Several are granted together, or
/// none of them; a request for several that do not fit lets those through that want fewer, for a
/// while. (Curator acquires them one by one, and blocks everybody meanwhile.)
///
/// Each permit is a [`Guard`]: it has a token, learns of its loss, and admits writes that need it.
/// Those of one semaphore are not exclusive, of course; their tokens tell who came later.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::Semaphore;
///
/// let downloads = Semaphore::new(&client, "/limits/downloads", 10);
/// let permit = downloads.acquire().await?;
/// let big = downloads.acquire_many(4).await?;
/// big.release().await?;
/// permit.release().await
/// # }
/// ```
///
/// # What it costs
/// Three round trips of four requests where permits are free, and a look at the path before the
/// first. Of those who wait, the first in line
/// hears of each release, and nobody else but those who let others through.
///
/// With a limit that can be changed, and less patience:
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::time::Duration;
/// use znode_recipes::{LockOptions, Semaphore};
///
/// let uploads = Semaphore::with_shared_limit(&client, "/limits/uploads", "/limits/count", 4)
///     .with_options(LockOptions::new().strict());
/// println!("{} are held at {}", uploads.participants().await?.len(), uploads.path());
/// let one = uploads.try_acquire().await?;
/// let two = uploads.try_acquire_many(2).await?;
/// let patient = uploads.acquire_timeout(2, Duration::from_secs(5)).await?;
/// uploads.set_permits(8).await?; // for all who use it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Semaphore {
    client: Client,
    path: String,
    limit: Limit,
    options: LockOptions,
    /// Whether the path was seen to be used for nothing else.
    is_ours: Arc<AtomicBool>,
}

impl Semaphore {
    /// The semaphore at `path` with so many permits; all who use it must say the same. Whether the
    /// path can be one is checked when permits are first asked for.
    pub fn new(client: &Client, path: impl Into<String>, permits: u32) -> Self {
        Self::with_limit(client, path.into(), Limit::Fixed(permits))
    }

    /// The semaphore at `path` with as many permits as stand in the node at `count_path`, which may
    /// be changed at any time; see [`set_permits`](Self::set_permits). Where there is none, it is
    /// made with `seed`.
    pub fn with_shared_limit(
        client: &Client,
        path: impl Into<String>,
        count_path: impl Into<String>,
        seed: u32,
    ) -> Self {
        let limit = Limit::Shared { path: count_path.into().into(), seed };
        Self::with_limit(client, path.into(), limit)
    }

    fn with_limit(client: &Client, path: String, limit: Limit) -> Self {
        let (client, options) = (client.clone(), LockOptions::new());
        Self { client, path, limit, options, is_ours: Arc::default() }
    }

    /// The same semaphore, asked for in another way.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.options = options;
        self
    }

    /// The path of the semaphore.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Unsatisfiable` if there are not as many permits at all, before anything is sent; where
    ///   their number is shared it may rise, and is waited for;
    /// - `Client` with the client's own error, as `NoAuth`, `QuotaExceeded`, or the end of the
    ///   session;
    /// - `OtherRecipe` if the path is used for something else, or the shared number is none;
    /// - `SequenceExhausted` and `PlaceDeleted` as for a [`Mutex`](crate::Mutex::lock).
    ///
    /// # Cancel safety
    /// If the future is dropped, at whatever point, what it has or is about to have is given back
    /// in the background. (CURATOR-315, CURATOR-335, CURATOR-462.)
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub fn acquire(&self) -> impl Future<Output = Result<Guard, LockError>> + Send + use<> {
        let semaphore = self.clone();
        async move {
            let permits = semaphore.take(1, Patience::Endless).await?;
            Ok(only(permits).expect("endless patience ends with permits or an error"))
        }
    }

    /// Waits for `count` permits together; for none of them it does not wait.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    pub fn acquire_many(
        &self,
        count: u32,
    ) -> impl Future<Output = Result<Permits, LockError>> + Send + use<> {
        let semaphore = self.clone();
        async move {
            let permits = semaphore.take(count, Patience::Endless).await?;
            Ok(permits.expect("endless patience ends with permits or an error"))
        }
    }

    /// Takes a permit if one is free and nobody waits for one; `None` otherwise, with nothing left
    /// behind.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire(
        &self,
    ) -> impl Future<Output = Result<Option<Guard>, LockError>> + Send + use<> {
        let semaphore = self.clone();
        async move { Ok(only(semaphore.take(1, Patience::None).await?)) }
    }

    /// Takes `count` permits together if so many are free and nobody waits for any.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire_many(
        &self,
        count: u32,
    ) -> impl Future<Output = Result<Option<Permits>, LockError>> + Send + use<> {
        let semaphore = self.clone();
        async move { semaphore.take(count, Patience::None).await }
    }

    /// Waits for `count` permits together no longer than `limit`; `None` if that was not long
    /// enough. The limit covers everything, as that of
    /// [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    pub fn acquire_timeout(
        &self,
        count: u32,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<Permits>, LockError>> + Send + use<> {
        within(limit, self.acquire_many(count), self.try_acquire_many(count))
    }

    /// Changes how many permits there are, where that is shared; `false` if it is fixed. If there
    /// are fewer than are held now, they stay with their holders, and no others are granted until
    /// enough have been released; if there are more, as many waiters have theirs as fit.
    ///
    /// # Errors
    /// `Client` with the client's own error.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    pub async fn set_permits(&self, permits: u32) -> Result<bool, LockError> {
        self.limit.write(&self.own_client(), permits).await
    }

    /// The nodes of all permits that are held, in the order in which they were granted.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn participants(&self) -> Result<Vec<String>, LockError> {
        let leases = znode::path::join(&self.path, LEASES);
        let line = Line::new(&self.client, leases, Naming::LEASE, Mode::Shared);
        line.contenders(|_, path| path).await
    }

    async fn take(&self, count: u32, patience: Patience) -> Result<Option<Permits>, LockError> {
        Path::parse(&self.path).map_err(LockError::invalid_path)?;
        if count == 0 {
            return Ok(Some(Permits::new(Vec::new())));
        }
        if let Limit::Fixed(limit) = self.limit
            && count > limit
        {
            return Err(LockError::unsatisfiable(&self.path, count, limit));
        }
        self.check_path().await?;
        let leases = znode::path::join(&self.path, LEASES);
        let leases = Path::parse(&leases).map_err(LockError::invalid_path)?;
        let locks = znode::path::join(&self.path, LOCKS);
        let mut line = Line::new(&self.client, locks, Naming::LOCK, Mode::Exclusive);
        // Nobody but Curator has semaphores like this.
        let options = LockOptions { layout: Layout::Curator, ..self.options.clone() };
        // Under the mutex nothing is done for which anybody would wait for the clock.
        line.options = LockOptions { strict: false, ..options.clone() };
        let (semaphore, limit) = (self.path.as_str().into(), self.limit.clone());
        let leases = Leases { semaphore, line, parent: leases, limit, options };
        Ok(leases.acquire(count, patience).await?.map(Permits::new))
    }
}

impl Semaphore {
    /// For what the semaphore needs itself.
    fn own_client(&self) -> Client {
        self.client.without_deadline().without_compression()
    }

    /// Looks once whether others contend for something else right below the path: neither we nor
    /// they would ever notice.
    async fn check_path(&self) -> Result<(), LockError> {
        if self.is_ours.load(Ordering::Relaxed) {
            return Ok(());
        }
        let client = self.own_client();
        match client.until_answered(|| client.get_children(&self.path)).await {
            Ok(children) => sequence::none_contends(&children)
                .map_err(|refusal| LockError::refused(&self.path, refusal))?,
            // What is below it may be seen all the same.
            Err(error) if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::NoAuth) => {}
            Err(error) => return Err(LockError::client(&self.path, error)),
        }
        self.is_ours.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn only(permits: Option<Permits>) -> Option<Guard> {
    permits.and_then(|permits| permits.into_guards().pop())
}
