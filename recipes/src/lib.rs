//! Distributed locks over [`znode`]: guards with fencing tokens, compatible with Apache Curator
//! on the wire.
//!
//! ```no_run
//! use znode::Client;
//! use znode_recipes::{LockError, Mutex};
//! # async fn run(token: znode::Zxid) {}
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("zk1:2181,zk2:2181").await?;
//! let guard = Mutex::new(&client, "/locks/invoice-run").lock().await?;
//! tokio::select! {
//!     () = run(guard.token()) => {}
//!     reason = guard.lost() => return Err(LockError::from(reason).into()),
//! }
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What every recipe promises
//! - Futures are lazy, `Send` and `'static`. Dropping one at any await leaves no node, watch or
//!   waiter behind, also when its request is still under way.
//! - Nothing is asked again in the name of another session, and no node of another session is
//!   taken for ours.
//! - Whoever holds has a [`Guard`]: a fencing token, writes that fail once the lock is lost, and
//!   news of losing it. Dropping the guard lets go.
//! - A server's refusal is an error, never silence.
//!
//! # A map of the rooms
//!
//! | room | what it holds |
//! |---|---|
//! | `lock` | [`Mutex`], and the line that contenders stand in |
//! | `guard`, `guarded` | [`Guard`] and [`GuardedClient`], what every lock-like recipe hands out |
//! | `guard_state`, `loss` | [`GuardState`], [`LostReason`], and how a holder learns of them |
//! | `contender` | the ephemeral sequential node that is never lost sight of |
//! | `sequence` | which children contend, in which order, and whose turn it is; pure |
//! | `error` | [`LockError`] |
//!
//! A lock is acquired along one straight line: `lock/mutex.rs` asks `lock/line.rs`, which enters
//! a `contender`, asks `sequence` where it stands, waits for the one ahead, and hands the
//! contender to a `guard`.

mod clock;
mod contender;
mod departure;
mod error;
mod guard;
mod guard_state;
mod guarded;
mod holding;
mod layout;
mod lock;
mod loss;
mod options;
mod order;
mod parked;
mod reentrant;
mod run;
mod sequence;
mod sequencer;
mod tombstone;
mod watchman;

pub use error::{LockError, LockErrorKind};
pub use guard::Guard;
pub use guard_state::{GuardState, GuardStates};
pub use guarded::{GuardedClient, GuardedReply};
pub use layout::Layout;
pub use lock::{
    MultiGuard, MultiLock, Mutex, Permits, Place, Progress, ReadGuard, ReadWriteLock, Semaphore,
    Upgrade, Waiting, WriteGuard,
};
pub use loss::{Lost, LostReason};
pub use options::LockOptions;
pub use reentrant::ReentrantGuard;
pub use run::Run;
pub use sequence::Mode;
pub use sequencer::{InvalidSequencer, Sequencer};
pub use tombstone::UncleanDeath;
pub use watchman::Revoked;
