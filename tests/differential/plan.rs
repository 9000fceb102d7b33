//! What is done to both servers: actions that depend on nothing that a server has answered.

use std::fmt;

/// Stands for the node below which a stream plays; as long as what takes its place.
pub(crate) const ROOT: &str = "/@stream-root@";

/// How many connections a stream plays on.
pub(crate) const SLOTS: usize = 4;

/// One thing that is done, on one connection.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    /// The connection; it is opened, with a session of its own, if it is not.
    pub(crate) slot: usize,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Requests in one write. None of them ends the connection.
    Batch(Vec<Request>),
    /// Requests of which the last ends the connection.
    Fatal(Vec<Request>),
    /// A frame that is no request, or bytes that are no frame: they end the connection.
    Bytes(Vec<u8>),
    /// The client cuts the connection; its session lives on.
    Cut,
    /// A connection in place of the present one, with this handshake.
    Hello(Hello),
    /// A connection beside the others that says something else first, and is closed then.
    Stranger(Vec<u8>),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    /// What follows the header; the root stands in it as [`ROOT`].
    pub(crate) body: Vec<u8>,
    /// The body begins with a zxid: the last one seen, less this.
    pub(crate) zxid_back: Option<i64>,
    /// What is done to the body once it is complete.
    pub(crate) damage: Damage,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Damage {
    None,
    /// Keep this many bytes, if there are more.
    Truncate(usize),
    /// Flip one bit of one byte, if there are so many.
    Flip(usize, u8),
    /// A byte too many.
    Append(u8),
}

/// A handshake.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) session: Resume,
    pub(crate) password: Password,
    pub(crate) timeout_ms: i32,
    /// Added to the last zxid seen.
    pub(crate) zxid_ahead: i64,
    pub(crate) protocol_version: i32,
    pub(crate) read_only: Option<bool>,
    /// Whether the session is ended at once, since it would not live long.
    pub(crate) short: bool,
}

/// Which session a handshake asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resume {
    New,
    /// One that this stream has opened, counted round and round: it may live, also on another
    /// connection, or have ended.
    Known(usize),
    /// One that there never was.
    Unknown(i64),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Password {
    Right,
    Wrong,
    Short,
    Null,
}

impl Request {
    /// The whole frame, length included.
    pub(crate) fn frame(&self, root: &str, seen: i64) -> Vec<u8> {
        let mut body = replaced(&self.body, root);
        if let Some(back) = self.zxid_back {
            body[..8].copy_from_slice(&(seen - back).to_be_bytes());
        }
        match self.damage {
            Damage::None => {}
            Damage::Truncate(len) => body.truncate(len),
            Damage::Flip(at, bit) => {
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Damage::Append(byte) => body.push(byte),
        }
        let mut frame = Vec::with_capacity(12 + body.len());
        frame.extend_from_slice(&i32::try_from(body.len() + 8).unwrap().to_be_bytes());
        frame.extend_from_slice(&self.xid.to_be_bytes());
        frame.extend_from_slice(&self.op.to_be_bytes());
        frame.extend_from_slice(&body);
        frame
    }
}

/// The bytes with the root of this run in them.
fn replaced(bytes: &[u8], root: &str) -> Vec<u8> {
    assert_eq!(root.len(), ROOT.len(), "the lengths before the paths stay right");
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at + ROOT.len() <= bytes.len() {
        if bytes[at..].starts_with(ROOT.as_bytes()) {
            bytes[at..at + ROOT.len()].copy_from_slice(root.as_bytes());
            at += ROOT.len();
        } else {
            at += 1;
        }
    }
    bytes
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(requests) | Self::Fatal(requests) => {
                for request in requests {
                    let Request { xid, op, body, zxid_back, damage } = request;
                    let body = body.escape_ascii();
                    write!(f, "[xid {xid} op {op} {body} {zxid_back:?} {damage:?}] ")?;
                }
                Ok(())
            }
            other => write!(f, "{other:?}"),
        }
    }
}
