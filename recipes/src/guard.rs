//! What every lock-like recipe hands out: proof of holding, news of losing, and the way to let go.

use std::fmt;
use std::sync::Arc;

use znode::Zxid;

use crate::contender::{Contender, Removal};
use crate::error::LockError;
use crate::guard_state::{GuardState, GuardStates};
use crate::guarded::GuardedClient;
use crate::loss::{Lost, LostReason, Verdict, Watchman};

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
#[must_use = "dropping a guard releases it"]
pub struct Guard {
    // The order is the order in which they are dropped: what is released is not reported as lost,
    // and the watch that the deletion uses up need not be removed.
    released: Released,
    contender: Contender,
    watchman: Watchman,
    lost: Lost,
    lock: Arc<str>,
}

/// Decides, when it is dropped, that a guard has been released.
#[derive(Debug)]
struct Released(Arc<Verdict>);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.decide(LostReason::Released);
    }
}

impl Guard {
    /// The guard of a contender whose turn it is, in the lock of that path.
    pub(crate) fn new(contender: Contender, lock: Arc<str>) -> Self {
        let (verdict, lost) = Verdict::new();
        let watchman = Watchman::over(&contender, Arc::clone(&verdict));
        Self { released: Released(verdict), contender, watchman, lost, lock }
    }

    /// The fencing token: the transaction that created the lock's node (its `czxid`).
    ///
    /// Of any two guards of one lock the later has the higher token, across clients, restarts of
    /// the ensemble, and deletions of the lock's parent. (The number in the node's name is no
    /// token: it starts again when the parent is made anew.)
    pub fn token(&self) -> Zxid {
        self.contender.czxid()
    }

    /// The path of the lock's node.
    pub fn path(&self) -> &str {
        self.contender.path()
    }

    /// What may be believed as of now.
    pub fn state(&self) -> GuardState {
        match self.lost.decided() {
            Some(reason) => GuardState::Lost(reason),
            None => GuardState::of(self.contender.client().state()),
        }
    }

    /// The state, and each change of it; ends after [`GuardState::Lost`], or when the guard is
    /// released.
    pub fn states(&self) -> GuardStates {
        GuardStates::new(self.contender.client(), self.lost.clone())
    }

    /// Resolves when the guard holds nothing any more, with the reason. It borrows nothing, so
    /// it can be moved to whoever must know.
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
        self.lost.clone()
    }

    /// The lock's client for writes that only the holder may do: each is one transaction with a
    /// check that the lock's node stands.
    pub fn client(&self) -> GuardedClient {
        GuardedClient::new(self.contender.client(), self.path(), &self.lock)
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
        let Self { released, contender, watchman, lost, lock } = self;
        let loss = lost.decided();
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
        f.debug_struct("Guard")
            .field("path", &self.path())
            .field("token", &self.token())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
