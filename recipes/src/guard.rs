//! What every lock-like recipe hands out: proof of holding, news of losing, and the way to let go.

use std::fmt;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use znode::{Client, Op, OpResult, Zxid};

use crate::clock::now;
use crate::contender::{Contender, Removal};
use crate::error::LockError;
use crate::guard_state::{GuardState, GuardStates};
use crate::guarded::{GuardedClient, GuardedReply};
use crate::holding::Holding;
use crate::loss::{Lost, LostReason};
use crate::options::LockOptions;
use crate::order::Noted;
use crate::run::Run;
use crate::sequence::Mode;
use crate::sequencer::Sequencer;
use crate::tombstone::UncleanDeath;
use crate::watchman::{Revoked, Watchman};

/// Something that is held until this is released, dropped, or lost.
///
/// It belongs to no thread and no task: it may be moved, shared by reference, and released
/// anywhere. (Curator's mutex is bound to a thread: GH-867, GH-979.)
///
/// # What holding means
/// ZooKeeper grants a lock to one session at a time, but no holder can know that it holds *now*:
/// its session may have expired an instant ago, while its process stood still. So whatever the
/// lock protects should be able to refuse a former holder:
///
/// - what lives in ZooKeeper is written through [`client`](Self::client), which cannot write
///   once the lock is lost;
/// - what lives elsewhere is given the [`token`](Self::token), and refuses lower ones than it has
///   seen.
///
/// [`lost`](Self::lost) and [`state`](Self::state) tell as early as can be known. They serve to
/// stop useless work, and are no substitute for either.
///
/// # Drop
/// Dropping a guard releases it without waiting: the deletion takes its place in line at once,
/// before anything that is asked of the client later, and is repeated until it is certain or the
/// session is over; also while the connection is down. Drop never blocks, and may happen outside
/// of any runtime.
///
/// After [`Client::detach`](znode::Client::detach) nothing can be deleted any more: the node stays
/// with the session, for whoever resumes it, and a warning says so. So does that of somebody who
/// was still waiting. Release before detaching what is not to be handed over.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode::{Op, Version};
/// use znode_recipes::{GuardState, Mutex};
///
/// let guard = Mutex::new(&client, "/locks/invoice-run").lock().await?;
/// println!("{} of {}: {:?}", guard.path(), guard.lock_path(), guard.mode());
/// println!("nobody else before {:?}, nor before {:?}", guard.deadline(), guard.renew().await?);
/// if guard.state() == GuardState::Held {
///     guard.multi([Op::set_data("/invoices/last", "4711", Version::ANY)]).await?;
///     guard.client().delete("/todo/4711", Version::ANY).await?;
/// }
/// guard.release().await
/// # }
/// ```
#[must_use = "dropping a guard releases it"]
pub struct Guard {
    // The order is the order in which they are dropped: what is released is not reported as lost,
    // and the watch that the deletion uses up need not be removed.
    released: Released,
    contender: Contender,
    watchman: Watchman,
    holding: Holding,
    mode: Mode,
    grace: Option<Duration>,
    lock: Arc<str>,
    died: Option<UncleanDeath>,
    /// When it was granted.
    granted_at: Instant,
    noted: Noted,
}

/// What a guard is of.
pub(crate) struct Terms<'a> {
    /// The lock, as its caller named it.
    pub(crate) lock: Arc<str>,
    /// The client that the caller gave.
    pub(crate) writer: &'a Client,
    pub(crate) mode: Mode,
    pub(crate) options: &'a LockOptions,
    /// The last holder, if it has died.
    pub(crate) died: Option<UncleanDeath>,
    pub(crate) noted: Noted,
}

/// Decides, when it is dropped, that a guard has been released.
#[derive(Debug)]
struct Released(Holding);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.decide(LostReason::Released);
    }
}

impl Guard {
    /// The guard of a contender whose turn it is.
    pub(crate) fn new(contender: Contender, terms: Terms<'_>) -> Self {
        let Terms { lock, writer, mode, options, died, noted } = terms;
        let holding = Holding::new(&contender, writer, options);
        let watchman = Watchman::over(&contender, holding.clone());
        let (released, grace, granted_at) = (Released(holding.clone()), options.grace, now());
        Self { released, contender, watchman, holding, mode, grace, lock, died, granted_at, noted }
    }

    pub(crate) fn contender(&self) -> &Contender {
        &self.contender
    }

    pub(crate) fn holding(&self) -> &Holding {
        &self.holding
    }

    /// How long its writes are parked while the connection is down.
    pub(crate) fn grace(&self) -> Option<Duration> {
        self.grace
    }

