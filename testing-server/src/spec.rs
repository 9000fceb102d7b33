//! What a testing server is told before it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use znode::Secret;

use crate::Ensemble;
use crate::auth::Scheme;
#[cfg(feature = "admin")]
use crate::io::desk::AdminPort;
use crate::io::disk::{Compression, DiskOptions};
#[cfg(feature = "tls")]
use crate::io::tls::{PeerTls, SecurePort, ServerTls};
use crate::node::faults::Release;
use crate::node::rules::Rules;

/// The specification of one server.
///
/// ```
/// use std::time::Duration;
/// use znode_testing::InstanceSpec;
///
/// let spec = InstanceSpec::new()
///     .tick(Duration::from_millis(50))
///     .session_timeout_limits(Duration::from_millis(100), Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a specification does nothing until a server is started with it"]
pub struct InstanceSpec {
    /// What the server itself is to know.
    pub(crate) rules: Rules,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Whether clients can come over the network at all.
    pub(crate) has_sockets: bool,
    pub(crate) own_thread: bool,
    pub(crate) started_at: Option<SystemTime>,
    #[cfg(feature = "admin")]
    pub(crate) admin: Option<AdminPort>,
    #[cfg(feature = "admin")]
    pub(crate) metrics: Option<SocketAddr>,
    #[cfg(feature = "tls")]
    pub(crate) secure: Option<SecurePort>,
    #[cfg(feature = "tls")]
    pub(crate) plain: Plain,
    #[cfg(feature = "tls")]
    pub(crate) peer_tls: Option<PeerTls>,
    pub(crate) words: String,
    pub(crate) disk: Option<DiskOptions>,
    pub(crate) ensemble: Option<Ensemble>,
}

impl InstanceSpec {
    /// A server on a free port of 127.0.0.1, with a tick of 100 ms, session timeouts between 200 ms
    /// and 60 s, and nodes that may have a time to live.
    ///
    /// Apache's limits are two and twenty ticks. The lower one is kept, since it says what the
    /// tick can measure; the upper one would cut the usual ten seconds down to two.
    pub fn new() -> Self {
        Self {
            rules: Rules::new(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            has_sockets: true,
            own_thread: false,
            started_at: None,
            #[cfg(feature = "admin")]
            admin: None,
            #[cfg(feature = "admin")]
            metrics: None,
            #[cfg(feature = "tls")]
            secure: None,
            #[cfg(feature = "tls")]
            plain: Plain::Only,
            #[cfg(feature = "tls")]
            peer_tls: None,
            words: "*".to_owned(),
            disk: None,
            ensemble: None,
        }
    }

    /// Makes the server one of an ensemble, whose other servers it reaches over TCP: ours, or
    /// Apache's. For several servers in one process there is
    /// [`TestingCluster`](crate::TestingCluster).
    ///
    /// An [`Ensemble`] comes from a [`Config`](crate::Config).
    pub fn ensemble(mut self, ensemble: Ensemble) -> Self {
        self.ensemble = Some(ensemble);
        self
    }

    /// Keeps its data in files below `dir`, as Apache ZooKeeper does, instead of in memory alone: a
    /// transaction log and snapshots, in `version-2`. What is there is read when the server starts.
    ///
    /// Every write is synced to the disk before it is acknowledged. The disk takes its time,
    /// whatever a test's clock says, so this is not for clocks that are paused. Stop a server
    /// before another one is started on its files, which would be refused with a
    /// [`DirectoryInUse`](crate::DirectoryInUse).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use znode::CreateMode;
    /// use znode_testing::{InstanceSpec, TestingServer};
    ///
    /// let dir = std::env::temp_dir().join(format!("znode-doc-{}", std::process::id()));
    /// let server = TestingServer::start_with(InstanceSpec::new().data_dir(&dir)).await?;
    /// server.connect().await?.create("/kept", b"", CreateMode::Persistent).await?;
    /// server.stop().await;
    ///
    /// let server = TestingServer::start_with(InstanceSpec::new().data_dir(&dir)).await?;
    /// assert!(server.node("/kept").await.is_some());
    /// # server.stop().await;
    /// # std::fs::remove_dir_all(&dir)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.disk = Some(DiskOptions::new(dir.into()));
        self
    }

