//! What is due to a member, what it has and what it seeks: what is to be sought, and what is to be
//! let go of.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::partition::division::{Division, Members};

/// The parts, and how each of them stands to us.
#[derive(Debug)]
pub(super) struct Ledger {
    parts: BTreeSet<Arc<str>>,
    /// What the last division gives us.
    due: BTreeSet<Arc<str>>,
    /// Whose lock we have, due or not.
    held: BTreeSet<Arc<str>>,
    /// For whose lock we stand in line; none of those that are held.
    sought: BTreeSet<Arc<str>>,
}

impl Ledger {
    /// Of whoever has nothing, and to whom nothing is due.
    pub(super) fn new(parts: BTreeSet<Arc<str>>) -> Self {
        let nothing = BTreeSet::new;
        Self { parts, due: nothing(), held: nothing(), sought: nothing() }
    }

    pub(super) fn due(&self) -> &BTreeSet<Arc<str>> {
        &self.due
    }

    pub(super) fn held(&self) -> &BTreeSet<Arc<str>> {
        &self.held
    }

    pub(super) fn is_due(&self, part: &str) -> bool {
        self.due.contains(part)
    }

    /// Divides anew. Whoever does not find itself among the members keeps what it has: somebody
    /// has deleted its node, and it comes back.
    pub(super) fn divide(&mut self, division: Division, members: &Members, node: &str) {
        if let Some(place) = members.place(node) {
            self.due = division.due(&self.parts, members, place);
        }
    }

    /// Nothing is due to us any more.
    pub(super) fn resign(&mut self) {
        self.due.clear();
    }

    /// Whether something is due that is neither held nor sought.
    pub(super) fn lacks(&self) -> bool {
        self.due.iter().any(|part| self.is_lacking(part))
    }

    fn is_lacking(&self, part: &str) -> bool {
        !self.held.contains(part) && !self.sought.contains(part)
    }

    /// What is to be sought from now on.
    pub(super) fn seek(&mut self) -> Vec<Arc<str>> {
        let lacking = self.due.iter().filter(|part| self.is_lacking(part));
        let lacking: Vec<_> = lacking.map(Arc::clone).collect();
        self.sought.extend(lacking.iter().map(Arc::clone));
        lacking
    }

    /// What is to be sought no more from now on.
    pub(super) fn give_up(&mut self) -> Vec<Arc<str>> {
        let sought = std::mem::take(&mut self.sought);
        let (kept, given_up) = sought.into_iter().partition(|part| self.due.contains(part));
        self.sought = kept;
        Vec::from_iter::<BTreeSet<_>>(given_up)
    }

    /// A lock was granted; `false` if nobody wants it any more.
    pub(super) fn grant(&mut self, part: &Arc<str>) -> bool {
        self.sought.remove(part);
        self.due.contains(part) && self.held.insert(Arc::clone(part))
    }

