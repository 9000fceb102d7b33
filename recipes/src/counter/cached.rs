//! A counter that goes to ZooKeeper once for many numbers.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::number::{Counter, Number};
use crate::recipe_error::RecipeError;

/// Numbers of a [`Counter`], taken from it in blocks: each number is given out once among all who
/// do so, and most of them without a request.
///
/// What is left of a block when its owner goes is never given out: the numbers have gaps. (It is
/// Curator's `CachedAtomicLong` and `CachedAtomicInteger`.)
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{CachedCounter, Counter};
///
/// let invoices = Counter::<i64>::new(&client, "/counters/invoices");
/// let numbers = CachedCounter::new(invoices, 100)?;
/// for _ in 0..1_000 {
///     println!("invoice {}", numbers.next().await?); // ten requests in all
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CachedCounter<N> {
    counter: Counter<N>,
    block: N,
    /// The number given out last, and the last of its block.
    left: Arc<Mutex<Option<(N, N)>>>,
}

impl<N: Number> CachedCounter<N> {
    /// Takes numbers from `counter`, `block` of them at a time.
    ///
    /// # Errors
    /// `InvalidArgument` if the block is not larger than zero.
    pub fn new(counter: Counter<N>, block: N) -> Result<Self, RecipeError> {
        if block <= N::ZERO {
            let what = format!("a block of {block} numbers has none");
            return Err(RecipeError::invalid_argument(counter.path(), what));
        }
        Ok(Self { counter, block, left: Arc::default() })
    }

    /// The next number, larger than all that this handle has given out. The first number of all is
    /// one more than the counter had.
    ///
    /// # Errors
    /// As [`Counter::add`].
    ///
    /// # Cancel safety
    /// If the future is dropped, a block may be lost.
    ///
    /// # Panics
    /// As [`Counter::add`].
    pub async fn next(&self) -> Result<N, RecipeError> {
        let mut left = self.left.lock().await;
        let (before, last) = match *left {
            Some((before, last)) if before < last => (before, last),
            _ => {
                let last = self.counter.add(self.block).await?;
                let before = last.minus(self.block).expect("the sum has just been made");
                (before, last)
            }
        };
        let next = before.successor().expect("the last of the block comes behind it");
        *left = Some((next, last));
        Ok(next)
    }
}
