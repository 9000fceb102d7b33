//! Names that are given once: numbers that grow with time, out of leased blocks.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;
use tokio::time::Instant;
use znode::Client;

use super::number::Counter;
use crate::clock::{now, wall_clock};
use crate::recipe_error::RecipeError;

/// How many ids there are for each millisecond since 1970: the 63 bits last until 2248.
const BITS: u32 = 20;
/// How many ids are leased at a time, unless it is said otherwise.
const BLOCK: u32 = 1_000;
/// For how long a block is used, unless it is said otherwise.
const AGE_MAX: Duration = Duration::from_secs(1);

/// Ids that are given out once among all who use the same node, and that grow with time.
///
/// Each process leases a block of them with one request and gives them out from memory. A block
/// begins at the millisecond of its lease, or where the one before ends: so ids of different
/// processes are in the order of time to within the time for which a block is used, those of one
/// in strict order, and a clock that is set back makes no id come twice.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::UniqueIds;
///
/// let orders = UniqueIds::new(&client, "/ids/orders")
///     .with_block(100)?
///     .with_age_max(Duration::from_millis(200));
/// let order = orders.next().await?;
/// println!("{order:016x} was given at about {:?}", UniqueIds::time(order));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct UniqueIds {
    /// The end of what was leased.
    counter: Counter<i64>,
    block: i64,
    age_max: Duration,
    lease: Arc<Mutex<Option<Lease>>>,
}

/// Ids that nobody else gives out.
#[derive(Debug)]
struct Lease {
    next: i64,
    end: i64,
    until: Option<Instant>,
}

impl UniqueIds {
    /// Ids from the node at `path`. Whether that can be a path is checked when it is first asked
    /// of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let counter = Counter::new(client, path);
        Self { counter, block: BLOCK.into(), age_max: AGE_MAX, lease: Arc::default() }
    }

    /// The same ids, so many leased at a time; 1,000 otherwise.
    ///
    /// # Errors
    /// `InvalidArgument` if that is none, or more than there are in a millisecond, 1,048,576.
    pub fn with_block(mut self, count: u32) -> Result<Self, RecipeError> {
        if count == 0 || count > 1 << BITS {
            let what = format!("a block of {count} is not of 1 to {} ids", 1 << BITS);
            return Err(RecipeError::invalid_argument(self.counter.path(), what));
        }
        self.block = count.into();
        Ok(self)
    }

    /// The same ids, where what is left of a block after such a time is never given out: that
    /// bounds how far ids of different processes are out of order. One second otherwise.
    #[must_use]
    pub fn with_age_max(mut self, time: Duration) -> Self {
        self.age_max = time;
        self
    }

    /// The next id.
    ///
    /// # Errors
    /// As [`Counter::add`].
    ///
    /// # Cancel safety
    /// If the future is dropped, a block may be lost.
    ///
    /// # Panics
    /// As [`Counter::add`].
    pub async fn next(&self) -> Result<i64, RecipeError> {
        let mut lease = self.lease.lock().await;
        let is_good = |lease: &&mut Lease| {
            lease.next < lease.end && lease.until.is_none_or(|until| now() < until)
        };
        if let Some(lease) = lease.as_mut().filter(is_good) {
            lease.next += 1;
            return Ok(lease.next - 1);
        }
        // Counted from before the lease, so that it is no longer than that.
        let until = now().checked_add(self.age_max);
        let first = first_at(wall_clock());
        let block = self.block;
        let next = self.counter.update(|end| end.max(first).checked_add(block));
        let Some(end) = next.await? else {
            let what = "there are no larger ids";
            return Err(RecipeError::exhausted(self.counter.path(), what));
        };
        let id = end - block;
        *lease = Some(Lease { next: id + 1, end, until });
        Ok(id)
    }

    /// When an id was leased, as its process knew the time; an earlier id may have been leased
    /// later, and by whoever had a clock that was ahead.
    pub fn time(id: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(id >> BITS).unwrap_or(0))
    }
}

/// The first id of a millisecond. A clock before 1970, or after 2248, is as good as none.
fn first_at(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = i64::try_from(since.as_millis()).unwrap_or(0);
    ms.checked_mul(1 << BITS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_milliseconds_with_a_number() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        assert_eq!(first_at(at(3)), 3 << BITS);
        assert_eq!(UniqueIds::time((3 << BITS) + 7), at(3));
        assert_eq!(UniqueIds::time(-1), UNIX_EPOCH);
        assert_eq!(first_at(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(first_at(at(u64::MAX / 2)), 0, "as good as none");
        // 2248-09-26, the last day but one.
        assert!(first_at(at(8_796_093_000_000)) > 0);
    }
}
