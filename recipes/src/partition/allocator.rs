//! The task that follows who is there, and seeks what is due to us.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use znode::{Stat, Watched};

use super::board::Board;
use super::division::{Division, Members};
use crate::clock::now;
use crate::error::LockError;
use crate::guard::Guard;
use crate::joined::joined;
use crate::lock::line::Line;
use crate::member::{NodeState, NodeStates, PersistentNode};
use crate::recipe_error::RecipeError;

/// One who takes part in dividing. Dropping it leaves, in the background.
#[derive(Debug)]
pub(super) struct Allocator {
    /// That of no part: where those of the parts are.
    locks: Line,
    party: Arc<str>,
    membership: PersistentNode,
    /// What becomes of our own node.
    states: NodeStates,
    /// Who is there.
    names: Watched<(Vec<String>, Stat)>,
    terms: Terms,
    /// The members that were seen last, until parts are divided among them, and when that is, if
    /// ever.
    seen: Option<(Members, Option<Instant>)>,
    /// Those who stand in line for a part, each in a task of its own: they hold one lock each, so
    /// there is no order in which they take them.
    seeking: JoinSet<Sought>,
    seekers: BTreeMap<Arc<str>, AbortHandle>,
    board: Over,
}

/// A part, and what came of seeking it.
type Sought = (Arc<str>, Result<Guard, LockError>);

/// How parts are divided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) division: Division,
    /// How long members are to be the same before parts are divided among them.
    pub(super) settling: Duration,
}

impl Allocator {
    /// Of a member whose node stands.
    pub(super) fn new(
        locks: Line,
        party: &Arc<str>,
        membership: PersistentNode,
        terms: Terms,
        board: &Arc<Board>,
    ) -> Self {
        let (states, names) = (membership.states(), locks.client.watch_children(party));
        let (seeking, seekers) = (JoinSet::new(), BTreeMap::new());
        let (party, board) = (Arc::clone(party), Over(Arc::clone(board)));
        Self { locks, party, membership, states, names, terms, seen: None, seeking, seekers, board }
    }

    /// Takes part until that cannot go on, or it is to leave.
    pub(super) async fn run(mut self, leave: oneshot::Receiver<()>) -> Result<(), RecipeError> {
        tokio::select! {
            biased;
            Ok(()) = leave => {}
            error = self.allocate() => {
                self.board.0.end(Some(error.clone()));
                return Err(error);
            }
        }
        let Self { membership, mut seeking, board, .. } = self;
        board.0.end(None);
        // Places in line are given up before the node is deleted.
        seeking.shutdown().await;
        membership.remove().await
    }

    async fn allocate(&mut self) -> RecipeError {
        loop {
            self.pursue();
            let settles = self.seen.as_ref().and_then(|(_, settles)| *settles);
            let settled = async {
                match settles {
                    Some(settles) => sleep_until(settles).await,
                    None => pending().await,
                }
            };
            let board = &self.board.0;
            tokio::select! {
                biased;
                state = self.states.next() => match state {
                    Some(NodeState::Failed(error)) => return error,
                    Some(_) => {}
                    None => return RecipeError::lost(&self.party, "nobody keeps its node any more"),
                },
                names = self.names.next() => match names {
                    Some(Ok(names)) => self.see(names.map_or_else(Vec::new, |(names, _)| names)),
                    Some(Err(error)) => return RecipeError::client(&self.party, error),
                    None => return RecipeError::lost(&self.party, "nobody watches it any more"),
                },
                Some(sought) = self.seeking.join_next(), if !self.seeking.is_empty() => {
                    if let Err(error) = self.take(sought) {
                        return error;
                    }
                }
                () = board.lacks() => {}
                () = settled => self.divide(),
            }
        }
    }

    /// Seeks what is due, and no more what is not.
    fn pursue(&mut self) {
        let (sought, given_up) = self.board.0.pursue();
        for part in given_up {
            if let Some(seeker) = self.seekers.remove(&part) {
                seeker.abort();
            }
        }
        for part in sought {
            let path = znode::path::join(&self.locks.path, &part);
            let line = Line { path: path.into(), ..self.locks.clone() };
            let name = Arc::clone(&part);
            let seeker = self.seeking.spawn(async move { (name, line.turn().await) });
            self.seekers.insert(part, seeker);
        }
    }

    fn see(&mut self, names: Vec<String>) {
        self.seen = Some((Members::of(names), now().checked_add(self.terms.settling)));
        if self.terms.settling.is_zero() {
            self.divide();
        }
    }

    fn divide(&mut self) {
        let node = znode::path::name(self.membership.path());
        if let Some((members, _)) = self.seen.take() {
            self.board.0.divide(self.terms.division, &members, node);
        }
    }

    /// Takes what was sought; also where it was given up when that was no secret any more.
    fn take(&mut self, sought: Result<Sought, JoinError>) -> Result<(), RecipeError> {
        let Some((part, stood)) = joined(sought) else { return Ok(()) };
        let guard = stood.map_err(|error| RecipeError::of_lock(&error))?;
        if let Some(seeker) = self.seekers.remove(&part) {
            // It may be one that was begun since.
            seeker.abort();
        }
        self.board.0.grant(&part, guard);
        Ok(())
    }
}

/// Tells that nobody seeks parts any more, when it is dropped.
#[derive(Debug)]
struct Over(Arc<Board>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.end(None);
    }
}
