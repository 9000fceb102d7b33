//! The session of a client as a pure state machine: what to send, when to give up, whom to tell.
//!
//! **Outside semver.** It is public for simulations, which put it on a wire of their own.
//!
//! [`Session::step`] takes the time and one [`Input`] and appends what must happen to an
//! [`Outbox`], in order. [`Session::next_deadline`] says when it wants an [`Input::Tick`].
//!
//! | room | what it holds |
//! |---|---|
//! | [`input`], [`output`] | what goes in and what comes out |
//! | `phase` | where the connection stands: waiting, connecting, handshaking, authenticating, … |
//! | `machine`, `connection`, `frames` | the machine: requests, connections and time, answers |
//! | `handshake` | the first frame of each side, and what a resumed session must look like |
//! | `outgoing`, `pending` | requests that wait for their turn, and those that wait for an answer |
//! | `auth` | identities, sent again on every connection |
//! | `fallback`, `older_multi` | what a server turns out not to know, and what is asked instead |
//! | `sasl` | the conversation that comes before everything else, where there is to be one |
//! | `watches`, `replay` | who watches what, and how a new connection is told |
//! | `roaming` | leaving a server that works for a better one, with nothing lost |
//! | `timers` | pings, read timeouts, and when a silent session counts as lost |
//! | `assured` | until when the ensemble certainly keeps the session |
//!
//! Invariants of absence: no clock, no socket, no `.await`, no unordered iteration, no randomness
//! but the seed in [`Config`].

mod assured;
mod auth;
mod connection;
mod fallback;
mod frames;
mod handshake;
pub mod input;
mod machine;
mod older_multi;
mod outgoing;
pub mod output;
mod pending;
mod phase;
mod replay;
mod roaming;
mod sasl;
mod timers;
pub mod watches;

pub use input::{Config, Input, Limits, Probed, Registration, Request, Want, WatchEffect};
pub use machine::Session;
pub use output::{Answer, Cause, Ending, Established, Failure, Figures, Notice, Outbox, Output};
pub use sasl::Sasl;
pub use watches::WatcherId;

#[cfg(test)]
mod tests;
