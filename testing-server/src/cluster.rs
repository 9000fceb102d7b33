//! [`TestingCluster`]: a whole ensemble, started and torn apart from within a test.

mod members;
mod trouble;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
#[cfg(feature = "simulation")]
use std::time::SystemTime;

use tokio::time::timeout;
use znode::proto::{SessionId, Zxid};
use znode::{Client, ConnectOptions, Connecting, Connector, HostPort};

use crate::election::ElectionTimes;
use crate::io::doors::{Doors, Open};
use crate::io::memory::MemoryConnector;
use crate::io::peers::Network;
use crate::io::peers::switchboard::Switchboard;
use crate::membership::Membership;
use crate::node::Node;
use crate::peer::{LocalSessions, PeerSettings};
use crate::quorum::member::{Member, MemberAddress, Role};
use crate::quorum::{QuorumConfig, Sid};
use crate::server::TestingServer;
use crate::spec::InstanceSpec;
use crate::zab::history::COMMITTED_LOG_MAX;
use crate::zab::stream::FORWARDED_LEN_MAX;

/// How many ticks a leader and its learners may take to find together.
const INIT_LIMIT: u32 = 10;

/// How many ticks they may not hear of each other.
const SYNC_LIMIT: u32 = 5;

/// What the numbers of servers are added to, where ports are but names.
const NAMED_PORT: u64 = 2180;

/// How long starting a cluster may take before it is given up.
const START_LIMIT: Duration = Duration::from_secs(30);

/// An ensemble of ZooKeeper servers inside this process: a leader that was elected, followers,
/// observers, and the network between them.
///
/// Servers are numbered from 1. Each has a port of its own for clients, keeps its data in memory
/// for as long as this value lives, and runs on the runtime that started it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use znode::CreateMode;
/// use znode_testing::TestingCluster;
///
/// let cluster = TestingCluster::start(3).await?;
/// let client = cluster.connect().await?;
/// client.create("/kept", b"", CreateMode::Persistent).await?;
///
/// let leader = cluster.leader().await;
/// cluster.kill(leader).await;
/// assert_ne!(cluster.leader().await, leader);
///
/// cluster.restart(leader).await?;
/// cluster.await_converged().await;
/// assert!(cluster.server(leader).node("/kept").await.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestingCluster {
    servers: BTreeMap<u64, TestingServer>,
    spec: Box<ClusterSpec>,
    switchboard: Switchboard,
    connector: ClusterConnector,
}

/// The specification of a cluster.
///
/// ```
/// use std::time::Duration;
/// use znode_testing::{ClusterSpec, InstanceSpec};
///
/// let spec = ClusterSpec::new(3)
///     .observers(1)
///     .each(InstanceSpec::new().tick(Duration::from_millis(50)));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a specification does nothing until a cluster is started with it"]
pub struct ClusterSpec {
    participants: u64,
    observers: u64,
    each: InstanceSpec,
    others: BTreeMap<u64, InstanceSpec>,
    finalize_wait: Duration,
    local_sessions: LocalSessions,
    read_only_after: Option<Duration>,
    reconfig_enabled: bool,
}

impl ClusterSpec {
    /// A cluster of so many servers that vote, each as [`InstanceSpec::new`] describes it.
    pub fn new(participants: u64) -> Self {
        Self {
            participants,
            observers: 0,
            each: InstanceSpec::new(),
            others: BTreeMap::new(),
            finalize_wait: Duration::from_millis(10),
            local_sessions: LocalSessions::No,
            read_only_after: None,
            reconfig_enabled: true,
        }
    }

    /// Adds servers that only observe. They have the highest numbers.
    pub fn observers(mut self, count: u64) -> Self {
        self.observers = count;
        self
    }

    /// Sets what each server is like. Its port counts for nothing, since each needs another; with
    /// [files](InstanceSpec::data_dir), each has a folder of its own in that directory: `1`, `2`
    /// and so on.
    pub fn each(mut self, spec: InstanceSpec) -> Self {
        self.each = spec;
        self
    }

