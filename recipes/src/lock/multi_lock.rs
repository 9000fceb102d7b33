//! Several locks as one: all of them or none.

use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select, select_all};

use super::line::{Line, Patience};
use super::mutex::Mutex;
use super::read_write::ReadWriteLock;
use super::within::within;
use crate::error::LockError;
use crate::guard::Guard;
use crate::guarded::GuardedClient;
use crate::loss::LostReason;
use crate::sequence::Mode;

/// Several locks that are taken together: all of them, or none.
///
/// They are taken one after the other, in the order of their paths, whatever the order in which
/// they were named: so two who want the same locks never wait for each other. What was taken is
/// released in reverse order if the rest cannot be had. (Curator's tries the rest all the same, and
/// gives each of them the whole time.)
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::time::Duration;
/// use znode_recipes::{MultiLock, Mutex, ReadWriteLock};
///
/// let both = MultiLock::new()
///     .mutex(&Mutex::new(&client, "/locks/from"))
///     .mutex(&Mutex::new(&client, "/locks/to"))
///     .read(&ReadWriteLock::new(&client, "/locks/rates"));
/// if let Some(guard) = both.lock_timeout(Duration::from_secs(5)).await? {
///     guard.client()?.set_data("/balance", "0", 7).await?;
///     guard.release().await?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// Without a limit, or without waiting:
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{MultiLock, Mutex, ReadWriteLock};
///
/// let both = MultiLock::new()
///     .mutex(&Mutex::new(&client, "/locks/from"))
///     .write(&ReadWriteLock::new(&client, "/locks/rates"));
/// match both.try_lock().await? {
///     Some(guard) => guard.release().await?,
///     None => both.lock().await?.release().await?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MultiLock {
    lines: Vec<Line>,
}

/// Guards of several locks, in the order in which they were taken. Dropping it releases them, the
/// last one first.
///
/// ```no_run
/// # async fn transfer() {}
/// # async fn example(guard: znode_recipes::MultiGuard) -> Result<(), znode_recipes::LockError> {
/// guard.run(transfer()).await?; // dropped where it stands when one of the locks is lost
/// tokio::select! {
///     () = transfer() => guard.release().await,
///     reason = guard.lost() => Ok(println!("one is lost: {reason:?}")),
/// }
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a guard releases it"]
pub struct MultiGuard {
    guards: Taken,
}

/// Guards that are dropped in reverse order.
#[derive(Debug, Default)]
struct Taken(Vec<Guard>);

impl Drop for Taken {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

impl MultiLock {
    /// No lock yet; what is made of none is granted at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a mutex, too.
    #[must_use]
    pub fn mutex(self, mutex: &Mutex) -> Self {
        self.with(mutex.line().clone())
    }

    /// With a lock to read, too.
    #[must_use]
    pub fn read(self, lock: &ReadWriteLock) -> Self {
        self.with(lock.line(Mode::Shared))
    }

    /// With a lock to write, too.
    #[must_use]
    pub fn write(self, lock: &ReadWriteLock) -> Self {
        self.with(lock.line(Mode::Exclusive))
    }

    fn with(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// - `Duplicate` if one is named twice, as it would wait for itself; nothing was sent;
    /// - `LockLost` if one that was taken is lost while others are waited for;
    /// - as [`Mutex::lock`] of whichever fails.
    ///
    /// Whatever was taken is released then, in reverse order, and the rest are not asked for.
    ///
    /// # Cancel safety
    /// If the future is dropped, what was taken is released in the background, in reverse order.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub fn lock(&self) -> impl Future<Output = Result<MultiGuard, LockError>> + Send + use<> {
        let lines = self.lines.clone();
        async move {
            let guard = take(lines, Patience::Endless).await?;
            Ok(guard.expect("endless patience ends with a turn or an error"))
        }
    }

    /// Takes all of them if nobody has or waits for any; `None` otherwise, with nothing left
    /// behind.
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
    ) -> impl Future<Output = Result<Option<MultiGuard>, LockError>> + Send + use<> {
        take(self.lines.clone(), Patience::None)
    }

    /// Waits for all of them no longer than `limit`, which covers all together; `None` if that was
    /// not long enough.
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
    ) -> impl Future<Output = Result<Option<MultiGuard>, LockError>> + Send + use<> {
        within(limit, self.lock(), self.try_lock())
    }
}

