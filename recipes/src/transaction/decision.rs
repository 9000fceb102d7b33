//! What is voted and what is decided: the words of a transaction.

use std::fmt;

/// What a participant says to a transaction. It is said once.
///
/// ```
/// use znode_recipes::Vote;
///
/// let in_stock = 3;
/// let vote = if in_stock > 0 { Vote::Yes } else { Vote::No };
/// assert_eq!(vote.to_string(), "yes");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
pub enum Vote {
    /// It can be done, now and after whatever failure: a promise to apply it if it is committed.
    Yes,
    /// It cannot be done. That aborts the transaction.
    No,
}

/// Who has a part in a transaction.
///
/// ```
/// use znode_recipes::Party;
///
/// assert_eq!(Party::Participant("stock".to_owned()).to_string(), "participant \"stock\"");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Party {
    /// Whoever has proposed it, or has [taken that over](crate::TwoPhaseCommit::recover).
    Coordinator,
    /// A participant, by its name.
    Participant(String),
}

/// What has become of a transaction, for ever and for everybody.
///
/// ```
/// use znode_recipes::{AbortReason, Decision};
///
/// fn told(decision: &Decision) -> String {
///     match decision {
///         Decision::Committed { by } => format!("done; the last vote was counted by {by}"),
///         Decision::Aborted { reason: AbortReason::Late { missing }, .. } => {
///             format!("nobody has heard of {missing:?}")
///         }
///         Decision::Aborted { by, reason } => format!("{reason}, by {by}"),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third outcome")]
pub enum Decision {
    /// Everybody has voted yes, and everybody applies it.
    Committed {
        /// Who has written that down.
        by: Party,
    },
    /// Nobody applies it.
    Aborted {
        /// Who has written that down.
        by: Party,
        /// Why.
        reason: AbortReason,
    },
}

/// Why a transaction was aborted.
///
/// ```
/// use znode_recipes::AbortReason;
///
/// let late = AbortReason::Late { missing: vec!["stock".to_owned()] };
/// assert_eq!(late.to_string(), "no vote in time from \"stock\"");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AbortReason {
    /// A participant has voted no.
    Refused,
    /// Somebody who waited for the decision has lost patience.
    Late {
        /// The participants that had not voted by then.
        missing: Vec<String>,
    },
    /// Its coordinator has [withdrawn](crate::Proposal::abort) it.
    Withdrawn,
}

impl Decision {
    /// Whether it is to be applied.
    ///
    /// ```
    /// use znode_recipes::{Decision, Party};
    ///
    /// assert!(Decision::Committed { by: Party::Coordinator }.is_committed());
    /// ```
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed { .. })
    }

    /// Who has written it down.
    ///
    /// ```
    /// use znode_recipes::{Decision, Party};
    ///
    /// let decision = Decision::Committed { by: Party::Coordinator };
    /// assert_eq!(decision.by(), &Party::Coordinator);
    /// ```
    pub fn by(&self) -> &Party {
        match self {
            Self::Committed { by } | Self::Aborted { by, .. } => by,
        }
    }
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
        })
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("the coordinator"),
            Self::Participant(name) => write!(f, "participant {name:?}"),
        }
    }
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Withdrawn => f.write_str("withdrawn"),
            Self::Late { missing } => {
                f.write_str("no vote in time from ")?;
                for (index, name) in missing.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{name:?}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed { by } => write!(f, "committed by {by}"),
            Self::Aborted { by, reason } => write!(f, "aborted by {by}: {reason}"),
        }
    }
}
