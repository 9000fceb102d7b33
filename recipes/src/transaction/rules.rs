//! What whoever has a part in a transaction does next, by what stands there.
//!
//! Pure. A plan is written as one ZooKeeper transaction, in which all that it was concluded from is
//! checked: if any of that has changed, nothing is written, and whoever made it looks again. So it
//! does not matter who decides, nor how many at once.

use std::collections::BTreeMap;

use super::decision::{AbortReason, Decision, Party, Vote};
use super::record::Record;

/// What somebody has read of a transaction. Parts of it may be older than others.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) record: Record,
    /// By the participants whose nodes stand: until they have applied the decision.
    pub(super) ballots: BTreeMap<String, Cast>,
}

/// A participant's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cast {
    pub(super) vote: Option<Vote>,
    pub(super) version: i32,
}

/// What somebody has come for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Vote(Vote),
    /// To be told the decision.
    Await,
    /// To be told the decision now, whatever it is.
    GiveUp,
    Withdraw,
}

/// What is to be done for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It is decided.
    Told(Decision),
    /// The participant has voted this before, and it is not what it votes now.
    Contradicts(Vote),
    /// Somebody has to vote yet.
    Wait,
    Write(Plan),
}

/// What is written, all or nothing: with the record as it was, undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Our own vote, over a node of this version that has none.
    pub(super) vote: Option<(Vote, i32)>,
    /// The nodes of participants that must be of these versions still.
    pub(super) checks: Vec<(String, i32)>,
    pub(super) decision: Option<Decision>,
}

/// What `who` does next.
pub(super) fn next(view: &View, who: &Party, intent: Intent) -> Step {
    let own = match who {
        Party::Participant(name) => view.ballots.get_key_value(name),
        Party::Coordinator => None,
    };
    if let (Intent::Vote(now), Some((_, Cast { vote: Some(before), .. }))) = (intent, own)
        && now != *before
    {
        return Step::Contradicts(*before);
    }
    if let Some(decision) = &view.record.decision {
        return Step::Told(decision.clone());
    }
    let vote = match (intent, own) {
        (Intent::Vote(vote), Some((_, Cast { vote: None, version }))) => Some((vote, *version)),
        _ => None,
    };
    let counted = count(view, who, vote.map(|(vote, _)| vote));
    let abort = |by: &Party, reason| Some(Decision::Aborted { by: by.clone(), reason });
    let decision = match (intent, counted.refused) {
        (Intent::Withdraw, _) => abort(who, AbortReason::Withdrawn),
        (_, Some(name)) => abort(&Party::Participant(name), AbortReason::Refused),
        _ if counted.missing.is_empty() => Some(Decision::Committed { by: who.clone() }),
        (Intent::GiveUp, None) => abort(who, AbortReason::Late { missing: counted.missing }),
        (Intent::Vote(_) | Intent::Await, None) => None,
    };
    if vote.is_none() && decision.is_none() {
        return Step::Wait;
    }
    // A single no is reason enough, and so is a withdrawal; all else depends on what everybody has
    // said or not said.
    let needs_all = matches!(
        decision,
        Some(
            Decision::Committed { .. } | Decision::Aborted { reason: AbortReason::Late { .. }, .. }
        )
    );
    let is_needed = |name: &&String| needs_all || own.is_some_and(|(own, _)| own == *name);
    let is_written = |name: &String| vote.is_some() && own.is_some_and(|(own, _)| own == name);
    let checks = view.ballots.iter().filter(|(name, _)| is_needed(name) && !is_written(name));
    let checks = checks.map(|(name, cast)| (name.clone(), cast.version)).collect();
    Step::Write(Plan { vote, checks, decision })
}

struct Counted {
    /// Somebody who has voted no.
    refused: Option<String>,
    missing: Vec<String>,
}

