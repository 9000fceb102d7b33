//! Locks: who may, one at a time or as many as can.

mod exchange;
mod leases;
mod limit;
pub(crate) mod line;
mod multi_lock;
mod mutex;
mod permits;
mod place;
mod read_write;
mod semaphore;
mod within;

pub use multi_lock::{MultiGuard, MultiLock};
pub use mutex::Mutex;
pub use permits::Permits;
pub use place::{Place, Progress, Waiting};
pub use read_write::{ReadGuard, ReadWriteLock, Upgrade, WriteGuard};
pub use semaphore::Semaphore;
