//! A lock that one holds at a time, in the order in which they asked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use znode::Client;

use super::line::{Line, Patience};
use crate::error::LockError;
use crate::guard::Guard;
use crate::sequence::Naming;

/// An exclusive lock, fair and first come first served, at a path of the ensemble.
///
/// It is Curator's `InterProcessMutex` on the wire: each contender is an ephemeral sequential
/// node `_c_<uuid>-lock-<number>` below the path, whose missing nodes are made as containers, so
/// users of Curator and go-zookeeper contend for the same lock. kazoo's contenders are waited
/// for; kazoo waits for ours if it is told `extra_lock_patterns=["lock-"]`. Other children are
/// ignored.
///
/// It is not re-entrant: who holds it and asks again waits for itself. A `Mutex` is a name, and
/// cheap to clone; nothing is sent before a future of it is polled.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// let mutex = znode_recipes::Mutex::new(&client, "/locks/invoice-run");
/// let guard = mutex.lock().await?;
/// guard.client().set_data("/invoices/last", "4711", znode::Version::ANY).await?;
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
///
/// # What it costs
/// Where nobody is ahead, one round trip of two requests. Otherwise two more requests, and two
/// more each time that the contender directly ahead leaves before its turn. A release is one
/// request; it wakes one waiter. A guard adds one request after it was granted, to watch its own
/// node.
///
/// # Lost connections and sessions
/// While the connection is down, waiting goes on, in the same place in line if the session
/// survives. A create whose answer was lost is looked for by its GUID, and counts only if this
/// session owns what was found (CURATOR-79, CURATOR-498, CURATOR-604). Nothing is ever asked
/// again in the name of another session.
#[derive(Debug, Clone)]
pub struct Mutex {
    line: Line,
}

impl Mutex {
    /// The lock at `path`. Whether that can be a path is checked when the lock is first asked
    /// for.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let path = Arc::from(path.into());
        // A place in line is not given up because an answer came late: that would leave it behind.
        let client = client.without_deadline();
        Self { line: Line { client, path, naming: Naming::LOCK, leases: 1 } }
    }

    /// The path of the lock.
    pub fn path(&self) -> &str {
        &self.line.path
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth`, or the end of the session;
    /// - `SequenceExhausted` if the children of the path cannot be ordered any more;
    /// - `PlaceDeleted` if somebody deletes each of our nodes.
    ///
    /// # Cancel safety
    /// If the future is dropped, at whatever point, its node is removed in the background, also
    /// one whose creation is under way (kazoo#732, CURATOR-79); those in line behind it stay in
    /// line, and nobody is woken but the next, who moves up.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub fn lock(&self) -> impl Future<Output = Result<Guard, LockError>> + Send + use<> {
        let line = self.line.clone();
        async move {
            let contender = line.stand(Patience::Endless).await?;
            let contender = contender.expect("endless patience ends with a turn or an error");
            Ok(Guard::new(contender, line.path))
        }
    }

    /// Takes the lock if nobody has it or waits for it; `None` otherwise, with nothing left
    /// behind.
    ///
    /// It takes a place in line to find out, so the answer is true of the moment in which it
    /// did, and not of what a server that is behind still shows. It waits for the answers of the
    /// ensemble, but for no other contender.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    pub fn try_lock(
        &self,
    ) -> impl Future<Output = Result<Option<Guard>, LockError>> + Send + use<> {
        let line = self.line.clone();
        async move {
            let contender = line.stand(Patience::None).await?;
            Ok(contender.map(|contender| Guard::new(contender, line.path)))
        }
    }

    /// Waits for the lock no longer than `limit`; `None` if that was not long enough.
    ///
    /// The limit covers everything, lost connections too, on tokio's clock from the first poll.
    /// When it is over, this returns at once: the removal of the node is in line before whatever
    /// is asked of the client next, or follows the creation if that is still under way.
    ///
    /// A limit of zero tries once, as [`try_lock`](Self::try_lock) does.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    ///
    /// # Panics
    /// As [`lock`](Self::lock).
    pub fn lock_timeout(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<Guard>, LockError>> + Send + use<> {
        let mutex = self.clone();
        async move {
            if limit.is_zero() {
                return mutex.try_lock().await;
            }
            tokio::time::timeout(limit, mutex.lock()).await.ok().transpose()
        }
    }
}
