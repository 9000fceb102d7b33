//! A guard that its holder can take again.

use std::ops::Deref;
use std::sync::Arc;

use crate::error::LockError;
use crate::guard::Guard;

/// A guard that its holder can take again, any number of times; the lock is released with the last.
///
/// No lock of these recipes is re-entrant by itself, since nothing says whom it belongs to: neither
/// to a thread nor to a task, and many may share a session. Here it belongs to whoever was handed
/// one of these guards.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{LockError, Mutex, ReentrantGuard};
///
/// async fn outer(guard: ReentrantGuard) -> Result<(), LockError> {
///     inner(guard.reenter()?).await?;
///     guard.release().await.map(drop)
/// }
/// async fn inner(guard: ReentrantGuard) -> Result<(), LockError> {
///     guard.client().set_data("/invoices/last", "4711", znode::Version::ANY).await?;
///     guard.release().await.map(drop)
/// }
/// outer(Mutex::new(&client, "/locks/one").lock().await?.into()).await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the last guard releases the lock"]
pub struct ReentrantGuard(Arc<Guard>);

impl ReentrantGuard {
    /// Takes the lock once more.
    ///
    /// # Errors
    /// `LockLost`.
    pub fn reenter(&self) -> Result<Self, LockError> {
        match self.0.lost_by_now() {
            Some(reason) => Err(LockError::lost(self.0.lock_path(), reason)),
            None => Ok(Self(Arc::clone(&self.0))),
        }
    }

    /// How many of them there are.
    ///
    /// ```no_run
    /// # fn example(guard: znode_recipes::ReentrantGuard) -> Result<(), znode_recipes::LockError> {
    /// let before = guard.depth();
    /// let again = guard.reenter()?;
    /// assert_eq!(again.depth(), before + 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn depth(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Gives one of them up, and releases the lock if it was the last, which `true` says.
    ///
    /// # Errors
    /// As [`Guard::release`], if it was the last.
    ///
    /// # Cancel safety
    /// As [`Guard::release`].
    pub async fn release(self) -> Result<bool, LockError> {
        match Arc::into_inner(self.0) {
            Some(guard) => guard.release().await.map(|()| true),
            None => Ok(false),
        }
    }
}

impl From<Guard> for ReentrantGuard {
    fn from(guard: Guard) -> Self {
        Self(Arc::new(guard))
    }
}

impl Deref for ReentrantGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.0
    }
}
