//! Taking part in the background.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::stream::{Stream, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use znode::Zxid;

use crate::error::{LockError, LockErrorKind};
use crate::guard::Guard;
use crate::guard_state::GuardState;
use crate::guarded::GuardedClient;
use crate::holding::Holding;
use crate::lock::line::Line;
use crate::loss::LostReason;

/// One that takes part in an election, in the background; see
/// [`LeaderLatch::join`](crate::LeaderLatch::join).
///
/// Dropping it is [leaving](Self::leave) silently, but without an answer.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use futures::StreamExt;
/// use znode_recipes::{CloseMode, LeaderEvent, LeaderLatch};
///
/// let candidacy = LeaderLatch::new(&client, "/leaders/billing").with_id("host-1").join();
/// let mut events = candidacy.events();
/// tokio::spawn(async move {
///     while let Some(event) = events.next().await {
///         if let LeaderEvent::Elected { epoch, .. } = event {
///             println!("we lead, epoch {epoch}");
///         }
///     }
/// });
/// if let Some(writer) = candidacy.client() {
///     // Takes effect under this leadership, or not at all.
///     writer.set_data("/billing/leader", "host-1", znode::Version::ANY).await?;
/// }
/// candidacy.leave(CloseMode::NotifyLeader).await
/// # }
/// ```
///
/// Or without listening:
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::LeaderLatch;
///
/// let candidacy = LeaderLatch::new(&client, "/leaders/billing").join();
/// let epoch = candidacy.until_leader().await?;
/// assert!(candidacy.epoch().is_none_or(|now| now >= epoch));
/// println!("we lead, if nothing has happened since: {}", candidacy.is_leader());
/// # Ok(())
/// # }
/// ```
pub struct Candidacy {
    shared: Arc<Shared>,
    leave: Option<oneshot::Sender<CloseMode>>,
    task: JoinHandle<Result<(), LockError>>,
}

/// Whether those who listen are told that a leadership has ended because its candidacy has.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{CloseMode, LeaderLatch};
///
/// let candidacy = LeaderLatch::new(&client, "/leaders/billing").join();
/// candidacy.leave(CloseMode::NotifyLeader).await?; // `events` tell of it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CloseMode {
    /// They are not: their streams end.
    #[default]
    Silent,
    /// They are told of [`LeaderEvent::Resigned`] before, if this one leads.
    NotifyLeader,
}

/// What becomes of a candidacy.
///
/// ```
/// use znode_recipes::LeaderEvent;
///
/// fn may_work(event: &LeaderEvent) -> bool {
///     matches!(event, LeaderEvent::Elected { .. } | LeaderEvent::Reassured { .. })
/// }
/// # let _ = may_work;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LeaderEvent {
    /// It leads.
    #[non_exhaustive]
    Elected {
        /// The token of this leadership: larger than those of all that were before.
        epoch: Zxid,
    },
    /// The connection is down. It may lead or not; if the session survives it leads again.
    #[non_exhaustive]
    Suspect {
        /// The token of this leadership.
        epoch: Zxid,
        /// Until when nobody else can lead all the same, unless somebody deletes the node.
        until: Instant,
    },
    /// The connection stands again, and it leads as before.
    #[non_exhaustive]
    Reassured {
        /// The token of this leadership.
        epoch: Zxid,
    },
    /// It leads no more, and stands in line again if the session lives.
    #[non_exhaustive]
    Deposed {
        /// The token that is worth nothing any more.
        epoch: Zxid,
        /// Why.
        reason: LostReason,
    },
    /// It led, and has left.
    #[non_exhaustive]
    Resigned {
        /// The token that is worth nothing any more.
        epoch: Zxid,
    },
    /// It cannot take part any more, for this reason; nothing follows.
    Failed(LockError),
}

