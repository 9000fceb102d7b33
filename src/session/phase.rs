//! Where the connection of a session stands: each phase holds just what is valid in it.

use super::output::Ending;
use crate::connect_string::HostPort;
use crate::moment::Moment;

#[derive(Debug)]
pub(super) enum Phase {
    Waiting(Waiting),
    Connecting(Connecting),
    Handshaking(Handshaking),
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

/// A server has confirmed the session on this connection.
#[derive(Debug)]
pub(super) struct Connected {
    /// When anything was last sent: a ping is due a third of the timeout later.
    pub(super) last_sent: Moment,
    /// When anything last came in: two thirds of the timeout later the link counts as dead.
    pub(super) last_received: Moment,
    /// When the ping was sent that is not answered yet.
    pub(super) ping_sent_at: Option<Moment>,
}
