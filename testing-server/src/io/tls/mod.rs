//! TLS on the server's side: the one room that knows rustls.
//!
//! [`options`] is what a test or a `zoo.cfg` says, [`stores`] reads certificates and keys in the
//! forms that Java knows, [`accept`] makes a connection of a handshake, and [`peers`] is for other
//! servers.

pub(crate) mod accept;
mod ec;
mod jks;
mod options;
mod peers;
mod stores;

pub use options::{ClientAuth, ServerTls, ServerTlsError};
pub(crate) use options::{SecurePort, TLS_VERSIONS, cipher_suites};
pub(crate) use peers::{PeerSecurity, PeerTls};
pub(crate) use stores::{Store, StoreKind};
