//! From a TCP connection to one that is encrypted, and to who its client is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::connection::Connection;
use super::super::engine::Shared;
use crate::node::input::{ConnId, Input};

/// The first byte of every TLS connection: a handshake record. No length of a frame and no
/// four-letter word begins with it.
pub(super) const TLS_RECORD: u8 = 0x16;

/// What one listener does with its connections.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    acceptor: TlsAcceptor,
    /// Whether plain text is let in, too: `client.portUnification`.
    plain_too: bool,
}

impl Doorkeeper {
    pub(crate) fn new(config: Arc<ServerConfig>, plain_too: bool) -> Self {
        Self { acceptor: TlsAcceptor::from(config), plain_too }
    }

    /// Serves one connection, from its handshake to its end. One that takes too long over its
    /// handshake is closed as any other that opens no session.
    pub(crate) async fn serve(self, shared: Arc<Shared>, peer: SocketAddr, stream: TcpStream) {
        let conn = shared.accept(peer);
        let plain = tokio::select! {
            biased;
            () = shared.ended(conn) => return,
            is_tls = self.is_tls(&stream) => !is_tls,
        };
        if plain {
            return Connection::new(shared, conn, stream).await;
        }
        shared.run([Input::Securing { conn }]);
        let handshake = tokio::select! {
            biased;
            () = shared.ended(conn) => return,
            handshake = self.acceptor.accept(stream) => handshake,
        };
        match handshake {
            Ok(stream) => {
                tell_who(&shared, conn, &stream);
                Connection::new(shared, conn, stream).await;
            }
            Err(error) => refuse(&shared, conn, peer, &error),
        }
    }

    /// A connection that ends before its first byte is whatever the port is for.
    async fn is_tls(&self, stream: &TcpStream) -> bool {
        let mut first = [0];
        let peeked = if self.plain_too { stream.peek(&mut first).await } else { Ok(0) };
        !self.plain_too || matches!(peeked, Ok(1) if first[0] == TLS_RECORD)
    }
}

impl std::fmt::Debug for Doorkeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doorkeeper").field("plain_too", &self.plain_too).finish_non_exhaustive()
    }
}

fn tell_who(shared: &Shared, conn: ConnId, stream: &TlsStream<TcpStream>) {
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shared.run([Input::Secured { conn, certificate: certificate.map(|one| &**one) }]);
}

fn refuse(shared: &Shared, conn: ConnId, peer: SocketAddr, error: &io::Error) {
    tracing::debug!(%peer, %error, "a TLS handshake has failed");
    shared.run([Input::Insecure]);
    shared.lost(conn);
}
