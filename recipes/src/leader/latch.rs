//! Leading by standing in line.

use std::future::Future;

use znode::Client;

use super::candidacy::Candidacy;
use super::changes::LeaderChanges;
use super::participant::{self, Participant};
use crate::error::LockError;
use crate::guard::Guard;
use crate::lock::line::Line;
use crate::options::LockOptions;
use crate::sequence::{Mode, Naming};

/// An election that goes on for ever: of all who take part one leads, the one that came first, and
/// the next one does when it is gone.
///
/// It is Curator's `LeaderLatch` on the wire: each participant is an ephemeral sequential node
/// `_c_<uuid>-latch-<number>` below the path, with what it calls itself as data, so that a JVM and
/// a Rust process elect one leader among them. Other children are ignored, unless they belong to
/// another recipe.
///
/// A leadership is a [`Guard`], as that of a lock: its [token](Guard::token), here called the
/// epoch, is larger than those of all who led before; writes through its
/// [client](Guard::client) take effect while it leads or not at all; and it is told of its
/// [loss](Guard::lost).
///
/// ```no_run
/// # async fn lead(epoch: znode::Zxid) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::LeaderLatch;
///
/// let latch = LeaderLatch::new(&client, "/leaders/billing").with_id("host-1");
/// loop {
///     let leadership = latch.lead().await?;
///     // Ended at once when the leadership is.
///     if leadership.run(lead(leadership.token())).await.is_ok() {
///         return leadership.release().await;
///     }
/// }
/// # }
/// ```
///
/// Whoever wants to take part in the background, and only asks now and then who leads,
/// [joins](Self::join).
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{LeaderLatch, LockOptions};
///
/// let latch = LeaderLatch::new(&client, "/leaders/billing")
///     .with_id("host-1")
///     .with_options(LockOptions::new().strict());
/// let candidacy = latch.join();
/// println!("{} has {} in line", latch.path(), latch.participants().await?.len());
/// println!("{:?} leads", latch.leader().await?.map(|leader| leader.id));
/// candidacy.until_leader().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LeaderLatch {
    line: Line,
}

impl LeaderLatch {
    /// The election at `path`. Whether that can be a path is checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self { line: Line::new(client, path.into(), Naming::LATCH, Mode::Exclusive) }
    }

    /// The same election, in which this participant calls itself so.
    #[must_use]
    pub fn with_id(mut self, id: impl AsRef<str>) -> Self {
        self.line = self.line.with_id(id.as_ref());
        self
    }

    /// The same election, with leaderships that promise other things. The
    /// [data](LockOptions::data) is the id, and the [layout](LockOptions::layout) Curator's in any
    /// case.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.line = self.line.with_terms(options.layout(crate::Layout::Curator));
        self
    }

    /// The path of the election.
    pub fn path(&self) -> &str {
        &self.line.path
    }

    /// Takes part until it leads.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth`, `QuotaExceeded`, or the end of the
    ///   session;
    /// - `OtherRecipe` if something else contends at the path;
    /// - `SequenceExhausted` if the children of the path cannot be ordered any more;
    /// - `PlaceDeleted` if somebody deletes each of our nodes.
    ///
    /// # Cancel safety
    /// If the future is dropped, at whatever point, it takes part no more: its node is removed in
    /// the background, also one whose creation is under way.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub fn lead(&self) -> impl Future<Output = Result<Guard, LockError>> + Send + use<> {
        let line = self.line.clone();
        async move { line.turn().await }
    }

    /// Takes part in the background, from now on: after a leadership is lost it stands in line
    /// again, for as long as the session lives. Whatever [`lead`](Self::lead) fails with ends it,
    /// also somebody who deletes each of its nodes: [`Candidacy::until_leader`],
    /// [`events`](Candidacy::events) and [`leave`](Candidacy::leave) tell.
    ///
    /// # Panics
    /// If it is called outside of a tokio runtime with time enabled.
    pub fn join(&self) -> Candidacy {
        Candidacy::new(self.line.clone())
    }

    /// All who take part, the leader first, and those who come next in their order.
    ///
    /// # Errors
    /// As of [`lead`](Self::lead).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn participants(&self) -> Result<Vec<Participant>, LockError> {
        participant::all(&self.line).await
    }

    /// The one who leads, if anybody does.
    ///
    /// # Errors
    /// As of [`lead`](Self::lead).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn leader(&self) -> Result<Option<Participant>, LockError> {
        participant::leader(&self.line).await
    }

    /// Who leads, and each change of it, without taking part: for clients that want to find the
    /// leader. Costs one list and two reads for each change; one watch is left, on the node of the
    /// leader or, if there is none, on the list.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
    /// use futures::StreamExt;
    /// use znode_recipes::LeaderLatch;
    ///
    /// let mut changes = LeaderLatch::new(&client, "/leaders/billing").changes();
    /// while let Some(leader) = changes.next().await {
    ///     match leader? {
    ///         Some(leader) => println!("{} leads, epoch {}", leader.id, leader.epoch),
    ///         None => println!("nobody leads"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn changes(&self) -> LeaderChanges {
        LeaderChanges::new(self.line.clone())
    }
}
