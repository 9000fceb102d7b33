//! The whole server as one value: told what happened, it says what is to be done.
//!
//! [`Node::step`] is the only verb. It awaits nothing, reads no clock and touches no socket; what
//! waits and what touches is the shell in `io/`. A connection that breaks is an input, and so is a
//! disk that has finished writing. The walk of a request stands in [`pipeline`](crate::pipeline).

pub(crate) mod connection;
mod digests;
pub(crate) mod faults;
pub(crate) mod input;
pub(crate) mod outbox;
mod restore;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod snapshots;
mod views;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;

use znode::Moment;
use znode::proto::{ErrorCode, OpCode, SessionId, Zxid};

use crate::admin::Word;
use crate::admin::stats::{Sent, ServerStats};
use crate::auth::{Identity, Schemes};
use crate::peer::QuorumPeer;
use crate::pipeline::gate::{Gate, Lines, Waiting, Work};
use crate::pipeline::outstanding::Outstanding;
use crate::pipeline::prepare::Preparer;
use crate::pipeline::reaper::Reaper;
use crate::pipeline::throttle::Throttle;
use crate::session::SessionTracker;
use crate::session::identity::SessionIds;
use crate::tree::Tree;
use crate::tree::watches::Watches;
use connection::{Connection, Connections, Phase};
use digests::Digests;
use input::{ConnId, Input};
use outbox::{Outbox, ReplyTo};
use settings::{HANDSHAKE_TIMEOUT, Settings};
use snapshots::Snapshots;

/// A server.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) connections: Connections,
    /// Connections without a session, oldest first, with the moment at which they are closed.
    handshakes: VecDeque<(Moment, ConnId)>,
    pub(crate) sessions: SessionTracker,
    pub(crate) session_ids: SessionIds,
    pub(crate) tree: Tree,
    pub(crate) digests: Digests,
    /// Snapshots on their way.
    snapshots: Snapshots,
    pub(crate) watches: Watches,
    pub(crate) schemes: Schemes,
    pub(crate) outstanding: Outstanding,
    pub(crate) gate: Gate,
    /// Instead of the gate, in an ensemble.
    pub(crate) lines: Lines,
    /// Before all of that: what is held back.
    pub(crate) throttle: Throttle,
    /// What a server of an ensemble has beside its data; nothing if this one stands alone.
    pub(crate) peer: Option<Box<QuorumPeer>>,
    pub(crate) reaper: Reaper,
    /// The last transaction that was applied.
    pub(crate) last_processed: Zxid,
    /// How many transactions were applied since somebody looked.
    pub(crate) applied_count: u64,
    /// The last transaction that was prepared.
    pub(crate) last_prepared: Zxid,
    pub(crate) stats: ServerStats,
    /// What had gone out when a word was last answered.
    pub(crate) sent: Sent,
    /// The time of the step.
    pub(crate) now: Moment,
    /// When the server was last started.
    pub(crate) started: Moment,
    /// How many bytes the present request has, if it is large and has not been put anywhere.
    pub(crate) large_request: usize,
    /// How many nonces were made.
    pub(crate) nonces: u64,
    /// Used for each event, to collect whom it goes to.
    pub(crate) told: Vec<u32>,
    /// Used for each multi, to collect its results.
    pub(crate) results: Vec<u8>,
}

impl Node {
    /// A server with an empty tree.
    pub(crate) fn new(settings: Settings) -> Self {
        let seed = settings.hash_seed;
        let (tree, outstanding) = Self::empty_tree(&settings);
        Self {
            connections: Connections::default(),
            handshakes: VecDeque::new(),
            sessions: SessionTracker::new(settings.rules.tick),
            session_ids: SessionIds::new(settings.server_id, settings.origin_ms),
            tree,
            digests: Digests::default(),
            snapshots: Snapshots::default(),
            watches: Watches::new(seed),
            schemes: Schemes::new(&settings),
            outstanding,
            gate: Gate::default(),
            lines: Lines::default(),
            throttle: Throttle::default(),
            peer: None,
            reaper: Reaper::new(settings.rules.container_check_interval),
            last_processed: Zxid::ZERO,
            applied_count: 0,
            last_prepared: Zxid::ZERO,
            stats: ServerStats::NONE,
            sent: Sent::default(),
            now: Moment::START,
            started: Moment::START,
            large_request: 0,
            nonces: 0,
            told: Vec::new(),
            results: Vec::new(),
            settings,
        }
    }

    /// A tree, and what waits to change it: nothing. Only what goes into a log has its digest
    /// foretold.
    fn empty_tree(settings: &Settings) -> (Tree, Outstanding) {
        let mut tree = Tree::new(settings.hash_seed);
        let mut outstanding = Outstanding::new(settings.hash_seed);
        if settings.rules.digest {
            tree.keep_digest();
            if settings.durable {
                outstanding.foretell(tree.digest());
            }
        }
        (tree, outstanding)
    }

