//! The one place of the recipes that reads a clock: tokio's, which tests can pause.

use tokio::time::Instant;

#[expect(clippy::disallowed_methods, reason = "recipes wait, so they may know what time it is")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
