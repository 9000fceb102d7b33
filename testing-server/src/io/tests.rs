//! The shell over TCP and over pipes, with a client so plain that it hides nothing.

#![expect(clippy::disallowed_methods, reason = "what the clock reads is what is tested")]

use std::io;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use znode::proto::requests::{AddWatchRequest, CreateRequest, ReadRequest, SetDataRequest};
use znode::proto::{
    AclRecord, ConnectRequest, ConnectResponse, Decoder, Encode, ErrorCode, FRAME_LEN_MAX, JutePut,
    OpCode, Perms, ReplyHeader, RequestHeader, SessionId, Version, Xid, Zxid,
};
use znode::{ConnectString, Connector, Transport};

use crate::{InstanceSpec, TestingServer};

/// A connection that sends and receives frames.
struct Plain(Box<dyn Transport>);

impl Plain {
    async fn tcp(server: &TestingServer) -> Self {
        Self(Box::new(TcpStream::connect(server.connect_string()).await.unwrap()))
    }

    async fn pipe(server: &TestingServer) -> Self {
        Self::try_pipe(server).await.unwrap()
    }

    async fn try_pipe(server: &TestingServer) -> io::Result<Self> {
        let hosts: ConnectString = server.connect_string().parse().unwrap();
        server.connector().connect(&hosts.hosts()[0]).await.map(Self)
    }

    async fn send(&mut self, body: &impl Encode) {
        let mut frame = vec![0; 4];
        body.encode(&mut frame);
        let len = i32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.0.write_all(&frame).await.unwrap();
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let len = self.0.read_i32().await?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        self.0.read_exact(&mut frame).await?;
        Ok(frame)
    }

    async fn is_closed(&mut self) -> bool {
        matches!(self.receive().await, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof)
    }

    /// Opens or resumes a session; its id, and its password.
    async fn handshake(
        &mut self,
        timeout_ms: i32,
        id: SessionId,
        secret: &[u8],
    ) -> (SessionId, Vec<u8>) {
        self.send(&ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms,
            session_id: id,
            password: Some(secret),
            read_only: Some(false),
        })
        .await;
        let frame = self.receive().await.unwrap();
        let response: ConnectResponse<'_> = Decoder::new(&frame).read().unwrap();
        (response.session_id, response.password.unwrap().to_vec())
    }

    async fn open(&mut self, timeout_ms: i32) -> SessionId {
        self.handshake(timeout_ms, SessionId::NONE, &[]).await.0
    }

    async fn call(&mut self, op: OpCode, body: &impl Encode) -> ReplyHeader {
        self.send(&Request(op, body)).await;
        let frame = self.receive().await.unwrap();
        Decoder::new(&frame).read().unwrap()
    }
}

struct Request<'a, T>(OpCode, &'a T);

impl<T: Encode> Encode for Request<'_, T> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&RequestHeader { xid: Xid(1), op: self.0.code() });
        out.put(self.1);
    }
}

struct Empty;

impl Encode for Empty {
    fn encode(&self, _out: &mut Vec<u8>) {}
}

fn create(path: &str, flags: i32) -> CreateRequest<'_> {
    let acl = vec![AclRecord::new(Perms::ALL, "world", "anyone")];
    CreateRequest { path: path.into(), data: Some(b"data"), acl: Some(acl), flags }
}

fn read(path: &str, watch: bool) -> ReadRequest<'_> {
    ReadRequest { path: path.into(), watch }
}

#[tokio::test]
async fn tcp_and_pipes_lead_to_the_same_server() {
    let server = TestingServer::start().await.unwrap();
    let (mut tcp, mut pipe) = (Plain::tcp(&server).await, Plain::pipe(&server).await);
    tcp.open(10_000).await;
    pipe.open(10_000).await;
    assert_eq!(tcp.call(OpCode::Create, &create("/a", 0)).await.error, ErrorCode::Ok);
    assert_eq!(pipe.call(OpCode::GetData, &read("/a", false)).await.zxid, Zxid(3));
    assert_eq!(server.zxid().await, Zxid(3));
    assert_eq!(server.znode_count().await, 5);
    assert_eq!(server.sessions().await.len(), 2);
}

