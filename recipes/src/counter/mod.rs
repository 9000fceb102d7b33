//! Numbers and values that several share: counters, values that are followed, unique ids.

mod cached;
mod cell;
mod ids;
mod number;
mod value;
mod values;

pub use cached::CachedCounter;
pub use ids::UniqueIds;
pub use number::{Counter, Number};
pub use value::AtomicValue;
pub use values::Values;
