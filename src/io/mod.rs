//! The shell: everything of the client that waits, reads a clock or touches a socket.

pub(crate) mod transport;
