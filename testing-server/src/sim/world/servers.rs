//! What a server of the world is told, and what becomes of what it wants.

use std::time::Duration;

use znode::Moment;
use znode::proto::requests::ReconfigRequest;
use znode::proto::{ErrorCode, Zxid};

use super::{Event, TICK, World, member};
use crate::election::ElectionTimes;
use crate::node::Node;
use crate::node::input::Input;
use crate::node::outbox::{Outbox, Output};
use crate::node::settings::Settings;
use crate::peer::{Epochs, PeerSettings, QuorumPeer, Role as Doing};
use crate::quorum::member::Role;
use crate::quorum::{QuorumConfig, Sid};
use crate::sim::disk::Write;
use crate::sim::network::End;
use crate::zab::history::Entry;

impl World {
    fn settings(&self, server: usize) -> Settings {
        let server_id = u8::try_from(server + 1).expect("few servers");
        let session_timeout_min = Duration::from_millis(200);
        Settings {
            server_id, // One voter alone is an ensemble, too.
            standalone_enabled: false,
            ..Settings::ruled(|rules| {
                rules.session_timeout_min = session_timeout_min;
                rules.reconfig_enabled = self.reconfigures;
            })
        }
    }

    /// Who a server is told to be with when it first starts. One that is to join lists itself.
    fn told(&self, sid: Sid) -> QuorumConfig {
        let mut told = self.config.clone();
        let role = if sid.0 % 2 == 0 { Role::Participant } else { Role::Observer };
        told.members.entry(sid).or_insert_with(|| member(sid, role, 1));
        told
    }

    fn local(&self, server: usize) -> Moment {
        self.now + self.servers[server].skew
    }

    /// Starts a server with what its disk holds.
    pub(in crate::sim) fn start(&mut self, server: usize) {
        let sid = Sid(i64::try_from(server + 1).expect("few servers"));
        let settings = PeerSettings {
            tick: TICK,
            init_limit: TICK * 10,
            sync_limit: TICK * 5,
            redial_pause: Duration::from_millis(20),
            election: ElectionTimes {
                finalize_wait: Duration::from_millis(20),
                notification_min: Duration::from_millis(50),
                notification_max: Duration::from_millis(400),
            },
            committed_log: self.committed_log,
            local_sessions: self.local_sessions,
            read_only_after: self.read_only_after,
        };
        let node_settings = self.settings(server);
        let told = self.told(sid);
        let this = &mut self.servers[server];
        let node = match this.kept.take() {
            Some(kept) => kept,
            None => {
                let (mut node, epochs) = this.disk.load(&node_settings);
                let last = node.last_processed;
                let quorums = this.disk.quorums(&told);
                let mut peer = QuorumPeer::new(sid, settings, quorums, &told, epochs, last);
                let (base, logged) = this.disk.recent();
                peer.history.recall(base, logged);
                peer.planted.bug = self.planted;
                node.peer = Some(Box::new(peer));
                node
            }
        };
        this.applied = self.oracle.index(node.last_processed);
        this.incarnation += 1;
        this.node = Some(node);
        this.was_serving = false;
        this.armed = Moment::NEVER;
        this.is_paused = false;
        this.missed.clear();
        this.next_slot += 1000;
        self.input(server, Input::Restart);
    }

    /// Kills a server: its connections break, and its disk keeps what it has.
    pub(in crate::sim) fn kill(&mut self, server: usize) {
        let in_memory = self.in_memory;
        let random = &mut self.random;
        let this = &mut self.servers[server];
        let Some(node) = this.node.take() else { return };
        if in_memory {
            this.kept = Some(node);
        } else {
            this.disk.crash(random);
        }
        this.is_listening = false;
        this.is_paused = false;
        this.missed.clear();
        for (conn, wire) in std::mem::take(&mut this.ends) {
            self.send(End::Server(server, conn), wire.other, Vec::new());
        }
    }

    /// Gives a server one input and does what it wants done.
    pub(in crate::sim) fn input(&mut self, server: usize, input: Input<'_>) {
        let now = self.local(server);
        let Some(node) = self.servers[server].node.as_mut() else { return };
        let mut out = Outbox::default();
        let before = self.transcript.then(|| describe(node));
        node.step(now, input, &mut out);
        if let Some(before) = before {
            let after = describe(node);
            if before != after {
                println!("{:>9} server {server}: {after}", self.now.as_nanos() / 1000);
            }
        }
        self.done(server, &out);
    }

    /// A server has done something, and wants something done.
    fn done(&mut self, server: usize, out: &Outbox) {
        self.carry_out(server, out);
        self.judge(server);
        self.arm(server);
        // Memory needs no time.
        if std::mem::replace(&mut self.settling, true) {
            return;
        }
        while self.in_memory && !self.servers[server].disk.waiting.is_empty() {
            let incarnation = self.servers[server].incarnation;
            self.disk_done(server, incarnation);
        }
        self.settling = false;
    }

