//! A session without a client: frames written by hand, for what the client would never send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode::SessionId;
use znode::proto::{
    ConnectRequest, ConnectResponse, Decoder, Encode, ErrorCode, JutePut, OpCode, ReplyHeader,
    RequestHeader, Xid, Zxid,
};

use super::soon;

/// A connection with a session.
pub struct Raw {
    stream: TcpStream,
    /// The number of the last request.
    xid: i32,
}

impl Raw {
    /// Opens a new session.
    pub async fn open(address: &str) -> Self {
        Self::resume(address, SessionId::NONE, &[0; 16]).await
    }

    /// Moves a session to a new connection.
    pub async fn resume(address: &str, session: SessionId, password: &[u8]) -> Self {
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        let mut raw = Self { stream, xid: 0 };
        let mut hello = Vec::new();
        hello.put(&ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 10_000,
            session_id: session,
            password: Some(password),
            read_only: Some(false),
        });
        raw.send(&hello).await;
        let answer = raw.receive().await;
        let answer: ConnectResponse<'_> = Decoder::new(&answer).read().unwrap();
        assert!(answer.timeout_ms > 0, "the server refused the session");
        raw
    }

    /// Sends a request and returns the body of its answer, which must not be an error.
    pub async fn request(&mut self, op: OpCode, body: &impl Encode) -> Vec<u8> {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        self.request_bytes(op, &bytes).await
    }

    /// Ends the session.
    pub async fn close_session(mut self) {
        self.request_bytes(OpCode::CloseSession, &[]).await;
    }

    async fn request_bytes(&mut self, op: OpCode, body: &[u8]) -> Vec<u8> {
        self.xid += 1;
        let mut frame = Vec::new();
        frame.put(&RequestHeader { xid: Xid(self.xid), op: op.code() });
        frame.extend_from_slice(body);
        self.send(&frame).await;
        let answer = self.receive().await;
        let mut decoder = Decoder::new(&answer);
        let header: ReplyHeader = decoder.read().unwrap();
        assert_eq!((header.xid, header.error), (Xid(self.xid), ErrorCode::Ok));
        decoder.rest().to_vec()
    }

    async fn send(&mut self, frame: &[u8]) {
        let mut bytes = Vec::new();
        bytes.put_buffer(Some(frame));
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn receive(&mut self) -> Vec<u8> {
        let len = soon(self.stream.read_u32()).await.unwrap();
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        soon(self.stream.read_exact(&mut frame)).await.unwrap();
        frame
    }
}
