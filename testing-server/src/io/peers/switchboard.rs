//! The network of a cluster in one process: pipes between servers, which can be stopped up.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::node::input::LinkKind;
use crate::quorum::Sid;

/// How many bytes a pipe holds before its writer must wait.
const PIPE_LEN: usize = 256 * 1024;

/// How much of what takes its time is taken in at once.
const PIECE_LEN: usize = 16 * 1024;

/// Connects the servers of one cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switchboard {
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    servers: BTreeMap<Sid, Jack>,
    /// What can go wrong in each direction.
    valves: BTreeMap<(Sid, Sid), Arc<Valve>>,
}

/// A server that is plugged in.
#[derive(Debug)]
struct Jack {
    incoming: UnboundedSender<Incoming>,
    /// Whether learners may connect.
    is_listening: bool,
}

/// A connection from another server.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// What for.
    pub(crate) kind: LinkKind,
    /// This end of it.
    pub(crate) wire: Wire,
}

/// One direction between two servers. Whatever is on its way while it is shut arrives when it is
/// opened again, as on a network that loses packets and sends them anew.
#[derive(Debug, Default)]
struct Valve {
    state: Mutex<ValveState>,
}

#[derive(Debug, Default)]
struct ValveState {
    is_shut: bool,
    /// How long whatever passes is on its way.
    latency: Duration,
    waiting: Vec<Waker>,
}

impl Valve {
    fn lock(&self) -> MutexGuard<'_, ValveState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, is_shut: bool) {
        let mut state = self.lock();
        state.is_shut = is_shut;
        if !is_shut {
            state.waiting.drain(..).for_each(Waker::wake);
        }
    }

    /// Whether something may pass, and how long it takes; if not, the task is woken when it may.
    fn poll(&self, context: &Context<'_>) -> Poll<Duration> {
        let mut state = self.lock();
        if !state.is_shut {
            return Poll::Ready(state.latency);
        }
        state.waiting.push(context.waker().clone());
        Poll::Pending
    }
}

impl Switchboard {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one server is connected by.
    pub(crate) fn plug(&self, sid: Sid) -> Plug {
        Plug { switchboard: self.clone(), sid }
    }

    /// Stops whatever goes from one server to another.
    pub(crate) fn cut(&self, from: Sid, to: Sid) {
        self.lock().valve(from, to).set(true);
    }

    /// Lets everything through again, at once.
    pub(crate) fn heal(&self) {
        let board = self.lock();
        for valve in board.valves.values() {
            valve.lock().latency = Duration::ZERO;
            valve.set(false);
        }
    }

    /// Has whatever goes from one server to another take so long.
    pub(crate) fn slow(&self, from: Sid, to: Sid, latency: Duration) {
        self.lock().valve(from, to).lock().latency = latency;
    }
}

impl Board {
    fn valve(&mut self, from: Sid, to: Sid) -> Arc<Valve> {
        Arc::clone(self.valves.entry((from, to)).or_default())
    }
}

/// One server's place on the switchboard.
#[derive(Debug, Clone)]
pub(crate) struct Plug {
    switchboard: Switchboard,
    sid: Sid,
}

impl Plug {
    /// Lets the others connect for elections. Whoever was plugged in under this number is not any
    /// more.
    pub(super) fn plug_in(&mut self) -> UnboundedReceiver<Incoming> {
        let (incoming, arrivals) = unbounded_channel();
        let jack = Jack { incoming, is_listening: false };
        self.switchboard.lock().servers.insert(self.sid, jack);
        arrivals
    }

    /// Lets learners connect, or no longer.
    pub(super) fn listen(&mut self, open: bool) {
        if let Some(jack) = self.switchboard.lock().servers.get_mut(&self.sid) {
            jack.is_listening = open;
        }
    }

    /// A connection to another server, if that lets anybody in.
    pub(super) fn dial(&self, kind: LinkKind, to: Sid) -> Option<Wire> {
        let mut board = self.switchboard.lock();
        let (there, back) = (board.valve(self.sid, to), board.valve(to, self.sid));
        let jack = board.servers.get(&to)?;
        let is_cut = there.lock().is_shut || back.lock().is_shut;
        if is_cut || (kind == LinkKind::Quorum && !jack.is_listening) {
            return None;
        }
        let (ours, theirs) = duplex(PIPE_LEN);
        let wire = Wire::new(theirs, there);
        jack.incoming.send(Incoming { kind, wire }).ok()?;
        Some(Wire::new(ours, back))
    }
}

