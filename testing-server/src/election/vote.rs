//! A vote, and which of two is better.

use znode::proto::Zxid;

use crate::quorum::Sid;

/// What a server does, as it says in its notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerState {
    /// It looks for a leader.
    Looking,
    /// It follows one.
    Following,
    /// It is the leader.
    Leading,
    /// It observes one.
    Observing,
}

impl ServerState {
    /// The number on the wire.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Looking => 0,
            Self::Following => 1,
            Self::Leading => 2,
            Self::Observing => 3,
        }
    }

    /// The state of a number.
    pub(crate) fn of(code: i32) -> Option<Self> {
        [Self::Looking, Self::Following, Self::Leading, Self::Observing]
            .into_iter()
            .find(|state| state.code() == code)
    }
}

/// Who should lead, and how far that server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    /// The server.
    pub(crate) leader: Sid,
    /// The last transaction in its log.
    pub(crate) zxid: Zxid,
    /// The epoch that it last took part in.
    pub(crate) peer_epoch: i64,
}

impl Vote {
    /// The vote of a server that has none: an observer looks for a leader, too.
    pub(crate) const NONE: Self =
        Self { leader: Sid(i64::MIN), zxid: Zxid(i64::MIN), peer_epoch: i64::MIN };

    /// Whether this vote is for a server that has come further, or as far with a larger number.
    /// Epochs come first (ZOOKEEPER-1081): a log may be longer and belong to a reign that nobody
    /// acknowledged. A server without weight is never better.
    pub(crate) fn is_better_than(&self, other: &Self, weight: i64) -> bool {
        let rank = |vote: &Self| (vote.peer_epoch, vote.zxid, vote.leader);
        weight != 0 && rank(self) > rank(other)
    }
}

/// A vote as somebody cast it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ballot {
    /// The vote.
    pub(crate) vote: Vote,
    /// The round of the election that it was cast in.
    pub(crate) round: i64,
    /// What the voter does.
    pub(crate) state: ServerState,
    /// Whether the voter speaks the oldest form, which knows no epochs.
    pub(crate) is_oldest: bool,
}

impl Ballot {
    /// Whether two ballots count for the same. Of servers that have settled only the leader and
    /// its epoch matter: they may remember different rounds (ZOOKEEPER-1732, 1805).
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        if self.state == ServerState::Looking || other.state == ServerState::Looking {
            return self.vote == other.vote && self.round == other.round;
        }
        self.vote.leader == other.vote.leader
            && (self.is_oldest != other.is_oldest || self.vote.peer_epoch == other.vote.peer_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(peer_epoch: i64, zxid: i64, leader: i64) -> Vote {
        Vote { leader: Sid(leader), zxid: Zxid(zxid), peer_epoch }
    }

    #[test]
    fn zk_1081_the_epoch_counts_before_the_length_of_the_log() {
        assert!(vote(2, 5, 1).is_better_than(&vote(1, 9, 3), 1));
        assert!(vote(2, 6, 1).is_better_than(&vote(2, 5, 3), 1));
        assert!(vote(2, 5, 3).is_better_than(&vote(2, 5, 1), 1));
        assert!(!vote(2, 5, 3).is_better_than(&vote(2, 5, 3), 1));
        assert!(!vote(9, 9, 9).is_better_than(&vote(1, 1, 1), 0), "no weight, no leader");
    }

    #[test]
    fn zk_1805_settled_servers_agree_whatever_round_they_remember() {
        let settled =
            |round, zxid, state| Ballot { vote: vote(4, zxid, 2), round, state, is_oldest: false };
        let follower = settled(7, 70, ServerState::Following);
        assert!(follower.agrees_with(&settled(9, 90, ServerState::Leading)));
        assert!(!follower.agrees_with(&settled(9, 90, ServerState::Looking)));
    }
}
