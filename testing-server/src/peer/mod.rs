//! A server as one of an ensemble: it looks for a leader, leads, or learns from one.
//!
//! | room | what it does |
//! |---|---|
//! | [`planted`] | mistakes for the simulated world to find |
//! | [`links`] | whose connection a message came over, and who is to get one |
//! | [`eyes`] | what it tells of itself |
//! | [`reconfig`] | who belongs to the ensemble changes, and with it what this server does |
//! | [`commit`] | applies what is decided, and lets go of whoever has waited for it |
//!
//! Leading and learning themselves stand in [`zab`](crate::zab), looking in
//! [`election`](crate::election). Changing from one to another leads through looking, unless a
//! reconfiguration has named the next leader; either way every client is cut off, and nothing that
//! was only prepared stays behind.

mod commit;
pub(crate) mod eyes;
mod links;
pub(crate) mod planted;
pub(crate) mod reconfig;

use std::collections::VecDeque;
use std::time::Duration;

use znode::Moment;
use znode::proto::{OpCode, Zxid};

use crate::election::mesh::Mesh;
use crate::election::vote::Vote;
use crate::election::{Election, ElectionTimes, UNTRUSTED};
use crate::node::Node;
use crate::node::input::EpochKind;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::pipeline::txn::Txn;
use crate::quorum::member::MemberAddress;
use crate::quorum::{QuorumConfig, Quorums, Sid};
use crate::tree::CONFIG_PATH;
use crate::tree::node::Image;
use crate::zab::history::History;
use crate::zab::leader::{Leader, Phase as Leading};
use crate::zab::learner::{Learner, Phase as Learning};
use planted::{Bug, Planted};

/// How the servers of an ensemble wait for each other.
#[derive(Debug, Clone)]
pub(crate) struct PeerSettings {
    /// The unit of the others, and how often a leader looks for its learners: twice in it.
    pub(crate) tick: Duration,
    /// How long a leader and its learners may take to find together: `initLimit` ticks.
    pub(crate) init_limit: Duration,
    /// How long they may not hear of each other: `syncLimit` ticks.
    pub(crate) sync_limit: Duration,
    /// How long a learner waits before it tries again to reach its leader.
    pub(crate) redial_pause: Duration,
    /// How elections are timed.
    pub(crate) election: ElectionTimes,
    /// How many applied transactions are remembered for learners that come back.
    pub(crate) committed_log: usize,
    /// Whether sessions begin on one server alone.
    pub(crate) local_sessions: LocalSessions,
    /// How long a server is without a leader before it serves clients that only read, if it does.
    pub(crate) read_only_after: Option<Duration>,
}

/// Whether sessions begin on one server alone, of which the others know nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LocalSessions {
    /// Every server knows every session.
    #[default]
    No,
    /// They do, and can have no ephemeral nodes: `localSessionsEnabled`.
    Stay,
    /// They do, until they are to have an ephemeral node: `localSessionsUpgradingEnabled`.
    Upgrade,
}

/// The epochs that a server has written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Epochs {
    /// It follows nobody of an earlier one: `acceptedEpoch`.
    pub(crate) accepted: u32,
    /// It has the history that this one began with: `currentEpoch`.
    pub(crate) current: u32,
}

impl Epochs {
    /// The epochs of a server whose log ends with `last`. Whoever holds a transaction of an epoch
    /// has everything that the epoch began with, also if a crash came before that was written
    /// down: Apache's server would refuse to start (ZOOKEEPER-2354).
    pub(crate) fn with_log(self, last: Zxid) -> Self {
        let current = self.current.max(last.epoch());
        Self { accepted: self.accepted.max(current), current }
    }
}

/// A transaction that this server, leading, has prepared.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The client of this server that asked for it.
    pub(crate) to: Option<ReplyTo>,
    pub(crate) op: OpCode,
    pub(crate) since: Moment,
    pub(crate) txn: Txn,
}

