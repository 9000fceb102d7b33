//! Connections to `tls://` hosts, on top of what another connector makes.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::options::TlsOptions;
use super::stream::{TlsStream, explained};
use crate::connect_string::{HostPort, Scheme};
use crate::io::transport::{Connecting, Connector, TcpConnector, Transport};
use crate::tls_error::{TlsError, TlsFault};

/// Connects to `tls://` hosts by TLS, and to `tcp://` hosts in plain text.
///
/// [`ConnectOptions::tls`](crate::ConnectOptions::tls) makes one; it is public for connectors that
/// are put together in other ways.
///
/// ```no_run
/// # fn example(tunnel: impl znode::Connector) -> Result<(), znode::TlsError> {
/// use znode::{ConnectOptions, TlsConnector, TlsOptions};
///
/// let tls = TlsConnector::new(&TlsOptions::new())?.over(tunnel);
/// let options = ConnectOptions::new().connector(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TlsConnector {
    below: Arc<dyn Connector>,
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// TLS over TCP.
    ///
    /// # Errors
    /// `InvalidOptions` if certificates or keys cannot be used.
    pub fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        Ok(Self { below: Arc::new(TcpConnector), config: options.config()? })
    }

    /// TLS over the streams that another connector makes, which is asked for `tcp://` hosts only.
    #[must_use]
    pub fn over(self, below: impl Connector) -> Self {
        Self { below: Arc::new(below), ..self }
    }
}

impl Connector for TlsConnector {
    fn connect(&self, host: &HostPort) -> Connecting {
        let plain = host.clone().with_scheme(Scheme::Tcp);
        let below = self.below.connect(&plain);
        if host.scheme() != Scheme::Tls {
            return below;
        }
        let (host, config) = (host.clone(), Arc::clone(&self.config));
        Box::pin(async move {
            let name = server_name(&host)?;
            let stream = below.await?;
            let connector = tokio_rustls::TlsConnector::from(config);
            match connector.connect(name, stream).await {
                Ok(stream) => Ok(Box::new(TlsStream::new(stream, host)) as Box<dyn Transport>),
                Err(error) => Err(explained(error, &host)),
            }
        })
    }

    fn supports(&self, _: Scheme) -> bool {
        true
    }
}

/// The name that a certificate must have: the configured one, whatever it resolves to.
fn server_name(host: &HostPort) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host.configured_name().to_owned()).map_err(|invalid| {
        TlsError::new(TlsFault::InvalidName).with_host(host).caused_by(invalid).into()
    })
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").field("below", &self.below).finish_non_exhaustive()
    }
}
