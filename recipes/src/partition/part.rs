//! One part, for as long as it is ours.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use znode::Zxid;

use super::board::Board;
use crate::error::LockError;
use crate::guard::Guard;

/// One part of a [`Partitioner`](crate::Partitioner), which is granted to nobody else until this is
/// released or dropped, or its session is over: that is how a member lets go of what it was asked
/// to, and not before it is done with it.
///
/// It holds the lock of the part, and is as certain as that: of a session whose end nobody has
/// noticed here it is another's already, so what is written should be [guarded](Self::guard), or
/// carry the [token](Self::token). Whoever works at it should stop when it is
/// [recalled](Self::recalled), or when its [`guard`](Self::guard) is lost, as that of a session
/// that is over; [`run`](Self::run) does. A part that is let go of while it is still due to this
/// member comes again, with a higher token, from the [`Share`](crate::Share).
///
/// ```no_run
/// # async fn read(queue: &str) {}
/// # async fn example(part: znode_recipes::Part) -> Result<(), znode_recipes::LockError> {
/// tokio::select! {
///     () = read(part.name()) => {}
///     () = part.recalled() => println!("{} is due to somebody else", part.name()),
///     reason = part.guard().lost() => return Err(reason.into()),
/// }
/// part.release().await
/// # }
/// ```
#[must_use = "dropping a part lets go of it"]
pub struct Part {
    name: Arc<str>,
    /// Gone only while this is released.
    guard: Option<Guard>,
    board: Arc<Board>,
}

impl Part {
    pub(super) fn new(name: Arc<str>, guard: Guard, board: &Arc<Board>) -> Self {
        Self { name, guard: Some(guard), board: Arc::clone(board) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fencing token: larger than those of all that had it before.
    pub fn token(&self) -> Zxid {
        self.guard().token()
    }

    /// The guard of its lock, for guarded writes, and for news of its loss.
    pub fn guard(&self) -> &Guard {
        self.guard.as_ref().expect("only its release takes it")
    }

    /// Whether it is not due to this member any more.
    pub fn is_recalled(&self) -> bool {
        !self.board.is_due(&self.name)
    }

    /// Resolves once it is not due to this member any more: others have come, or the share is
    /// given up or over. They wait until this is released or dropped. It borrows nothing, so it
    /// can be moved to whoever must know.
    ///
    /// ```no_run
    /// # async fn example(part: znode_recipes::Part) -> Result<(), znode_recipes::LockError> {
    /// println!("{} since {}: {}", part.name(), part.token(), part.is_recalled());
    /// part.recalled().await;
    /// part.release().await
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// It may be dropped and asked for again.
    pub fn recalled(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.board).recalled(Arc::clone(&self.name))
    }

    /// Runs `work` while the part is ours and due to us, and drops it where it stands if it is
    /// recalled (`None`) or lost.
    ///
    /// Whatever the work has begun outside of this process goes on, of course: what it writes
    /// should be guarded, or carry the token.
    ///
    /// ```no_run
    /// # async fn read(queue: &str) {}
    /// # async fn example(part: znode_recipes::Part) -> Result<(), znode_recipes::LockError> {
    /// if part.run(read(part.name())).await?.is_none() {
    ///     println!("{} was recalled", part.name());
    /// }
    /// part.release().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// `LockLost`; the work was dropped before its end.
    ///
    /// # Cancel safety
    /// If the future is dropped, so is the work.
    pub async fn run<F: Future>(&self, work: F) -> Result<Option<F::Output>, LockError> {
        let recalled = self.recalled();
        let until_recalled = async {
            tokio::select! {
                biased;
                () = recalled => None,
                done = work => Some(done),
            }
        };
        self.guard().run(until_recalled).await
    }

    /// Lets go, and waits until whoever it is due to can have it.
    ///
    /// # Errors
    /// As [`Guard::release`].
    ///
    /// # Cancel safety
    /// If the future is dropped, polled or not, it is let go of in the background.
    pub async fn release(mut self) -> Result<(), LockError> {
        let guard = self.guard.take().expect("only this takes it");
        guard.release().await
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // First, so that who seeks it again stands behind.
        drop(self.guard.take());
        self.board.let_go(&self.name);
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("name", &self.name).field("guard", &self.guard).finish()
    }
}
