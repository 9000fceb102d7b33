//! Those that have come and are not known yet: strangers, perhaps, who say nothing.

use std::collections::VecDeque;

use tokio::task::{AbortHandle, JoinSet};

/// How many there may be at a time.
const ARRIVALS_MAX: usize = 256;

/// Handshakes that go on. There is room for whoever comes: the one that takes longest is given up.
#[derive(Debug)]
pub(super) struct Arrivals<T> {
    handshakes: JoinSet<T>,
    in_order: VecDeque<AbortHandle>,
}

impl<T: Send + 'static> Arrivals<T> {
    pub(super) fn new() -> Self {
        Self { handshakes: JoinSet::new(), in_order: VecDeque::new() }
    }

    /// Begins the handshake of one that has come.
    pub(super) fn add(&mut self, handshake: impl Future<Output = T> + Send + 'static) {
        if self.in_order.len() >= ARRIVALS_MAX {
            self.in_order.retain(|handshake| !handshake.is_finished());
        }
        if self.in_order.len() >= ARRIVALS_MAX
            && let Some(longest) = self.in_order.pop_front()
        {
            longest.abort();
        }
        self.in_order.push_back(self.handshakes.spawn(handshake));
    }

    /// What became of the next that has ended by itself; nothing while there is none at all.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Option<T> {
        while let Some(ended) = self.handshakes.join_next().await {
            if let Ok(outcome) = ended {
                return Some(outcome);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn strangers_who_say_nothing_keep_nobody_out() {
        let mut arrivals = Arrivals::new();
        for _ in 0..3 * ARRIVALS_MAX {
            arrivals.add(pending());
        }
        for server in 0..3 {
            arrivals.add(async move { server });
        }
        let mut known = [0; 3];
        for server in &mut known {
            *server = arrivals.next().await.unwrap();
        }
        known.sort_unstable();
        assert_eq!(known, [0, 1, 2]);
        assert!(arrivals.handshakes.len() <= ARRIVALS_MAX);
        assert!(arrivals.in_order.len() <= ARRIVALS_MAX);
    }

    #[tokio::test]
    async fn whoever_has_ended_makes_room() {
        let mut arrivals = Arrivals::new();
        let (done, wait) = tokio::sync::oneshot::channel::<()>();
        arrivals.add(async move { wait.await.is_ok() });
        for _ in 1..3 * ARRIVALS_MAX {
            arrivals.add(async { false });
            assert_eq!(arrivals.next().await, Some(false));
        }
        done.send(()).unwrap();
        assert_eq!(arrivals.next().await, Some(true), "it was not the longest of too many");
    }
}
