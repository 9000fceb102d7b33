//! What takes an ensemble of processes: servers of ours, Apache's, and both, killed, stopped and
//! replaced while clients write. Apache's take part where `ZNODE_TEST_APACHE` asks for them.
//!
//! | rooms | what they hold |
//! |---|---|
//! | `ground`, `words` | servers as processes, and what they tell of themselves |
//! | `load`, `judge` | clients that write, and whether all servers agree on what they wrote |
//! | `reconfig` | ensembles of both kinds whose members change |
//! | `apache` | reconfiguration and read-only servers, of Apache's alone |
//! | `mixed`, `rolling` | ensembles of both kinds, and one kind taking the place of the other |
//! | `stopped` | a leader that stands still and goes on |
//! | `hostile` | what strangers send to the ports that are for servers |
//! | `suites` | suites of others, while leaders are killed
//! | `history` | what clients saw, and whether that can be |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod ground;
mod judge;
mod load;
mod words;

mod apache;
mod history;
mod hostile;
mod mixed;
mod reconfig;
mod rolling;
#[cfg(feature = "tls")]
mod secured;
mod stopped;
mod suites;
