//! The server under one lock, with its clock and the ports of its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use znode::Moment;
use znode::proto::requests::ReconfigRequest;
use znode::proto::{ErrorCode, Zxid};

use super::disk::Disk;
use super::peers::Command;
use super::ports::{End, Port, Ports};
use crate::node::Node;
use crate::node::input::{ConnId, Input};
use crate::node::outbox::{Outbox, Output};
use crate::node::settings::Settings;

/// The engine, and what tasks share of it without the lock.
#[derive(Debug)]
pub(crate) struct Shared {
    engine: Mutex<Engine>,
    /// Rung when the next deadline has moved forward.
    pub(super) deadline_moved: Notify,
    /// Rung for the acceptor when the server cannot go on.
    pub(super) must_stop: Notify,
    /// Rung for whoever waits for a failure.
    pub(crate) has_failed: Notify,
    /// Rung for the acceptor when clients are to come to another port.
    pub(super) door_moved: Notify,
    /// Rung when the server has applied something, or does something else than before.
    pub(crate) has_moved: Notify,
}

/// The server, its disk, and its connections.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) node: Node,
    pub(super) outbox: Outbox,
    /// Nothing if the disk is memory, which has written before anything is sent.
    pub(super) disk: Option<Disk>,
    /// Why the server has stopped by itself.
    failure: Option<Arc<io::Error>>,
    pub(super) ports: Ports,
    /// When the clock read zero; set by the runtime that the server first runs on.
    epoch: Option<Instant>,
    /// The last reading of the clock.
    now: Moment,
    /// When the timer will ring.
    armed: Moment,
    /// Connections that are not read until fewer requests wait.
    throttled: Vec<ConnId>,
    /// Who connects this server to others, if it is one of several.
    peers: Option<UnboundedSender<Command>>,
    /// Whether time stands still for this server.
    pub(super) is_paused: bool,
    /// Tasks that wait for it to go on.
    pub(super) paused: Vec<Waker>,
    /// How much later than they would everything reaches clients.
    pub(super) reply_delay: Duration,
    /// Whether whoever connects is cut off.
    pub(super) refuses: bool,
    /// Where clients are to find the server from now on, if somewhere else.
    door: Option<(String, u16)>,
}

