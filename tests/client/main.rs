//! How the client behaves, fact by fact, told from outside: against a `TestingServer` of each
//! test's own, or against the server that `ZNODE_TEST_CONNECT=host:port` names (Apache ZooKeeper).
//!
//! | rooms | what they hold |
//! |---|---|
//! | `ground`, `wire`, `routes`, `raw` | the fixture: a server, links in hand, a bare session |
//! | `connect`, `close`, `expiry` | how a session starts and ends |
//! | `create`, `nodes`, `multi`, `acl`, `rare`, `errors`, `order` | what requests do, in order |
//! | `oneshot`, `unwatch`, `persistent`, `restored` | watches, also across a reconnect |
//! | `reconnect`, `outcome`, `chroot` | lost links, lost replies, and views of a session |
//! | `script`, `hostile` | a server that does what the test says, and what none should do |
//! | `regressions` | what has gone wrong in other clients |
//! | `hosts`, `supervised` | which server is gone to, and one handle across sessions |
//! | `paused` | what takes hours, in no time at all; on our server only |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod ground;
mod raw;
mod routes;
mod script;
mod wire;

mod acl;
mod chroot;
mod close;
mod connect;
mod create;
mod errors;
mod expiry;
mod hostile;
mod hosts;
mod multi;
mod nodes;
mod oneshot;
mod order;
mod outcome;
mod paused;
mod persistent;
mod rare;
mod reconnect;
mod regressions;
mod restored;
mod supervised;
mod unwatch;
