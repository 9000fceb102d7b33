//! Deleting nodes.

use crate::client::Client;
use crate::proto::requests::DeleteRequest;
use crate::proto::{JutePut, OpCode, Version};
use crate::reply::Reply;

impl Client {
    /// Deletes a node that has no children, if its data has the expected version;
    /// [`Version::ANY`] expects none.
    ///
    /// # Errors
    /// `NoNode`, `BadVersion`, `NotEmpty`, `NoAuth` (it takes DELETE on the parent);
    /// `BadArguments` for ZooKeeper's own nodes. After `ConnectionLoss` it may be gone.
    pub fn delete(&self, path: &str, version: impl Into<Version>) -> Reply<()> {
        let version = version.into();
        self.on_path(
            OpCode::Delete,
            "delete",
            path,
            |path, out| out.put(&DeleteRequest { path, version }),
            |call, answer| call.accept(answer).map(drop),
        )
    }
}
