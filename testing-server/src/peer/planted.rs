//! Mistakes that others have made, put back on purpose: the simulated world must find each.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// ZOOKEEPER-3911, 4646: a new leader is acknowledged before its history is on the disk.
    AckBeforeHistory,
    /// ZOOKEEPER-4643: the epoch is written down before the history that it begins with.
    EpochBeforeHistory,
    /// ZOOKEEPER-4394: what is proposed between the history and the word to serve is forgotten.
    ProposalsForgotten,
    /// ZOOKEEPER-4925, 2418: what came with the history is not remembered for others.
    HoleInHistory,
    /// ZOOKEEPER-2832, 1154: what nobody else has is not cut off.
    TailKept,
    /// ZOOKEEPER-3104: the new leader is named before the history.
    LeaderNamedTooEarly,
    /// ZOOKEEPER-3642, 2872: a snapshot holds before it is on the disk.
    SnapshotInMemory,
    /// ZOOKEEPER-2845: what was logged and not applied does not count in elections.
    TailNotCounted,
    /// A proposal is acknowledged before it is on the disk.
    AckBeforeDisk,
    /// A leader alone decides.
    NoQuorum,
    /// A promise is given and not written down.
    PromiseNotWritten,
    /// A learner is forwarded nothing of what is proposed while it catches up.
    NotForwarded,
    /// While a reconfiguration is under way, only the voters of the old configuration decide.
    OldVotersAlone,
    /// Or only those of the new one.
    NewVotersAlone,
}

/// Which mistake a server makes; outside of tests, none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Planted {
    #[cfg(test)]
    pub(crate) bug: Option<Bug>,
}

impl Planted {
    /// Whether it is this one.
    #[cfg(test)]
    pub(crate) fn is(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Whether it is this one: never.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the same call as in tests")]
    pub(crate) const fn is(self, _: Bug) -> bool {
        false
    }
}
