//! Trouble on demand: what a test may do to a server's replies, its connections and its life.

use std::time::Duration;

use znode::proto::OpCode;

use crate::TestingServer;
use crate::node::faults::Loss;

/// Which reply is to be lost, once what it answers is done: the situation in which a client cannot
/// know whether its write has happened.
///
/// The connection is closed in its place, as if it had broken. Requests that are refused have done
/// nothing, and are not counted.
///
/// ```
/// use znode::proto::OpCode;
/// use znode_testing::LostReply;
///
/// let any_write = LostReply::of_any_write();
/// let third = LostReply::of(OpCode::Create).at("/queue/item-").after(2);
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is lost until a server is told"]
pub struct LostReply(Loss);

impl LostReply {
    /// The reply to the next write, whatever it is.
    pub fn of_any_write() -> Self {
        Self(Loss { op: None, path: None, spared: 0 })
    }

    /// The reply to the next request for this operation. `Create` stands for every flavour of it,
    /// since clients choose the one that tells them most.
    pub fn of(op: OpCode) -> Self {
        Self(Loss { op: Some(op), path: None, spared: 0 })
    }

    /// Only of requests that name this path; a transaction does if one of its operations does. It
    /// is the path that is asked for: of a sequential node, without its number.
    pub fn at(mut self, path: &str) -> Self {
        self.0.path = Some(path.as_bytes().into());
        self
    }

    /// Lets the replies to so many of them through before.
    pub fn after(mut self, count: u32) -> Self {
        self.0.spared = count;
        self
    }
}

/// Trouble on demand. It begins at once, concerns every client, and outlives a restart.
impl TestingServer {
    /// Loses one reply, which is still to come, and closes its connection; the write has happened,
    /// and its session lives on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use znode::proto::OpCode;
    /// use znode::{CreateMode, Outcome};
    /// use znode_testing::{LostReply, TestingServer};
    ///
    /// let server = TestingServer::start().await?;
    /// let client = server.connect().await?;
    /// server.lose_reply(LostReply::of(OpCode::Create).at("/order"));
    /// let lost = client.create("/order", b"1", CreateMode::Persistent).await.unwrap_err();
    /// assert_eq!(lost.outcome(), Outcome::Unknown);
    /// assert!(server.node("/order").await.is_some(), "it has happened");
    /// # Ok(())
    /// # }
    /// ```
    pub fn lose_reply(&self, which: LostReply) {
        self.shared().lock().lose_reply(which.0);
    }

    /// How many replies were [lost](Self::lose_reply) so far.
    pub fn lost_replies(&self) -> u64 {
        self.shared().lock().lost_replies()
    }

    /// Has everything that clients are sent, events too, arrive so much later than it would; zero
    /// takes that back. What is late already stays so, and the order is kept.
    pub fn delay_replies(&self, by: Duration) {
        self.shared().lock().delay_replies(by);
    }

    /// Has whoever connects be cut off at once, without a word, or lets connections in again. Those
    /// that stand are not touched: see [`drop_connections`](Self::drop_connections).
    pub fn refuse_connections(&self, refuse: bool) {
        self.shared().lock().refuse_connections(refuse);
    }

    /// Kills the server, where [`stop`](Self::stop) lets it finish: what waits for the disk is
    /// forgotten, a snapshot that is being written stays half of one, and nobody is told anything.
    /// What it has acknowledged is on the disk, and [`restart`](Self::restart) reads it. Killing a
    /// stopped server does nothing.
    ///
    /// A server without [files](crate::InstanceSpec::data_dir) has memory for a disk, and keeps
    /// what it has acknowledged there.
    ///
    /// # Cancel safety
    /// The server is dead from the first poll on; dropping the future only means not to wait until
    /// its port and its files are free.
    pub async fn kill(&self) {
        self.shared().kill();
        self.stop().await;
    }
}
