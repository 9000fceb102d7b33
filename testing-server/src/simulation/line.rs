//! The link of one simulated client: what is sent takes its time, waits, or is lost in the middle.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use znode::{Connecting, Connector, HostPort, SessionId, Transport};

use super::journal::Journal;
use crate::cluster::ClusterConnector;
use crate::random::Random;

/// How many bytes wait at either end before their writer does.
const BUFFER_LEN: usize = 64 * 1024;

/// How much is taken in at once, and how many such pieces are under way at most.
const PIECE_LEN: usize = 16 * 1024;
const PIECES_MAX: usize = 256;

/// Where something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// What every connection of one client goes over.
pub(super) struct Line {
    client: usize,
    servers: ClusterConnector,
    journal: Arc<Journal>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// How long a piece is under way, in milliseconds: the least and the most.
    latency_ms: (u64, u64),
    /// Nothing flows while it is set; by direction.
    stalled: [bool; 2],
    /// New connections are refused.
    refusing: bool,
    /// How often everything was cut.
    cuts: u64,
    /// How many frames were sent in each direction, over all connections.
    frames: [u64; 2],
    /// The frame in whose place the connection is cut.
    cut_at: [Option<u64>; 2],
    /// The session that the client was last told to be its own.
    session: Option<SessionId>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Line").field("client", &self.client).field("state", &*state).finish()
    }
}

impl Line {
    pub(super) fn new(
        client: usize,
        servers: ClusterConnector,
        journal: Arc<Journal>,
        random: Random,
    ) -> Self {
        let state = State {
            random,
            latency_ms: (1, 2),
            stalled: [false; 2],
            refusing: false,
            cuts: 0,
            frames: [0; 2],
            cut_at: [None; 2],
            session: None,
        };
        Self { client, servers, journal, state: Mutex::new(state), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Ends every connection; of what is under way, some may still arrive.
    pub(super) fn cut(&self) {
        self.change(|state| state.cuts += 1);
    }

    /// Lets new connections in, or not.
    pub(super) fn refuse(&self, refusing: bool) {
        self.change(|state| state.refusing = refusing);
    }

    /// Holds up what goes in a direction, or lets it flow.
    pub(super) fn stall(&self, direction: Direction, stalled: bool) {
        self.change(|state| state.stalled[direction as usize] = stalled);
    }

    /// Sets how long a piece is under way, at least and at most.
    pub(super) fn latency(&self, least: Duration, most: Duration) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.change(|state| state.latency_ms = (ms(least), ms(most).max(ms(least))));
    }

    /// Cuts the connection in place of the frame with this number, counted from 1 in a direction
    /// over all connections.
    pub(super) fn cut_at(&self, direction: Direction, frame: u64) {
        self.change(|state| state.cut_at[direction as usize] = Some(frame));
    }

    /// Whether this many frames or more were sent in a direction.
    pub(super) fn frames(&self, direction: Direction) -> u64 {
        self.lock().frames[direction as usize]
    }

    /// The session of the client, once it was told; also when it has ended.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.lock().session
    }

    /// Everything as it was in the beginning.
    pub(super) fn mend(&self) {
        self.change(|state| {
            state.latency_ms = (1, 2);
            state.stalled = [false; 2];
            state.refusing = false;
            state.cut_at = [None; 2];
        });
    }

    /// Waits until something holds of the state.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// When what is sent now arrives, behind what was sent before.
    #[expect(clippy::disallowed_methods, reason = "links take time; the clock is a paused one")]
    fn arrival(&self, before: Option<Instant>) -> Instant {
        let mut state = self.lock();
        let (least, most) = state.latency_ms;
        let due = Instant::now() + Duration::from_millis(state.random.between(least, most));
        before.map_or(due, |before| before.max(due))
    }

