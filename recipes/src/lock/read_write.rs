//! A lock that many readers hold together, or one writer alone, in the order in which they asked.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use tokio::runtime::Handle;
use znode::Client;

use super::line::{Line, Patience};
use super::place::Waiting;
use super::within::within;
use crate::contender::Contender;
use crate::error::LockError;
use crate::guard::{Guard, Terms};
use crate::loss::LostReason;
use crate::options::LockOptions;
use crate::order::Noted;
use crate::sequence::{Mode, Naming};

/// A lock for readers and writers, fair and first come first served, at a path of the ensemble.
///
/// It is Curator's `InterProcessReadWriteLock` on the wire: `_c_<uuid>-__READ__<number>` and
/// `_c_<uuid>-__WRIT__<number>` below the path. kazoo's `ReadLock` and `WriteLock` are waited for,
/// and wait for ours in their [`Layout`](crate::Layout).
///
/// A reader waits for the writers that came before it, a writer for everybody who did; so neither
/// starves. A writer can become a reader without letting another writer in between, and a reader
/// that is alone a writer; neither ever waits for itself. It is not re-entrant.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{ReadWriteLock, Upgrade};
///
/// let lock = ReadWriteLock::new(&client, "/locks/index");
/// let reader = match lock.read().await?.try_upgrade().await? {
///     Upgrade::Done(writer) => {
///         writer.client().set_data("/index", "new", znode::Version::ANY).await?;
///         writer.downgrade().await?
///     }
///     Upgrade::Refused(reader) => reader,
/// };
/// reader.release().await?;
/// # Ok(())
/// # }
/// ```
///
/// With less patience:
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::time::Duration;
/// use znode_recipes::{LockOptions, ReadWriteLock};
///
/// let lock = ReadWriteLock::new(&client, "/locks/index").with_options(LockOptions::new());
/// lock.write().await?.release().await?;
/// let (reader, writer) = (lock.try_read().await?, lock.try_write().await?);
/// println!("{} {}", reader.is_some(), writer.is_some());
/// let reader = lock.read_timeout(Duration::from_secs(1)).await?;
/// let writer = lock.write_timeout(Duration::from_secs(1)).await?;
/// println!("{:?} at {}", lock.participants().await?, lock.path());
/// println!("{} were asked to let go", lock.revoke().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReadWriteLock {
    line: Line,
}

/// A [`Guard`] that others may hold beside us.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{ReadGuard, ReadWriteLock};
///
/// let reader: ReadGuard = ReadWriteLock::new(&client, "/locks/index").read().await?;
/// println!("token {}", reader.token());
/// reader.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a guard releases it"]
pub struct ReadGuard {
    guard: Guard,
    line: Line,
}

/// A [`Guard`] that nobody holds anything beside.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{ReadWriteLock, WriteGuard};
///
/// let writer: WriteGuard = ReadWriteLock::new(&client, "/locks/index").write().await?;
/// writer.client().set_data("/index", "new", znode::Version::ANY).await?;
/// writer.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a guard releases it"]
pub struct WriteGuard {
    guard: Guard,
    line: Line,
}

/// What came of an attempt to become a writer.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{ReadWriteLock, Upgrade};
///
/// let reader = ReadWriteLock::new(&client, "/locks/index").read().await?;
/// match reader.try_upgrade().await? {
///     Upgrade::Done(writer) => writer.release().await?,
///     Upgrade::Refused(reader) => reader.release().await?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a guard releases it"]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between yes and no")]
pub enum Upgrade {
    /// There was nobody else in line.
    Done(WriteGuard),
    /// Somebody was; everything is as before.
    Refused(ReadGuard),
}

