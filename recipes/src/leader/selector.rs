//! Work that is done while one leads, again and again.

use std::future::Future;
use std::ops::ControlFlow;

use znode::{Client, Zxid};

use super::participant::{self, Participant};
use crate::error::{LockError, LockErrorKind};
use crate::guard::Guard;
use crate::guarded::GuardedClient;
use crate::lock::line::Line;
use crate::loss::Lost;
use crate::options::LockOptions;
use crate::sequence::{Mode, Naming};
use crate::sequencer::Sequencer;

/// Work for one of several at a time: whoever's turn it is does it until it is done, or until the
/// leadership is lost, and then stands at the end of the line again.
///
/// It is Curator's `LeaderSelector` on the wire, which is the line of its mutex with what each
/// calls itself as data; with [`Layout::Kazoo`](crate::Layout::Kazoo), kazoo's `Election`.
///
/// ```no_run
/// # async fn round(epoch: znode::Zxid) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::ops::ControlFlow;
/// use znode_recipes::LeaderSelector;
///
/// let selector = LeaderSelector::new(&client, "/leaders/reports").with_id("host-1");
/// selector
///     .run(|term| async move {
///         // Dropped where it stands when the leadership is lost.
///         round(term.epoch()).await;
///         ControlFlow::<()>::Continue(()) // let the others have their turns
///     })
///     .await
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::ops::ControlFlow;
/// use znode_recipes::{LeaderSelector, LockOptions};
///
/// let strict = LockOptions::new().strict();
/// let selector = LeaderSelector::new(&client, "/leaders/reports").with_options(strict);
/// println!("at {}: {:?}", selector.path(), selector.participants().await?);
/// let report = selector.run(|_| async { ControlFlow::Break("done") }).await?; // once is enough
/// println!("{report}, and now {:?} leads", selector.leader().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LeaderSelector {
    line: Line,
}

/// One leadership, for whoever does the work of it.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// # async fn work(told: String) {}
/// use std::ops::ControlFlow;
/// use znode::Version;
/// use znode_recipes::{LeaderSelector, Term};
///
/// let turn = |term: Term| async move {
///     // Takes effect under this leadership, or not at all.
///     let written = term.client().set_data("/reports/by", "host-1", Version::ANY).await;
///     // For a server elsewhere, which can verify it.
///     work(term.sequencer().to_string()).await;
///     let lost = term.lost();
///     tokio::spawn(async move { println!("{:?} is over: {:?}", term.epoch(), lost.await) });
///     ControlFlow::Break(written)
/// };
/// LeaderSelector::new(&client, "/leaders/reports").run(turn).await??;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Term {
    client: GuardedClient,
    sequencer: Sequencer,
    lost: Lost,
}

impl Term {
    pub(super) fn of(guard: &Guard) -> Self {
        Self { client: guard.client(), sequencer: guard.sequencer(), lost: guard.lost() }
    }

    /// The token of this leadership: larger than those of all that were before.
    pub fn epoch(&self) -> Zxid {
        self.sequencer.token()
    }

    /// A client for writes that take effect under this leadership, or not at all.
    pub fn client(&self) -> &GuardedClient {
        &self.client
    }

    /// What another process can verify this leadership by.
    pub fn sequencer(&self) -> &Sequencer {
        &self.sequencer
    }

    /// Resolves once this leadership is lost, for tasks that the work has spawned: the work itself
    /// is dropped by then.
    pub fn lost(&self) -> Lost {
        self.lost.clone()
    }
}

impl LeaderSelector {
    /// The line at `path`. Whether that can be a path is checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self { line: Line::new(client, path.into(), Naming::LOCK, Mode::Exclusive) }
    }

    /// The same line, in which this one calls itself so.
    #[must_use]
    pub fn with_id(mut self, id: impl AsRef<str>) -> Self {
        self.line = self.line.with_id(id.as_ref());
        self
    }

    /// The same line, with leaderships that promise other things. The [data](LockOptions::data) is
    /// the id in any case.
    #[must_use]
    pub fn with_options(mut self, options: LockOptions) -> Self {
        self.line = self.line.with_terms(options);
        self
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// The path of the line.
    pub fn path(&self) -> &str {
        &self.line.path
    }

    /// Does the work whenever it is this one's turn, until the work says
    /// [`Break`](ControlFlow::Break); returns what it says then.
    ///
    /// The future of the work is dropped, where it stands, as soon as the leadership is known to be
    /// lost. After that, and after each [`Continue`](ControlFlow::Continue), this one stands at the
    /// end of the line again.
    ///
    /// # Errors
    /// As of [`LeaderLatch::lead`](crate::LeaderLatch::lead); of a lost leadership only if the
    /// session is over with it, and the work has not said `Break`.
    ///
    /// # Cancel safety
    /// If the future is dropped the work is, and its leadership or its place in line is given up in
    /// the background.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled, and if the work does.
    pub fn run<T, F, W>(
        &self,
        mut work: W,
    ) -> impl Future<Output = Result<T, LockError>> + use<T, F, W>
    where
        F: Future<Output = ControlFlow<T>>,
        W: FnMut(Term) -> F,
    {
        let line = self.line.clone();
        async move {
            loop {
                if let Some(value) = serve(line.turn().await?, &mut work).await? {
                    return Ok(value);
                }
            }
        }
    }

    /// All in line, the leader first, and those who come next in their order.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn participants(&self) -> Result<Vec<Participant>, LockError> {
        participant::all(&self.line).await
    }

    /// The one who leads, if anybody does.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn leader(&self) -> Result<Option<Participant>, LockError> {
        participant::leader(&self.line).await
    }
}

/// Does the work under one leadership; nothing if it is to be done again under another.
pub(super) async fn serve<T, F>(
    guard: Guard,
    work: impl FnOnce(Term) -> F,
) -> Result<Option<T>, LockError>
where
    F: Future<Output = ControlFlow<T>>,
{
    let done = guard.run(work(Term::of(&guard))).await;
    match done {
        Ok(flow) => {
            let is_last = flow.is_break();
            match guard.release().await {
                // What the work has to say counts, also if it was overtaken while it said so.
                Err(error) if error.kind() != LockErrorKind::LockLost => Err(error),
                Err(lost) if lost.is_session_over() && !is_last => Err(lost),
                Ok(()) | Err(_) => Ok(flow.break_value()),
            }
        }
        Err(lost) if lost.is_session_over() => Err(lost),
        Err(lost) => {
            tracing::debug!(path = guard.path(), %lost, "standing in line again");
            Ok(None)
        }
    }
}
