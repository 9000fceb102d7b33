//! A native async client for Apache ZooKeeper.

pub mod proto;

mod connect_string;
mod io;
mod moment;
pub mod path;

pub use connect_string::{ConnectString, HostPort, InvalidConnectString};
pub use io::transport::{Connecting, Connector, TcpConnector, Transport};
pub use moment::Moment;
pub use path::{InvalidPath, Path};
