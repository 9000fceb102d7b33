//! A transaction as one of its participants has it: asked, voted, decided, applied.

use std::time::Duration;

use super::decision::{Decision, Vote};
use super::desk::Desk;
use super::rules::Intent;
use super::seat;
use crate::recipe_error::RecipeError;

/// A transaction that a participant has not finished; see
/// [`TwoPhaseCommit::ballots`](crate::TwoPhaseCommit::ballots).
///
/// Dropping it changes nothing: whoever asks for the ballots of this participant anew has it again.
///
/// ```no_run
/// # async fn example(ballot: znode_recipes::Ballot) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Ballot, Vote};
///
/// println!("{}: {:?} among {:?}", ballot.id(), ballot.payload(), ballot.participants());
/// let voted = ballot.vote(ballot.cast().unwrap_or(Vote::Yes)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a transaction waits for every vote"]
pub struct Ballot {
    desk: Desk,
    cast: Option<Vote>,
}

/// A transaction that a participant has voted on, or that was decided before it could.
///
/// ```no_run
/// # async fn example(ballot: znode_recipes::Ballot) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::{Vote, Voted};
///
/// let voted: Voted = ballot.vote(Vote::Yes).await?;
/// println!("{}: {:?}", voted.id(), voted.vote());
/// let decided = voted.decision_within(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a yes is a promise to apply what is decided"]
pub struct Voted {
    desk: Desk,
    cast: Option<Vote>,
    decision: Option<Decision>,
}

/// A transaction that is decided, and that a participant has to apply yet.
///
/// ```no_run
/// # async fn example(voted: znode_recipes::Voted) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Decided;
///
/// let decided: Decided = voted.decision().await?;
/// if decided.decision().is_committed() {
///     println!("{}: {:?} is done", decided.id(), decided.payload());
/// }
/// decided.applied().await
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "the transaction stands until everybody has applied it"]
pub struct Decided {
    desk: Desk,
    decision: Decision,
}

impl Ballot {
    pub(super) fn new(desk: Desk, cast: Option<Vote>) -> Self {
        Self { desk, cast }
    }

    /// What the transaction is called.
    pub fn id(&self) -> &str {
        znode::path::name(self.desk.path())
    }

    /// What it is about, as it was proposed.
    pub fn payload(&self) -> &[u8] {
        &self.desk.charter().payload
    }

    /// All who take part in it.
    pub fn participants(&self) -> &[String] {
        &self.desk.charter().participants
    }

    /// What this participant had voted by the time that it was asked: before it was started anew.
    pub fn cast(&self) -> Option<Vote> {
        self.cast
    }

    /// Votes, once, whatever replies are lost. A vote that was cast before may be cast again, and
    /// is the same one.
    ///
    /// A no aborts the transaction, and the last yes commits it, in the same write. Of several that
    /// are cast at once none may be seen to be the last: so whoever has voted, and decided nothing
    /// with that, looks once more, and commits it if all have voted by then.
    ///
    /// # Errors
    /// - `Conflict` if this participant has voted otherwise before;
    /// - `Lost` if it has applied the decision already, in another process, or if somebody has
    ///   deleted its node;
    /// - `Foreign` if somebody has written something else into one of the nodes;
    /// - `Client` with the client's own error, as the end of the session. Then its
    ///   [outcome](RecipeError::outcome) may be `Unknown`: another ballot for it tells.
    ///
    /// # Cancel safety
    /// If the future is dropped, a vote that is in line is cast.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn vote(&self, vote: Vote) -> Result<Voted, RecipeError> {
        let settled = self.desk.settle(Intent::Vote(vote)).await?;
        let desk = self.desk.clone();
        Ok(Voted { desk, cast: settled.cast, decision: settled.decision })
    }
}

impl Voted {
    /// What the transaction is called.
    pub fn id(&self) -> &str {
        znode::path::name(self.desk.path())
    }

    /// The vote that was cast; `None` if the transaction was aborted before.
    pub fn vote(&self) -> Option<Vote> {
        self.cast
    }

    /// Waits for the decision. If that takes longer than the patience of the transaction, aborts
    /// it, unless everybody has voted yes.
    ///
    /// # Errors
    /// As [`Ballot::vote`], but `Conflict`.
    ///
    /// # Cancel safety
    /// If the future is dropped, a decision that is in line takes effect; it can be called again.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn decision(&self) -> Result<Decided, RecipeError> {
        self.decision_within(self.desk.charter().patience).await
    }

    /// The same, with a patience of its own.
    ///
    /// # Errors
    /// As [`decision`](Self::decision).
    ///
    /// # Cancel safety
    /// As [`decision`](Self::decision).
    ///
    /// # Panics
    /// As [`decision`](Self::decision).
    pub async fn decision_within(&self, patience: Duration) -> Result<Decided, RecipeError> {
        let decision = match &self.decision {
            Some(decision) => decision.clone(),
            None => self.desk.decision(patience).await?,
        };
        Ok(Decided { desk: self.desk.clone(), decision })
    }
}

impl Decided {
    /// What the transaction is called.
    pub fn id(&self) -> &str {
        znode::path::name(self.desk.path())
    }

    /// What it is about, as it was proposed.
    pub fn payload(&self) -> &[u8] {
        &self.desk.charter().payload
    }

    /// The decision, which is the same for everybody.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Says that this participant has applied the decision, and need not be told of it any more.
    /// When all have, and the coordinator has been told, the transaction goes.
    ///
    /// It may have been said before. A participant that dies between applying a decision and saying
    /// so finds it again, and is to apply it in a way that can be done twice.
    ///
    /// # Errors
    /// `Client` with the client's own error, as the end of the session. A lost connection is not
    /// told.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn applied(&self) -> Result<(), RecipeError> {
        let left = seat::leave(self.desk.client(), self.desk.own()).await;
        left.map_err(|error| RecipeError::client(self.desk.own(), error))
    }
}