    pub(crate) fn runtime(&self) -> Handle {
        self.contender.runtime().clone()
    }

    pub(crate) fn lost_by_now(&self) -> Option<LostReason> {
        self.holding.lost_by_now()
    }

    /// Ends the guard, but not what its contender has: that is for another guard.
    pub(crate) fn dissolve(self) -> (Contender, Noted) {
        let Self { released, contender, watchman, noted, .. } = self;
        drop(released);
        drop(watchman);
        (contender, noted)
    }

    /// The fencing token: the transaction that created the lock's node (its `czxid`).
    ///
    /// Of any two guards of one lock the later has the higher token, across clients, restarts of
    /// the ensemble, and deletions of the lock's parent; but a
    /// [downgrade](crate::WriteGuard::downgrade) keeps the writer's. (The number in the node's
    /// name is no token: it starts again when the parent is made anew.)
    pub fn token(&self) -> Zxid {
        self.contender.token()
    }

    /// The path of the lock's node.
    pub fn path(&self) -> &str {
        self.contender.path()
    }

    /// The path of the lock, as its caller named it.
    pub fn lock_path(&self) -> &str {
        &self.lock
    }

    /// Whether others may hold the same lock meanwhile.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The name of this holding, to hand to others who can see by it whether it still stands.
    ///
    /// ```no_run
    /// # async fn ask(elsewhere: &str) {}
    /// # async fn example(guard: znode_recipes::Guard) {
    /// ask(&guard.sequencer().to_string()).await;
    /// # }
    /// ```
    pub fn sequencer(&self) -> Sequencer {
        let client = self.contender.client();
        Sequencer::new(client, self.path(), self.mode, self.token())
    }

    /// The last holder, if it did not let go by itself; only of a lock with a
    /// [lock-delay](crate::Mutex::with_lock_delay), and if the last holder had it with one.
    ///
    /// Whoever finds one may look after what was left half done, or
    /// [wait](Self::wait_out_delay) until nothing of it can still be on its way.
    pub fn unclean_death(&self) -> Option<&UncleanDeath> {
        self.died.as_ref()
    }

