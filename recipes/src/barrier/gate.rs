//! A gate that one closes, and all wait at until it is opened.

use std::sync::Arc;
use std::time::Duration;

use znode::{Client, CreateMode, ErrorKind, Op, Parents, Path, Version, Zxid};

use crate::final_look::final_look;
use crate::recipe_error::RecipeError;

/// How often the node above may be taken away before that is the caller's to hear of.
const PARENTS_MAX: usize = 10;

/// A gate: while its node stands it is closed.
///
/// It is Curator's `DistributedBarrier` and kazoo's `Barrier` on the wire. Nobody passes before the
/// node is gone: what wakes a waiter is no more than a reason to look.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Barrier;
///
/// let migration = Barrier::new(&client, "/barriers/migration");
/// migration.close().await?; // by whoever migrates
/// migration.wait().await?; // by everybody else
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::Barrier;
///
/// let migration = Barrier::new(&client, "/barriers/migration");
/// if !migration.wait_timeout(Duration::from_secs(5)).await? {
///     println!("{} is closed: {}", migration.path(), migration.is_closed().await?);
///     migration.open().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Barrier {
    client: Client,
    path: Arc<str>,
}

impl Barrier {
    /// The gate at `path`. Whether that can be a path is checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self { client: client.without_deadline(), path: path.into().into() }
    }

    /// The path of the node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Closes it, once, whatever replies are lost; it may be closed already.
    ///
    /// For as long as that takes a witness of it stands beside the node.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session; then its
    ///   [outcome](RecipeError::outcome) may be `Unknown`. A lost connection is not told.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn close(&self) -> Result<(), RecipeError> {
        let path = self.checked()?;
        let parent = znode::path::parent(path).unwrap_or("/");
        let close = Op::create(path, "", CreateMode::Persistent);
        let mut attempt = 1;
        loop {
            match self.client.multi_proven([close.clone()], parent).await {
                Err(error) if error.kind() == ErrorKind::NodeExists => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NoNode && attempt < PARENTS_MAX => {
                    let made = self.client.ensure_path(parent, Parents::Container).await;
                    made.map_err(|error| self.failed(error))?;
                    attempt += 1;
                }
                closed => return closed.map(drop).map_err(|error| self.failed(error)),
            }
        }
    }

    /// Opens it, once, whatever replies are lost; it may be open already.
    ///
    /// It costs two round trips: one shows what is to be opened, so that nothing is that somebody
    /// closes meanwhile.
    ///
    /// # Errors
    /// As [`close`](Self::close); `NotEmpty` if somebody has put nodes below it.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    pub async fn open(&self) -> Result<(), RecipeError> {
        let path = self.checked()?;
        let mut closed = self.closed_at(path).await?;
        let to_be_opened = closed;
        while closed.is_some() && closed == to_be_opened {
            match self.client.delete(path, Version::ANY).await {
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                    closed = self.closed_at(path).await?;
                }
                Err(error) if error.kind() != ErrorKind::NoNode => return Err(self.failed(error)),
                _ => break,
            }
        }
        Ok(())
    }

    /// In which transaction it was closed, if it is now.
    async fn closed_at(&self, path: &str) -> Result<Option<Zxid>, RecipeError> {
        let stat = final_look(&self.client, path, || self.client.exists(path)).await;
        Ok(stat.map_err(|error| self.failed(error))?.map(|stat| stat.czxid))
    }

    /// Whether it is closed, as the server that this client is connected to knows it.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn is_closed(&self) -> Result<bool, RecipeError> {
        let path = self.checked()?;
        let exists = self.client.until_answered(|| self.client.exists(path)).await;
        exists.map(|stat| stat.is_some()).map_err(|error| self.failed(error))
    }

    /// Waits until it is open, as the server that this client is connected to knows it; one
    /// request, one watch, and one request more whenever the node has changed.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the watch.
    pub async fn wait(&self) -> Result<(), RecipeError> {
        let path = self.checked()?;
        loop {
            // A read of a node that is gone leaves no watch, which `exists` would.
            let read = self.client.until_answered(|| self.client.get_data_watched(path)).await;
            match read {
                Ok((_, _, watcher)) => drop(watcher.await.map_err(|error| self.failed(error))?),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Waits no longer than `limit`; `false` if that was not long enough. A limit of zero waits for
    /// nothing.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn wait_timeout(&self, limit: Duration) -> Result<bool, RecipeError> {
        if limit.is_zero() {
            return self.is_closed().await.map(|is_closed| !is_closed);
        }
        let waited = tokio::time::timeout(limit, self.wait()).await.ok().transpose()?;
        Ok(waited.is_some())
    }

    fn checked(&self) -> Result<&str, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        Ok(&self.path)
    }

    fn failed(&self, error: znode::Error) -> RecipeError {
        RecipeError::client(&self.path, error)
    }
}
