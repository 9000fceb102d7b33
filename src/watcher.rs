//! Watches as values: a future for one event, a stream for all of them. Dropping one removes it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use tokio::sync::oneshot;

use crate::client::Handle;
use crate::error::Error;
use crate::io::watch_queue::WatchQueue;
use crate::proto::{ErrorCode, EventType, Zxid};
use crate::session::{Ending, WatcherId};
use crate::state::StateChange;

/// Something that happened to a watched node.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{EventType, WatchedEvent};
///
/// let (_, gone) = client.exists_watched("/leader").await?;
/// let WatchedEvent { kind, path, zxid } = gone.await?;
/// if kind == EventType::NodeDeleted {
///     println!("{path} went in transaction {zxid:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedEvent {
    /// What happened.
    pub kind: EventType,
    /// The node it happened to, relative to the chroot of the handle that set the watch; of the
    /// default watcher, to that of the handle that listens.
    pub path: String,
    /// The transaction that caused it. Servers before 3.9 do not tell, nor does any server when
    /// it catches up after a reconnect.
    pub zxid: Option<Zxid>,
}

/// What a [`PersistentWatcher`] yields.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{AddWatchMode, WatchUpdate};
///
/// let mut watcher = client.add_watch("/rate", AddWatchMode::Persistent).await?;
/// while let Some(update) = watcher.recv().await {
///     match update {
///         WatchUpdate::Event(event) => println!("{:?}", event.kind),
///         WatchUpdate::Gap | WatchUpdate::Lagged(_) => drop(client.get_data("/rate").await?),
///         _ => break,
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchUpdate {
    /// The node changed.
    Event(WatchedEvent),
    /// The connection was down and stands again, and so does the watch. A server does not tell
    /// what happened in between (ZOOKEEPER-4698): read again what you depend on. A read made
    /// after this update misses nothing.
    Gap,
    /// This subscriber was too slow; so many updates were dropped. Read again.
    Lagged(u64),
    /// The session has moved to a server before 3.6, which knows no persistent watches; it has said
    /// so, or closed the connection twice when it was told of them and not without: this one
    /// is gone, and nothing follows.
    Unsupported,
    /// The watch was removed by [`remove_watches`](crate::Client::remove_watches); nothing
    /// follows.
    Removed,
}

/// What the default watcher of a client hears.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use futures::StreamExt;
/// use znode::ClientEvent;
///
/// let mut events = client.events();
/// while let Some(event) = events.next().await {
///     match event {
///         ClientEvent::State(change) => println!("{}", change.state),
///         ClientEvent::Node(event) => println!("{:?} of {}", event.kind, event.path),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The session has entered a state.
    State(StateChange),
    /// A server knows by SASL who this client is; told on each connection, before its state.
    SaslAuthenticated,
    /// A node changed that was read through
    /// [`default_watch`](crate::Client::default_watch).
    Node(WatchedEvent),
}

/// A watcher's claim on the session: gives its watch up when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) handle: Arc<Handle>,
    pub(crate) id: WatcherId,
    /// Nothing stands any more at the server.
    pub(crate) is_spent: bool,
}

