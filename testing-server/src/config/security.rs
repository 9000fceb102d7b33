//! Keys that say who may come, and how it is proved: TLS, certificates, SASL.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use znode::Secret;

use super::jaas;
use super::keys::{Key, Kind, Value};
#[cfg(feature = "tls")]
use super::tls::CLIENTS;
use super::tls::{STORE_KINDS, TlsSaid};
use crate::InstanceSpec;
use crate::auth::sasl::Logins;

/// What was said of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Security {
    pub(super) secure_port: Option<u16>,
    secure_address: Option<IpAddr>,
    tls: TlsSaid,
    unified: bool,
    logins_file: Option<PathBuf>,
    logins_section: Option<String>,
    super_password: Option<Secret>,
    logins: Logins,
    sasl_required: bool,
    enforced: bool,
}

/// What becomes of a key.
pub(super) fn find(key: &str) -> Option<Key> {
    secure_port(key).or_else(|| stores(key)).or_else(|| logins(key))
}

fn secure_port(key: &str) -> Option<Key> {
    Some(match key {
        "secureClientPort" => Key::Used(Value::port(), |said, v| {
            said.security.secure_port = u16::try_from(v.number()).ok();
        }),
        "secureClientPortAddress" => Key::Used(Kind::Address, |said, v| {
            said.security.secure_address = Some(v.address(Ipv4Addr::UNSPECIFIED.into()));
        }),
        "client.portUnification" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.security.unified = v.flag())
        }
        "ssl.clientAuth" => Key::Used(Kind::OneOf(&["need", "want", "none"]), |said, v| {
            said.security.tls.client_auth = Some(v.text().to_ascii_lowercase());
        }),
        "ssl.protocol" => Key::Used(Kind::OneOf(&["TLS", "TLSv1.2", "TLSv1.3"]), |said, v| {
            said.security.tls.protocol = Some(v.text());
        }),
        "ssl.enabledProtocols" => {
            Key::Used(Kind::Text, |said, v| said.security.tls.protocols = v.list())
        }
        "ssl.ciphersuites" => Key::Used(Kind::Text, |said, v| said.security.tls.suites = v.list()),
        "ssl.authProvider" => Key::WithoutEffect(Kind::OneOf(&["x509"])),
        "ssl.hostnameVerification" | "ssl.handshakeDetectionTimeoutMillis" => Key::JavaOnly,
        "ssl.crl" | "ssl.ocsp" | "ssl.clientHostnameVerification" => {
            Key::WithoutEffect(Kind::Only("false"))
        }
        "X509AuthenticationProvider.superUser" => {
            Key::Used(Kind::Text, |said, v| said.spec.rules.x509_super_user = Some(v.text()))
        }
        _ => return None,
    })
}

fn stores(key: &str) -> Option<Key> {
    Some(match key {
        "ssl.keyStore.location" => Key::Used(Kind::Text, |said, v| {
            said.security.tls.keys.location = Some(v.text().into());
        }),
        "ssl.keyStore.password" => Key::Used(Kind::AnyText, |said, v| {
            said.security.tls.keys.password = v.text().into();
        }),
        "ssl.keyStore.passwordPath" => Key::Used(Kind::Text, |said, v| {
            said.security.tls.keys.password_path = Some(v.text().into());
        }),
        "ssl.keyStore.type" => Key::Used(Kind::OneOf(STORE_KINDS), |said, v| {
            said.security.tls.keys.kind = Some(v.text());
        }),
        "ssl.trustStore.location" => Key::Used(Kind::Text, |said, v| {
            said.security.tls.trusted.location = Some(v.text().into());
        }),
        "ssl.trustStore.password" => Key::Used(Kind::AnyText, |said, v| {
            said.security.tls.trusted.password = v.text().into();
        }),
        "ssl.trustStore.passwordPath" => Key::Used(Kind::Text, |said, v| {
            said.security.tls.trusted.password_path = Some(v.text().into());
        }),
        "ssl.trustStore.type" => Key::Used(Kind::OneOf(STORE_KINDS), |said, v| {
            said.security.tls.trusted.kind = Some(v.text());
        }),
        _ => return None,
    })
}

