//! How a byte stream to a host is made: TCP, or whatever a [`Connector`] provides.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::connect_string::{HostPort, Scheme};

/// How long one address of a name is given before the next is tried beside it (RFC 8305, §8).
const STAGGER: Duration = Duration::from_millis(250);

/// A connected byte stream: ordered, reliable, and cut at any byte when it breaks.
///
/// ```
/// use znode::Transport;
///
/// let (ours, theirs) = tokio::io::duplex(1024);
/// let both: [Box<dyn Transport>; 2] = [Box::new(ours), Box::new(theirs)];
/// # let _ = both;
/// ```
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// What [`Connector::connect`] returns.
///
/// ```
/// use std::io;
///
/// let refused: znode::Connecting =
///     Box::pin(async { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) });
/// # let _ = refused;
/// ```
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send>>;

/// Makes byte streams to hosts.
///
/// The client calls it once for each attempt and drops the future when the attempt has taken too
/// long, so an implementation needs no timeout of its own.
///
/// ```
/// use znode::{ConnectOptions, Connecting, Connector, HostPort, TcpConnector};
///
/// /// Reaches every server through one gateway.
/// #[derive(Debug)]
/// struct Gateway(HostPort);
///
/// impl Connector for Gateway {
///     fn connect(&self, _: &HostPort) -> Connecting {
///         TcpConnector.connect(&self.0)
///     }
/// }
///
/// let options = ConnectOptions::new().connector(Gateway(HostPort::new("gateway", 2181)));
/// # let _ = options;
/// ```
pub trait Connector: Send + Sync + fmt::Debug + 'static {
    /// Starts to connect to `host`.
    ///
    /// # Errors
    /// The future's: why there is no connection. The client tries the next server, and tells of the
    /// newest reason if there is none.
    ///
    /// # Cancel safety
    /// The future is dropped when the attempt has taken too long: it must leave nothing behind.
    fn connect(&self, host: &HostPort) -> Connecting;

    /// Whether it can speak to hosts in this way. It is never asked to connect to others.
    ///
    /// By default plain text only, so that a connector that knows nothing of TLS is never taken
    /// for one that encrypts.
    fn supports(&self, scheme: Scheme) -> bool {
        scheme == Scheme::Tcp
    }
}

impl<C: Connector + ?Sized> Connector for Arc<C> {
    fn connect(&self, host: &HostPort) -> Connecting {
        (**self).connect(host)
    }

    fn supports(&self, scheme: Scheme) -> bool {
        (**self).supports(scheme)
    }
}

/// Connects over TCP, with Nagle's algorithm off.
///
/// Names are resolved anew at each attempt, and all their addresses are tried: the next one as soon
/// as one has failed, or has not answered for a quarter of a second.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use znode::{Connector, HostPort, Scheme, TcpConnector};
///
/// assert!(!TcpConnector.supports(Scheme::Tls));
/// let stream = TcpConnector.connect(&HostPort::new("zk1", 2181)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect(&self, host: &HostPort) -> Connecting {
        let host = host.clone();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host.host(), host.port())).await?;
            let stream = connect_any(addresses).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}

/// The first connection that stands, of attempts that begin one after the other.
async fn connect_any(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.fuse();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        attempts.extend(addresses.next().map(TcpStream::connect));
        let ended = tokio::select! {
            biased;
            ended = attempts.next() => ended,
            () = tokio::time::sleep(STAGGER), if addresses.size_hint().1 != Some(0) => continue,
        };
        match ended {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last_error = error,
            None => return Err(last_error),
        }
    }
}
