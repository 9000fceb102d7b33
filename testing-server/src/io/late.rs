//! Holds back what a client is sent, for as long as a test wants.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What waits for its time, in its order.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// How long what comes now is held back.
    pub(super) by: Duration,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Late {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes what is to be sent, and gives back what may go now; the task is woken for the rest.
    #[expect(clippy::disallowed_methods, reason = "the shell is where the clock is read")]
    pub(super) fn pass(&mut self, context: &mut Context<'_>, output: &mut Vec<u8>) {
        if self.by.is_zero() && self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        if !output.is_empty() {
            // What comes behind something late is not earlier than that.
            let last = self.waiting.back().map_or(now, |(due, _)| *due);
            self.waiting.push_back((last.max(now + self.by), std::mem::take(output)));
        }
        let due = self.waiting.iter().take_while(|(due, _)| *due <= now).count();
        for (_, bytes) in self.waiting.drain(..due) {
            output.extend_from_slice(&bytes);
        }
        self.timer = None;
        if let Some((due, _)) = self.waiting.front() {
            let mut timer = Box::pin(sleep_until(*due));
            if timer.as_mut().poll(context) == Poll::Ready(()) {
                context.waker().wake_by_ref();
            }
            self.timer = Some(timer);
        }
    }
}