    /// Takes in one thing that has happened at `now`, and adds to `out` what is to be done.
    ///
    /// `now` never falls. The shell may take many steps before it does anything of it, but then
    /// does everything in the order of the list.
    pub(crate) fn step(&mut self, now: Moment, input: Input<'_>, out: &mut Outbox) {
        self.now = now;
        match input {
            Input::Frame { conn, bytes } => self.intake(now, conn, bytes, out),
            Input::Persisted(zxid) if self.peer.is_some() => self.peer_persisted(zxid, out),
            Input::Persisted(zxid) => self.persisted(zxid, out),
            Input::Accepted { conn, peer } => self.accept(conn, peer, out),
            Input::FourLetterWord { conn, word, sizes } => {
                self.four_letter_word(conn, word, sizes, out);
            }
            Input::Securing { conn } => self.securing(conn),
            Input::Secured { conn, certificate } => self.secured(conn, certificate, out),
            Input::Insecure => self.insecure(),
            Input::Closed { conn } => self.forget(conn),
            Input::Tick => self.tick(now, out),
            Input::Expire(session) => self.expire(session, out),
            Input::Restart => {
                self.started = now;
                for conn in self.connections.clear() {
                    self.watches.remove_connection(conn.slot);
                }
                self.handshakes.clear();
                self.throttle.clear();
                self.sessions.restart(now);
                if self.peer.is_none() {
                    self.sharp_behind(self.last_processed);
                }
                self.peer_starts(out);
            }
            Input::EpochSaved { kind, epoch } => self.epoch_saved(kind, epoch, out),
            Input::LinkAccepted { link, kind } => self.link_accepted(link, kind, out),
            Input::LinkDialed { kind, to, link } => self.link_dialed(kind, to, link, out),
            Input::LinkMessage { link, bytes } => self.link_message(link, bytes, out),
            Input::LinkPacket { link, bytes } => self.link_packet(link, bytes, out),
            Input::LinkSnapshot { link, bytes } => self.learner_snapshot(link, bytes, out),
            Input::LinkClosed { link } => self.link_closed(link, out),
        }
        if !self.throttle.is_empty() {
            self.release_held(out);
        }
        if !out.losses.is_empty() {
            out.losses.take_cut().into_iter().for_each(|conn| self.forget(conn));
        }
    }

    /// When the next [`Input::Tick`] is due.
    pub(crate) fn next_deadline(&self) -> Moment {
        let handshake = self.handshakes.front().map_or(Moment::NEVER, |(due, _)| *due);
        let reaper = if self.is_deciding() { self.reaper_deadline() } else { Moment::NEVER };
        let expiry =
            if self.ends_sessions() { self.sessions.next_deadline() } else { Moment::NEVER };
        handshake.min(reaper).min(expiry).min(self.peer_deadline())
    }

    /// Whether a connection should not be read for now: too much waits for the disk, and some of it
    /// is its own.
    pub(crate) fn is_throttled(&self, conn: ConnId) -> bool {
        let connection = self.connections.get(conn);
        if connection.is_some_and(|connection| connection.phase == Phase::Moving) {
            return true;
        }
        self.is_full()
            && self.connections.get(conn).is_some_and(|connection| connection.outstanding > 0)
    }

    /// Whether as many requests wait for the disk as may.
    pub(crate) fn is_full(&self) -> bool {
        self.gate.len() + self.lines.len() + self.throttle.len()
            >= self.settings.rules.outstanding_max
    }

    /// The wall clock, in milliseconds since 1970.
    pub(crate) fn wall_ms(&self, now: Moment) -> i64 {
        let wall_ms = self.settings.origin_ms.saturating_add(now.as_millis());
        i64::try_from(wall_ms).unwrap_or(i64::MAX)
    }

