//! What is counted as requests go by, so that there is something to tell.

use znode::Moment;
use znode::proto::{OpCode, Xid, Zxid};

/// How long requests took, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) last_ms: u32,
    /// The shortest; meaningless before the first.
    shortest_ms: u32,
    pub(crate) max_ms: u32,
    total_ms: u64,
    count: u64,
}

impl Latency {
    /// Nothing has been measured.
    pub(crate) const NONE: Self =
        Self { last_ms: 0, shortest_ms: u32::MAX, max_ms: 0, total_ms: 0, count: 0 };

    /// Notes one request.
    #[inline]
    pub(crate) fn note(&mut self, ms: u32) {
        self.last_ms = ms;
        self.shortest_ms = self.shortest_ms.min(ms);
        self.max_ms = self.max_ms.max(ms);
        self.total_ms += u64::from(ms);
        self.count += 1;
    }

    /// Notes a request that took no time, as nearly all do.
    #[inline]
    pub(crate) fn note_none(&mut self) {
        self.last_ms = 0;
        self.shortest_ms = 0;
        self.count += 1;
    }

    /// These and those together.
    pub(crate) fn with(&self, other: &Self) -> Self {
        Self {
            last_ms: self.last_ms,
            shortest_ms: self.shortest_ms.min(other.shortest_ms),
            max_ms: self.max_ms.max(other.max_ms),
            total_ms: self.total_ms + other.total_ms,
            count: self.count + other.count,
        }
    }

    /// The shortest; zero if there was none.
    pub(crate) fn min_ms(&self) -> u32 {
        if self.count == 0 { 0 } else { self.shortest_ms }
    }

    /// The mean; zero if there was none.
    #[expect(clippy::cast_precision_loss, reason = "rounded to four digits anyway")]
    pub(crate) fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total_ms as f64 / self.count as f64 }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub(crate) fn total_ms(&self) -> u64 {
        self.total_ms
    }

    /// The mean in whole milliseconds, rounded down.
    pub(crate) fn whole_mean_ms(&self) -> u64 {
        self.total_ms.checked_div(self.count).unwrap_or(0)
    }
}

/// What is counted of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionStats {
    /// Frames that have arrived.
    pub(crate) received: u64,
    /// The last operation that was answered.
    pub(crate) last_op: Option<OpCode>,
    /// The number that the client gave it, leaving out those with a meaning of their own.
    pub(crate) last_xid: Xid,
    /// The zxid of the answer.
    pub(crate) last_zxid: Zxid,
    /// When it was answered.
    pub(crate) last_response: Moment,
    pub(crate) latency: Latency,
}

impl ConnectionStats {
    /// Nothing has happened.
    pub(crate) const NONE: Self = Self {
        received: 0,
        last_op: None,
        last_xid: Xid(-1),
        last_zxid: Zxid(-1),
        last_response: Moment::START,
        latency: Latency::NONE,
    };

    /// Notes an answer, though not how long it took.
    #[inline]
    pub(crate) fn answered(&mut self, op: OpCode, xid: Xid, zxid: Zxid, now: Moment) {
        self.last_op = Some(op);
        if xid.0 >= 0 {
            self.last_xid = xid;
        }
        self.last_zxid = zxid;
        self.last_response = now;
    }
}

/// What is counted of the whole server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerStats {
    /// Frames that have arrived, four-letter words among them.
    pub(crate) received: u64,
    /// How many bytes were in them.
    pub(crate) bytes_received: u64,
    pub(crate) reads: Latency,
    pub(crate) updates: Latency,
    /// Connections that were refused for their number.
    pub(crate) rejected: u64,
    /// Connections that have ended.
    pub(crate) dropped: u64,
    /// Handshakes.
    pub(crate) handshakes: u64,
    /// Handshakes that resumed a session.
    pub(crate) revalidated: u64,
    /// Connections that did not open a session in time.
    pub(crate) sessionless: u64,
    /// Sessions that have expired.
    pub(crate) expired: u64,
    /// Requests that were turned away for having waited too long.
    pub(crate) throttled: u64,
    /// Requests that were turned away for their size.
    pub(crate) large: u64,
    /// TLS handshakes that have failed.
    pub(crate) unsuccessful_handshakes: u64,
    /// Attempts to prove an identity that have failed.
    pub(crate) auth_failed: u64,
    /// Transactions behind which the tree was not what was told of it.
    pub(crate) digest_mismatches: u64,
}

impl ServerStats {
    /// How long requests of all kinds took.
    pub(crate) fn latency(&self) -> Latency {
        self.reads.with(&self.updates)
    }

    /// Nothing has happened.
    pub(crate) const NONE: Self = Self {
        received: 0,
        bytes_received: 0,
        reads: Latency::NONE,
        updates: Latency::NONE,
        rejected: 0,
        dropped: 0,
        handshakes: 0,
        revalidated: 0,
        sessionless: 0,
        expired: 0,
        throttled: 0,
        large: 0,
        unsuccessful_handshakes: 0,
        auth_failed: 0,
        digest_mismatches: 0,
    };
}

/// What is counted of what goes out.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    /// Frames, each event once for everybody who is told.
    pub(crate) frames: u64,
    /// Bytes in them.
    pub(crate) bytes: u64,
    /// How long the last, the longest and the shortest were, as long as there is a byte.
    pub(crate) last: usize,
    pub(crate) longest: usize,
    pub(crate) shortest: usize,
}

impl Sent {
    /// Notes a frame that was encoded.
    #[inline]
    pub(crate) fn encoded(&mut self, len: usize) {
        self.last = len;
        self.longest = self.longest.max(len);
        if self.bytes == 0 || len < self.shortest {
            self.shortest = len;
        }
        self.bytes += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_request_everything_is_zero() {
        let mut latency = Latency::NONE;
        assert_eq!((latency.min_ms(), latency.max_ms, latency.whole_mean_ms()), (0, 0, 0));
        assert!(latency.mean_ms().abs() < f64::EPSILON);
        latency.note(3);
        latency.note(6);
        assert_eq!((latency.min_ms(), latency.max_ms, latency.last_ms), (3, 6, 6));
        assert_eq!(latency.whole_mean_ms(), 4);
    }

    #[test]
    fn xids_with_a_meaning_of_their_own_are_not_the_last_one() {
        let mut stats = ConnectionStats::NONE;
        stats.answered(OpCode::GetData, Xid(7), Zxid(3), Moment::START);
        stats.answered(OpCode::Ping, Xid::PING, Zxid(4), Moment::START);
        assert_eq!((stats.last_xid, stats.last_zxid), (Xid(7), Zxid(4)));
    }
}
