//! Certificates and keys, in the forms that Java's servers are given them: PEM, PKCS #12, JKS.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use znode::Secret;

use super::options::ServerTlsError;
use super::{ec, jks};

/// Certificates, and maybe a key, somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// What it is called: the beginning of its keys in `zoo.cfg`, or what option it was.
    name: &'static str,
    bytes: Bytes,
    kind: StoreKind,
    password: Secret,
}

#[derive(Debug, Clone)]
enum Bytes {
    Here(Secret),
    File(PathBuf),
}

/// The form of a store: `ssl.keyStore.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Pem,
    Pkcs12,
    /// Java writes PKCS #12 into these, too, so that what is in them decides.
    Jks,
}

/// An identity: certificates, the first of which is one's own, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl StoreKind {
    /// Reads Java's name of a form.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "PEM" => Self::Pem,
            "PKCS12" => Self::Pkcs12,
            "JKS" => Self::Jks,
            _ => return None,
        })
    }

    fn of_file(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Some(match extension {
            "pem" => Self::Pem,
            "p12" => Self::Pkcs12,
            "jks" => Self::Jks,
            _ => return None,
        })
    }
}

impl Store {
    /// A store in PEM that is at hand: certificates, and maybe a key.
    pub(super) fn pem(name: &'static str, mut certificates: Vec<u8>, key: &Secret) -> Self {
        certificates.push(b'\n');
        certificates.extend_from_slice(key.expose());
        let bytes = Bytes::Here(Secret::new(certificates));
        Self { name, bytes, kind: StoreKind::Pem, password: Secret::default() }
    }

    /// A file; what form it has is told by its name unless it is said.
    ///
    /// # Errors
    /// What would be allowed, if neither tells.
    pub(crate) fn file(
        name: &'static str,
        path: PathBuf,
        kind: Option<StoreKind>,
        password: Secret,
    ) -> Result<Self, String> {
        let kind = kind.or_else(|| StoreKind::of_file(&path)).ok_or_else(|| {
            format!("{name}.type: must be set to PEM, PKCS12 or JKS, as the file's name tells none")
        })?;
        Ok(Self { name, bytes: Bytes::File(path), kind, password })
    }

    /// Where it is, for messages.
    pub(super) fn place(&self) -> String {
        match &self.bytes {
            Bytes::Here(_) => self.name.to_owned(),
            Bytes::File(path) => format!("{}.location={}", self.name, path.display()),
        }
    }

    /// Who one is.
    ///
    /// # Errors
    /// It cannot be read, or has no certificate or no key.
    pub(super) fn identity(&self) -> Result<Identity, ServerTlsError> {
        let bytes = self.read()?;
        let (chain, key) = match self.form(bytes.expose()) {
            StoreKind::Pem => self.pem_identity(bytes.expose())?,
            StoreKind::Pkcs12 => self.pkcs12_identity(bytes.expose())?,
            StoreKind::Jks => {
                let store = jks::Keystore::read(bytes.expose(), self.password()?);
                store.and_then(jks::Keystore::identity).map_err(|what| self.wrong(what))?
            }
        };
        if chain.is_empty() {
            return Err(self.wrong("there is no certificate in it"));
        }
        let key = ec::completed(key, &chain);
        Ok((chain, key))
    }

