//! Waiting for each other: a gate, a barrier that is entered and left together, a countdown.

mod countdown;
mod double;
mod gate;

pub use countdown::CountdownLatch;
pub use double::{DoubleBarrier, Inside};
pub use gate::Barrier;
