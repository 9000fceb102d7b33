//! A world of servers and clients in which time, links and disks are simulated: many years of bad
//! luck in a minute.
//!
//! | room | what it holds |
//! |---|---|
//! | [`world`] | the servers, the links between them, and one list of events |
//! | [`network`] | what is sent, and when it arrives |
//! | [`faults`] | what goes wrong, and when |
//! | [`disk`] | what a crash leaves |
//! | [`client`] | clients that judge what they are told |
//! | [`transcript`], [`scenarios`] | talk in words; and the talk of a few worlds, to be read |
//! | [`reconfigurations`] | who belongs together changes, rule by rule |
//! | [`limits`] | clients that ask for more than servers can tell each other |
//! | [`oracle`], [`judge`] | what must be true whatever happens, and whether it is |
//! | [`random`](crate::random) | every choice, drawn from one seed |
//!
//! The servers are the real ones, all of what decides in them; only sockets, files and clocks are
//! not. A run is its seed: it can be done again exactly.

mod client;
mod disk;
mod faults;
mod judge;
mod limits;
mod network;
mod oracle;
mod reconfigurations;
mod scenarios;
mod tests;
mod transcript;
mod world;
