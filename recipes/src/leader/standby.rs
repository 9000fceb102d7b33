//! Work that goes on elsewhere, from where it was, when the one who did it is gone.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use znode::{AddWatchMode, Client, CreateMode, ErrorKind, EventType, PersistentWatcher};
use znode::{Version, WatchUpdate, Zxid};

use super::participant::{self, Participant};
use super::selector::{LeaderSelector, Term, serve};
use crate::error::LockError;
use crate::guard::Guard;
use crate::lock::line::{Line, Patience};
use crate::options::LockOptions;

/// The children of a piece of work: who stands by, and what its last holder has saved.
const INSTANCES: &str = "instances";
const CHECKPOINT: &str = "checkpoint";

/// A piece of work that one instance does while others stand by: each has its place in line, and
/// when the one who works is gone the next goes on from the last checkpoint.
///
/// Instances stand in line at `<path>/instances`, as those of a [`LeaderSelector`]; the checkpoint
/// is the data of `<path>/checkpoint`, written under the leadership, so that no instance that was
/// overtaken can set it back.
///
/// ```no_run
/// # async fn import(row: u64) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::ops::ControlFlow;
/// use znode_recipes::HotStandby;
///
/// HotStandby::new(&client, "/jobs/import")
///     .run(|shift| async move {
///         let saved = shift.checkpoint().and_then(|saved| saved.try_into().ok());
///         for row in saved.map_or(0, u64::from_be_bytes)..1000 {
///             import(row).await;
///             if shift.save((row + 1).to_be_bytes()).await.is_err() {
///                 break; // overtaken, or cut off: whoever comes next goes on
///             }
///         }
///         ControlFlow::Break(())
///     })
///     .await
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{HotStandby, LockOptions};
///
/// let strict = LockOptions::new().strict();
/// let import = HotStandby::new(&client, "/jobs/import").with_id("host-1").with_options(strict);
/// println!("{} instances", import.instances().await?.len());
/// println!("the last checkpoint is {:?}", import.checkpoint().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HotStandby {
    selector: LeaderSelector,
    client: Client,
    path: Arc<str>,
}

/// The work of several pieces by fewer instances: an instance takes whichever piece nobody works
/// at, and stands in no line. So nobody waits idly at a piece while another lies there; but nobody
/// is ready when an instance is gone, either: its piece is begun again by the next that is free.
///
/// The pieces are the children of the group's node, each as that of a [`HotStandby`].
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::ops::ControlFlow;
/// use znode_recipes::ColdStandby;
///
/// ColdStandby::new(&client, "/jobs")
///     .run(|shift| async move {
///         println!("{} is ours, epoch {}", shift.path(), shift.epoch());
///         ControlFlow::<()>::Continue(()) // on to the next that is free
///     })
///     .await
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{ColdStandby, LockOptions};
///
/// let strict = LockOptions::new().strict();
/// let free = ColdStandby::new(&client, "/jobs").with_id("host-1").with_options(strict);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ColdStandby {
    client: Client,
    group: Arc<str>,
    id: Arc<str>,
    options: LockOptions,
}

/// One instance at one piece of work, for as long as that is its own.
///
/// ```
/// use znode_recipes::{LockError, Shift};
///
/// async fn count(shift: Shift) -> Result<(), LockError> {
///     let before = shift.checkpoint().and_then(|saved| saved.first()).copied().unwrap_or(0);
///     shift.save([before.wrapping_add(1)]).await?;
///     // Writes of other kinds are guarded in the same way.
///     let result = format!("{} by {}", shift.path(), shift.epoch());
///     shift.term().client().set_data("/jobs/log", result, znode::Version::ANY).await?;
///     Ok(())
/// }
/// # let _ = count;
/// ```
#[derive(Debug, Clone)]
pub struct Shift {
    path: Arc<str>,
    term: Term,
    saved: Option<Arc<[u8]>>,
}

impl Shift {
    /// The path of the piece of work.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was saved last by the time that this shift began, if anything ever was.
    pub fn checkpoint(&self) -> Option<&[u8]> {
        self.saved.as_deref()
    }

    /// The token of this shift: larger than those of all that were before at this piece.
    pub fn epoch(&self) -> Zxid {
        self.term.epoch()
    }

