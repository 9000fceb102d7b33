//! How a client connects: everything that is decided before there is one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use crate::chroot::Chroot;
use crate::client::Client;
use crate::connect_string::{ConnectString, HostPort, Scheme};
use crate::error::Error;
use crate::hosts::{HostProvider, NearestFirst, ShuffledRing};
use crate::io::send_task::SendTask;
use crate::io::shared::Shared;
#[cfg(feature = "tls")]
use crate::io::tls::{TlsConnector, TlsOptions};
use crate::io::transport::{Connector, TcpConnector};
use crate::proto::{SessionId, Zxid};
use crate::sasl::SaslMechanism;
use crate::secret::Secret;
use crate::session::input::Resume;
use crate::session::{Config, Established, Limits, Sasl};
use crate::tap::{Following, WireTap};
use crate::tls_error::TlsError;

/// The session timeout that is asked for unless told otherwise.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting may take unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much may wait unless told otherwise: as many requests under way as a ZooKeeper server takes
/// before it stops reading (`globalOutstandingLimit`), some frames of full size among them, and
/// more waiting than a program that means well will ever ask for at once.
const LIMITS: Limits =
    Limits { in_flight_max: 1000, in_flight_bytes_max: 16 << 20, waiting_max: 1 << 17 };

/// How to connect. Nothing happens before [`connect`](Self::connect).
///
/// ```no_run
/// # async fn example() -> Result<(), znode::Error> {
/// use std::time::Duration;
///
/// let client = znode::ConnectOptions::new()
///     .session_timeout(Duration::from_secs(30))
///     .auth("digest", "user:secret")
///     .connect("zk1:2181,zk2:2181/billing")
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// What can be said, but for identities:
///
/// ```
/// use std::time::Duration;
/// use znode::{ConnectOptions, HostPort, ShuffledRing, TcpConnector, TextTap};
///
/// let options = ConnectOptions::new()
///     .connect_timeout(Duration::from_secs(3))
///     .tick_time(Duration::from_secs(2))
///     .connector(TcpConnector)
///     .read_only(true)
///     .seed(42)
///     .slow_request(Duration::from_millis(100))
///     .wire_tap(TextTap::stderr())
///     .in_flight_max(100)
///     .in_flight_bytes_max(1 << 20)
///     .waiting_max(10_000);
/// // Who chooses among the servers, one or the other:
/// let near = options.clone().nearest_first([HostPort::new("zk-here", 2181)]);
/// let ring = options.host_provider(ShuffledRing::new);
/// # let _ = (near, ring);
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until `connect`"]
pub struct ConnectOptions {
    session_timeout: Duration,
    connect_timeout: Duration,
    connector: Arc<dyn Connector>,
    #[cfg(feature = "tls")]
    tls: Option<TlsOptions>,
    read_only: bool,
    seed: Option<u64>,
    resume: Option<SessionTicket>,
    auth: Vec<(String, Secret)>,
    limits: Limits,
    hosts: Hosts,
    sasl: Option<Arc<dyn SaslMechanism>>,
    slow_request: Option<Duration>,
    tap: Option<Tap>,
    tick: Option<Duration>,
}

/// Who is shown the wire.
#[derive(Clone)]
struct Tap(Arc<dyn WireTap>);

/// Who chooses among the servers.
#[derive(Clone)]
enum Hosts {
    Shuffled,
    NearestFirst(Vec<HostPort>),
    Provider(Arc<MakeProvider>),
}