    /// A lock was let go of.
    pub(super) fn let_go(&mut self, part: &str) {
        self.held.remove(part);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    /// What happens to one of three members, each of whom has a view of its own of who is there.
    #[derive(Debug, Clone)]
    enum Step {
        Sees(usize, BTreeSet<usize>),
        Acts(usize),
        LetsGo(usize, usize),
        Resigns(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = 0..3_usize;
        prop_oneof![
            2 => (who.clone(), btree_set(0..3_usize, 0..=3))
                .prop_map(|(who, others)| Step::Sees(who, others)),
            4 => who.clone().prop_map(Step::Acts),
            2 => (who.clone(), 0..5_usize).prop_map(|(who, part)| Step::LetsGo(who, part)),
            1 => who.prop_map(Step::Resigns),
        ]
    }

    fn node(who: usize) -> String {
        format!("{who}-{who}")
    }

    /// Three members, and who stands at each lock, the holder first.
    struct Table {
        ledgers: [Ledger; 3],
        lines: BTreeMap<Arc<str>, Vec<usize>>,
    }

    impl Table {
        fn new() -> Self {
            let parts: BTreeSet<Arc<str>> = (0..5).map(|part| format!("{part}").into()).collect();
            let lines = parts.iter().map(|part| (Arc::clone(part), Vec::new())).collect();
            Self { ledgers: [(); 3].map(|()| Ledger::new(parts.clone())), lines }
        }

        fn sees(&mut self, who: usize, others: &BTreeSet<usize>) {
            let members = Members::of(others.iter().map(|who| node(*who)).collect());
            let before = self.ledgers[who].due().clone();
            self.ledgers[who].divide(Division::RoundRobin, &members, &node(who));
            if !others.contains(&who) {
                assert_eq!(before, *self.ledgers[who].due());
            }
        }

        /// Whatever the allocator does in a turn.
        fn acts(&mut self, who: usize) {
            let ledger = &mut self.ledgers[who];
            for part in ledger.give_up() {
                let line = self.lines.get_mut(&part).unwrap();
                let place = line.iter().position(|one| *one == who).expect("it stood in line");
                line.remove(place);
            }
            for part in ledger.seek() {
                let line = self.lines.get_mut(&part).unwrap();
                assert!(!line.contains(&who), "it stands there already");
                line.push(who);
            }
            assert!(!ledger.lacks());
            for (part, line) in &mut self.lines {
                if line.first() == Some(&who) && !ledger.held().contains(part) {
                    assert!(ledger.grant(part), "it would have given that up");
                }
            }
        }

        fn lets_go(&mut self, who: usize, part: &str) {
            if self.ledgers[who].held().contains(part) {
                self.ledgers[who].let_go(part);
                assert_eq!(self.lines.get_mut(part).unwrap().remove(0), who);
            }
        }

        /// Everybody sees everybody, and lets go of what is not due.
        fn settles(&mut self) {
            let all = BTreeSet::from([0, 1, 2]);
            (0..3).for_each(|who| self.sees(who, &all));
            for _ in 0..3 {
                for who in 0..3 {
                    let held = self.ledgers[who].held().clone();
                    for part in held.difference(&self.ledgers[who].due().clone()) {
                        self.lets_go(who, part);
                    }
                    self.acts(who);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_members_see_nobody_waits_in_vain_once_they_agree(steps in vec(step(), 0..60)) {
            let mut table = Table::new();
            for step in steps {
                match step {
                    Step::Sees(who, others) => table.sees(who, &others),
                    Step::Acts(who) => table.acts(who),
                    Step::LetsGo(who, part) => table.lets_go(who, &part.to_string()),
                    Step::Resigns(who) => table.ledgers[who].resign(),
                }
                let held = table.ledgers.iter().map(|ledger| ledger.held().len()).sum::<usize>();
                let all: BTreeSet<_> =
                    table.ledgers.iter().flat_map(|ledger| ledger.held().clone()).collect();
                prop_assert_eq!(held, all.len(), "a part is held by two");
            }
            table.settles();
            let held = table.ledgers.each_ref().map(|ledger| ledger.held().len());
            prop_assert_eq!(held, [2, 2, 1]);
        }
    }

    #[test]
    fn a_lock_that_is_granted_too_late_or_twice_is_not_wanted() {
        let part: Arc<str> = "a".into();
        let mut ledger = Ledger::new(BTreeSet::from([Arc::clone(&part)]));
        let alone = Members::of(vec!["1-1".into()]);
        ledger.divide(Division::RoundRobin, &alone, "1-1");
        assert_eq!(ledger.seek(), ["a".into()]);
        assert!(ledger.seek().is_empty() && ledger.give_up().is_empty());
        ledger.resign();
        assert!(!ledger.grant(&part));
        ledger.divide(Division::RoundRobin, &alone, "1-1");
        assert!(ledger.lacks());
        assert!(ledger.grant(&part) && !ledger.grant(&part));
        assert!(ledger.is_due("a") && !ledger.lacks());
    }
}
