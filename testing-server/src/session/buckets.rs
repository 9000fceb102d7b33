//! Expiry by the tick: sessions are filed under the end of a tick, so a touch moves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use znode::Moment;

use super::SessionSlot;

/// Sessions by the moment at which to look at them.
///
/// A touch only writes down the new expiry. The session stays where it is filed and is filed anew
/// when that bucket falls due: once in a timeout, instead of once in a request.
#[derive(Debug)]
pub(super) struct Buckets {
    tick: Duration,
    /// No bucket is empty.
    due: BTreeMap<Moment, Vec<SessionSlot>>,
}

impl Buckets {
    /// Buckets that fall due at multiples of `tick`.
    pub(super) fn new(tick: Duration) -> Self {
        Self { tick: tick.max(Duration::from_millis(1)), due: BTreeMap::new() }
    }

    /// The end of the tick that `moment` lies in, as `ExpiryQueue` rounds.
    pub(super) fn round(&self, moment: Moment) -> Moment {
        let tick = u64::try_from(self.tick.as_nanos()).unwrap_or(u64::MAX);
        let ticks = moment.as_nanos() / tick + 1;
        Moment::from_nanos(ticks.saturating_mul(tick))
    }

    /// Files a session under a rounded moment.
    pub(super) fn file(&mut self, due: Moment, slot: SessionSlot) {
        self.due.entry(due).or_default().push(slot);
    }

    /// Takes one session out of a bucket that is due.
    pub(super) fn take(&mut self, now: Moment) -> Option<(Moment, SessionSlot)> {
        let mut first = self.due.first_entry()?;
        let due = *first.key();
        if due > now {
            return None;
        }
        let slot = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        slot.map(|slot| (due, slot))
    }

    /// When the first bucket falls due.
    pub(super) fn first(&self) -> Moment {
        self.due.first_key_value().map_or(Moment::NEVER, |(due, _)| *due)
    }

    /// Empties every bucket.
    pub(super) fn clear(&mut self) {
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_on_the_tick_counts_for_the_next() {
        let buckets = Buckets::new(Duration::from_millis(100));
        let ms = |ms| Moment::START + Duration::from_millis(ms);
        assert_eq!(buckets.round(ms(199)), ms(200));
        assert_eq!(buckets.round(ms(200)), ms(300));
    }
}