/// The path of a lock from the root of its ensemble.
fn key(line: &Line) -> String {
    znode::path::join(line.client.chroot().as_str(), &line.path)
}

async fn take(mut lines: Vec<Line>, patience: Patience) -> Result<Option<MultiGuard>, LockError> {
    lines.sort_by_key(key);
    if let Some(pair) = lines.windows(2).find(|pair| key(&pair[0]) == key(&pair[1])) {
        return Err(LockError::duplicate(&pair[1].path));
    }
    let mut taken = Taken::default();
    for line in lines {
        match next(&line, patience, &taken.0).await {
            Ok(Some(guard)) => taken.0.push(guard),
            Ok(None) => {
                give_back(taken).await;
                return Ok(None);
            }
            Err(error) => {
                give_back(taken).await;
                return Err(error);
            }
        }
    }
    Ok(Some(MultiGuard { guards: taken }))
}

/// Takes one more, as long as the others are held.
async fn next(
    line: &Line,
    patience: Patience,
    taken: &[Guard],
) -> Result<Option<Guard>, LockError> {
    let stand = pin!(line.stand(patience, drop));
    if taken.is_empty() {
        return stand.await;
    }
    let lost = select_all(taken.iter().map(Guard::lost));
    match select(lost, stand).await {
        Either::Left(((reason, at, _), _)) => Err(LockError::lost(taken[at].lock_path(), reason)),
        Either::Right((guard, _)) => guard,
    }
}

/// Releases what is not needed after all, the last one first. How that ends is of no interest
/// beside the reason for it.
async fn give_back(mut taken: Taken) {
    while let Some(guard) = taken.0.pop() {
        if let Err(error) = guard.release().await {
            tracing::debug!(%error, "given back");
        }
    }
}

impl MultiGuard {
    /// Resolves when any of them is lost, with the reason; never if there is none.
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub async fn lost(&self) -> LostReason {
        if self.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.iter().map(Guard::lost)).await.0
    }

    /// Runs `work` while all of them are held, and drops it where it stands if one is lost.
    ///
    /// # Errors
    /// `LockLost`; the work was dropped before its end.
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the work.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, LockError> {
        if self.is_empty() {
            return Ok(work.await);
        }
        let lost = select_all(self.iter().map(|guard| guard.run(std::future::pending::<()>())));
        match select(lost, pin!(work)).await {
            Either::Left(((ended, ..), _)) => {
                Err(ended.expect_err("what is pending ends with the lock alone"))
            }
            Either::Right((output, _)) => Ok(output),
        }
    }

    /// The client for writes that only the holder of all of them may do: each is one transaction
    /// with a check of each lock's node. All locks must be of one ensemble; it is done in the name
    /// of the first one's client, with the shortest [grace](crate::LockOptions::grace) of all.
    ///
    /// # Errors
    /// `InvalidPath` if a lock is not below the chroot of that client.
    ///
    /// # Panics
    /// If there is no lock at all.
    pub fn client(&self) -> Result<GuardedClient, LockError> {
        let first = self.first().expect("a guard of no lock guards no writes");
        let client = first.contender().client();
        let checks = self.iter().map(|guard| guard.sequencer().check(client));
        let checks = checks.collect::<Result<Vec<_>, _>>()?.into();
        let holdings = self.iter().map(|guard| guard.holding().clone()).collect();
        let grace = self.iter().map(Guard::grace).min().flatten();
        Ok(GuardedClient::of_several(holdings, checks, first.lock_path(), grace))
    }

    /// Releases all of them, the last one first, each before the next.
    ///
    /// # Errors
    /// As [`Guard::release`], of the first that was not held any more; the rest are released all
    /// the same.
    ///
    /// # Cancel safety
    /// If the future is dropped, the rest are released in the background.
    pub async fn release(mut self) -> Result<(), LockError> {
        let mut released = Ok(());
        while let Some(guard) = self.guards.0.pop() {
            released = released.and(guard.release().await);
        }
        released
    }
}

impl Deref for MultiGuard {
    type Target = [Guard];

    fn deref(&self) -> &[Guard] {
        &self.guards.0
    }
}
