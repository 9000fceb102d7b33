//! Where whoever keeps a node tells what has become of it, and is told what to write.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt, unfold};
use tokio::sync::Notify;
use znode::{SessionId, Zxid};

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
pub(super) struct Desk {
    board: Mutex<Board>,
    changed: Notify,
}

#[derive(Debug)]
struct Board {
    state: NodeState,
    /// How often that has changed.
    changes: u64,
    /// Nobody keeps the node any more.
    is_over: bool,
    wanted: Wanted,
    /// What was written last.
    written: Wanted,
    /// What a server would not let be written last.
    refused: Option<(u64, RecipeError)>,
}

impl Board {
    /// What became of data that was wanted; `None` if that is not known yet.
    fn outcome(&self, number: u64, path: &str) -> Option<Result<(), RecipeError>> {
        let written = self.written.number;
        match (&self.state, &self.refused) {
            // What was refused had taken the place of what came before and was never written.
            (_, Some((at, error))) if number == *at || (written < number && number < *at) => {
                Some(Err(error.clone()))
            }
            _ if written >= number => Some(Ok(())),
            (NodeState::Failed(error), _) => Some(Err(error.clone())),
            _ if self.is_over => Some(Err(RecipeError::lost(path, "nobody keeps it any more"))),
            _ => None,
        }
    }

    fn settled(&self) -> u64 {
        self.refused.as_ref().map_or(0, |(at, _)| *at).max(self.written.number)
    }
}

