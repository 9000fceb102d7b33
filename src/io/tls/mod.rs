//! TLS: the one room that knows rustls.

mod connector;
mod options;
mod stream;
mod trusting;

pub use connector::TlsConnector;
pub use options::TlsOptions;