    /// This shift as a leadership, with a client for guarded writes of other kinds.
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// Saves how far the work has come, for whoever goes on with it: under this shift, or not at
    /// all.
    ///
    /// # Errors
    /// - `LockLost` if the shift is over; nothing was saved, unless its outcome is `Unknown`;
    /// - `Client` with the client's own error.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    pub async fn save(&self, data: impl AsRef<[u8]>) -> Result<(), LockError> {
        let (client, path) = (self.term.client(), znode::path::join(&self.path, CHECKPOINT));
        let data = data.as_ref();
        match client.set_data(&path, data, Version::ANY).await {
            // The first one of this piece; there is nobody else who could make it.
            Err(error) if is_missing(&error) => {
                client.create(&path, data, CreateMode::Persistent).await.map(drop)
            }
            saved => saved.map(drop),
        }
    }
}

fn is_missing(error: &LockError) -> bool {
    error.client_error().is_some_and(|error| error.kind() == ErrorKind::NoNode)
}

impl HotStandby {
    /// The piece of work at `path`. Whether that can be a path is checked when it is first asked
    /// of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let path: Arc<str> = path.into().into();
        let selector = LeaderSelector::new(client, format!("{path}/{INSTANCES}"));
        Self { selector, client: client.clone(), path }
    }

    /// The same piece, at which this instance calls itself so.
    #[must_use]
    pub fn with_id(mut self, id: impl AsRef<str>) -> Self {
        self.selector = self.selector.with_id(id);
        self
    }

    /// The same piece, with shifts that promise other things.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.selector = self.selector.with_options(options);
        self
    }

    /// Does the work whenever it is this instance's turn, until the work says
    /// [`Break`](ControlFlow::Break); as [`LeaderSelector::run`], with the last checkpoint.
    ///
    /// # Errors
    /// As of [`LeaderSelector::run`].
    ///
    /// # Cancel safety
    /// As of [`LeaderSelector::run`].
    ///
    /// # Panics
    /// As of [`LeaderSelector::run`].
    pub fn run<T, F, W>(
        &self,
        mut work: W,
    ) -> impl Future<Output = Result<T, LockError>> + use<T, F, W>
    where
        F: Future<Output = ControlFlow<T>>,
        W: FnMut(Shift) -> F,
    {
        let this = self.clone();
        async move {
            loop {
                let guard = this.selector.line().turn().await?;
                if let Some(done) = serve(guard, |term| this.on_shift(term, &mut work)).await? {
                    return done;
                }
            }
        }
    }

    /// What was saved last, if anything ever was.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn checkpoint(&self) -> Result<Option<Vec<u8>>, LockError> {
        let path = znode::path::join(&self.path, CHECKPOINT);
        let client = self.client.without_deadline();
        match client.until_answered(|| client.get_data(&path)).await {
            Ok((data, _)) => Ok(Some(data.to_vec())),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
            Err(error) => Err(LockError::client(&self.path, error)),
        }
    }

    /// All instances, the one at work first.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn instances(&self) -> Result<Vec<Participant>, LockError> {
        participant::all(self.selector.line()).await
    }

    /// Does the work of one shift. Whoever begins it has seen the one before leave, and so whatever
    /// that has saved.
    async fn on_shift<T, F>(
        &self,
        term: Term,
        work: &mut impl FnMut(Shift) -> F,
    ) -> ControlFlow<Result<T, LockError>>
    where
        F: Future<Output = ControlFlow<T>>,
    {
        match self.checkpoint().await {
            Ok(saved) => {
                let (path, saved) = (Arc::clone(&self.path), saved.map(Arc::from));
                work(Shift { path, term, saved }).await.map_break(Ok)
            }
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }
}

impl HotStandby {
    /// Takes the work if nobody is at it, and if it is there: one that somebody is taking away must
    /// not be made anew.
    async fn take(&self, client: &Client) -> Result<Option<Guard>, LockError> {
        let line = self.selector.line();
        // Whoever took a place in line to find out would tell all others to look again.
        if !line.contenders(|_, _| ()).await?.is_empty() {
            return Ok(None);
        }
        let failed = |error| LockError::client(&self.path, error);
        let instances = znode::path::join(&self.path, INSTANCES);
        let made = client.create(&instances, "", CreateMode::Container).await;
        match made.map(drop) {
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
            Err(error) if error.kind() != ErrorKind::NodeExists => return Err(failed(error)),
            _ => {}
        }
        let line = Line { makes_parents: false, ..line.clone() };
        match line.stand(Patience::None, drop).await {
            Err(error) if is_missing(&error) => Ok(None),
            stood => stood,
        }
    }
}

impl ColdStandby {
    /// The pieces of work below `group`. Whether that can be a path is checked when it is first
    /// asked of.
    pub fn new(client: &Client, group: impl Into<String>) -> Self {
        let (group, options) = (group.into().into(), LockOptions::new());
        Self { client: client.clone(), group, id: "".into(), options }
    }