    /// Whom to trust.
    ///
    /// # Errors
    /// It cannot be read, or names nobody.
    pub(super) fn trusted(&self) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
        let bytes = self.read()?;
        let trusted = match self.form(bytes.expose()) {
            StoreKind::Pem => self.pem_certificates(bytes.expose())?,
            StoreKind::Pkcs12 => self.pkcs12_trusted(bytes.expose())?,
            StoreKind::Jks => {
                let store = jks::Keystore::read(bytes.expose(), self.password()?);
                store.map_err(|what| self.wrong(what))?.trusted()
            }
        };
        if trusted.is_empty() {
            return Err(self.wrong("there is no trusted certificate in it"));
        }
        Ok(trusted)
    }

    fn read(&self) -> Result<Secret, ServerTlsError> {
        match &self.bytes {
            Bytes::Here(bytes) => Ok(bytes.clone()),
            Bytes::File(path) => {
                let bytes = fs::read(path);
                bytes.map(Secret::new).map_err(|error| ServerTlsError::new(&self.place(), error))
            }
        }
    }

    fn form(&self, bytes: &[u8]) -> StoreKind {
        match self.kind {
            StoreKind::Jks if !jks::is_one(bytes) => StoreKind::Pkcs12,
            kind => kind,
        }
    }

    fn password(&self) -> Result<&str, ServerTlsError> {
        let password = str::from_utf8(self.password.expose());
        password.map_err(|_| self.wrong("its password is no text"))
    }

    fn wrong(&self, what: impl Into<String>) -> ServerTlsError {
        ServerTlsError::said(&self.place(), what)
    }

    fn pem_certificates(
        &self,
        bytes: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
        let all = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
        all.map_err(|error| ServerTlsError::new(&self.place(), error))
    }

    fn pem_identity(&self, bytes: &[u8]) -> Result<Identity, ServerTlsError> {
        let chain = self.pem_certificates(bytes)?;
        if chain.is_empty() {
            return Err(self.wrong("there is no certificate in it"));
        }
        if let Some(encrypted) = encrypted_key(bytes) {
            return Ok((chain, self.decrypted(encrypted)?));
        }
        let key = PrivateKeyDer::from_pem_slice(bytes);
        let key = key.map_err(|_| self.wrong("there is no private key in it"))?;
        Ok((chain, key))
    }

    #[cfg(feature = "pkcs12")]
    fn decrypted(&self, pem: &str) -> Result<PrivateKeyDer<'static>, ServerTlsError> {
        use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};

        let unreadable = || self.wrong("its encrypted key cannot be read");
        let (_, document) = SecretDocument::from_pem(pem).map_err(|_| unreadable())?;
        let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
        let key = key.map_err(|_| unreadable())?;
        let key = key.decrypt(self.password.expose());
        let key = key.map_err(|_| self.wrong("its password does not open its key"))?;
        Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
    }

    #[cfg(not(feature = "pkcs12"))]
    fn decrypted(&self, _: &str) -> Result<PrivateKeyDer<'static>, ServerTlsError> {
        Err(self.wrong("its key is encrypted, and this server was built without `pkcs12`"))
    }

    #[cfg(feature = "pkcs12")]
    fn pkcs12(&self, bytes: &[u8]) -> Result<p12_keystore::KeyStore, ServerTlsError> {
        let policy = p12_keystore::Pkcs12ImportPolicy::Strict;
        let store = p12_keystore::KeyStore::from_pkcs12(bytes, self.password()?, policy);
        store.map_err(|error| ServerTlsError::new(&self.place(), error))
    }

    #[cfg(feature = "pkcs12")]
    fn pkcs12_identity(&self, bytes: &[u8]) -> Result<Identity, ServerTlsError> {
        let store = self.pkcs12(bytes)?;
        let Some((_, chain)) = store.private_key_chain() else {
            return Err(self.wrong("there is no private key in it"));
        };
        let key = PrivateKeyDer::Pkcs8(chain.key().as_der().to_vec().into());
        let chain = chain.certs().iter().map(|one| one.as_der().to_vec().into()).collect();
        Ok((chain, key))
    }

    /// As in Java: certificates that are marked as trusted, and one's own.
    #[cfg(feature = "pkcs12")]
    fn pkcs12_trusted(&self, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
        use p12_keystore::KeyStoreEntry;

        let store = self.pkcs12(bytes)?;
        let certificate = |entry: &KeyStoreEntry| match entry {
            KeyStoreEntry::Certificate(one) => Some(one.as_der().to_vec().into()),
            KeyStoreEntry::PrivateKeyChain(chain) => {
                chain.certs().first().map(|one| one.as_der().to_vec().into())
            }
            KeyStoreEntry::Secret(_) => None,
        };
        Ok(store.entries().filter_map(|(_, entry)| certificate(entry)).collect())
    }

    #[cfg(not(feature = "pkcs12"))]
    fn pkcs12_identity(&self, _: &[u8]) -> Result<Identity, ServerTlsError> {
        Err(self.wrong("it is PKCS12, and this server was built without its feature `pkcs12`"))
    }

    #[cfg(not(feature = "pkcs12"))]
    fn pkcs12_trusted(&self, _: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
        Err(self.wrong("it is PKCS12, and this server was built without its feature `pkcs12`"))
    }
}

/// The part of a PEM text that is an encrypted private key.
fn encrypted_key(pem: &[u8]) -> Option<&str> {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let pem = str::from_utf8(pem).ok()?;
    let start = pem.find("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let len = pem[start..].find(END)? + END.len();
    Some(&pem[start..start + len])
}

#[cfg(test)]
#[cfg(feature = "pkcs12")]
mod tests {
    use super::*;

    /// Made by `openssl req -x509 -newkey ec`, with the password `tip-top`.
    const ENCRYPTED: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAjF0IQtluSkiwICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIuN94cmbi5PkEgZA31IVeJb6gojdN
r8uQFWYCEz6Y5skS78unsMWvPLbaJJNk86RSHSCwexCoHGf0M+A4Wx3Ld9tT959O
eUpSAMpHjfPBK3p+bbgpeIsNUABU3dPv2R11XATr8q8PdCKyZYhfp0M8n18NqmLh
/SvZiLlf3zI/A3mssQppG3jjOflHaWxi3AbSuH6FV/IwfOY5HCQ=
-----END ENCRYPTED PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfTCCASWgAwIBAgIUdOk59pLhh4hSjizr3bB4AzDCteIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDExMjczMloYDzIxMjYxMDI3
MTEyNzMyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASj1wsJAlfKERSUVh2xxr4gXHNj4cpVGeZZT6UL6t3kHH+rR5LvLWAC
Xsv852/9WU+y+SPBBquCxlPEksF+xEC5o1MwUTAdBgNVHQ4EFgQUn8ktGvyO8QjL
ehsz7zHL1NoaRLUwHwYDVR0jBBgwFoAUn8ktGvyO8QjLehsz7zHL1NoaRLUwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNGADBDAiA/NK+FXqCmdN5ugUVDhi5c
tESPDJHe28Tt5f7s6lhDWwIfcA/Uc7AZ/EbmynaldoGZUIEwMVUtdVsynpo1WEQX
6Q==
-----END CERTIFICATE-----
";

    #[test]
    fn an_encrypted_key_is_opened_by_its_password_alone() {
        let mut store = Store::pem("keys", ENCRYPTED.into(), &Secret::default());
        store.password = Secret::from("tip-top");
        let (chain, key) = store.identity().unwrap();
        assert_eq!(chain.len(), 1);
        assert!(matches!(key, PrivateKeyDer::Pkcs8(_)));
        for password in ["wrong", ""] {
            store.password = Secret::from(password);
            let error = store.identity().unwrap_err().to_string();
            assert_eq!(error, "keys: its password does not open its key");
        }
    }
}
