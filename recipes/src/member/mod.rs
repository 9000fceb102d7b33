//! Being there: nodes that come back, and who is in a group.

mod desk;
mod group;
mod keeper;
mod node;
mod roll;
mod roster;
mod touch;
mod ttl;

pub use desk::{NodeState, NodeStates};
pub(crate) use group::child;
pub use group::{Group, GroupChanges, Membership};
pub use node::PersistentNode;
#[cfg(feature = "discovery")]
pub(crate) use roster::{Children, Roster, read_children};
pub use ttl::TtlNode;
