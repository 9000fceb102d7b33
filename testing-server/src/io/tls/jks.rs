//! JKS, the form that Java's key stores had until version 9.
//!
//! Certificates stand in it as they are. A key is hidden by what SHA-1 makes of the password and a
//! salt, and the whole is sealed by a SHA-1 over password and content.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha1::{Digest as _, Sha1};

use super::stores::Identity;

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
/// What goes into the seal between password and content.
const SALT_OF_SEAL: &[u8] = b"Mighty Aphrodite";
const SHA1_LEN: usize = 20;
/// The algorithm that hides keys, 1.3.6.1.4.1.42.2.17.1.1, as an `AlgorithmIdentifier`.
const KEY_PROTECTOR: [u8; 16] = [
    0x30, 0x0e, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01, 0x05, 0x00,
];

/// What is in a store.
pub(super) struct Keystore {
    identity: Option<Identity>,
    trusted: Vec<CertificateDer<'static>>,
}

/// Whether bytes are of this form.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

impl Keystore {
    /// Reads a store and its first key.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn read(bytes: &[u8], password: &str) -> Result<Self, &'static str> {
        let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let content = content(bytes, &password)?;
        let mut from = Reader(&content[MAGIC.len()..]);
        let version = from.number()?;
        if version != 1 && version != 2 {
            return Err("it is of a version that nobody knows");
        }
        let mut store = Self { identity: None, trusted: Vec::new() };
        for _ in 0..from.number()? {
            let tag = from.number()?;
            from.text()?;
            from.take(8)?;
            match tag {
                1 => {
                    let hidden = from.block()?;
                    let chain = from.chain(version)?;
                    store.trusted.extend(chain.first().cloned());
                    if store.identity.is_none() {
                        store.identity = Some((chain, key(hidden, &password)?));
                    }
                }
                2 => store.trusted.push(from.certificate(version)?),
                _ => return Err("there is something in it that is neither key nor certificate"),
            }
        }
        Ok(store)
    }

    /// The first key, with its certificates.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn identity(self) -> Result<Identity, &'static str> {
        self.identity.ok_or("there is no private key in it")
    }

    /// Every certificate that is trusted, and those of keys.
    pub(super) fn trusted(self) -> Vec<CertificateDer<'static>> {
        self.trusted
    }
}

/// What is sealed, if the seal is right. Without a password nothing is checked, as in Java.
fn content<'a>(bytes: &'a [u8], password: &[u8]) -> Result<&'a [u8], &'static str> {
    let cut = bytes.len().checked_sub(SHA1_LEN).filter(|cut| *cut >= MAGIC.len());
    let (content, seal) = bytes.split_at(cut.ok_or(SHORT)?);
    let sealed = Sha1::new().chain_update(password).chain_update(SALT_OF_SEAL);
    if !password.is_empty() && sealed.chain_update(content).finalize()[..] != *seal {
        return Err("the password is wrong, or somebody has changed it");
    }
    Ok(content)
}

/// Brings a key to light: salt, hidden bytes, and a SHA-1 of password and key.
fn key(hidden: &[u8], password: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    let body = der_sequence(hidden).ok_or(SHORT)?;
    let body = body.strip_prefix(&KEY_PROTECTOR[..]);
    let body = body.ok_or("its key is hidden in a way that nobody knows")?;
    let body = der_octets(body).filter(|body| body.len() > 2 * SHA1_LEN).ok_or(SHORT)?;
    let (salt, rest) = body.split_at(SHA1_LEN);
    let (hidden, check) = rest.split_at(rest.len() - SHA1_LEN);
    let mut key = Vec::with_capacity(hidden.len());
    let mut mask = salt.to_vec();
    for chunk in hidden.chunks(SHA1_LEN) {
        mask = Sha1::new().chain_update(password).chain_update(&mask).finalize().to_vec();
        key.extend(chunk.iter().zip(&mask).map(|(byte, mask)| byte ^ mask));
    }
    if Sha1::new().chain_update(password).chain_update(&key).finalize()[..] != *check {
        return Err("its key has another password than the store");
    }
    Ok(PrivateKeyDer::Pkcs8(key.into()))
}

fn der_sequence(bytes: &[u8]) -> Option<&[u8]> {
    der_content(bytes, 0x30)
}

fn der_octets(bytes: &[u8]) -> Option<&[u8]> {
    der_content(bytes, 0x04)
}

/// What is in the one element that `bytes` are.
fn der_content(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let element = crate::auth::der::Element::read(bytes)?.0;
    (element.tag == tag).then_some(element.content)
}

const SHORT: &str = "it ends too early";

/// Bytes in the form of Java's `DataInput`.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn block(&mut self) -> Result<&'a [u8], &'static str> {
        let len = self.number()?;
        self.take(usize::try_from(len).map_err(|_| SHORT)?)
    }

    fn text(&mut self) -> Result<&'a [u8], &'static str> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        self.take(usize::from(u16::from_be_bytes(*bytes)))
    }

    fn certificate(&mut self, version: u32) -> Result<CertificateDer<'static>, &'static str> {
        if version == 2 && self.text()? != b"X.509" {
            return Err("there is a certificate in it that is no X.509");
        }
        Ok(self.block()?.to_vec().into())
    }

    fn chain(&mut self, version: u32) -> Result<Vec<CertificateDer<'static>>, &'static str> {
        (0..self.number()?).map(|_| self.certificate(version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one trusted certificate, of these bytes.
    fn store(certificate: &[u8], password: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [2_u32, 1, 2] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(b"\0\x02ca");
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(b"\0\x05X.509");
        bytes.extend_from_slice(&u32::try_from(certificate.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(certificate);
        let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let seal = Sha1::new().chain_update(password).chain_update(SALT_OF_SEAL);
        bytes.extend_from_slice(&seal.chain_update(&bytes).finalize());
        bytes
    }

    #[test]
    fn a_trusted_certificate_is_found_by_who_knows_the_password() {
        let bytes = store(b"certificate", "secret");
        let read = Keystore::read(&bytes, "secret").ok().unwrap();
        assert_eq!(read.trusted()[0][..], b"certificate"[..]);
        assert!(Keystore::read(&bytes, "").is_ok(), "Java asks for none");
        assert!(Keystore::read(&bytes, "wrong").err().unwrap().contains("password"));
        assert!(Keystore::read(&bytes, "secret").ok().unwrap().identity().is_err());
    }

    #[test]
    fn no_beginning_of_a_store_is_one() {
        let bytes = store(b"certificate", "secret");
        for len in 0..bytes.len() {
            assert!(Keystore::read(&bytes[..len], "secret").is_err(), "{len}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_looked_at(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)
        ) {
            let _ = Keystore::read(&[&MAGIC[..], &bytes].concat(), "");
        }
    }
}
