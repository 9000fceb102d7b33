//! [`TestingServer`]: the server, started and stopped from within a test.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use znode::proto::{SessionId, Zxid};
use znode::{Client, ConnectOptions};

use crate::admin::Whitelist;
use crate::io::acceptor::Acceptor;
use crate::io::disk::config_file::{self, ConfigFile};
use crate::io::disk::history::epochs;
use crate::io::disk::load::load;
use crate::io::disk::lock::DirectoryLock;
use crate::io::disk::storage::Files;
use crate::io::disk::{Disk, DiskOptions};
use crate::io::doors::{Doors, Open};
use crate::io::engine::Shared;
use crate::io::memory::MemoryConnector;
use crate::membership::Membership;
use crate::node::Node;
use crate::node::input::Input;
use crate::node::settings::Settings;
use crate::peer::{Epochs, QuorumPeer};
use crate::quorum::Quorums;
use crate::spec::InstanceSpec;
use crate::views::{NodeView, SessionView, WatchView};

/// A ZooKeeper server inside this process, on a port of its own.
///
/// It keeps its data in memory for as long as this value lives, also while it is stopped; or in
/// [files](InstanceSpec::data_dir), from which a restart reads them anew. It runs
/// on the runtime that started it, or on a [thread of its own](InstanceSpec::own_thread). On a
/// runtime whose clock is paused, with clients that come through [`connector`](Self::connector), a
/// session expires as soon as nothing else is left to do, and a run can be repeated exactly.
///
/// Dropping it stops it without waiting: connections are cut and the port is freed as soon as its
/// task, or its thread, is next scheduled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use znode_testing::TestingServer;
///
/// let server = TestingServer::start().await?;
/// assert!(server.connect_string().starts_with("127.0.0.1:"));
/// assert!(server.sessions().await.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestingServer {
    shared: Arc<Shared>,
    connector: MemoryConnector,
    /// Where it listens, also while it is stopped.
    doors: Doors,
    own_thread: bool,
    settings: Settings,
    /// Where its files are; nothing if it has none.
    disk: Option<DiskOptions>,
    /// What it is among others; nothing if it stands alone.
    membership: Option<Membership>,
    /// The task that serves; nothing while the server is stopped.
    running: Mutex<Option<Running>>,
}

/// A task that serves. Dropping it stops the task.
#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    /// Resolves when the task has ended.
    stopped: oneshot::Receiver<()>,
}