type MakeProvider = dyn Fn(Vec<HostPort>, u64) -> Box<dyn HostProvider> + Send + Sync;

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ConnectOptions {
    /// A session timeout of 10 seconds, a connect timeout of 10 seconds, TCP.
    pub fn new() -> Self {
        Self {
            session_timeout: SESSION_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            connector: Arc::new(TcpConnector),
            #[cfg(feature = "tls")]
            tls: None,
            read_only: false,
            seed: None,
            resume: None,
            auth: Vec::new(),
            limits: LIMITS,
            hosts: Hosts::Shuffled,
            sasl: None,
            slow_request: None,
            tap: None,
            tick: None,
        }
    }

    /// The session timeout to ask for; the server has limits of its own, and
    /// [`Client::session_timeout`] tells what it granted.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// How long to try until a server has confirmed the session, all hosts and attempts together.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The `tickTime` of the ensemble, which clients cannot ask for. It is needed only to say how
    /// long a session is [assured](Client::assured_until); untold, it is taken for half of the
    /// session timeout, the most that servers admit unless their `minSessionTimeout` was lowered.
    pub fn tick_time(mut self, tick: Duration) -> Self {
        self.tick = Some(tick);
        self
    }

    /// How connections are made, instead of by TCP.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Arc::new(connector);
        self
    }

    /// How `tls://` hosts of the connect string are spoken to; `tcp://` hosts are not concerned.
    /// The connector, if another than TCP was set, goes on to make the streams below.
    ///
    /// ```no_run
    /// # async fn example(roots: Vec<u8>) -> Result<(), znode::Error> {
    /// use znode::{ConnectOptions, TlsOptions};
    ///
    /// let tls = TlsOptions::new().root_certificates(roots);
    /// let client = ConnectOptions::new().tls(tls).connect("tls://zk1:2281/billing").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// Whether a read-only server will do when no other is found.
    pub fn read_only(mut self, allowed: bool) -> Self {
        self.read_only = allowed;
        self
    }

    /// Where the order of hosts, the jitter of pauses and [`Client::random`] come from. Without
    /// one it is drawn from the operating system; with one, a simulated run replays.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Takes up a session that was left alive instead of opening a new one.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{ConnectOptions, SessionTicket};
    ///
    /// let ticket: SessionTicket = client.detach().await?; // perhaps by another process
    /// let client = ConnectOptions::new().resume(ticket).connect("zk1:2181").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume(mut self, ticket: SessionTicket) -> Self {
        self.resume = Some(ticket);
        self
    }

    /// The same, for a session of its own.
    pub(crate) fn without_resume(mut self) -> Self {
        self.resume = None;
        self
    }

    /// An identity that every connection is given; see [`Client::add_auth`].
    pub fn auth(mut self, scheme: impl Into<String>, auth: impl Into<Secret>) -> Self {
        self.auth.push((scheme.into(), auth.into()));
        self
    }

    /// How the client proves who it is on each connection, before anything else is sent.
    ///
    /// A server that refuses, has no login configured, or cannot prove itself ends the session
    /// with `AuthFailed`. [`ClientEvent::SaslAuthenticated`](crate::ClientEvent) tells of success.
    ///
    /// ```no_run
    /// # async fn example(gssapi: impl znode::sasl::SaslMechanism) -> Result<(), znode::Error> {
    /// let client = znode::ConnectOptions::new().sasl(gssapi).connect("zk1:2181").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sasl(mut self, mechanism: impl SaslMechanism) -> Self {
        self.sasl = Some(Arc::new(mechanism));
        self
    }

    /// Warns, by `tracing` and with operation and path, of each request that takes so long from
    /// the call to its answer or failure. Without it no request is told of; at level TRACE all are.
    pub fn slow_request(mut self, latency: Duration) -> Self {
        self.slow_request = Some(latency);
        self
    }

    /// Shows every frame, decoded and without its secrets, to a [`WireTap`]; for debugging, as it
    /// takes time.
    pub fn wire_tap(mut self, tap: impl WireTap) -> Self {
        self.tap = Some(Tap(Arc::new(tap)));
        self
    }

    /// How many requests may wait for an answer at once, at least 1; further ones wait in call
    /// order. What is under way when a connection is lost has an unknown outcome.
    pub fn in_flight_max(mut self, requests: usize) -> Self {
        self.limits.in_flight_max = requests;
        self
    }

    /// How many bytes the requests that wait for an answer may have together, 16 MiB by default;
    /// further ones wait in call order. One request may always be under way.
    pub fn in_flight_bytes_max(mut self, bytes: usize) -> Self {
        self.limits.in_flight_bytes_max = bytes;
        self
    }

    /// How many requests may wait for their turn, 131,072 by default; more are refused as
    /// [`Overloaded`](crate::ErrorKind::Overloaded). With 0, none waits: a request that cannot be
    /// sent at once fails at once.
    pub fn waiting_max(mut self, requests: usize) -> Self {
        self.limits.waiting_max = requests;
        self
    }

    /// Prefers some servers of the list, as those of the client's own zone: others are tried only
    /// when none of these is there, and left again when one is back. A server is meant by the
    /// host and port that the connect string has for it.
    pub fn nearest_first(mut self, near: impl IntoIterator<Item = HostPort>) -> Self {
        self.hosts = Hosts::NearestFirst(near.into_iter().collect());
        self
    }

    /// Has another [`HostProvider`] choose among the servers; it is made from their list and a
    /// seed.
    pub fn host_provider<P: HostProvider>(
        mut self,
        make: impl Fn(Vec<HostPort>, u64) -> P + Send + Sync + 'static,
    ) -> Self {
        let make = move |hosts, seed| Box::new(make(hosts, seed)) as Box<dyn HostProvider>;
        self.hosts = Hosts::Provider(Arc::new(make));
        self
    }

    /// Connects, and resolves once a session exists.
    ///
    /// A chroot in the connect string is not created: operations below one that does not exist
    /// give `NoNode`.
    ///
    /// # Errors
    /// - `InvalidConnectString`, before anything is tried;
    /// - `Tls(NotConfigured)` or another fault of its options, before anything is tried;
    /// - `ConnectTimeout` with the newest reason as its source, or `Tls` if it was of that kind;
    /// - `SessionExpired` if the session to resume is gone;
    /// - `AuthFailed` if a server refuses an identity.
    ///
    /// # Cancel safety
    /// If the future is dropped, a session that was opened is closed again.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and IO enabled.
    pub async fn connect(self, connect_string: &str) -> Result<Client, Error> {
        let ensemble: ConnectString =
            connect_string.parse().map_err(Error::invalid_connect_string)?;
        let connector = self.secured_connector().map_err(Error::tls)?;
        let mut hosts = ensemble.hosts().iter();
        if let Some(host) = hosts.find(|host| !connector.supports(host.scheme())) {
            return Err(Error::tls(TlsError::not_configured(host)));
        }
        let client = self.start(&ensemble, connector);
        let identities: Vec<_> =
            self.auth.iter().map(|(scheme, auth)| client.add_auth(scheme, auth)).collect();
        client.established().await?;
        for identity in identities {
            identity.await?;
        }
        Ok(client)
    }

    /// What makes connections, with TLS on top if that was asked for.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unnecessary_wraps, reason = "TLS can fail"))]
    fn secured_connector(&self) -> Result<Arc<dyn Connector>, TlsError> {
        let connector = Arc::clone(&self.connector);
        #[cfg(feature = "tls")]
        if let Some(options) = &self.tls {
            return Ok(Arc::new(TlsConnector::new(options)?.over(connector)));
        }
        Ok(connector)
    }

    fn start(&self, ensemble: &ConnectString, connector: Arc<dyn Connector>) -> Client {
        let seed = self.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
        let resumed = self.resume.as_ref().map_or(SessionId::NONE, SessionTicket::session_id);
        let is_secure = ensemble.hosts().iter().any(|host| host.scheme() == Scheme::Tls);
        let scheme = if is_secure { Scheme::Tls } else { Scheme::Tcp };
        let mut shared = Shared::new(connector, scheme, resumed, self.session_timeout, !seed);
        shared.slow_request = self.slow_request;
        let shared = Arc::new(shared);
        let config = Config {
            hosts: self.hosts.provider(ensemble.hosts().to_vec(), seed),
            session_timeout: self.session_timeout,
            connect_timeout: self.connect_timeout,
            read_only: self.read_only,
            resume: self.resume.as_ref().map(SessionTicket::resume),
            limits: self.limits,
            sasl: self.sasl.clone().map(|mechanism| Sasl::new(mechanism, seed.rotate_left(32))),
            tick: self.tick,
        };
        let tap = self.tap.as_ref().map(|tap| Following::new(Arc::clone(&tap.0)));
        let task = SendTask::new(config, Arc::clone(&shared), tap);
        tokio::spawn(task.run());
        Client::new(shared, Chroot::new(ensemble.chroot().clone()))
    }
}

