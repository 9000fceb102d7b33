//! Fast leader election: every server says whom it would follow, until enough of them agree.
//!
//! | room | what it holds |
//! |---|---|
//! | [`vote`] | a vote, and which of two is better |
//! | [`notification`] | the message that carries one |
//! | [`mesh`] | the connections that messages go over |
//!
//! The election is told of messages and of time, and says whom to tell what. It knows nothing of
//! the data but its length, and decides nothing but a name: whether enough servers really follow
//! is found out afterwards, when they do.

pub(crate) mod mesh;
pub(crate) mod notification;
#[cfg(test)]
mod tests;
pub(crate) mod vote;

use std::collections::BTreeMap;
use std::time::Duration;

use znode::Moment;
use znode::proto::Zxid;

use crate::quorum::{Quorums, Sid};
use vote::{Ballot, ServerState, Vote};

/// The zxid of a server that cannot trust what it holds: it has lost data, and must not help to
/// elect somebody who lacks the same.
pub(crate) const UNTRUSTED: Zxid = Zxid(-1);

/// How an election is timed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ElectionTimes {
    /// How long to wait for a better vote once enough servers agree.
    pub(crate) finalize_wait: Duration,
    /// How long to wait for any message before everybody is told again; doubled each time.
    pub(crate) notification_min: Duration,
    /// The longest such wait.
    pub(crate) notification_max: Duration,
}

/// A message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tell {
    /// To whom.
    pub(crate) to: Sid,
    /// What.
    pub(crate) ballot: Ballot,
}

/// One server's part in the elections of its ensemble.
#[derive(Debug)]
pub(crate) struct Election {
    me: Sid,
    times: ElectionTimes,
    /// The round: ZooKeeper's logical clock. It is never written down.
    round: i64,
    /// What was decided last, for those who ask.
    current: Ballot,
    /// What is going on; nothing while there is a leader.
    looking: Option<Looking>,
}

/// An election that goes on.
#[derive(Debug)]
struct Looking {
    /// The vote for oneself, or for nobody.
    initial: Vote,
    /// The best vote so far.
    proposal: Vote,
    /// What voters of this round have said last.
    received: BTreeMap<Sid, Ballot>,
    /// What voters who have a leader have said last, of whatever round.
    settled: BTreeMap<Sid, Ballot>,
    /// When to tell everybody again, and how long that wait was.
    resend: Moment,
    interval: Duration,
    /// When the proposal is decided unless a better vote arrives.
    decide: Option<Moment>,
}

impl Election {
    /// A server that has not looked for a leader yet.
    pub(crate) fn new(me: Sid, times: ElectionTimes) -> Self {
        let state = ServerState::Looking;
        let current = Ballot { vote: Vote::NONE, round: 0, state, is_oldest: false };
        Self { me, times, round: 0, current, looking: None }
    }

    /// Begins to look for a leader.
    pub(crate) fn look(
        &mut self,
        now: Moment,
        initial: Vote,
        quorums: &Quorums,
        tell: &mut Vec<Tell>,
    ) {
        self.round += 1;
        let interval = self.times.notification_min;
        self.looking = Some(Looking {
            initial,
            proposal: initial,
            received: BTreeMap::new(),
            settled: BTreeMap::new(),
            resend: now + interval,
            interval,
            decide: None,
        });
        self.propose(quorums, tell);
        self.count(now, quorums);
    }

    /// The round that this server is in.
    #[cfg(test)]
    pub(crate) fn round(&self) -> i64 {
        self.round
    }

    /// What this server would answer to whoever asks now.
    pub(crate) fn current(&self) -> Ballot {
        match &self.looking {
            Some(looking) => self.ballot(looking.proposal),
            None => self.current,
        }
    }

    /// The epoch that was established: everybody answers newcomers alike from now on.
    pub(crate) fn established(&mut self, epoch: u32) {
        self.current.vote.peer_epoch = i64::from(epoch);
    }

