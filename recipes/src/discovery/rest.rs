//! Which instances have failed so often that they are left alone for a while; pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How many errors bring an instance to rest, unless it is said otherwise.
const ERRORS_MAX: u32 = 2;
/// For how long it rests, unless it is said otherwise.
const TIME: Duration = Duration::from_secs(30);

/// Who rests, and who may soon.
#[derive(Debug)]
pub(super) struct Rest {
    errors_max: u32,
    time: Duration,
    failing: BTreeMap<String, Failing>,
}

#[derive(Debug)]
struct Failing {
    errors: u32,
    /// When the last of them was.
    since: Instant,
}

impl Default for Rest {
    fn default() -> Self {
        Self::new(ERRORS_MAX, TIME)
    }
}

impl Rest {
    /// After so many errors, for so long; errors that are longer apart than that do not add up.
    pub(super) fn new(errors_max: u32, time: Duration) -> Self {
        Self { errors_max, time, failing: BTreeMap::new() }
    }

    /// Notes that an instance has failed.
    pub(super) fn note(&mut self, id: &str, now: Instant) {
        let (errors_max, time) = (self.errors_max, self.time);
        self.failing.retain(|_, failing| now.duration_since(failing.since) < time);
        let failing = self.failing.entry(id.to_owned());
        let failing = failing.or_insert(Failing { errors: 0, since: now });
        // What was under way when it came to rest is of the same trouble.
        if failing.errors < errors_max {
            *failing = Failing { errors: failing.errors + 1, since: now };
        }
    }

    pub(super) fn is_resting(&self, id: &str, now: Instant) -> bool {
        self.failing.get(id).is_some_and(|failing| {
            failing.errors >= self.errors_max && now.duration_since(failing.since) < self.time
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn two_errors_within_half_a_minute_bring_half_a_minute_of_rest() {
        let (mut rest, start) = (Rest::default(), now());
        let at = |seconds| start + Duration::from_secs(seconds);
        rest.note("a", at(0));
        assert!(!rest.is_resting("a", at(0)));
        // The first is forgotten by then.
        rest.note("a", at(30));
        assert!(!rest.is_resting("a", at(30)));
        rest.note("a", at(59));
        rest.note("a", at(70));
        assert!(rest.is_resting("a", at(88)) && !rest.is_resting("b", at(88)));
        assert!(!rest.is_resting("a", at(89)));
        // It begins anew.
        rest.note("a", at(89));
        assert!(!rest.is_resting("a", at(89)));
        assert_eq!(rest.failing.len(), 1);
    }
}
