//! Time as the pure cores see it: a number that somebody hands them.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in time: nanoseconds since the shell that hands it out was started.
///
/// Cores never read a clock; they are given a `Moment` with every input. So a test, or a
/// simulation, owns time.
///
/// ```
/// use std::time::Duration;
/// use znode::Moment;
///
/// let deadline = Moment::from_nanos(500) + Duration::from_millis(3);
/// assert_eq!((deadline.as_nanos(), deadline.as_millis()), (3_000_500, 3));
/// assert!(Moment::START < deadline && deadline < Moment::NEVER);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// When the shell was started.
    pub const START: Self = Self(0);
    /// Later than everything else: a timer that is not armed.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment that lies `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How much time lies between `earlier` and this; zero if `earlier` is later.
    ///
    /// ```
    /// use std::time::Duration;
    /// use znode::Moment;
    ///
    /// let later = Moment::START + Duration::from_millis(1500);
    /// assert_eq!((later.as_millis(), later.as_nanos()), (1500, 1_500_000_000));
    /// assert_eq!(later.since(Moment::from_nanos(500_000_000)), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_instead_of_wrapping() {
        assert_eq!(Moment::NEVER + Duration::from_secs(1), Moment::NEVER);
        assert_eq!(Moment::START - Duration::from_secs(1), Moment::START);
        assert_eq!(Moment::START.since(Moment::NEVER), Duration::ZERO);
    }
}