    /// Asks a leader for a reconfiguration. It may refuse, for reasons of its own.
    pub(in crate::sim) fn ask_reconfiguration(
        &mut self,
        server: usize,
        request: &ReconfigRequest<'_>,
    ) -> Result<Zxid, ErrorCode> {
        let now = self.local(server);
        let node = self.servers[server].node.as_mut().ok_or(ErrorCode::ConnectionLoss)?;
        let mut out = Outbox::default();
        let outcome = node.reconfigure(now, request, &mut out);
        if self.transcript {
            println!("{:>9} {request:?}: {outcome:?}", self.now.as_nanos() / 1000);
        }
        self.done(server, &out);
        outcome
    }

    fn arm(&mut self, server: usize) {
        let now = self.local(server);
        let this = &mut self.servers[server];
        let Some(node) = &this.node else { return };
        let next = node.next_deadline();
        if next < this.armed {
            this.armed = next;
            self.at(next.since(now), Event::Tick(server));
        }
    }

    fn carry_out(&mut self, server: usize, out: &Outbox) {
        for output in out.outputs() {
            match output {
                Output::Send { conn, range } => {
                    let bytes = out.bytes(range).to_vec();
                    if let Some(wire) = self.servers[server].ends.get(conn) {
                        let other = wire.other;
                        self.send(End::Server(server, *conn), other, bytes);
                    }
                }
                Output::Close { conn } => {
                    if let Some(wire) = self.servers[server].ends.remove(conn) {
                        self.send(End::Server(server, *conn), wire.other, Vec::new());
                    }
                }
                Output::Append { zxid, range } => {
                    let bytes = bytes::Bytes::copy_from_slice(out.bytes(range));
                    self.write(server, Write::Append(Entry { zxid: *zxid, bytes }));
                }
                Output::SaveEpoch { kind, epoch } => {
                    self.write(server, Write::Epoch(*kind, *epoch));
                }
                Output::SaveConfig { kind, config } => {
                    self.write(server, Write::Config(*kind, config.clone()));
                }
                Output::SaveSnapshot { zxid, range } => {
                    let bytes = bytes::Bytes::copy_from_slice(out.bytes(range));
                    let told = self.told_by_leader(server, *zxid);
                    self.write(server, Write::Snapshot(*zxid, bytes, told));
                }
                Output::Truncate { zxid } => self.write(server, Write::Truncate(*zxid)),
                Output::Reload { zxid } => self.write(server, Write::Reload(*zxid)),
                Output::Dial { kind, to, .. } => {
                    let target = usize::try_from(to.0 - 1).expect("few servers");
                    let incarnation = self.servers[server].incarnation;
                    let after = Duration::from_micros(self.random.between(50, 500));
                    self.at(after, Event::Dialed(server, incarnation, *kind, target));
                }
                Output::Listen { open } => self.servers[server].is_listening = *open,
                // Servers and clients find each other by numbers.
                Output::Move { .. } | Output::MoveClients { .. } => {}
                Output::Halt { why } => panic!("server {server} halts: {why}"),
            }
        }
    }

    fn write(&mut self, server: usize, write: Write) {
        let this = &mut self.servers[server];
        this.disk.waiting.push_back(write);
        let incarnation = this.incarnation;
        if this.disk.waiting.len() == 1 && !self.in_memory {
            let after = Duration::from_micros(self.random.between(1, self.disk_us * 2));
            self.at(after, Event::DiskDone(server, incarnation));
        }
    }

    pub(super) fn disk_done(&mut self, server: usize, incarnation: u32) {
        if self.servers[server].incarnation != incarnation || self.servers[server].node.is_none() {
            return;
        }
        let Some(write) = self.servers[server].disk.complete() else { return };
        if !self.servers[server].disk.waiting.is_empty() && !self.in_memory {
            let after = Duration::from_micros(self.random.between(1, self.disk_us * 2));
            self.at(after, Event::DiskDone(server, incarnation));
        }
        match write {
            Write::Append(entry) => self.input(server, Input::Persisted(entry.zxid)),
            Write::Epoch(kind, epoch) => self.input(server, Input::EpochSaved { kind, epoch }),
            Write::Config(..) | Write::Snapshot(..) | Write::Truncate(_) => {}
            Write::Reload(_) => {
                let (now, settings) = (self.local(server), self.settings(server));
                let this = &mut self.servers[server];
                let restored =
                    if self.in_memory { None } else { Some(this.disk.load(&settings).0) };
                let Some(node) = &mut this.node else { return };
                let mut out = Outbox::default();
                node.reloaded(now, restored, &mut out);
                this.applied = self.oracle.index(node.last_processed);
                self.carry_out(server, &out);
                self.arm(server);
            }
        }
    }
}

/// What a server does, in a few words.
fn describe(node: &Node) -> String {
    let Some(peer) = node.peer.as_deref() else { return String::new() };
    let role = match &peer.role {
        Doing::Looking => "looks".to_owned(),
        Doing::Leading(leader) => format!("leads {} {:?}", leader.epoch, leader.phase),
        Doing::Learning(learner) => format!("learns from {} {:?}", learner.leader, learner.phase),
    };
    let (last, committed) = (peer.history.last_logged(), peer.history.committed);
    let (processed, epochs) = (node.last_processed, peer.epochs);
    let Epochs { accepted, current } = epochs;
    format!(
        "{role}; logged {last} decided {committed} done {processed} epochs {accepted}/{current}"
    )
}