/// One end of a pipe between two servers.
#[derive(Debug)]
pub(crate) struct Wire {
    pipe: DuplexStream,
    /// What everything passes that arrives here.
    incoming: Arc<Valve>,
    /// What is on its way, with the time of its arrival; the end is empty.
    late: VecDeque<(Instant, Vec<u8>)>,
    /// Whether the end is among it.
    has_ended: bool,
    /// Rings when the first of it arrives.
    arrival: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    fn new(pipe: DuplexStream, incoming: Arc<Valve>) -> Self {
        Self { pipe, incoming, late: VecDeque::new(), has_ended: false, arrival: None }
    }

    /// Takes in what was sent, and hands out what has been on its way long enough.
    #[expect(clippy::disallowed_methods, reason = "a link that takes time needs a clock")]
    fn poll_late(
        &mut self,
        latency: Duration,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = vec![0; PIECE_LEN];
        while !self.has_ended {
            let mut read = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.pipe).poll_read(context, &mut read) {
                Poll::Pending => break,
                Poll::Ready(outcome) => outcome?,
            }
            let bytes = read.filled().to_vec();
            self.has_ended = bytes.is_empty();
            self.late.push_back((Instant::now() + latency, bytes));
        }
        loop {
            let Some((due, bytes)) = self.late.front_mut() else { return Poll::Pending };
            if *due <= Instant::now() {
                let len = bytes.len().min(buffer.remaining());
                buffer.put_slice(&bytes[..len]);
                bytes.drain(..len);
                if bytes.is_empty() && !(self.has_ended && self.late.len() == 1 && len == 0) {
                    self.late.pop_front();
                }
                return Poll::Ready(Ok(()));
            }
            let due = *due;
            let arrival = self.arrival.get_or_insert_with(|| Box::pin(sleep_until(due)));
            arrival.as_mut().reset(due);
            std::task::ready!(arrival.as_mut().poll(context));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let latency = std::task::ready!(self.incoming.poll(context));
        if latency > Duration::ZERO || !self.late.is_empty() {
            return self.poll_late(latency, context, buffer);
        }
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_held_up_arrives_when_the_way_is_free() {
        let switchboard = Switchboard::default();
        let (one, mut two) = (switchboard.plug(Sid(1)), switchboard.plug(Sid(2)));
        assert!(one.dial(LinkKind::Election, Sid(2)).is_none(), "not plugged in");
        let mut arrivals = two.plug_in();
        assert!(one.dial(LinkKind::Quorum, Sid(2)).is_none(), "not listening");
        let mut wire = one.dial(LinkKind::Election, Sid(2)).unwrap();
        let mut other = arrivals.recv().await.unwrap().wire;
        switchboard.cut(Sid(1), Sid(2));
        assert!(one.dial(LinkKind::Election, Sid(2)).is_none(), "cut");
        wire.write_all(b"held").await.unwrap();
        let mut read = [0; 4];
        {
            let read = other.read_exact(&mut read);
            tokio::pin!(read);
            assert!(futures_poll(read.as_mut()).await.is_none());
            switchboard.heal();
            read.await.unwrap();
        }
        assert_eq!(&read, b"held");
        other.write_all(b"back").await.unwrap();
        wire.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"back");
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the clock is a paused one")]
    async fn a_slow_link_keeps_the_order_and_the_end() {
        let switchboard = Switchboard::default();
        let (one, mut two) = (switchboard.plug(Sid(1)), switchboard.plug(Sid(2)));
        let mut arrivals = two.plug_in();
        let mut wire = one.dial(LinkKind::Election, Sid(2)).unwrap();
        let mut other = arrivals.recv().await.unwrap().wire;
        switchboard.slow(Sid(1), Sid(2), Duration::from_secs(3));
        let started = Instant::now();
        wire.write_all(b"first").await.unwrap();
        let mut read = [0; 5];
        other.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"first");
        assert!(started.elapsed() >= Duration::from_secs(3));
        wire.write_all(b"last").await.unwrap();
        drop(wire);
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last");
    }

    /// Polls once.
    async fn futures_poll<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
