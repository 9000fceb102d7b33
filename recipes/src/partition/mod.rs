//! Parts of a whole, each of which one member of a group has at a time.

mod allocator;
mod board;
mod division;
mod ledger;
mod part;
mod partitioner;
mod share;

pub use division::Division;
pub use part::Part;
pub use partitioner::Partitioner;
pub use share::{Share, ShareState, ShareStates};
