//! What has happened in a simulated run, boiled down to one number, so that two runs can be told
//! to be the same.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::line::Direction;

/// Takes note of everything that a client is told and has told.
#[derive(Debug)]
pub(super) struct Journal {
    start: Instant,
    trace: Mutex<u64>,
}

impl Journal {
    #[expect(clippy::disallowed_methods, reason = "the clock is a paused one")]
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), trace: Mutex::new(0) }
    }

    /// How much virtual time has passed.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// What has arrived, and when.
    pub(super) fn note(&self, client: usize, direction: Direction, bytes: &[u8]) {
        let now = u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let what = [now, client as u64, direction as u64];
        *trace = what.into_iter().fold(*trace, mix);
        *trace = bytes.iter().fold(*trace, |trace, byte| mix(trace, u64::from(*byte)));
    }

    /// The number so far.
    pub(super) fn trace(&self) -> u64 {
        *self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mix(trace: u64, what: u64) -> u64 {
    (trace.rotate_left(5) ^ what).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
