//! The same figures for the `metrics` crate, summed over all clients of the process.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::stats::ClientStats;
use crate::proto::ErrorCode;
use crate::session::{Answer, Failure};

/// One request is done: its latency, by operation and outcome.
pub(super) fn request(op: &'static str, outcome: &Result<Answer, Failure>, latency: Duration) {
    let outcome = match outcome {
        Ok(answer) if answer.code == ErrorCode::Ok => "ok",
        Ok(_) => "rejected",
        Err(failure) if failure.sent => "unknown",
        Err(_) => "not_sent",
    };
    histogram!("znode_request_seconds", "op" => op, "outcome" => outcome).record(latency);
}

/// What was told already, so that only what has changed is told.
#[derive(Debug, Default)]
pub(super) struct Meters {
    told: ClientStats,
}

impl Meters {
    pub(super) fn update(&mut self, now: &ClientStats) {
        let told = std::mem::replace(&mut self.told, *now);
        let counters = [
            ("znode_bytes_sent_total", told.bytes_sent, now.bytes_sent),
            ("znode_bytes_received_total", told.bytes_received, now.bytes_received),
            ("znode_watch_events_total", told.events, now.events),
            ("znode_connects_total", told.connections, now.connections),
            ("znode_reconnects_total", told.reconnects, now.reconnects),
            ("znode_expiries_total", told.expiries, now.expiries),
            ("znode_pings_total", told.pings, now.pings),
        ];
        for (name, before, after) in counters {
            if after > before {
                counter!(name).increment(after - before);
            }
        }
        let gauges = [
            ("znode_requests_in_flight", told.in_flight, now.in_flight),
            ("znode_requests_waiting", told.waiting, now.waiting),
            ("znode_watches", told.watches, now.watches),
        ];
        for (name, before, after) in gauges {
            if after > before {
                gauge!(name).increment(as_f64(after - before));
            } else if after < before {
                gauge!(name).decrement(as_f64(before - after));
            }
        }
    }
}

/// A session that is over has nothing in flight, waiting or watched.
impl Drop for Meters {
    fn drop(&mut self) {
        let rest = ClientStats { in_flight: 0, waiting: 0, watches: 0, ..self.told };
        self.update(&rest);
    }
}

fn as_f64(number: u64) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}