impl ReadWriteLock {
    /// The lock at `path`. Whether that can be a path is checked when the lock is first asked
    /// for.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self { line: Line::new(client, path.into(), Naming::READ_WRITE, Mode::Shared) }
    }

    /// The same lock, asked for in another way.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.line.options = options;
        self
    }

    /// The path of the lock.
    pub fn path(&self) -> &str {
        &self.line.path
    }

    /// Waits until every writer is gone who came before us.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Cancel safety
    /// If the future is dropped, its node is removed in the background.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub fn read(&self) -> impl Future<Output = Result<ReadGuard, LockError>> + Send + use<> {
        let line = self.line(Mode::Shared);
        async move { line.turn().await.map(|guard| ReadGuard { guard, line }) }
    }

    /// Waits until everybody is gone who came before us.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Cancel safety
    /// If the future is dropped, its node is removed in the background.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub fn write(&self) -> impl Future<Output = Result<WriteGuard, LockError>> + Send + use<> {
        let line = self.line(Mode::Exclusive);
        async move { line.turn().await.map(|guard| WriteGuard { guard, line }) }
    }

    /// Reads if no writer holds or waits; `None` otherwise, with nothing left behind.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    ///
    /// # Panics
    /// As [`read`](Self::read).
    pub fn try_read(
        &self,
    ) -> impl Future<Output = Result<Option<ReadGuard>, LockError>> + Send + use<> {
        let line = self.line(Mode::Shared);
        async move {
            let guard = line.stand(Patience::None, drop).await?;
            Ok(guard.map(|guard| ReadGuard { guard, line }))
        }
    }

    /// Writes if nobody holds or waits; `None` otherwise, with nothing left behind.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Panics
    /// As [`write`](Self::write).
    pub fn try_write(
        &self,
    ) -> impl Future<Output = Result<Option<WriteGuard>, LockError>> + Send + use<> {
        let line = self.line(Mode::Exclusive);
        async move {
            let guard = line.stand(Patience::None, drop).await?;
            Ok(guard.map(|guard| WriteGuard { guard, line }))
        }
    }

    /// Waits to read no longer than `limit`; `None` if that was not long enough. The limit covers
    /// everything, as that of [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    ///
    /// # Panics
    /// As [`read`](Self::read).
    pub fn read_timeout(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<ReadGuard>, LockError>> + Send + use<> {
        within(limit, self.read(), self.try_read())
    }

    /// Waits to write no longer than `limit`; `None` if that was not long enough. The limit covers
    /// everything, as that of [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// As [`write`](Self::write).
    ///
    /// # Panics
    /// As [`write`](Self::write).
    pub fn write_timeout(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<WriteGuard>, LockError>> + Send + use<> {
        within(limit, self.write(), self.try_write())
    }

    /// Waits, and tells of the place in line meanwhile; see [`Mutex::queue`](crate::Mutex::queue).
    /// What it grants is a plain [`Guard`], which cannot be exchanged.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
    /// use futures::StreamExt;
    /// use znode_recipes::{Mode, ReadWriteLock};
    ///
    /// let lock = ReadWriteLock::new(&client, "/locks/index");
    /// println!("{:?}", lock.queue(Mode::Shared, None).next().await);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When it is polled outside of a tokio runtime with time enabled.
    pub fn queue(&self, mode: Mode, interval: Option<Duration>) -> Waiting {
        let patience = interval.map_or(Patience::Endless, Patience::Curious);
        Waiting::new(self.line(mode), patience)
    }

    /// The nodes of all contenders, in order, each with what it contends for: the readers before
    /// the first writer hold the lock, or else that writer.
    ///
    /// # Errors
    /// As [`read`](Self::read). Where there is no lock there are no contenders.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn participants(&self) -> Result<Vec<(Mode, String)>, LockError> {
        self.line.contenders(|contending, path| (contending.mode, path)).await
    }

    /// Asks whoever hold the lock to let go; returns how many were asked. See
    /// [`Mutex::revoke`](crate::Mutex::revoke).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    pub async fn revoke(&self) -> Result<usize, LockError> {
        let participants = self.participants().await?;
        let readers = participants.iter().take_while(|(mode, _)| *mode == Mode::Shared).count();
        let mut asked = 0;
        for (_, holder) in participants.iter().take(readers.max(1)) {
            asked += usize::from(self.line.revoke(holder).await?);
        }
        Ok(asked)
    }

    pub(super) fn line(&self, mode: Mode) -> Line {
        Line { mode, ..self.line.clone() }
    }
}

impl ReadGuard {
    /// Lets go; see [`Guard::release`].
    ///
    /// # Errors
    /// As [`Guard::release`].
    ///
    /// # Cancel safety
    /// As [`Guard::release`].
    pub async fn release(self) -> Result<(), LockError> {
        self.guard.release().await
    }

