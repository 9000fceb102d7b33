//! What the recipes promise, fact by fact, told from outside: against a `TestingServer` of each
//! test's own, or against the server that `ZNODE_TEST_CONNECT=host:port` names (Apache ZooKeeper).
//!
//! | rooms | what they hold |
//! |---|---|
//! | `ground` | the fixture: a server, and what stands on it |
//! | `mutex`, `timeout` | who gets the lock, when, and who does not |
//! | `layout` | what others see on the wire, and what we make of theirs |
//! | `cost` | how many requests and watches it takes |
//! | `cancel`, `lost_reply`, `chaos` | dropped futures, cut links, and both at random |
//! | `release`, `loss`, `guarded` | letting go, losing, and what a former holder cannot do |
//! | `paused` | what takes hours, in no time at all; on our server only |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod ground;

mod cancel;
mod chaos;
mod cost;
mod guarded;
mod layout;
mod loss;
mod lost_reply;
mod mutex;
mod paused;
mod release;
mod timeout;
