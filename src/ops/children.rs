//! Listing and counting what is below a node.

use std::borrow::Cow;

use crate::client::Client;
use crate::error::Error;
use crate::proto::replies::{Children2Reply, CountReply, NamesReply};
use crate::proto::requests::{PathRequest, ReadRequest};
use crate::proto::{JutePut, OpCode, Stat};
use crate::reply::{Call, Reply};
use crate::session::{Answer, Want};
use crate::watcher::OneshotWatcher;

impl Client {
    /// The names of a node's children, in no order.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// for name in client.get_children("/workers").await? {
    ///     println!("{name}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn get_children(&self, path: &str) -> Reply<Vec<String>> {
        self.on_path(
            OpCode::GetChildren,
            NAME,
            path,
            |path, out| out.put(&ReadRequest { path, watch: false }),
            |call, answer| call.read::<NamesReply<'_>>(answer).map(|reply| owned(reply.names)),
        )
    }

    /// The names of a node's children, in no order, and the node's metadata.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (names, stat) = client.get_children_with_stat("/workers").await?;
    /// assert_eq!(names.len(), usize::try_from(stat.num_children).unwrap_or(0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn get_children_with_stat(&self, path: &str) -> Reply<(Vec<String>, Stat)> {
        self.on_path(
            OpCode::GetChildren2,
            NAME,
            path,
            |path, out| out.put(&ReadRequest { path, watch: false }),
            |call, answer| decode(call, answer),
        )
    }

    /// As [`get_children_with_stat`](Self::get_children_with_stat), and leaves a watch for the
    /// next child that is created or deleted, or the deletion of the node itself.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let (workers, _, changed) = client.get_children_watched("/workers").await?;
    /// println!("{} workers until {:?}", workers.len(), changed.await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`; then no watch stands.
    pub fn get_children_watched(&self, path: &str) -> Reply<(Vec<String>, Stat, OneshotWatcher)> {
        self.watching(
            OpCode::GetChildren2,
            NAME,
            path,
            Want::Children,
            |path, out| out.put(&ReadRequest { path, watch: true }),
            |call, answer| {
                let (children, stat) = decode(call, answer)?;
                Ok((children, stat, call.watcher().oneshot()))
            },
        )
    }

    /// How many nodes are below a node, at any depth.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let nodes = client.get_all_children_number("/").await?;
    /// println!("{nodes} nodes");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`; `Unimplemented` by servers before 3.6.
    pub fn get_all_children_number(&self, path: &str) -> Reply<usize> {
        self.on_path(
            OpCode::GetAllChildrenNumber,
            "get_all_children_number",
            path,
            |path, out| out.put(&PathRequest { path: Some(path) }),
            |call, answer| {
                let CountReply { count } = call.read(answer)?;
                usize::try_from(count).map_err(|_| {
                    let what = format!("the server counted {count} descendants");
                    call.name(Error::unexpected(call.op, what.into()))
                })
            },
        )
    }
}

pub(super) const NAME: &str = "get_children";

pub(super) fn decode(call: &Call, answer: &Answer) -> Result<(Vec<String>, Stat), Error> {
    let Children2Reply { children, stat } = call.read(answer)?;
    Ok((owned(children), stat))
}

fn owned(names: Vec<Cow<'_, str>>) -> Vec<String> {
    names.into_iter().map(Cow::into_owned).collect()
}
