//! The leader's part: it finds out which epoch is new to a quorum, brings everybody to the same
//! history, and from then on orders all writes.
//!
//! | room | what it does |
//! |---|---|
//! | [`discover`] | an epoch that a quorum has promised to, and no learner who knows more |
//! | [`synchronize`] | what a learner lacks, and the acknowledgement that it has it |
//! | [`broadcast`] | propose, count, commit |
//! | [`lease`] | signs of life, and proof of still being the leader |
//! | [`reconfig`] | another configuration, and who leads in it |
//! | [`requests`] | what learners ask for on behalf of their clients |
//!
//! Whoever acknowledges anything is counted by its connection, which is gone as soon as it breaks:
//! nobody counts who might have lost what it has acknowledged.

pub(crate) mod broadcast;
mod discover;
mod lease;
mod reconfig;
mod requests;
mod synchronize;

pub(crate) use discover::{EPOCH_MAX, put_promise};

use std::collections::{BTreeMap, VecDeque};

use znode::Moment;
use znode::proto::Zxid;

use crate::node::input::ConnId;
use crate::node::outbox::ReplyTo;
use crate::peer::eyes::ProposalSizes;
use crate::quorum::{Quorums, Sid};

/// How far a leader has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It waits for a quorum to say which epoch they have promised to last.
    Discovery,
    /// It writes down its own promise.
    SavingAccepted,
    /// It waits for a quorum to promise.
    Promises,
    /// It writes down that the epoch has begun.
    SavingCurrent,
    /// It waits for a quorum to have its history.
    Synchronization,
    /// It serves.
    Broadcast,
}

/// A leader.
#[derive(Debug)]
pub(crate) struct Leader {
    pub(crate) phase: Phase,
    /// The epoch to be; while it is being found out, the largest that was heard of, and one.
    pub(crate) epoch: u32,
    /// When it gives up unless it serves by then.
    pub(super) give_up: Moment,
    /// When learners are next asked for a sign of life.
    pub(super) next_ping: Moment,
    pub(super) learners: BTreeMap<ConnId, LearnerHandler>,
    /// How many rounds of pings there were, and the one that is to prove something.
    pub(super) pings: u64,
    pub(super) proving: Option<u64>,
    /// How long its proposals were.
    pub(crate) sizes: ProposalSizes,
    /// Who is to lead instead, once a reconfiguration has said so. From then on nothing is decided
    /// here any more.
    pub(super) successor: Option<Sid>,
    /// Calls of `sync` that wait for proof, in the order of their arrival.
    pub(super) syncs: VecDeque<PendingSync>,
}

/// A `sync` that is not answered.
#[derive(Debug)]
pub(super) struct PendingSync {
    /// The learner whose client asks, or a client of this server.
    pub(super) to: SyncFrom,
    /// What was proposed by then must be decided.
    pub(super) after: Zxid,
    /// The round of pings that a quorum must have answered.
    pub(super) proof: u64,
}

/// Who asks for a `sync`.
#[derive(Debug, Clone, Copy)]
pub(super) enum SyncFrom {
    Learner(ConnId),
    Client(ReplyTo),
}

/// How far a learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has connected.
    Connected,
    /// It has said who it is.
    Informed,
    /// It was told the epoch.
    Asked,
    /// It has promised; its last transaction.
    Promised(Zxid),
    /// It is being sent what it lacks, up to this place.
    Synchronizing(Zxid),
    /// It has acknowledged that it has it.
    Synchronized,
    /// It was told to serve.
    Serving,
}

/// One learner, as long as its connection stands.
#[derive(Debug)]
pub(super) struct LearnerHandler {
    pub(super) sid: Sid,
    pub(super) is_observer: bool,
    pub(super) stage: Stage,
    /// Up to where its log agrees with ours, by its own word.
    pub(super) acked: Zxid,
    /// When it was last heard of.
    pub(super) heard: Moment,
    /// Rounds of pings that it has not answered.
    pub(super) unanswered: VecDeque<u64>,
    /// The last round that it has answered.
    pub(super) answered: u64,
}

impl Leader {
    pub(super) fn new(epoch: u32, give_up: Moment) -> Self {
        Self {
            phase: Phase::Discovery,
            epoch,
            give_up,
            next_ping: Moment::NEVER,
            learners: BTreeMap::new(),
            pings: 0,
            proving: None,
            sizes: ProposalSizes::NONE,
            successor: None,
            syncs: VecDeque::new(),
        }
    }

    /// Whether it orders writes: not before it serves, nor once it has handed over.
    pub(crate) fn is_deciding(&self) -> bool {
        self.phase == Phase::Broadcast && self.successor.is_none()
    }

    /// The first place of the epoch: no transaction, but the name of the new leader.
    pub(crate) fn first_zxid(&self) -> Zxid {
        Zxid(i64::from(self.epoch) << 32)
    }

    /// When something is to be done.
    pub(crate) fn next_deadline(&self) -> Moment {
        if self.phase == Phase::Broadcast { self.next_ping } else { self.give_up }
    }

    /// Whether the learners for whom `counts` holds make a quorum with the leader itself.
    pub(super) fn is_quorum(
        &self,
        me: Sid,
        quorums: &Quorums,
        counts: impl Fn(&LearnerHandler) -> bool,
    ) -> bool {
        quorums.is_quorum(|sid| {
            sid == me
                || self
                    .learners
                    .values()
                    .any(|learner| learner.sid == sid && !learner.is_observer && counts(learner))
        })
    }

    /// The connections of every learner.
    pub(crate) fn learners(&self) -> impl Iterator<Item = ConnId> {
        self.learners.keys().copied()
    }

    /// How many calls of `sync` are not answered.
    pub(crate) fn pending_syncs(&self) -> usize {
        self.syncs.len()
    }

    /// Learners that hear of everything that is proposed or decided.
    pub(super) fn listeners(&self) -> impl Iterator<Item = (ConnId, &LearnerHandler)> {
        let listens = |learner: &LearnerHandler| {
            matches!(learner.stage, Stage::Synchronizing(_) | Stage::Synchronized | Stage::Serving)
        };
        let learners = self.learners.iter().map(|(link, learner)| (*link, learner));
        learners.filter(move |(_, learner)| listens(learner))
    }

    /// Servers that follow, in the order of their numbers.
    pub(crate) fn serving(&self) -> impl Iterator<Item = (Sid, bool)> {
        let serves = self.learners.values().filter(|learner| learner.stage == Stage::Serving);
        serves.map(|learner| (learner.sid, learner.is_observer))
    }
}
