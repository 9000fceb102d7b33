//! Read, change, write: again from the start if somebody else wrote in between.

use bytes::Bytes;

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::proto::Stat;

/// How often somebody else may be faster. Each time somebody was, so all together move on.
const ATTEMPTS_MAX: usize = 100;

impl Client {
    /// Writes what `change` makes of the data of a node, if nobody has written it meanwhile;
    /// otherwise reads again and asks `change` again.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let stat = client
    ///     .update("/counter", |data| {
    ///         let count: u64 = String::from_utf8_lossy(data).parse().unwrap_or(0);
    ///         (count + 1).to_string()
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A version says how often a node was written since it was created; so one hole is
    /// ZooKeeper's own: a node that is deleted, made anew and written as often as the old one
    /// between our read and our write is not told from it. The `czxid` of the result shows it.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, `QuotaExceeded`; `BadVersion` if others were faster 100 times. After
    /// `ConnectionLoss` it may be written; it is not tried again, as it could be done twice.
    ///
    /// # Cancel safety
    /// If the future is dropped, a write that is in line takes effect.
    pub async fn update<D: AsRef<[u8]>>(
        &self,
        path: &str,
        mut change: impl FnMut(&Bytes) -> D,
    ) -> Result<Stat, Error> {
        self.try_update(path, |data| Ok(change(data))).await
    }

    /// As [`update`](Self::update), with a change that can fail.
    pub(crate) async fn try_update<D: AsRef<[u8]>>(
        &self,
        path: &str,
        mut change: impl FnMut(&Bytes) -> Result<D, Error>,
    ) -> Result<Stat, Error> {
        let (mut data, mut stat) = self.until_answered(|| self.get_data(path)).await?;
        let mut attempt = 1;
        loop {
            let changed = change(&data)?;
            match self.set_data(path, changed, stat.version).await {
                Err(error) if error.kind() == ErrorKind::BadVersion && attempt < ATTEMPTS_MAX => {
                    attempt += 1;
                }
                written => return written,
            }
            // Without the sync, a server that is behind would show the same version again.
            (data, stat) = self
                .until_answered(|| {
                    let (sync, read) = (self.sync(path), self.get_data(path));
                    async {
                        sync.await?;
                        read.await
                    }
                })
                .await?;
        }
    }
}
