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
