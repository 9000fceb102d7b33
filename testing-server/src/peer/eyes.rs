//! What a server of an ensemble tells of itself to those who watch it.

use super::{QuorumPeer, Role};
use crate::admin::figures::Figures;
use crate::node::Node;
use crate::zab::leader::Phase as Leading;
use crate::zab::learner::Phase as Learning;

/// How long proposals were, in bytes; -1 before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProposalSizes {
    pub(crate) last: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl ProposalSizes {
    /// None yet.
    pub(crate) const NONE: Self = Self { last: -1, min: -1, max: -1 };

    /// Takes note of one.
    pub(crate) fn note(&mut self, len: usize) {
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        self.last = len;
        self.min = if self.min < 0 { len } else { self.min.min(len) };
        self.max = self.max.max(len);
    }
}

impl Node {
    /// What the server is, in the word that Apache's tools look for.
    pub(crate) fn mode(&self) -> &'static str {
        match self.peer.as_deref() {
            None => "standalone",
            Some(QuorumPeer { role: Role::Leading(_), .. }) => "leader",
            Some(QuorumPeer { role: Role::Learning(learner), .. }) if learner.is_observer => {
                "observer"
            }
            Some(QuorumPeer { role: Role::Learning(_), .. }) => "follower",
            Some(peer) if peer.is_read_only() => "read-only",
            Some(QuorumPeer { role: Role::Looking, .. }) => "looking",
        }
    }
}

impl QuorumPeer {
    /// How long this server's proposals were, if it leads.
    pub(crate) fn proposal_sizes(&self) -> Option<ProposalSizes> {
        match &self.role {
            Role::Leading(leader) => Some(leader.sizes),
            Role::Looking | Role::Learning(_) => None,
        }
    }

    /// What the server does, and how far it is, as Apache's tell.
    pub(crate) fn state(&self) -> &'static str {
        match &self.role {
            Role::Looking => "looking - election",
            Role::Leading(leader) => match leader.phase {
                Leading::Broadcast => "leading - broadcast",
                Leading::Synchronization => "leading - synchronization",
                _ => "leading - discovery",
            },
            Role::Learning(learner) => match (learner.is_observer, learner.phase) {
                (false, Learning::Serving) => "following - broadcast",
                (true, Learning::Serving) => "observing - broadcast",
                (false, phase) if phase >= Learning::Receiving => "following - synchronization",
                (true, phase) if phase >= Learning::Receiving => "observing - synchronization",
                (false, _) => "following - discovery",
                (true, _) => "observing - discovery",
            },
        }
    }

    /// What only a server of an ensemble has to tell.
    pub(crate) fn put_figures(&self, figures: &mut Figures) {
        figures.gauge("quorum_size", self.quorums.committed.voters().count());
        figures.text("peer_state", self.state());
        let Role::Leading(leader) = &self.role else { return };
        let (mut followers, mut strangers, mut observers) = (0, 0, 0);
        for (sid, is_observer) in leader.serving() {
            match (is_observer, self.quorums.is_voter(sid)) {
                (true, _) => observers += 1,
                (false, true) => followers += 1,
                (false, false) => strangers += 1,
            }
        }
        figures.gauge("learners", leader.learners().count());
        figures.gauge("synced_followers", followers);
        figures.gauge("synced_non_voting_followers", strangers);
        figures.gauge("synced_observers", observers);
        figures.gauge("pending_syncs", leader.pending_syncs());
        figures.gauge("last_proposal_size", leader.sizes.last);
        figures.gauge("max_proposal_size", leader.sizes.max);
        figures.gauge("min_proposal_size", leader.sizes.min);
    }
}
