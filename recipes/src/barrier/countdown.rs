//! A number that is counted down, and those who wait for its end.

use std::time::Duration;

use futures::StreamExt;
use znode::Client;

use crate::counter::Counter;
use crate::recipe_error::RecipeError;

/// Waits until something has happened so often: each [`count_down`](Self::count_down) counts once,
/// whatever replies are lost.
///
/// What is left to count stands in the node, as Curator's `SharedCount` writes it; whoever counts
/// first makes it. Where there is no node, nothing was counted yet: it stays at zero until somebody
/// [resets](Self::reset) it, or deletes the node.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::CountdownLatch;
///
/// let loaded = CountdownLatch::new(&client, "/latches/loaded", 3)?;
/// println!("{} are still to come", loaded.count_down().await?); // by each of three
/// loaded.wait().await?; // by whoever needs all of them
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::CountdownLatch;
///
/// let loaded = CountdownLatch::new(&client, "/latches/loaded", 3)?;
/// if !loaded.wait_timeout(Duration::from_secs(5)).await? {
///     println!("{}: {} are still to come", loaded.path(), loaded.count().await?);
/// }
/// loaded.reset().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CountdownLatch {
    left: Counter<i32>,
    count: i32,
}

impl CountdownLatch {
    /// The latch at `path`, which begins with `count`. Whether that can be a path is checked when
    /// it is first asked of.
    ///
    /// # Errors
    /// `InvalidArgument` if the count is zero, or larger than 2³¹ - 1.
    pub fn new(client: &Client, path: impl Into<String>, count: u32) -> Result<Self, RecipeError> {
        let left = Counter::new(client, path);
        match i32::try_from(count) {
            Ok(count) if count > 0 => Ok(Self { left, count }),
            _ => {
                let what = format!("nobody can count {count} down; 1 to {} is allowed", i32::MAX);
                Err(RecipeError::invalid_argument(left.path(), what))
            }
        }
    }

    /// The path of the node.
    pub fn path(&self) -> &str {
        self.left.path()
    }

    /// How much is left to count, as the server that this client is connected to knows it.
    ///
    /// # Errors
    /// As [`Counter::add`].
    ///
    /// # Cancel safety
    /// As [`Counter::add`].
    ///
    /// # Panics
    /// As [`Counter::add`].
    pub async fn count(&self) -> Result<u32, RecipeError> {
        let left = self.left.get_if_any().await?;
        Ok(as_count(left.unwrap_or(self.count)))
    }

    /// Counts down by one, unless there is nothing left to count; returns what is left.
    ///
    /// # Errors
    /// As [`Counter::add`].
    ///
    /// # Cancel safety
    /// As [`Counter::add`].
    ///
    /// # Panics
    /// As [`Counter::add`].
    pub async fn count_down(&self) -> Result<u32, RecipeError> {
        let down = |left: Option<i32>| {
            let left = left.unwrap_or(self.count);
            (left > 0).then(|| left - 1)
        };
        Ok(self.left.update_if_any(down).await?.map_or(0, as_count))
    }

    /// Waits until there is nothing left to count, as the server that this client is connected to
    /// knows it.
    ///
    /// # Errors
    /// As [`Counter::add`].
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the watch.
    ///
    /// # Panics
    /// As [`Counter::add`].
    pub async fn wait(&self) -> Result<(), RecipeError> {
        let mut values = self.left.values_if_any();
        while let Some(left) = values.next().await {
            // A node that somebody deletes counts nothing down.
            if left?.is_some_and(|left| left <= 0) {
                break;
            }
        }
        Ok(())
    }

    /// Waits no longer than `limit`; `false` if that was not long enough. A limit of zero looks
    /// once.
    ///
    /// # Errors
    /// As [`Counter::add`].
    ///
    /// # Cancel safety
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    /// As [`Counter::add`].
    pub async fn wait_timeout(&self, limit: Duration) -> Result<bool, RecipeError> {
        if limit.is_zero() {
            return self.count().await.map(|count| count == 0);
        }
        let waited = tokio::time::timeout(limit, self.wait()).await.ok().transpose()?;
        Ok(waited.is_some())
    }

    /// Begins anew with the whole count; returns what was left.
    ///
    /// # Errors
    /// As [`Counter::add`].
    ///
    /// # Cancel safety
    /// As [`Counter::add`].
    ///
    /// # Panics
    /// As [`Counter::add`].
    pub async fn reset(&self) -> Result<u32, RecipeError> {
        self.left.set(self.count).await.map(as_count)
    }
}

/// Others may have written less than nothing.
fn as_count(left: i32) -> u32 {
    u32::try_from(left).unwrap_or(0)
}
