//! Which server to try next, and how long to wait before.
//!
//! A [`HostProvider`] decides from its list alone; [`ShuffledRing`] is the default,
//! [`NearestFirst`] prefers some servers. Where lists come from is another matter: a connect
//! string, [`Client::update_hosts`](crate::Client::update_hosts), or a
//! [`Follower`](crate::Follower) of a name, a file, or the ensemble's own configuration.

mod config;
mod nearest;
mod provider;
mod seeded;
mod shuffled;

pub(crate) use config::client_addresses;
pub use nearest::NearestFirst;
pub use provider::{Attempt, HostProvider};
pub(crate) use seeded::Seeded;
pub use shuffled::ShuffledRing;
