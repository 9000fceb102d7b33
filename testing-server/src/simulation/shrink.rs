//! Finds the faults that a failure really needs.

use std::cell::Cell;
use std::future::Future;
use std::panic::{set_hook, take_hook};
use std::sync::Once;

use super::{Failure, Faults, Simulation, World};

/// How often a test is run again at most.
const RUNS_MAX: usize = 200;

/// A failure of the same test from which no fault can be left out, if it takes no more than
/// [`RUNS_MAX`] runs to find it.
pub(super) fn shrink<T, F: Future<Output = T>>(
    simulation: &Simulation,
    failure: Failure,
    test: impl Fn(World) -> F,
) -> Failure {
    let (mut runs, failure_is_late) = (0, failure.is_late);
    let mut fails = |faults: &[_]| {
        runs += 1;
        let simulation = simulation.clone().faults(Faults::plan(faults.to_vec()));
        if runs > RUNS_MAX {
            return None;
        }
        // One that falls and one that never ends are not the same failure.
        let failure = quietly(|| simulation.try_run(&test).err());
        failure.filter(|again| again.is_late == failure_is_late)
    };
    let Some(mut least) = fails(&failure.faults) else {
        let said = format!(
            "{}\n(run again it passes: something in it does not follow from the seed)",
            failure.said
        );
        return Failure { said, ..failure };
    };
    let mut len = least.faults.len().div_ceil(2);
    while len > 0 {
        let mut at = 0;
        while at < least.faults.len() {
            let end = (at + len).min(least.faults.len());
            let rest = [&least.faults[..at], &least.faults[end..]].concat();
            match fails(&rest) {
                Some(failure) => least = failure,
                None => at = end,
            }
        }
        len /= 2;
    }
    least
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