impl Shared {
    /// An engine that no task runs yet.
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            engine: Mutex::new(Engine {
                node: Node::new(settings),
                outbox: Outbox::default(),
                disk: None,
                failure: None,
                ports: Ports::default(),
                epoch: None,
                now: Moment::START,
                armed: Moment::NEVER,
                throttled: Vec::new(),
                peers: None,
                is_paused: false,
                paused: Vec::new(),
                reply_delay: Duration::ZERO,
                refuses: false,
                door: None,
            }),
            deadline_moved: Notify::new(),
            must_stop: Notify::new(),
            has_failed: Notify::new(),
            door_moved: Notify::new(),
            has_moved: Notify::new(),
        })
    }

    /// Takes the lock. A panic elsewhere is no reason to panic here too: a test that has failed
    /// should still be able to look at its server.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the server inputs, one after the other, and does what it wants done.
    pub(crate) fn run<'a>(&self, inputs: impl IntoIterator<Item = Input<'a>>) {
        let mut engine = self.lock();
        for input in inputs {
            engine.input(input);
        }
        self.settle(&mut engine, None);
    }

    /// Does what the server wants done; bytes for `own` are appended to the buffer beside it.
    pub(super) fn settle(&self, engine: &mut Engine, own: Option<(ConnId, &mut Vec<u8>)>) {
        engine.drain(own);
        engine.save_snapshot();
        if engine.failure.is_some() {
            self.must_stop.notify_one();
            self.has_failed.notify_waiters();
        }
        if engine.node.peer.is_some() {
            self.has_moved.notify_waiters();
        }
        if engine.door.is_some() {
            self.door_moved.notify_one();
        }
        let deadline = engine.node.next_deadline();
        if deadline < engine.armed {
            engine.armed = deadline;
            self.deadline_moved.notify_one();
        }
    }

    /// Proposes a reconfiguration, on nobody's behalf; nothing, if this server does not lead.
    ///
    /// # Errors
    /// As of `Node::reconfigure`.
    pub(crate) fn reconfigure(&self, request: &ReconfigRequest<'_>) -> Result<(), ErrorCode> {
        let mut engine = self.lock();
        if !engine.node.is_deciding() || engine.is_paused {
            return Ok(());
        }
        let Engine { node, outbox, now, .. } = &mut *engine;
        let asked = node.reconfigure(*now, request, outbox);
        engine.persist_in_memory();
        self.settle(&mut engine, None);
        asked.map(drop)
    }

    /// Opens a port for a connection.
    pub(super) fn accept(&self, peer: SocketAddr) -> ConnId {
        let mut engine = self.lock();
        engine.read_clock();
        let conn = engine.ports.open(false);
        engine.input(Input::Accepted { conn, peer });
        self.settle(&mut engine, None);
        conn
    }

    /// Resolves when the server has closed a connection that nobody serves yet.
    #[cfg(feature = "tls")]
    pub(super) async fn ended(&self, conn: ConnId) {
        use std::task::Poll;

        std::future::poll_fn(|context| {
            let mut engine = self.lock();
            let Some(port) = engine.port(conn) else {
                return Poll::Ready(());
            };
            port.register(context);
            if port.end.is_none() {
                return Poll::Pending;
            }
            engine.release(conn);
            Poll::Ready(())
        })
        .await;
    }

    /// Where clients are to find the server from now on, once.
    pub(super) fn take_door(&self) -> Option<(String, u16)> {
        self.lock().door.take()
    }

    /// Clients find the server here; or where it has moved to before it has started, if it can.
    pub(crate) fn told_ports(&self, plain: Option<SocketAddr>, secure: Option<SocketAddr>) {
        let mut engine = self.lock();
        engine.node.settings.told_ports(plain, secure);
        engine.door = engine.node.other_door().map(|(host, port)| (host.to_owned(), port));
        if engine.door.is_some() {
            self.door_moved.notify_one();
        }
    }

    /// Clients find the server here from now on.
    pub(super) fn tell_port(&self, address: SocketAddr) {
        self.lock().node.settings.client_port = address.port();
    }

    /// Opens a port for a connection to another server.
    pub(super) fn open_link(&self) -> ConnId {
        let mut engine = self.lock();
        engine.read_clock();
        engine.ports.open(true)
    }

    /// Has connections to other servers made by whoever hears these commands.
    pub(crate) fn connect_peers(&self, peers: UnboundedSender<Command>) {
        self.lock().peers = Some(peers);
    }

    /// A connection has broken.
    pub(super) fn lost(&self, conn: ConnId) {
        let mut engine = self.lock();
        engine.read_clock();
        engine.gone(conn);
        engine.ports.release(conn);
        self.settle(&mut engine, None);
    }

    /// Lets time pass for the server, and says when to do so again.
    pub(super) fn tick(&self) -> Option<Instant> {
        let mut engine = self.lock();
        if engine.is_paused {
            engine.armed = Moment::NEVER;
            return None;
        }
        engine.read_clock();
        if engine.node.next_deadline() <= engine.now {
            engine.input(Input::Tick);
            engine.drain(None);
            if engine.node.peer.is_some() {
                self.has_moved.notify_waiters();
            }
        }
        engine.armed = engine.node.next_deadline();
        engine.instant(engine.armed)
    }

    /// Makes this the server that its files have brought back.
    pub(crate) fn install(&self, node: Node, disk: Disk) {
        let mut engine = self.lock();
        engine.node = node;
        engine.outbox.clear();
        engine.disk = Some(disk);
        engine.failure = None;
    }

    /// Has the disk finish what it was given.
    pub(super) async fn close_disk(&self) {
        let disk = self.lock().disk.take();
        if let Some(ended) = disk.and_then(Disk::close) {
            // The thread has ended, one way or the other.
            let _ = ended.await;
        }
    }

    /// The disk holds every transaction up to this one.
    pub(super) fn persisted(&self, zxid: Zxid) {
        let mut engine = self.lock();
        if engine.failure.is_some() {
            return;
        }
        engine.input(Input::Persisted(zxid));
        if let Some(zxid) = engine.node.digests.take_mismatch() {
            tracing::error!(%zxid, "the tree is not what was foretold of it");
        }
        self.settle(&mut engine, None);
    }

    /// The disk has failed: nothing is acknowledged any more, and the server stops.
    pub(super) fn disk_failed(&self, error: io::Error) {
        tracing::error!(%error, "the disk has failed; the server stops");
        let mut engine = self.lock();
        engine.failure.get_or_insert_with(|| Arc::new(error));
        for conn in engine.ports.ids() {
            engine.cut(conn);
        }
        self.must_stop.notify_one();
        self.has_failed.notify_waiters();
    }

    /// The disk was cut, and this is what it holds.
    pub(super) fn reloaded(&self, node: Node) {
        let mut engine = self.lock();
        let Engine { node: ours, outbox, now, .. } = &mut *engine;
        ours.reloaded(*now, Some(node), outbox);
        self.settle(&mut engine, None);
    }

    /// Why the server has stopped by itself.
    pub(crate) fn failure(&self) -> Option<Arc<io::Error>> {
        self.lock().failure.clone()
    }

    /// Begins anew with the same data. Connections are gone, and so is whatever was for them.
    #[expect(clippy::disallowed_methods, reason = "the shell is where the clock is read")]
    pub(super) fn begin(&self) {
        let mut engine = self.lock();
        if engine.epoch.is_none() {
            engine.epoch = Some(Instant::now());
        }
        engine.read_clock();
        for conn in engine.ports.ids() {
            engine.ports.release(conn);
        }
        engine.outbox.clear();
        engine.input(Input::Restart);
        engine.drain(None);
    }
}

