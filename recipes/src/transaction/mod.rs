//! What several do together or not at all, in two phases: all are asked, and then all are told.

mod ballot;
mod ballots;
mod commit;
mod decision;
mod desk;
mod limits;
mod proposal;
mod record;
mod rules;
mod seat;

pub use ballot::{Ballot, Decided, Voted};
pub use ballots::Ballots;
pub use commit::{Transaction, TwoPhaseCommit};
pub use decision::{AbortReason, Decision, Party, Vote};
pub use proposal::Proposal;
