//! What both sides of DIGEST-MD5 compute: the client to prove that it knows a password, the server
//! to check that, and to prove the same. Shared with the server, outside semver.

use md5::{Digest, Md5};

/// The values that both sides hash (RFC 2831, section 2.1.2.1).
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// Who the client is.
    pub user: &'a str,
    /// The realm that both have agreed on.
    pub realm: &'a str,
    /// What only they know.
    pub password: &'a [u8],
    /// Whom the client wants to act for, if it said so.
    pub authzid: Option<&'a [u8]>,
    /// The server's random text.
    pub nonce: &'a [u8],
    /// The client's random text.
    pub cnonce: &'a [u8],
    /// `service/server`.
    pub uri: &'a [u8],
}

impl Exchange<'_> {
    /// What the client shows.
    pub fn response(&self) -> String {
        self.digest("AUTHENTICATE")
    }

    /// What the server answers.
    pub fn proof(&self) -> String {
        self.digest("")
    }

    fn digest(&self, what: &str) -> String {
        let a2 = hex(&hash(&[what.as_bytes(), b":", self.uri]));
        let nonces = [b":", self.nonce, b":00000001:", self.cnonce, b":auth:"].concat();
        hex(&hash(&[self.key().as_bytes(), &nonces, a2.as_bytes()]))
    }

    /// `HEX(H(A1))`.
    fn key(&self) -> String {
        let password = match std::str::from_utf8(self.password) {
            Ok(text) => encoded(text, false),
            Err(_) => self.password.to_vec(),
        };
        let (user, realm) = (encoded(self.user, false), encoded(self.realm, false));
        let secret = hash(&[&user, b":", &realm, b":", &password]);
        let mut a1 = [&secret, &b":"[..], self.nonce, b":", self.cnonce].concat();
        if let Some(authzid) = self.authzid {
            a1.push(b':');
            a1.extend_from_slice(authzid);
        }
        hex(&hash(&[&a1]))
    }
}

/// Text as ISO 8859-1 if that has all its characters, and unless UTF-8 was agreed on.
pub fn encoded(text: &str, is_utf8: bool) -> Vec<u8> {
    let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    match latin {
        Some(latin) if !is_utf8 => latin,
        _ => text.as_bytes().to_vec(),
    }
}

/// Compares without telling by its time where the difference is.
pub fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_latin_1_are_hashed_as_such() {
        assert_eq!(encoded("J\u{fc}rgen", false), b"J\xfcrgen");
        assert_eq!(encoded("J\u{fc}rgen", true), "J\u{fc}rgen".as_bytes());
        assert_eq!(encoded("\u{3c0}", false), "\u{3c0}".as_bytes());
    }
}