    /// Waits until the lock-delay of a holder that died is over, counted from when this guard was
    /// granted; at once if there was none.
    ///
    /// ```no_run
    /// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
    /// if let Some(death) = guard.unclean_death() {
    ///     println!("{} has died", death.holder());
    ///     guard.wait_out_delay().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `LockLost` if the lock is lost meanwhile.
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub async fn wait_out_delay(&self) -> Result<(), LockError> {
        let Some(died) = &self.died else { return Ok(()) };
        let until = self.granted_at.checked_add(died.delay());
        self.run(async {
            match until {
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
        })
        .await
    }

    /// What may be believed as of now. Once this is asked, or one of those below, the lock's node
    /// is watched, which is one request.
    pub fn state(&self) -> GuardState {
        self.watchman.ask();
        self.holding.state()
    }

    /// The state, and each change of it; ends after [`GuardState::Lost`], or when the guard is
    /// released.
    ///
    /// ```no_run
    /// # async fn example(guard: znode_recipes::Guard) {
    /// use futures::StreamExt;
    ///
    /// let mut states = guard.states();
    /// while let Some(state) = states.next().await {
    ///     println!("{state:?}");
    /// }
    /// # }
    /// ```
    pub fn states(&self) -> GuardStates {
        self.watchman.ask();
        GuardStates::new(&self.holding)
    }

    /// Resolves when the guard holds nothing any more, with the reason. It borrows nothing, so
    /// it can be moved to whoever must know.
    ///
    /// That somebody has deleted the node is learnt by a watch on it, which is left once this is
    /// called. The end of the session is learnt from a
    /// server, or from the clock, once it is a session timeout that the last packet was sent which
    /// was answered. That may be too late, if a follower that was cut off answered it: a
    /// [strict](LockOptions::strict) guard is lost before anybody else can have the lock.
    ///
    /// ```no_run
    /// # async fn work() {}
    /// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
    /// tokio::select! {
    ///     () = work() => guard.release().await,
    ///     reason = guard.lost() => Err(reason.into()),
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub fn lost(&self) -> Lost {
        self.watchman.ask();
        self.holding.lost().clone()
    }

    /// Resolves when somebody has asked us to let go, by writing `__REVOKE__` into the lock's node
    /// as Curator's `Revoker` and [`Mutex::revoke`](crate::Mutex::revoke) do. It is up to the
    /// holder to comply. It never resolves for a guard that is lost or released without.
    ///
    /// ```no_run
    /// # async fn work() {}
    /// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
    /// tokio::select! {
    ///     () = work() => {}
    ///     () = guard.revoked() => println!("somebody needs it more urgently"),
    /// }
    /// guard.release().await
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub fn revoked(&self) -> Revoked {
        self.watchman.ask();
        self.watchman.revoked()
    }

    /// Until when nobody else can have the lock, unless somebody deletes its node; `None` if it is
    /// lost. Past the moment it may well be held on.
    ///
    /// It is [`Client::assured_until`](znode::Client::assured_until) less what clocks may
    /// [drift](LockOptions::clock_drift): it counts from the *sending* of the session's last write
    /// that a quorum has, the creation of the lock's node being one, and not from any answer to a
    /// ping, which a server may give that knows nothing. So it may have passed for who waited long
    /// for the lock; [`renew`](Self::renew) moves it.
    ///
    /// A machine that was suspended may not know how long: its monotonic clock can stand still
    /// meanwhile. Tokens and guarded writes do not depend on any clock.
    pub fn deadline(&self) -> Option<Instant> {
        self.holding.lost_by_now().is_none().then(|| self.holding.deadline())
    }

    /// Proves anew, by an empty transaction that checks the lock's node, that the lock is held;
    /// returns the new deadline. A [strict](LockOptions::strict) guard does so by itself.
    ///
    /// # Errors
    /// `LockLost`, or `Client` with the client's own error, as `NoAuth` where the node cannot be
    /// read. Lost connections are no error: it waits for the next.
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub async fn renew(&self) -> Result<Instant, LockError> {
        if let Some(reason) = self.holding.lost_by_now() {
            return Err(LockError::lost(&self.lock, reason));
        }
        let renewed = self.holding.renew().await;
        renewed.map_err(|error| LockError::guarded(&self.lock, error))?;
        Ok(self.holding.deadline())
    }

    /// The lock's client for writes that only the holder may do: each is one transaction with a
    /// check that the lock's node stands.
    pub fn client(&self) -> GuardedClient {
        GuardedClient::new(&self.holding, &self.lock, self.grace)
    }

    /// Carries out several writes as one transaction that only the holder can do; see
    /// [`GuardedClient::multi`].
    ///
    /// # Errors
    /// As [`GuardedClient::multi`].
    pub fn multi(&self, ops: impl IntoIterator<Item = Op>) -> GuardedReply<Vec<OpResult>> {
        self.client().multi(ops)
    }

    /// Runs `work` while the lock is held, and drops it at once where it stands if that is lost.
    ///
    /// Whatever the work has begun outside of this process goes on, of course: what it writes
    /// should be guarded, or carry the token. The future may be moved away from the guard, and
    /// spawned; the guard must be kept, though, since dropping it releases the lock.
    ///
    /// ```no_run
    /// # async fn work(token: znode::Zxid) -> u32 { 0 }
    /// # async fn example(guard: znode_recipes::Guard) -> Result<(), znode_recipes::LockError> {
    /// let done = guard.run(work(guard.token())).await?;
    /// guard.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `LockLost`; the work was dropped before its end.
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the work.
    pub fn run<F: Future>(&self, work: F) -> Run<F> {
        self.watchman.ask();
        Run::new(work, &self.holding, &self.lock)
    }

    /// Lets go, and waits until the next in line can have it.
    ///
    /// `Ok` says that the lock was held up to now, so nobody else can have held it since it was
    /// granted. (One doubt is left: if the connection is lost in the middle of the release, and
    /// somebody else deletes the node at that very time, the two deletions look alike.)
    ///
    /// # Errors
    /// `LockLost` if it was not held any more; there is nothing left to release. `Client` if the
    /// server refuses: the node goes with the session then.
    ///
    /// # Cancel safety
    /// If the future is dropped, polled or not, the lock is released in the background.
    /// (Curator forgets a lock whose release has failed: CURATOR-678, GH-1193.)
    pub async fn release(self) -> Result<(), LockError> {
        let Self { released, contender, watchman, holding, lock, .. } = self;
        let loss = holding.lost_by_now();
        drop(released);
        let removal = contender.remove().await;
        drop(watchman);
        if let Some(reason) = loss {
            return Err(LockError::lost(&lock, reason));
        }
        match removal {
            Ok(Removal::Removed) => Ok(()),
            Ok(Removal::WasGone) => Err(LockError::lost(&lock, LostReason::Deleted)),
            Err(error) if error.is_session_over() => Err(LockError::lost_by(&lock, error)),
            Err(error) => Err(LockError::client(&lock, error)),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.holding.state();
        f.debug_struct("Guard")
            .field("path", &self.path())
            .field("token", &self.token())
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
