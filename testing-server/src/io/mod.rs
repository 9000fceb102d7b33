//! The shell: everything of the server that waits, reads a clock or touches a socket.
//!
//! | room | what it does |
//! |---|---|
//! | [`engine`] | the server under one lock, its clock, and a port for each connection |
//! | [`connection`] | one task for each connection: read, step, write |
//! | [`doors`] | the ports, before anybody comes |
//! | [`files`] | what operators are told of files |
//! | [`framing`] | cuts bytes into frames, without a socket |
//! | [`late`] | holds back what a test wants to be late |
//! | [`acceptor`] | the task that accepts connections and rings the timers |
//! | [`disk`] | files, for servers that keep their data |
//! | `desk` | HTTP for operators |
//! | [`memory`] | connections within the process |
//! | [`peers`] | connections between the servers of an ensemble |
//! | [`trouble`] | what a test does to the server as a whole |
//! | `tls` | encryption, and who shows which certificate |
//!
//! Why every connection has a task, and that task takes the lock and steps the server itself: no
//! request is handed from one task to another. A batch is read with one system call, answered under
//! one hold of the lock, and written with one system call; with 10,000 idle connections nothing is
//! polled but the one that has something to say. The lock is a standard mutex, held for
//! microseconds and never across an await. An owner task with channels was the alternative: it
//! costs two wake-ups in each round trip, which is more than the whole of the work.

pub(crate) mod acceptor;
mod connection;
#[cfg(feature = "admin")]
pub(crate) mod desk;
pub(crate) mod disk;
pub(crate) mod doors;
pub(crate) mod engine;
mod files;
pub(crate) mod framing;
mod late;
pub(crate) mod memory;
pub(crate) mod peers;
mod ports;
#[cfg(feature = "tls")]
pub(crate) mod tls;
mod trouble;

#[cfg(test)]
mod tests;
