//! What a TLS connection is made from: whom to trust, and who we are.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::trusting::TrustsAnyone;
use crate::secret::Secret;
use crate::tls_error::{TlsError, TlsFault};

/// Whom to trust, and who we are, for [`ConnectOptions::tls`](crate::ConnectOptions::tls).
///
/// Nobody is trusted unless told: without roots every server is refused. TLS 1.2 and 1.3 are
/// spoken. The certificate of a server must have the name, or the IP address, that the connect
/// string has for it; names that addresses are resolved back to are never looked at. By the same
/// name it is asked for (SNI).
///
/// ```no_run
/// # fn example() -> std::io::Result<()> {
/// let tls = znode::TlsOptions::new()
///     .root_certificates(std::fs::read("ca.pem")?)
///     .client_certificate(std::fs::read("client.pem")?, std::fs::read("client-key.pem")?);
/// # let _ = tls;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until they are given to `ConnectOptions::tls`"]
pub struct TlsOptions {
    /// PEM, each with any number of certificates.
    roots: Vec<Vec<u8>>,
    #[cfg(feature = "tls-system-roots")]
    system_roots: bool,
    /// PEM: the chain of certificates, and the key of the first.
    client: Option<(Vec<u8>, Secret)>,
    trusts_anyone: bool,
    ready: Option<Arc<ClientConfig>>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsOptions {
    /// Nobody is trusted, and we are nobody.
    pub fn new() -> Self {
        Self {
            roots: Vec::new(),
            #[cfg(feature = "tls-system-roots")]
            system_roots: false,
            client: None,
            trusts_anyone: false,
            ready: None,
        }
    }

    /// A ready configuration of rustls instead of all the other options; for what they do not
    /// offer, as other providers of cryptography, revocation lists, or keys in hardware.
    ///
    /// ```no_run
    /// # fn example(config: rustls::ClientConfig) {
    /// use std::sync::Arc;
    ///
    /// let tls = znode::TlsOptions::from_config(Arc::new(config));
    /// # }
    /// ```
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { ready: Some(config), ..Self::new() }
    }

    /// Trusts those whose certificates stand in `pem`; may be called several times.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Trusts those whom the operating system trusts. They are read when connecting.
    ///
    /// ```
    /// let options = znode::ConnectOptions::new().tls(znode::TlsOptions::new().system_roots());
    /// # let _ = options;
    /// ```
    #[cfg(feature = "tls-system-roots")]
    pub fn system_roots(mut self) -> Self {
        self.system_roots = true;
        self
    }

    /// Who we are, to servers that ask, as ZooKeeper's do by default: our certificate and those of
    /// its issuers, and the private key, all in PEM. The key must not be encrypted.
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>, key: impl Into<Secret>) -> Self {
        self.client = Some((pem.into(), key.into()));
        self
    }

    /// Takes every server for who it says it is, whatever its certificate: whoever stands between
    /// can read and change everything. For experiments on one's own machine.
    ///
    /// ```
    /// // For a server on this machine that has made its own certificate.
    /// let tls = znode::TlsOptions::new().dangerous_trust_any_server();
    /// let options = znode::ConnectOptions::new().tls(tls);
    /// # let _ = options;
    /// ```
    pub fn dangerous_trust_any_server(mut self) -> Self {
        self.trusts_anyone = true;
        self
    }

    /// Reads certificates and keys.
    ///
    /// # Errors
    /// `InvalidOptions`, with the reason as its source.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(ready) = &self.ready {
            return Ok(Arc::clone(ready));
        }
        // The provider is named, so that none needs to be installed for the process.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?;
        let builder = if self.trusts_anyone {
            let verifier = Arc::new(TrustsAnyone::new(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(self.root_store()?)
        };
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(invalid)?;
                builder.with_client_auth_cert(certificates(chain)?, key).map_err(invalid)?
            }
        };
        Ok(Arc::new(config))
    }

    fn root_store(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        #[cfg(feature = "tls-system-roots")]
        if self.system_roots {
            let found = rustls_native_certs::load_native_certs();
            for error in found.errors {
                tracing::warn!(%error, "a root certificate of the system cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
        for pem in &self.roots {
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(invalid)?;
            }
        }
        Ok(roots)
    }
}

/// All certificates of a PEM text; there must be one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(invalid)?;
    if all.is_empty() {
        return Err(invalid(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(all)
}

fn invalid(source: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::new(TlsFault::InvalidOptions).caused_by(source)
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("roots", &self.roots.len())
            .field("has_client_certificate", &self.client.is_some())
            .field("trusts_anyone", &self.trusts_anyone)
            .field("is_ready", &self.ready.is_some())
            .finish_non_exhaustive()
    }
}
