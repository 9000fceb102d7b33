//! The ports of a server: where they are, and what is spoken there.

use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(feature = "tls")]
use std::sync::Arc;

use super::acceptor::Door;
#[cfg(feature = "tls")]
use super::tls::accept::Doorkeeper;
use crate::spec::InstanceSpec;
#[cfg(feature = "tls")]
use crate::spec::Plain;

/// Where clients come to. A port of 0 is any that is free.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    /// Where plain text is spoken, or would be.
    plain: SocketAddr,
    #[cfg(feature = "tls")]
    secure: Option<Secure>,
}

/// Where TLS is spoken, and how.
#[cfg(feature = "tls")]
#[derive(Debug, Clone)]
struct Secure {
    address: SocketAddr,
    config: Arc<rustls::ServerConfig>,
    /// What the plain port is for.
    plain: Plain,
}

impl Doors {
    /// Those that a specification asks for.
    ///
    /// # Errors
    /// Certificates or keys cannot be used.
    pub(crate) fn of(spec: &InstanceSpec) -> io::Result<Self> {
        Ok(Self {
            plain: SocketAddr::from((spec.address, spec.port)),
            #[cfg(feature = "tls")]
            secure: spec.secure.as_ref().map(|secure| Secure::of(spec, secure)).transpose()?,
        })
    }

    /// Listens; returns the same ports with the numbers that they have got.
    ///
    /// # Errors
    /// A port is taken, or the operating system refuses.
    #[cfg(feature = "tls")]
    pub(crate) fn open(&self) -> io::Result<(Self, Vec<Door<TcpListener>>)> {
        let Some(secure) = &self.secure else {
            let listener = listen(self.plain)?;
            let opened = Self { plain: listener.local_addr()?, ..self.clone() };
            return Ok((opened, vec![Door { listener, keeper: None }]));
        };
        let (mut opened, mut doors) = (self.clone(), Vec::new());
        if secure.plain != Plain::Absent {
            let listener = listen(self.plain)?;
            opened.plain = listener.local_addr()?;
            let unified = secure.plain == Plain::OrTls;
            let keeper = unified.then(|| Doorkeeper::new(Arc::clone(&secure.config), true));
            doors.push(Door { listener, keeper });
        }
        let listener = listen(secure.address)?;
        opened.secure = Some(Secure { address: listener.local_addr()?, ..secure.clone() });
        let keeper = Some(Doorkeeper::new(Arc::clone(&secure.config), false));
        doors.push(Door { listener, keeper });
        Ok((opened, doors))
    }

    /// The same, of a server that has never heard of TLS.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn open(&self) -> io::Result<(Self, Vec<Door<TcpListener>>)> {
        let listener = listen(self.plain)?;
        Ok((Self { plain: listener.local_addr()? }, vec![Door { listener }]))
    }

    /// Where plain text is spoken; nothing if it nowhere is.
    pub(crate) fn plain(&self) -> Option<SocketAddr> {
        #[cfg(feature = "tls")]
        if self.secure.as_ref().is_some_and(|secure| secure.plain == Plain::Absent) {
            return None;
        }
        Some(self.plain)
    }

    /// Where TLS is spoken; nothing if it nowhere is.
    pub(crate) fn secure(&self) -> Option<SocketAddr> {
        #[cfg(feature = "tls")]
        return self.secure.as_ref().map(|secure| secure.address);
        #[cfg(not(feature = "tls"))]
        None
    }

    /// What clients are given to find the server.
    pub(crate) fn connect_string(&self) -> String {
        match (self.plain(), self.secure()) {
            (None, Some(secure)) => format!("tls://{secure}"),
            _ => self.plain.to_string(),
        }
    }
}

#[cfg(feature = "tls")]
impl Secure {
    fn of(spec: &InstanceSpec, port: &super::tls::SecurePort) -> io::Result<Self> {
        let address = SocketAddr::from((port.address.unwrap_or(spec.address), port.port));
        Ok(Self { address, config: port.tls.config()?, plain: spec.plain })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let listener = TcpListener::bind(address).map_err(told)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
