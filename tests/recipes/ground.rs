//! The ground that each test stands on: a server, a node of the test's own below which its clients
//! live, and an observer who sees what was left behind.

use std::env;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use znode::{Client, ConnectOptions, CreateMode, Error, ErrorKind, State, Version};
use znode_testing::{ClusterSpec, InstanceSpec, TestingCluster, TestingServer};

use crate::raw::Raw;
use crate::wire::Wire;

/// The lock that the tests contend for.
pub(crate) const LOCK: &str = "/locks/one";
/// A session that a test can wait for the end of.
pub(crate) const SHORT: Duration = Duration::from_millis(400);
/// A guard that fails a test which would hang; nothing is ever measured with it.
const GUARD: Duration = Duration::from_secs(10);

/// A server with a node of the test's own.
pub(crate) struct Ground {
    /// `host:port`.
    address: String,
    /// The test's own node, as the server names it.
    root: String,
    /// Ours, unless the environment names another; stops when it is dropped.
    server: Option<Ours>,
}

/// A server of ours: alone, or the one of an ensemble that the environment asks for.
enum Ours {
    Alone(Box<TestingServer>),
    Among(Box<TestingCluster>, u64),
}

impl Ours {
    /// Starts one server; or, if `ZNODE_TEST_CLUSTER` says `leader`, `follower` or `observer`, an
    /// ensemble, of which the test meets the server that is one.
    async fn start(spec: InstanceSpec) -> Self {
        let Ok(role) = env::var("ZNODE_TEST_CLUSTER") else {
            return Self::Alone(Box::new(TestingServer::start_with(spec).await.unwrap()));
        };
        let spec = ClusterSpec::new(3).observers(1).each(spec);
        let cluster = TestingCluster::start_with(spec).await.unwrap();
        let leader = cluster.leader().await;
        let id = match role.as_str() {
            "leader" => leader,
            "follower" => (1..=3).find(|id| *id != leader).unwrap(),
            "observer" => 4,
            other => panic!("ZNODE_TEST_CLUSTER={other}: must be leader, follower or observer"),
        };
        Self::Among(Box::new(cluster), id)
    }

    fn server(&self) -> &TestingServer {
        match self {
            Self::Alone(server) => server,
            Self::Among(cluster, id) => cluster.server(*id),
        }
    }
}

impl Ground {
    pub(crate) async fn start() -> Self {
        let (address, server) = match env::var("ZNODE_TEST_CONNECT") {
            Ok(address) => (address, None),
            Err(_) => {
                let tick = Duration::from_millis(100);
                let ours = Ours::start(InstanceSpec::new().tick(tick)).await;
                (ours.server().connect_string(), Some(ours))
            }
        };
        let client = soon(Client::connect(&address)).await.unwrap();
        let root = client.create("/recipe-", "", CreateMode::PersistentSequential);
        let root = soon(root).await.unwrap().path;
        soon(client.close()).await.unwrap();
        Self { address, root, server }
    }

    /// `host:port/root`.
    pub(crate) fn connect_string(&self) -> String {
        format!("{}{}", self.address, self.root)
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_with(ConnectOptions::new()).await
    }

    pub(crate) async fn connect_with(&self, options: ConnectOptions) -> Client {
        soon(options.connect(&self.connect_string())).await.unwrap()
    }

    /// A client whose link the test controls.
    pub(crate) async fn connect_wired(&self) -> (Client, Wire) {
        self.connect_wired_with(ConnectOptions::new()).await
    }

    /// A client whose link the test controls, and whose session ends soon without it.
    pub(crate) async fn connect_short(&self) -> (Client, Wire) {
        self.connect_wired_with(ConnectOptions::new().session_timeout(SHORT)).await
    }

    pub(crate) async fn connect_wired_with(&self, options: ConnectOptions) -> (Client, Wire) {
        let wire = Wire::tcp();
        (self.connect_with(options.connector(wire.clone())).await, wire)
    }

    /// Ends the client's session at the server, as if it had expired there. The client learns of
    /// it as in life: its connection is cut, and what it resumes is not there any more.
    pub(crate) async fn end_session(&self, client: &Client, wire: &Wire) {
        wire.refuse();
        let password = client.session_password();
        let raw = Raw::resume(&self.address, client.session_id(), &password[..]).await;
        raw.close_session().await;
        wire.admit();
    }

    /// Waits until the lock has no contender and nobody watches anything of this test's.
    #[track_caller]
    pub(crate) fn nothing_left(&self) -> impl Future<Output = ()> {
        soon(async move {
            let observer = self.connect().await;
            children_are(&observer, 0).await;
            while !self.watched().await.is_empty() {
                // There is no event for a watch that goes; a round trip takes its time.
                observer.sync("/").await.unwrap();
            }
            observer.close().await.unwrap();
        })
    }

