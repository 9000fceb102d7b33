//! The handshake: the only records that travel without a header.

use super::ids::{SessionId, Zxid};
use super::jute::{Decode, DecodeError, Decoder, Encode, JutePut};

/// The first frame of a client.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Always 0.
    pub protocol_version: i32,
    /// The newest transaction that the client has seen; an older server must refuse it.
    pub last_zxid_seen: Zxid,
    /// The session timeout that the client asks for, in milliseconds.
    pub timeout_ms: i32,
    /// The session to resume, or [`SessionId::NONE`].
    pub session_id: SessionId,
    /// The password of the session to resume.
    pub password: Option<&'a [u8]>,
    /// Whether a read-only server will do; `None` if the byte is absent, as from old clients.
    pub read_only: Option<bool>,
}

/// The first frame of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectResponse<'a> {
    /// Always 0.
    pub protocol_version: i32,
    /// The negotiated session timeout in milliseconds; 0 or less: the session has expired.
    pub timeout_ms: i32,
    /// The session, or [`SessionId::NONE`] if it has expired.
    pub session_id: SessionId,
    /// What resuming the session will ask for.
    pub password: Option<&'a [u8]>,
    /// Whether this server is read-only; absent where the request had no such byte
    /// (ZOOKEEPER-4814).
    pub read_only: Option<bool>,
}

/// Reads the trailing byte that both sides may leave out.
fn read_only(from: &mut Decoder<'_>) -> Result<Option<bool>, DecodeError> {
    if from.remaining() == 0 { Ok(None) } else { from.read().map(Some) }
}

impl<'a> Decode<'a> for ConnectRequest<'a> {
    const MIN_LEN: usize = 28;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: from.read()?,
            last_zxid_seen: from.read()?,
            timeout_ms: from.read()?,
            session_id: from.read()?,
            password: from.read()?,
            read_only: read_only(from)?,
        })
    }
}

impl Encode for ConnectRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.protocol_version);
        out.put(&self.last_zxid_seen);
        out.put(&self.timeout_ms);
        out.put(&self.session_id);
        out.put(&self.password);
        if let Some(read_only) = self.read_only {
            out.put(&read_only);
        }
    }
}

impl<'a> Decode<'a> for ConnectResponse<'a> {
    const MIN_LEN: usize = 20;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: from.read()?,
            timeout_ms: from.read()?,
            session_id: from.read()?,
            password: from.read()?,
            read_only: read_only(from)?,
        })
    }
}

impl Encode for ConnectResponse<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.protocol_version);
        out.put(&self.timeout_ms);
        out.put(&self.session_id);
        out.put(&self.password);
        if let Some(read_only) = self.read_only {
            out.put(&read_only);
        }
    }
}