    /// Sets whether writes are synced to the disk before they are acknowledged: `forceSync`, on by
    /// default. Without it a power cut may take acknowledged writes away; a crash of the server
    /// alone does not.
    ///
    /// # Panics
    /// If no [`data_dir`](Self::data_dir) was set before.
    pub fn force_sync(mut self, enabled: bool) -> Self {
        self.disk_options().force_sync = enabled;
        self
    }

    /// Sets after how many transactions a snapshot is taken and a new log begun: `snapCount`,
    /// 100,000 by default. It is done between a half and the whole of that.
    ///
    /// The server goes on meanwhile. What it changes is kept as it was for as long as it takes, so
    /// a snapshot is exactly of one transaction.
    ///
    /// # Panics
    /// If no [`data_dir`](Self::data_dir) was set before.
    pub fn snap_count(mut self, transactions: u32) -> Self {
        self.disk_options().snap_count = transactions;
        self
    }

    /// Sets how many snapshots are kept, at least three: older ones, and logs that none of those
    /// needs, are removed whenever a snapshot is taken. By default all are kept.
    ///
    /// # Panics
    /// If no [`data_dir`](Self::data_dir) was set before.
    pub fn snapshots_kept(mut self, count: usize) -> Self {
        self.disk_options().snapshots_kept = Some(count);
        self
    }

    /// Sets whether snapshots are compressed with gzip (`snapshot.compression.method=gz`). Both
    /// kinds are read, whatever is set.
    ///
    /// # Panics
    /// If no [`data_dir`](Self::data_dir) was set before.
    pub fn compress_snapshots(mut self, enabled: bool) -> Self {
        self.disk_options().compression =
            if enabled { Compression::Gzip } else { Compression::None };
        self
    }

    /// Where the server listens; a port of 0 is any that is free.
    pub fn listen_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Where the server listens for plain text; nothing if it speaks TLS alone.
    pub fn plain_address(&self) -> Option<SocketAddr> {
        #[cfg(feature = "tls")]
        if self.plain == Plain::Absent {
            return None;
        }
        Some(self.listen_address())
    }

    pub(crate) fn disk_options(&mut self) -> &mut DiskOptions {
        self.disk.as_mut().expect("what concerns files comes after data_dir()")
    }

