//! The ground that each test stands on: a server, and a node of the test's own below which its
//! clients live.

use std::env;
use std::future::Future;
use std::time::Duration;

use futures::{Stream, StreamExt};
use znode::{Client, ClientEvent, ConnectOptions, CreateMode, Error, State, StateChange};
use znode::{WatchUpdate, WatchedEvent};
use znode_testing::InstanceSpec;
pub(crate) use znode_tests::support::{
    Ours, Wire, disconnect, end_session, expire, is_pending, readmit, reconnect, soon,
};

/// The tick of both servers.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// The shortest session that both servers grant.
pub(crate) const TIMEOUT_MIN: Duration = Duration::from_millis(200);
/// The longest session that both servers grant.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// A session that a test can wait for the end of.
pub(crate) const SHORT: Duration = Duration::from_millis(400);
/// What `super:secret` computes to on both servers.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// A server with a node of the test's own.
pub(crate) struct Ground {
    /// `host:port`.
    address: String,
    /// The test's own node.
    root: String,
    /// Ours, unless the environment names another; stops when it is dropped.
    _server: Option<Ours>,
}

impl Ground {
    pub(crate) async fn start() -> Self {
        let (address, server) = match env::var("ZNODE_TEST_CONNECT") {
            Ok(address) => (address, None),
            Err(_) => {
                let spec = InstanceSpec::new()
                    .tick(TICK)
                    .session_timeout_limits(TIMEOUT_MIN, TIMEOUT_MAX)
                    .super_digest(SUPER_DIGEST);
                let ours = Ours::start(spec).await;
                (ours.server().connect_string(), Some(ours))
            }
        };
        let client = soon(Client::connect(&address)).await.unwrap();
        let root = client.create("/fact-", "", CreateMode::PersistentSequential);
        let root = soon(root).await.unwrap().path;
        soon(client.close()).await.unwrap();
        Self { address, root, _server: server }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The test's own node, as the server names it.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// `host:port/root`.
    pub(crate) fn connect_string(&self) -> String {
        format!("{}{}", self.address, self.root)
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_with(ConnectOptions::new()).await
    }

    pub(crate) async fn connect_with(&self, options: ConnectOptions) -> Client {
        self.try_connect(options).await.unwrap()
    }

    pub(crate) async fn try_connect(&self, options: ConnectOptions) -> Result<Client, Error> {
        soon(options.connect(&self.connect_string())).await
    }

    /// A client whose link the test controls.
    pub(crate) async fn connect_wired(&self) -> (Client, Wire) {
        let wire = Wire::tcp();
        let options = ConnectOptions::new().connector(wire.clone());
        (self.connect_with(options).await, wire)
    }

    /// A client whose link the test controls, and whose session ends soon without it.
    pub(crate) async fn connect_short(&self) -> (Client, Wire) {
        let wire = Wire::tcp();
        let options = ConnectOptions::new().connector(wire.clone()).session_timeout(SHORT);
        (self.connect_with(options).await, wire)
    }

    /// Ends the client's session at the server, as if it had expired there.
    pub(crate) async fn end_session(&self, client: &Client, wire: &Wire) {
        end_session(&self.address, client, wire).await;
    }
}

/// Reads states up to the one that is waited for.
#[track_caller]
pub(crate) fn reach<S>(states: &mut S, wanted: State) -> impl Future<Output = StateChange>
where
    S: Stream<Item = StateChange> + Unpin,
{
    soon(async move {
        loop {
            let change = states.next().await.expect("the states go on");
            if change.state == wanted {
                return change;
            }
        }
    })
}

/// Waits until everything that the server had to tell this client so far has arrived.
pub(crate) async fn settle(client: &Client) {
    soon(client.sync("/")).await.unwrap();
}

/// The next event that is about a node.
pub(crate) async fn next_node<S>(events: &mut S) -> WatchedEvent
where
    S: Stream<Item = ClientEvent> + Unpin,
{
    loop {
        if let ClientEvent::Node(event) = soon(events.next()).await.expect("the events go on") {
            return event;
        }
    }
}

/// The next update of a persistent watcher, which must be an event.
pub(crate) async fn next_event<S>(updates: &mut S) -> WatchedEvent
where
    S: Stream<Item = WatchUpdate> + Unpin,
{
    match soon(updates.next()).await {
        Some(WatchUpdate::Event(event)) => event,
        other => panic!("expected an event, got {other:?}"),
    }
}
