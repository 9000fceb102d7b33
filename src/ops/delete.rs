//! Deleting nodes.

use crate::client::Client;
use crate::proto::requests::DeleteRequest;
use crate::proto::{JutePut, OpCode, Version};
use crate::reply::Reply;

impl Client {
    /// Deletes a node that has no children, if its data has the expected version;
    /// [`Version::ANY`] expects none.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (_, stat) = client.get_data("/job").await?;
    /// client.delete("/job", stat.version).await?; // unless somebody has written it since
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `BadVersion`, `NotEmpty`, `NoAuth` (it takes DELETE on the parent);
    /// `BadArguments` for ZooKeeper's own nodes and for the root of a view. After
    /// `ConnectionLoss` it may be gone.
    pub fn delete(&self, path: &str, version: impl Into<Version>) -> Reply<()> {
        let (version, full) = (version.into(), self.chroot.full_to_delete(path));
        self.on_path(
            OpCode::Delete,
            "delete",
            path,
            |_, out| out.put(&DeleteRequest { path: full, version }),
            |call, answer| call.accept(answer).map(drop),
        )
    }
}