    /// The same pieces, at which this instance calls itself so.
    #[must_use]
    pub fn with_id(mut self, id: impl AsRef<str>) -> Self {
        self.id = id.as_ref().into();
        self
    }

    /// The same pieces, with shifts that promise other things.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.options = options;
        self
    }

    /// Works at one piece after another, whichever is free, until the work says
    /// [`Break`](ControlFlow::Break); waits while none is.
    ///
    /// While it waits one persistent watch tells of every piece that comes, and of every instance
    /// that goes; then each of those who wait looks at the pieces once. A child of the group that
    /// cannot be worked at is passed over, with a warning in the log.
    ///
    /// # Errors
    /// - As of [`LeaderSelector::run`];
    /// - `Client` with [`Unimplemented`](znode::ErrorKind::Unimplemented) on servers before 3.6,
    ///   which know no such watch.
    ///
    /// # Cancel safety
    /// As of [`LeaderSelector::run`].
    ///
    /// # Panics
    /// As of [`LeaderSelector::run`].
    pub fn run<T, F, W>(&self, work: W) -> impl Future<Output = Result<T, LockError>> + use<T, F, W>
    where
        F: Future<Output = ControlFlow<T>>,
        W: FnMut(Shift) -> F,
    {
        let this = self.clone();
        async move { this.work(work).await }
    }

    async fn work<T, F>(&self, mut work: impl FnMut(Shift) -> F) -> Result<T, LockError>
    where
        F: Future<Output = ControlFlow<T>>,
    {
        let client = self.client.without_deadline();
        znode::Path::parse(&self.group).map_err(LockError::invalid_path)?;
        let mut changes = self.watch(&client).await?;
        let mut last = String::new();
        loop {
            if let Some((piece, guard)) = self.take_free(&client, &mut last).await? {
                if let Some(done) = serve(guard, |term| piece.on_shift(term, &mut work)).await? {
                    return done;
                }
            } else {
                self.until_some_may_be_free(&client, &mut changes).await?;
            }
        }
    }

    /// Takes a piece at which nobody works, beginning behind the one that was had last, so that
    /// each has its turn.
    async fn take_free(
        &self,
        client: &Client,
        last: &mut String,
    ) -> Result<Option<(HotStandby, Guard)>, LockError> {
        let mut pieces = match client.until_answered(|| client.get_children(&self.group)).await {
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            listed => listed.map_err(|error| LockError::client(&self.group, error))?,
        };
        pieces.sort_unstable();
        let next = pieces.partition_point(|piece| piece <= last);
        pieces.rotate_left(next);
        for name in pieces {
            let path = znode::path::join(&self.group, &name);
            let piece = HotStandby::new(&self.client, path).with_options(self.options.clone());
            let piece = piece.with_id(&*self.id);
            match piece.take(client).await {
                Ok(Some(guard)) => {
                    *last = name;
                    return Ok(Some((piece, guard)));
                }
                Ok(None) => {}
                Err(error) if error.is_session_over() => return Err(error),
                // Others can be worked at all the same.
                Err(error) => tracing::warn!(path = &*piece.path, %error, "passing this over"),
            }
        }
        Ok(None)
    }

    /// Watches all pieces and all instances.
    async fn watch(&self, client: &Client) -> Result<PersistentWatcher, LockError> {
        let mode = AddWatchMode::PersistentRecursive;
        let watched = client.until_answered(|| client.add_watch(&self.group, mode)).await;
        watched.map_err(|error| LockError::client(&self.group, error))
    }

    /// Waits until a piece has come, or an instance has gone.
    async fn until_some_may_be_free(
        &self,
        client: &Client,
        changes: &mut PersistentWatcher,
    ) -> Result<(), LockError> {
        let mut is_time = false;
        while !is_time {
            is_time = match changes.next().await {
                Some(WatchUpdate::Event(event)) => match event.kind {
                    EventType::NodeDeleted => true,
                    EventType::NodeCreated => {
                        znode::path::parent(&event.path) == Some(&*self.group)
                    }
                    _ => false,
                },
                Some(WatchUpdate::Gap | WatchUpdate::Lagged(_)) => true,
                // Somebody has removed it, the server knows none, or the session is over: which of
                // these, the client says.
                Some(_) | None => {
                    *changes = self.watch(client).await?;
                    true
                }
            };
        }
        // Looking once is enough for all that has happened by now.
        while let Some(Some(_)) = changes.next().now_or_never() {}
        Ok(())
    }
}