    /// Carries what two ends have to tell each other, until one of them has gone, or it was cut
    /// more often than `since`.
    async fn connect(
        self: Arc<Self>,
        since: u64,
        server: Box<dyn Transport>,
        client: impl Transport,
    ) {
        let (from_server, mut to_server) = split(server);
        let (from_client, mut to_client) = split(client);
        let mut up = Pieces::default();
        let mut down = Pieces::default();
        let ended = {
            let up = self.carry(Direction::ToServer, &mut up, from_client, &mut to_server);
            let down = self.carry(Direction::ToClient, &mut down, from_server, &mut to_client);
            tokio::select! {
                biased;
                () = self.until(|state| state.cuts > since) => false,
                () = async { tokio::join!(biased; up, down); } => true,
            }
        };
        if !ended {
            self.tear(Direction::ToServer, &mut up, &mut to_server);
            self.tear(Direction::ToClient, &mut down, &mut to_client);
        }
    }

    /// Lets some of what is under way arrive all the same, up to any byte.
    fn tear(&self, direction: Direction, pieces: &mut Pieces, to: &mut (impl AsyncWrite + Unpin)) {
        let bytes: Vec<u8> = pieces.under_way.drain(..).flat_map(|(_, bytes)| bytes).collect();
        let len = self.lock().random.below(bytes.len() + 1);
        let mut at = 0;
        // What finds no room at once is lost.
        while let Some(Ok(count @ 1..)) = to.write(&bytes[at..len]).now_or_never() {
            at += count;
        }
        self.arrived(direction, pieces, &bytes[..at]);
    }

    /// Takes note of what has come to the other end.
    fn arrived(&self, direction: Direction, pieces: &mut Pieces, bytes: &[u8]) {
        self.journal.note(self.client, direction, bytes);
        let is_told = direction == Direction::ToClient;
        if let Some(session) = pieces.greeting.take_in(bytes).filter(|_| is_told) {
            self.lock().session = Some(session);
        }
    }

    async fn carry(
        &self,
        direction: Direction,
        pieces: &mut Pieces,
        mut from: impl AsyncRead + Unpin,
        to: &mut (impl AsyncWrite + Unpin),
    ) {
        let mut buffer = vec![0; PIECE_LEN];
        loop {
            let due = pieces.under_way.front().map(|(due, _)| *due);
            let flows = async {
                if let Some(due) = due {
                    sleep_until(due).await;
                    self.until(|state| !state.stalled[direction as usize]).await;
                }
            };
            tokio::select! {
                biased;
                () = flows, if due.is_some() => {
                    let Some((_, bytes)) = pieces.under_way.pop_front() else { continue };
                    self.arrived(direction, pieces, &bytes);
                    if bytes.is_empty() {
                        let _ = to.shutdown().await;
                        return;
                    }
                    if to.write_all(&bytes).await.is_err() {
                        return;
                    }
                    if pieces.is_cut && pieces.under_way.is_empty() {
                        // Whoever waits for that drops this.
                        self.cut();
                        return pending().await;
                    }
                }
                read = from.read(&mut buffer), if pieces.takes_more() => {
                    let len = read.unwrap_or(0);
                    let bytes = self.counted(direction, pieces, &buffer[..len]).to_vec();
                    if pieces.is_cut && bytes.is_empty() && pieces.under_way.is_empty() {
                        self.cut();
                        return pending().await;
                    }
                    pieces.has_ended = len == 0;
                    let arrival = self.arrival(pieces.under_way.back().map(|(due, _)| *due));
                    if len == 0 || !bytes.is_empty() {
                        pieces.under_way.push_back((arrival, bytes));
                    }
                }
            }
        }
    }

    /// Counts frames; what begins with the one in whose place it is cut is left out.
    fn counted<'a>(&self, direction: Direction, pieces: &mut Pieces, bytes: &'a [u8]) -> &'a [u8] {
        let mut state = self.lock();
        let mut at = 0;
        while at < bytes.len() {
            if pieces.head.is_empty() && pieces.rest == 0 {
                let number = &mut state.frames[direction as usize];
                *number += 1;
                let number = *number;
                if state.cut_at[direction as usize] == Some(number) {
                    state.cut_at[direction as usize] = None;
                    pieces.is_cut = true;
                    return &bytes[..at];
                }
            }
            at += pieces.skip(&bytes[at..]);
        }
        bytes
    }
}

