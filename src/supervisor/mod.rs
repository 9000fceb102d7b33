//! One handle across sessions, for those who ask for it: a new session after each that expired,
//! with what was registered made anew, and every step of it told.

mod ephemeral;
mod task;
mod watch;

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::client::Client;
use crate::error::Error;
use crate::ops::AddWatchMode;
use crate::options::ConnectOptions;
use crate::path::Path;
use crate::proto::{SessionId, Zxid};
use crate::state::State;
use task::{Command, Task};

pub use ephemeral::SupervisedEphemeral;
pub use watch::SupervisedWatcher;

/// Keeps a session: opens the next one whenever one has expired.
///
/// A [`Client`] ends with its session, because what the session stood for is gone with it. Where
/// that is no more than some ephemeral nodes and watches, a supervisor makes them anew. It is an
/// explicit choice, and nothing happens silently: each session has a generation, and each loss,
/// each new session and each node made again is a [`SupervisorEvent`].
///
/// Operations are still made on a [`client`](Self::client) of one session, and fail when that is
/// over: none is carried over into the next. Locks do not belong here: they end with their session.
///
/// Dropping the supervisor, and everything registered with it, closes the present session.
///
/// ```no_run
/// # async fn example() -> Result<(), znode::Error> {
/// use znode::{ConnectOptions, Supervisor};
///
/// let supervisor = Supervisor::connect(ConnectOptions::new(), "zk1,zk2/services").await?;
/// let _here = supervisor.ephemeral("/billing/host-1", "10.0.0.1:8080")?;
/// let value = supervisor.client().get_data("/billing").await?;
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # async fn example() -> Result<(), znode::Error> {
/// use znode::{AddWatchMode, ConnectOptions, Supervisor};
///
/// let supervisor = Supervisor::connect(ConnectOptions::new(), "zk1,zk2/services").await?;
/// let mut changes = supervisor.watch("/billing", AddWatchMode::PersistentRecursive)?;
/// println!("{:?} in session {}", changes.recv().await, supervisor.generation());
/// supervisor.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

/// What has happened under a [`Supervisor`].
///
/// ```
/// use znode::SupervisorEvent;
///
/// fn is_alarming(event: &SupervisorEvent) -> bool {
///     match event {
///         SupervisorEvent::EphemeralTaken { .. } | SupervisorEvent::Unreachable { .. } => true,
///         SupervisorEvent::SessionLost { generation, .. } => *generation > 100,
///         _ => false,
///     }
/// }
/// # let _ = is_alarming;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SupervisorEvent {
    /// The session is over. What it stood for is gone, or will be within its timeout.
    SessionLost {
        /// Which session.
        generation: u64,
        /// How it ended.
        state: State,
    },
    /// A new session stands.
    SessionOpened {
        /// How many there were before.
        generation: u64,
        /// Its number.
        session_id: SessionId,
    },
    /// A registered ephemeral node stands in the present session.
    EphemeralStands {
        /// Its path.
        path: String,
        /// The transaction that created it.
        czxid: Zxid,
        /// The session that owns it.
        generation: u64,
    },
    /// A registered ephemeral node cannot stand, because the path is taken by somebody else's; it
    /// will be made when that is gone.
    EphemeralTaken {
        /// Its path.
        path: String,
        /// The session that owns the node that stands there; none if it is not ephemeral.
        owner: SessionId,
    },
    /// A registered ephemeral node was refused, as for want of a parent or a right; it will be
    /// tried again in the next session.
    EphemeralRefused {
        /// Its path.
        path: String,
        /// Why.
        error: Error,
    },
    /// A registered watch was refused; it will be tried again in the next session.
    WatchRefused {
        /// Its path.
        path: String,
        /// Why.
        error: Error,
    },
    /// No new session could be opened so far; it is tried again.
    Unreachable {
        /// Why.
        error: Error,
    },
}

/// What has happened under a supervisor, from the subscription on; see [`Supervisor::events`].
///
/// ```no_run
/// # async fn example(supervisor: znode::Supervisor) {
/// use futures::StreamExt;
/// use znode::{SupervisorEvent, SupervisorEvents};
///
/// let mut events: SupervisorEvents = supervisor.events();
/// while let Some(event) = events.next().await {
///     if let SupervisorEvent::EphemeralStands { path, czxid, .. } = event {
///         println!("{path} stands since {czxid}");
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct SupervisorEvents(mpsc::UnboundedReceiver<SupervisorEvent>);

#[derive(Debug)]
struct Shared {
    present: Mutex<Present>,
    commands: mpsc::UnboundedSender<Command>,
    /// Names the next thing that is registered.
    next_id: AtomicU64,
}

