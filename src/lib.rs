//! A native async client for Apache ZooKeeper.

pub mod proto;
#[doc(hidden)]
pub mod session;

mod acl;
mod chroot;
mod client;
mod connect_string;
mod create_mode;
mod error;
mod hosts;
mod io;
mod moment;
mod ops;
mod options;
pub mod path;
mod reply;
mod retry;
mod state;
mod watcher;

pub use acl::{Acl, InvalidAcl};
pub use client::{Client, EventStream, StateStream};
pub use connect_string::{ConnectString, HostPort, InvalidConnectString};
pub use create_mode::{CreateMode, InvalidTtl, TTL_MAX};
pub use error::{Error, ErrorKind, Outcome};
pub use io::transport::{Connecting, Connector, TcpConnector, Transport};
pub use moment::Moment;
pub use ops::{AddWatchMode, ClientInfo, Created, DefaultWatch, Op, OpResult};
pub use options::{ConnectOptions, SessionTicket};
pub use path::{InvalidPath, Path};
pub use proto::{ErrorCode, EventType, Perms, SessionId, Stat, Version, WatcherType, Zxid};
pub use reply::Reply;
pub use retry::RetryPolicy;
pub use state::{State, StateChange};
pub use watcher::{ClientEvent, OneshotWatcher, PersistentWatcher, WatchUpdate, WatchedEvent};