/// What becomes of a candidacy, from the call on; see [`Candidacy::events`]. It ends with the
/// candidacy, or after [`LeaderEvent::Failed`].
///
/// ```no_run
/// # async fn example(candidacy: znode_recipes::Candidacy) {
/// use futures::StreamExt;
/// use znode_recipes::{LeaderEvent, LeaderEvents};
///
/// let mut events: LeaderEvents = candidacy.events();
/// while let Some(event) = events.next().await {
///     match event {
///         LeaderEvent::Suspect { until, .. } => println!("nobody else leads before {until:?}"),
///         LeaderEvent::Deposed { reason, .. } => println!("we lead no more: {reason:?}"),
///         other => println!("{other:?}"),
///     }
/// }
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct LeaderEvents(UnboundedReceiver<LeaderEvent>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    leading: Option<Leading>,
    failed: Option<LockError>,
    has_left: bool,
    listeners: Vec<UnboundedSender<LeaderEvent>>,
}

/// A leadership that was not seen to be lost.
struct Leading {
    epoch: Zxid,
    client: GuardedClient,
    /// What is true of it now, whether or not the task that tells of it has had its turn.
    holding: Holding,
    /// What was told of it last, if it was not that it leads.
    told: Option<LeaderEvent>,
}

impl Leading {
    fn of(guard: &Guard) -> Self {
        let (epoch, client, holding) = (guard.token(), guard.client(), guard.holding().clone());
        Self { epoch, client, holding, told: None }
    }

    fn is_held(&self) -> bool {
        self.holding.state().is_held()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something and tells of it, so that nobody who begins to listen is told twice, or of
    /// the end of what he was not told of.
    fn change(&self, event: Option<&LeaderEvent>, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if let Some(event) = event {
            // Whoever does not listen any more has dropped the other end.
            state.listeners.retain(|listener| listener.send(event.clone()).is_ok());
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

impl Candidacy {
    pub(super) fn new(line: Line) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Notify::new() });
        let (leave, left) = oneshot::channel();
        let task = tokio::spawn(take_part(line, Arc::clone(&shared), left));
        Self { shared, leave: Some(leave), task }
    }

    /// Whether it leads, as far as can be known: not if the connection is down.
    pub fn is_leader(&self) -> bool {
        let state = self.shared.lock();
        state.leading.as_ref().is_some_and(Leading::is_held)
    }

    /// The token of its leadership, if it leads or may lead.
    pub fn epoch(&self) -> Option<Zxid> {
        self.shared.lock().leading.as_ref().map(|leading| leading.epoch)
    }

    /// A client for writes in the name of its leadership, if it leads or may lead: each takes
    /// effect while it does, or not at all.
    pub fn client(&self) -> Option<GuardedClient> {
        self.shared.lock().leading.as_ref().map(|leading| leading.client.clone())
    }

    /// Waits until it leads; returns the token.
    ///
    /// # Errors
    /// It cannot take part any more, as of [`LeaderLatch::lead`](crate::LeaderLatch::lead).
    ///
    /// # Cancel safety
    /// It goes on taking part.
    pub async fn until_leader(&self) -> Result<Zxid, LockError> {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.shared.lock();
                if let Some(failed) = &state.failed {
                    return Err(failed.clone());
                }
                if let Some(leading) = state.leading.as_ref().filter(|it| it.is_held()) {
                    return Ok(leading.epoch);
                }
            }
            changed.await;
        }
    }

    /// What becomes of it from now on, beginning with what it is: that it leads, if it does, or
    /// that it has failed. Nothing is left out; whoever does not read keeps what was told.
    pub fn events(&self) -> LeaderEvents {
        let (sender, receiver) = unbounded_channel();
        let mut state = self.shared.lock();
        let tell = |event| drop(sender.send(event));
        if let Some(leading) = &state.leading {
            tell(LeaderEvent::Elected { epoch: leading.epoch });
            leading.told.iter().cloned().for_each(tell);
        }
        match &state.failed {
            Some(failed) => tell(LeaderEvent::Failed(failed.clone())),
            None if state.has_left => {}
            None => state.listeners.push(sender),
        }
        LeaderEvents(receiver)
    }

    /// Takes part no more. When this returns its node is gone; or it goes in the background, if
    /// its creation was under way, or the connection is down.
    ///
    /// # Errors
    /// The node could not be deleted, and goes with the session; or it had failed before. That its
    /// leadership was lost already is none.
    ///
    /// # Cancel safety
    /// It leaves all the same, from the first poll on.
    ///
    /// # Panics
    /// If the task that took part has.
    pub async fn leave(mut self, mode: CloseMode) -> Result<(), LockError> {
        if let Some(leave) = self.leave.take() {
            // It may have failed before.
            let _ = leave.send(mode);
        }
        match (&mut self.task).await {
            Ok(left) => left,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                // The runtime ends.
                Err(_) => Ok(()),
            },
        }
    }
}