fn logins(key: &str) -> Option<Key> {
    const CLASSES: &[&str] = &[
        "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        "org.apache.zookeeper.server.auth.X509AuthenticationProvider",
        "org.apache.zookeeper.server.auth.DigestAuthenticationProvider",
        "org.apache.zookeeper.server.auth.IPAuthenticationProvider",
    ];
    Some(match key {
        "DigestAuthenticationProvider.enabled" => Key::WithoutEffect(Kind::Only("true")),
        "DigestAuthenticationProvider.digestAlg" => Key::WithoutEffect(Kind::Only("SHA1")),
        "java.security.auth.login.config" => Key::Used(Kind::Text, |said, v| {
            said.security.logins_file = Some(v.text().into());
        }),
        "sasl.serverconfig" => Key::Used(Kind::Text, |said, v| {
            said.security.logins_section = Some(v.text());
        }),
        "SASLAuthenticationProvider.superPassword" => Key::Used(Kind::Text, |said, v| {
            said.security.super_password = Some(v.text().into());
        }),
        "letAnySaslUserDoX" => {
            Key::Used(Kind::Text, |said, v| said.security.logins.anyone = Some(v.text()))
        }
        "allowSaslFailedClients" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.security.logins.failed_may_stay = v.flag())
        }
        "sessionRequireClientSASLAuth" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.security.sasl_required = v.flag())
        }
        "enforce.auth.enabled" => {
            Key::Used(Kind::TrueOrFalse, |said, v| said.security.enforced = v.flag())
        }
        "enforce.auth.schemes" => {
            Key::Used(Kind::Text, |said, v| said.security.logins.enforced = v.list())
        }
        _ if key == "superUser" || key.starts_with("superUser.") => {
            Key::Used(Kind::Text, |said, v| said.security.logins.super_users.push(v.text()))
        }
        _ if key.starts_with("authProvider.") => Key::Used(Kind::OneOf(CLASSES), |said, v| {
            said.security.logins.scheme |= v.text().ends_with("SASLAuthenticationProvider");
        }),
        _ => return None,
    })
}

impl Security {
    /// What a specification says of it that keys can change.
    pub(super) fn of(spec: &InstanceSpec) -> Self {
        let logins = spec.rules.logins.clone();
        Self { enforced: !logins.enforced.is_empty(), logins, ..Self::default() }
    }

    /// Adds it to a specification; `plain` says whether there is a port for plain text.
    ///
    /// # Errors
    /// What does not go together, with the key and what would.
    pub(super) fn apply(mut self, spec: InstanceSpec, plain: bool) -> Result<InstanceSpec, String> {
        self.read_logins()?;
        self.check_enforced()?;
        let mut spec = self.secure(spec, plain)?;
        spec.rules.logins = self.logins;
        Ok(spec)
    }

