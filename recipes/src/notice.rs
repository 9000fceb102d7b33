//! Something that one changes and others wait for.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A value, and those who wait until it shows what they want.
#[derive(Debug)]
pub(crate) struct Notice<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Notice<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    /// The value as it is now. Nobody is woken for what is changed in it here.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, and has everybody look who waits.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let changed = change(&mut self.lock());
        self.changed.notify_waiters();
        changed
    }

    /// Changes it, and has everybody look who waits if that says so.
    pub(crate) fn change_if(&self, change: impl FnOnce(&mut T) -> bool) {
        let is_changed = change(&mut self.lock());
        if is_changed {
            self.changed.notify_waiters();
        }
    }

    /// Waits until there is something to be seen.
    ///
    /// # Cancel safety
    /// Nothing is lost: what is seen is had in the same poll.
    pub(crate) async fn until<R>(&self, mut see: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let seen = see(&mut self.lock());
            if let Some(seen) = seen {
                return seen;
            }
            changed.await;
        }
    }
}

/// What comes next in a stream of states, of which `last` was told and this is the one by now, with
/// its number; `None` while it is the same, and `Some(None)` if it always will be.
pub(crate) fn next_state<S>(
    last: Option<u64>,
    now: (u64, impl FnOnce() -> S),
    is_over: bool,
) -> Option<Option<(S, u64)>> {
    let (number, state) = now;
    match (last == Some(number), is_over) {
        (false, _) => Some(Some((state(), number))),
        (true, true) => Some(None),
        (true, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn whoever_waits_is_woken_by_what_comes_while_he_looks() {
        let notice = Notice::new(0);
        let mut looks = 0;
        let waiting = notice.until(|value| {
            looks += 1;
            (*value == 2).then_some(looks)
        });
        let mut waiting = Box::pin(waiting);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        notice.change(|value| *value = 1);
        notice.change_if(|value| {
            *value = 2;
            false
        });
        assert_eq!(waiting.now_or_never(), Some(2));
    }

    #[test]
    fn the_last_state_is_told_before_the_end() {
        let next = |last, is_over| next_state(last, (7, || 'x'), is_over);
        assert_eq!(next(None, false), Some(Some(('x', 7))));
        assert_eq!(next(Some(6), true), Some(Some(('x', 7))));
        assert_eq!((next(Some(7), false), next(Some(7), true)), (None, Some(None)));
    }
}
