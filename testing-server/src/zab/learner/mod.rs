//! The learner's part, of followers and observers alike: it promises an epoch, takes over its
//! leader's history, and from then on logs, acknowledges and applies what the leader says.
//!
//! | room | what it does |
//! |---|---|
//! | [`discover`] | connect, promise |
//! | [`synchronize`] | take over what is missing, and have it on the disk |
//! | [`broadcast`] | log, acknowledge, apply |
//! | [`reconfig`] | another configuration, told by the leader |
//! | [`requests`] | what clients of this server ask the leader for |

mod broadcast;
mod discover;
mod reconfig;
mod requests;
mod synchronize;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use znode::Moment;
use znode::proto::{SessionId, Zxid};

use crate::node::Node;
use crate::node::input::ConnId;
use crate::node::outbox::ReplyTo;
use crate::quorum::{QuorumConfig, Sid};
use crate::zab::history::Entry;

/// How far a learner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It connects to its leader.
    Dialing,
    /// It has said who it is, and waits for the epoch.
    Informed,
    /// It writes its promise down.
    SavingAccepted,
    /// It has promised, and waits to be told what it lacks.
    Promised,
    /// It waits for the snapshot that was announced.
    AwaitingSnapshot,
    /// It takes in what it lacks.
    Receiving,
    /// It has all of it, and has it written down.
    SavingHistory,
    /// It has acknowledged its leader.
    Acknowledged,
    /// It serves.
    Serving,
}

/// A follower, or an observer.
#[derive(Debug)]
pub(crate) struct Learner {
    pub(crate) phase: Phase,
    pub(crate) is_observer: bool,
    pub(crate) leader: Sid,
    pub(super) link: Option<ConnId>,
    /// The epoch that it was asked to promise.
    pub(super) epoch: u32,
    /// When it gives its leader up unless it hears of it.
    pub(super) give_up: Moment,
    /// When it connects again, and how often it has tried.
    pub(super) redial: Moment,
    pub(super) dials: u32,
    /// What has arrived and is not in the history.
    pub(super) pending: VecDeque<Entry>,
    /// The last that has arrived.
    pub(super) last_received: Zxid,
    /// Up to where it was told that things are decided.
    pub(super) decided: Zxid,
    /// The configuration that the leader began with, or had agreed on.
    pub(super) config: Option<QuorumConfig>,
    /// A reconfiguration that is decided, and who leads once it is applied here.
    pub(super) activation: Option<Activation>,
    /// The server that a snapshot describes, until it takes this one's place.
    pub(super) staged: Option<Box<Node>>,
    /// Up to where it has told the leader what is on its disk.
    pub(super) acked: Zxid,
    /// Sessions whose clients have given a sign of life since the last ping.
    pub(super) touched: BTreeSet<SessionId>,
    /// Clients that have come back with a session, and what they have sent since.
    pub(super) moving: BTreeMap<SessionId, Moving>,
    /// Calls of `sync` that were passed on.
    pub(super) syncs: VecDeque<ReplyTo>,
    /// Those that were answered, and what must be applied before their clients hear of it.
    pub(super) synced: VecDeque<(Zxid, ReplyTo)>,
}

/// A reconfiguration that is decided.
#[derive(Debug)]
pub(super) struct Activation {
    pub(super) config: QuorumConfig,
    pub(super) designated: Sid,
}

/// A client that waits for the leader's word on its session.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) conn: ConnId,
    pub(super) timeout: std::time::Duration,
}

impl Learner {
    pub(super) fn new(leader: Sid, is_observer: bool, now: Moment, give_up: Moment) -> Self {
        Self {
            phase: Phase::Dialing,
            is_observer,
            leader,
            link: None,
            epoch: 0,
            give_up,
            redial: now,
            dials: 0,
            pending: VecDeque::new(),
            last_received: Zxid::ZERO,
            decided: Zxid::ZERO,
            config: None,
            activation: None,
            staged: None,
            acked: Zxid::ZERO,
            touched: BTreeSet::new(),
            moving: BTreeMap::new(),
            syncs: VecDeque::new(),
            synced: VecDeque::new(),
        }
    }

    /// When something is to be done.
    pub(crate) fn next_deadline(&self) -> Moment {
        if self.phase == Phase::Dialing { self.give_up.min(self.redial) } else { self.give_up }
    }

    /// The connection to the leader.
    pub(crate) fn link(&self) -> Option<ConnId> {
        self.link
    }
}
