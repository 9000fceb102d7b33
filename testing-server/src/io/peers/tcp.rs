//! Connections to servers anywhere, over TCP.

use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use znode::Transport;

#[cfg(feature = "tls")]
use crate::io::tls::PeerSecurity;
use crate::node::input::LinkKind;
use crate::quorum::member::MemberAddress;

/// How long to wait when a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How long to wait before a port is tried again that could not be had.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// How servers are reached over TCP.
#[derive(Debug, Clone)]
pub(crate) struct TcpPeers {
    /// Where the others find this server.
    pub(crate) addresses: Vec<MemberAddress>,
    /// Whether it listens on all addresses of the machine: `quorumListenOnAllIPs`.
    pub(crate) listen_on_all: bool,
    /// How long a connection may take to come about: `cnxTimeout`.
    pub(crate) dial_timeout: Duration,
    /// What is spoken, if it is not plain text.
    #[cfg(feature = "tls")]
    pub(crate) security: Option<PeerSecurity>,
}

/// The ports that others come to.
#[derive(Debug)]
pub(super) struct Doors {
    election: Vec<TcpListener>,
    quorum: Vec<TcpListener>,
    quorum_at: Vec<(String, u16)>,
}

impl TcpPeers {
    /// Listens for elections. A port that is taken is tried until it is free: a server that has
    /// just ended may still hold it.
    pub(super) async fn open(&self) -> Doors {
        let mut doors = Doors {
            election: Vec::new(),
            quorum: Vec::new(),
            quorum_at: self.places(|at| at.quorum_port),
        };
        for at in &self.places(|at| at.election_port) {
            doors.election.push(bind(at).await);
        }
        doors
    }

    fn places(&self, port: fn(&MemberAddress) -> u16) -> Vec<(String, u16)> {
        let host = |at: &MemberAddress| match self.listen_on_all {
            true => "0.0.0.0".to_owned(),
            false => at.host.clone(),
        };
        self.addresses.iter().map(|at| (host(at), port(at))).collect()
    }

    /// Connects to the first of these addresses that answers.
    pub(super) fn dial(
        &self,
        addresses: Vec<(String, u16)>,
    ) -> impl Future<Output = Option<Box<dyn Transport>>> + Send + 'static {
        let peers = self.clone();
        async move {
            let limit = peers.dial_timeout;
            for (host, port) in addresses {
                // Resolved anew each time: a server may have moved.
                let Ok(found) = lookup_host((host.as_str(), port)).await else { continue };
                for address in found {
                    if let Ok(Ok(stream)) = timeout(limit, TcpStream::connect(address)).await {
                        return peers.connected(&host, tuned(stream)).await;
                    }
                }
            }
            None
        }
    }
}

#[cfg(feature = "tls")]
impl TcpPeers {
    async fn connected(&self, host: &str, stream: TcpStream) -> Option<Box<dyn Transport>> {
        match &self.security {
            Some(security) => security.connect(host, stream).await,
            None => Some(Box::new(stream)),
        }
    }

    /// What is spoken on a connection that somebody has made; nothing if that cannot be.
    pub(super) async fn accepted(self, stream: TcpStream) -> Option<Box<dyn Transport>> {
        match self.security {
            Some(security) => security.accept(stream).await,
            None => Some(Box::new(stream)),
        }
    }
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "with TLS there is something to wait for")]
impl TcpPeers {
    async fn connected(&self, _: &str, stream: TcpStream) -> Option<Box<dyn Transport>> {
        Some(Box::new(stream))
    }

    /// What is spoken on a connection that somebody has made.
    pub(super) async fn accepted(self, stream: TcpStream) -> Option<Box<dyn Transport>> {
        Some(Box::new(stream))
    }
}

impl Doors {
    /// Listens elsewhere, for the same.
    pub(super) async fn reopen(&mut self, peers: &TcpPeers) {
        let open = !self.quorum.is_empty();
        // Some of the ports may be the same.
        self.election.clear();
        self.quorum.clear();
        *self = peers.open().await;
        self.listen(open).await;
    }

    /// Listens for learners, or no longer.
    pub(super) async fn listen(&mut self, open: bool) {
        self.quorum.clear();
        if open {
            for at in &self.quorum_at {
                self.quorum.push(bind(at).await);
            }
        }
    }

    /// The next server that comes.
    pub(super) async fn accept(&self) -> (LinkKind, TcpStream) {
        loop {
            if self.election.is_empty() && self.quorum.is_empty() {
                pending::<()>().await;
            }
            let (kind, accepted) = poll_fn(|context| {
                let elections = self.election.iter().map(|door| (LinkKind::Election, door));
                let learners = self.quorum.iter().map(|door| (LinkKind::Quorum, door));
                for (kind, door) in elections.chain(learners) {
                    if let Poll::Ready(accepted) = door.poll_accept(context) {
                        return Poll::Ready((kind, accepted));
                    }
                }
                Poll::Pending
            })
            .await;
            match accepted {
                Ok((stream, _)) => return (kind, tuned(stream)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a server's connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn bind((host, port): &(String, u16)) -> TcpListener {
    loop {
        match try_bind(host, *port).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::error!(%host, port, %error, "cannot listen for other servers; trying on");
                sleep(BIND_PAUSE).await;
            }
        }
    }
}

async fn try_bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    TcpListener::bind(&addresses[..]).await
}

/// Packets are written whole, so waiting for more to send would only delay them.
fn tuned(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    stream
}
