//! Locks: who may, one at a time or as many as can.

pub(crate) mod line;
mod mutex;
mod place;

pub use mutex::Mutex;
pub use place::{Place, Progress, Waiting};
