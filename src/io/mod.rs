//! The shell: everything of the client that waits, reads a clock or touches a socket.
//!
//! One task per session, [`send_task`], owns the connection and the pure
//! [`Session`](crate::session::Session). There is no second task for events, as ZooKeeper's Java
//! client has its `EventThread`: no user code ever runs on ours, so nothing can block it, and a
//! reply that took one more hop would pay for it on every request. Order is kept by delivering
//! what a step puts out in the order in which it stands there.

mod clock;
pub(crate) mod deadline;
mod framing;
mod link;
#[cfg(feature = "metrics")]
mod meters;
pub(crate) mod observer;
pub(crate) mod probe;
pub(crate) mod send_task;
pub(crate) mod shared;
pub(crate) mod stats;
pub(crate) mod submissions;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod watch_queue;
pub(crate) mod watchers;
