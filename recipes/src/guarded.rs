//! Writes that only the holder of a lock can do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use znode::{Acl, Client, CreateMode, Created, ErrorKind, Op, OpResult, Reply, Stat, Version};

use crate::error::LockError;

/// A client whose writes take effect only while a lock is held: a former holder changes nothing,
/// whatever it believes and however late its request arrives.
///
/// Each write is one transaction that first checks that the lock's node exists. That node's path
/// has a GUID and a sequence number in it, so no other node will ever bear it, and whatever
/// exists there is the lock's. Its version does not matter: anybody may write a note into it.
/// The check takes READ on the node.
///
/// It can be cloned and moved like any client, and outlives its guard: after the release every
/// write fails with `LockLost`. (This is what CURATOR-689, CURATOR-637 and go-zookeeper#207 ask
/// for.)
///
/// # Cancel safety
/// Like those of [`Client`], operations take their place in line when they are called, and
/// dropping a future does not withdraw its request.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    client: Client,
    /// The path of the lock's node.
    node: Arc<str>,
    /// The lock, as its caller named it.
    lock: Arc<str>,
}

/// The answer to a guarded write, which is in line already.
///
/// # Cancel safety
/// Dropping it does not withdraw the request.
#[must_use = "the operation is under way, but its failure would go unnoticed"]
pub struct GuardedReply<T> {
    reply: Reply<Vec<OpResult>>,
    /// Takes the caller's result from those of its operations, if it is of the right kind.
    result: fn(Vec<OpResult>) -> Option<T>,
    lock: Arc<str>,
}

impl GuardedClient {
    pub(crate) fn new(client: &Client, node: &str, lock: &Arc<str>) -> Self {
        Self { client: client.clone(), node: node.into(), lock: Arc::clone(lock) }
    }

    /// Creates a node; see [`Client::create`].
    ///
    /// # Errors
    /// `LockLost`, and nothing was done; or `Client` with the client's own error.
    pub fn create(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
    ) -> GuardedReply<Created> {
        self.checked([Op::create(path, data, mode)], created)
    }

    /// Creates a node with an access control list of its own.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_acl(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
        acl: &[Acl],
    ) -> GuardedReply<Created> {
        self.checked([Op::create_with_acl(path, data, mode, acl)], created)
    }

    /// Writes the data of a node; see [`Client::set_data`].
    ///
    /// # Errors
    /// `LockLost`, and nothing was done; or `Client` with the client's own error.
    pub fn set_data(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        version: impl Into<Version>,
    ) -> GuardedReply<Stat> {
        self.checked([Op::set_data(path, data, version)], |mut results| match results.pop()? {
            OpResult::DataSet(stat) => Some(stat),
            _ => None,
        })
    }

    /// Deletes a node; see [`Client::delete`].
    ///
    /// # Errors
    /// `LockLost`, and nothing was done; or `Client` with the client's own error.
    pub fn delete(&self, path: &str, version: impl Into<Version>) -> GuardedReply<()> {
        self.checked([Op::delete(path, version)], |mut results| match results.pop()? {
            OpResult::Deleted => Some(()),
            _ => None,
        })
    }

    /// Carries out several writes as one transaction; see [`Client::multi`].
    ///
    /// # Errors
    /// `LockLost`, and nothing was done; or `Client` with the client's own error, where
    /// [`LockError::op_index`] counts the operations that were given here.
    pub fn multi(&self, ops: impl IntoIterator<Item = Op>) -> GuardedReply<Vec<OpResult>> {
        self.checked(ops, Some)
    }

    fn checked<T>(
        &self,
        ops: impl IntoIterator<Item = Op>,
        result: fn(Vec<OpResult>) -> Option<T>,
    ) -> GuardedReply<T> {
        let check = Op::check(&*self.node, Version::ANY);
        let reply = self.client.multi(std::iter::once(check).chain(ops));
        GuardedReply { reply, result, lock: Arc::clone(&self.lock) }
    }
}

fn created(mut results: Vec<OpResult>) -> Option<Created> {
    match results.pop()? {
        OpResult::Created(created) => Some(created),
        _ => None,
    }
}

impl<T> Future for GuardedReply<T> {
    type Output = Result<T, LockError>;

    /// # Panics
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.reply).poll(cx)) {
            Ok(mut results) if results.first() == Some(&OpResult::Checked) => {
                results.remove(0);
                (self.result)(results).ok_or_else(|| LockError::unexpected(&self.lock))
            }
            Ok(_) => Err(LockError::unexpected(&self.lock)),
            Err(error) if is_loss(&error) => Err(LockError::lost_by(&self.lock, error)),
            Err(error) => Err(LockError::client(&self.lock, error)),
        })
    }
}

/// Whether the lock's node was not found, or is gone with its session.
fn is_loss(error: &znode::Error) -> bool {
    let is_missing = error.op_index() == Some(0) && error.kind() == ErrorKind::NoNode;
    is_missing || error.is_session_over()
}

impl<T> fmt::Debug for GuardedReply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedReply")
            .field("lock", &self.lock)
            .field("reply", &self.reply)
            .finish_non_exhaustive()
    }
}
