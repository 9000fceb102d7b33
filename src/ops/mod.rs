//! The verbs of a client, one family a file.

mod acl;
mod auth;
mod children;
mod config;
mod create;
mod data;
mod default_watch;
mod delete;
mod ephemerals;
mod exists;
mod multi;
mod multi_read;
mod submit;
mod sync;
mod watch;

pub use auth::ClientInfo;
pub use config::Reconfig;
pub use create::Created;
pub use default_watch::DefaultWatch;
pub use multi::{Op, OpResult};
pub use multi_read::{ReadOp, ReadResult};
pub use watch::AddWatchMode;
