//! What a holder may believe at this moment, and until when.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use znode::{Client, Error, ErrorKind, Op, Version};

use crate::clock::now;
use crate::contender::Contender;
use crate::guard_state::GuardState;
use crate::loss::{Lost, LostReason, Verdict};
use crate::options::LockOptions;

/// What is known of a guard's lock, for the guard and for all that write in its name.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    /// Reads and writes the lock's own nodes as they are.
    client: Client,
    /// The caller's own, with what it does to data, and how long it waits.
    writer: Client,
    /// The path of the lock's node.
    node: Arc<str>,
    verdict: Arc<Verdict>,
    lost: Lost,
    strict: bool,
    drift_ppm: u32,
}

impl Holding {
    pub(crate) fn new(contender: &Contender, writer: &Client, options: &LockOptions) -> Self {
        let (verdict, lost) = Verdict::new();
        let (client, writer) = (contender.client().clone(), writer.clone());
        let (node, strict, drift_ppm) =
            (contender.path().into(), options.strict, options.drift_ppm);
        Self { client, writer, node, verdict, lost, strict, drift_ppm }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The client for whatever is written under the lock.
    pub(crate) fn writer(&self) -> &Client {
        &self.writer
    }

    /// The path of the lock's node.
    pub(crate) fn node(&self) -> &Arc<str> {
        &self.node
    }

    pub(crate) fn lost(&self) -> &Lost {
        &self.lost
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(crate) fn decide(&self, reason: LostReason) {
        self.verdict.decide(reason);
    }

    /// Until when nobody else can have the lock, unless somebody deletes our node.
    pub(crate) fn deadline(&self) -> Instant {
        deadline(&self.client, self.drift_ppm)
    }

    /// Why nothing is held any more, if that is so: decided here and now, as whoever should decide
    /// it may not have had its turn yet, after the process stood still.
    pub(crate) fn lost_by_now(&self) -> Option<LostReason> {
        if let Some(reason) = self.lost.decided() {
            return Some(reason);
        }
        let overdue = || (self.strict && now() >= self.deadline()).then_some(LostReason::Overdue);
        self.decide(LostReason::of(self.client.state()).or_else(overdue)?);
        self.lost.decided()
    }

    pub(crate) fn state(&self) -> GuardState {
        match self.lost_by_now() {
            Some(reason) => GuardState::Lost(reason),
            None => GuardState::of(self.client.state(), self.deadline()),
        }
    }

    /// Proves by a committed transaction that the node stands; the deadline moves with it.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        renew(&self.client, &self.node).await
    }

    /// Renews every third of the session timeout, until that fails for good or comes too late.
    pub(crate) async fn kept(&self) -> LostReason {
        let mut due = now() + self.interval();
        loop {
            // A deadline that moves while we wait only moves away.
            while now() < due.min(self.deadline()) {
                sleep_until(due.min(self.deadline())).await;
            }
            due = now() + self.interval();
            let overdue = async {
                while now() < self.deadline() {
                    sleep_until(self.deadline()).await;
                }
            };
            let renewed = tokio::select! {
                biased;
                () = overdue => return LostReason::Overdue,
                renewed = self.renew() => renewed,
            };
            match renewed {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NoNode => return LostReason::Deleted,
                // It cannot be proven, so it ends with what was proven before.
                Err(error) => tracing::debug!(node = %self.node, %error, "cannot be renewed"),
            }
        }
    }

    fn interval(&self) -> Duration {
        self.client.session_timeout() / 3
    }
}

/// Until when nobody else can have a lock of this session, however the clocks drift.
fn deadline(client: &Client, drift_ppm: u32) -> Instant {
    let until = client.assured_until();
    let drift = client.session_timeout() / 1_000_000 * drift_ppm;
    until.checked_sub(drift).unwrap_or(until)
}

/// Proves by a committed transaction that a node stands.
pub(crate) async fn renew(client: &Client, node: &str) -> Result<(), Error> {
    client.until_answered(|| client.multi([Op::check(node, Version::ANY)])).await.map(drop)
}
