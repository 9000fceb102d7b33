//! The one place of the recipes that reads clocks: tokio's, which tests can pause, and the wall's.

use std::time::SystemTime;

use tokio::time::Instant;

#[expect(clippy::disallowed_methods, reason = "recipes wait, so they may know what time it is")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// As somebody has set it: for names, and never for how long something takes.
#[expect(clippy::disallowed_methods, reason = "ids are to grow with the time of day")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}