    /// When [`tick`](Self::tick) next has something to do.
    pub(crate) fn next_deadline(&self) -> Moment {
        self.looking.as_ref().map_or(Moment::NEVER, |looking| {
            looking.decide.map_or(looking.resend, |decide| decide.min(looking.resend))
        })
    }

    /// Takes in a message. What was decided is returned once.
    pub(crate) fn receive(
        &mut self,
        now: Moment,
        from: Sid,
        ballot: &Ballot,
        quorums: &Quorums,
        tell: &mut Vec<Tell>,
    ) -> Option<Sid> {
        if from == self.me {
            return None;
        }
        // Observers and servers about to join ask nobody's vote; they are told who leads. One that
        // only answers is not told again: two that are no voters to each other would never end.
        if !quorums.is_voter(from) {
            if ballot.state == ServerState::Looking {
                let round = self.round;
                tell.push(Tell { to: from, ballot: Ballot { round, ..self.current() } });
            }
            return None;
        }
        // Also one that does not vote is asked, by those who do not know that yet.
        let asks = ballot.state == ServerState::Looking;
        if self.looking.is_none() {
            if asks {
                tell.push(Tell { to: from, ballot: self.current });
            }
            return None;
        }
        // But while it looks itself it would be answered, and answer, without end.
        if asks && quorums.is_voter(self.me) && ballot.round < self.round {
            tell.push(Tell { to: from, ballot: self.current() });
        }
        if !quorums.is_voter(ballot.vote.leader) {
            return None;
        }
        match ballot.state {
            ServerState::Looking => {
                self.hear_looking(now, from, ballot, quorums, tell);
                self.tick_decision(now)
            }
            ServerState::Following | ServerState::Leading => {
                self.hear_settled(from, ballot, quorums)
            }
            ServerState::Observing => None,
        }
    }

    /// Lets time pass. What was decided is returned once.
    pub(crate) fn tick(
        &mut self,
        now: Moment,
        quorums: &Quorums,
        tell: &mut Vec<Tell>,
    ) -> Option<Sid> {
        if let Some(decided) = self.tick_decision(now) {
            return Some(decided);
        }
        let max = self.times.notification_max;
        let looking = self.looking.as_mut().filter(|looking| looking.resend <= now)?;
        looking.interval = (looking.interval * 2).min(max);
        looking.resend = now + looking.interval;
        self.broadcast(quorums, tell);
        None
    }

    /// The vote of somebody who looks for a leader, too.
    fn hear_looking(
        &mut self,
        now: Moment,
        from: Sid,
        ballot: &Ballot,
        quorums: &Quorums,
        tell: &mut Vec<Tell>,
    ) {
        let Some(looking) = &mut self.looking else { return };
        if looking.initial.zxid == UNTRUSTED || ballot.vote.zxid == UNTRUSTED {
            return;
        }
        let better =
            |vote: &Vote, than: &Vote| vote.is_better_than(than, quorums.weight(vote.leader));
        // One that does not vote has no rounds of its own: it may be a voter to others already, who
        // hear of its votes only in theirs. Nor has one that will vote, and may not lead yet:
        // others pass over a vote for nobody, and over its round with it.
        let follows = !quorums.is_voter(self.me) || !quorums.is_voter(looking.initial.leader);
        // Of those who have: two who follow each other's rounds would do so without end, and tell
        // everybody each time.
        let follows = follows && quorums.committed.is_voter(from);
        if ballot.round < self.round && !follows {
            return;
        }
        if ballot.round != self.round {
            self.round = ballot.round;
            looking.received.clear();
            looking.proposal =
                if better(&ballot.vote, &looking.initial) { ballot.vote } else { looking.initial };
            self.propose(quorums, tell);
        } else if better(&ballot.vote, &looking.proposal) {
            looking.proposal = ballot.vote;
            self.propose(quorums, tell);
        } else if better(&looking.proposal, &ballot.vote) {
            // It was not looking yet when it was told; and after a while everybody is told but
            // rarely.
            tell.push(Tell { to: from, ballot: self.current() });
        }
        if let Some(looking) = &mut self.looking {
            looking.received.insert(from, *ballot);
        }
        self.count(now, quorums);
    }

