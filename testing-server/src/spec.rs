//! What a testing server is told before it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::io::disk::DiskOptions;

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
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) tick: Duration,
    pub(crate) session_timeout_min: Duration,
    pub(crate) session_timeout_max: Duration,
    pub(crate) own_thread: bool,
    pub(crate) extended_types: bool,
    pub(crate) super_digest: Option<String>,
    pub(crate) started_at: Option<SystemTime>,
    pub(crate) disk: Option<DiskOptions>,
}

impl InstanceSpec {
    /// A server on a free port of 127.0.0.1, with a tick of 100 ms, session timeouts between 200 ms
    /// and 60 s, and nodes that may have a time to live.
    ///
    /// Apache's limits are two and twenty ticks. The lower one is kept, since it says what the
    /// tick can measure; the upper one would cut the usual ten seconds down to two.
    pub fn new() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            tick: Duration::from_millis(100),
            session_timeout_min: Duration::from_millis(200),
            session_timeout_max: Duration::from_secs(60),
            own_thread: false,
            extended_types: true,
            super_digest: None,
            started_at: None,
            disk: None,
        }
    }

    /// Keeps its data in files below `dir`, as Apache ZooKeeper does, instead of in memory alone: a
    /// transaction log and snapshots, in `version-2`. What is there is read when the server starts.
    ///
    /// Every write is synced to the disk before it is acknowledged. The disk takes its time,
    /// whatever a test's clock says, so this is not for clocks that are paused. Stop a server
    /// before another one is started on its files: there is no lock.
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
    /// The server does nothing else while it copies its tree into memory for a snapshot; writing
    /// it goes on beside everything else.
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

    /// Where the server listens; a port of 0 is any that is free.
    pub fn listen_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
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
        self.tick = tick;
        self
    }

    /// Sets the shortest and the longest session timeout that is granted, whatever clients ask for.
    pub fn session_timeout_limits(mut self, min: Duration, max: Duration) -> Self {
        self.session_timeout_min = min;
        self.session_timeout_max = max.max(min);
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
        self.extended_types = enabled;
        self
    }

    /// Lets whoever computes to this digest do everything (`superDigest`): `user:hash`, where the
    /// hash is the base64 of the SHA-1 of `user:password`.
    pub fn super_digest(mut self, digest: impl Into<String>) -> Self {
        self.super_digest = Some(digest.into());
        self
    }

    /// Sets what the server takes for the wall clock's time at its start. Times and session ids
    /// follow from it, so two runs can be made the same.
    pub fn started_at(mut self, time: SystemTime) -> Self {
        self.started_at = Some(time);
        self
    }
}

impl Default for InstanceSpec {
    fn default() -> Self {
        Self::new()
    }
}
