//! The server under one lock, with its clock and the ports of its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use znode::Moment;
use znode::proto::Zxid;

use super::disk::Disk;
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
}

/// The server, its disk, and its connections.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) node: Node,
    outbox: Outbox,
    /// Nothing if the disk is memory, which has written before anything is sent.
    disk: Option<Disk>,
    /// Why the server has stopped by itself.
    failure: Option<Arc<io::Error>>,
    ports: Ports,
    /// When the clock read zero; set by the runtime that the server first runs on.
    epoch: Option<Instant>,
    /// The last reading of the clock.
    now: Moment,
    /// When the timer will ring.
    armed: Moment,
    /// Connections that are not read until fewer requests wait.
    throttled: Vec<ConnId>,
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
            }),
            deadline_moved: Notify::new(),
            must_stop: Notify::new(),
            has_failed: Notify::new(),
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
        let deadline = engine.node.next_deadline();
        if deadline < engine.armed {
            engine.armed = deadline;
            self.deadline_moved.notify_one();
        }
    }

    /// Opens a port for a connection.
    pub(super) fn accept(&self, peer: SocketAddr) -> ConnId {
        let mut engine = self.lock();
        engine.read_clock();
        let conn = engine.ports.open();
        engine.input(Input::Accepted { conn, peer });
        self.settle(&mut engine, None);
        conn
    }

    /// A connection has broken.
    pub(super) fn lost(&self, conn: ConnId) {
        let mut engine = self.lock();
        engine.input(Input::Closed { conn });
        engine.ports.release(conn);
        self.settle(&mut engine, None);
    }

    /// Lets time pass for the server, and says when to do so again.
    pub(super) fn tick(&self) -> Option<Instant> {
        let mut engine = self.lock();
        engine.read_clock();
        if engine.node.next_deadline() <= engine.now {
            engine.input(Input::Tick);
            engine.drain(None);
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
        let before = engine.node.last_processed;
        engine.input(Input::Persisted(zxid));
        if let Some(zxid) = engine.node.digests.take_mismatch() {
            tracing::error!(%zxid, "the tree is not what was foretold of it");
        }
        self.settle(&mut engine, None);
        engine.save_snapshot(before);
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

    /// Why the server has stopped by itself.
    pub(crate) fn failure(&self) -> Option<Arc<io::Error>> {
        self.lock().failure.clone()
    }

    /// Cuts every connection; sessions stay.
    pub(crate) fn drop_connections(&self) {
        let mut engine = self.lock();
        for conn in engine.ports.ids() {
            engine.cut(conn);
        }
        self.settle(&mut engine, None);
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
        if let (Input::FourLetterWord { word, .. }, Some(disk)) = (&input, &self.disk)
            && word.asks_for_files()
        {
            self.node.files = disk.view();
        }
        self.node.step(self.now, input, &mut self.outbox);
        if self.node.settings.durable {
            return;
        }
        while let Some(zxid) = self.outbox.take_appended() {
            self.node.step(self.now, Input::Persisted(zxid), &mut self.outbox);
        }
    }

    /// Takes a snapshot if enough was applied since the last one.
    fn save_snapshot(&mut self, before: Zxid) {
        let Self { disk: Some(disk), node, .. } = self else {
            return;
        };
        let count = u64::try_from(node.last_processed.0 - before.0).unwrap_or(0);
        if disk.applied(count) {
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
        self.input(Input::Closed { conn });
        if let Some(port) = self.ports.get(conn) {
            port.end.get_or_insert(End::Close);
        }
    }

    /// Ends a connection at once.
    pub(super) fn cut(&mut self, conn: ConnId) {
        self.input(Input::Closed { conn });
        if let Some(port) = self.ports.get(conn) {
            port.end = Some(End::Cut);
            port.wake();
        }
    }

    fn drain(&mut self, mut own: Option<(ConnId, &mut Vec<u8>)>) {
        let mut behind = Vec::new();
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
                Output::Append { zxid, range } => {
                    if let Some(disk) = &mut self.disk {
                        disk.append(*zxid, self.outbox.bytes(range));
                    }
                }
            }
        }
        self.outbox.clear();
        if let Some(disk) = &mut self.disk {
            disk.ring();
        }
        for conn in behind {
            tracing::debug!(?conn, "cutting off a client that does not read");
            self.cut(conn);
        }
        self.wake_throttled();
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
