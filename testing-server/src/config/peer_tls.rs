//! Keys that say what is spoken between the servers of an ensemble.

use super::keys::{Key, Kind};
use super::tls::{STORE_KINDS, TlsSaid};
use crate::InstanceSpec;

/// What was said of it.
#[derive(Debug, Clone, Default)]
pub(super) struct PeerTlsSaid {
    tls: TlsSaid,
    /// Whether TLS is spoken: `sslQuorum`.
    is_wanted: bool,
    /// Whether plain text is taken, too: `portUnification`.
    plain_too: bool,
    /// Whether certificates need not be for the servers that show them.
    any_name: bool,
    /// The same of servers that have connected, which Apache's can be told by itself.
    any_client_name: bool,
}

/// What becomes of a key.
pub(super) fn find(key: &str) -> Option<Key> {
    stores(key).or_else(|| {
        Some(match key {
            "sslQuorum" => Key::Used(Kind::TrueOrFalse, |said, v| said.peers.is_wanted = v.flag()),
            "portUnification" => {
                Key::Used(Kind::TrueOrFalse, |said, v| said.peers.plain_too = v.flag())
            }
            "ssl.quorum.hostnameVerification" => {
                Key::Used(Kind::TrueOrFalse, |said, v| said.peers.any_name = !v.flag())
            }
            "ssl.quorum.clientHostnameVerification" => {
                Key::Used(Kind::TrueOrFalse, |said, v| said.peers.any_client_name = !v.flag())
            }
            "ssl.quorum.clientAuth" => {
                Key::Used(Kind::OneOf(&["need", "want", "none"]), |said, v| {
                    said.peers.tls.client_auth = Some(v.text().to_ascii_lowercase());
                })
            }
            "ssl.quorum.protocol" => {
                Key::Used(Kind::OneOf(&["TLS", "TLSv1.2", "TLSv1.3"]), |said, v| {
                    said.peers.tls.protocol = Some(v.text());
                })
            }
            "ssl.quorum.enabledProtocols" => {
                Key::Used(Kind::Text, |said, v| said.peers.tls.protocols = v.list())
            }
            "ssl.quorum.ciphersuites" => {
                Key::Used(Kind::Text, |said, v| said.peers.tls.suites = v.list())
            }
            "ssl.quorum.crl" | "ssl.quorum.ocsp" | "sslQuorumReloadCertFiles" => {
                Key::WithoutEffect(Kind::Only("false"))
            }
            "ssl.quorum.handshakeDetectionTimeoutMillis" | "ssl.quorum.context.supplier.class" => {
                Key::JavaOnly
            }
            _ => return None,
        })
    })
}

fn stores(key: &str) -> Option<Key> {
    Some(match key {
        "ssl.quorum.keyStore.location" => Key::Used(Kind::Text, |said, v| {
            said.peers.tls.keys.location = Some(v.text().into());
        }),
        "ssl.quorum.keyStore.password" => Key::Used(Kind::AnyText, |said, v| {
            said.peers.tls.keys.password = v.text().into();
        }),
        "ssl.quorum.keyStore.passwordPath" => Key::Used(Kind::Text, |said, v| {
            said.peers.tls.keys.password_path = Some(v.text().into());
        }),
        "ssl.quorum.keyStore.type" => Key::Used(Kind::OneOf(STORE_KINDS), |said, v| {
            said.peers.tls.keys.kind = Some(v.text());
        }),
        "ssl.quorum.trustStore.location" => Key::Used(Kind::Text, |said, v| {
            said.peers.tls.trusted.location = Some(v.text().into());
        }),
        "ssl.quorum.trustStore.password" => Key::Used(Kind::AnyText, |said, v| {
            said.peers.tls.trusted.password = v.text().into();
        }),
        "ssl.quorum.trustStore.passwordPath" => Key::Used(Kind::Text, |said, v| {
            said.peers.tls.trusted.password_path = Some(v.text().into());
        }),
        "ssl.quorum.trustStore.type" => Key::Used(Kind::OneOf(STORE_KINDS), |said, v| {
            said.peers.tls.trusted.kind = Some(v.text());
        }),
        _ => return None,
    })
}

