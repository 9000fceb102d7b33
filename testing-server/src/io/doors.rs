//! The ports of a server: where they are, and what is spoken there.

use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(feature = "tls")]
use std::sync::Arc;

use super::acceptor::{Door, Keeper};
#[cfg(feature = "admin")]
use super::desk::{AdminPort, Desk};
#[cfg(feature = "tls")]
use super::tls::{SecurePort, accept::Doorkeeper};
use crate::spec::InstanceSpec;
#[cfg(feature = "tls")]
use crate::spec::Plain;

/// Where people come to. A port of 0 is any that is free.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    /// Where plain text is spoken, or would be.
    plain: SocketAddr,
    /// Whether anybody can come there. If not, the addresses are names for clients of this process.
    are_real: bool,
    #[cfg(feature = "tls")]
    secure: Option<Secure>,
    #[cfg(feature = "admin")]
    admin: Option<AdminPort>,
    #[cfg(feature = "admin")]
    metrics: Option<SocketAddr>,
}

/// Where TLS is spoken, and how.
#[cfg(feature = "tls")]
#[derive(Debug, Clone)]
struct Secure {
    /// Nothing if that is the plain port alone.
    address: Option<SocketAddr>,
    config: Arc<rustls::ServerConfig>,
    /// What the plain port is for.
    plain: Plain,
}

/// Doors that are open.
pub(crate) type Open = Vec<Door<TcpListener>>;

impl Doors {
    /// Those that a specification asks for.
    ///
    /// # Errors
    /// Certificates or keys cannot be used.
    pub(crate) fn of(spec: &InstanceSpec) -> io::Result<Self> {
        Ok(Self {
            plain: SocketAddr::from((spec.address, spec.port)),
            are_real: spec.has_sockets,
            #[cfg(feature = "tls")]
            secure: spec.secure.as_ref().map(|port| Secure::of(spec, port)).transpose()?,
            #[cfg(feature = "admin")]
            admin: spec.admin.clone(),
            #[cfg(feature = "admin")]
            metrics: spec.metrics,
        })
    }

    /// Listens; returns the same ports with the numbers that they have got.
    ///
    /// # Errors
    /// A port is taken, or the operating system refuses.
    pub(crate) fn open(&self) -> io::Result<(Self, Open)> {
        let (mut opened, mut doors) = (self.clone(), Vec::new());
        if !self.are_real {
            return Ok((opened, doors));
        }
        if self.plain().is_some() {
            opened.plain = open(self.plain, self.plain_keeper(), &mut doors)?;
        }
        #[cfg(feature = "tls")]
        if let Some(secure) = &mut opened.secure
            && let Some(address) = secure.address
        {
            secure.address = Some(open(address, secure.keeper(false), &mut doors)?);
        }
        #[cfg(feature = "admin")]
        if let Some(port) = &mut opened.admin {
            port.address = open(port.address, Keeper::Desk(Desk::commands(port)), &mut doors)?;
        }
        #[cfg(feature = "admin")]
        if let Some(address) = &mut opened.metrics {
            *address = open(*address, Keeper::Desk(Desk::metrics()), &mut doors)?;
        }
        Ok((opened, doors))
    }

    fn plain_keeper(&self) -> Keeper {
        #[cfg(feature = "tls")]
        if let Some(secure) = self.secure.as_ref().filter(|secure| secure.plain == Plain::OrTls) {
            return secure.keeper(true);
        }
        Keeper::Nobody
    }

    /// Where plain text is spoken; nothing if it nowhere is.
    pub(crate) fn plain(&self) -> Option<SocketAddr> {
        #[cfg(feature = "tls")]
        if self.secure.as_ref().is_some_and(|secure| secure.plain == Plain::Absent) {
            return None;
        }
        Some(self.plain)
    }

    /// Where nothing but TLS is spoken; nothing if it nowhere is.
    pub(crate) fn secure(&self) -> Option<SocketAddr> {
        #[cfg(feature = "tls")]
        return self.secure.as_ref().and_then(|secure| secure.address);
        #[cfg(not(feature = "tls"))]
        None
    }

    /// Where commands are answered.
    #[cfg(feature = "admin")]
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|port| port.address)
    }

    /// Where figures are told.
    #[cfg(feature = "admin")]
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
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
    fn of(spec: &InstanceSpec, port: &SecurePort) -> io::Result<Self> {
        let ip = port.address.unwrap_or(spec.address);
        let address = port.port.map(|port| SocketAddr::new(ip, port));
        Ok(Self { address, config: port.tls.config()?, plain: spec.plain })
    }

    fn keeper(&self, plain_too: bool) -> Keeper {
        Keeper::Doorkeeper(Doorkeeper::new(Arc::clone(&self.config), plain_too))
    }
}

/// Opens one door, and says where it is.
fn open(address: SocketAddr, keeper: Keeper, doors: &mut Open) -> io::Result<SocketAddr> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    let listener = TcpListener::bind(address).map_err(told)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    doors.push(Door { listener, keeper });
    Ok(address)
}