/// Counts the votes, with one that is about to be cast.
fn count(view: &View, who: &Party, vote: Option<Vote>) -> Counted {
    let mut counted = Counted { refused: None, missing: Vec::new() };
    for name in &view.record.charter.participants {
        let is_ours = matches!(who, Party::Participant(own) if own == name);
        let cast = view.ballots.get(name).and_then(|cast| cast.vote);
        match cast.or(vote.filter(|_| is_ours)) {
            Some(Vote::Yes) => {}
            Some(Vote::No) => counted.refused = Some(name.clone()),
            None => counted.missing.push(name.clone()),
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::record::Charter;
    use super::*;

    /// The nodes of a transaction, and all that ever stood there.
    struct Store {
        now: View,
        version: i32,
        before: Vec<(View, i32)>,
    }

    impl Store {
        fn new(count: usize) -> Self {
            let participants: Vec<_> = (0..count).map(|index| format!("p{index}")).collect();
            let cast = Cast { vote: None, version: 0 };
            let ballots = participants.iter().map(|name| (name.clone(), cast)).collect();
            let (guid, patience) = (String::new(), Duration::ZERO);
            let charter = Charter { guid, patience, participants, payload: Vec::new() };
            let now = View { record: Record { charter, decision: None }, ballots };
            Self { now, version: 0, before: Vec::new() }
        }

        /// What somebody sees who is so far behind; each node may be of another time, as they are
        /// read one by one, the record first.
        fn seen(&self, behind: usize, further: usize) -> (View, i32) {
            let all = self.before.len();
            let at = |index: usize| {
                self.before.get(index).map_or((&self.now, self.version), |(view, v)| (view, *v))
            };
            let first = all - behind.min(all);
            let (record, version) = at(first);
            let (ballots, _) = at(first + further);
            let (record, ballots) = (record.record.clone(), ballots.ballots.clone());
            (View { record, ballots }, version)
        }

        /// Writes a plan as ZooKeeper would; `false` if something that it depends on has changed.
        fn write(&mut self, who: &Party, plan: &Plan, version: i32) -> bool {
            let is_right = |(name, version): &(String, i32)| {
                self.now.ballots.get(name).is_some_and(|cast| cast.version == *version)
            };
            let own = match (who, plan.vote) {
                (Party::Participant(name), Some((_, version))) => Some((name.clone(), version)),
                _ => None,
            };
            if version != self.version || !plan.checks.iter().chain(&own).all(is_right) {
                return false;
            }
            self.before.push((self.now.clone(), self.version));
            if let (Some((name, version)), Some((vote, _))) = (own, plan.vote) {
                let cast = Cast { vote: Some(vote), version: version + 1 };
                self.now.ballots.insert(name, cast);
            }
            if let Some(decision) = &plan.decision {
                self.now.record.decision = Some(decision.clone());
                self.version += 1;
            }
            true
        }

        fn votes(&self) -> Vec<Option<Vote>> {
            self.now.ballots.values().map(|cast| cast.vote).collect()
        }
    }

    fn intent(what: u8) -> Intent {
        match what {
            0..=5 => Intent::Vote(Vote::Yes),
            6 => Intent::Vote(Vote::No),
            7..=8 => Intent::Await,
            9 => Intent::GiveUp,
            _ => Intent::Withdraw,
        }
    }

    fn party(index: usize, count: usize) -> Party {
        match index % (count + 1) {
            0 => Party::Coordinator,
            index => Party::Participant(format!("p{}", index - 1)),
        }
    }

    fn is_right(store: &Store, decision: &Decision) {
        let votes = store.votes();
        match decision {
            Decision::Committed { .. } => {
                assert!(votes.iter().all(|vote| *vote == Some(Vote::Yes)), "{votes:?}");
            }
            Decision::Aborted { by: Party::Participant(name), reason: AbortReason::Refused } => {
                assert_eq!(store.now.ballots[name].vote, Some(Vote::No));
            }
            Decision::Aborted { reason: AbortReason::Late { missing }, .. } => {
                let late = store.now.ballots.iter().filter(|(_, cast)| cast.vote.is_none());
                assert!(!missing.is_empty(), "{votes:?}");
                assert!(late.map(|(name, _)| name).eq(missing), "{votes:?} {missing:?}");
            }
            Decision::Aborted { reason, .. } => assert_eq!(*reason, AbortReason::Withdrawn),
        }
    }

    #[test]
    fn the_last_yes_commits_and_the_first_no_aborts() {
        let mut store = Store::new(2);
        let by = |name: &str| Party::Participant(name.to_owned());
        let vote = |store: &Store, name, vote| next(&store.now, &by(name), Intent::Vote(vote));
        let first = Plan { vote: Some((Vote::Yes, 0)), checks: Vec::new(), decision: None };
        assert_eq!(vote(&store, "p0", Vote::Yes), Step::Write(first.clone()));
        assert!(store.write(&by("p0"), &first, 0));
        assert_eq!(next(&store.now, &Party::Coordinator, Intent::Await), Step::Wait);
        assert_eq!(vote(&store, "p0", Vote::No), Step::Contradicts(Vote::Yes));
        let Step::Write(last) = vote(&store, "p1", Vote::Yes) else { panic!("it may vote") };
        assert_eq!(last.decision, Some(Decision::Committed { by: by("p1") }));
        assert_eq!(last.checks, [("p0".to_owned(), 1)]);
        let Step::Write(no) = vote(&store, "p1", Vote::No) else { panic!("it may vote") };
        let refused = Decision::Aborted { by: by("p1"), reason: AbortReason::Refused };
        assert_eq!(no.decision, Some(refused.clone()));
        assert!(store.write(&by("p1"), &no, 0));
        assert_eq!(vote(&store, "p0", Vote::Yes), Step::Told(refused));
    }

    proptest! {
        /// Whoever comes in whatever order, with whatever old view: it is decided once, what is
        /// decided is right, no vote is changed, and nobody waits for ever.
        #[test]
        fn it_is_decided_once_and_right(
            count in 1_usize..5,
            steps in vec((0_usize..6, 0_u8..11, 0_usize..4, 0_usize..3), 0..40),
        ) {
            let mut store = Store::new(count);
            for (index, what, behind, further) in steps {
                let who = party(index, count);
                let intent = intent(what);
                if matches!((&who, intent), (Party::Coordinator, Intent::Vote(_))) {
                    continue;
                }
                let (view, version) = store.seen(behind, further);
                let (decided, votes) = (store.now.record.decision.clone(), store.votes());
                let step = next(&view, &who, intent);
                if let Step::Write(plan) = &step
                    && store.write(&who, plan, version)
                {
                    prop_assert!(decided.is_none(), "it is decided twice");
                    if let Some(decision) = &plan.decision {
                        is_right(&store, decision);
                    }
                }
                if let Step::Told(told) = &step {
                    prop_assert_eq!(Some(told), decided.as_ref());
                }
                for (before, after) in votes.iter().zip(store.votes()) {
                    prop_assert!(before.is_none() || *before == after, "a vote is changed");
                }
            }
            // Whoever is left decides, and whoever comes then is told the same.
            if let Step::Write(plan) = next(&store.now, &Party::Coordinator, Intent::GiveUp) {
                let version = store.version;
                prop_assert!(store.write(&Party::Coordinator, &plan, version));
                is_right(&store, plan.decision.as_ref().unwrap());
            }
            let decision = store.now.record.decision.clone().unwrap();
            for index in 0..=count {
                let told = next(&store.now, &party(index, count), Intent::Await);
                prop_assert_eq!(told, Step::Told(decision.clone()));
            }
        }
    }
}