    /// What a transaction is decided with.
    pub(crate) fn preparer<'a>(
        &'a mut self,
        session: SessionId,
        zxid: Zxid,
        identities: &'a [Identity],
    ) -> Preparer<'a> {
        let (time_ms, acl_room) = (self.wall_ms(self.now), self.entry_len_max());
        Preparer {
            tree: &mut self.tree,
            outstanding: &mut self.outstanding,
            schemes: &self.schemes,
            identities,
            session,
            zxid,
            time_ms,
            acl_room,
            extended_types: self.settings.rules.extended_types,
            enforce_quota: self.settings.rules.enforce_quota,
        }
    }

    /// Puts a request in line.
    pub(crate) fn wait(&mut self, mut waiting: Waiting) {
        waiting.large = std::mem::take(&mut self.large_request);
        let conn = waiting.to.map(|to| to.conn);
        if let Some(connection) = conn.and_then(|conn| self.connections.get_mut(conn)) {
            connection.outstanding += 1;
        }
        if self.peer.is_some() { self.lines.push(waiting) } else { self.gate.push(waiting) }
    }

    /// Whether nothing is before a request of this client.
    pub(crate) fn is_open(&self, conn: ConnId) -> bool {
        if self.peer.is_some() { self.lines.is_open(conn) } else { self.gate.is_open() }
    }

    /// Answers whatever has had to wait for this.
    fn persisted(&mut self, zxid: Zxid, out: &mut Outbox) {
        while let Some(waiting) = self.gate.pass(zxid) {
            self.let_go(&waiting);
            self.perform(waiting, out);
        }
    }

    /// Counts a request out that has waited.
    pub(crate) fn let_go(&mut self, waiting: &Waiting) {
        let conn = waiting.to.map(|to| to.conn);
        if let Some(connection) = conn.and_then(|conn| self.connections.get_mut(conn)) {
            connection.outstanding -= 1;
        }
    }

    /// Does what a request has waited for. Whoever is gone by then gets no answer.
    pub(crate) fn perform(&mut self, waiting: Waiting, out: &mut Outbox) {
        let to = waiting.to.filter(|to| self.connections.get(to.conn).is_some());
        let (op, since) = (waiting.op, waiting.since);
        match (waiting.work, to) {
            (Work::Apply(txn), to) => self.apply(txn, to, out),
            (Work::Commit | Work::Sync { .. }, _) | (_, None) => {}
            (Work::Read { body, identities }, Some(to)) => {
                self.read(to, op, &body, &identities, out);
            }
            (Work::End, Some(to)) => self.end_local(to, out),
            (Work::Refuse(error), Some(to)) => out.reply(to, self.last_processed, error),
            (Work::Unimplemented, Some(to)) => {
                out.reply(to, Zxid(-1), ErrorCode::Unimplemented);
                self.close(to.conn, out);
            }
        }
        if let Some(to) = to {
            self.answered(to, op, since);
        }
    }

    /// Counts an answer to what was asked at `since`.
    pub(crate) fn answered(&mut self, to: ReplyTo, op: OpCode, since: Moment) {
        let ms = u32::try_from(self.now.as_millis() - since.as_millis()).unwrap_or(u32::MAX);
        let kind = if op.is_write() { &mut self.stats.updates } else { &mut self.stats.reads };
        kind.note(ms);
        if let Some(connection) = self.connections.get_mut(to.conn) {
            connection.stats.answered(op, to.xid, self.last_processed, self.now);
            connection.stats.latency.note(ms);
        }
    }

    fn tick(&mut self, now: Moment, out: &mut Outbox) {
        while let Some((due, conn)) = self.handshakes.front().copied()
            && due <= now
        {
            self.handshakes.pop_front();
            if self.in_handshake(conn) {
                self.stats.sessionless += 1;
                self.close(conn, out);
            }
        }
        self.peer_tick(out);
        self.expire_due(now, out);
        if self.is_deciding() {
            self.reap(now, out);
        }
    }

    fn accept(&mut self, conn: ConnId, peer: SocketAddr, out: &mut Outbox) {
        let from_there = |connection: &&Connection| connection.peer.ip() == peer.ip();
        let crowded = self.settings.rules.connections_per_address_max.is_some_and(|max| {
            max > 0 && self.connections.iter().filter(from_there).count() >= max
        });
        self.connections.insert(conn, peer, self.now);
        out.forget_sent_to(conn);
        self.handshakes.push_back((self.now + HANDSHAKE_TIMEOUT, conn));
        if crowded || self.connections.len() > self.settings.rules.connections_max {
            self.stats.rejected += 1;
            self.close(conn, out);
        }
    }

    fn in_handshake(&self, conn: ConnId) -> bool {
        self.connections.get(conn).is_some_and(|found| found.phase == Phase::Handshake)
    }

    /// Drops what is done with at the front, so that no timer rings for it.
    pub(crate) fn forget_handshakes(&mut self) {
        while let Some((_, conn)) = self.handshakes.front().copied()
            && !self.in_handshake(conn)
        {
            self.handshakes.pop_front();
        }
    }

    fn four_letter_word(&mut self, conn: ConnId, word: Word, sizes: (u64, u64), out: &mut Outbox) {
        self.stats.received += 1;
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.stats.received += 1;
        }
        let answer = self.answer_word(word, sizes, out);
        out.text(conn, &answer);
        self.close(conn, out);
    }

    /// Ignores what else a connection sends; it will be closed behind an answer.
    pub(crate) fn stop_reading(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(conn)
            && let Phase::Open(slot) = connection.phase
        {
            connection.phase = Phase::Closing(slot);
        }
    }

    /// Closes a connection behind what was sent to it; its session lives on.
    pub(crate) fn close(&mut self, conn: ConnId, out: &mut Outbox) {
        if self.connections.get(conn).is_some() {
            out.close(conn);
            self.forget(conn);
        }
    }

    /// Forgets a connection that is no more, and with it its watches.
    fn forget(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.remove(conn) else {
            return;
        };
        self.stats.dropped += 1;
        self.lines.remove(conn);
        self.watches.remove_connection(conn.slot);
        if let Some(slot) = connection.phase.session()
            && let Some(session) = self.sessions.get_mut(slot)
            && session.conn == Some(conn)
        {
            session.conn = None;
        }
        self.forget_handshakes();
    }
}