#[tokio::test]
async fn a_thread_of_its_own_serves_as_well() {
    let server = TestingServer::start_with(InstanceSpec::new().own_thread()).await.unwrap();
    let (mut tcp, mut pipe) = (Plain::tcp(&server).await, Plain::pipe(&server).await);
    tcp.open(10_000).await;
    pipe.open(10_000).await;
    assert_eq!(tcp.call(OpCode::Create, &create("/a", 0)).await.error, ErrorCode::Ok);
    assert_eq!(pipe.call(OpCode::Exists, &read("/a", false)).await.error, ErrorCode::Ok);
    server.stop().await;
    assert!(pipe.is_closed().await);
    assert!(TcpStream::connect(server.connect_string()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn on_a_paused_clock_a_session_expires_when_its_time_is_up() {
    let server = TestingServer::start().await.unwrap();
    let (mut c, mut other) = (Plain::pipe(&server).await, Plain::pipe(&server).await);
    let started = Instant::now();
    let session = c.open(30_000).await;
    other.open(60_000).await;
    c.call(OpCode::Create, &create("/e", 1)).await;
    assert_eq!(server.ephemerals().await[&session], ["/e"]);
    other.call(OpCode::Exists, &read("/e", true)).await;
    // Nothing is left to do but to wait, so the clock runs by itself.
    assert!(c.is_closed().await);
    assert_eq!(started.elapsed(), Duration::from_millis(30_100));
    let event = other.receive().await.unwrap();
    let header: ReplyHeader = Decoder::new(&event).read().unwrap();
    assert_eq!((header.xid, header.zxid), (Xid::NOTIFICATION, Zxid(4)));
    assert!(server.ephemerals().await.is_empty());
}

/// A run in which two sessions race, one expires, and both see events.
async fn run_once() -> Vec<Vec<u8>> {
    let started_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let spec = InstanceSpec::new().started_at(started_at);
    let server = TestingServer::start_with(spec).await.unwrap();
    let mut seen = Vec::new();
    let mut clients = Vec::new();
    for timeout_ms in [3000, 5000, 60_000] {
        let mut c = Plain::pipe(&server).await;
        let (session, secret) = c.handshake(timeout_ms, SessionId::NONE, &[]).await;
        seen.push(session.0.to_be_bytes().to_vec());
        seen.push(secret);
        c.call(OpCode::AddWatch, &AddWatchRequest { path: "/".into(), mode: 1 }).await;
        c.send(&Request(OpCode::Create, &create("/e-", 3))).await;
        clients.push(c);
    }
    for c in &mut clients {
        while let Ok(Ok(frame)) = timeout(Duration::from_secs(10), c.receive()).await {
            seen.push(frame);
        }
    }
    seen
}

#[test]
fn two_runs_on_a_paused_clock_are_the_same() {
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(run_once())
    };
    let first = run();
    assert!(first.len() > 12, "{}", first.len());
    assert_eq!(first, run());
}

#[test]
fn a_server_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<TestingServer>();
    shared::<crate::MemoryConnector>();
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_in_time() {
    let server = TestingServer::start().await.unwrap();
    let started = Instant::now();
    let mut silent = Plain::pipe(&server).await;
    assert!(silent.is_closed().await);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

#[tokio::test]
async fn a_session_survives_cut_connections_and_a_restart() {
    let server = TestingServer::start().await.unwrap();
    let address = server.connect_string();
    let mut c = Plain::tcp(&server).await;
    let (session, secret) = c.handshake(10_000, SessionId::NONE, &[]).await;
    c.call(OpCode::Create, &create("/e", 1)).await;
    server.drop_connections().await;
    assert!(c.receive().await.is_err());

    let mut c = Plain::tcp(&server).await;
    assert_eq!(c.handshake(10_000, session, &secret).await.0, session);
    server.stop().await;
    assert!(c.receive().await.is_err());
    assert!(Plain::try_pipe(&server).await.is_err());
    assert_eq!(server.znode_count().await, 5);

    server.restart().await.unwrap();
    assert_eq!(server.connect_string(), address);
    let mut c = Plain::pipe(&server).await;
    assert_eq!(c.handshake(10_000, session, &secret).await.0, session);
    assert_eq!(c.call(OpCode::Exists, &read("/e", false)).await.error, ErrorCode::Ok);
}

#[tokio::test]
async fn expiring_a_session_closes_its_connection_and_tells_watchers() {
    let server = TestingServer::start().await.unwrap();
    let (mut c, mut other) = (Plain::pipe(&server).await, Plain::pipe(&server).await);
    let session = c.open(10_000).await;
    let watcher = other.open(10_000).await;
    c.call(OpCode::Create, &create("/e", 1)).await;
    other.call(OpCode::GetData, &read("/e", true)).await;
    let watches = server.watches().await;
    assert_eq!((watches.len(), &*watches[0].path, watches[0].session), (1, "/e", watcher));
    assert!(server.expire(session).await);
    assert!(!server.expire(session).await);
    assert!(c.is_closed().await);
    assert!(other.receive().await.is_ok());
    assert!(server.node("/e").await.is_none());
}

#[tokio::test]
async fn exhaustion_large_frames_arrive_whole_and_too_large_ones_close() {
    let server = TestingServer::start().await.unwrap();
    for mut c in [Plain::tcp(&server).await, Plain::pipe(&server).await] {
        c.open(10_000).await;
        c.call(OpCode::Create, &create("/big", 0)).await;
        let big = vec![7; FRAME_LEN_MAX - 8 - 8 - 4 - 4];
        let set =
            |data| SetDataRequest { path: "/big".into(), data: Some(data), version: Version::ANY };
        let header = c.call(OpCode::SetData, &set(&big[..big.len() - 4])).await;
        assert_eq!(header.error, ErrorCode::Ok);
        c.send(&Request(OpCode::GetData, &read("/big", false))).await;
        assert!(c.receive().await.unwrap().len() > FRAME_LEN_MAX - 100);
        let len = i32::try_from(FRAME_LEN_MAX + 1).unwrap();
        c.0.write_all(&len.to_be_bytes()).await.unwrap();
        assert!(c.is_closed().await);
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_order_however_it_is_cut() {
    let server = TestingServer::start().await.unwrap();
    let mut c = Plain::pipe(&server).await;
    c.open(10_000).await;
    let mut batch = Vec::new();
    for xid in 1..=300 {
        let mut body = Vec::new();
        body.put(&RequestHeader { xid: Xid(xid), op: OpCode::Create.code() });
        body.put(&create("/n-", 2));
        batch.put_buffer(Some(&body));
    }
    for piece in batch.chunks(7) {
        c.0.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    for xid in 1..=300 {
        let frame = c.receive().await.unwrap();
        let header: ReplyHeader = Decoder::new(&frame).read().unwrap();
        assert_eq!((header.xid, header.error), (Xid(xid), ErrorCode::Ok));
    }
}

#[tokio::test(start_paused = true)]
async fn exhaustion_half_a_frame_holds_a_connection_no_longer_than_silence() {
    let server = TestingServer::start().await.unwrap();
    let mut stranger = Plain::pipe(&server).await;
    let mut client = Plain::pipe(&server).await;
    client.handshake(5_000, SessionId::NONE, &[0; 16]).await;
    for connection in [&mut stranger, &mut client] {
        connection.0.write_all(&[0, 0, 0, 99, 1, 2, 3]).await.unwrap();
    }
    let began = Instant::now();
    assert!(client.is_closed().await, "with its session");
    let expired = began.elapsed();
    assert!(expired >= Duration::from_secs(4) && expired < Duration::from_secs(7), "{expired:?}");
    assert!(stranger.is_closed().await, "as one that has said nothing");
    assert!(began.elapsed() < Duration::from_secs(11));
    assert!(server.sessions().await.is_empty());
}

#[tokio::test]
async fn exhaustion_a_client_that_does_not_read_holds_up_only_itself() {
    let server = TestingServer::start().await.unwrap();
    let (mut slow, mut quick) = (Plain::pipe(&server).await, Plain::pipe(&server).await);
    slow.open(10_000).await;
    quick.open(10_000).await;
    slow.call(OpCode::Create, &create("/a", 0)).await;
    let set =
        SetDataRequest { path: "/a".into(), data: Some(&[0; 100_000]), version: Version::ANY };
    slow.call(OpCode::SetData, &set).await;
    for _ in 0..50 {
        slow.send(&Request(OpCode::GetData, &read("/a", false))).await;
    }
    assert_eq!(quick.call(OpCode::Exists, &read("/a", false)).await.error, ErrorCode::Ok);
    for _ in 0..50 {
        assert!(slow.receive().await.unwrap().len() > 100_000);
    }
}

#[tokio::test(start_paused = true)]
async fn events_reach_a_client_that_reads_late() {
    let server = TestingServer::start().await.unwrap();
    let (mut slow, mut quick) = (Plain::pipe(&server).await, Plain::pipe(&server).await);
    slow.open(10_000).await;
    quick.open(10_000).await;
    let started = Instant::now();
    let recursive = AddWatchRequest { path: "/".into(), mode: 1 };
    slow.call(OpCode::AddWatch, &recursive).await;
    for _ in 0..3000 {
        quick.call(OpCode::Create, &create("/some-long-name-", 2)).await;
    }
    for number in 0..3000 {
        let event = slow.receive().await.unwrap();
        let name = format!("/some-long-name-{number:010}");
        assert!(event.ends_with(name.as_bytes()));
    }
    assert_eq!(started.elapsed(), Duration::ZERO, "some events waited for a timer");
}

#[tokio::test]
async fn a_client_that_lets_too_much_pile_up_is_cut_off() {
    let server = TestingServer::start().await.unwrap();
    let (mut slow, mut quick) = (Plain::pipe(&server).await, Plain::pipe(&server).await);
    slow.open(10_000).await;
    quick.open(10_000).await;
    slow.call(OpCode::AddWatch, &AddWatchRequest { path: "/".into(), mode: 1 }).await;
    for number in 0..100 {
        let path = format!("/{number:060000}");
        assert_eq!(quick.call(OpCode::Create, &create(&path, 0)).await.error, ErrorCode::Ok);
    }
    let connected: Vec<bool> =
        server.sessions().await.into_iter().map(|session| session.connected).collect();
    assert_eq!(connected, [false, true]);
    while let Ok(event) = slow.receive().await {
        assert!(event.len() > 60_000);
    }
}

#[tokio::test]
async fn edge_31_a_four_letter_word_is_answered_and_the_connection_closed() {
    let server = TestingServer::start().await.unwrap();
    for mut c in [Plain::tcp(&server).await, Plain::pipe(&server).await] {
        c.0.write_all(b"ruok\n").await.unwrap();
        let mut answer = String::new();
        c.0.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "imok");
    }
}

#[tokio::test]
async fn an_answer_that_closes_the_connection_arrives_in_spite_of_what_was_sent_behind() {
    let server = TestingServer::start().await.unwrap();
    let mut c = Plain::tcp(&server).await;
    c.open(10_000).await;
    c.send(&Request(OpCode::Check, &Empty)).await;
    for _ in 0..100 {
        c.send(&Request(OpCode::Ping, &Empty)).await;
    }
    let frame = c.receive().await.unwrap();
    let header: ReplyHeader = Decoder::new(&frame).read().unwrap();
    assert_eq!(header.error, ErrorCode::Unimplemented);
    assert!(c.is_closed().await);
}

#[tokio::test]
async fn dropping_the_server_frees_its_port_and_ends_its_connections() {
    let server = TestingServer::start().await.unwrap();
    let (address, connector) = (server.connect_string(), server.connector());
    let mut c = Plain::tcp(&server).await;
    c.open(10_000).await;
    drop(server);
    assert!(c.receive().await.is_err());
    assert!(TcpStream::connect(&address).await.is_err());
    let hosts: ConnectString = address.parse().unwrap();
    assert!(connector.connect(&hosts.hosts()[0]).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_on_many_threads_share_one_order() {
    let server = TestingServer::start().await.unwrap();
    let mut setup = Plain::pipe(&server).await;
    setup.open(10_000).await;
    setup.call(OpCode::Create, &create("/q", 0)).await;
    let clients = (0..8).map(|_| {
        let server = server.connector();
        let hosts: ConnectString = "ignored:1".parse().unwrap();
        tokio::spawn(async move {
            let mut c = Plain(server.connect(&hosts.hosts()[0]).await.unwrap());
            c.open(10_000).await;
            let mut zxids = Vec::new();
            for _ in 0..50 {
                zxids.push(c.call(OpCode::Create, &create("/q/n-", 2)).await.zxid);
            }
            assert!(zxids.is_sorted());
            zxids
        })
    });
    let mut zxids = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        zxids.extend(client.await.unwrap());
    }
    zxids.sort();
    zxids.dedup();
    assert_eq!(zxids.len(), 400);
    assert_eq!(server.node("/q").await.unwrap().children.len(), 400);
}
