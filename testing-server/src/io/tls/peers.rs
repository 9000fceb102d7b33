//! TLS between the servers of an ensemble: each is client and server, with one certificate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use webpki::EndEntityCert;
use znode::Transport;

use super::accept::TLS_RECORD;
use super::options::{ServerTls, ServerTlsError};

/// How long a handshake may take: `ssl.quorum.handshakeDetectionTimeoutMillis`.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many hosts of one certificate are looked for.
const NAMES_MAX: usize = 16;

/// What is spoken between servers, as keys say it.
#[derive(Debug, Clone)]
pub(crate) struct PeerTls {
    pub(crate) tls: ServerTls,
    /// Whether this server speaks it when it connects to another: `sslQuorum`.
    pub(crate) is_spoken: bool,
    /// Whether servers may come in plain text: `portUnification`.
    pub(crate) plain_too: bool,
    /// Whether a certificate must be for the host that was connected to.
    pub(crate) checks_names: bool,
    /// Whether one must be for the address that somebody has connected from, or for a host there.
    /// Apache's servers ask the address for the host, which whoever owns the address answers; here
    /// the hosts of the certificate are asked for their addresses.
    pub(crate) checks_client_names: bool,
}

/// Both sides of it.
#[derive(Clone)]
pub(crate) struct PeerSecurity {
    acceptor: TlsAcceptor,
    /// Nothing if this server connects in plain text.
    connector: Option<TlsConnector>,
    plain_too: bool,
    checks_client_names: bool,
}

impl PeerTls {
    /// Reads what there is to read.
    ///
    /// # Errors
    /// What cannot be used, and where it is.
    pub(crate) fn security(&self) -> Result<PeerSecurity, ServerTlsError> {
        let acceptor = TlsAcceptor::from(self.tls.config()?);
        let connector = if self.is_spoken { Some(self.connector()?) } else { None };
        let (plain_too, checks_client_names) = (self.plain_too, self.checks_client_names);
        Ok(PeerSecurity { acceptor, connector, plain_too, checks_client_names })
    }

    fn connector(&self) -> Result<TlsConnector, ServerTlsError> {
        let place = "versions and cipher suites of the quorum";
        let provider = self.tls.provider();
        let roots = Arc::new(self.tls.roots()?);
        let usual =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let usual = usual.build().map_err(|error| ServerTlsError::new(place, error))?;
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Verifier { usual, roots, algorithms, checks_names: self.checks_names };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.tls.versions)
            .map_err(|error| ServerTlsError::new(place, error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let (chain, key) = self.tls.keys.identity()?;
        let config = builder.with_client_auth_cert(chain, key);
        let wrong = |error| ServerTlsError::new(&self.tls.keys.place(), error);
        Ok(TlsConnector::from(Arc::new(config.map_err(wrong)?)))
    }
}

impl PeerSecurity {
    /// Makes of a connection to `host` what is spoken; nothing if it cannot be.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Option<Box<dyn Transport>> {
        let Some(connector) = &self.connector else { return Some(Box::new(stream)) };
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            tracing::warn!(%host, "no certificate can be for a server of this name");
            return None;
        };
        match timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::warn!(%host, %error, "a TLS handshake with another server has failed");
                None
            }
            Err(_) => None,
        }
    }

    /// Makes of the connection of somebody who has come what is spoken; nothing if it cannot be.
    pub(crate) async fn accept(self, stream: TcpStream) -> Option<Box<dyn Transport>> {
        let peer = stream.peer_addr().ok()?.ip();
        match timeout(HANDSHAKE_TIMEOUT, self.handshake(peer, stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::warn!(%peer, %error, "a TLS handshake of another server has failed");
                None
            }
            Err(_) => None,
        }
    }

    async fn handshake(
        self,
        peer: IpAddr,
        stream: TcpStream,
    ) -> std::io::Result<Box<dyn Transport>> {
        let mut first = [0];
        if self.plain_too && stream.peek(&mut first).await? == 1 && first[0] != TLS_RECORD {
            return Ok(Box::new(stream));
        }
        let stream = self.acceptor.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        if let Some(certificate) = certificate.filter(|_| self.checks_client_names) {
            is_for(certificate, peer).await.map_err(std::io::Error::other)?;
        }
        Ok(Box::new(stream))
    }
}

/// Whether a certificate that the authority has signed is for whoever has connected from `peer`:
/// for that address, or for a host that is found there.
async fn is_for(certificate: &CertificateDer<'_>, peer: IpAddr) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let Err(error) = verify_server_name(&parsed, &ServerName::from(peer)) else { return Ok(()) };
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Err(error) };
    for name in certificate.valid_dns_names().take(NAMES_MAX) {
        let Ok(found) = lookup_host((name, 0)).await else { continue };
        let mut found = found.map(|address| address.ip().to_canonical());
        if found.any(|address| address == peer.to_canonical()) {
            let name = ServerName::try_from(name).map_err(|_| error)?;
            return verify_server_name(&parsed, &name);
        }
    }
    Err(error)
}

impl std::fmt::Debug for PeerSecurity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerSecurity").field("plain_too", &self.plain_too).finish_non_exhaustive()
    }
}

/// Trusts whom the store names, and minds names if it is told to.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    checks_names: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.checks_names {
            return self.usual.verify_server_cert(certificate, issuers, name, ocsp, now);
        }
        let (parsed, roots) = (ParsedCertificate::try_from(certificate)?, &self.roots);
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, issuers, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