impl Hosts {
    fn provider(&self, hosts: Vec<HostPort>, seed: u64) -> Box<dyn HostProvider> {
        match self {
            Self::Shuffled => Box::new(ShuffledRing::new(hosts, seed)),
            Self::NearestFirst(near) => Box::new(NearestFirst::new(hosts, near.clone(), seed)),
            Self::Provider(make) => make(hosts, seed),
        }
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shuffled => f.write_str("Shuffled"),
            Self::NearestFirst(near) => f.debug_tuple("NearestFirst").field(near).finish(),
            Self::Provider(_) => f.write_str("Provider"),
        }
    }
}

impl Client {
    /// Waits until a server has confirmed the session.
    async fn established(&self) -> Result<(), Error> {
        let (mut change, mut changes) = self.shared().states();
        loop {
            if change.state.is_connected() {
                return Ok(());
            }
            match changes.recv().await {
                Some(next) => change = next,
                None => break,
            }
        }
        let ending = self.shared().ending().unwrap_or(crate::session::Ending::Closed);
        Err(Error::ended("connect", ending).with_io_source(self.shared().last_error()))
    }
}

/// What a session is resumed by: its number, its password, and what it has seen.
///
/// Whoever has it can act as the session, so it is a secret.
///
/// ```
/// use znode::{SessionId, SessionTicket, Zxid};
///
/// // As it was stored by the process that had the session before.
/// let ticket = SessionTicket::from_parts(SessionId(0x1234), [7; 16], Zxid(99));
/// assert_eq!((ticket.session_id(), ticket.last_zxid()), (SessionId(0x1234), Zxid(99)));
/// assert_eq!(ticket.password(), [7; 16]);
/// assert!(!format!("{ticket:?}").contains("7, 7"), "it does not print its password");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTicket {
    session_id: SessionId,
    password: Secret,
    last_zxid: Zxid,
}

impl SessionTicket {
    pub(crate) fn new(established: Established, last_zxid: Zxid) -> Self {
        let Established { session_id, password, .. } = established;
        Self { session_id, password, last_zxid }
    }

    /// A ticket from its parts, as another process may have stored them.
    pub fn from_parts(session_id: SessionId, password: impl Into<Secret>, seen: Zxid) -> Self {
        Self { session_id, password: password.into(), last_zxid: seen }
    }

    /// The number of the session.
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// The password of the session.
    pub fn password(&self) -> &[u8] {
        self.password.expose()
    }

    /// The newest transaction that the session has seen; a server that is behind refuses it.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    fn resume(&self) -> Resume {
        let Self { session_id, password, last_zxid } = self.clone();
        Resume { session_id, password, last_zxid }
    }
}
