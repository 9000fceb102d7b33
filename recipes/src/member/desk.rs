//! Where whoever keeps a node tells what has become of it, and is told what to write.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt, unfold};
use tokio::sync::oneshot;
use znode::{SessionId, Zxid};

use crate::notice::{Notice, next_state};
use crate::recipe_error::RecipeError;

/// What has become of a node that is kept.
///
/// ```
/// use znode_recipes::NodeState;
///
/// fn told(state: &NodeState) -> String {
///     match state {
///         NodeState::Standing { czxid, .. } => format!("it stands since {czxid}"),
///         NodeState::Occupied { owner, .. } => format!("session {owner} has one there"),
///         NodeState::Failed(error) => format!("that is the end: {error}"),
///         _ => "it is being made".to_owned(),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NodeState {
    /// It is being made, for the first time or anew.
    Absent,
    /// Somebody else's ephemeral node stands at its path; it is made once that is gone.
    #[non_exhaustive]
    Occupied {
        /// The session that has it: often that of the same program before it was started anew.
        owner: SessionId,
    },
    /// It stands, as far as can be known: of a session whose connection is down it may have gone.
    #[non_exhaustive]
    Standing {
        /// The transaction that made it; another one with each time that it is made anew.
        czxid: Zxid,
    },
    /// It is kept no more, for this reason; nothing follows.
    Failed(RecipeError),
}

/// What becomes of a node that is kept: what it is now, and whenever that has changed; see
/// [`PersistentNode::states`](crate::PersistentNode::states).
///
/// Of states that come and go quickly some may not be told of; the last always is. It ends after
/// [`NodeState::Failed`], or when the node is kept no more.
///
/// ```no_run
/// # async fn example(node: znode_recipes::PersistentNode) {
/// use futures::StreamExt;
/// use znode_recipes::{NodeState, NodeStates};
///
/// let mut states: NodeStates = node.states();
/// while let Some(state) = states.next().await {
///     if let NodeState::Failed(error) = state {
///         println!("{error}; over with the session: {}", error.is_session_over());
///     }
/// }
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct NodeStates(BoxStream<'static, NodeState>);

/// Data that the node is to have, numbered in the order in which it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) number: u64,
    pub(super) data: Arc<[u8]>,
}

#[derive(Debug)]
pub(super) struct Desk(Notice<Board>);

#[derive(Debug)]
struct Board {
    state: NodeState,
    /// How often that has changed.
    changes: u64,
    /// Nobody keeps the node any more.
    is_over: bool,
    wanted: Wanted,
    /// What has stood there last, if anything has.
    written: Option<Arc<[u8]>>,
    /// Up to which number it is known what became of data that was asked for.
    settled: u64,
    /// Those who wait to hear that, in the order of their numbers.
    waiting: Vec<(u64, oneshot::Sender<Outcome>)>,
}

/// What became of data that was asked for.
type Outcome = Result<(), RecipeError>;

impl Board {
    /// It is known what became of this and of what it had taken the place of.
    fn settle(&mut self, number: u64, outcome: &Outcome) {
        self.settled = self.settled.max(number);
        let later = self.waiting.partition_point(|(asked, _)| *asked <= number);
        for (_, waiting) in self.waiting.drain(..later) {
            // Who does not wait any more need not know.
            let _ = waiting.send(outcome.clone());
        }
    }

    /// Lets nobody wait for what does not come any more.
    fn tell_end(&mut self) {
        if let NodeState::Failed(error) = &self.state {
            let failed = Err(error.clone());
            self.settle(self.wanted.number, &failed);
        } else if self.is_over {
            self.waiting.clear();
        }
    }

    fn write(&mut self, written: Wanted) {
        self.written = Some(written.data);
        self.settle(written.number, &Ok(()));
    }

    fn refuse(&mut self, number: u64, error: &RecipeError) {
        self.settle(number, &Err(error.clone()));
        if let Some(written) = self.written.as_ref().filter(|_| self.wanted.number == number) {
            self.wanted.data = Arc::clone(written);
        }
    }
}

