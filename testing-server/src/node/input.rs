//! What the server is told.

use std::fmt;
use std::net::SocketAddr;

use znode::proto::{SessionId, Zxid};

use crate::admin::Word;
use crate::quorum::Sid;

/// One connection, as the shell numbers them.
///
/// Slots are used again, so a generation tells a connection from the one that had its slot before:
/// an answer that waited for the disk must not reach a stranger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId {
    /// The place in the shell's table.
    pub(crate) slot: u32,
    /// How many connections had that place before.
    pub(crate) generation: u32,
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}.{}", self.slot, self.generation)
    }
}

/// What a connection between two servers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LinkKind {
    /// To find a leader.
    Election,
    /// To follow one.
    Quorum,
}

/// What a server writes down about its leaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EpochKind {
    /// It follows nobody of an earlier epoch: `acceptedEpoch`.
    Accepted,
    /// It has all that this epoch began with: `currentEpoch`.
    Current,
}

/// What a server writes down about the members of its ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfigKind {
    /// They were agreed on.
    Committed,
    /// They are the newest that were proposed.
    Next,
}

/// One thing that happened.
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "without TLS, nothing is secured"))]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    /// A client has connected.
    Accepted {
        /// The number of the new connection.
        conn: ConnId,
        /// Where it comes from.
        peer: SocketAddr,
    },
    /// A frame has arrived, here without its length.
    Frame {
        /// The connection.
        conn: ConnId,
        /// All of the frame.
        bytes: &'a [u8],
    },
    /// A four-letter word has arrived instead of a handshake.
    FourLetterWord {
        /// The connection.
        conn: ConnId,
        /// Which one.
        word: Word,
        /// How many bytes snapshots and logs take, if the word asks for that.
        sizes: (u64, u64),
    },
    /// A connection has begun a TLS handshake.
    Securing {
        /// The connection.
        conn: ConnId,
    },
    /// That handshake is done.
    Secured {
        /// The connection.
        conn: ConnId,
        /// The certificate that the client has shown, in DER; its issuer is trusted.
        certificate: Option<&'a [u8]>,
    },
    /// A TLS handshake has failed; that its connection is closed is told besides.
    Insecure,
    /// A connection is no more. One that the server itself closed need not be reported.
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// A deadline may have passed.
    Tick,
    /// The disk holds every transaction up to this one.
    Persisted(Zxid),
    /// A session must end now, as if it had expired.
    Expire(SessionId),
    /// The server starts again with the data that it has; every connection is gone.
    Restart,
    /// The disk holds an epoch, and everything that was to be written before it.
    EpochSaved {
        /// Which.
        kind: EpochKind,
        /// The epoch.
        epoch: u32,
    },
    /// A server has connected.
    LinkAccepted {
        /// The number of the new connection.
        link: ConnId,
        /// What for.
        kind: LinkKind,
    },
    /// A connection that was asked for has come about, or has not.
    LinkDialed {
        /// What for.
        kind: LinkKind,
        /// To whom.
        to: Sid,
        /// The number of the new connection, if there is one.
        link: Option<ConnId>,
    },
    /// A message of an election has arrived, without its length; or the greeting before it.
    LinkMessage {
        /// The connection.
        link: ConnId,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A packet between a leader and a learner has arrived.
    LinkPacket {
        /// The connection.
        link: ConnId,
        /// All of it.
        bytes: &'a [u8],
    },
    /// The snapshot that a packet has announced has arrived.
    LinkSnapshot {
        /// The connection.
        link: ConnId,
        /// All of it, but what marks its end.
        bytes: &'a [u8],
    },
    /// A connection between servers is no more.
    LinkClosed {
        /// The connection.
        link: ConnId,
    },
}
