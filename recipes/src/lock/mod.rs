//! Locks: who may, one at a time.

mod line;
mod mutex;

pub use mutex::Mutex;
