//! What a client knows of its session, and each change of it.

use std::fmt;

/// The state of a session as its client sees it.
///
/// ```text
///              ┌────────────────────────────┐
/// Connecting ──► Connected | ConnectedReadOnly ──► Suspect ──► Expired
///     │                        ▲                   │    │
///     │                        └───────────────────┘    │
///     └───────────────► Expired | AuthFailed | Closed ◄─┘
/// ```
///
/// ```
/// use znode::State;
///
/// assert!(State::ConnectedReadOnly.is_connected());
/// assert!(!State::Suspect.is_connected() && !State::Suspect.is_terminal());
/// assert!(State::Expired.is_terminal());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// No session exists yet, or the one to resume was not found again yet.
    Connecting,
    /// Connected to a server that takes part in a quorum, or stands alone.
    Connected,
    /// Connected to a server that was cut off from its quorum; writes are refused.
    ConnectedReadOnly,
    /// The connection is down. The session may live on or be gone: nothing that it stands for,
    /// like a lock, may be taken for granted.
    Suspect,
    /// The session is over: a server said so, or its timeout has gone by without any answer.
    Expired,
    /// A server refused an identity. The session is over for this client.
    AuthFailed,
    /// The session was closed by this client, or given up by [`detach`](crate::Client::detach).
    Closed,
}

impl State {
    /// Whether no other state will follow.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Expired | Self::AuthFailed | Self::Closed)
    }

    /// Whether requests travel at once.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::ConnectedReadOnly)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::ConnectedReadOnly => "connected, read-only",
            Self::Suspect => "suspect",
            Self::Expired => "expired",
            Self::AuthFailed => "authentication failed",
            Self::Closed => "closed",
        })
    }
}

/// One transition of a session's state.
///
/// ```no_run
/// # async fn example(client: znode::Client) {
/// use futures::StreamExt;
///
/// let mut states = client.states();
/// while let Some(change) = states.next().await {
///     if change.state.is_connected() {
///         println!("{}: requests travel at once", change.generation);
///     } else if change.state.is_terminal() {
///         println!("{}: the end", change.generation);
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateChange {
    /// The state that was entered.
    pub state: State,
    /// How many transitions came before; consecutive changes have consecutive generations, so a
    /// gap would be seen.
    pub generation: u64,
}