impl Engine {
    /// Notes the time. Only tasks of the server's own runtime do, since only its clock counts.
    #[expect(clippy::disallowed_methods, reason = "the shell is where the clock is read")]
    pub(super) fn read_clock(&mut self) {
        let Some(epoch) = self.epoch else { return };
        let elapsed = Instant::now().saturating_duration_since(epoch);
        self.now = self.now.max(Moment::START + elapsed);
    }

    /// Gives the server one input. A disk in memory has written before anything is sent.
    pub(super) fn input(&mut self, input: Input<'_>) {
        self.node.step(self.now, input, &mut self.outbox);
        self.persist_in_memory();
    }

    fn persist_in_memory(&mut self) {
        if self.node.settings.durable {
            return;
        }
        loop {
            let done = match self.outbox.take_appended() {
                Some(zxid) => Input::Persisted(zxid),
                None => match self.outbox.take_saved() {
                    Some((kind, epoch)) => Input::EpochSaved { kind, epoch },
                    None => return,
                },
            };
            self.node.step(self.now, done, &mut self.outbox);
        }
    }

    /// A connection is no more.
    fn gone(&mut self, conn: ConnId) {
        let is_link = self.ports.get(conn).is_some_and(|port| port.is_link);
        self.input(if is_link { Input::LinkClosed { link: conn } } else { Input::Closed { conn } });
    }

    /// Does something with the server that may count what was sent anew.
    #[cfg(feature = "admin")]
    pub(super) fn with_outbox<T>(&mut self, what: impl FnOnce(&mut Node, &mut Outbox) -> T) -> T {
        what(&mut self.node, &mut self.outbox)
    }

