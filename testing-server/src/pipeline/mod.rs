//! The request processors, in the order in which a request walks through them.
//!
//! | room | what it does |
//! |---|---|
//! | [`intake`] | reads a frame, answers what needs no order, refuses what cannot be |
//! | [`throttle`] | holds requests back while too many are under way |
//! | [`proving`] | learns who the client is |
//! | [`handshake`] | turns a connection into a session |
//! | [`local`] | sessions that are no concern of other servers |
//! | [`prepare`] | decides what a write will do, and whether it may |
//! | [`txn`] | that decision, as a transaction |
//! | [`order`] | gives it its place, and has it written |
//! | [`outstanding`] | remembers what it will change until it is done |
//! | [`gate`] | holds whatever came behind a write until the disk has that write |
//! | [`apply`] | does it: the tree, the watches |
//! | [`apply_prepared`] | … and answers whoever has asked for it |
//! | [`apply_logged`] | does what another server has decided |
//! | [`read`], [`watching`] | answers everything that changes no node |
//!
//! On a standalone server all requests of all sessions, pings too, are answered in one order.

pub(crate) mod apply;
mod apply_logged;
mod apply_prepared;
pub(crate) mod gate;
mod handshake;
mod intake;
pub(crate) mod local;
mod order;
pub(crate) mod outstanding;
pub(crate) mod prepare;
mod proving;
pub(crate) mod read;
pub(crate) mod reaper;
mod reconfig;
pub(crate) mod throttle;
pub(crate) mod txn;
mod watching;