/// What is under way in one direction of one connection.
#[derive(Debug, Default)]
struct Pieces {
    /// With the time of arrival; the end is empty.
    under_way: VecDeque<(Instant, Vec<u8>)>,
    has_ended: bool,
    /// The connection is cut once everything has arrived.
    is_cut: bool,
    /// What is known of the length of the frame that has begun.
    head: Vec<u8>,
    /// How many of its bytes are still to come.
    rest: usize,
    /// What has arrived of the answer to the handshake.
    greeting: Greeting,
}

/// The beginning of the first frame that a server sends, up to the number of the session: its
/// length, the version of the protocol and the timeout, of four bytes each, come before it.
#[derive(Debug, Default)]
struct Greeting(Vec<u8>);

impl Greeting {
    const LEN: usize = 20;

    /// The session, once when its last byte is there; none if the server knows of none.
    fn take_in(&mut self, bytes: &[u8]) -> Option<SessionId> {
        let len = bytes.len().min(Self::LEN - self.0.len());
        self.0.extend_from_slice(&bytes[..len]);
        if len == 0 || self.0.len() < Self::LEN {
            return None;
        }
        let id = self.0[12..].try_into().ok().map(|id| SessionId(i64::from_be_bytes(id)));
        id.filter(|id| *id != SessionId::NONE)
    }
}

impl Pieces {
    fn takes_more(&self) -> bool {
        !self.has_ended && !self.is_cut && self.under_way.len() < PIECES_MAX
    }

    /// Goes on in the frame that has begun; says by how much, at least by one byte.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        if self.rest > 0 {
            let len = self.rest.min(bytes.len());
            self.rest -= len;
            return len;
        }
        let len = bytes.len().min(4 - self.head.len());
        self.head.extend_from_slice(&bytes[..len]);
        if let Ok(head) = <[u8; 4]>::try_from(&self.head[..]) {
            self.rest = u32::from_be_bytes(head) as usize;
            self.head.clear();
        }
        len
    }
}

/// Connects a client over its line.
#[derive(Debug, Clone)]
pub(super) struct LineConnector(pub(super) Arc<Line>);

impl Connector for LineConnector {
    fn connect(&self, host: &HostPort) -> Connecting {
        let (line, servers) = (Arc::clone(&self.0), self.0.servers.connect(host));
        let since = line.lock().cuts;
        Box::pin(async move {
            // The way there and back, before anything can be sent.
            sleep_until(line.arrival(None)).await;
            line.until(|state| state.stalled == [false; 2] || state.refusing).await;
            if line.lock().refusing {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let server = servers.await?;
            let is_lost = {
                let state = line.lock();
                state.refusing || state.cuts > since
            };
            if is_lost {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let (ours, theirs) = duplex(BUFFER_LEN);
            tokio::spawn(line.connect(since, server, theirs));
            Ok(Box::new(ours) as Box<dyn Transport>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_arrives_of_a_torn_connection_is_noted() {
        let mut traces = Vec::new();
        for byte in [1, 2] {
            let journal = Arc::new(Journal::new());
            let servers = ClusterConnector::default();
            let line = Line::new(0, servers, Arc::clone(&journal), Random::new(1, 2));
            let mut pieces = Pieces::default();
            pieces.under_way.push_back((line.arrival(None), vec![byte; 100]));
            let (mut to, mut other) = duplex(BUFFER_LEN);
            line.tear(Direction::ToClient, &mut pieces, &mut to);
            let mut buffer = [0; 100];
            assert!(other.read(&mut buffer).await.unwrap() > 0, "another seed may let some arrive");
            traces.push(journal.trace());
        }
        assert_ne!(traces[0], traces[1]);
    }

    #[test]
    fn a_greeting_may_come_byte_by_byte() {
        let mut bytes = [0; 40];
        bytes[18..20].copy_from_slice(&[1, 2]);
        let mut greeting = Greeting::default();
        let told: Vec<_> = bytes.iter().map(|byte| greeting.take_in(&[*byte])).collect();
        let at = told.iter().position(Option::is_some);
        assert_eq!(at.and_then(|at| told[at]), Some(SessionId(0x102)));
        assert_eq!((at, told.iter().flatten().count()), (Some(19), 1));
        assert_eq!(Greeting::default().take_in(&[0; 40]), None);
    }
}