impl TestingServer {
    /// Starts a server as [`InstanceSpec::new`] describes it. When this returns, the server accepts
    /// connections.
    ///
    /// # Errors
    /// The operating system refuses a socket.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(InstanceSpec::new()).await
    }

    /// Starts a server. When this returns, it accepts connections.
    ///
    /// # Errors
    /// A port is taken, or the operating system refuses a socket or a thread. Certificates or keys
    /// cannot be used: then a `ServerTlsError` is in it, and says which. With
    /// [files](InstanceSpec::data_dir): one of them cannot be used, or does not hold all that it
    /// must; the message names the file and the place. Or another server runs on them: then the
    /// error holds a [`DirectoryInUse`](crate::DirectoryInUse).
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn start_with(spec: InstanceSpec) -> io::Result<Self> {
        let membership = match &spec.ensemble {
            Some(ensemble) => Some(Membership::over_tcp(ensemble, &spec)?),
            None => None,
        };
        Self::start_member(&spec, membership)
    }

    /// Starts a server, alone or as one of an ensemble.
    fn start_member(spec: &InstanceSpec, membership: Option<Membership>) -> io::Result<Self> {
        let opened = Doors::of(spec)?.open()?;
        Self::start_behind(opened, spec, membership)
    }

    /// Starts a server behind doors that are open, so that others know beforehand where they are.
    pub(crate) fn start_behind(
        (doors, open): (Doors, Open),
        spec: &InstanceSpec,
        membership: Option<Membership>,
    ) -> io::Result<Self> {
        let mut settings = settings(spec);
        if let Some(Membership { me, standalone_enabled, .. }) = &membership {
            settings.standalone_enabled = *standalone_enabled;
            settings.server_id = u8::try_from(me.0).unwrap_or(u8::MAX);
        }
        let mut disk = spec.disk.clone();
        if let (Some(disk), Some(Membership { me, config_file, .. })) = (&mut disk, &membership) {
            let file = config_file.clone().map(|path| ConfigFile { path, me: *me });
            disk.config_file = file;
        }
        let server = Self {
            shared: Shared::new(settings.clone()),
            settings,
            connector: MemoryConnector::new(),
            doors,
            own_thread: spec.own_thread,
            disk,
            membership,
            running: Mutex::new(None),
        };
        if server.disk.is_none() {
            let mut engine = server.shared.lock();
            server.join(&mut engine.node, None, Epochs::default());
        }
        server.serve(open)?;
        Ok(server)
    }

    /// What clients connect to over TCP: `127.0.0.1:PORT`, or another address that was asked for.
    /// It stays the same after a restart. A server that speaks nothing but TLS has
    /// `tls://127.0.0.1:PORT`.
    pub fn connect_string(&self) -> String {
        self.doors.connect_string()
    }

    /// Where it speaks TLS, if it does. A certificate is for a name or an address, which is what a
    /// client must be given, as in `tls://localhost:PORT`.
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.doors.secure()
    }

    /// Where operators ask, if they [may](InstanceSpec::admin).
    #[cfg(feature = "admin")]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.doors.admin()
    }

    /// Where Prometheus asks, if it [may](InstanceSpec::metrics).
    #[cfg(feature = "admin")]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.doors.metrics()
    }

    /// Connects a client through a pipe in memory.
    ///
    /// For other options, give [`connector`](Self::connector) to [`ConnectOptions::connector`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use znode::CreateMode;
    /// use znode_testing::TestingServer;
    ///
    /// let server = TestingServer::start().await?;
    /// let client = server.connect().await?;
    /// client.create("/greeting", b"hello", CreateMode::Ephemeral).await?;
    /// assert_eq!(server.ephemerals().await[&client.session_id()], ["/greeting"]);
    ///
    /// assert!(server.expire(client.session_id()).await);
    /// assert!(server.node("/greeting").await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What [`ConnectOptions::connect`] fails with; of a stopped server, that no connection came
    /// about in time.
    ///
    /// # Cancel safety
    /// As of [`ConnectOptions::connect`].
    pub async fn connect(&self) -> Result<Client, znode::Error> {
        let options = ConnectOptions::new().connector(self.connector());
        options.connect(&self.connect_string()).await
    }

    /// What connects clients of this process without a socket.
    pub fn connector(&self) -> MemoryConnector {
        self.connector.clone()
    }

    /// Stops the server: new connections are refused, then those that exist are cut, then the port
    /// is free. Sessions and data stay. Stopping a stopped server does nothing.
    ///
    /// # Cancel safety
    /// The stop takes its course from the first poll on; dropping the future only means not to wait
    /// for its end.
    pub async fn stop(&self) {
        if let Some(Running { stop, stopped }) = self.take_running() {
            self.connector.open(None);
            // Either end may be gone with its runtime; then it has stopped already.
            let _ = stop.send(());
            let _ = stopped.await;
        }
    }

    /// Resolves when the server has stopped by itself, which it does when it could not write, or
    /// not sync, one of its [files](InstanceSpec::data_dir). Nothing was acknowledged that the disk
    /// does not hold; [`restart`](Self::restart) reads what it does hold.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn failed(&self) -> io::Error {
        loop {
            let told = self.shared.has_failed.notified();
            if let Some(error) = self.shared.failure() {
                return io::Error::new(error.kind(), error.to_string());
            }
            told.await;
        }
    }

    /// Starts the server again, on the same port and with the same data; one that runs is stopped
    /// first. Every session gets its full timeout again, and its client may resume it. When this
    /// returns, the server accepts connections.
    ///
    /// # Errors
    /// Somebody else has taken the port in between; or as of [`start_with`](Self::start_with).
    ///
    /// # Cancel safety
    /// A server that ran may be left stopped; nothing else is lost.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop().await;
        let (_, open) = self.doors.open()?;
        self.serve(open)
    }

    /// Ends a session as the session tracker would: its ephemeral nodes go in one transaction,
    /// watchers are told, then its connection is closed without a word. False if there is no such
    /// session. Done when this returns, except for what is still on its way to clients.
    ///
    /// A follower of a cluster asks its leader to, who decides it later; without a leader nothing
    /// happens, and this is false.
    ///
    /// # Cancel safety
    /// Happens at the first poll.
    pub async fn expire(&self, session: SessionId) -> bool {
        let can = self.shared.lock().node.can_expire(session);
        self.shared.run([Input::Expire(session)]);
        can
    }

    /// Cuts every connection at once, answers on their way included. Sessions stay until they
    /// expire, and their clients may resume them.
    ///
    /// # Cancel safety
    /// Happens at the first poll.
    pub async fn drop_connections(&self) {
        self.shared.drop_connections();
    }

    /// Every session, in the order of the ids.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn sessions(&self) -> Vec<SessionView> {
        self.shared.lock().node.session_views()
    }

    /// The paths of the ephemeral nodes, sorted, of every session that has some.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn ephemerals(&self) -> BTreeMap<SessionId, Vec<String>> {
        self.shared.lock().node.ephemeral_views()
    }

    /// Every watch that stands, sorted by path and session.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn watches(&self) -> Vec<WatchView> {
        self.shared.lock().node.watch_views()
    }

    /// How many nodes there are, ZooKeeper's own four (`/` and what is under `/zookeeper`)
    /// included.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn znode_count(&self) -> usize {
        self.shared.lock().node.tree.len()
    }

    /// The last transaction that was applied.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn zxid(&self) -> Zxid {
        self.shared.lock().node.last_processed
    }

    /// The digest of the tree: a number that is the same on two servers exactly if their nodes are,
    /// but for those below `/zookeeper` and all access control lists. Zero if the server
    /// [keeps none](InstanceSpec::digest).
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn digest(&self) -> i64 {
        self.shared.lock().node.tree.digest().cast_signed()
    }

    /// The node at `path`, whatever its access control list says.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn node(&self, path: &str) -> Option<NodeView> {
        self.shared.lock().node.node_view(path)
    }

    /// How its files are kept, if it has some.
    pub(crate) fn disk_options(&self) -> Option<&DiskOptions> {
        self.disk.as_ref()
    }

    /// Reads the files, if there are any.
    fn load(&self) -> io::Result<()> {
        let Some(options) = &self.disk else { return Ok(()) };
        let lock = DirectoryLock::take(options)?;
        let files = Files::new(&options.faults);
        let mut loaded = load(&files, options, &self.settings)?;
        if self.membership.is_some() {
            let quorums = match self.settings.rules.reconfig_enabled {
                true => config_file::load(&files, options)?,
                false => None,
            };
            self.join(&mut loaded.node, quorums, epochs(&files, options)?);
            if let Some(peer) = loaded.node.peer.as_deref_mut() {
                peer.history.recall(loaded.before_recent, std::mem::take(&mut loaded.recent));
            }
        }
        let shared = Arc::downgrade(&self.shared);
        let seed = self.settings.hash_seed;
        let disk = Disk::start(options.clone(), lock, seed, loaded.replayed, shared)?;
        self.shared.install(loaded.node, disk);
        Ok(())
    }

    /// Makes a server one of its ensemble, with what it has. Without anything written down, it
    /// belongs to the one that it was made for.
    fn join(&self, node: &mut Node, quorums: Option<Quorums>, epochs: Epochs) {
        let Some(Membership { me, config, settings, .. }) = &self.membership else { return };
        let last = node.last_processed;
        let quorums = quorums.unwrap_or_else(|| Quorums::new(config.clone()));
        let (settings, epochs) = (settings.clone(), epochs.with_log(last));
        let peer = QuorumPeer::new(*me, settings, quorums, config, epochs, last);
        node.peer = Some(Box::new(peer));
    }

    /// The engine, for whoever runs several servers.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take_running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has a task serve whoever comes through these doors.
    fn serve(&self, doors: Open) -> io::Result<()> {
        self.load()?;
        // What was read from files does not know yet where it is.
        self.shared.told_ports(self.doors.plain(), self.doors.secure());
        let (stop, told_to_stop) = oneshot::channel();
        let (tell_stopped, stopped) = oneshot::channel();
        let (door, pipes) = mpsc::unbounded_channel();
        let peers = self.membership.as_ref().map(|membership| {
            let (tell, told) = mpsc::unbounded_channel();
            self.shared.connect_peers(tell);
            (membership.network.clone(), told)
        });
        let acceptor = Acceptor {
            shared: Arc::clone(&self.shared),
            doors,
            pipes,
            peers,
            stop: told_to_stop,
            stopped: tell_stopped,
        };
        if self.own_thread {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            std::thread::Builder::new()
                .name("znode-testing".to_owned())
                .spawn(move || runtime.block_on(acceptor.run()))?;
        } else {
            tokio::spawn(acceptor.run());
        }
        self.connector.open(Some(door));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Running { stop, stopped });
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the wall clock enters here, once")]
fn settings(spec: &InstanceSpec) -> Settings {
    let origin = spec.started_at.unwrap_or_else(SystemTime::now);
    let since_1970 = origin.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Settings {
        rules: spec.rules.clone(),
        server_id: 1,
        origin_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        #[cfg(feature = "tls")]
        x509: spec.secure.is_some(),
        #[cfg(not(feature = "tls"))]
        x509: false,
        nonce_seed: [0, 1].map(|part| RandomState::new().hash_one(part)),
        secure_client_port: None,
        dirs: spec.disk.as_ref().map(|disk| (disk.data_dir.clone(), disk.log_dir.clone())),
        words: Whitelist::parse(&spec.words),
        client_port: spec.port,
        durable: spec.disk.is_some(),
        standalone_enabled: true,
        // Never shows in what the server does: no table is iterated.
        hash_seed: RandomState::new().hash_one(0),
    }
}

impl Drop for TestingServer {
    fn drop(&mut self) {
        // Connectors may outlive the server; what they would connect to is gone.
        self.connector.open(None);
    }
}
