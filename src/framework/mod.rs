//! What applications do with nodes, made of the verbs in `ops`: whole paths and subtrees, writes
//! that are proven, values that are followed. (Curator calls this layer its framework.)
//!
//! A verb is one request and takes its place in line when it is called. What stands here is made
//! of several requests, so it is lazy: nothing happens before it is polled, unless its own
//! documentation says otherwise.

mod again;
mod create_or_set;
mod delete_all;
mod guaranteed;
mod guid;
mod parents;
mod protected;
mod proven;
mod quota;
mod tree;
#[cfg(feature = "serde")]
mod typed;
mod update;
mod walk;
mod watch_data;
mod witness;

pub use create_or_set::Stored;
pub use parents::Parents;
pub use quota::{Quota, Usage};
pub use tree::{InvalidTree, Tree};
#[cfg(feature = "serde")]
pub use typed::{Typed, TypedWatched};
pub use walk::{TreeNode, Walk};
pub use watch_data::Watched;
