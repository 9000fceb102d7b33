//! A link in the test's hands: a connector whose connections can be cut, refused, stalled and
//! counted, whatever server stands at the other end.

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::watch;
use znode::proto::{ConnectRequest, Decoder, OpCode, ReplyHeader, RequestHeader, Xid, Zxid};
use znode::{Connecting, Connector, HostPort, SessionId, TcpConnector, Transport};

use super::soon;

/// How many bytes wait between the client and us before its writes do.
const BUFFER_LEN: usize = 64 * 1024;

/// An operation that no server knows: it answers `Unimplemented` and closes the connection.
const UNKNOWN_OP: i32 = 999;

/// Clones control the same connections.
#[derive(Clone)]
pub struct Wire {
    inner: Arc<dyn Connector>,
    ledger: Arc<watch::Sender<Ledger>>,
}

/// What is ordered, and what was seen.
#[derive(Debug, Default)]
struct Ledger {
    /// New attempts fail.
    refusing: bool,
    /// No byte flows, in either direction.
    stalled: bool,
    /// No byte flows towards the client.
    holding: bool,
    /// How often everything was cut; a connection ends when this rises.
    cuts: u64,
    /// Cut when a request of this operation arrives here, or when its reply does.
    trap: Option<(OpCode, Trap)>,
    /// Operations that the server is not to know.
    unlearned: Vec<OpCode>,
    /// The request whose reply is not to arrive.
    doomed: Option<Xid>,
    /// How often the client tried to connect.
    attempts: usize,
    /// What each handshake asked for.
    handshakes: Vec<Handshake>,
    /// The operation of each request that went through, pings included.
    requests: Vec<i32>,
    /// The length of the longest request.
    request_len_max: usize,
    /// How many notifications came back.
    notifications: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trap {
    Request,
    Reply,
}

/// What a client said of itself when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The session that the client has, or none.
    pub session: SessionId,
    /// The last transaction that it has seen.
    pub last_zxid: Zxid,
}

impl Wire {
    /// A link over TCP.
    pub fn tcp() -> Self {
        Self::over(TcpConnector)
    }

    /// A link over another.
    pub fn over(inner: impl Connector) -> Self {
        Self { inner: Arc::new(inner), ledger: Arc::new(watch::Sender::new(Ledger::default())) }
    }

    /// Breaks all present connections.
    pub fn cut(&self) {
        self.order(|ledger| ledger.cuts += 1);
    }

    /// Makes new attempts fail.
    pub fn refuse(&self) {
        self.order(|ledger| ledger.refusing = true);
    }

    /// Lets new attempts succeed.
    pub fn admit(&self) {
        self.order(|ledger| ledger.refusing = false);
    }

    /// Stops bytes in both directions; nothing breaks.
    pub fn stall(&self) {
        self.order(|ledger| ledger.stalled = true);
    }

    /// Lets bytes flow again, in both directions.
    pub fn resume(&self) {
        self.order(|ledger| {
            ledger.stalled = false;
            ledger.holding = false;
        });
    }

    /// Stops bytes towards the client only.
    pub fn hold_replies(&self) {
        self.order(|ledger| ledger.holding = true);
    }

    /// Lets the next request of this operation take effect, and cuts in place of its reply.
    pub fn cut_before_reply(&self, op: OpCode) {
        self.order(|ledger| ledger.trap = Some((op, Trap::Reply)));
    }

    /// Cuts when the next request of this operation is on its way to the server.
    pub fn cut_before_arrival(&self, op: OpCode) {
        self.order(|ledger| ledger.trap = Some((op, Trap::Request)));
    }

    /// Makes the server older: it answers the operation as one that no server knows.
    pub fn unlearn(&self, op: OpCode) {
        self.order(|ledger| ledger.unlearned.push(op));
    }

    /// How often the client tried to connect.
    pub fn attempts(&self) -> usize {
        self.ledger.borrow().attempts
    }

    /// How clients have begun, in order.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.ledger.borrow().handshakes.clone()
    }

    /// How many requests went through, pings not counted.
    pub fn requests(&self) -> usize {
        let ping = OpCode::Ping.code();
        let ledger = self.ledger.borrow();
        ledger.requests.iter().filter(|op| **op != ping).count()
    }

    /// How many requests of an operation went through.
    pub fn count(&self, op: OpCode) -> usize {
        self.ledger.borrow().count(op)
    }

    /// The length of the longest request that went through.
    pub fn request_len_max(&self) -> usize {
        self.ledger.borrow().request_len_max
    }

    /// How many notifications went to the client.
    pub fn notifications(&self) -> usize {
        self.ledger.borrow().notifications
    }

    /// Waits until so many requests of an operation have gone through.
    #[track_caller]
    pub fn until(&self, op: OpCode, count: usize) -> impl Future<Output = ()> {
        self.until_seen(move |ledger| ledger.count(op) >= count)
    }

    /// Waits until the client has tried to connect so often.
    #[track_caller]
    pub fn until_attempts(&self, count: usize) -> impl Future<Output = ()> {
        self.until_seen(move |ledger| ledger.attempts >= count)
    }

    /// Waits until the client has introduced itself so often.
    #[track_caller]
    pub fn until_handshakes(&self, count: usize) -> impl Future<Output = ()> {
        self.until_seen(move |ledger| ledger.handshakes.len() >= count)
    }

    #[track_caller]
    fn until_seen(&self, what: impl FnMut(&Ledger) -> bool) -> impl Future<Output = ()> {
        let mut seen = self.ledger.subscribe();
        soon(async move {
            drop(seen.wait_for(what).await.expect("the wire outlives its tests"));
        })
    }

    fn order(&self, change: impl FnOnce(&mut Ledger)) {
        self.ledger.send_modify(change);
    }
}

