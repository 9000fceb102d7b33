//! What a secure port is made from: who the server is, and what it asks of its clients.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use znode::Secret;

use super::stores::Store;

/// Who a server is on its secure port, and whether its clients have to say who they are; for
/// [`InstanceSpec::tls`](crate::InstanceSpec::tls).
///
/// TLS 1.2 and 1.3 are spoken. A client that has shown a certificate is known by its subject, as
/// the scheme `x509` has it.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use znode_testing::{ClientAuth, InstanceSpec, ServerTls, TestingServer};
///
/// let tls = ServerTls::new(std::fs::read("server.pem")?, std::fs::read("server-key.pem")?)
///     .client_certificates(ClientAuth::Need, std::fs::read("ca.pem")?);
/// let server = TestingServer::start_with(InstanceSpec::new().tls(tls)).await?;
/// println!("tls://localhost:{}", server.secure_address().expect("it has TLS").port());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until they are given to `InstanceSpec::tls`"]
pub struct ServerTls {
    pub(crate) keys: Store,
    /// Whose certificates are taken from clients.
    pub(crate) trusted: Option<Store>,
    pub(crate) client_auth: ClientAuth,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    /// In the names of Java; all that there are if there is none.
    pub(crate) suites: Vec<String>,
}

/// Whether clients have to show a certificate: `ssl.clientAuth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked; one that shows none is let in as nobody.
    Want,
    /// They are asked; one that shows none is refused.
    Need,
}

/// Why certificates or keys of a server cannot be used: where they are, and what is wrong.
#[derive(Debug)]
pub struct ServerTlsError {
    place: String,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The versions that can be spoken, in Java's names.
pub(crate) const TLS_VERSIONS: [(&str, &SupportedProtocolVersion); 2] =
    [("TLSv1.2", &rustls::version::TLS12), ("TLSv1.3", &rustls::version::TLS13)];

impl ServerTls {
    /// A server with this certificate, followed by those of its issuers, and the private key of the
    /// first, all in PEM. It asks its clients for nothing.
    pub fn new(certificates: impl Into<Vec<u8>>, key: impl Into<Secret>) -> Self {
        Self::of(Store::pem("certificate and key", certificates.into(), &key.into()))
    }

    pub(crate) fn of(keys: Store) -> Self {
        Self {
            keys,
            trusted: None,
            client_auth: ClientAuth::None,
            versions: TLS_VERSIONS.iter().map(|(_, version)| *version).collect(),
            suites: Vec::new(),
        }
    }

    /// Asks clients for certificates that were issued by one of those in `issuers`, in PEM.
    pub fn client_certificates(mut self, auth: ClientAuth, issuers: impl Into<Vec<u8>>) -> Self {
        let none = Secret::default();
        self.trusted = Some(Store::pem("issuers of clients", issuers.into(), &none));
        self.client_auth = auth;
        self
    }

    /// Reads what there is to read.
    ///
    /// # Errors
    /// What cannot be used, and where it is.
    pub(crate) fn config(&self) -> Result<Arc<ServerConfig>, ServerTlsError> {
        let provider = self.provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(|error| ServerTlsError::new("versions and cipher suites", error))?;
        let builder = match self.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Want | ClientAuth::Need => {
                builder.with_client_cert_verifier(self.verifier(provider)?)
            }
        };
        let (chain, key) = self.keys.identity()?;
        let config = builder.with_single_cert(chain, key);
        Ok(Arc::new(config.map_err(|error| ServerTlsError::new(&self.keys.place(), error))?))
    }

    /// What can be spoken.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = rustls::crypto::ring::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| self.suites.contains(&java_name(suite)));
        }
        Arc::new(provider)
    }

    /// Who may have issued the certificates of others.
    pub(super) fn roots(&self) -> Result<RootCertStore, ServerTlsError> {
        let mut roots = RootCertStore::empty();
        let Some(trusted) = &self.trusted else { return Ok(roots) };
        for certificate in trusted.trusted()? {
            roots.add(certificate).map_err(|error| ServerTlsError::new(&trusted.place(), error))?;
        }
        Ok(roots)
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, ServerTlsError> {
        let Some(trusted) = &self.trusted else {
            return Err(ServerTlsError::said(
                "ssl.trustStore.location",
                "must be set, for clients are asked for certificates (ssl.clientAuth)",
            ));
        };
        let roots = Arc::new(self.roots()?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = match self.client_auth {
            ClientAuth::Want => builder.allow_unauthenticated(),
            ClientAuth::Need | ClientAuth::None => builder,
        };
        builder.build().map_err(|error| ServerTlsError::new(&trusted.place(), error))
    }
}

/// The cipher suites that can be spoken, in Java's names.
pub(crate) fn cipher_suites() -> Vec<String> {
    rustls::crypto::ring::default_provider().cipher_suites.iter().map(java_name).collect()
}

fn java_name(suite: &rustls::SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

impl ServerTlsError {
    pub(super) fn new(place: &str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        let what = source.to_string();
        Self { place: place.to_owned(), what, source: Some(Box::new(source)) }
    }

    pub(super) fn said(place: &str, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), what: what.into(), source: None }
    }

    /// Where it is: a key of `zoo.cfg` with the file that it names, or which option it was.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for ServerTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for ServerTlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl From<ServerTlsError> for std::io::Error {
    fn from(error: ServerTlsError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

/// Where a secure port listens, and what it says of the server.
#[derive(Debug, Clone)]
pub(crate) struct SecurePort {
    /// The address of the plain port if there is none of its own.
    pub(crate) address: Option<IpAddr>,
    /// Nothing if TLS is spoken on the plain port alone.
    pub(crate) port: Option<u16>,
    pub(crate) tls: ServerTls,
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_is_wrong_with_stores_is_told_with_their_place() {
        let nothing = ServerTls::new("", "").config().unwrap_err();
        assert_eq!(nothing.place(), "certificate and key");
        assert!(nothing.to_string().contains("no certificate"), "{nothing}");

        let missing = PathBuf::from("/no/such/keys.pem");
        let store = Store::file("ssl.keyStore", missing, None, Secret::default()).unwrap();
        let error = ServerTls::of(store).config().unwrap_err().to_string();
        assert!(error.starts_with("ssl.keyStore.location=/no/such/keys.pem: "), "{error}");
    }

    #[test]
    fn suites_have_javas_names() {
        let suites = cipher_suites();
        for name in ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"] {
            assert!(suites.iter().any(|suite| suite == name), "{suites:?}");
        }
    }
}
