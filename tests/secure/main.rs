//! Who may listen and who may ask, and what is told of it: TLS, SASL and logs, from outside.
//! Against our server, behind a relay that ends TLS, or, with `ZNODE_TEST_APACHE=1`, against Apache
//! ZooKeeper, started for each test.
//!
//! | rooms | what they hold |
//! |---|---|
//! | `pki`, `apache`, `ground` | certificates, a server of Apache's, a server with a secure port |
//! | `sasl` | who a client proves to be by a password that it does not send |
//! | `capture`, `secrets`, `traced` | what is printed, and what is not |
//! | `tls` | whom a client trusts, and who it says it is |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod apache;
mod capture;
mod ground;
mod pki;
mod sasl;
mod secrets;
mod tls;
mod traced;
