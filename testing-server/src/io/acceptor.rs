//! The task that accepts connections, rings the timers, and ends everything when told to.

use std::future::{pending, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::Connection;
#[cfg(feature = "admin")]
use super::desk::Desk;
use super::engine::Shared;
use super::peers::{self, Command, Network};
#[cfg(feature = "tls")]
use super::tls::accept::Doorkeeper;

/// How long to wait when a connection could not be accepted: usually for want of file descriptors,
/// which would otherwise make this task spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What the task needs to run.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) doors: Vec<Door<std::net::TcpListener>>,
    /// The server's ends of pipes in memory.
    pub(crate) pipes: UnboundedReceiver<DuplexStream>,
    /// How other servers are reached, if this is one of several, and what it wants of them.
    pub(crate) peers: Option<(Network, UnboundedReceiver<Command>)>,
    /// Resolves, one way or the other, when the server must stop.
    pub(crate) stop: oneshot::Receiver<()>,
    /// Told, or dropped, when everything has ended and the port is free.
    pub(crate) stopped: oneshot::Sender<()>,
}

/// A port that clients come to.
#[derive(Debug)]
pub(crate) struct Door<L> {
    /// Bound and listening, so that clients need not wait for the task to be polled.
    pub(crate) listener: L,
    /// Who looks at those that come.
    pub(crate) keeper: Keeper,
}

/// Who looks at those that come.
#[derive(Debug, Clone)]
pub(crate) enum Keeper {
    /// Nobody: clients, in plain text.
    Nobody,
    /// Clients that speak TLS, or may.
    #[cfg(feature = "tls")]
    Doorkeeper(Doorkeeper),
    /// Operators.
    #[cfg(feature = "admin")]
    Desk(Desk),
}

impl Acceptor {
    /// Runs the server until it is told to stop.
    pub(crate) async fn run(mut self) {
        match self.doors.into_iter().map(Door::open).collect::<io::Result<Vec<_>>>() {
            Ok(doors) => {
                self.shared.begin();
                let mut tasks = JoinSet::new();
                if let Some((network, commands)) = self.peers {
                    tasks.spawn(peers::run(Arc::clone(&self.shared), network, commands));
                }
                serve(&self.shared, doors, &mut self.pipes, &mut self.stop, tasks).await;
                self.shared.close_disk().await;
            }
            Err(error) => tracing::error!(%error, "cannot listen"),
        }
        // Nobody may be waiting for this.
        let _ = self.stopped.send(());
    }
}

impl Door<std::net::TcpListener> {
    fn open(self) -> io::Result<Door<TcpListener>> {
        Ok(Door { listener: TcpListener::from_std(self.listener)?, keeper: self.keeper })
    }
}

impl Door<TcpListener> {
    fn let_in(
        &self,
        connections: &mut JoinSet<()>,
        shared: &Arc<Shared>,
        peer: SocketAddr,
        stream: TcpStream,
    ) {
        match &self.keeper {
            Keeper::Nobody => spawn(connections, shared, peer, stream),
            #[cfg(feature = "tls")]
            Keeper::Doorkeeper(keeper) => {
                connections.spawn(keeper.clone().serve(Arc::clone(shared), peer, stream));
            }
            #[cfg(feature = "admin")]
            Keeper::Desk(desk) => {
                connections.spawn(desk.clone().serve(Arc::clone(shared), peer, stream));
            }
        }
    }
}

async fn serve(
    shared: &Arc<Shared>,
    mut doors: Vec<Door<TcpListener>>,
    pipes: &mut UnboundedReceiver<DuplexStream>,
    stop: &mut oneshot::Receiver<()>,
    mut connections: JoinSet<()>,
) {
    loop {
        let deadline = shared.tick();
        tokio::select! {
            biased;
            _ = &mut *stop => break,
            () = shared.must_stop.notified() => if shared.failure().is_some() {
                break;
            },
            () = ring(deadline) => {}
            () = shared.deadline_moved.notified() => {}
            () = shared.door_moved.notified() => move_door(shared, &mut doors).await,
            Some(pipe) = pipes.recv() => {
                let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                if !shared.lock().refuses {
                    spawn(&mut connections, shared, here, pipe);
                }
            }
            (door, accepted) = accept(&doors) => match accepted {
                Ok((stream, _)) if shared.lock().refuses => drop(stream),
                Ok((stream, peer)) => {
                    door.let_in(&mut connections, shared, peer, tuned(stream));
                }
                Err(error) => pause(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(doors);
    connections.shutdown().await;
}

/// Has clients come to another port. If that cannot be had, they come to the one that there is, as
/// to Apache's server.
async fn move_door(shared: &Shared, doors: &mut [Door<TcpListener>]) {
    let Some((host, port)) = shared.take_door() else { return };
    // The plain one is the first.
    let Some(door) = doors.first_mut() else { return };
    match TcpListener::bind((host.as_str(), port)).await {
        Ok(listener) => {
            tracing::info!(%host, port, "clients come here from now on");
            if let Ok(address) = listener.local_addr() {
                shared.tell_port(address);
            }
            door.listener = listener;
        }
        Err(error) => {
            tracing::error!(%host, port, %error, "clients cannot come here; nothing changes");
        }
    }
}

/// The next one who comes to any of the doors.
async fn accept(
    doors: &[Door<TcpListener>],
) -> (&Door<TcpListener>, io::Result<(TcpStream, SocketAddr)>) {
    poll_fn(|context| {
        for door in doors {
            if let Poll::Ready(accepted) = door.listener.poll_accept(context) {
                return Poll::Ready((door, accepted));
            }
        }
        Poll::Pending
    })
    .await
}

async fn ring(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

fn spawn(
    connections: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    peer: SocketAddr,
    transport: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let conn = shared.accept(peer);
    connections.spawn(Connection::new(Arc::clone(shared), conn, transport));
}

/// Replies are written whole, so waiting for more to send would only delay them.
fn tuned(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    stream
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    sleep(ACCEPT_PAUSE).await;
}
