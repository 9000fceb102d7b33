//! Asking whether a node exists.

use crate::client::Client;
use crate::error::Error;
use crate::proto::replies::StatReply;
use crate::proto::requests::ReadRequest;
use crate::proto::{ErrorCode, JutePut, OpCode, Stat};
use crate::reply::{Call, Reply};
use crate::session::{Answer, Want};
use crate::watcher::OneshotWatcher;

impl Client {
    /// The metadata of a node, or `None` if it does not exist.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// if let Some(stat) = client.exists("/leader").await? {
    ///     println!("held by session {}", stat.ephemeral_owner);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoAuth` if it exists and may not be read.
    pub fn exists(&self, path: &str) -> Reply<Option<Stat>> {
        self.on_path(
            OpCode::Exists,
            NAME,
            path,
            |path, out| out.put(&ReadRequest { path, watch: false }),
            |call, answer| decode(call, answer),
        )
    }

    /// As [`exists`](Self::exists), and leaves a watch: on a node that exists, for a write or its
    /// deletion; on one that does not, for its creation.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (there, changed) = client.exists_watched("/ready").await?;
    /// if there.is_none() {
    ///     changed.await?; // it has been created
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`exists`](Self::exists); then no watch stands.
    pub fn exists_watched(&self, path: &str) -> Reply<(Option<Stat>, OneshotWatcher)> {
        self.watching(
            OpCode::Exists,
            NAME,
            path,
            Want::Existence,
            |path, out| out.put(&ReadRequest { path, watch: true }),
            |call, answer| Ok((decode(call, answer)?, call.watcher().oneshot())),
        )
    }
}

pub(super) const NAME: &str = "exists";

pub(super) fn decode(call: &Call, answer: &Answer) -> Result<Option<Stat>, Error> {
    if answer.code == ErrorCode::NoNode {
        return Ok(None);
    }
    call.read::<StatReply>(answer).map(|reply| Some(reply.stat))
}
