//! [`FaultProxy`]: stands before a server and does to its connections what networks do.

mod pump;
mod rules;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use rules::{Rules, Triggers};

/// A proxy before any ZooKeeper server, ours or Apache's, that delays, stalls, cuts and loses.
///
/// What is set holds for present and future connections alike. Dropping the proxy cuts them and
/// frees its port.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use znode::{Client, CreateMode};
/// use znode_testing::{FaultProxy, TestingServer};
///
/// let server = TestingServer::start().await?;
/// let proxy = FaultProxy::start(server.connect_string()).await?;
/// let client = Client::connect(&proxy.connect_string()).await?;
///
/// // The write happens, and its answer is lost together with the connection.
/// proxy.lose_next_reply();
/// let lost = client.create("/a", "", CreateMode::Persistent).await;
/// assert!(lost.is_err());
/// assert!(server.node("/a").await.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    rules: watch::Sender<Rules>,
    triggers: Arc<Triggers>,
    /// Dropped with the proxy, which ends its task.
    _stop: oneshot::Sender<()>,
}

impl FaultProxy {
    /// Starts a proxy before the server at `target` (`host:port`), on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The operating system refuses a socket.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn start(target: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (rules, seen) = watch::channel(Rules::default());
        let (stop, stopped) = oneshot::channel();
        let triggers = Arc::new(Triggers::default());
        let target = target.into();
        tokio::spawn(serve(listener, target, seen, Arc::clone(&triggers), stopped));
        Ok(Self { address, rules, triggers, _stop: stop })
    }

    /// What clients connect to: `127.0.0.1:PORT`.
    pub fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// Delays what passes, in each direction, by this much; what follows closely is not held up.
    pub fn latency(&self, latency: Duration) {
        self.rules.send_modify(|rules| rules.latency = latency);
    }

    /// Lets pass no more than so many bytes a second in each direction of each connection; `None`
    /// is no limit.
    pub fn bandwidth(&self, bytes_per_second: Option<u32>) {
        self.rules.send_modify(|rules| rules.bytes_per_second = bytes_per_second);
    }

    /// Lets nothing pass; connections stay, and what is sent waits. [`heal`](Self::heal) ends it.
    pub fn stall(&self) {
        self.rules.send_modify(|rules| rules.stalled = true);
    }

    /// Throws away what the server sends, as if the way back were broken; requests still arrive.
    /// Connections that were open then stay useless: [`cut`](Self::cut) them.
    pub fn half_open(&self) {
        self.rules.send_modify(|rules| rules.half_open = true);
    }

    /// Refuses new connections: they are closed as soon as they are made.
    pub fn refuse(&self) {
        self.rules.send_modify(|rules| rules.refusing = true);
    }

    /// Ends every lasting fault. Cut connections stay cut, and lost bytes lost.
    pub fn heal(&self) {
        self.rules.send_modify(|rules| {
            *rules = Rules { cuts: rules.cuts, resets: rules.resets, ..Rules::default() };
        });
    }

    /// Closes every connection; what is on its way is lost.
    pub fn cut(&self) {
        self.rules.send_modify(|rules| rules.cuts += 1);
    }

    /// Closes every connection with a reset, as a machine does that has lost its memory.
    pub fn reset(&self) {
        self.rules.send_modify(|rules| rules.resets += 1);
    }

    /// Cuts the connection on which the server sends the `n`-th frame from now, behind that frame:
    /// replies, events and greetings count.
    pub fn cut_after(&self, n: u64) {
        self.triggers.cut_after(n);
    }

    /// Loses the next reply, and with it the connection: the server has done what was asked, and
    /// its client cannot know. Greetings, events and answers to pings pass.
    pub fn lose_next_reply(&self) {
        self.triggers.lose_next_reply();
    }
}

async fn serve(
    listener: TcpListener,
    target: String,
    rules: watch::Receiver<Rules>,
    triggers: Arc<Triggers>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let before = rules.borrow().clone();
                if before.refusing {
                    continue;
                }
                let (target, rules, triggers) = (target.clone(), rules.clone(), triggers.clone());
                connections.spawn(async move {
                    match TcpStream::connect(&target).await {
                        Ok(server) => {
                            pump::connection(client, server, &before, rules, &triggers).await;
                        }
                        Err(error) => tracing::debug!(%target, %error, "nobody behind the proxy"),
                    }
                });
            }
        }
    }
}
