//! How records with secrets are printed: without them.

use std::fmt;

use super::acl::IdRecord;
use super::connect::{ConnectRequest, ConnectResponse};
use super::requests::{AuthRequest, SaslRequest};

/// Stands for bytes that are not printed; only whether they are there is told.
struct Redacted<'a>(Option<&'a [u8]>);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "***" } else { "null" })
    }
}

impl fmt::Debug for ConnectRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("protocol_version", &self.protocol_version)
            .field("last_zxid_seen", &self.last_zxid_seen)
            .field("timeout_ms", &self.timeout_ms)
            .field("session_id", &self.session_id)
            .field("password", &Redacted(self.password))
            .field("read_only", &self.read_only)
            .finish()
    }
}

impl fmt::Debug for ConnectResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectResponse")
            .field("protocol_version", &self.protocol_version)
            .field("timeout_ms", &self.timeout_ms)
            .field("session_id", &self.session_id)
            .field("password", &Redacted(self.password))
            .field("read_only", &self.read_only)
            .finish()
    }
}

impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("kind", &self.kind)
            .field("scheme", &self.scheme)
            .field("auth", &Redacted(self.auth))
            .finish()
    }
}

impl fmt::Debug for SaslRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslRequest").field("token", &Redacted(self.token)).finish()
    }
}

/// The hash of a digest is as good as its password to whoever can try many.
impl fmt::Debug for IdRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, id) = (self.scheme.as_deref(), self.id.as_deref());
        let (scheme, id) = (scheme.unwrap_or("null"), id.unwrap_or("null"));
        match id.split_once(':') {
            Some((user, _)) if scheme == "digest" => write!(f, "digest:{user}:***"),
            None if scheme == "digest" => f.write_str("digest:***"),
            _ => write!(f, "{scheme}:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{SessionId, Zxid};

    #[test]
    fn secrets_are_not_printed() {
        let secret = Some(&b"tell-nobody"[..]);
        let records: [&dyn fmt::Debug; 5] = [
            &ConnectRequest {
                protocol_version: 0,
                last_zxid_seen: Zxid(1),
                timeout_ms: 2,
                session_id: SessionId(3),
                password: secret,
                read_only: None,
            },
            &ConnectResponse {
                protocol_version: 0,
                timeout_ms: 2,
                session_id: SessionId(3),
                password: secret,
                read_only: None,
            },
            &AuthRequest { kind: 0, scheme: "digest".into(), auth: secret },
            &SaslRequest { token: secret },
            &IdRecord { scheme: Some("digest".into()), id: Some("bob:tell-nobody".into()) },
        ];
        let as_bytes = format!("{:?}", b"tell-nobody");
        for record in records {
            let printed = format!("{record:?}");
            assert!(printed.contains("***"), "{printed}");
            assert!(!printed.contains("tell-nobody") && !printed.contains(&as_bytes));
        }
    }
}
