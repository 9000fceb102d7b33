//! Which server to try next, and how long to wait before.

mod seeded;
mod shuffled;

pub(crate) use seeded::Seeded;
pub(crate) use shuffled::ShuffledRing;