    /// Listens on this address instead of 127.0.0.1.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Listens on this port; 0 is any that is free, and the default.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets how exactly sessions expire: between their timeout and one tick later. The limits of
    /// session timeouts stay as they are.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.rules.tick = tick;
        self
    }

    /// Sets the shortest and the longest session timeout that is granted, whatever clients ask for.
    pub fn session_timeout_limits(mut self, min: Duration, max: Duration) -> Self {
        self.rules.session_timeout_min = min;
        self.rules.session_timeout_max = max.max(min);
        self
    }

    /// Runs the server on a thread of its own, with a clock of its own that no test can pause,
    /// instead of on the caller's runtime.
    pub fn own_thread(mut self) -> Self {
        self.own_thread = true;
        self
    }

    /// Sets whether nodes may have a time to live: `extendedTypesEnabled`, which Apache leaves off.
    pub fn extended_types(mut self, enabled: bool) -> Self {
        self.rules.extended_types = enabled;
        self
    }

    /// Lets whoever computes to this digest do everything (`superDigest`): `user:hash`, where the
    /// hash is the base64 of the SHA-1 of `user:password`.
    pub fn super_digest(mut self, digest: impl Into<String>) -> Self {
        self.rules.super_digest = Some(digest.into());
        self
    }

    /// Sets how often the server looks for containers that have lost their last child and for nodes
    /// whose time to live is over, to delete them (`znode.container.checkIntervalMs`): every minute
    /// to start with, as Apache does.
    pub fn container_checks(mut self, interval: Duration) -> Self {
        self.rules.container_check_interval = interval;
        self
    }

    /// Sets how many of them the server deletes in a minute (`znode.container.maxPerMinute`):
    /// 10000 to start with, evenly spread.
    pub fn containers_per_minute(mut self, max: u32) -> Self {
        self.rules.containers_per_minute_max = max;
        self
    }

    /// Sets how long a container lives that never had a child
    /// (`znode.container.maxNeverUsedIntervalMs`): for ever to start with.
    pub fn unused_containers(mut self, max: Duration) -> Self {
        self.rules.container_never_used_max = Some(max);
        self
    }

    /// Sets whether the hard limits of quotas hold (`enforceQuota`), which Apache leaves off.
    pub fn enforce_quota(mut self, enforce: bool) -> Self {
        self.rules.enforce_quota = enforce;
        self
    }

    /// Sets whether nobody is asked for a permission (`skipACL`).
    pub fn skip_acl(mut self, skip: bool) -> Self {
        self.rules.skip_acl = skip;
        self
    }

    /// Registers an authentication scheme beside `digest` and `ip`; one of the same name takes the
    /// place of those.
    pub fn scheme(mut self, scheme: impl Scheme + 'static) -> Self {
        self.rules.schemes.push(Arc::new(scheme));
        self
    }

    /// Listens on a second port that speaks TLS (`secureClientPort`): a free one, unless
    /// [`secure_port`](Self::secure_port) says which.
    ///
    /// A client that shows a certificate is known by its subject, which access control lists name
    /// as `x509:CN=billing,O=example`, in the form and order of RFC 2253.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        let port = self.secure.and_then(|secure| secure.port).unwrap_or(0);
        self.secure = Some(SecurePort { address: None, port: Some(port), tls });
        self
    }

    /// Speaks TLS on this port; 0 is any that is free, and the default.
    ///
    /// # Panics
    /// If [`tls`](Self::tls) was not called before.
    #[cfg(feature = "tls")]
    pub fn secure_port(mut self, port: u16) -> Self {
        self.secure.as_mut().expect("what concerns TLS comes after tls()").port = Some(port);
        self
    }

    /// Lets TLS in on the plain port, too: a client's first byte tells which it speaks
    /// (`client.portUnification`).
    ///
    /// # Panics
    /// If [`tls`](Self::tls) was not called before.
    #[cfg(feature = "tls")]
    pub fn unify_ports(mut self) -> Self {
        assert!(self.secure.is_some(), "what concerns TLS comes after tls()");
        self.plain = Plain::OrTls;
        self
    }

    /// Lets whoever has shown a certificate with this subject do everything
    /// (`X509AuthenticationProvider.superUser`).
    pub fn x509_super_user(mut self, subject: impl Into<String>) -> Self {
        self.rules.x509_super_user = Some(subject.into());
        self
    }

    /// Lets a user prove by SASL, with the mechanism DIGEST-MD5, that it knows a password; may be
    /// called several times. Access control lists name it as `sasl:user`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use znode::{ConnectOptions, DigestMd5};
    /// use znode_testing::{InstanceSpec, TestingServer};
    ///
    /// let spec = InstanceSpec::new().sasl_user("bob", "secret").require_sasl();
    /// let server = TestingServer::start_with(spec).await?;
    /// let bob = ConnectOptions::new().sasl(DigestMd5::new("bob", "secret"));
    /// let known = bob.connect(&server.connect_string()).await?.who_am_i().await?;
    /// assert!(known.iter().any(|who| (&*who.scheme, &*who.user) == ("sasl", "bob")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn sasl_user(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.rules.logins.users.insert(user.into(), password.into());
        self.rules.logins.scheme = true;
        self
    }

    /// Lets this user of SASL do everything (`superUser`); may be called several times.
    pub fn sasl_super_user(mut self, user: impl Into<String>) -> Self {
        self.rules.logins.super_users.push(user.into());
        self
    }

    /// Answers nobody who has not proved by SASL who it is (`sessionRequireClientSASLAuth`).
    pub fn require_sasl(self) -> Self {
        self.enforce_schemes(["sasl"])
    }

    /// Answers nobody who is not known by one of these schemes (`enforce.auth.schemes`).
    pub fn enforce_schemes<S: Into<String>>(
        mut self,
        schemes: impl IntoIterator<Item = S>,
    ) -> Self {
        self.rules.logins.enforced = schemes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether a client that fails at SASL may stay, as nobody (`allowSaslFailedClients`);
    /// not to start with.
    pub fn allow_sasl_failed_clients(mut self, allow: bool) -> Self {
        self.rules.logins.failed_may_stay = allow;
        self
    }

    /// Tells operators by HTTP how the server is, as Apache's admin server does: JSON below
    /// `/commands`. A port of 0 is any that is free; `TestingServer::admin_address` knows which.
    ///
    /// Whoever reaches the port may read everything that is told there, paths of nodes among it.
    #[cfg(feature = "admin")]
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = Some(AdminPort::new(address));
        self
    }

    /// Tells Prometheus the server's figures, at `/metrics`. A port of 0 is any that is free;
    /// `TestingServer::metrics_address` knows which.
    #[cfg(feature = "admin")]
    pub fn metrics(mut self, address: SocketAddr) -> Self {
        self.metrics = Some(address);
        self
    }

    /// Sets how many connections there may be (`maxCnxns`); more are closed without a word.
    pub fn connections(mut self, max: usize) -> Self {
        self.rules.connections_max = max;
        self
    }

    /// Sets how many requests may wait for the disk before connections that have one waiting are no
    /// longer read (`globalOutstandingLimit`): 1000 to start with.
    pub fn outstanding_requests(mut self, max: usize) -> Self {
        self.rules.outstanding_max = max;
        self
    }

    /// Closes the connection of a request of more than `threshold` bytes (`largeRequestThreshold`)
    /// if it and others of the kind that wait had more than `bytes_max` together
    /// (`largeRequestMaxBytes`). There is no such limit to start with.
    pub fn large_requests(mut self, threshold: usize, bytes_max: usize) -> Self {
        self.rules.large_request_threshold = Some(threshold);
        self.rules.large_request_bytes_max = bytes_max;
        self
    }

    /// Sets which four-letter words are answered (`4lw.commands.whitelist`): names with commas
    /// between them, or `*`, which is what a testing server starts with. `srvr` always is.
    pub fn four_letter_words(mut self, list: impl Into<String>) -> Self {
        self.words = list.into();
        self
    }

    /// Sets how many connections may come from one address (`maxClientCnxns`); more are closed
    /// without a word. There is no limit to start with.
    pub fn connections_per_address(mut self, max: usize) -> Self {
        self.rules.connections_per_address_max = Some(max);
        self
    }

    /// Sets whether the members of the ensemble may be changed while it runs (`reconfigEnabled`),
    /// which Apache leaves off. The servers of a [`TestingCluster`](crate::TestingCluster) allow
    /// it to whoever may write `/zookeeper/config`: the superuser.
    pub fn reconfig_enabled(mut self, enabled: bool) -> Self {
        self.rules.reconfig_enabled = enabled;
        self
    }

    /// Sets whether the server keeps a digest of its tree (`zookeeper.digest.enabled`), on by
    /// default as Apache has it: a number that two servers compare to see whether their trees are
    /// the same. It goes into every record of a log and into snapshots, and `hash` tells it.
    pub fn digest(mut self, enabled: bool) -> Self {
        self.rules.digest = enabled;
        self
    }

    /// Holds requests back while so many others are under way (`request_throttle_max_requests`), in
    /// their order. There is no such limit to start with.
    ///
    /// Sessions begin without waiting; and a request of a client that is gone is dropped.
    pub fn request_throttle(mut self, max: usize) -> Self {
        self.rules.throttle.requests_max = Some(max.max(1));
        self
    }

    /// Refuses a request that was [held back](Self::request_throttle) for longer, with
    /// `ThrottledOp` and in its place among others (`throttled_op_wait_time`). Pings and the end of
    /// a session are never refused.
    pub fn throttled_op_wait(mut self, max: Duration) -> Self {
        self.rules.throttle.wait_max = Some(max);
        self
    }

    /// Sets the longest frame that a client may send, in bytes (`jute.maxbuffer`): 1,048,575 to
    /// start with. The connection of a longer one is closed. In a
    /// [cluster](crate::TestingCluster), it can be 2 MiB at most.
    pub fn frame_len_max(mut self, max: usize) -> Self {
        self.rules.frame_len_max = max;
        self
    }

    /// Answers like an older release: operations that it did not know are refused, and four-letter
    /// words name it.
    pub fn answer_as(mut self, release: Release) -> Self {
        self.rules.release = release;
        self
    }

    /// Sets what the server takes for the wall clock's time at its start. Times and session ids
    /// follow from it, so two runs can be made the same.
    pub fn started_at(mut self, time: SystemTime) -> Self {
        self.started_at = Some(time);
        self
    }
}

/// What the plain port is for.
#[cfg(feature = "tls")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// There is none.
    Absent,
    /// Plain text.
    Only,
    /// Plain text, and TLS.
    OrTls,
}

impl Default for InstanceSpec {
    fn default() -> Self {
        Self::new()
    }
}
