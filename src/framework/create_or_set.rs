//! A value at a path, whether the node was there or not.

use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::{Error, ErrorKind};
use crate::ops::Created;
use crate::proto::{Stat, Version};

/// How often the node may come and go between our two requests.
const RACES_MAX: usize = 16;

/// What [`Client::create_or_set`] has done.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{CreateMode, Stored};
///
/// let stored = client.create_or_set("/rate", "0.19", CreateMode::Persistent).await?;
/// match &stored {
///     Stored::Created(created) => println!("{} is new", created.path),
///     Stored::Set(stat) => println!("written {} times", stat.version),
/// }
/// println!("as of transaction {}", stored.stat().mzxid);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// The node was created.
    Created(Created),
    /// It existed, and its data was written; its metadata after that.
    Set(Stat),
}

impl Stored {
    /// The metadata of the node.
    pub fn stat(&self) -> &Stat {
        match self {
            Self::Created(created) => &created.stat,
            Self::Set(stat) => stat,
        }
    }
}

impl Client {
    /// Creates a node, or writes its data if it exists, of whatever version and mode it is.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::CreateMode;
    ///
    /// client.create_or_set("/rates/eur", "1.07", CreateMode::Persistent).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`set_data`](Self::set_data). After `ConnectionLoss` it may
    /// be written; it is not tried again, as that could undo what somebody else wrote after it.
    /// `NodeExists` or `NoNode` if somebody makes and removes the node again and again.
    ///
    /// # Cancel safety
    /// If the future is dropped, the request that is in line takes effect.
    pub async fn create_or_set(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
    ) -> Result<Stored, Error> {
        let data = data.as_ref();
        let mut races = 0;
        loop {
            match self.create(path, data, mode).await {
                Err(error) if error.kind() == ErrorKind::NodeExists => {}
                created => return created.map(Stored::Created),
            }
            match self.set_data(path, data, Version::ANY).await {
                Err(error) if error.kind() == ErrorKind::NoNode && races < RACES_MAX => races += 1,
                set => return set.map(Stored::Set),
            }
        }
    }
}
