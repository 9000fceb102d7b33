//! Several leases of a semaphore, acquired together.

use std::ops::Deref;

use futures::future::{join_all, select_all};

use crate::error::LockError;
use crate::guard::Guard;
use crate::loss::LostReason;

/// Several permits of a [`Semaphore`](crate::Semaphore), acquired together, each with a [`Guard`]
/// of its own. Dropping them releases all that are left.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::Semaphore;
///
/// let downloads = Semaphore::new(&client, "/limits/downloads", 10);
/// let permits = downloads.acquire_many(4).await?;
/// println!("one is lost: {:?}", permits.lost().await);
/// permits.release().await?;
/// for guard in downloads.acquire_many(2).await?.into_guards() {
///     guard.release().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping permits releases them"]
pub struct Permits(Vec<Guard>);

impl Permits {
    pub(super) fn new(guards: Vec<Guard>) -> Self {
        Self(guards)
    }

    /// Takes them apart, so that each can be moved and released by itself.
    pub fn into_guards(self) -> Vec<Guard> {
        self.0
    }

    /// Resolves when any of them is lost, with the reason; never if there is none.
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub async fn lost(&self) -> LostReason {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.0.iter().map(Guard::lost)).await.0
    }

    /// Releases all of them, in one round trip.
    ///
    /// # Errors
    /// As [`Guard::release`], of the first that was not held any more; the rest are released all
    /// the same.
    ///
    /// # Cancel safety
    /// If the future is dropped, they are released in the background.
    pub async fn release(self) -> Result<(), LockError> {
        join_all(self.0.into_iter().map(Guard::release)).await.into_iter().collect()
    }
}

impl Deref for Permits {
    type Target = [Guard];

    fn deref(&self) -> &[Guard] {
        &self.0
    }
}