impl Desk {
    /// Of a node that is yet to be made, with this data.
    pub(super) fn new(data: &[u8]) -> Self {
        let wanted = Wanted { number: 1, data: data.into() };
        let board = Board {
            state: NodeState::Absent,
            changes: 0,
            is_over: false,
            wanted,
            written: None,
            settled: 0,
            waiting: Vec::new(),
        };
        Self(Notice::new(board))
    }

    // ---- for whoever wants the node -----------------------------------------------------------

    pub(super) fn state(&self) -> NodeState {
        self.0.lock().state.clone()
    }

    /// What becomes of it from now on, and what it is.
    pub(super) fn states(self: &Arc<Self>) -> NodeStates {
        let from = (Arc::clone(self), None);
        NodeStates(Box::pin(unfold(from, |(desk, last): (Arc<Self>, Option<u64>)| async move {
            let next = desk.0.until(|board| {
                next_state(last, (board.changes, || board.state.clone()), board.is_over)
            });
            let (state, changes) = next.await?;
            Some((state, (desk, Some(changes))))
        })))
    }

    /// Waits until it stands; returns the transaction that made it.
    pub(super) async fn standing(&self, path: &str) -> Result<Zxid, RecipeError> {
        let stands = self.0.until(|board| match &board.state {
            NodeState::Standing { czxid } => Some(Ok(*czxid)),
            NodeState::Failed(error) => Some(Err(error.clone())),
            _ if board.is_over => Some(Err(RecipeError::lost(path, "nobody keeps it any more"))),
            _ => None,
        });
        stands.await
    }

    /// Asks for other data, and waits until it is known what became of it.
    ///
    /// # Cancel safety
    /// From the first poll on, it is asked for.
    pub(super) async fn want(&self, data: &[u8], path: &str) -> Outcome {
        let over = |_| Err(RecipeError::lost(path, "nobody keeps it any more"));
        self.ask(data).await.unwrap_or_else(over)
    }

    fn ask(&self, data: &[u8]) -> oneshot::Receiver<Outcome> {
        let (sender, outcome) = oneshot::channel();
        self.0.change(|board| {
            let number = board.wanted.number + 1;
            board.wanted = Wanted { number, data: data.into() };
            board.waiting.retain(|(_, waiting)| !waiting.is_closed());
            board.waiting.push((number, sender));
            board.tell_end();
        });
        outcome
    }

    // ---- for whoever keeps it -----------------------------------------------------------------

    pub(super) fn wanted(&self) -> Wanted {
        self.0.lock().wanted.clone()
    }

    /// Waits until there is other data to be written.
    pub(super) async fn unsettled(&self) -> Wanted {
        let is_new = |board: &Board| board.wanted.number > board.settled;
        self.0.until(|board| is_new(board).then(|| board.wanted.clone())).await
    }

    /// Whether data is not known to have stood there.
    pub(super) fn is_new(&self, wanted: &Wanted) -> bool {
        self.0.lock().written.as_ref() != Some(&wanted.data)
    }

    pub(super) fn tell(&self, state: NodeState) {
        self.0.change(|board| {
            board.state = state;
            board.changes += 1;
            board.tell_end();
        });
    }

    /// It stands, with this data.
    pub(super) fn tell_standing(&self, czxid: Zxid, written: Wanted) {
        self.0.change(|board| {
            board.state = NodeState::Standing { czxid };
            board.changes += 1;
            board.write(written);
        });
    }

    pub(super) fn tell_written(&self, written: Wanted) {
        self.0.change(|board| board.write(written));
    }

    /// A server does not let data be written; the node is to have what it had.
    pub(super) fn tell_refused(&self, number: u64, error: &RecipeError) {
        self.0.change(|board| board.refuse(number, error));
    }

