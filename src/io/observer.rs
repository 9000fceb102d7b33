//! What the send task tells of its work: figures, traces, slow requests, metrics.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use super::stats::ClientStats;
use super::submissions::Responder;
use crate::connect_string::HostPort;
use crate::moment::Moment;
use crate::proto::{ErrorCode, Xid};
use crate::session::{Answer, Failure, Figures, Notice};
use crate::state::State;

/// Where single requests are traced: at level TRACE, and slow ones at WARN.
pub(crate) const REQUESTS: &str = "znode::request";

/// Who waits for an answer, and what is known of the question if somebody wants to know.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) reply: Responder,
    pub(super) note: Option<Box<Note>>,
}

/// What a request is about, kept only where it will be told.
#[derive(Debug)]
pub(crate) struct Note {
    /// The operation, named as its method is.
    pub(crate) op: &'static str,
    /// The path, as the caller gave it.
    pub(crate) path: Option<Box<str>>,
    /// When the send task has taken it.
    pub(crate) taken: Moment,
}

impl Note {
    /// Notes a request if somebody will ask for it.
    pub(crate) fn of(shared: &Shared, op: &'static str, path: Option<&str>) -> Option<Box<Self>> {
        let told = shared.slow_request.is_some()
            || tracing::enabled!(target: REQUESTS, tracing::Level::TRACE);
        if told || cfg!(feature = "metrics") {
            Some(Self::make(op, path.filter(|_| told)))
        } else {
            None
        }
    }

    // Out of the way of those who want no notes: it would be inlined into every operation.
    #[cold]
    fn make(op: &'static str, path: Option<&str>) -> Box<Self> {
        Box::new(Self { op, path: path.map(Box::from), taken: Moment::START })
    }
}

/// Counts, and tells.
#[derive(Debug)]
pub(super) struct Observer {
    shared: Arc<Shared>,
    stats: ClientStats,
    /// The server that is tried or connected.
    server: Option<HostPort>,
    #[cfg(feature = "metrics")]
    meters: super::meters::Meters,
}

impl Observer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            stats: ClientStats::default(),
            server: None,
            #[cfg(feature = "metrics")]
            meters: super::meters::Meters::default(),
        }
    }

    pub(super) fn connecting(&mut self, host: &HostPort) {
        self.stats.attempts += 1;
        self.server = Some(host.clone());
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.stats.bytes_sent += count(bytes);
    }

    /// A frame came in, its length not counted.
    pub(super) fn received(&mut self, bytes: usize) {
        self.stats.bytes_received += count(bytes) + 4;
    }

    pub(super) fn notified(&mut self, notice: &Notice) {
        self.stats.events += u64::from(matches!(notice, Notice::Event { .. }));
    }

    pub(super) fn entered(&mut self, state: State) {
        if state.is_connected() {
            self.stats.reconnects += u64::from(self.stats.connections > 0);
            self.stats.connections += 1;
        }
        self.stats.expiries += u64::from(state == State::Expired);
    }

    /// A request is answered, or will never be.
    pub(super) fn answered(
        &mut self,
        now: Moment,
        note: Option<&Note>,
        outcome: &Result<Answer, Failure>,
    ) {
        match outcome {
            Ok(answer) => {
                let counter = match answer.code {
                    ErrorCode::Ok => &mut self.stats.requests_ok,
                    _ => &mut self.stats.requests_rejected,
                };
                *counter += 1;
            }
            Err(failure) if failure.sent => self.stats.requests_unknown += 1,
            Err(_) => self.stats.requests_not_sent += 1,
        }
        if let Some(note) = note {
            self.tell(now.since(note.taken), note, outcome);
        }
    }

    #[cold]
    fn tell(&self, latency: Duration, note: &Note, outcome: &Result<Answer, Failure>) {
        #[cfg(feature = "metrics")]
        super::meters::request(note.op, outcome, latency);
        let is_slow = self.shared.slow_request.is_some_and(|limit| latency >= limit);
        if !is_slow && !tracing::enabled!(target: REQUESTS, tracing::Level::TRACE) {
            return;
        }
        let (op, path) = (note.op, note.path.as_deref().unwrap_or_default());
        let latency_us = micros(latency);
        let (xid, zxid) = match outcome {
            Ok(answer) => (answer.xid, answer.zxid.0),
            Err(_) => (Xid(0), 0),
        };
        let xid = xid.0;
        let outcome = match outcome {
            Ok(answer) => format!("{:?}", answer.code),
            Err(Failure { cause, sent: true }) => format!("{cause:?}, sent"),
            Err(Failure { cause, sent: false }) => format!("{cause:?}, not sent"),
        };
        let server = self.server.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::trace!(target: REQUESTS, op, path, xid, zxid, outcome, server, latency_us);
        if is_slow {
            tracing::warn!(target: REQUESTS, op, path, outcome, server, latency_us, "slow request");
        }
    }

    /// Makes everything that was counted visible.
    pub(super) fn publish(&mut self, figures: Figures) {
        self.stats.in_flight = count(figures.in_flight);
        self.stats.waiting = count(figures.waiting);
        self.stats.watches = count(figures.watches);
        self.stats.pings = figures.pings;
        self.stats.last_ping_us = micros(figures.last_ping);
        self.stats.last_latency_us = micros(figures.last_latency);
        self.stats.max_latency_us = micros(figures.max_latency);
        self.shared.stats.write(&self.stats);
        #[cfg(feature = "metrics")]
        self.meters.update(&self.stats);
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
