//! What applications do with nodes, made of the verbs in `ops`: whole paths and subtrees, writes
//! that are proven, values that are followed. (Curator calls this layer its framework.)
//!
//! A verb is one request and takes its place in line when it is called. What stands here is made
//! of several requests, so it is lazy: nothing happens before it is polled, unless its own
//! documentation says otherwise.
//!
//! | room | what it holds |
//! |---|---|
//! | `parents`, `delete_all`, `create_or_set` | whole paths, subtrees, values wherever they are |
//! | `walk`, `tree` | subtrees as streams, and as values that are exported and imported |
//! | `proven`, `protected`, `witness` | what became of a write whose reply was lost |
//! | `guaranteed` | deletions that a task sees to |
//! | `update`, `watch_data`, `typed` | values: changed, followed, of one's own types |
//! | `quota` | limits, kept where ZooKeeper's own tools keep them |
//! | `again`, `guid` | asking again, names that do not meet |

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
