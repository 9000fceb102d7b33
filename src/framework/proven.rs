//! Writes whose outcome is looked up after a lost reply, and told only where it is proven.

use super::again::{ATTEMPTS_MAX, is_lost};
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::{Error, ErrorKind, Outcome};
use crate::ops::Created;
use crate::proto::{ErrorCode, Stat, Version};

impl Client {
    /// Creates a node; if the reply is lost, finds out what became of it.
    ///
    /// Nothing is concluded from the data of the node, which somebody else may have written
    /// alike. What proves what, of a node that is found after a lost reply and a `sync`:
    ///
    /// | the node | so | result |
    /// |---|---|---|
    /// | is not there | if it was made, it was deleted again | it is asked for, 10 times in all |
    /// | is no younger than the call | it stood there all the time | `NodeExists` |
    /// | is ephemeral, and this session's | this session made it, since the call | as if answered |
    /// | is anything else | | `ConnectionLoss`, its outcome `Unknown` |
    ///
    /// So it is made for ephemeral nodes, of which the last line is left only where somebody else
    /// was faster or slower by a hair. Calls of one session for one path at one time may each
    /// take the node for their own. For persistent nodes,
    /// [`create_protected`](Self::create_protected) proves more, and
    /// [`multi_proven`](Self::multi_proven) everything.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{CreateMode, ErrorKind};
    ///
    /// match client.create_proven("/leader", "host-1", CreateMode::Ephemeral).await {
    ///     Ok(created) => println!("we lead since {}", created.stat.czxid),
    ///     Err(error) if error.kind() == ErrorKind::NodeExists => println!("somebody else leads"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create); `BadArguments` for sequential modes, of which nothing can be
    /// proven without a GUID. `ConnectionLoss` if ten replies in all were lost and nothing has come
    /// of it: a server closes the connection at a frame that is too large for it. If the session
    /// ends before there is a proof, its outcome is `Unknown`.
    ///
    /// # Cancel safety
    /// If the future is dropped, a create that is in line takes effect.
    pub async fn create_proven(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
    ) -> Result<Created, Error> {
        const NAME: &str = "create_proven";

        if mode.is_sequential() {
            return Err(Error::refused(NAME, ErrorKind::BadArguments).with_path(Some(path)));
        }
        let data = data.as_ref();
        let seen = self.last_zxid();
        let mut lost_count = 0;
        loop {
            let lost = match self.create(path, data, mode).await {
                Err(error) if is_lost(&error) => error,
                answered => return answered,
            };
            if lost.outcome() == Outcome::NotSent {
                continue;
            }
            lost_count += 1;
            match self.synced(path).await.map_err(|error| error.unproven(NAME, path))? {
                None if lost_count == ATTEMPTS_MAX => return Err(lost),
                None => {}
                Some(stat) if stat.czxid <= seen => {
                    return Err(Error::rejected(NAME, ErrorCode::NodeExists).with_path(Some(path)));
                }
                Some(stat) if stat.ephemeral_owner == self.session_id() && mode.is_ephemeral() => {
                    return Ok(Created { path: path.to_owned(), stat });
                }
                Some(_) => return Err(lost),
            }
        }
    }

    /// Writes the data of a node if nobody has written it since it was read with the metadata
    /// `read`; if the reply is lost, finds out what became of it.
    ///
    /// What proves what, of the node after a lost reply and a `sync`:
    ///
    /// | the node | so | result |
    /// |---|---|---|
    /// | has the version that was read | nobody has written it | it is asked for, 10 times in all |
    /// | was written once, and not since the call | somebody else was faster | `BadVersion` |
    /// | was written once, and has other data | somebody else was faster | `BadVersion` |
    /// | is anything else | | `ConnectionLoss`, its outcome `Unknown` |
    ///
    /// Where the node was written once and has our data, somebody else may have written the same:
    /// of two that count up from 5, one has failed, and both see a 6. That is why the last line
    /// is a long one; [`multi_proven`](Self::multi_proven) proves each write.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (rate, read) = client.get_data("/rate").await?;
    /// let rate = [&rate[..], b"5"].concat();
    /// client.set_data_proven("/rate", rate, &read).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`set_data`](Self::set_data); `ConnectionLoss`, too, if ten replies in all were lost and
    /// nothing has come of it. If the session ends before there is a proof, its outcome
    /// is `Unknown`.
    ///
    /// # Cancel safety
    /// If the future is dropped, a write that is in line takes effect.
    pub async fn set_data_proven(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        read: &Stat,
    ) -> Result<Stat, Error> {
        const NAME: &str = "set_data_proven";

        let data = data.as_ref();
        let seen = self.last_zxid();
        let mut lost_count = 0;
        loop {
            let lost = match self.set_data(path, data, read.version).await {
                Err(error) if is_lost(&error) => error,
                answered => return answered,
            };
            if lost.outcome() == Outcome::NotSent {
                continue;
            }
            lost_count += 1;
            let look = self.until_answered(|| {
                let (sync, look) = (self.sync(path), self.get_data(path));
                async {
                    sync.await?;
                    look.await
                }
            });
            let (found, stat) = match look.await {
                Err(error) if error.kind() == ErrorKind::NoNode => return Err(lost),
                looked => looked.map_err(|error| error.unproven(NAME, path))?,
            };
            if stat.czxid != read.czxid {
                return Err(lost);
            }
            let was_written_once = stat.version == Version(read.version.0.wrapping_add(1));
            if was_written_once && (stat.mzxid <= seen || found != data) {
                let refused = Error::rejected(NAME, ErrorCode::BadVersion);
                return Err(refused.with_path(Some(path)));
            }
            if stat.version != read.version || lost_count == ATTEMPTS_MAX {
                return Err(lost);
            }
        }
    }

    /// The metadata of a node after everything that was on its way.
    pub(super) async fn synced(&self, path: &str) -> Result<Option<Stat>, Error> {
        self.until_answered(|| {
            let (sync, exists) = (self.sync(path), self.exists(path));
            async {
                sync.await?;
                exists.await
            }
        })
        .await
    }
}
