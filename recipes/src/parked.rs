//! Guarded writes that wait out a connection that is down, for as long as their holder allows.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select, select_all};
use futures::stream::StreamExt;
use tokio::time::sleep;
use znode::{Client, ErrorKind, Op, OpResult, Outcome, Reply, State};

use crate::error::LockError;
use crate::holding::Holding;
use crate::loss::LostReason;

/// A guarded write that may wait.
pub(crate) struct Parked {
    /// What must be held; never none.
    pub(crate) holdings: Arc<[Holding]>,
    /// The lock, as its caller named it.
    pub(crate) lock: Arc<str>,
    /// With the checks of the locks' nodes.
    pub(crate) ops: Vec<Op>,
    pub(crate) checks: usize,
    /// How long it may wait.
    pub(crate) grace: Duration,
    /// The answer to come, if it was not parked at once.
    pub(crate) reply: Option<Reply<Vec<OpResult>>>,
}

impl Parked {
    /// Sends it when the connection stands, and again if it was certainly not sent then. What may
    /// have taken effect is never sent again.
    pub(crate) async fn write(mut self) -> Result<Vec<OpResult>, LockError> {
        let mut limit = pin!(sleep(self.grace));
        loop {
            let reply = match self.reply.take() {
                Some(reply) => reply,
                None => match select(pin!(self.connected()), limit.as_mut()).await {
                    Either::Left((Ok(()), _)) => self.client().multi(self.ops.clone()),
                    Either::Left((Err(reason), _)) => {
                        return Err(LockError::lost(&self.lock, reason));
                    }
                    Either::Right(_) => return Err(LockError::suspect(&self.lock)),
                },
            };
            match reply.await {
                Err(error) if is_unsent(&error) => {}
                answered => {
                    return answered
                        .map_err(|error| LockError::guarded_by(&self.lock, error, self.checks));
                }
            }
        }
    }

    /// Waits until the lock is held, as far as can be known, or lost.
    async fn connected(&self) -> Result<(), LostReason> {
        let mut states = self.client().states();
        loop {
            if let Some(reason) = self.holdings.iter().find_map(Holding::lost_by_now) {
                return Err(reason);
            }
            if self.client().state() == State::Connected {
                return Ok(());
            }
            let lost = select_all(self.holdings.iter().map(|holding| holding.lost().clone()));
            if let Either::Left(((reason, ..), _)) = select(lost, states.next()).await {
                return Err(reason);
            }
        }
    }

    fn client(&self) -> &Client {
        self.holdings[0].writer()
    }
}

/// Whether the connection went down before the request was sent.
fn is_unsent(error: &znode::Error) -> bool {
    error.kind() == ErrorKind::ConnectionLoss && error.outcome() == Outcome::NotSent
}