/// What a server does.
#[derive(Debug)]
pub(crate) enum Role {
    /// It looks for a leader.
    Looking,
    /// It leads.
    Leading(Box<Leader>),
    /// It follows, or observes.
    Learning(Box<Learner>),
}

/// What a server of an ensemble has beside its data.
#[derive(Debug)]
pub(crate) struct QuorumPeer {
    pub(crate) me: Sid,
    /// Where the others find it.
    pub(crate) addresses: Vec<MemberAddress>,
    pub(crate) settings: PeerSettings,
    pub(crate) quorums: Quorums,
    pub(crate) epochs: Epochs,
    pub(crate) history: History,
    pub(crate) election: Election,
    pub(crate) mesh: Mesh,
    pub(crate) role: Role,
    /// What a leader has prepared, in the order of the history's tail.
    pub(crate) prepared: VecDeque<Prepared>,
    /// Whether the data is all that this server ever acknowledged. If not, it elects nobody.
    pub(crate) is_trusted: bool,
    /// Whether the files are being read anew, and nothing else can be done.
    pub(crate) is_reloading: bool,
    /// What it has for clients while it looks for a leader.
    pub(crate) reading: Reading,
    /// A mistake that a test must find.
    pub(crate) planted: Planted,
}

/// What a server without a leader has for clients that only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing, or nothing before this moment.
    From(Moment),
    /// What it knows, which may be old.
    Open,
}

impl QuorumPeer {
    /// The server `me` of an ensemble, which has everything up to `last`. It was `told` where it is
    /// itself: no configuration may say so that was written down since.
    pub(crate) fn new(
        me: Sid,
        settings: PeerSettings,
        quorums: Quorums,
        told: &QuorumConfig,
        epochs: Epochs,
        last: Zxid,
    ) -> Self {
        let member = quorums.member(me).or_else(|| told.members.get(&me));
        let addresses = member.map(|member| member.addresses.clone()).unwrap_or_default();
        Self {
            me,
            quorums,
            epochs,
            history: History::new(last, settings.committed_log),
            election: Election::new(me, settings.election),
            mesh: Mesh::new(me, &addresses),
            addresses,
            role: Role::Looking,
            prepared: VecDeque::new(),
            is_trusted: true,
            is_reloading: false,
            reading: Reading::From(Moment::NEVER),
            planted: Planted::default(),
            settings,
        }
    }

    /// Whether clients are served.
    pub(crate) fn is_serving(&self) -> bool {
        match &self.role {
            Role::Looking => false,
            Role::Leading(leader) => leader.phase == Leading::Broadcast,
            Role::Learning(learner) => learner.phase == Learning::Serving,
        }
    }

    /// Whether clients are served that only read, since there is no leader.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.role, Role::Looking) && self.reading == Reading::Open
    }

    /// Whether this server orders writes.
    pub(crate) fn is_leading(&self) -> bool {
        matches!(&self.role, Role::Leading(leader) if leader.is_deciding())
    }

    /// Whether learners that have promised are to be sent the history.
    pub(crate) fn is_synchronizing(&self) -> bool {
        matches!(&self.role, Role::Leading(leader) if leader.phase >= Leading::Synchronization)
    }

    fn next_deadline(&self) -> Moment {
        match &self.role {
            Role::Looking => match self.reading {
                Reading::From(moment) => self.election.next_deadline().min(moment),
                Reading::Open => self.election.next_deadline(),
            },
            Role::Leading(leader) => leader.next_deadline(),
            Role::Learning(learner) => learner.next_deadline(),
        }
    }
}

