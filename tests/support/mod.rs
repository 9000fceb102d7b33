//! What several suites stand on: a server of ours, a link in the test's hands, and waiting without
//! sleeping.

mod capture;
mod link;
#[cfg(feature = "tls")]
pub mod pki;
mod raw;
mod server;
mod waiting;
mod wire;

pub use capture::Capture;
pub use link::{disconnect, end_session, expire, readmit, reconnect, state_is};
pub use raw::Raw;
pub use server::Ours;
pub use waiting::{GUARD, drop_at, is_pending, reach, soon};
pub use wire::{Handshake, Wire};
