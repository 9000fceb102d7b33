//! How a byte stream to a host is made: TCP, or whatever a [`Connector`] provides.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::connect_string::HostPort;

/// A connected byte stream: ordered, reliable, and cut at any byte when it breaks.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// What [`Connector::connect`] returns.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send>>;

/// Makes byte streams to hosts.
///
/// The client calls it once for each attempt and drops the future when the attempt has taken too
/// long, so an implementation needs no timeout of its own.
pub trait Connector: Send + Sync + fmt::Debug + 'static {
    /// Starts to connect to `host`.
    fn connect(&self, host: &HostPort) -> Connecting;
}

/// Connects over TCP, with Nagle's algorithm off. Names are resolved anew at each attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect(&self, host: &HostPort) -> Connecting {
        let host = host.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((host.host(), host.port())).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}