    fn read_logins(&mut self) -> Result<(), String> {
        let Some(path) = &self.logins_file else { return Ok(()) };
        let place = format!("java.security.auth.login.config={}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?;
        let section = self.logins_section.as_deref().unwrap_or("Server");
        let users = jaas::users(&text, section).map_err(|what| format!("{place}: {what}"))?;
        let users = users.into_iter().map(|(user, password)| (user, Secret::from(password)));
        self.logins.users = users.collect();
        if let (Some(password), Some(user)) =
            (self.super_password.take(), self.logins.users.get_mut("super"))
        {
            *user = password;
        }
        Ok(())
    }

    fn check_enforced(&mut self) -> Result<(), String> {
        let logins = &mut self.logins;
        if self.sasl_required {
            logins.enforced = vec!["sasl".to_owned()];
        } else if !self.enforced {
            logins.enforced.clear();
            return Ok(());
        } else if logins.enforced.is_empty() {
            return Err(
                "enforce.auth.enabled=true: takes enforce.auth.schemes to be set".to_owned()
            );
        }
        let known = |scheme: &str| match scheme {
            "sasl" => logins.scheme,
            "x509" => self.secure_port.is_some() || self.unified,
            "digest" | "ip" => true,
            _ => false,
        };
        match logins.enforced.iter().find(|scheme| !known(scheme)) {
            Some(scheme) => Err(format!(
                "enforce.auth.schemes={scheme}: this scheme is not there; sasl takes an \
                 authProvider.N, and x509 a secureClientPort"
            )),
            None => Ok(()),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, spec: InstanceSpec, _: bool) -> Result<InstanceSpec, String> {
        match self.secure_port {
            Some(port) => Err(format!(
                "secureClientPort={port}: this server was built without its feature `tls`"
            )),
            None => Ok(spec),
        }
    }
}

#[cfg(feature = "tls")]
impl Security {
    fn secure(&self, mut spec: InstanceSpec, plain: bool) -> Result<InstanceSpec, String> {
        use crate::io::tls::SecurePort;
        use crate::spec::Plain;

        if self.secure_port.is_none() && self.secure_address.is_some() {
            return Err("secureClientPortAddress: takes secureClientPort to be set".to_owned());
        }
        let wants_it = match self.secure_port {
            Some(port) => format!("secureClientPort={port}"),
            None if self.unified => "client.portUnification=true".to_owned(),
            None => return Ok(spec),
        };
        let Some(tls) = self.tls.server_tls(&CLIENTS)? else {
            return Err(format!(
                "{wants_it}: takes ssl.keyStore.location to be set, to a file with the server's key"
            ));
        };
        spec.secure =
            Some(SecurePort { address: self.secure_address, port: self.secure_port, tls });
        spec.plain = match self.unified {
            true => Plain::OrTls,
            false if plain => Plain::Only,
            false => Plain::Absent,
        };
        Ok(spec)
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use crate::Config;

    fn error(lines: &str) -> String {
        let text = format!("dataDir=/d\nclientPort=2181\n{lines}");
        Config::parse("z", &text).unwrap_err().to_string()
    }

    #[test]
    fn what_does_not_go_together_is_named_with_what_would() {
        for (lines, said) in [
            ("secureClientPort=1", "takes ssl.keyStore.location"),
            ("secureClientPortAddress=127.0.0.1", "takes secureClientPort"),
            ("client.portUnification=true", "takes ssl.keyStore.location"),
            ("secureClientPort=1\nssl.keyStore.location=/k", "ssl.keyStore.type: must be set"),
            ("ssl.clientAuth=maybe", "z:3: ssl.clientAuth=maybe: must be one of need, want, none"),
            ("ssl.keyStore.type=BCFKS", "must be one of PEM, PKCS12, JKS"),
            (
                "secureClientPort=1\nssl.keyStore.location=/k.pem\nssl.enabledProtocols=TLSv1.1",
                "ssl.enabledProtocols=TLSv1.1: must be TLSv1.2 or TLSv1.3",
            ),
            (
                "secureClientPort=1\nssl.keyStore.location=/k.pem\nssl.ciphersuites=NULL",
                "ssl.ciphersuites=NULL: must be among TLS_",
            ),
            ("ssl.crl=true", "z:3: ssl.crl=true: must be false: nothing else is supported"),
            ("DigestAuthenticationProvider.digestAlg=MD5", "must be SHA1: nothing else"),
            ("enforce.auth.enabled=true", "takes enforce.auth.schemes"),
            ("sessionRequireClientSASLAuth=true", "enforce.auth.schemes=sasl"),
            ("authProvider.1=org.example.Mine", "must be one of org.apache.zookeeper.server.auth."),
            ("java.security.auth.login.config=/no/such/file", "/no/such/file: No such file"),
        ] {
            assert!(error(lines).contains(said), "{lines}: {}", error(lines));
        }
    }

    #[test]
    fn a_password_may_stand_in_a_file_of_its_own() {
        let lines = "secureClientPort=1\nssl.keyStore.location=/k.p12\n\
                     ssl.keyStore.passwordPath=/no/such/file";
        assert!(error(lines).contains("ssl.keyStore.passwordPath=/no/such/file: No such file"));
    }
}
