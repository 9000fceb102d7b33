//! Who leads: one of several, until it is gone, and then the next.

mod candidacy;
mod changes;
mod latch;
mod participant;
mod selector;
mod standby;

pub use candidacy::{Candidacy, CloseMode, LeaderEvent, LeaderEvents};
pub use changes::LeaderChanges;
pub use latch::LeaderLatch;
pub use participant::Participant;
pub use selector::{LeaderSelector, Term};
pub use standby::{ColdStandby, HotStandby, Shift};
