//! A transaction as its coordinator has it.

use std::sync::OnceLock;
use std::time::Duration;

use super::decision::{AbortReason, Decision, Party};
use super::desk::Desk;
use super::rules::Intent;
use super::seat::Seat;
use crate::recipe_error::RecipeError;

/// A transaction that was [proposed](crate::TwoPhaseCommit::propose), or
/// [taken over](crate::TwoPhaseCommit::recover).
///
/// The transaction stands until this has been told the [outcome](Self::outcome) or is dropped, or
/// until its session ends; and until everybody has applied it. Dropping it aborts nothing.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::{Proposal, TwoPhaseCommit};
///
/// let orders = TwoPhaseCommit::new(&client, "/transactions/orders");
/// let proposal: Proposal = orders.propose("4711", ["stock", "payments"], "").await?;
/// println!("{} is {}", proposal.id(), proposal.outcome_within(Duration::from_secs(2)).await?);
/// assert!(proposal.outcome().await.is_ok(), "it is not forgotten");
///
/// let other = orders.propose("4712", ["stock", "payments"], "").await?;
/// println!("{} is {}", other.id(), other.abort().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it leaves the transaction to its participants"]
pub struct Proposal {
    desk: Desk,
    seat: Seat,
    decision: OnceLock<Decision>,
}

impl Proposal {
    pub(super) fn new(desk: Desk, seat: Seat) -> Self {
        Self { desk, seat, decision: OnceLock::new() }
    }

    /// What the transaction is called.
    pub fn id(&self) -> &str {
        znode::path::name(self.desk.path())
    }

    /// Waits for the decision. If that takes longer than the patience of the transaction, aborts
    /// it; or commits it, if everybody has voted yes and then died.
    ///
    /// # Errors
    /// - `Lost` if somebody has deleted the coordinator's node;
    /// - `Foreign` if somebody has written something else into one of the nodes;
    /// - `Client` with the client's own error, as the end of the session. Then the decision may be
    ///   made or not; [`recover`](crate::TwoPhaseCommit::recover) tells.
    ///
    /// # Cancel safety
    /// If the future is dropped, a decision that is in line takes effect; it can be called again.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn outcome(&self) -> Result<Decision, RecipeError> {
        self.outcome_within(self.desk.charter().patience).await
    }

    /// The same, with a patience of its own.
    ///
    /// # Errors
    /// As [`outcome`](Self::outcome).
    ///
    /// # Cancel safety
    /// As [`outcome`](Self::outcome).
    ///
    /// # Panics
    /// As [`outcome`](Self::outcome).
    pub async fn outcome_within(&self, patience: Duration) -> Result<Decision, RecipeError> {
        if let Some(decision) = self.decision.get() {
            return Ok(self.told(decision.clone()).await);
        }
        let decision = self.desk.decision(patience).await?;
        Ok(self.told(decision).await)
    }

    /// Aborts it, unless it is decided; returns what was decided.
    ///
    /// # Errors
    /// As [`outcome`](Self::outcome).
    ///
    /// # Cancel safety
    /// As [`outcome`](Self::outcome).
    ///
    /// # Panics
    /// As [`outcome`](Self::outcome).
    pub async fn abort(&self) -> Result<Decision, RecipeError> {
        if let Some(decision) = self.decision.get() {
            return Ok(self.told(decision.clone()).await);
        }
        let settled = self.desk.settle(Intent::Withdraw).await?;
        // A withdrawal is decided whatever was voted.
        let (by, reason) = (Party::Coordinator, AbortReason::Withdrawn);
        let decision = settled.decision.unwrap_or(Decision::Aborted { by, reason });
        Ok(self.told(decision).await)
    }

    /// Knows the decision, and lets the transaction go once everybody else does: again, if it was
    /// dropped before that was done.
    async fn told(&self, decision: Decision) -> Decision {
        let decision = self.decision.get_or_init(|| decision).clone();
        if let Err(error) = self.seat.leave().await {
            // It goes when this is dropped, or with the session.
            tracing::debug!(path = self.seat.path(), %error, "coordinator's node");
        }
        decision
    }
}
