//! Who may listen and who may ask, and what is told of it: TLS, SASL and logs, from outside.
//! Against our server or, with `ZNODE_TEST_APACHE=1`, against Apache ZooKeeper, started for each
//! test.
//!
//! | rooms | what they hold |
//! |---|---|
//! | `apache`, `ground` | a server of Apache's, a server with a secure port |
//! | `sasl` | who a client proves to be by a password that it does not send |
//! | `secrets`, `traced` | what is printed, and what is not |
//! | `stores` | certificates and keys in the forms of Java |
//! | `tls` | whom a client trusts, and who it says it is |
//! | `x509` | who a client is by the certificate that it shows |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod apache;
mod ground;
mod sasl;
mod secrets;
mod stores;
mod tls;
mod traced;
mod x509;
