//! What keys say of TLS, on a port for clients and between servers alike.
#![cfg_attr(not(feature = "tls"), expect(dead_code, reason = "checked all the same"))]

#[cfg(feature = "tls")]
use std::path::Path;
use std::path::PathBuf;

use znode::Secret;

/// What was said of it.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsSaid {
    pub(super) keys: StoreSaid,
    pub(super) trusted: StoreSaid,
    pub(super) client_auth: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) protocols: Vec<String>,
    pub(super) suites: Vec<String>,
}

/// `ssl.keyStore.*` or `ssl.trustStore.*`.
#[derive(Debug, Clone, Default)]
pub(super) struct StoreSaid {
    pub(super) location: Option<PathBuf>,
    pub(super) password: Secret,
    pub(super) password_path: Option<PathBuf>,
    pub(super) kind: Option<String>,
}

/// The forms of stores.
pub(super) const STORE_KINDS: &[&str] = &["PEM", "PKCS12", "JKS"];

/// How the keys are called.
#[derive(Debug)]
pub(super) struct Names {
    prefix: &'static str,
    keys: &'static str,
    trusted: &'static str,
}

/// Those of a port for clients.
pub(super) const CLIENTS: Names =
    Names { prefix: "ssl", keys: "ssl.keyStore", trusted: "ssl.trustStore" };

/// Those of the ports for other servers.
pub(super) const PEERS: Names =
    Names { prefix: "ssl.quorum", keys: "ssl.quorum.keyStore", trusted: "ssl.quorum.trustStore" };

#[cfg(feature = "tls")]
impl TlsSaid {
    /// What comes of it; nothing if there is no key.
    ///
    /// # Errors
    /// The key that is wrong, and what would be right.
    pub(super) fn server_tls(
        &self,
        names: &Names,
    ) -> Result<Option<crate::io::tls::ServerTls>, String> {
        use crate::io::tls::{ClientAuth, ServerTls};

        let Some(keys) = self.keys.store(names.keys)? else { return Ok(None) };
        let mut tls = ServerTls::of(keys);
        tls.trusted = self.trusted.store(names.trusted)?;
        tls.client_auth = match self.client_auth.as_deref() {
            Some("none") => ClientAuth::None,
            Some("want") => ClientAuth::Want,
            _ => ClientAuth::Need,
        };
        tls.versions = self.versions(names)?;
        tls.suites = self.checked_suites(names)?;
        Ok(Some(tls))
    }

    fn versions(
        &self,
        names: &Names,
    ) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, String> {
        use crate::io::tls::TLS_VERSIONS;

        let protocols: Vec<&str> = match self.protocol.as_deref() {
            _ if !self.protocols.is_empty() => self.protocols.iter().map(String::as_str).collect(),
            Some(v12) if v12.eq_ignore_ascii_case("TLSv1.2") => vec!["TLSv1.2"],
            _ => vec!["TLSv1.2", "TLSv1.3"],
        };
        let version = |name: &&str| {
            let version = TLS_VERSIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let version = version.map(|(_, version)| *version);
            version.ok_or_else(|| {
                format!("{}.enabledProtocols={name}: must be TLSv1.2 or TLSv1.3", names.prefix)
            })
        };
        protocols.iter().map(version).collect()
    }

    fn checked_suites(&self, names: &Names) -> Result<Vec<String>, String> {
        let known = crate::io::tls::cipher_suites();
        match self.suites.iter().find(|suite| !known.contains(suite)) {
            Some(suite) => Err(format!(
                "{}.ciphersuites={suite}: must be among {}",
                names.prefix,
                known.join(", ")
            )),
            None => Ok(self.suites.clone()),
        }
    }
}

#[cfg(feature = "tls")]
impl StoreSaid {
    fn store(&self, name: &'static str) -> Result<Option<crate::io::tls::Store>, String> {
        use crate::io::tls::{Store, StoreKind};

        let Some(location) = &self.location else { return Ok(None) };
        let password = match &self.password_path {
            Some(path) => read_password(name, path)?,
            None => self.password.clone(),
        };
        let kind = self.kind.as_deref().and_then(StoreKind::parse);
        Store::file(name, location.clone(), kind, password).map(Some)
    }
}

#[cfg(feature = "tls")]
fn read_password(name: &str, path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{name}.passwordPath={}: {error}", path.display()))?;
    Ok(Secret::from(text.strip_suffix('\n').unwrap_or(&text)))
}