    /// Has the disk keep everything as it is now.
    #[cfg(feature = "admin")]
    pub(super) fn keep_snapshot(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.save_snapshot(self.node.begin_snapshot());
            disk.ring();
        }
    }

    /// Takes a snapshot if enough was applied since the last one.
    fn save_snapshot(&mut self) {
        let Self { disk: Some(disk), node, .. } = self else {
            return;
        };
        let count = std::mem::take(&mut node.applied_count);
        if count > 0 && disk.applied(count) {
            disk.save_snapshot(node.begin_snapshot());
            disk.ring();
        }
    }

    /// The port of a connection that is not over.
    pub(super) fn port(&mut self, conn: ConnId) -> Option<&mut Port> {
        self.ports.get(conn)
    }

    /// Closes the port of a connection that has ended.
    pub(super) fn release(&mut self, conn: ConnId) {
        self.ports.release(conn);
    }

    /// Whether to read more of a connection; if not, its task is woken when that changes.
    pub(super) fn may_read(&mut self, conn: ConnId) -> bool {
        let throttled = self.node.is_throttled(conn);
        if throttled {
            self.throttled.push(conn);
        }
        !throttled
    }

    /// Ends a connection behind what was sent to it.
    pub(super) fn close(&mut self, conn: ConnId) {
        self.gone(conn);
        if let Some(port) = self.ports.get(conn) {
            port.end.get_or_insert(End::Close);
        }
    }

    /// Ends a connection at once.
    pub(super) fn cut(&mut self, conn: ConnId) {
        self.gone(conn);
        if let Some(port) = self.ports.get(conn) {
            port.end = Some(End::Cut);
            port.wake();
        }
    }

    fn drain(&mut self, mut own: Option<(ConnId, &mut Vec<u8>)>) {
        let (mut behind, mut reload, mut halted) = (Vec::new(), false, None);
        for output in self.outbox.outputs() {
            match output {
                Output::Send { conn, range } => {
                    let bytes = self.outbox.bytes(range);
                    match &mut own {
                        Some((own, buffer)) if own == conn => buffer.extend_from_slice(bytes),
                        _ => {
                            let port = self.ports.get(*conn);
                            if port.is_some_and(|port| !port.push(bytes)) {
                                behind.push(*conn);
                            }
                        }
                    }
                }
                Output::Close { conn } => {
                    if let Some(port) = self.ports.get(*conn) {
                        port.end.get_or_insert(End::Close);
                        port.wake();
                    }
                }
                Output::Dial { kind, to, addresses } => {
                    let (kind, to, addresses) = (*kind, *to, addresses.clone());
                    self.tell_peers(Command::Dial { kind, to, addresses });
                }
                Output::Listen { open } => self.tell_peers(Command::Listen(*open)),
                Output::Move { addresses } => self.tell_peers(Command::Move(addresses.clone())),
                Output::MoveClients { host, port } => self.door = Some((host.clone(), *port)),
                Output::Halt { why } => halted = Some(why.clone()),
                Output::Append { .. }
                | Output::SaveEpoch { .. }
                | Output::SaveConfig { .. }
                | Output::SaveSnapshot { .. }
                | Output::Truncate { .. }
                | Output::Reload { .. } => match &mut self.disk {
                    Some(disk) => disk.order(output, &self.outbox),
                    // There are no files that would say what was before.
                    None => reload |= matches!(output, Output::Reload { .. }),
                },
            }
        }
        self.outbox.clear();
        if reload {
            self.node.reloaded(self.now, None, &mut self.outbox);
            self.drain(None);
        }
        if let Some(why) = halted {
            tracing::error!(why, "the server cannot go on");
            self.failure.get_or_insert_with(|| Arc::new(io::Error::other(why)));
        }
        if let Some(disk) = &mut self.disk {
            disk.ring();
        }
        for conn in behind {
            tracing::debug!(?conn, "cutting off a client that does not read");
            self.cut(conn);
        }
        self.wake_throttled();
    }

    /// Without anybody to hear it the server stands alone, or stops.
    fn tell_peers(&self, command: Command) {
        if let Some(peers) = &self.peers {
            let _ = peers.send(command);
        }
    }

    fn wake_throttled(&mut self) {
        if self.throttled.is_empty() || self.node.is_full() {
            return;
        }
        for conn in std::mem::take(&mut self.throttled) {
            if let Some(port) = self.ports.get(conn) {
                port.wake();
            }
        }
    }

    fn instant(&self, moment: Moment) -> Option<Instant> {
        let epoch = self.epoch.filter(|_| moment != Moment::NEVER)?;
        epoch.checked_add(moment.since(Moment::START))
    }
}
