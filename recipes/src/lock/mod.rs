//! Locks: who may, one at a time or as many as can.

mod exchange;
pub(crate) mod line;
mod mutex;
mod place;
mod read_write;

pub use mutex::Mutex;
pub use place::{Place, Progress, Waiting};
pub use read_write::{ReadGuard, ReadWriteLock, Upgrade, WriteGuard};
