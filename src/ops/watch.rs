//! Persistent watches, and the removal of watches.

use crate::client::Client;
use crate::error::Error;
use crate::path;
use crate::proto::requests::{AddWatchRequest, WatchesRequest};
use crate::proto::{JutePut, OpCode, WatcherType};
use crate::reply::Reply;
use crate::session::{Want, WatchEffect};
use crate::watcher::PersistentWatcher;

/// How far a persistent watch reaches.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::AddWatchMode;
///
/// let one = client.add_watch("/config", AddWatchMode::Persistent).await?;
/// let many = client.add_watch("/jobs", AddWatchMode::PersistentRecursive).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddWatchMode {
    /// The node itself: its creation, deletion, data, and list of children.
    Persistent,
    /// The node and everything below it: creations, deletions and data. There are no events for
    /// lists of children, as the creation or deletion of each child tells the same.
    PersistentRecursive,
}

impl AddWatchMode {
    fn number(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::PersistentRecursive => 1,
        }
    }

    fn want(self) -> Want {
        match self {
            Self::Persistent => Want::Persistent,
            Self::PersistentRecursive => Want::PersistentRecursive,
        }
    }
}

impl Client {
    /// Watches a node, which need not exist, until the watcher is dropped.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{AddWatchMode, WatchUpdate};
    ///
    /// let mut updates = client.add_watch("/app", AddWatchMode::PersistentRecursive).await?;
    /// while let Some(update) = updates.recv().await {
    ///     match update {
    ///         WatchUpdate::Event(event) => println!("{:?} {}", event.kind, event.path),
    ///         _ => println!("something was missed: read again"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Unimplemented` by servers before 3.6.
    pub fn add_watch(&self, path: &str, mode: AddWatchMode) -> Reply<PersistentWatcher> {
        let number = mode.number();
        self.watching(
            OpCode::AddWatch,
            "add_watch",
            path,
            mode.want(),
            |path, out| out.put(&AddWatchRequest { path, mode: number }),
            |call, answer| {
                call.accept(answer)?;
                Ok(call.watcher().persistent())
            },
        )
    }

    /// Removes every watch of one type that this session has at `path`, by whichever handle it
    /// was set. Their watchers are told: one-shot ones resolve with the event `DataWatchRemoved`
    /// or `ChildWatchRemoved`, persistent ones yield [`Removed`](crate::WatchUpdate::Removed).
    ///
    /// To remove one watch, drop its watcher.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.remove_watches("/app", znode::WatcherType::Any).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoWatcher` if none stands.
    pub fn remove_watches(&self, path: &str, kind: WatcherType) -> Reply<()> {
        const NAME: &str = "remove_watches";

        if let Err(invalid) = path::validate(path) {
            return Reply::refused(Error::invalid_path(NAME, invalid));
        }
        let full = self.chroot.full(path);
        let watch = WatchEffect::Remove { path: (*full).into(), kind };
        let encode = |out: &mut Vec<u8>| out.put(&WatchesRequest { path: full, kind: kind.code() });
        self.call(OpCode::RemoveWatches, NAME, Some(path), watch, encode, |call, answer| {
            call.accept(answer).map(drop)
        })
    }
}
