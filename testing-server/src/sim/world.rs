//! The servers, the links between them, and one list of events.

mod servers;

use std::collections::BTreeMap;
use std::time::Duration;

use znode::Moment;

use super::client::Client;
use super::disk::Disk;
use super::network::{End, Wire};
use super::oracle::Oracle;
use crate::node::Node;
use crate::node::input::{ConnId, Input, LinkKind};
use crate::peer::LocalSessions;
use crate::peer::planted::Bug;
use crate::quorum::member::{Member, Role};
use crate::quorum::{QuorumConfig, Sid};
use crate::random::Random;

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
