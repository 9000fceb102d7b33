//! A node below a transaction's, and how it is given up: whoever gives up the last takes the
//! transaction away.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use znode::{Client, Error, ErrorKind, Op, Version};

use crate::final_look::find_own;

/// What a coordinator's node is called, before a GUID.
pub(super) const COORDINATOR: &str = "coordinator";

/// A coordinator's node: ephemeral, so that a transaction stands for as long as whoever has
/// proposed it may want to know what becomes of it. Dropping it gives the node up, in the
/// background.
#[derive(Debug)]
pub(super) struct Seat {
    client: Client,
    path: String,
    /// Where it is given up: it may be dropped outside of any runtime.
    runtime: Handle,
    /// Whether what it stands below is a transaction for certain, which goes with it if nobody else
    /// is left: else only the node itself is given up.
    is_proven: bool,
    /// Whether it is given up already, or was never asked for.
    is_empty: AtomicBool,
}

impl Seat {
    /// One that is about to be asked for, below a node that is made with it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn new(client: &Client, transaction: &str) -> Self {
        let mut seat = Self::unproven(client, transaction);
        seat.prove();
        seat
    }

    /// One that is about to be asked for, below a node that may have become another one by then.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn unproven(client: &Client, transaction: &str) -> Self {
        let path = znode::path::join(transaction, &format!("{COORDINATOR}-{}", client.guid()));
        let (client, runtime) = (client.clone(), Handle::current());
        Self { client, path, runtime, is_proven: false, is_empty: AtomicBool::new(false) }
    }

    /// It stands below a transaction: that was read since it has stood.
    pub(super) fn prove(&mut self) {
        self.is_proven = true;
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it stands, after everything that was on its way.
    pub(super) async fn is_taken(&self) -> Result<bool, Error> {
        find_own(&self.client, &self.path).await.map(|found| found.is_some())
    }

    /// Forgets it: the server has refused to make it.
    pub(super) fn forget(&self) {
        self.is_empty.store(true, Ordering::Relaxed);
    }

    /// Gives it up, unless that was done.
    pub(super) async fn leave(&self) -> Result<(), Error> {
        if self.is_empty.load(Ordering::Relaxed) {
            return Ok(());
        }
        leave(&self.client, &self.path).await?;
        self.forget();
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if *self.is_empty.get_mut() || self.client.state().is_terminal() {
            return;
        }
        let (client, path) = (self.client.clone(), std::mem::take(&mut self.path));
        let is_proven = self.is_proven;
        drop(self.runtime.spawn(async move {
            let left = match find_own(&client, &path).await {
                Ok(Some(_)) if is_proven => leave(&client, &path).await,
                Ok(Some(_)) => {
                    client.until_answered(|| client.delete(&path, Version::ANY)).await.map(drop)
                }
                found => found.map(drop),
            };
            if let Err(error) = left {
                tracing::debug!(path, %error, "abandoned node");
            }
        }));
    }
}

/// Deletes a node below a transaction's; with the transaction, if it is the last one. It may be
/// gone already.
///
/// Which of the two it is was seen before, and is checked in the same ZooKeeper transaction: so two
/// who go at once do not both leave it to the other.
pub(super) async fn leave(client: &Client, own: &str) -> Result<(), Error> {
    let (parent, name) = znode::path::split(own).unwrap_or(("/", own));
    loop {
        let listed = match client.until_answered(|| client.get_children(parent)).await {
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
            listed => listed?,
        };
        let last = match listed.iter().find(|other| *other != name) {
            Some(other) => Op::check(znode::path::join(parent, other), Version::ANY),
            None => Op::delete(parent, Version::ANY),
        };
        let ops = [Op::delete(own, Version::ANY), last];
        let left = client.until_answered(|| client.multi(ops.clone())).await;
        let Err(error) = left else { return Ok(()) };
        match (error.kind(), error.op_index()) {
            (ErrorKind::NoNode, Some(0)) => return Ok(()),
            (ErrorKind::NoNode | ErrorKind::NotEmpty, Some(1)) => {}
            _ => return Err(error),
        }
    }
}
