//! The ephemeral nodes of this session.

use crate::client::Client;
use crate::proto::replies::NamesReply;
use crate::proto::requests::PathRequest;
use crate::proto::{JutePut, OpCode};
use crate::reply::Reply;

impl Client {
    /// The paths of this session's ephemeral nodes that begin with `prefix`; `/` finds all below
    /// the chroot. The prefix is a mere beginning: `/a` finds `/ab`, too.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let mine = client.get_ephemerals("/").await?;
    /// println!("{mine:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidPath`; `Unimplemented` by servers before 3.6.
    pub fn get_ephemerals(&self, prefix: &str) -> Reply<Vec<String>> {
        self.on_path(
            OpCode::GetEphemerals,
            "get_ephemerals",
            prefix,
            |prefix, out| out.put(&PathRequest { path: Some(prefix) }),
            |call, answer| {
                let NamesReply { names } = call.read(answer)?;
                // Beside a chroot there may be a node whose name begins alike.
                let below = names.iter().filter_map(|path| call.chroot.strip(path));
                Ok(below.map(str::to_owned).collect())
            },
        )
    }
}
