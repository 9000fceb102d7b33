//! Catching up with the leader.

use crate::client::Client;
use crate::proto::requests::PathRequest;
use crate::proto::{JutePut, OpCode};
use crate::reply::Reply;

impl Client {
    /// Waits until the server of this session has applied what its leader had committed when the
    /// request reached it. Reads made after this call see at least that.
    ///
    /// Apache's leader answers without asking its quorum, so a leader that was deposed and does
    /// not know it yet can still let an old read through; `znode-testing`'s does not.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let caught_up = client.sync("/config");
    /// let read = client.get_data("/config"); // behind it in line
    /// caught_up.await?;
    /// println!("{:?}", read.await?.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the connection only: the node need not exist.
    pub fn sync(&self, path: &str) -> Reply<()> {
        self.on_path(
            OpCode::Sync,
            "sync",
            path,
            |path, out| out.put(&PathRequest { path: Some(path) }),
            |call, answer| call.accept(answer).map(drop),
        )
    }
}
