//! A native async client for [Apache ZooKeeper](https://zookeeper.apache.org).
//!
//! ```no_run
//! use znode::{Client, CreateMode};
//!
//! # async fn example() -> Result<(), znode::Error> {
//! let client = Client::connect("zk1:2181,zk2:2181/billing").await?;
//! client.create("/rate", "0.19", CreateMode::Persistent).await?;
//!
//! let (rate, stat, changed) = client.get_data_watched("/rate").await?;
//! println!("{rate:?} since {}", stat.mzxid);
//! println!("and then: {:?}", changed.await?);
//! # Ok(())
//! # }
//! ```
//!
//! Locks and other recipes are in `znode-recipes`; a whole ZooKeeper server for unit tests, started
//! in milliseconds without Java or Docker, is in `znode-testing`.
//!
//! # Sessions
//!
//! A [`Client`] is a cheap handle to one session. The session survives lost connections: it is
//! [`Suspect`](State::Suspect) while the link is down and another server is tried at once. It ends
//! when a server says so, or when its timeout has gone by without any answer, whichever is noticed
//! first; then every operation fails, and a new session is a new [`Client`]. A session is never
//! replaced silently: its ephemeral nodes and watches would be gone without a word.
//! [`Client::states`] yields each transition, none left out.
//!
//! # What is known after an error
//!
//! Each operation is answered exactly once. An [`Error`] names the operation and the path, and its
//! [`outcome`](Error::outcome) is one of three: the request was [never sent](Outcome::NotSent), it
//! was [refused](Outcome::Rejected), or it was written and [nobody knows](Outcome::Unknown). No
//! operation sends its request twice, but for a create, or a transaction with one, that a server
//! from before 3.5 has refused because it knows only the older form.
//!
//! Some methods are made of several requests, as [`delete_all`](Client::delete_all) and
//! [`update`](Client::update). They are lazy, ask again what does no harm if it is done twice, and
//! each says what that is. [`create_protected`](Client::create_protected),
//! [`create_proven`](Client::create_proven) and [`multi_proven`](Client::multi_proven) find out
//! what became of a write whose reply is lost, and say so only where it is proven.
//!
//! # Order
//!
//! An operation takes its place in line when its method is *called*, not when the future is
//! polled; the server executes the requests of a session in that order. So this is safe, and takes
//! one round trip:
//!
//! ```no_run
//! # async fn example(client: znode::Client) -> Result<(), znode::Error> {
//! let written = client.set_data("/config", "new", 3);
//! let flagged = client.set_data("/ready", "yes", -1); // never without the line above being first
//! written.await?;
//! flagged.await?;
//! # Ok(())
//! # }
//! ```
//!
//! When a connection is lost, all that was asked for fails, also what was not written yet: what
//! took effect is always a beginning of what was asked. Requests made after that wait for the next
//! connection.
//!
//! Watch events keep their place among the answers: a client hears that a node has changed before
//! it can read the change.
//!
//! # Dropping futures
//!
//! A [`Reply`] that is dropped withdraws nothing: its request is in line, or on the wire, and takes
//! effect. What it would have left behind is cleaned up: the watch of a read whose future was
//! dropped is removed again. Dropping a watcher removes its watch, on the server too, unless
//! another watcher of the client shares it. Dropping the last handle closes the session, after
//! everything that is in line. No drop blocks.
//!
//! # Features
//!
//! None are needed. The client links fewer than thirty crates, forbids unsafe code, and supports
//! Rust 1.88 and later, on tokio. What is off by default:
//!
//! - `gzip`: `Client::with_compression`, compatible with Curator's;
//! - `metrics`: the figures of [`Client::stats`], and a histogram of latencies, for the `metrics`
//!   crate;
//! - `sasl`: [`DigestMd5`](sasl), as ZooKeeper's servers know it; other mechanisms need no feature;
//! - `serde`: `Client::typed`, values of one's own types as JSON;
//! - `tls`: `tls://` servers, by rustls;
//! - `tls-system-roots`: trust in whom the operating system trusts.

pub mod proto;
#[doc(hidden)]
pub mod session;

mod acl;
mod chroot;
mod client;
mod codec;
mod connect_string;
mod create_mode;
mod error;
mod follow;
mod framework;
mod hosts;
mod io;
mod moment;
mod ops;
mod options;
pub mod path;
mod reply;
mod retry;
pub mod sasl;
mod secret;
mod state;
mod supervisor;
mod tap;
mod tls_error;
mod told;
mod watcher;

pub use acl::{Acl, InvalidAcl};
pub use client::Client;
pub use connect_string::{ConnectString, HostPort, InvalidConnectString, Scheme};
pub use create_mode::{CreateMode, InvalidTtl, TTL_MAX};
pub use error::{Error, ErrorKind, Outcome};
pub use follow::Follower;
pub use framework::{InvalidTree, Parents, Quota, Stored, Tree, TreeNode, Usage, Walk, Watched};
#[cfg(feature = "serde")]
pub use framework::{Typed, TypedWatched};
pub use hosts::{Attempt, HostProvider, NearestFirst, ShuffledRing};
pub use io::stats::ClientStats;
#[cfg(feature = "tls")]
pub use io::tls::{TlsConnector, TlsOptions};
pub use io::transport::{Connecting, Connector, TcpConnector, Transport};
pub use moment::Moment;
pub use ops::{
    AddWatchMode, ClientInfo, Created, DefaultWatch, Op, OpResult, ReadOp, ReadResult, Reconfig,
};
pub use options::{ConnectOptions, SessionTicket};
pub use path::{InvalidPath, Path};
pub use proto::{ErrorCode, EventType, Perms, SessionId, Stat, Version, WatcherType, Zxid};
pub use reply::Reply;
pub use retry::RetryPolicy;
#[cfg(feature = "sasl")]
pub use sasl::DigestMd5;
pub use secret::Secret;
pub use state::{State, StateChange};
pub use supervisor::{
    SupervisedEphemeral, SupervisedWatcher, Supervisor, SupervisorEvent, SupervisorEvents,
};
pub use tap::{Direction, TappedFrame, TappedKind, TextTap, WireTap};
pub use tls_error::{TlsError, TlsFault};
pub use told::{EventStream, StateStream};
pub use watcher::{ClientEvent, OneshotWatcher, PersistentWatcher, WatchUpdate, WatchedEvent};