    /// Sets what one server is like, in place of what [`each`](Self::each) is. The tick is that of
    /// all.
    pub fn server(mut self, id: u64, spec: InstanceSpec) -> Self {
        self.others.insert(id, spec);
        self
    }

    /// The same without sockets, files or threads, and with wall clocks that begin at `time`.
    #[cfg(feature = "simulation")]
    pub(crate) fn simulated(mut self, time: SystemTime) -> Self {
        for spec in std::iter::once(&mut self.each).chain(self.others.values_mut()) {
            (spec.disk, spec.own_thread, spec.started_at) = (None, false, Some(time));
            spec.has_sockets = false;
        }
        self
    }

    /// How many servers there are.
    pub(crate) fn count(&self) -> u64 {
        self.participants + self.observers
    }

    fn instance(&self, id: u64) -> InstanceSpec {
        let spec = self.others.get(&id).unwrap_or(&self.each).clone();
        // Where there are no sockets, ports are names.
        let named = u16::try_from(NAMED_PORT + id).unwrap_or(u16::MAX);
        let port = if spec.has_sockets { 0 } else { named };
        let spec = spec.port(port).tick(self.each.rules.tick);
        let mut spec = spec.reconfig_enabled(self.reconfig_enabled);
        if let Some(disk) = &mut spec.disk {
            for dir in [&mut disk.data_dir, &mut disk.log_dir] {
                dir.push(id.to_string());
            }
            // Each disk fails by itself.
            disk.faults = Arc::default();
        }
        spec
    }

    /// Sets how long an election waits for a better candidate once enough servers agree, which is
    /// 10 ms to start with; Apache's servers wait for 200. Nobody waits once everybody agrees.
    pub fn finalize_wait(mut self, wait: Duration) -> Self {
        self.finalize_wait = wait;
        self
    }

    /// Has every session begin on one server alone, which costs the others nothing and ends with
    /// that server: `localSessionsEnabled`. If they `upgrade` it becomes an ordinary one before it
    /// gets its first ephemeral node; if not, such a node is refused
    /// ([`EphemeralOnLocalSession`](znode::ErrorKind::EphemeralOnLocalSession)).
    pub fn local_sessions(mut self, upgrade: bool) -> Self {
        self.local_sessions = if upgrade { LocalSessions::Upgrade } else { LocalSessions::Stay };
        self
    }

    /// Has a server that finds no leader for so long serve clients that only read:
    /// `readonlymode.enabled`, for which Apache's servers wait two seconds, or a tick if that is
    /// longer. Their sessions live on that server alone, and end when it finds a leader.
    pub fn read_only_after(mut self, wait: Duration) -> Self {
        self.read_only_after = Some(wait);
        self
    }

    /// Sets whether servers may join, leave and change (`reconfigEnabled`), which they may to start
    /// with. If not, the configuration that clients read never changes. It is the same for all, in
    /// place of what [`each`](Self::each) says.
    pub fn reconfig_enabled(mut self, enabled: bool) -> Self {
        self.reconfig_enabled = enabled;
        self
    }

    fn peer_settings(&self) -> PeerSettings {
        let tick = self.each.rules.tick;
        PeerSettings {
            tick,
            init_limit: tick * INIT_LIMIT,
            sync_limit: tick * SYNC_LIMIT,
            redial_pause: Duration::from_millis(2),
            election: ElectionTimes {
                finalize_wait: self.finalize_wait,
                notification_min: self.finalize_wait * 5,
                notification_max: Duration::from_secs(1),
            },
            committed_log: COMMITTED_LOG_MAX,
            local_sessions: self.local_sessions,
            read_only_after: self.read_only_after,
        }
    }
}

