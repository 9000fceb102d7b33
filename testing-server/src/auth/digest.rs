//! The `digest` scheme: a user name, and a hash that only the password leads to.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::{Identity, Scheme};

/// The `digest` scheme.
#[derive(Debug)]
pub(crate) struct Digest {
    /// The identity of the superuser, as `user:hash`.
    super_digest: Option<String>,
}

impl Digest {
    /// The scheme, with the identity of the superuser if there is one.
    pub(crate) fn new(super_digest: Option<String>) -> Self {
        Self { super_digest }
    }
}

impl Scheme for Digest {
    fn name(&self) -> &str {
        "digest"
    }

    /// A wrong password is no error: it makes an identity that no list names.
    fn authenticate(&self, _peer: IpAddr, auth: Option<&[u8]>) -> Option<Vec<Identity>> {
        let id = digest(&String::from_utf8_lossy(auth?));
        let mut identities = Vec::with_capacity(2);
        if self.super_digest.as_deref() == Some(&*id) {
            identities.push(Identity::new("super", ""));
        }
        identities.push(Identity::new("digest", &id));
        Some(identities)
    }

    /// Exactly two parts, where empty parts at the end do not count (Java's `split`).
    fn is_valid(&self, id: &str) -> bool {
        id.trim_end_matches(':').split(':').count() == 2
    }

    fn matches(&self, id: &str, named: &str) -> bool {
        id == named
    }

    fn is_authenticated(&self) -> bool {
        true
    }

    fn user<'a>(&self, id: &'a str) -> &'a str {
        id.split(':').next().unwrap_or_default()
    }
}

/// `user:password` as `user:base64(sha1(user:password))`.
pub(crate) fn digest(credentials: &str) -> String {
    let user = credentials.split(':').next().unwrap_or_default();
    let hash = STANDARD.encode(Sha1::digest(credentials.as_bytes()));
    format!("{user}:{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_apaches() {
        // From the administrator's guide: `java ... DigestAuthenticationProvider super:admin`.
        assert_eq!(digest("super:admin"), "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    }

    #[test]
    fn ids_have_two_parts() {
        let scheme = Digest::new(None);
        for id in ["a:b", ":b", "a:b:"] {
            assert!(scheme.is_valid(id), "{id}");
        }
        for id in ["", "a", "a:", "a:b:c", ":"] {
            assert!(!scheme.is_valid(id), "{id}");
        }
    }
}