impl Node {
    /// Whether clients are served: always, unless this is a server of an ensemble without a leader.
    pub(crate) fn is_serving(&self) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer.is_serving())
    }

    /// Whether clients are served that only read, since there is no leader.
    pub(crate) fn is_read_only(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.is_read_only())
    }

    /// Whether this server decides when sessions end and what becomes of writes.
    pub(crate) fn is_deciding(&self) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer.is_leading())
    }

    /// Whether this server passes writes on.
    pub(crate) fn is_learning(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| matches!(peer.role, Role::Learning(_)))
    }

    /// The epoch that this server takes part in.
    pub(crate) fn epoch(&self) -> u32 {
        self.peer.as_ref().map_or(0, |peer| peer.epochs.current)
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_settled(&self) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer.history.tail_len() == 0)
    }

    /// When a server of an ensemble has something to do.
    pub(crate) fn peer_deadline(&self) -> Moment {
        let idle = |peer: &&QuorumPeer| !peer.is_reloading;
        self.peer.as_deref().filter(idle).map_or(Moment::NEVER, QuorumPeer::next_deadline)
    }

    /// Lets time pass for a server of an ensemble.
    pub(crate) fn peer_tick(&mut self, out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        if peer.is_reloading {
            return;
        }
        match &peer.role {
            Role::Looking => {
                if matches!(peer.reading, Reading::From(moment) if moment <= self.now) {
                    tracing::info!(me = %peer.me, "no leader: serving clients that only read");
                    peer.reading = Reading::Open;
                }
                let mut tell = Vec::new();
                let decided = peer.election.tick(self.now, &peer.quorums, &mut tell);
                self.tell(&tell, out);
                if let Some(leader) = decided {
                    self.elected(leader, out);
                }
            }
            Role::Leading(_) => self.leader_tick(out),
            Role::Learning(_) => self.learner_tick(out),
        }
    }

    /// A server of an ensemble starts, with every link gone.
    pub(crate) fn peer_starts(&mut self, out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        peer.mesh.clear();
        self.leave_role(out);
        self.look(out);
    }

    /// Gives up whatever this server does, and looks for a leader.
    pub(crate) fn step_down(&mut self, why: &str, out: &mut Outbox) {
        if let Some(peer) = self.peer.as_deref() {
            tracing::info!(me = %peer.me, why, "looking for a leader");
        }
        self.leave_role(out);
        self.look(out);
    }

    fn look(&mut self, out: &mut Outbox) {
        let last_processed = self.last_processed;
        let Some(peer) = self.peer.as_deref_mut() else { return };
        if peer.is_reloading {
            return;
        }
        let mut last = peer.history.last_logged().max(last_processed);
        if peer.planted.is(Bug::TailNotCounted) {
            last = last_processed;
        }
        let after = peer.settings.read_only_after.filter(|_| peer.is_trusted);
        peer.reading = Reading::From(after.map_or(Moment::NEVER, |after| self.now + after));
        let zxid = if peer.is_trusted { last } else { UNTRUSTED };
        let own = Vote { leader: peer.me, zxid, peer_epoch: i64::from(peer.epochs.current) };
        let vote = match peer.quorums.committed.is_voter(peer.me) {
            true => own,
            // Whoever does not know yet that it is to vote could not vote for it. It votes all the
            // same, for somebody who knows no less.
            false if peer.quorums.is_voter(peer.me) => Vote { leader: Vote::NONE.leader, ..own },
            false => Vote::NONE,
        };
        let mut tell = Vec::new();
        peer.election.look(self.now, vote, &peer.quorums, &mut tell);
        self.tell(&tell, out);
        self.peer_tick(out);
    }

    /// Takes up what the election has decided.
    pub(crate) fn elected(&mut self, leader: Sid, out: &mut Outbox) {
        // Whoever has only read must not take what is new for what was before.
        if self.is_read_only() {
            self.cut_off_clients(out);
        }
        let Some(peer) = self.peer.as_deref() else { return };
        if leader == peer.me { self.lead(out) } else { self.follow(leader, out) }
    }

    /// Cuts off clients and links, and forgets what was only prepared.
    pub(crate) fn leave_role(&mut self, out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        match std::mem::replace(&mut peer.role, Role::Looking) {
            Role::Looking => {}
            Role::Leading(leader) => {
                out.listen(false);
                leader.learners().for_each(|link| out.close(link));
            }
            Role::Learning(learner) => learner.link().into_iter().for_each(|link| out.close(link)),
        }
        for prepared in std::mem::take(&mut peer.prepared) {
            prepared.txn.change.discard(&mut self.tree.acls);
        }
        self.cut_off_clients(out);
        self.outstanding.clear(&mut self.tree.acls, 0);
        self.last_prepared = self.last_processed;
    }

    /// Closes every client's connection, and forgets the sessions that only this server knows of.
    fn cut_off_clients(&mut self, out: &mut Outbox) {
        let clients: Vec<_> = self.connections.iter().map(|connection| connection.id).collect();
        clients.into_iter().for_each(|conn| self.close(conn, out));
        self.lines.clear();
        self.sessions.unsettle();
    }

    /// An epoch is established, and this server takes part in it.
    pub(crate) fn begin_epoch(&mut self, epoch: u32, first_zxid: Zxid) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        peer.history.begin_epoch(first_zxid);
        peer.election.established(epoch);
        self.last_processed = self.last_processed.max(first_zxid);
        self.last_prepared = self.last_processed;
        self.write_config();
        // From here on it is foretold what becomes of this tree.
        let digest = self.tree.digest();
        self.outstanding.clear(&mut self.tree.acls, digest);
    }

    /// Writes the ensemble's configuration where clients read it. No transaction does that.
    fn write_config(&mut self) {
        let Some(peer) = self.peer.as_deref() else { return };
        let config = &peer.quorums.committed;
        let (text, version) = (crate::quorum::text::print(config), config.version);
        let image = Image::new(CONFIG_PATH, Some(text.as_bytes()));
        self.tree.set_data(image, -1, version, self.wall_ms(self.now));
    }

    /// The disk holds every transaction up to this one.
    pub(crate) fn peer_persisted(&mut self, zxid: Zxid, out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        let last = peer.history.last_logged();
        peer.history.persisted = peer.history.persisted.max(zxid.min(last));
        match &peer.role {
            Role::Leading(_) => {
                self.count_synchronized(out);
                self.count_acks(out);
            }
            Role::Learning(_) => self.learner_persisted(zxid, out),
            Role::Looking => {}
        }
    }

    /// The disk holds an epoch.
    pub(crate) fn epoch_saved(&mut self, kind: EpochKind, epoch: u32, out: &mut Outbox) {
        let Some(peer) = self.peer.as_deref_mut() else { return };
        match kind {
            EpochKind::Accepted => {
                peer.epochs.accepted = peer.epochs.accepted.max(epoch);
                self.leader_promised(epoch, out);
                self.learner_promised(out);
            }
            EpochKind::Current => {
                peer.epochs.current = peer.epochs.current.max(epoch);
                self.epoch_began(epoch, out);
                self.history_saved(epoch, out);
            }
        }
    }

    /// The files were cut behind what was never decided, and this is what they hold; or, where
    /// there are none, everything is lost, and nothing is.
    pub(crate) fn reloaded(&mut self, now: Moment, restored: Option<Self>, out: &mut Outbox) {
        self.now = now;
        let is_trusted = restored.is_some();
        let restored = restored.unwrap_or_else(|| Self::new(self.settings.clone()));
        self.adopt(restored);
        let last = self.last_processed;
        if let Some(peer) = self.peer.as_deref_mut() {
            peer.history.restart(last);
            peer.is_trusted = is_trusted;
            peer.is_reloading = false;
        }
        self.look(out);
    }

    /// Takes over another server's data.
    pub(crate) fn adopt(&mut self, other: Self) {
        self.tree = other.tree;
        self.sessions = other.sessions;
        self.last_processed = other.last_processed;
        self.last_prepared = other.last_processed;
    }
}
