//! What a test may look at: the server's own view of sessions, watches and nodes.

use std::time::Duration;

use bytes::Bytes;
use znode::proto::{Perms, SessionId, Stat};

/// A session as its server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// The timeout that was negotiated.
    pub timeout: Duration,
    /// Whether a connection speaks for it.
    pub connected: bool,
    /// Whether its end is decided and only waits for the disk.
    pub closing: bool,
}

/// The watches of one session on one path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchView {
    /// The path; a node need not be there.
    pub path: String,
    /// The session whose connection watches.
    pub session: SessionId,
    /// Left by reading data or by `exists`: told once of the node.
    pub data: bool,
    /// Left by listing children: told once of the list.
    pub child: bool,
    /// Told of the node and of its list of children, until removed.
    pub persistent: bool,
    /// Told of the node and of everything below, until removed.
    pub recursive: bool,
}

/// A node as it stands in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeView {
    /// Its path.
    pub path: String,
    /// Its data; `None` is null, which is kept apart from empty.
    pub data: Option<Bytes>,
    /// Its metadata, as clients see it.
    pub stat: Stat,
    /// Its access control list: what is allowed, the scheme, and who is meant.
    pub acl: Vec<(Perms, String, String)>,
    /// The names of its children, sorted.
    pub children: Vec<String>,
    /// Whether the server deletes it once it has lost its last child.
    pub is_container: bool,
    /// How long it may go unwritten until the server deletes it.
    pub ttl: Option<Duration>,
}

/// Where the files of a server are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FilesView {
    /// The folder with the snapshots.
    pub(crate) data_dir: String,
    /// How many bytes are in it.
    pub(crate) data_size: u64,
    /// The folder with the logs.
    pub(crate) log_dir: String,
    /// How many bytes are in it.
    pub(crate) log_size: u64,
}
