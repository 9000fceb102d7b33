//! Identities of the connection: kept for ever, sent again on each new connection.

use std::collections::VecDeque;

use crate::secret::Secret;

/// Every identity that was added, in order.
#[derive(Debug)]
pub(super) struct Auth<R> {
    credentials: Vec<Credential<R>>,
    /// Those sent on this connection and not answered yet, by their place in `credentials`:
    /// answers carry no number of their own but come in order.
    unanswered: VecDeque<usize>,
}

#[derive(Debug)]
struct Credential<R> {
    body: Secret,
    /// Who waits for the first answer. Sending it twice does no harm, so a lost connection is
    /// no answer.
    waiter: Option<R>,
}

impl<R> Auth<R> {
    pub(super) fn new() -> Self {
        Self { credentials: Vec::new(), unanswered: VecDeque::new() }
    }

    pub(super) fn add(&mut self, body: &[u8], waiter: R) {
        self.credentials.push(Credential { body: Secret::new(body), waiter: Some(waiter) });
    }

    /// The newest identity, which is now on its way.
    pub(super) fn send_newest(&mut self) -> &[u8] {
        let at = self.credentials.len() - 1;
        self.unanswered.push_back(at);
        self.credentials[at].body.expose()
    }

    /// All identities, which are now on their way on a new connection.
    pub(super) fn send_all(&mut self) -> impl Iterator<Item = &[u8]> {
        self.unanswered = (0..self.credentials.len()).collect();
        self.credentials.iter().map(|credential| credential.body.expose())
    }

    /// The oldest unanswered identity was answered: who waits for that, or `None` if nothing was
    /// asked.
    pub(super) fn answered(&mut self) -> Option<Option<R>> {
        let at = self.unanswered.pop_front()?;
        Some(self.credentials[at].waiter.take())
    }

    /// What was sent on the lost connection is sent again on the next.
    pub(super) fn connection_lost(&mut self) {
        self.unanswered.clear();
    }

    /// Everyone who still waits, each with whether the identity is on this connection's wire.
    pub(super) fn waiters(&mut self) -> Vec<(R, bool)> {
        let unanswered = &self.unanswered;
        let credentials = self.credentials.iter_mut().enumerate();
        credentials
            .filter_map(|(at, credential)| {
                credential.waiter.take().map(|waiter| (waiter, unanswered.contains(&at)))
            })
            .collect()
    }
}
