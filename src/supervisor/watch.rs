//! A persistent watch that is armed again in each new session.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::Stream;

use super::task::{Command, Spec, tell};
use super::{Shared, SupervisorEvent};
use crate::client::Client;
use crate::error::ErrorKind;
use crate::io::watch_queue::WatchQueue;
use crate::ops::AddWatchMode;
use crate::path::Path;
use crate::watcher::WatchUpdate;

/// A registered watch: a stream across sessions; see
/// [`Supervisor::watch`](super::Supervisor::watch).
///
/// Dropping it removes the watch, and counts as letting go of the supervisor.
///
/// ```no_run
/// # async fn example(supervisor: znode::Supervisor) -> Result<(), znode::Error> {
/// use znode::{AddWatchMode, SupervisedWatcher, WatchUpdate};
///
/// let mut rate: SupervisedWatcher = supervisor.watch("/rate", AddWatchMode::Persistent)?;
/// while let Some(update) = rate.recv().await {
///     match update {
///         WatchUpdate::Event(event) => println!("{:?}", event.kind),
///         _ => println!("read again: {:?}", supervisor.client().get_data("/rate").await),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a watcher removes its watch"]
pub struct SupervisedWatcher {
    shared: Arc<Shared>,
    id: u64,
    queue: WatchQueue,
}

/// What is registered.
#[derive(Debug, Clone)]
pub(super) struct WatchSpec {
    path: Path,
    mode: AddWatchMode,
    queue: WatchQueue,
}

impl SupervisedWatcher {
    pub(super) fn register(shared: &Arc<Shared>, path: Path, mode: AddWatchMode) -> Self {
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let queue = WatchQueue::default();
        let spec = WatchSpec { path, mode, queue: queue.clone() };
        if shared.commands.send(Command::Add(id, Spec::Watch(spec))).is_err() {
            queue.end();
        }
        Self { shared: Arc::clone(shared), id, queue }
    }

    /// The next update, or `None` once the supervisor is closed.
    ///
    /// # Cancel safety
    /// No update is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<WatchUpdate> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }
}

impl Drop for SupervisedWatcher {
    fn drop(&mut self) {
        let _ = self.shared.commands.send(Command::Remove(self.id));
    }
}

impl Stream for SupervisedWatcher {
    type Item = WatchUpdate;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchUpdate>> {
        self.queue.poll_next(cx)
    }
}

impl WatchSpec {
    /// Nothing will come any more.
    pub(super) fn end(&self) {
        self.queue.end();
    }
}

/// Passes on what one session tells.
pub(super) async fn keep(client: Client, shared: Weak<Shared>, spec: WatchSpec, again: bool) {
    let path = spec.path.as_str();
    let mut watcher = loop {
        match client.add_watch(path, spec.mode).await {
            Ok(watcher) => break watcher,
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {}
            Err(error) if error.is_session_over() => return,
            Err(error) => {
                let path = path.to_owned();
                return tell(&shared, |_| SupervisorEvent::WatchRefused { path, error });
            }
        }
    };
    if again {
        spec.queue.push(WatchUpdate::Gap);
    }
    while let Some(update) = watcher.recv().await {
        spec.queue.push(update);
    }
}
