//! The one place of the client that reads a clock: tokio's, which tests can pause.

use tokio::time::Instant;

use crate::moment::Moment;

/// Turns tokio's clock into [`Moment`]s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the shell's clock")]
impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn now(self) -> Moment {
        Moment::START + Instant::now().duration_since(self.start)
    }

    pub(super) fn instant(self, moment: Moment) -> Instant {
        self.start + moment.since(Moment::START)
    }
}