    /// Whether a node that could not be made with this data is to be made with what it had before;
    /// whoever asked for the data is told that it was refused.
    pub(super) fn falls_back(&self, wanted: &Wanted, error: &RecipeError) -> bool {
        self.0.change(|board| {
            let is_news = board.written.is_some() && wanted.number > board.settled;
            let falls_back = is_news && !error.is_session_over();
            if falls_back {
                board.refuse(wanted.number, error);
            }
            falls_back
        })
    }

    /// Nobody keeps it any more.
    pub(super) fn tell_over(&self) {
        self.0.change(|board| {
            board.is_over = true;
            board.tell_end();
        });
    }
}

impl Stream for NodeStates {
    type Item = NodeState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NodeState>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for NodeStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeStates")
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    /// Whether what was asked for was done, if that is told by now.
    fn told(outcome: &mut oneshot::Receiver<Outcome>) -> Option<bool> {
        match outcome.try_recv() {
            Ok(outcome) => Some(outcome.is_ok()),
            Err(TryRecvError::Closed) => Some(false),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn refusal(what: &str) -> RecipeError {
        RecipeError::invalid_argument("/a", what)
    }

    #[test]
    fn each_change_of_data_learns_of_its_own_fate() {
        let desk = Desk::new(b"first");
        desk.tell_standing(Zxid(7), desk.wanted());
        let (mut passed_over, mut written) = (desk.ask(b"second"), desk.ask(b"third"));
        let third = desk.wanted();
        let mut later = desk.ask(b"fourth");
        desk.tell_written(third);
        assert_eq!([&mut passed_over, &mut written].map(told), [Some(true); 2]);
        assert_eq!(told(&mut later), None);
        let mut last = desk.ask(b"fifth");
        desk.tell_refused(desk.wanted().number, &refusal("a server has refused it"));
        assert_eq!([&mut later, &mut last].map(told), [Some(false); 2]);
        // It is to come back with what it had.
        assert_eq!(&desk.wanted().data[..], b"third");
        let mut never = desk.ask(b"sixth");
        desk.tell_over();
        assert_eq!([told(&mut never), told(&mut desk.ask(b"seventh"))], [Some(false); 2]);
    }

    #[test]
    fn data_that_never_stood_is_not_told_to_be_written_when_what_it_had_is_made_anew() {
        let desk = Desk::new(b"first");
        desk.tell_standing(Zxid(7), desk.wanted());
        let mut waiting = [desk.ask(b"second"), desk.ask(b"third")];
        desk.tell(NodeState::Absent);
        assert!(desk.falls_back(&desk.wanted(), &refusal("a server has refused it")));
        desk.tell_standing(Zxid(8), desk.wanted());
        assert_eq!(waiting.each_mut().map(told), [Some(false); 2]);
    }

    #[test]
    fn whoever_was_refused_is_told_so_though_others_were_since() {
        let desk = Desk::new(b"first");
        desk.tell_standing(Zxid(7), desk.wanted());
        let waiting = ["one", "other"].map(|what| {
            let outcome = desk.ask(what.as_bytes());
            desk.tell_refused(desk.wanted().number, &refusal(what));
            outcome
        });
        for (mut outcome, what) in waiting.into_iter().zip(["one", "other"]) {
            let error = outcome.try_recv().unwrap().unwrap_err();
            assert_eq!(error.source().unwrap().to_string(), what);
        }
    }

    #[test]
    fn a_node_that_cannot_be_made_with_other_data_is_made_with_what_it_had() {
        let desk = Desk::new(b"first");
        let refused = refusal("a server has refused it");
        assert!(!desk.falls_back(&desk.wanted(), &refused), "it never had any");
        desk.tell_standing(Zxid(7), desk.wanted());
        let mut second = desk.ask(b"second");
        assert!(desk.falls_back(&desk.wanted(), &refused));
        assert_eq!((told(&mut second), &desk.wanted().data[..]), (Some(false), &b"first"[..]));
        assert!(!desk.falls_back(&desk.wanted(), &refused), "it is that which is refused now");
    }
}