    /// Whether a node is a container; only our own server tells.
    pub(crate) async fn is_container(&self, path: &str) -> Option<bool> {
        let node = self.server.as_ref()?.server().node(&format!("{}{path}", self.root)).await;
        Some(node.expect("the node exists").is_container)
    }

    /// The paths below the test's node that somebody watches, once for each session.
    pub(crate) async fn watched(&self) -> Vec<String> {
        let mut paths = match &self.server {
            Some(ours) => {
                ours.server().watches().await.into_iter().map(|watch| watch.path).collect()
            }
            None => watched_by_word(&self.address).await,
        };
        let below = format!("{}/", self.root);
        paths.retain(|path| path.starts_with(&below));
        paths
    }
}

/// What Apache's `wchp` tells: a line for each path, then an indented one for each session.
async fn watched_by_word(address: &str) -> Vec<String> {
    let mut stream = soon(TcpStream::connect(address)).await.unwrap();
    stream.write_all(b"wchp").await.unwrap();
    let mut told = String::new();
    soon(stream.read_to_string(&mut told)).await.unwrap();
    let mut paths = Vec::new();
    let mut path = "";
    for line in told.lines() {
        match line.strip_prefix('\t') {
            Some(_) => paths.push(path.to_owned()),
            None => path = line,
        }
    }
    paths
}

/// Waits for what must happen at once, or fails the test at the caller's line.
#[track_caller]
pub(crate) fn soon<F: Future>(what: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match timeout(GUARD, what).await {
            Ok(output) => output,
            Err(_) => panic!("nothing came of what was awaited at {caller}"),
        }
    }
}

/// Whether a future has not been resolved by what has been delivered so far.
pub(crate) fn is_pending<F: Future + Unpin>(what: &mut F) -> bool {
    what.now_or_never().is_none()
}

/// Reads a stream up to what is waited for.
#[track_caller]
pub(crate) fn reach<S>(states: &mut S, wanted: S::Item) -> impl Future<Output = ()>
where
    S: Stream<Item: PartialEq> + Unpin,
{
    soon(async move { while states.next().await.expect("the states go on") != wanted {} })
}

/// Waits until the client is in this state.
#[track_caller]
pub(crate) fn state_is(client: &Client, wanted: State) -> impl Future<Output = ()> {
    let mut states = client.states().map(|change| change.state);
    async move { reach(&mut states, wanted).await }
}

/// Cuts the link and waits until the client stands on a new one.
pub(crate) async fn reconnect(client: &Client, wire: &Wire) {
    disconnect(client, wire).await;
    wire.admit();
    state_is(client, State::Connected).await;
}

/// Cuts the link, and keeps it cut.
pub(crate) async fn disconnect(client: &Client, wire: &Wire) {
    wire.refuse();
    wire.cut();
    state_is(client, State::Suspect).await;
}

/// The contenders of the lock, in order; none if it does not exist.
pub(crate) async fn contenders(client: &Client) -> Vec<String> {
    let mut children = match soon(client.get_children(LOCK)).await {
        Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
        children => children.unwrap(),
    };
    children.sort_by_key(|name| name[name.len() - 10..].to_owned());
    children
}

/// Waits until the lock has so many children.
#[track_caller]
pub(crate) fn children_are(client: &Client, count: usize) -> impl Future<Output = ()> {
    soon(async move {
        loop {
            match client.get_children_watched(LOCK).await {
                Ok((children, ..)) if children.len() == count => break,
                Ok((_, _, watcher)) => drop(watcher.await.unwrap()),
                Err(error) if error.kind() == ErrorKind::NoNode && count == 0 => break,
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    let (stat, watcher) = client.exists_watched(LOCK).await.unwrap();
                    if stat.is_none() {
                        watcher.await.unwrap();
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
}

/// Makes the lock's node, and its parent.
pub(crate) async fn make_lock(client: &Client) {
    for path in ["/locks", LOCK] {
        soon(client.create(path, "", CreateMode::Container)).await.unwrap();
    }
}

/// Somebody else's hand: deletes a node whatever it is for.
pub(crate) async fn delete(client: &Client, path: &str) -> Result<(), Error> {
    soon(client.delete(path, Version::ANY)).await
}

/// Polls a future until it is ready, or drops it after it was pending for so many times.
pub(crate) async fn drop_at<F: Future>(pending: usize, what: F) -> Option<F::Output> {
    let mut what = Box::pin(what);
    let mut seen = 0;
    poll_fn(|cx| {
        if let Poll::Ready(output) = what.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        seen += 1;
        if seen == pending { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}
