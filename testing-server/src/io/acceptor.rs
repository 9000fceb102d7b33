//! The task that accepts connections, rings the timers, and ends everything when told to.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::Connection;
use super::engine::Shared;

/// How long to wait when a connection could not be accepted: usually for want of file descriptors,
/// which would otherwise make this task spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What the task needs to run.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) shared: Arc<Shared>,
    /// Bound and listening, so that clients need not wait for this task to be polled.
    pub(crate) listener: std::net::TcpListener,
    /// The server's ends of pipes in memory.
    pub(crate) pipes: UnboundedReceiver<DuplexStream>,
    /// Resolves, one way or the other, when the server must stop.
    pub(crate) stop: oneshot::Receiver<()>,
    /// Told, or dropped, when everything has ended and the port is free.
    pub(crate) stopped: oneshot::Sender<()>,
}

impl Acceptor {
    /// Runs the server until it is told to stop.
    pub(crate) async fn run(mut self) {
        match TcpListener::from_std(self.listener) {
            Ok(listener) => {
                self.shared.begin();
                serve(&self.shared, listener, &mut self.pipes, &mut self.stop).await;
                self.shared.close_disk().await;
            }
            Err(error) => tracing::error!(%error, "cannot listen"),
        }
        // Nobody may be waiting for this.
        let _ = self.stopped.send(());
    }
}

async fn serve(
    shared: &Arc<Shared>,
    listener: TcpListener,
    pipes: &mut UnboundedReceiver<DuplexStream>,
    stop: &mut oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
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
            Some(pipe) = pipes.recv() => {
                let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                spawn(&mut connections, shared, here, pipe);
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => spawn(&mut connections, shared, peer, tuned(stream)),
                Err(error) => pause(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
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
