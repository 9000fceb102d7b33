//! The first frame of each side, and what an answer must look like to be this session's.

use std::time::Duration;

use crate::proto::{ConnectRequest, ConnectResponse, Decoder, SessionId, Zxid};
use crate::secret::Secret;

/// Who the session is, as far as is known.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) session_id: SessionId,
    pub(super) password: Secret,
    /// Whether other servers know of the session. A server that was cut off from its quorum hands
    /// out sessions of its own, which end with their connection: the next server is asked for
    /// another one, and what it answers is not held against it.
    pub(super) is_known: bool,
}

/// What a server answered to a connect request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The session is confirmed.
    Confirmed { session_id: SessionId, password: Secret, timeout: Duration, read_only: bool },
    /// The session is gone.
    Expired,
    /// Not a handshake: try another server.
    Malformed,
}

impl Identity {
    /// The connect request that asks for this session, or for a new one.
    pub(super) fn request(
        &self,
        timeout: Duration,
        last_zxid_seen: Zxid,
        read_only: bool,
    ) -> ConnectRequest<'_> {
        // A server that has not seen what this client has seen must refuse it, but only a client
        // that resumes has seen anything.
        let (session_id, password) = if self.is_known {
            (self.session_id, self.password.expose())
        } else {
            (SessionId::NONE, &[0; 16][..])
        };
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            session_id,
            password: Some(password),
            read_only: Some(read_only),
        }
    }

    /// Judges the answer. A session other than the one asked for is an expired one, whatever the
    /// server calls it: taking it would lose ephemerals and watches without a word.
    pub(super) fn judge(&self, frame: &[u8]) -> Verdict {
        let Ok(response) = Decoder::new(frame).read::<ConnectResponse<'_>>() else {
            return Verdict::Malformed;
        };
        let timeout_ms = match u64::try_from(response.timeout_ms) {
            Ok(timeout_ms) if timeout_ms > 0 && response.session_id != SessionId::NONE => {
                timeout_ms
            }
            _ => return Verdict::Expired,
        };
        if self.is_known && response.session_id != self.session_id {
            return Verdict::Expired;
        }
        Verdict::Confirmed {
            session_id: response.session_id,
            password: Secret::new(response.password.unwrap_or_default()),
            timeout: Duration::from_millis(timeout_ms),
            read_only: response.read_only.unwrap_or(false),
        }
    }
}