/// A server as the configuration names it. Only clients connect there; how the others are reached
/// merely stands in what clients read.
fn member(sid: u64, role: Role, doors: &Doors) -> Member {
    let port = |base: u64| u16::try_from(base + sid).unwrap_or(u16::MAX);
    let host = "127.0.0.1".to_owned();
    let client = doors.plain().or(doors.secure());
    let client = client.map(|at| (at.ip().to_string(), at.port()));
    let address = MemberAddress { host, quorum_port: port(2888), election_port: port(3888) };
    Member { addresses: vec![address], role, client, secure_client: None }
}

fn number(sid: u64) -> Sid {
    Sid(i64::try_from(sid).unwrap_or(i64::MAX))
}

impl TestingCluster {
    /// Starts so many servers that vote. When this returns they have elected a leader, and all of
    /// them serve clients.
    ///
    /// # Errors
    /// As of [`start_with`](Self::start_with).
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn start(participants: u64) -> io::Result<Self> {
        Self::start_with(ClusterSpec::new(participants)).await
    }

    /// Starts a cluster. When this returns its servers have elected a leader, and all of them serve
    /// clients.
    ///
    /// # Errors
    /// The operating system refuses a socket; there are no servers, or more than 254, of which
    /// session ids could not tell; or clients may send
    /// [longer frames](InstanceSpec::frame_len_max) than servers pass on to each other.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn start_with(spec: ClusterSpec) -> io::Result<Self> {
        let count = spec.count();
        if spec.participants == 0 || count > 254 {
            let why =
                format!("{count} servers, {} of which vote: must be 1 to 254", spec.participants);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut cluster = Self {
            servers: BTreeMap::new(),
            spec: Box::new(spec),
            switchboard: Switchboard::default(),
            connector: ClusterConnector::default(),
        };
        // Everybody is told where clients find everybody.
        let opened = (1..=count).map(|id| Ok((id, Doors::of(&cluster.spec.instance(id))?.open()?)));
        let opened = opened.collect::<io::Result<Vec<_>>>()?;
        let participants = cluster.spec.participants;
        let members = opened.iter().map(|(id, (doors, _))| {
            let role = if *id > participants { Role::Observer } else { Role::Participant };
            (number(*id), member(*id, role, doors))
        });
        let config = QuorumConfig::majority(members.collect());
        for (id, opened) in opened {
            let spec = cluster.spec.instance(id);
            cluster.add(id, opened, config.clone(), &spec)?;
        }
        let all_serve = || cluster.servers.values().all(|server| look(server, Node::is_serving));
        if timeout(START_LIMIT, cluster.until(all_serve)).await.is_err() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no leader was elected"));
        }
        Ok(cluster)
    }

    /// Starts one more server, which is told that these are the members.
    fn add(
        &mut self,
        id: u64,
        opened: (Doors, Open),
        config: QuorumConfig,
        spec: &InstanceSpec,
    ) -> io::Result<()> {
        let max = spec.rules.frame_len_max;
        if max > FORWARDED_LEN_MAX {
            let why =
                format!("frame_len_max {max}: in a cluster, must be at most {FORWARDED_LEN_MAX}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let me = number(id);
        let membership = Membership {
            me,
            config,
            settings: self.spec.peer_settings(),
            config_file: spec.disk.as_ref().map(|disk| disk.data_dir.join("zoo.cfg")),
            standalone_enabled: false,
            network: Network::Memory(self.switchboard.plug(me)),
        };
        let server = TestingServer::start_behind(opened, spec, Some(membership))?;
        self.connector.servers().insert(server.connect_string(), server.connector());
        self.servers.insert(id, server);
        Ok(())
    }

    /// What clients connect to over TCP: the addresses of all servers.
    pub fn connect_string(&self) -> String {
        let addresses = self.servers.values().map(TestingServer::connect_string);
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Connects a client through pipes in memory, to whichever server lets it in.
    ///
    /// # Errors
    /// What [`ConnectOptions::connect`] fails with.
    ///
    /// # Cancel safety
    /// As of [`ConnectOptions::connect`].
    pub async fn connect(&self) -> Result<Client, znode::Error> {
        let options = ConnectOptions::new().connector(self.connector());
        options.connect(&self.connect_string()).await
    }

    /// What connects clients of this process without a socket, to any of the addresses in
    /// [`connect_string`](Self::connect_string).
    pub fn connector(&self) -> ClusterConnector {
        self.connector.clone()
    }

    /// The numbers of all servers, also of those that are down.
    pub fn ids(&self) -> Vec<u64> {
        self.servers.keys().copied().collect()
    }

    /// One server.
    ///
    /// # Panics
    /// If there is none with this number.
    pub fn server(&self, id: u64) -> &TestingServer {
        match self.servers.get(&id) {
            Some(server) => server,
            None => panic!("there is no server {id}: there are 1 to {}", self.servers.len()),
        }
    }

    /// The server that leads, waited for if there is none. Of several that believe to, the one of
    /// the newest epoch.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn leader(&self) -> u64 {
        loop {
            let moved = self.moved();
            let leading = self.servers.iter().filter(|(_, server)| server.is_running());
            let leading = leading.filter(|(_, server)| look(server, Node::is_deciding));
            let epoch = |server: &TestingServer| look(server, Node::epoch);
            if let Some((id, _)) = leading.max_by_key(|(_, server)| epoch(server)) {
                return *id;
            }
            moved.await;
        }
    }

    /// Waits until every server that runs and is not paused serves clients, with the same data and
    /// the same sessions.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn await_converged(&self) {
        self.until(|| {
            let running = self.servers.values().filter(|server| server.is_running());
            let mut states = running.filter_map(state);
            let Some(Some(first)) = states.next() else { return false };
            states.all(|state| state.as_ref() == Some(&first))
        })
        .await;
    }

    async fn until(&self, done: impl Fn() -> bool) {
        loop {
            let moved = self.moved();
            if done() {
                return;
            }
            moved.await;
        }
    }

    /// Resolves when any server has done anything after this call.
    fn moved(&self) -> impl Future<Output = ()> + '_ {
        let servers = self.servers.values();
        let notices = servers.map(|server| {
            let mut notice = Box::pin(server.shared().has_moved.notified());
            // From now on, and not from the first poll on.
            notice.as_mut().enable();
            notice
        });
        let mut notices: Vec<_> = notices.collect();
        std::future::poll_fn(move |context| {
            let rung = notices.iter_mut().any(|notice| notice.as_mut().poll(context).is_ready());
            if rung { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
    }
}

/// What a server and the others agree on, once they do; nothing yet if it does not serve, and
/// nothing at all if it is paused.
#[expect(clippy::option_option, reason = "the two have nothing to do with each other")]
fn state(server: &TestingServer) -> Option<Option<(Zxid, u64, Vec<SessionId>)>> {
    let mut engine = server.shared().lock();
    if engine.is_paused() {
        return None;
    }
    let node = &mut engine.node;
    if !node.is_serving() || !node.is_settled() {
        return Some(None);
    }
    let digest = node.tree.digest();
    let sessions = node.sessions.iter().filter(|session| session.is_opened());
    let sessions = sessions.map(|session| session.id).collect();
    Some(Some((node.last_processed, digest, sessions)))
}

fn look<T>(server: &TestingServer, what: impl FnOnce(&Node) -> T) -> T {
    what(&server.shared().lock().node)
}

/// Connects clients of the same process to the servers of a [`TestingCluster`], each by its
/// address, through pipes in memory.
#[derive(Debug, Clone, Default)]
pub struct ClusterConnector {
    servers: Arc<Mutex<BTreeMap<String, MemoryConnector>>>,
}

impl ClusterConnector {
    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, MemoryConnector>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector for ClusterConnector {
    fn connect(&self, host: &HostPort) -> Connecting {
        match self.servers().get(&host.to_string()) {
            Some(server) => server.connect(host),
            None => {
                let why = format!("{host} is no server of this cluster");
                let error = io::Error::new(io::ErrorKind::NotFound, why);
                Box::pin(async move { Err(error) })
            }
        }
    }
}
