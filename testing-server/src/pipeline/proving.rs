//! Who a connection is: what its client has shown, said or proved, and what is asked of it before
//! anything else.

use std::sync::Arc;

use znode::proto::requests::{AuthRequest, SaslRequest};
use znode::proto::{Decoder, ErrorCode, JutePut, Zxid};

use crate::auth::Identity;
use crate::auth::sasl::{Step, nonce};
use crate::node::Node;
use crate::node::connection::Wire;
use crate::node::input::ConnId;
use crate::node::outbox::{Outbox, ReplyTo};

/// How many identities a client may have, and how many bytes they may take as records. Each goes
/// with every request that is passed on to a leader, and is asked about every permission.
const IDENTITIES_MAX: usize = 1024;
const IDENTITIES_LEN_MAX: usize = 64 * 1024;

impl Node {
    /// A connection has begun a TLS handshake.
    pub(crate) fn securing(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.wire = Wire::Securing;
        }
    }

    /// A TLS handshake has failed.
    pub(crate) fn insecure(&mut self) {
        self.stats.unsuccessful_handshakes += 1;
        self.stats.auth_failed += 1;
    }

    /// A connection is encrypted, and its client has maybe shown a certificate.
    pub(crate) fn secured(&mut self, conn: ConnId, certificate: Option<&[u8]>, out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        connection.wire = Wire::Secure;
        let Some(certificate) = certificate else {
            return;
        };
        let super_user = self.settings.rules.x509_super_user.as_deref();
        let proved = crate::auth::x509::identities(certificate, super_user);
        if !proved.is_some_and(|proved| self.identify(conn, proved)) {
            self.stats.auth_failed += 1;
            self.close(conn, out);
        }
    }

    /// `auth` is no request of the session: it is answered at once, and holds for what comes after.
    pub(super) fn auth(&mut self, to: ReplyTo, mut from: Decoder<'_>, out: &mut Outbox) {
        let Ok(request) = from.read::<AuthRequest<'_>>() else {
            return self.close(to.conn, out);
        };
        let Some(connection) = self.connections.get(to.conn) else {
            return;
        };
        // A certificate was shown already; to say so again changes nothing.
        let shown = |identity: &Identity| &*identity.scheme == "x509";
        if request.scheme == "x509" && connection.identities.iter().any(shown) {
            return out.reply(to, Zxid::ZERO, ErrorCode::Ok);
        }
        let peer = connection.peer.ip();
        let scheme = self.schemes.find(&request.scheme);
        let proved = scheme.and_then(|scheme| scheme.authenticate(peer, request.auth));
        if !proved.is_some_and(|proved| self.identify(to.conn, proved)) {
            self.stats.auth_failed += 1;
            out.reply(to, Zxid::ZERO, ErrorCode::AuthFailed);
            return self.close(to.conn, out);
        }
        out.reply(to, Zxid::ZERO, ErrorCode::Ok);
    }

    /// `sasl` is answered at once, too. A server without a login answers as Apache's does: no
    /// error, no token.
    pub(super) fn sasl(&mut self, to: ReplyTo, mut from: Decoder<'_>, out: &mut Outbox) {
        let Ok(SaslRequest { token: Some(said) }) = from.read::<SaslRequest<'_>>() else {
            return self.close(to.conn, out);
        };
        let logins = &self.settings.rules.logins;
        let (Some(connection), false) =
            (self.connections.get_mut(to.conn), logins.users.is_empty())
        else {
            return token(to, ErrorCode::Ok, None, out);
        };
        self.nonces += 1;
        let nonce = nonce(self.settings.nonce_seed, self.nonces);
        match connection.sasl.answer(logins, said, nonce) {
            Step::Challenge(challenge) => token(to, ErrorCode::Ok, Some(&challenge), out),
            Step::Proved { user, proof } => {
                let proved = logins.identities(&user);
                if !self.identify(to.conn, proved) {
                    token(to, ErrorCode::AuthFailed, None, out);
                    return self.close(to.conn, out);
                }
                token(to, ErrorCode::Ok, Some(&proof), out);
            }
            Step::Failed(why) => {
                tracing::info!(peer = %connection.peer, why, "SASL has failed");
                if logins.failed_may_stay && !logins.is_required() {
                    return token(to, ErrorCode::Ok, None, out);
                }
                let error = match logins.is_required() {
                    true => ErrorCode::SessionClosedRequireSaslAuth,
                    false => ErrorCode::AuthFailed,
                };
                token(to, error, None, out);
                self.close(to.conn, out);
            }
        }
    }

    /// Whether a connection may ask for something; one that may not is told so, and closed.
    #[inline]
    pub(super) fn enforce(&mut self, to: ReplyTo, out: &mut Outbox) -> bool {
        self.settings.rules.logins.enforced.is_empty() || self.admit_known(to, out)
    }

    fn admit_known(&mut self, to: ReplyTo, out: &mut Outbox) -> bool {
        let Some(connection) = self.connections.get(to.conn) else {
            return false;
        };
        let may = self.settings.rules.logins.admit(&connection.identities);
        if !may {
            out.reply(to, Zxid::ZERO, ErrorCode::SessionClosedRequireSaslAuth);
            self.close(to.conn, out);
        }
        may
    }

    /// Adds to who a connection is. It holds for what comes after. False if that were more than one
    /// client may be: then nothing is added.
    fn identify(&mut self, conn: ConnId, proved: Vec<Identity>) -> bool {
        let Some(connection) = self.connections.get_mut(conn) else {
            return false;
        };
        let known = connection.identities.to_vec();
        let fresh = proved.into_iter().filter(|identity| !known.contains(identity));
        let identities: Arc<[Identity]> = known.iter().cloned().chain(fresh).collect();
        let lens = identities.iter().map(|identity| 8 + identity.scheme.len() + identity.id.len());
        if identities.len() > IDENTITIES_MAX || lens.sum::<usize>() > IDENTITIES_LEN_MAX {
            tracing::warn!(peer = %connection.peer, "refusing one identity too many");
            return false;
        }
        connection.identities = identities;
        true
    }
}

fn token(to: ReplyTo, error: ErrorCode, token: Option<&str>, out: &mut Outbox) {
    out.reply_with(to, Zxid::ZERO, error, |body| body.put_buffer(token.map(str::as_bytes)));
}