/// The session of the moment, and who listens.
#[derive(Debug)]
struct Present {
    client: Client,
    generation: u64,
    /// Without a bound: what is told comes no faster than sessions and nodes come and go.
    listeners: Vec<mpsc::UnboundedSender<SupervisorEvent>>,
}

impl Supervisor {
    /// Opens the first session.
    ///
    /// # Errors
    /// Those of [`ConnectOptions::connect`]: only once there has been a session are others opened
    /// for ever.
    ///
    /// # Cancel safety
    /// If the future is dropped, a session that was opened is closed again.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and IO enabled.
    pub async fn connect(options: ConnectOptions, connect_string: &str) -> Result<Self, Error> {
        let client = options.clone().connect(connect_string).await?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let first = client.clone();
        let present = Mutex::new(Present { client, generation: 0, listeners: Vec::new() });
        let shared = Arc::new(Shared { present, commands, next_id: AtomicU64::new(0) });
        let options = options.without_resume();
        let task = Task::new(Arc::downgrade(&shared), options, connect_string, receiver);
        tokio::spawn(task.run(first));
        Ok(Self { shared })
    }

    /// A handle to the present session, or to the last one while a new one is opened.
    pub fn client(&self) -> Client {
        self.shared.present().client.clone()
    }

    /// How many sessions there were before the present one.
    pub fn generation(&self) -> u64 {
        self.shared.present().generation
    }

    /// What happens from now on.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use futures::StreamExt;
    ///
    /// # let supervisor =
    /// #     znode::Supervisor::connect(znode::ConnectOptions::new(), "zk1:2181").await?;
    /// let mut events = supervisor.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> SupervisorEvents {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.shared.present().listeners.push(sender);
        SupervisorEvents(receiver)
    }

    /// Registers an ephemeral node: it is created now, and again in each new session, and whenever
    /// somebody else has deleted it. Its parent must exist.
    ///
    /// A node of the session before, which the server has not missed yet, is no obstacle: that
    /// session is closed first.
    ///
    /// # Errors
    /// `InvalidPath`. Whatever a server says later is an event.
    pub fn ephemeral(
        &self,
        path: &str,
        data: impl Into<Vec<u8>>,
    ) -> Result<SupervisedEphemeral, Error> {
        let path = parse("ephemeral", path)?;
        Ok(SupervisedEphemeral::register(&self.shared, path, data.into()))
    }

    /// Registers a persistent watch: it is armed now and again in each new session, after which it
    /// yields a [`Gap`](crate::WatchUpdate::Gap).
    ///
    /// # Errors
    /// `InvalidPath`. Whatever a server says later is an event.
    pub fn watch(&self, path: &str, mode: AddWatchMode) -> Result<SupervisedWatcher, Error> {
        let path = parse("watch", path)?;
        Ok(SupervisedWatcher::register(&self.shared, path, mode))
    }

    /// Closes the present session and opens no other.
    ///
    /// # Errors
    /// As [`Client::close`].
    ///
    /// # Cancel safety
    /// The request is in line once this is polled.
    pub async fn close(&self) -> Result<(), Error> {
        let (done, closed) = oneshot::channel();
        if self.shared.commands.send(Command::Close(done)).is_err() {
            return Ok(());
        }
        closed.await.unwrap_or(Ok(()))
    }
}

fn parse(op: &'static str, path: &str) -> Result<Path, Error> {
    Path::parse(path).map_err(|invalid| Error::invalid_path(op, invalid))
}

impl Shared {
    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().expect("nothing panics while it holds this lock")
    }

    fn tell(&self, event: &SupervisorEvent) {
        self.present().listeners.retain(|listener| listener.send(event.clone()).is_ok());
    }
}

impl Stream for SupervisorEvents {
    type Item = SupervisorEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SupervisorEvent>> {
        self.0.poll_recv(cx)
    }
}

impl fmt::Display for SupervisorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionLost { generation, state } => {
                write!(f, "session of generation {generation} is over: {state}")
            }
            Self::SessionOpened { generation, session_id } => {
                write!(f, "session {session_id} of generation {generation} stands")
            }
            Self::EphemeralStands { path, czxid, generation } => {
                write!(f, "{path} stands in generation {generation} since {czxid}")
            }
            Self::EphemeralTaken { path, owner } => write!(f, "{path} is taken by {owner}"),
            Self::EphemeralRefused { path, error } => write!(f, "{path} was refused: {error}"),
            Self::WatchRefused { path, error } => write!(f, "watch on {path} refused: {error}"),
            Self::Unreachable { error } => write!(f, "no new session yet: {error}"),
        }
    }
}
