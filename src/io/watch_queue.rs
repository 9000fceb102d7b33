//! What a persistent watcher has not read yet: a bounded queue that admits what it dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::watcher::WatchUpdate;

/// How many updates wait for one watcher. Beyond it the subscriber is told how many it missed,
/// which costs it a re-read; without a bound it would cost the process its memory.
pub(crate) const UPDATES_MAX: usize = 4096;

/// Both ends of the queue. Its two sides share one lock, so that "full" and "drained" cannot
/// cross: what was dropped is always told after what came before and before what comes later.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchQueue(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    updates: VecDeque<WatchUpdate>,
    /// How many updates were dropped since the queue was full; told once it is drained.
    lagged: u64,
    is_ended: bool,
    reader: Option<Waker>,
}

impl WatchQueue {
    pub(crate) fn push(&self, update: WatchUpdate) {
        let mut inner = self.lock();
        if inner.lagged > 0 || inner.updates.len() >= UPDATES_MAX {
            inner.lagged += 1;
            return;
        }
        inner.updates.push_back(update);
        let reader = inner.reader.take();
        drop(inner);
        reader.into_iter().for_each(Waker::wake);
    }

    /// Nothing will come any more; what waits can still be read.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.is_ended = true;
        let reader = inner.reader.take();
        drop(inner);
        reader.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<WatchUpdate>> {
        let mut inner = self.lock();
        if let Some(update) = inner.updates.pop_front() {
            return Poll::Ready(Some(update));
        }
        match std::mem::take(&mut inner.lagged) {
            0 if inner.is_ended => Poll::Ready(None),
            0 => {
                inner.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            lagged => Poll::Ready(Some(WatchUpdate::Lagged(lagged))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(queue: &WatchQueue) -> Poll<Option<WatchUpdate>> {
        queue.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_a_slow_reader_missed_is_counted_and_told_in_its_place() {
        let queue = WatchQueue::default();
        for _ in 0..UPDATES_MAX + 3 {
            queue.push(WatchUpdate::Gap);
        }
        for _ in 0..UPDATES_MAX {
            assert_eq!(read(&queue), Poll::Ready(Some(WatchUpdate::Gap)));
            queue.push(WatchUpdate::Gap);
        }
        let lagged = 3 + u64::try_from(UPDATES_MAX).unwrap();
        assert_eq!(read(&queue), Poll::Ready(Some(WatchUpdate::Lagged(lagged))));
        queue.push(WatchUpdate::Gap);
        assert_eq!(read(&queue), Poll::Ready(Some(WatchUpdate::Gap)));
        assert_eq!(read(&queue), Poll::Pending);
        queue.end();
        assert_eq!(read(&queue), Poll::Ready(None));
    }
}
