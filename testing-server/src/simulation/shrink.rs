//! Finds the faults that a failure really needs.

use std::cell::Cell;
use std::future::Future;
use std::panic::{set_hook, take_hook};
use std::sync::Once;

use super::faults::{Fault, Plan};
use super::{Failure, Faults, Simulation, World};

/// How often a test is run again at most.
const RUNS_MAX: usize = 200;

/// The same failure with no fault that could be left out, if it takes no more than [`RUNS_MAX`]
/// runs to find it. Nothing that was put right stays broken: a fault goes with its remedy, and what
/// is not the plan's to break is put right when it was.
pub(super) fn shrink<T, F: Future<Output = T>>(
    simulation: &Simulation,
    failure: Failure,
    test: impl Fn(World) -> F,
) -> Failure {
    let again = match quietly(|| simulation.try_run(&test)) {
        Err(again) if is_same(&again, &failure) => again,
        Err(again) => return drifting(failure, &format!("says: {}", again.said)),
        Ok(_) => return drifting(failure, "passes"),
    };
    let plan = simulation.plan();
    let units = Units::of(&plan);
    let mut runs = 1;
    let mut fails = |kept: &[usize]| {
        runs += 1;
        if runs > RUNS_MAX {
            return None;
        }
        let chosen = units.chosen(kept);
        let simulation = simulation.clone().faults(Faults::exactly(plan.only(&chosen)));
        let again = quietly(|| simulation.try_run(&test).err())?;
        is_same(&again, &failure).then(|| units.happened(again, kept))
    };
    let all: Vec<usize> = units.optional.clone();
    let (mut least, mut kept) = units.happened(again, &all);
    let mut len = kept.len().div_ceil(2);
    while len > 0 {
        let mut at = 0;
        while at < kept.len() {
            let end = (at + len).min(kept.len());
            match fails(&[&kept[..at], &kept[end..]].concat()) {
                Some(found) => (least, kept) = found,
                None => at = end,
            }
        }
        len /= 2;
    }
    least
}

/// Whether two runs have failed in the same way: in the same words, but for times, numbers of
/// sessions and the like.
fn is_same(one: &Failure, other: &Failure) -> bool {
    let words = |failure: &Failure| failure.said.replace(|c: char| c.is_ascii_digit(), "");
    words(one) == words(other)
}

/// A failure that is not the same when it is run again.
fn drifting(failure: Failure, again: &str) -> Failure {
    let why = "something in it does not follow from the seed";
    Failure { said: format!("{}\n(run again it {again}: {why})", failure.said), ..failure }
}

/// What can be left out of a plan, each with what puts it right. All are known by their places in
/// the plan.
struct Units {
    /// What may be left out: faults, and remedies that come where everything is right already.
    optional: Vec<usize>,
    /// The first remedy of each entry of the plan, if it has one of its own.
    remedies: Vec<Option<usize>>,
}

impl Units {
    fn of(plan: &Plan) -> Self {
        let faults: Vec<&Fault> = plan.faults.iter().map(|(_, fault)| fault).collect();
        let remedy = |at: usize| {
            let mut later = (at + 1)..faults.len();
            later.find(|remedy| faults[*remedy].mends(faults[at]))
        };
        let remedies: Vec<_> = (0..faults.len()).map(remedy).collect();
        let is_optional = |at: &usize| match faults[*at] {
            Fault::MendAll => false,
            _ if remedies.contains(&Some(*at)) => false,
            // One that mends nothing of the plan may mend what the test breaks.
            remedy if remedy.is_remedy() => faults[..*at].iter().any(|fault| remedy.mends(fault)),
            _ => true,
        };
        Self { optional: (0..faults.len()).filter(is_optional).collect(), remedies }
    }

    /// What is left of the plan if only these are kept of all that may be left out.
    fn chosen(&self, kept: &[usize]) -> Vec<usize> {
        let is_remedy = |at: usize| self.remedies.contains(&Some(at));
        let is_needed = |at: usize| kept.iter().any(|kept| self.remedies[*kept] == Some(at));
        let is_left = |at: &usize| match at {
            at if is_remedy(*at) => is_needed(*at),
            at => kept.contains(at) || !self.optional.contains(at),
        };
        (0..self.remedies.len()).filter(is_left).collect()
    }

    /// A failure, and what was kept and has happened before it; what follows plays no part.
    fn happened(&self, failure: Failure, kept: &[usize]) -> (Failure, Vec<usize>) {
        let mut happened = self.chosen(kept);
        happened.truncate(failure.faults.len());
        let kept = kept.iter().copied().filter(|at| happened.contains(at)).collect();
        (failure, kept)
    }
}

thread_local! {
    /// Whether panics of this thread are part of looking for a better one.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs something whose panics are expected, and need not be told.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                before(info);
            }
        }));
    });
    struct Loud;

    impl Drop for Loud {
        fn drop(&mut self) {
            IS_QUIET.set(false);
        }
    }

    IS_QUIET.set(true);
    let _loud = Loud;
    run()
}
