//! An Apache ZooKeeper server inside your tests: no Java, no Docker, started in milliseconds.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use znode_testing::TestingServer;
//!
//! let server = TestingServer::start().await?;
//! println!("any ZooKeeper client may connect to {}", server.connect_string());
//! assert_eq!(server.znode_count().await, 4);
//! # Ok(())
//! # }
//! ```
//!
//! It speaks the client protocol of ZooKeeper 3.9, and differs on purpose where a stranger could do
//! harm: the reaper's own operation is refused from clients, and a session's connection is only
//! replaced by one that knows its password.
//!
//! # Features
//!
//! None are on by default. The program `znode-server` takes all of them: `cargo install
//! znode-testing --features program`.
//!
//! - `simulation`: [`Simulation`], whole systems in virtual time;
//! - `tls`: [`InstanceSpec::tls`], a secure port, and identities by certificate;
//! - `pkcs12`: key stores of Java's, and encrypted keys;
//! - `admin`: [`InstanceSpec::admin`] and [`InstanceSpec::metrics`], HTTP for operators.
//!
//! # The rooms
//!
//! | room | what is in it |
//! |---|---|
//! | `server`, `spec`, `views` | what a test sees: [`TestingServer`], [`InstanceSpec`], views |
//! | `chaos` | [`DataFiles`]: what a test may do to a disk and to what is on it |
//! | `faults` | [`LostReply`], and other trouble on demand |
//! | `config` | [`Config`]: a `zoo.cfg`, checked |
//! | `node` | the whole server as one value that is told what happened and says what to do |
//! | `pipeline` | the walk of a request: intake, prepare, gate, apply, read |
//! | `tree` | the nodes, their children and owners, access control lists, watches |
//! | `log` | what files hold, byte for byte |
//! | `session`, `auth`, `admin` | expiry and passwords, schemes, words and commands for operators |
//! | `simulation` | [`Simulation`]: servers, clients and faults in virtual time, from one seed |
//! | `proxy` | [`FaultProxy`], which stands before any server and does what networks do |
//! | `io` | sockets, pipes, timers: everything that waits |
//!
//! Everything but `io`, `proxy` and `simulation` is pure: it reads no clock, draws no random number
//! and awaits nothing, so the same inputs make the same server.

#[doc(hidden)]
pub mod attribute;
mod chaos;
mod cluster;
mod config;
mod faults;
mod membership;
mod server;
mod spec;
mod views;

mod node;

mod pipeline;

mod tree;

mod log;

mod session;

mod auth;

mod admin;

mod quorum;

mod election;

mod zab;

mod peer;

#[cfg(test)]
mod sim;

mod io;

#[cfg(test)]
mod disk_model;

mod proxy;

#[cfg(any(test, feature = "simulation"))]
mod random;

#[cfg(feature = "simulation")]
mod simulation;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(any(test, feature = "counting"))]
#[doc(hidden)]
pub mod counting;

pub use auth::{Identity, Scheme};
pub use chaos::{DataFile, DataFiles};
pub use cluster::{ClusterConnector, ClusterSpec, TestingCluster};
pub use config::{Config, ConfigError, Ensemble};
pub use faults::LostReply;
pub use io::disk::lock::DirectoryInUse;
pub use io::memory::MemoryConnector;
#[cfg(feature = "tls")]
pub use io::tls::{ClientAuth, ServerTls, ServerTlsError};
pub use node::faults::Release;
pub use proxy::FaultProxy;
pub use quorum::member::{InvalidMember, Member, MemberAddress, Role};
pub use server::TestingServer;
#[cfg(feature = "simulation")]
pub use simulation::{Failure, Fault, Faults, Finished, Simulation, World};
pub use spec::InstanceSpec;
/// Gives a test a server of its own, and the runtime that both run on.
///
/// The function is async and is given a [`TestingServer`], a [`Client`](znode::Client) that is
/// connected to it, or both, in this order; with `servers`, a [`TestingCluster`] instead. What it
/// returns is what any test may return.
///
/// ```
/// use znode::{Client, CreateMode, Error};
/// use znode_testing::TestingServer;
///
/// #[znode_testing::test]
/// async fn a_node_has_its_owner(server: TestingServer, client: Client) -> Result<(), Error> {
///     client.create("/alive", "", CreateMode::Ephemeral).await?;
///     assert_eq!(server.ephemerals().await[&client.session_id()], ["/alive"]);
///     Ok(())
/// }
///
/// #[znode_testing::test(servers = 3)]
/// async fn a_leader_dies(cluster: znode_testing::TestingCluster) {
///     cluster.kill(cluster.leader().await).await;
/// }
/// # fn main() {}
/// ```
///
/// - `servers = N`: a cluster of so many servers.
/// - `spec = …`: an [`InstanceSpec`], of which each server is made.
/// - `start_paused = true`: on a clock that is paused. The test's own crate then needs tokio, with
///   its feature `test-util`.
pub use znode_testing_macros::test;

pub use views::{NodeView, SessionView, WatchView};
