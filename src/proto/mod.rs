//! The client protocol on the wire: jute, its records, operation and error codes.
//!
//! **Outside semver.** This module mirrors Apache ZooKeeper 3.9's wire format and moves when that
//! does. It is public because the server in `znode-testing` reads and writes the same records.
//!
//! | room | what it holds |
//! |---|---|
//! | [`jute`] | the encoding itself: integers, buffers, strings, vectors, the `record!` macro |
//! | [`ids`] | [`Zxid`], [`SessionId`], [`Xid`], [`Version`] |
//! | [`op_code`], [`error_code`] | the numbers of operations and of errors |
//! | [`header`], [`connect`] | what stands in front of requests and replies, and the handshake |
//! | [`stat`], [`acl`] | the metadata of a node and its access control list |
//! | [`requests`], [`replies`], [`multi`] | the body of each operation |
//! | `redacted` | how records with secrets are printed |
//! | [`watcher_event`] | notifications, and the numbers of event, watcher and state types |
//!
//! Invariant of absence: nothing here knows of sockets, sessions or time, and a length that a
//! stranger sent is compared with the bytes that are really there before anything is allocated.

#[macro_use]
pub mod jute;

pub mod acl;
pub mod connect;
pub mod error_code;
pub mod header;
pub mod ids;
pub mod multi;
pub mod op_code;
mod redacted;
pub mod replies;
pub mod requests;
pub mod stat;
pub mod watcher_event;

pub use acl::{AclRecord, IdRecord, Perms};
pub use connect::{ConnectRequest, ConnectResponse};
pub use error_code::ErrorCode;
pub use header::{MultiHeader, ReplyHeader, RequestHeader};
pub use ids::{SessionId, Version, Xid, Zxid};
pub use jute::{Decode, DecodeError, Decoder, Encode, JutePut, Packed};
pub use op_code::OpCode;
pub use stat::Stat;
pub use watcher_event::{EventType, KeeperState, WatcherEvent, WatcherType};

/// The largest frame either side accepts unless told otherwise: `jute.maxbuffer`'s default.
///
/// Apache's default is `0xfffff`, one byte less than a mebibyte; a frame of exactly this many
/// bytes is accepted, one more closes the connection.
pub const FRAME_LEN_MAX: usize = 0xf_ffff;
