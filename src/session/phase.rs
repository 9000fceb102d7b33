//! Where the connection of a session stands: each phase holds just what is valid in it.

use std::time::Duration;

use super::output::Ending;
use crate::connect_string::HostPort;
use crate::moment::Moment;
use crate::proto::Xid;
use crate::sasl::SaslConversation;

#[derive(Debug)]
pub(super) enum Phase {
    Waiting(Waiting),
    Connecting(Connecting),
    Handshaking(Handshaking),
    Authenticating(Authenticating),
    Connected(Connected),
    Over(Ending),
}

/// Between two attempts.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Whom to try next.
    pub(super) host: HostPort,
    /// Not before this.
    pub(super) until: Moment,
}

/// The shell is making a connection.
#[derive(Debug)]
pub(super) struct Connecting {
    /// When the next host is tried instead.
    pub(super) deadline: Moment,
}

/// The connect request is on its way.
#[derive(Debug)]
pub(super) struct Handshaking {
    /// When the next host is tried instead.
    pub(super) deadline: Moment,
    /// When the connect request was sent: the session lives at least its timeout from here.
    pub(super) sent_at: Moment,
}

/// A server has confirmed the session, and is told by SASL whose it is.
#[derive(Debug)]
pub(super) struct Authenticating {
    /// When the next host is tried instead.
    pub(super) deadline: Moment,
    /// Whether the server was cut off from its quorum.
    pub(super) read_only: bool,
    /// What we say, and whether we believe the server.
    pub(super) conversation: Box<dyn SaslConversation>,
    /// The request that waits for its answer.
    pub(super) xid: Xid,
    /// When it was sent.
    pub(super) sent_at: Moment,
}

/// A server has confirmed the session on this connection.
#[derive(Debug)]
pub(super) struct Connected {
    /// When anything was last sent: a ping is due a third of the timeout later.
    pub(super) last_sent: Moment,
    /// When anything last came in: two thirds of the timeout later the link counts as dead.
    pub(super) last_received: Moment,
    /// When the ping was sent that is not answered yet.
    pub(super) ping_sent_at: Option<Moment>,
    /// Whether the server was cut off from its quorum.
    pub(super) read_only: bool,
    /// The search for a better server.
    pub(super) search: Search,
}

/// The search for a server that accepts writes, or for one that is nearer.
#[derive(Debug)]
pub(super) struct Search {
    /// When the next server is probed; `NEVER` while one is, or when none would be better.
    pub(super) next_at: Moment,
    /// How long to wait after that.
    pub(super) pause: Duration,
}

/// Where a connection that works is left for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// A server that was probed.
    Host(HostPort),
    /// Whichever the provider names next.
    Next,
}