impl Claim {
    /// Gives the watch up; resolves once the server keeps none for it.
    fn remove(mut self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        const NAME: &str = "remove";

        let removal = (!self.is_spent).then(|| self.handle.shared.submissions.remove(self.id));
        self.is_spent = true;
        async move {
            let Some(removal) = removal else { return Ok(()) };
            match removal.await {
                Ok(Ok(answer)) if answer.code == ErrorCode::Ok => Ok(()),
                // Fired, or removed by its path, in the meantime: it is gone either way.
                Ok(Ok(answer)) if answer.code == ErrorCode::NoWatcher => Ok(()),
                Ok(Ok(answer)) => Err(Error::rejected(NAME, answer.code)),
                // A watch does not outlive the connection unless its watcher wants it to.
                Ok(Err(_)) | Err(_) => Ok(()),
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_spent {
            self.handle.shared.submissions.unwatch(self.id);
        }
    }
}

/// A watcher that travels with the request that will set its watch.
#[derive(Debug)]
pub(crate) enum Armed {
    Oneshot(OneshotWatcher),
    Persistent(PersistentWatcher),
}

impl Armed {
    pub(crate) fn oneshot(self) -> OneshotWatcher {
        match self {
            Self::Oneshot(watcher) => watcher,
            Self::Persistent(_) => unreachable!("reads bring one-shot watchers"),
        }
    }

    pub(crate) fn persistent(self) -> PersistentWatcher {
        match self {
            Self::Persistent(watcher) => watcher,
            Self::Oneshot(_) => unreachable!("add_watch brings persistent watchers"),
        }
    }
}

/// A one-shot watch: resolves at the first change after the read that left it.
///
/// It survives reconnects; a change that happened meanwhile is told then. One hole is
/// ZooKeeper's own: a node that was created and deleted again while the link was down has,
/// to an `exists` watch, never been there.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use std::time::Duration;
///
/// let (rate, _, mut changed) = client.get_data_watched("/rate").await?;
/// match tokio::time::timeout(Duration::from_secs(60), &mut changed).await {
///     Ok(event) => println!("{rate:?} until {:?}", event?.kind),
///     Err(_) => changed.remove().await?, // or go on waiting
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The session was over before anything happened.
///
/// # Cancel safety
/// Awaiting it by reference may be given up and resumed. Dropping it removes the watch, at the
/// server too unless another watcher of this client shares it.
#[must_use = "dropping a watcher removes its watch"]
pub struct OneshotWatcher {
    claim: Claim,
    told: oneshot::Receiver<Result<WatchedEvent, Ending>>,
}

impl OneshotWatcher {
    pub(crate) fn new(claim: Claim, told: oneshot::Receiver<Result<WatchedEvent, Ending>>) -> Self {
        Self { claim, told }
    }
}

impl OneshotWatcher {
    /// Removes the watch, at the server too unless another watcher of this client shares it.
    ///
    /// # Errors
    /// The server's refusal; the watcher is gone all the same.
    ///
    /// # Cancel safety
    /// The removal is in line once this is called; dropping the future does not withdraw it.
    pub fn remove(self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.claim.remove()
    }
}

impl Future for OneshotWatcher {
    type Output = Result<WatchedEvent, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.told).poll(cx)).unwrap_or(Err(Ending::Closed));
        self.claim.is_spent = true;
        Poll::Ready(told.map_err(|ending| Error::ended("watch", ending)))
    }
}

impl fmt::Debug for OneshotWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneshotWatcher").field("id", &self.claim.id).finish_non_exhaustive()
    }
}

/// A persistent watch: a stream of every change, and of every reason to doubt that it was every.
///
/// It ends with the session.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{AddWatchMode, PersistentWatcher};
///
/// let mut watcher: PersistentWatcher = client.add_watch("/rate", AddWatchMode::Persistent).await?;
/// println!("{:?}", watcher.recv().await); // it is a stream, too
/// watcher.remove().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping it removes the watch, at the server too unless another watcher of this client shares
/// it.
#[must_use = "dropping a watcher removes its watch"]
pub struct PersistentWatcher {
    claim: Claim,
    queue: WatchQueue,
}

impl PersistentWatcher {
    pub(crate) fn new(claim: Claim, queue: WatchQueue) -> Self {
        Self { claim, queue }
    }

    /// The next update, or `None` once the session or the watch is over.
    ///
    /// # Cancel safety
    /// No update is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<WatchUpdate> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }
}

impl PersistentWatcher {
    /// Removes the watch, at the server too unless another watcher of this client shares it.
    /// What was not read yet is lost.
    ///
    /// # Errors
    /// The server's refusal; the watcher is gone all the same.
    ///
    /// # Cancel safety
    /// The removal is in line once this is called; dropping the future does not withdraw it.
    pub fn remove(self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.claim.remove()
    }
}

impl Stream for PersistentWatcher {
    type Item = WatchUpdate;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchUpdate>> {
        self.queue.poll_next(cx)
    }
}

impl fmt::Debug for PersistentWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentWatcher").field("id", &self.claim.id).finish_non_exhaustive()
    }
}
