//! The `x509` scheme: the subject of the certificate that a client has shown.

use std::net::IpAddr;

use super::{Identity, Scheme, der, x500};

/// The `x509` scheme. What a client is known by comes with its connection, so that there is nothing
/// that it could send.
#[derive(Debug)]
pub(crate) struct X509 {
    /// The superuser: `X509AuthenticationProvider.superUser`.
    super_user: Option<String>,
}

impl X509 {
    /// The scheme, with the name of the superuser if there is one.
    pub(crate) fn new(super_user: Option<String>) -> Self {
        Self { super_user }
    }
}

impl Scheme for X509 {
    fn name(&self) -> &str {
        "x509"
    }

    fn authenticate(&self, _peer: IpAddr, _auth: Option<&[u8]>) -> Option<Vec<Identity>> {
        None
    }

    fn is_valid(&self, id: &str) -> bool {
        x500::is_valid(id)
    }

    fn matches(&self, id: &str, named: &str) -> bool {
        id == named || self.super_user.as_deref() == Some(id)
    }

    fn is_authenticated(&self) -> bool {
        true
    }
}

/// Who has shown a certificate; `None` if it has no subject that can be read.
pub(crate) fn identities(certificate: &[u8], super_user: Option<&str>) -> Option<Vec<Identity>> {
    let subject = x500::print(&der::subject(certificate)?)?;
    let mut identities = Vec::with_capacity(2);
    if super_user == Some(&*subject) {
        identities.push(Identity::new("super", &subject));
    }
    identities.push(Identity::new("x509", &subject));
    Some(identities)
}
