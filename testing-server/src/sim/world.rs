//! The servers, the links between them, and one list of events.

use std::collections::BTreeMap;
use std::time::Duration;

use znode::Moment;
use znode::proto::requests::ReconfigRequest;
use znode::proto::{ErrorCode, Zxid};

use super::client::Client;
use super::disk::{Disk, Write};
use super::network::{End, Wire};
use super::oracle::Oracle;
use crate::election::ElectionTimes;
use crate::node::Node;
use crate::node::input::{ConnId, Input, LinkKind};
use crate::node::outbox::{Outbox, Output};
use crate::node::settings::Settings;
use crate::peer::planted::Bug;
use crate::peer::{Epochs, LocalSessions, PeerSettings, QuorumPeer, Role as Doing};
use crate::quorum::member::{Member, Role};
use crate::quorum::{QuorumConfig, Sid};
use crate::random::Random;
use crate::zab::history::Entry;

/// What happens at some time.
#[derive(Debug)]
pub(super) enum Event {
    /// A server's timer rings.
    Tick(usize),
    /// A server's disk is done with the first thing that waits.
    DiskDone(usize, u32),
    /// Bytes arrive, or, if there are none, the end.
    Arrive(End, End, Vec<u8>),
    /// A connection that was asked for comes about, or does not.
    Dialed(usize, u32, LinkKind, usize),
    /// A client does something.
    Client(usize),
    /// Something goes wrong, or is mended.
    Fault,
}

/// A server and everything around it.
#[derive(Debug)]
pub(super) struct Server {
    /// Nothing while it is down.
    pub(super) node: Option<Node>,
    /// A server in memory keeps this when it is killed.
    pub(super) kept: Option<Node>,
    pub(super) disk: Disk,
    /// Counts its starts: what was meant for an earlier one is lost.
    pub(super) incarnation: u32,
    pub(super) is_paused: bool,
    /// What has happened while it was paused.
    pub(super) missed: Vec<Event>,
    pub(super) is_listening: bool,
    next_slot: u32,
    pub(super) ends: BTreeMap<ConnId, Wire>,
    /// How many transactions it has applied, of all.
    pub(super) applied: usize,
    pub(super) was_serving: bool,
    armed: Moment,
    /// How much later than true time its clock is.
    pub(super) skew: Duration,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Moment,
    pub(super) random: Random,
    pub(super) servers: Vec<Server>,
    pub(super) clients: Vec<Client>,
    pub(super) oracle: Oracle,
    pub(super) events: BTreeMap<(Moment, u64), Event>,
    pub(super) sequence: u64,
    /// The time at which the last thing sent from one end arrives: nothing overtakes it.
    pub(super) order: BTreeMap<(End, End), Moment>,
    /// Directions between servers in which nothing arrives, and what waits there.
    pub(super) cut: BTreeMap<(usize, usize), Vec<Event>>,
    config: QuorumConfig,
    /// Whether who belongs to the ensemble changes.
    pub(super) reconfigures: bool,
    /// Whether servers keep their data in memory.
    pub(super) in_memory: bool,
    pub(super) faults_until: Moment,
    committed_log: usize,
    local_sessions: LocalSessions,
    read_only_after: Option<Duration>,
    disk_us: u64,
    /// What was done, as one number.
    pub(super) trace: u64,
    pub(super) steps: u64,
    /// A mistake that every server makes.
    planted: Option<Bug>,
    /// Whether memory is being written.
    settling: bool,
    /// Whether to print what servers do.
    pub(super) transcript: bool,
    /// Where all talk between servers is written down, if it is.
    pub(super) script: Option<Vec<String>>,
}

/// What a world consists of.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) participants: u32,
    pub(super) observers: u32,
    /// Servers that belong to nobody until they join.
    pub(super) spares: u32,
    pub(super) reconfigures: bool,
    pub(super) clients: usize,
    pub(super) timeout_ms: i32,
    pub(super) in_memory: bool,
    /// How many applied transactions each server remembers.
    pub(super) committed_log: usize,
    /// How long a disk takes, about.
    pub(super) disk_us: u64,
}

impl Layout {
    fn draw(random: &mut Random) -> Self {
        let reconfigures = random.once_in(3);
        Self {
            participants: *random.pick(&[3, 3, 3, 4, 5]),
            observers: u32::from(random.once_in(4)),
            spares: if reconfigures { *random.pick(&[0, 1, 1, 2]) } else { 0 },
            reconfigures,
            clients: 2 + random.below(3),
            timeout_ms: *random.pick(&[600, 2000, 4000]),
            in_memory: random.once_in(4),
            committed_log: *random.pick(&[1, 3, 10, 500]),
            disk_us: *random.pick(&[10, 200, 5000]),
        }
    }
}

const TICK: Duration = Duration::from_millis(100);

impl World {
    /// A world drawn from a seed, in which things go wrong.
    pub(super) fn new(seed: u64, planted: Option<Bug>) -> Self {
        let mut random = Random::new(seed, 0);
        let layout = Layout::draw(&mut random);
        let (clients, timeout_ms) = (layout.clients, layout.timeout_ms);
        let mut world = Self::empty(&layout, planted, random);
        let mut habits = Random::new(seed, 99);
        if habits.once_in(4) {
            world.local_sessions = LocalSessions::Upgrade;
        }
        if habits.once_in(4) {
            world.read_only_after = Some(TICK * 3);
        }
        for client in 0..clients {
            let random = Random::new(seed, 100 + client as u64);
            world.clients.push(Client::new(client, random, timeout_ms));
        }
        for server in 0..world.servers.len() {
            let skew = Duration::from_millis(world.random.between(0, 1000));
            world.servers[server].skew = skew;
            world.start(server);
        }
        for client in 0..world.clients.len() {
            let at = world.random.between(0, 300);
            world.at(Duration::from_millis(at), Event::Client(client));
        }
        world.at(Duration::from_millis(500), Event::Fault);
        world
    }