    /// The vote of somebody who has a leader. It counts only if that leader itself says that it
    /// leads, among the very votes that are counted (ZOOKEEPER-3537). Only those count who were
    /// agreed on: what else was proposed may have come to nothing, and then nobody else would ever
    /// follow that leader.
    fn hear_settled(&mut self, from: Sid, ballot: &Ballot, quorums: &Quorums) -> Option<Sid> {
        let (me, round) = (self.me, self.round);
        let looking = self.looking.as_mut()?;
        let decides = |votes: &BTreeMap<Sid, Ballot>| {
            let leads = match votes.get(&ballot.vote.leader) {
                _ if ballot.vote.leader == me => ballot.round == round,
                Some(of_leader) => of_leader.state == ServerState::Leading,
                None => false,
            };
            let agrees = |sid: Sid| votes.get(&sid).is_some_and(|cast| ballot.agrees_with(cast));
            leads && quorums.committed.is_quorum(agrees)
        };
        if ballot.round == round {
            looking.received.insert(from, *ballot);
            if decides(&looking.received) {
                return Some(self.decided(ballot.vote));
            }
        }
        looking.settled.insert(from, *ballot);
        if decides(&looking.settled) {
            self.round = ballot.round;
            return Some(self.decided(ballot.vote));
        }
        None
    }

    /// Casts the present proposal and tells everybody.
    fn propose(&mut self, quorums: &Quorums, tell: &mut Vec<Tell>) {
        let Some(looking) = &self.looking else { return };
        let ballot = self.ballot(looking.proposal);
        let casts = quorums.is_voter(self.me) && looking.initial.zxid != UNTRUSTED;
        if let Some(looking) = self.looking.as_mut().filter(|_| casts) {
            looking.received.insert(self.me, ballot);
        }
        self.broadcast(quorums, tell);
    }

    fn broadcast(&self, quorums: &Quorums, tell: &mut Vec<Tell>) {
        let ballot = self.current();
        let others = quorums.voters().into_iter().filter(|sid| *sid != self.me);
        tell.extend(others.map(|to| Tell { to, ballot }));
    }

    /// Looks whether enough have voted for the present proposal. If everybody has, no better vote
    /// can come, and there is nothing to wait for.
    fn count(&mut self, now: Moment, quorums: &Quorums) {
        let Some(looking) = &self.looking else { return };
        let proposed = self.ballot(looking.proposal);
        let votes = &looking.received;
        let agrees = |sid: Sid| votes.get(&sid).is_some_and(|cast| proposed.agrees_with(cast));
        let decide = if !quorums.is_quorum(agrees) {
            None
        } else if quorums.voters().into_iter().all(agrees) {
            Some(now)
        } else {
            Some(looking.decide.unwrap_or(now + self.times.finalize_wait))
        };
        if let Some(looking) = &mut self.looking {
            looking.decide = decide;
        }
    }

    fn tick_decision(&mut self, now: Moment) -> Option<Sid> {
        let looking = self.looking.as_ref()?;
        let due = looking.decide.is_some_and(|decide| decide <= now);
        let proposal = looking.proposal;
        due.then(|| self.decided(proposal))
    }

    fn decided(&mut self, vote: Vote) -> Sid {
        self.looking = None;
        let state = match vote.leader == self.me {
            true => ServerState::Leading,
            false => ServerState::Following,
        };
        self.current = Ballot { vote, round: self.round, state, is_oldest: false };
        vote.leader
    }

    /// Says that this server observes: its vote counts for nobody.
    pub(crate) fn observe(&mut self) {
        if self.current.state == ServerState::Following {
            self.current.state = ServerState::Observing;
        }
    }

    /// A reconfiguration has named the leader: there is nothing to elect.
    pub(crate) fn designate(&mut self, vote: Vote) {
        _ = self.decided(vote);
    }

    fn ballot(&self, vote: Vote) -> Ballot {
        Ballot { vote, round: self.round, state: ServerState::Looking, is_oldest: false }
    }
}
