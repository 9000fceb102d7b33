//! How the client behaves, fact by fact, told from outside: against a `TestingServer` of each
//! test's own, or against the server that `ZNODE_TEST_CONNECT=host:port` names (Apache ZooKeeper).
//!
//! | rooms | what they hold |
//! |---|---|
//! | `ground`, `routes` | the fixture: a server, and several ways to it |
//! | `sweep`, `cancel` | futures dropped at each of their awaits |
//! | `connect`, `close`, `expiry` | how a session starts and ends |
//! | `create`, `nodes`, `multi`, `acl`, `rare`, `errors`, `order` | what requests do, in order |
//! | `oneshot`, `unwatch`, `persistent`, `restored` | watches, also across a reconnect |
//! | `follow`, `deadline` | values that are followed; answers that come too late |
//! | `stats`, `tapped` | what a client tells of its own work |
//! | `reconnect`, `outcome`, `chroot` | lost links, lost replies, and views of a session |
//! | `script`, `hostile` | a server that does what the test says, and what none should do |
//! | `regressions` | what has gone wrong in other clients |
//! | `hosts`, `supervised` | which server is gone to, and one handle across sessions |
//! | `old` | servers that do not know an operation |
//! | `paths`, `tree` | whole paths and subtrees, quotas |
//! | `proven` | writes whose outcome is looked up |
//! | `features` | compressed data, values of one's own types |
//! | `paused` | what takes hours, in no time at all; on our server only |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod ground;
mod routes;
mod script;
mod sweep;

mod acl;
mod cancel;
mod chroot;
mod close;
mod connect;
mod create;
mod deadline;
mod errors;
mod expiry;
mod features;
mod follow;
mod hostile;
mod hosts;
mod multi;
mod nodes;
mod old;
mod oneshot;
mod order;
mod outcome;
mod paths;
mod paused;
mod persistent;
mod proven;
mod rare;
mod reconnect;
mod regressions;
mod restored;
mod stats;
mod supervised;
mod tapped;
mod tree;
mod unwatch;
