//! A server that does what the test says, byte for byte: a connector whose other end is in the
//! test's hands. With paused time its silences take none.

use std::fmt;
use std::io;

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use znode::proto::{
    ConnectRequest, ConnectResponse, Decoder, Encode, ErrorCode, JutePut, OpCode, ReplyHeader,
    RequestHeader, WatcherEvent, Xid,
};
use znode::{
    Client, ConnectOptions, Connecting, Connector, EventType, HostPort, SessionId, Transport, Zxid,
};

use crate::ground::soon;

/// How many bytes wait in either direction.
const BUFFER_LEN: usize = 4 * 1024 * 1024;

/// The session timeout that scripted servers grant.
pub(crate) const TIMEOUT_MS: i32 = 9000;

/// Where the connections of a client come out.
pub(crate) struct Script {
    connections: mpsc::UnboundedReceiver<Peer>,
}

/// The server's end of one connection.
pub(crate) struct Peer {
    /// The host that was asked for.
    pub(crate) host: HostPort,
    wire: DuplexStream,
}

/// A request as it came in.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) xid: i32,
    pub(crate) op: OpCode,
    pub(crate) body: Vec<u8>,
}

/// What a client said of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) session: SessionId,
    pub(crate) last_zxid: Zxid,
}

#[derive(Clone)]
struct Stage(mpsc::UnboundedSender<Peer>);

impl Script {
    /// Options whose connections come out here.
    pub(crate) fn new() -> (ConnectOptions, Self) {
        let (sender, connections) = mpsc::unbounded_channel();
        (ConnectOptions::new().connector(Stage(sender)), Self { connections })
    }

    /// A client that is connected in session 7, and the server's end of its connection.
    pub(crate) async fn connected() -> (Client, Peer, Self) {
        let (options, script) = Self::new();
        script.connected_with(options, "script:1").await
    }

    pub(crate) async fn connected_with(
        mut self,
        options: ConnectOptions,
        connect_string: &str,
    ) -> (Client, Peer, Self) {
        let list = connect_string.to_owned();
        let connecting = tokio::spawn(async move { options.connect(&list).await });
        let mut peer = self.accept().await;
        peer.greet(7).await;
        (soon(connecting).await.unwrap().unwrap(), peer, self)
    }

    /// The next connection that the client makes.
    #[track_caller]
    pub(crate) fn accept(&mut self) -> impl Future<Output = Peer> {
        let next = soon(self.connections.recv());
        async move { next.await.expect("the client's options live") }
    }
}

impl Script {
    /// The next connection after this one has been taken down.
    pub(crate) async fn accept_after(&mut self, peer: &mut Peer) -> Peer {
        peer.hang_up().await;
        let mut next = self.accept().await;
        next.greet(7).await;
        next
    }

    /// The next connection, or `None` once the client makes no more.
    pub(crate) async fn next(&mut self) -> Option<Peer> {
        soon(self.connections.recv()).await
    }
}

impl Peer {
    /// The next frame's payload, or `None` once the client has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Vec<u8>> {
        match soon(self.wire.read_u32()).await {
            Ok(len) => Some(self.payload(len).await),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn payload(&mut self, len: u32) -> Vec<u8> {
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        soon(self.wire.read_exact(&mut payload)).await.unwrap();
        payload
    }

    /// The handshake of the client.
    pub(crate) async fn hello(&mut self) -> Hello {
        let frame = self.frame().await.unwrap();
        let request: ConnectRequest<'_> = Decoder::new(&frame).read().unwrap();
        Hello { session: request.session_id, last_zxid: request.last_zxid_seen }
    }

    /// Reads the handshake and confirms a session.
    pub(crate) async fn greet(&mut self, session: i64) -> Hello {
        let hello = self.hello().await;
        self.confirm(session, TIMEOUT_MS).await;
        hello
    }

    pub(crate) async fn confirm(&mut self, session: i64, timeout_ms: i32) {
        self.send(|out| {
            out.put(&ConnectResponse {
                protocol_version: 0,
                timeout_ms,
                session_id: SessionId(session),
                password: Some(&[7; 16]),
                read_only: Some(false),
            });
        })
        .await;
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Request {
        let len = soon(self.wire.read_u32()).await.expect("the connection stands");
        self.request_of(len).await
    }

    async fn request_of(&mut self, len: u32) -> Request {
        let frame = self.payload(len).await;
        let mut from = Decoder::new(&frame);
        let header: RequestHeader = from.read().unwrap();
        let op = OpCode::try_from(header.op).unwrap();
        Request { xid: header.xid.0, op, body: from.rest().to_vec() }
    }

    /// A request, if one has come in.
    pub(crate) async fn try_request(&mut self) -> Option<Request> {
        let mut peeked = [0; 1];
        match self.wire.read(&mut peeked).now_or_never() {
            Some(read) => {
                assert_eq!((read.unwrap(), peeked), (1, [0]), "a short frame begins with zero");
                let mut rest = [0; 3];
                soon(self.wire.read_exact(&mut rest)).await.unwrap();
                let len = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]);
                Some(self.request_of(len).await)
            }
            None => None,
        }
    }

    /// Ends the connection as a server does that goes down.
    pub(crate) async fn hang_up(&mut self) {
        soon(self.wire.shutdown()).await.unwrap();
    }

    /// The next request, which must be this operation.
    pub(crate) async fn expect(&mut self, op: OpCode) -> Request {
        let request = self.request().await;
        assert_eq!(request.op, op);
        request
    }

    pub(crate) async fn answer(&mut self, xid: i32, zxid: i64, error: ErrorCode) {
        self.send(|out| out.put(&ReplyHeader { xid: Xid(xid), zxid: Zxid(zxid), error })).await;
    }

    pub(crate) async fn answer_with(&mut self, xid: i32, zxid: i64, body: &impl Encode) {
        self.send(|out| {
            let (xid, zxid, error) = (Xid(xid), Zxid(zxid), ErrorCode::Ok);
            out.put(&ReplyHeader { xid, zxid, error });
            out.put(body);
        })
        .await;
    }

    pub(crate) async fn notify(&mut self, zxid: i64, kind: EventType, path: &str) {
        self.send(|out| {
            let (xid, zxid, error) = (Xid::NOTIFICATION, Zxid(zxid), ErrorCode::Ok);
            out.put(&ReplyHeader { xid, zxid, error });
            out.put(&WatcherEvent { kind: kind.code(), state: 3, path: path.into() });
        })
        .await;
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = vec![0; 4];
        write(&mut frame);
        let len = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.raw(&frame).await;
    }

    /// Sends bytes that need be no frame.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        soon(self.wire.write_all(bytes)).await.unwrap();
    }
}

impl Connector for Stage {
    fn connect(&self, host: &HostPort) -> Connecting {
        let (ours, theirs) = tokio::io::duplex(BUFFER_LEN);
        let taken = self.0.send(Peer { host: host.clone(), wire: ours });
        Box::pin(async move {
            taken.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(theirs) as Box<dyn Transport>)
        })
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stage")
    }
}