impl Ledger {
    fn count(&self, op: OpCode) -> usize {
        self.requests.iter().filter(|o| **o == op.code()).count()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl Connector for Wire {
    fn connect(&self, host: &HostPort) -> Connecting {
        let wire = self.clone();
        let host = host.clone();
        Box::pin(async move {
            wire.order(|ledger| ledger.attempts += 1);
            let cuts = wire.ledger.borrow().cuts;
            if wire.ledger.borrow().refusing {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let server = wire.inner.connect(&host).await?;
            let (ours, theirs) = tokio::io::duplex(BUFFER_LEN);
            tokio::spawn(wire.carry(ours, server, cuts));
            Ok(Box::new(theirs) as Box<dyn Transport>)
        })
    }
}

/// One connection: when this future ends, both of its ends are dropped.
impl Wire {
    async fn carry(self, client: DuplexStream, server: Box<dyn Transport>, cuts: u64) {
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = tokio::io::split(server);
        let mut orders = self.ledger.subscribe();
        tokio::select! {
            biased;
            _ = orders.wait_for(|ledger| ledger.cuts > cuts) => {}
            _ = self.carry_up(from_client, to_server) => {}
            _ = self.carry_down(from_server, to_client) => {}
        }
    }

    /// Client to server.
    async fn carry_up(
        &self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<Box<dyn Transport>>,
    ) -> io::Result<()> {
        let hello = read_frame(&mut from).await?;
        self.flowing(|ledger| !ledger.stalled).await;
        self.order(|ledger| ledger.handshakes.extend(handshake(&hello)));
        write_frame(&mut to, &hello).await?;
        loop {
            let mut frame = read_frame(&mut from).await?;
            self.flowing(|ledger| !ledger.stalled).await;
            let header = Decoder::new(&frame).read::<RequestHeader>();
            let header = header.expect("a client sends whole headers");
            if self.is_trapped(&header) {
                self.cut();
                pending::<()>().await;
            }
            if self.ledger.borrow().unlearned.iter().any(|op| op.code() == header.op) {
                frame[4..8].copy_from_slice(&UNKNOWN_OP.to_be_bytes());
            }
            if write_frame(&mut to, &frame).await.is_err() {
                // The server has closed it; what it said before is still on its way down.
                pending::<()>().await;
            }
            self.order(|ledger| {
                ledger.requests.push(header.op);
                ledger.request_len_max = ledger.request_len_max.max(frame.len());
            });
        }
    }

    /// Server to client.
    async fn carry_down(
        &self,
        mut from: ReadHalf<Box<dyn Transport>>,
        mut to: WriteHalf<DuplexStream>,
    ) -> io::Result<()> {
        let mut answered = false;
        loop {
            let frame = read_frame(&mut from).await?;
            self.flowing(|ledger| !ledger.stalled && !ledger.holding).await;
            if answered && self.is_doomed(&frame) {
                self.cut();
                pending::<()>().await;
            }
            answered = true;
            write_frame(&mut to, &frame).await?;
        }
    }

    /// Waits until bytes may flow.
    async fn flowing(&self, may: impl FnMut(&Ledger) -> bool) {
        let mut orders = self.ledger.subscribe();
        drop(orders.wait_for(may).await);
    }

    /// Whether a request is not to arrive; notes the one whose reply is not to.
    fn is_trapped(&self, header: &RequestHeader) -> bool {
        let mut trapped = false;
        self.order(|ledger| match ledger.trap {
            Some((op, Trap::Request)) if op.code() == header.op => {
                ledger.trap = None;
                trapped = true;
            }
            Some((op, Trap::Reply)) if op.code() == header.op => {
                ledger.trap = None;
                ledger.doomed = Some(header.xid);
            }
            _ => {}
        });
        trapped
    }

    /// Whether a frame is the reply that is not to arrive; counts notifications.
    fn is_doomed(&self, frame: &[u8]) -> bool {
        let Ok(header) = Decoder::new(frame).read::<ReplyHeader>() else {
            return false;
        };
        let mut doomed = false;
        self.order(|ledger| {
            ledger.notifications += usize::from(header.xid == Xid::NOTIFICATION);
            if ledger.doomed == Some(header.xid) {
                ledger.doomed = None;
                doomed = true;
            }
        });
        doomed
    }
}

fn handshake(hello: &[u8]) -> Option<Handshake> {
    let hello: ConnectRequest<'_> = Decoder::new(hello).read().ok()?;
    Some(Handshake { session: hello.session_id, last_zxid: hello.last_zxid_seen })
}

async fn read_frame(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let len = from.read_u32().await?;
    let mut frame = vec![0; usize::try_from(len).expect("a frame fits")];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write_frame(to: &mut (impl AsyncWriteExt + Unpin), frame: &[u8]) -> io::Result<()> {
    let len = u32::try_from(frame.len()).expect("a frame fits");
    let mut bytes = Vec::with_capacity(4 + frame.len());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(frame);
    to.write_all(&bytes).await?;
    to.flush().await
}
