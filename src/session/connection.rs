//! Connections: made, lost, and given up in time.

use super::input::WatchEffect;
use super::machine::{Leaving, Session, put_request};
use super::outgoing::Waiting as Queued;
use super::output::{Cause, Ending, Failure, Notice, Outbox, Output};
use super::pending::Sent;
use super::phase::{Authenticating, Connected, Connecting, Handshaking, Phase, Waiting};
use crate::hosts::Attempt;
use crate::moment::Moment;
use crate::proto::{JutePut, OpCode, Xid};
use crate::state::State;

impl<R> Session<R> {
    pub(super) fn connected(&mut self, now: Moment, out: &mut Outbox<R>) {
        let Phase::Connecting(Connecting { deadline }) = self.phase else {
            return;
        };
        self.phase = Phase::Handshaking(Handshaking { deadline, sent_at: now });
        let request =
            self.identity.request(self.timers.timeout(), self.last_zxid, self.read_only_allowed);
        out.frame(|bytes| bytes.put(&request));
    }

    pub(super) fn broken(&mut self, now: Moment, out: &mut Outbox<R>) {
        match self.phase {
            Phase::Waiting(_) | Phase::Over(_) => {}
            Phase::Connecting(_) | Phase::Handshaking(_) | Phase::Authenticating(_) => {
                self.try_next(now, out);
            }
            Phase::Connected(_) => {
                self.closed_by_server();
                self.lose_connection(now, out);
            }
        }
    }

    /// The connection is gone. Everything asked for fails, also what was not written yet: a
    /// request must not take effect when one made before it may not have.
    pub(super) fn lose_connection(&mut self, now: Moment, out: &mut Outbox<R>) {
        self.auth.connection_lost();
        self.try_next(now, out);
        if self.ending().is_none() {
            out.push(Output::State(State::Suspect));
            self.fail_requests(Cause::ConnectionLoss, out);
        }
    }

    /// Waits for the next host, unless the session was only waiting to be closed.
    pub(super) fn try_next(&mut self, now: Moment, out: &mut Outbox<R>) {
        if self.leaving == Some(Leaving::Close) {
            return self.end(Ending::LeftToExpire, out);
        }
        self.destination = None;
        let Attempt { host, pause } = self.hosts.next();
        self.phase = Phase::Waiting(Waiting { host, until: now + pause });
    }

    pub(super) fn fail_requests(&mut self, cause: Cause, out: &mut Outbox<R>) {
        while let Some(Sent { watch, reply, .. }) = self.pending.pop() {
            self.fail(&watch, reply, Failure { cause, sent: true }, out);
        }
        while let Some(Queued { watch, reply, .. }) = self.outgoing.pop() {
            self.fail(&watch, reply, Failure { cause, sent: false }, out);
        }
    }

    pub(super) fn fail(
        &mut self,
        watch: &WatchEffect,
        reply: Option<R>,
        failure: Failure,
        out: &mut Outbox<R>,
    ) {
        if let WatchEffect::Register(registration) = watch {
            self.watches.settle(registration, None);
        }
        if let Some(reply) = reply {
            out.push(Output::Reply(reply, Err(failure)));
        }
    }

    /// Ends the session: one terminal state, an answer to everyone who waits, nothing after.
    pub(super) fn end(&mut self, ending: Ending, out: &mut Outbox<R>) {
        if !matches!(self.phase, Phase::Waiting(_) | Phase::Over(_)) {
            out.push(Output::Disconnect);
        }
        self.phase = Phase::Over(ending);
        out.push(Output::State(ending.state()));
        let cause = Cause::Ended(ending);
        self.fail_requests(cause, out);
        for (waiter, sent) in self.auth.waiters() {
            out.push(Output::Reply(waiter, Err(Failure { cause, sent })));
        }
        for watcher in self.watches.end() {
            out.push(Output::Notify(watcher, Notice::Over(ending)));
        }
    }

    pub(super) fn on_time(&mut self, now: Moment, out: &mut Outbox<R>) {
        if self.ending().is_some() {
            return;
        }
        if now >= self.timers.lost_at() {
            return self.end(Ending::Expired, out);
        }
        if now >= self.timers.give_up_at() {
            return self.end(Ending::ConnectTimeout, out);
        }
        match &self.phase {
            Phase::Waiting(waiting) if now >= waiting.until => {
                self.host = waiting.host.clone();
                out.push(Output::Connect(self.host.clone()));
                let deadline = now + self.timers.attempt(self.hosts.size());
                self.phase = Phase::Connecting(Connecting { deadline });
            }
            Phase::Connecting(Connecting { deadline })
            | Phase::Handshaking(Handshaking { deadline, .. })
            | Phase::Authenticating(Authenticating { deadline, .. })
                if now >= *deadline =>
            {
                out.push(Output::Disconnect);
                self.try_next(now, out);
            }
            Phase::Connected(connected) => {
                if now >= connected.last_received + self.timers.read() {
                    out.push(Output::Disconnect);
                    self.lose_connection(now, out);
                } else if now >= self.ping_due(connected) {
                    self.ping(now, out);
                } else if now >= connected.search.next_at {
                    self.search(out);
                }
            }
            _ => {}
        }
    }

    /// When a ping is due: never while one is unanswered, as the read timeout covers that.
    pub(super) fn ping_due(&self, connected: &Connected) -> Moment {
        match connected.ping_sent_at {
            Some(_) => Moment::NEVER,
            None => connected.last_sent + self.timers.ping(),
        }
    }

    pub(super) fn ping(&mut self, now: Moment, out: &mut Outbox<R>) {
        if let Phase::Connected(connected) = &mut self.phase {
            connected.last_sent = now;
            connected.ping_sent_at = Some(now);
            self.pings += 1;
            put_request(out, Xid::PING, OpCode::Ping, &[]);
        }
    }
}
