//! How long things may take: fractions of the session timeout, as ZooKeeper's own client has them.

use std::time::Duration;

use crate::moment::Moment;

/// What one attempt to connect is given at least, however short the session timeout or long the
/// list of hosts: less than a round trip would never succeed anywhere.
const ATTEMPT_MIN: Duration = Duration::from_millis(20);

/// The clocks of a session, which all derive from its timeout.
#[derive(Debug)]
pub(super) struct Timers {
    /// The session timeout: what was asked for, until a server has granted another.
    timeout: Duration,
    /// Its parts, which every step asks for: dividing takes longer than the rest of the question.
    read: Duration,
    ping: Duration,
    /// When to stop trying for the first confirmation; `NEVER` once there was one.
    give_up_at: Moment,
    /// When the newest packet was sent that a server has answered; `NEVER` before the first
    /// confirmation. The session outlives it by its timeout at least.
    answered_at: Moment,
}

impl Timers {
    pub(super) fn new(now: Moment, timeout: Duration, connect_timeout: Duration) -> Self {
        let give_up_at = now + connect_timeout;
        let (read, ping) = parts(timeout);
        Self { timeout, read, ping, give_up_at, answered_at: Moment::NEVER }
    }

    /// A server has granted `timeout` in answer to a handshake that was sent at `sent_at`.
    pub(super) fn confirmed(&mut self, timeout: Duration, sent_at: Moment) {
        self.timeout = timeout;
        (self.read, self.ping) = parts(timeout);
        self.answered_at = sent_at;
    }

    /// A connection stands, with all that belongs to it.
    pub(super) fn connected(&mut self) {
        self.give_up_at = Moment::NEVER;
    }

    /// A packet that was sent at `sent_at` has been answered.
    pub(super) fn answered(&mut self, sent_at: Moment) {
        self.answered_at = self.answered_at.max(sent_at);
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When to stop trying for a first confirmation.
    pub(super) fn give_up_at(&self) -> Moment {
        self.give_up_at
    }

    /// When the session counts as lost unless something is answered before.
    pub(super) fn lost_at(&self) -> Moment {
        self.answered_at + self.timeout
    }

    /// Until when a connection that stands may be believed in: after as much silence it counts as
    /// dead, whether or not anybody had the time to notice. It counts from the sending on, since an
    /// answer may lie here unread while the process sleeps.
    pub(super) fn live_until(&self) -> Moment {
        self.answered_at + self.read()
    }

    /// How long one attempt to connect may take, handshake included, so that all of so many hosts
    /// can be tried before the session is lost.
    pub(super) fn attempt(&self, hosts: usize) -> Duration {
        let hosts = u32::try_from(hosts).unwrap_or(u32::MAX).max(1);
        (self.timeout / hosts).max(ATTEMPT_MIN)
    }

    /// How long a connection may be silent before it counts as dead: ⅔ of the timeout, which
    /// leaves ⅓ to find another server.
    pub(super) fn read(&self) -> Duration {
        self.read
    }

    /// How long nothing may be sent before a ping is due: ⅓ of the timeout.
    pub(super) fn ping(&self) -> Duration {
        self.ping
    }
}

/// ⅔ and ⅓ of a timeout.
fn parts(timeout: Duration) -> (Duration, Duration) {
    (timeout * 2 / 3, timeout / 3)
}