impl PeerTlsSaid {
    /// Adds it to a specification.
    ///
    /// # Errors
    /// What does not go together, with the key and what would.
    #[cfg(feature = "tls")]
    pub(super) fn apply(&self, mut spec: InstanceSpec) -> Result<InstanceSpec, String> {
        let wants_it = match (self.is_wanted, self.plain_too) {
            (true, _) => "sslQuorum=true",
            (false, true) => "portUnification=true",
            (false, false) => return Ok(spec),
        };
        let tls = self.tls.server_tls(&super::tls::PEERS)?;
        let tls = tls.ok_or_else(|| {
            format!(
                "{wants_it}: takes ssl.quorum.keyStore.location to be set, to a file with the \
                 server's key"
            )
        })?;
        if tls.trusted.is_none() {
            return Err(format!(
                "{wants_it}: takes ssl.quorum.trustStore.location to be set, to a file with the \
                 issuers of the others' certificates"
            ));
        }
        spec.peer_tls = Some(crate::io::tls::PeerTls {
            tls,
            is_spoken: self.is_wanted,
            plain_too: self.plain_too,
            checks_names: !self.any_name,
            checks_client_names: !self.any_name && !self.any_client_name,
        });
        Ok(spec)
    }

    #[cfg(not(feature = "tls"))]
    pub(super) fn apply(&self, spec: InstanceSpec) -> Result<InstanceSpec, String> {
        if self.is_wanted || self.plain_too {
            let why = "sslQuorum=true: this server was built without its feature `tls`";
            return Err(why.to_owned());
        }
        Ok(spec)
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use crate::Config;

    fn parse(lines: &str) -> Result<Config, crate::ConfigError> {
        Config::parse("z", &format!("dataDir=/d\nclientPort=2181\n{lines}"))
    }

    #[test]
    fn what_does_not_go_together_is_named_with_what_would() {
        for (lines, said) in [
            ("sslQuorum=true", "sslQuorum=true: takes ssl.quorum.keyStore.location to be set"),
            ("portUnification=true", "portUnification=true: takes ssl.quorum.keyStore.location"),
            (
                "sslQuorum=true\nssl.quorum.keyStore.location=/k.pem",
                "sslQuorum=true: takes ssl.quorum.trustStore.location to be set",
            ),
            ("sslQuorum=true\nssl.quorum.keyStore.location=/k", "ssl.quorum.keyStore.type"),
            (
                "sslQuorum=true\nssl.quorum.keyStore.location=/k.pem\n\
                 ssl.quorum.enabledProtocols=SSLv3",
                "ssl.quorum.enabledProtocols=SSLv3: must be TLSv1.2 or TLSv1.3",
            ),
            ("ssl.quorum.clientAuth=maybe", "must be one of need, want, none"),
            ("ssl.quorum.crl=true", "ssl.quorum.crl=true: must be false: nothing else"),
        ] {
            let error = parse(lines).unwrap_err().to_string();
            assert!(error.contains(said), "{lines}: {error}");
        }
    }

    #[test]
    fn names_count_on_both_sides_unless_it_is_said_that_they_do_not() {
        let stores = "sslQuorum=true\nssl.quorum.keyStore.location=/k.pem\n\
                      ssl.quorum.trustStore.location=/t.pem\n";
        for (line, server, client) in [
            ("", true, true),
            ("ssl.quorum.hostnameVerification=false", false, false),
            ("ssl.quorum.clientHostnameVerification=false", true, false),
        ] {
            let spec = parse(&format!("{stores}{line}")).unwrap().into_spec();
            let tls = spec.peer_tls.unwrap();
            assert_eq!((tls.checks_names, tls.checks_client_names), (server, client), "{line}");
            assert!(tls.is_spoken && !tls.plain_too);
        }
    }
}