    /// Becomes a writer if nobody else reads or waits; otherwise everything stays as it is. It
    /// never waits for another contender: of two readers who try at the same time, both may be
    /// refused.
    ///
    /// A writer's node takes our place in line, and its `czxid` is the new token. That is why
    /// whoever waits is in the way: its token would be a lower one, and it holds later. While it
    /// is seen whether anybody is there, newcomers wait.
    ///
    /// It takes three round trips.
    ///
    /// # Errors
    /// `LockLost` if the lock is not held any more; `Client` with the client's own error, and then
    /// the lock is released.
    ///
    /// # Cancel safety
    /// If the future is dropped, it goes on in the background, and the lock is released at its end.
    pub async fn try_upgrade(self) -> Result<Upgrade, LockError> {
        if let Some(reason) = self.guard.lost_by_now() {
            return Err(LockError::lost(&self.line.path, reason));
        }
        let Self { guard, line } = self;
        complete(&guard.runtime(), line, move |line| async move {
            let Some(writer) = line.exclude_others(guard.contender()).await? else {
                return Ok(Upgrade::Refused(ReadGuard { guard, line }));
            };
            let (reader, noted) = guard.dissolve();
            reader.remove().await.map_err(|error| line.exchange_error(error))?;
            let (guard, line) = heir(line, Mode::Exclusive, writer, noted);
            Ok(Upgrade::Done(WriteGuard { guard, line }))
        })
        .await
    }
}

impl WriteGuard {
    /// Lets go; see [`Guard::release`].
    ///
    /// # Errors
    /// As [`Guard::release`].
    ///
    /// # Cancel safety
    /// As [`Guard::release`].
    pub async fn release(self) -> Result<(), LockError> {
        self.guard.release().await
    }

    /// Becomes a reader, at no time letting in a writer: a reader's node takes our place in line in
    /// one transaction, and keeps our token. (CURATOR-621. Curator keeps the place in the same way,
    /// since 5.5.)
    ///
    /// What was to be written under this guard is refused from here on; its
    /// [`lost`](Guard::lost) resolves as released.
    ///
    /// # Errors
    /// `LockLost` if the lock is not held any more; `Client` with the client's own error, and then
    /// the lock is released.
    ///
    /// # Cancel safety
    /// If the future is dropped, it goes on in the background, and the lock is released at its end.
    pub async fn downgrade(self) -> Result<ReadGuard, LockError> {
        if let Some(reason) = self.guard.lost_by_now() {
            return Err(LockError::lost(&self.line.path, reason));
        }
        let Self { guard, line } = self;
        complete(&guard.runtime(), line, move |line| async move {
            let (writer, noted) = guard.dissolve();
            let reader = line.replace(writer, Mode::Shared).await?;
            let (guard, line) = heir(line, Mode::Shared, reader, noted);
            Ok(ReadGuard { guard, line })
        })
        .await
    }
}

/// The guard of a node that has taken the place of another.
fn heir(line: Line, mode: Mode, contender: Contender, noted: Noted) -> (Guard, Line) {
    let line = Line { mode, ..line };
    let (lock, writer, options) = (line.path.clone(), &line.writer, &line.options);
    let guard = Guard::new(contender, Terms { lock, writer, mode, options, died: None, noted });
    (guard, line)
}

/// Carries something out to its end, whether anybody waits for it or not: in the middle of an
/// exchange there are two nodes, and only their task knows of both.
async fn complete<T, F>(
    runtime: &Handle,
    line: Line,
    what: impl FnOnce(Line) -> F,
) -> Result<T, LockError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LockError>> + Send + 'static,
{
    let path = line.path.clone();
    let task = runtime.spawn(what(line));
    // A runtime that shuts down ends the session, too.
    let gone = |_| Err(LockError::lost(&path, LostReason::Closed));
    task.await.unwrap_or_else(gone)
}

impl Deref for ReadGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

impl Deref for WriteGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

impl From<ReadGuard> for Guard {
    fn from(reader: ReadGuard) -> Self {
        reader.guard
    }
}

impl From<WriteGuard> for Guard {
    fn from(writer: WriteGuard) -> Self {
        writer.guard
    }
}
