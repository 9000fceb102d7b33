//! What stands below a path, kept in memory and up to date.

mod changes;
mod handle;
mod mirror;
mod shared;
mod task;

pub use changes::{CacheChange, CacheChanges};
pub use handle::{Cache, CacheBuilder, CachedNode, Current};
