//! The ground that each test stands on: a server, a node of the test's own below which its clients
//! live, and an observer who sees what was left behind.

use std::env;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use znode::proto::OpCode;
use znode::{Client, ConnectOptions, CreateMode, Error, ErrorKind, Version};
use znode_testing::InstanceSpec;
pub(crate) use znode_tests::support::{
    Ours, Wire, disconnect, drop_at, end_session, is_pending, reach, readmit, reconnect, soon,
    state_is,
};

/// The lock that the tests contend for.
pub(crate) const LOCK: &str = "/locks/one";
/// A session that a test can wait for the end of.
pub(crate) const SHORT: Duration = Duration::from_millis(400);

/// How often something is dropped before it never ends: nothing that is tested so is pending this
/// often.
const DROPS_MAX: usize = 200;

/// How a link is cut, as [`Wire::cut_before_reply`] and [`Wire::cut_before_arrival`] do it.
pub(crate) type Cut = fn(&Wire, OpCode);
pub(crate) const CUTS: [Cut; 2] = [Wire::cut_before_reply, Wire::cut_before_arrival];

/// A server with a node of the test's own.
pub(crate) struct Ground {
    /// `host:port`.
    address: String,
    /// The test's own node, as the server names it.
    root: String,
    /// Ours, unless the environment names another; stops when it is dropped.
    server: Option<Ours>,
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

    /// Ends the client's session at the server, as if it had expired there.
    pub(crate) async fn end_session(&self, client: &Client, wire: &Wire) {
        end_session(&self.address, client, wire).await;
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

/// Has each of many clients ask for something, with its link cut so, and drops what it asks for:
/// the first one when that is pending for the first time, the next one when it is for the second,
/// until one comes to its end, which must be a good one. After each, waits until all is clean.
/// Returns how many were dropped.
pub(crate) async fn dropped_at_every_await<E: fmt::Debug>(
    ground: &Ground,
    cut: Option<(Cut, OpCode)>,
    ask: impl AsyncFn(&Client) -> Result<(), E>,
    until_clean: impl AsyncFn(),
) -> usize {
    for dropped in 0..DROPS_MAX {
        let (client, wire) = ground.connect_wired().await;
        if let Some((cut, op)) = cut {
            cut(&wire, op);
        }
        let ended = soon(drop_at(dropped + 1, ask(&client))).await;
        until_clean().await;
        if let Some(ended) = ended {
            ended.unwrap();
            return dropped;
        }
    }
    panic!("it never ends");
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
