//! A look at the wire: every frame, decoded, with its direction and time; for debugging.

mod describe;
mod following;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::connect_string::HostPort;
use crate::proto::{ErrorCode, OpCode, Xid, Zxid};

pub(crate) use following::Following;
pub use text::TextTap;

/// Is shown every frame of a session; see [`ConnectOptions::wire_tap`](crate::ConnectOptions).
///
/// It is called on the task of the session, which waits for it: it must not block.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use znode::{ConnectOptions, Direction, TappedFrame, WireTap};
///
/// /// Counts what is sent.
/// #[derive(Default)]
/// struct Sent(AtomicUsize);
///
/// impl WireTap for Sent {
///     fn frame(&self, frame: &TappedFrame<'_>) {
///         if frame.direction == Direction::Sent {
///             self.0.fetch_add(frame.len, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let options = ConnectOptions::new().wire_tap(Sent::default());
/// # let _ = options;
/// ```
pub trait WireTap: Send + Sync + 'static {
    /// A frame is about to be sent, or has come in.
    fn frame(&self, frame: &TappedFrame<'_>);
}

impl<T: WireTap + ?Sized> WireTap for Arc<T> {
    fn frame(&self, frame: &TappedFrame<'_>) {
        (**self).frame(frame);
    }
}

/// Which way a frame goes.
///
/// ```
/// use znode::Direction;
///
/// assert_eq!([Direction::Sent, Direction::Received].map(|way| way.to_string()), ["->", "<-"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From this client to the server.
    Sent,
    /// From the server to this client.
    Received,
}

/// What a frame is.
///
/// ```
/// use znode::TappedKind;
/// use znode::proto::{OpCode, Xid};
///
/// fn is_ping(kind: TappedKind) -> bool {
///     matches!(kind, TappedKind::Request { op: Some(OpCode::Ping), .. })
/// }
///
/// assert!(is_ping(TappedKind::Request { xid: Xid::PING, op: Some(OpCode::Ping) }));
/// assert!(!is_ping(TappedKind::Handshake));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TappedKind {
    /// The handshake, which has no header.
    Handshake,
    /// A request.
    Request {
        /// Its number.
        xid: Xid,
        /// The operation; `None` if it is not known.
        op: Option<OpCode>,
    },
    /// A reply.
    Reply {
        /// The number of the request.
        xid: Xid,
        /// The newest transaction that the server had applied.
        zxid: Zxid,
        /// Success, or why not.
        error: ErrorCode,
        /// The operation that is answered; `None` if nothing was asked.
        op: Option<OpCode>,
    },
    /// A watch event.
    Notification {
        /// The transaction; -1 from servers that do not tell.
        zxid: Zxid,
    },
    /// What cannot be read.
    Garbled,
}

/// A frame as a [`WireTap`] sees it. Passwords, identities and tokens are `***` in it.
///
/// ```
/// use znode::{TappedFrame, TappedKind, WireTap};
///
/// /// Prints what servers refuse.
/// struct Refusals;
///
/// impl WireTap for Refusals {
///     fn frame(&self, frame: &TappedFrame<'_>) {
///         match frame.kind {
///             TappedKind::Reply { error, .. } if error.code() != 0 => println!("{frame}"),
///             _ => {}
///         }
///     }
/// }
/// # let _ = Refusals;
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TappedFrame<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// When, since the client was made.
    pub at: Duration,
    /// The server.
    pub server: &'a HostPort,
    /// What it is.
    pub kind: TappedKind,
    /// Its record in words; empty if it has none.
    pub record: &'a str,
    /// How many bytes it has, its length not counted.
    pub len: usize,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "->",
            Self::Received => "<-",
        })
    }
}

impl fmt::Display for TappedFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, at, server, kind, record, len } = self;
        write!(f, "{:>10.6} {direction} {server} ", at.as_secs_f64())?;
        match kind {
            TappedKind::Handshake => f.write_str("handshake")?,
            TappedKind::Request { xid, op } => write!(f, "#{} {}", xid.0, name(*op))?,
            TappedKind::Reply { xid, zxid, error, op } => {
                write!(f, "#{} {} {error:?} zxid={:#x}", xid.0, name(*op), zxid.0)?;
            }
            TappedKind::Notification { zxid } => write!(f, "event zxid={:#x}", zxid.0)?,
            TappedKind::Garbled => f.write_str("garbled")?,
        }
        write!(f, " ({len} bytes)")?;
        if record.is_empty() { Ok(()) } else { write!(f, " {record}") }
    }
}

fn name(op: Option<OpCode>) -> String {
    op.map_or_else(|| "unknown".into(), |op| format!("{op:?}"))
}