impl fmt::Debug for Candidacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidacy").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

/// Stands in line, leads, and does it again, until it is to leave or cannot go on.
async fn take_part(
    line: Line,
    shared: Arc<Shared>,
    mut left: oneshot::Receiver<CloseMode>,
) -> Result<(), LockError> {
    let mut gone = false;
    let outcome = loop {
        let stood = tokio::select! {
            biased;
            _ = &mut left => {
                gone = true;
                break Ok(());
            }
            stood = line.turn() => stood,
        };
        let guard = match stood {
            Ok(guard) => guard,
            Err(error) => break Err(error),
        };
        if let Some(mode) = lead(&guard, &shared, &mut left).await {
            let resigned = LeaderEvent::Resigned { epoch: guard.token() };
            let told = (mode == CloseMode::NotifyLeader).then_some(&resigned);
            shared.change(told, |state| state.leading = None);
            break match guard.release().await {
                // It has left, whoever has seen to that.
                Err(error) if error.kind() == LockErrorKind::LockLost => Ok(()),
                released => released,
            };
        }
    };
    if gone {
        // Its place is given up in the background; what is asked now is answered behind that.
        let _ = line.client.exists(&line.path).await;
    }
    let failed = outcome.as_ref().err().map(|error| LeaderEvent::Failed(error.clone()));
    shared.change(failed.as_ref(), |state| {
        state.has_left = true;
        state.failed = outcome.as_ref().err().cloned();
    });
    shared.lock().listeners.clear();
    outcome
}

/// Leads until that is lost, for nothing; or until it is to leave.
async fn lead(
    guard: &Guard,
    shared: &Shared,
    left: &mut oneshot::Receiver<CloseMode>,
) -> Option<CloseMode> {
    let epoch = guard.token();
    let mut states = guard.states();
    let elected = LeaderEvent::Elected { epoch };
    shared.change(Some(&elected), |state| state.leading = Some(Leading::of(guard)));
    let mut was_suspect = false;
    loop {
        let state = tokio::select! {
            biased;
            state = states.next() => state.unwrap_or(GuardState::Lost(LostReason::Closed)),
            mode = &mut *left => return Some(mode.unwrap_or_default()),
        };
        let event = match state {
            GuardState::Held if was_suspect => LeaderEvent::Reassured { epoch },
            GuardState::Held => continue,
            GuardState::Suspect { until, .. } => LeaderEvent::Suspect { epoch, until },
            GuardState::Lost(reason) => LeaderEvent::Deposed { epoch, reason },
        };
        was_suspect = state.is_suspect();
        shared.change(Some(&event), |shared| {
            if state.is_lost() {
                shared.leading = None;
            } else if let Some(leading) = &mut shared.leading {
                leading.told = state.is_suspect().then(|| event.clone());
            }
        });
        if state.is_lost() {
            return None;
        }
    }
}

impl Stream for LeaderEvents {
    type Item = LeaderEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LeaderEvent>> {
        self.0.poll_recv(cx)
    }
}

impl fmt::Debug for LeaderEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaderEvents")
    }
}