impl Desk {
    /// Of a node that is yet to be made, with this data.
    pub(super) fn new(data: &[u8]) -> Self {
        let wanted = Wanted { number: 1, data: data.into() };
        let written = Wanted { number: 0, data: Arc::default() };
        let state = NodeState::Absent;
        let board = Board { state, changes: 0, is_over: false, wanted, written, refused: None };
        Self { board: Mutex::new(board), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Waits until there is something to be seen.
    async fn until<T>(&self, mut see: impl FnMut(&Board) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(seen) = see(&self.lock()) {
                return seen;
            }
            changed.await;
        }
    }

    // ---- for whoever wants the node -----------------------------------------------------------

    pub(super) fn state(&self) -> NodeState {
        self.lock().state.clone()
    }

    /// What becomes of it from now on, and what it is.
    pub(super) fn states(self: &Arc<Self>) -> NodeStates {
        let from = (Arc::clone(self), None);
        NodeStates(Box::pin(unfold(from, |(desk, last): (Arc<Self>, Option<u64>)| async move {
            let next = desk.until(|board| match (last == Some(board.changes), board.is_over) {
                (false, _) => Some(Some((board.state.clone(), board.changes))),
                (true, true) => Some(None),
                (true, false) => None,
            });
            let (state, changes) = next.await?;
            Some((state, (desk, Some(changes))))
        })))
    }

    /// Waits until it stands; returns the transaction that made it.
    pub(super) async fn standing(&self, path: &str) -> Result<Zxid, RecipeError> {
        let stands = self.until(|board| match &board.state {
            NodeState::Standing { czxid } => Some(Ok(*czxid)),
            NodeState::Failed(error) => Some(Err(error.clone())),
            _ if board.is_over => Some(Err(RecipeError::lost(path, "nobody keeps it any more"))),
            _ => None,
        });
        stands.await
    }

    /// Asks for other data; returns its number.
    pub(super) fn want(&self, data: &[u8]) -> u64 {
        let mut number = 0;
        self.change(|board| {
            number = board.wanted.number + 1;
            board.wanted = Wanted { number, data: data.into() };
        });
        number
    }

    /// Waits until it is known what became of data that was asked for.
    pub(super) async fn outcome(&self, number: u64, path: &str) -> Result<(), RecipeError> {
        self.until(|board| board.outcome(number, path)).await
    }

    // ---- for whoever keeps it -----------------------------------------------------------------

    pub(super) fn wanted(&self) -> Wanted {
        self.lock().wanted.clone()
    }

    /// Waits until there is other data to be written.
    pub(super) async fn unsettled(&self) -> Wanted {
        let is_new = |board: &Board| board.wanted.number > board.settled();
        self.until(|board| is_new(board).then(|| board.wanted.clone())).await
    }

    /// Whether data is not known to have stood there.
    pub(super) fn is_new(&self, wanted: &Wanted) -> bool {
        let written = &self.lock().written;
        written.number == 0 || written.data != wanted.data
    }

    pub(super) fn tell(&self, state: NodeState) {
        self.change(|board| {
            board.state = state;
            board.changes += 1;
        });
    }

    /// It stands, with this data.
    pub(super) fn tell_standing(&self, czxid: Zxid, written: Wanted) {
        self.change(|board| {
            board.state = NodeState::Standing { czxid };
            board.changes += 1;
            board.written = written;
        });
    }

    pub(super) fn tell_written(&self, written: Wanted) {
        self.change(|board| board.written = written);
    }

    /// A server does not let data be written; the node is to have what it had.
    pub(super) fn tell_refused(&self, number: u64, error: RecipeError) {
        self.change(|board| {
            board.refused = Some((number, error));
            if board.wanted.number == number {
                board.wanted.data = Arc::clone(&board.written.data);
            }
        });
    }

    /// Nobody keeps it any more.
    /// Whether a node that could not be made with this data is to be made with what it had before;
    /// whoever asked for the data is told that it was refused.
    pub(super) fn falls_back(&self, wanted: &Wanted, error: &RecipeError) -> bool {
        let is_news = |board: &Board| {
            let refused = board.refused.as_ref().is_some_and(|(at, _)| *at >= wanted.number);
            board.written.number > 0 && board.written.number < wanted.number && !refused
        };
        let falls_back = !error.is_session_over() && is_news(&self.lock());
        if falls_back {
            self.tell_refused(wanted.number, error.clone());
        }
        falls_back
    }

    pub(super) fn tell_over(&self) {
        self.change(|board| board.is_over = true);
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
    use super::*;

    fn told(desk: &Desk, number: u64) -> Option<bool> {
        desk.lock().outcome(number, "/a").map(|outcome| outcome.is_ok())
    }

    #[test]
    fn each_change_of_data_learns_of_its_own_fate() {
        let desk = Desk::new(b"first");
        let first = desk.wanted();
        assert_eq!(told(&desk, first.number), None);
        desk.tell_standing(Zxid(7), first);
        assert_eq!(told(&desk, 1), Some(true));
        // One is written with the next, or refused with it.
        let (passed_over, refused) = (desk.want(b"second"), desk.want(b"third"));
        desk.tell_refused(refused, RecipeError::invalid_argument("/a", "a server has refused it"));
        assert_eq!(
            [1, passed_over, refused].map(|n| told(&desk, n).unwrap()),
            [true, false, false]
        );
        // It is to come back with what it had.
        assert_eq!(&desk.wanted().data[..], b"first");
        let later = desk.want(b"fourth");
        assert_eq!(told(&desk, later), None);
        desk.tell_written(desk.wanted());
        assert_eq!([refused, later].map(|n| told(&desk, n).unwrap()), [false, true]);
        desk.tell_over();
        assert_eq!(told(&desk, desk.want(b"fifth")), Some(false));
    }

    #[test]
    fn a_node_that_cannot_be_made_with_other_data_is_made_with_what_it_had() {
        let desk = Desk::new(b"first");
        let refused = RecipeError::invalid_argument("/a", "a server has refused it");
        assert!(!desk.falls_back(&desk.wanted(), &refused), "it never had any");
        desk.tell_standing(Zxid(7), desk.wanted());
        let second = desk.want(b"second");
        assert!(desk.falls_back(&desk.wanted(), &refused));
        assert_eq!((told(&desk, second), &desk.wanted().data[..]), (Some(false), &b"first"[..]));
        assert!(!desk.falls_back(&desk.wanted(), &refused), "it is that which is refused now");
    }
}
