//! Locks that are taken in one order here and in the other order there: found in debug builds,
//! before they meet.

use znode::Client;

/// Tells, in the logs of a debug build, if the calling task holds a lock that others of this
/// process have asked for while they held the one that it now asks for; or that very lock.
///
/// Tasks are told apart by tokio; what is not asked for in a task is not looked at. A guard counts
/// for the task that it was granted to.
pub(crate) fn asked(client: &Client, lock: &str) {
    #[cfg(debug_assertions)]
    imp::asked(&imp::key(client, lock));
    #[cfg(not(debug_assertions))]
    let _ = (client, lock);
}

/// Notes that a lock is held, until it is dropped.
#[derive(Debug)]
pub(crate) struct Noted {
    #[cfg(debug_assertions)]
    _noted: Option<imp::Noted>,
}

impl Noted {
    pub(crate) fn held(client: &Client, lock: &str) -> Self {
        #[cfg(not(debug_assertions))]
        let _ = (client, lock);
        Self {
            #[cfg(debug_assertions)]
            _noted: imp::Noted::held(imp::key(client, lock)),
        }
    }
}

#[cfg(debug_assertions)]
mod imp {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use tokio::task::Id;
    use znode::Client;

    /// How many pairs of locks are remembered: a program with more has too many to order them.
    const PAIRS_MAX: usize = 10_000;

    static LEDGER: Mutex<Ledger> = Mutex::new(Ledger::new());

    struct Ledger {
        /// Which task holds which lock, by the number of the note.
        held: BTreeMap<u64, (Id, String)>,
        noted: u64,
        /// What was asked for by somebody who held the first.
        after: BTreeMap<String, BTreeSet<String>>,
        pairs: usize,
    }

    /// A lock is named from the root of its ensemble; of two ensembles the same names are taken
    /// for the same locks.
    pub(super) fn key(client: &Client, lock: &str) -> String {
        znode::path::join(client.chroot().as_str(), lock)
    }

    pub(super) fn asked(lock: &str) {
        let Some(task) = tokio::task::try_id() else { return };
        let mut ledger = ledger();
        let held: Vec<_> = ledger.held.values().filter(|(holder, _)| *holder == task).collect();
        let held: Vec<String> = held.into_iter().map(|(_, held)| held.clone()).collect();
        for held in held {
            if held == lock {
                tracing::warn!(lock, "a task asks for a lock that it holds, and waits for itself");
            } else if ledger.leads(lock, &held) {
                tracing::warn!(
                    held,
                    asked = lock,
                    "locks are asked for in both orders: whoever do so at the same time wait for \
                     each other"
                );
            } else {
                ledger.note(held, lock);
            }
        }
    }

    #[derive(Debug)]
    pub(super) struct Noted(u64);

    impl Noted {
        pub(super) fn held(lock: String) -> Option<Self> {
            let task = tokio::task::try_id()?;
            let mut ledger = ledger();
            ledger.noted += 1;
            let number = ledger.noted;
            ledger.held.insert(number, (task, lock));
            Some(Self(number))
        }
    }

    impl Drop for Noted {
        fn drop(&mut self) {
            ledger().held.remove(&self.0);
        }
    }

    impl Ledger {
        const fn new() -> Self {
            Self { held: BTreeMap::new(), noted: 0, after: BTreeMap::new(), pairs: 0 }
        }

        fn note(&mut self, first: String, then: &str) {
            if self.pairs < PAIRS_MAX && self.after.entry(first).or_default().insert(then.into()) {
                self.pairs += 1;
            }
        }

        /// Whether who holds `from` may have to wait for `to`, directly or through others.
        fn leads(&self, from: &str, to: &str) -> bool {
            let (mut seen, mut open) = (BTreeSet::from([from]), vec![from]);
            while let Some(lock) = open.pop() {
                for next in self.after.get(lock).into_iter().flatten() {
                    if next == to {
                        return true;
                    }
                    if seen.insert(next) {
                        open.push(next);
                    }
                }
            }
            false
        }
    }

    fn ledger() -> MutexGuard<'static, Ledger> {
        LEDGER.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_order_is_followed_through_others() {
            let mut ledger = Ledger::new();
            ledger.note("a".into(), "b");
            ledger.note("b".into(), "c");
            ledger.note("c".into(), "b");
            assert!(ledger.leads("a", "c") && ledger.leads("b", "b"));
            assert!(!ledger.leads("c", "a") && !ledger.leads("x", "a"));
        }
    }
}