    /// A world in which nothing happens that nobody asks for, and all talk is written down.
    pub(super) fn quiet(layout: &Layout) -> Self {
        let mut world = Self::empty(layout, None, Random::new(0, 0));
        for client in 0..layout.clients {
            let random = Random::new(0, 100 + client as u64);
            world.clients.push(Client::new(client, random, layout.timeout_ms));
        }
        world.script = Some(Vec::new());
        world
    }

    fn empty(layout: &Layout, planted: Option<Bug>, random: Random) -> Self {
        let count = layout.participants;
        let members = (1..=count + layout.observers).map(|sid| {
            let role = if sid > count { Role::Observer } else { Role::Participant };
            let sid = Sid(i64::from(sid));
            (sid, member(sid, role, 1))
        });
        let config = QuorumConfig::majority(members.collect());
        let servers = count + layout.observers + layout.spares;
        Self {
            now: Moment::START,
            servers: (0..servers).map(|_| Server::new()).collect(),
            reconfigures: layout.reconfigures,
            clients: Vec::new(),
            oracle: Oracle::default(),
            events: BTreeMap::new(),
            sequence: 0,
            order: BTreeMap::new(),
            cut: BTreeMap::new(),
            config,
            in_memory: layout.in_memory,
            faults_until: Moment::START + Duration::from_secs(20),
            committed_log: layout.committed_log,
            local_sessions: LocalSessions::No,
            read_only_after: None,
            disk_us: layout.disk_us,
            trace: 0,
            steps: 0,
            planted,
            settling: false,
            transcript: std::env::var_os("ZNODE_SIM_TRANSCRIPT").is_some(),
            script: None,
            random,
        }
    }

    /// Has something happen after a while.
    pub(super) fn at(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + after, self.sequence), event);
    }

    /// Does the next thing, if it is due by `end`.
    pub(super) fn step(&mut self, end: Moment) -> bool {
        let Some(next) = self.events.first_entry() else { return false };
        if next.key().0 > end {
            self.now = end;
            return false;
        }
        let ((at, _), event) = next.remove_entry();
        self.now = at;
        self.steps += 1;
        self.happen(event);
        true
    }

    pub(super) fn happen(&mut self, event: Event) {
        let server = match &event {
            Event::Tick(server) | Event::DiskDone(server, _) | Event::Dialed(server, ..) => {
                Some(*server)
            }
            Event::Arrive(_, End::Server(server, _), _) => Some(*server),
            _ => None,
        };
        if let Some(server) = server.filter(|server| self.servers[*server].is_paused) {
            self.servers[server].missed.push(event);
            return;
        }
        match event {
            Event::Tick(server) => {
                self.servers[server].armed = Moment::NEVER;
                self.input(server, Input::Tick);
            }
            Event::DiskDone(server, incarnation) => self.disk_done(server, incarnation),
            Event::Arrive(from, to, bytes) => self.arrive(from, to, &bytes),
            Event::Dialed(server, incarnation, kind, to) => {
                self.dialed(server, incarnation, kind, to);
            }
            Event::Client(client) => self.client(client),
            Event::Fault => self.fault(),
        }
    }

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
    pub(super) fn start(&mut self, server: usize) {
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
    pub(super) fn kill(&mut self, server: usize) {
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
    pub(super) fn input(&mut self, server: usize, input: Input<'_>) {
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
    pub(super) fn ask_reconfiguration(
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

    fn disk_done(&mut self, server: usize, incarnation: u32) {
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

    pub(super) fn note(&mut self, what: u64) {
        let now = self.now.as_nanos();
        self.trace = self.trace.rotate_left(5).wrapping_mul(0x9e37_79b9).wrapping_add(what ^ now);
    }
}

/// A server as a configuration names it.
pub(super) fn member(sid: Sid, role: Role, quorum_port: u16) -> Member {
    let text = format!("h{}:{quorum_port}:2:{role};9", sid.0);
    text.parse().expect("that is a member")
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

impl Server {
    fn new() -> Self {
        Self {
            node: None,
            kept: None,
            disk: Disk::default(),
            incarnation: 0,
            is_paused: false,
            missed: Vec::new(),
            is_listening: false,
            next_slot: 0,
            ends: BTreeMap::new(),
            applied: 0,
            was_serving: false,
            armed: Moment::NEVER,
            skew: Duration::ZERO,
        }
    }

    /// A number for a new connection, used once.
    pub(super) fn open(&mut self) -> ConnId {
        // Slots are used again, as a shell does.
        let used = |slot: u32| self.ends.keys().any(|conn| conn.slot == slot);
        let slot = (0..).find(|slot| !used(*slot)).expect("few connections");
        self.next_slot += 1;
        ConnId { slot, generation: self.next_slot }
    }

    /// Cuts every connection to a server, or to clients.
    pub(super) fn wires_to(&self, other: usize) -> Vec<(ConnId, End)> {
        let to = |wire: &Wire| matches!(wire.other, End::Server(server, _) if server == other);
        let ends = self.ends.iter().filter(|(_, wire)| to(wire));
        ends.map(|(conn, wire)| (*conn, wire.other)).collect()
    }
}
