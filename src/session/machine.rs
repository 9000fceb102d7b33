//! The machine itself: inputs, time and frames in, one ordered list of things to do out.

use std::borrow::Cow;
use std::time::Duration;

use super::assured::Assured;
use super::auth::Auth;
use super::fallback::Create2;
use super::handshake::Identity;
use super::input::{Config, Input, Limits, Request, WatchEffect};
use super::older_multi::MultiCreate2;
use super::outgoing::{Outgoing, Waiting as Queued};
use super::output::{Answer, Cause, Ending, Failure, Figures, Outbox, Output};
use super::pending::Pending;
use super::phase::{Destination, Phase, Waiting};
use super::sasl::Sasl;
use super::timers::Timers;
use super::watches::{Removal, WatcherId, Watches};
use crate::connect_string::HostPort;
use crate::hosts::{Attempt, HostProvider};
use crate::moment::Moment;
use crate::proto::requests::WatchesRequest;
use crate::proto::{JutePut, OpCode, RequestHeader, SessionId, Xid, Zxid};
use crate::secret::Secret;

/// The session of one client, over any number of connections, one at a time.
///
/// `R` stands for whoever waits for an answer; the session carries it and never looks inside.
#[derive(Debug)]
pub struct Session<R> {
    pub(super) phase: Phase,
    pub(super) hosts: Box<dyn HostProvider>,
    /// The server that was tried last, or is connected.
    pub(super) host: HostPort,
    /// Where to go instead, as soon as that server has answered every request.
    pub(super) destination: Option<Destination>,
    pub(super) timers: Timers,
    pub(super) assured: Assured,
    pub(super) identity: Identity,
    pub(super) read_only_allowed: bool,
    /// The newest transaction seen in a reply. Events do not count: several of one transaction
    /// may be on the way, and a reconnect between them would lose the rest (ZOOKEEPER-1289).
    pub(super) last_zxid: Zxid,
    pub(super) outgoing: Outgoing<R>,
    pub(super) pending: Pending<R>,
    pub(super) limits: Limits,
    pub(super) auth: Auth<R>,
    pub(super) sasl: Option<Sasl>,
    pub(super) watches: Watches,
    pub(super) create2: Create2,
    pub(super) multi_create2: MultiCreate2,
    /// How often in a row servers closed the connection instead of answering `setWatches2`.
    pub(super) unanswered_closes: u32,
    /// Whether this connection was not told of persistent watches, to see whether it stands then.
    pub(super) trying_without: bool,
    /// How the session is to end, once it has been asked to.
    pub(super) leaving: Option<Leaving>,
    /// Reused: who hears of the event at hand.
    pub(super) told: Vec<WatcherId>,
    /// How many pings were sent.
    pub(super) pings: u64,
    /// How long the last one took.
    pub(super) last_ping: Duration,
    /// How long the newest answer took, in nanoseconds.
    pub(super) last_latency: u64,
    /// How long the slowest took, in nanoseconds.
    pub(super) max_latency: u64,
}

/// A request to end the session; later requests are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    Close,
    Detach,
}

impl<R> Session<R> {
    /// A session that will begin to connect at the first step.
    pub fn new(now: Moment, config: Config) -> Self {
        let mut hosts = config.hosts;
        let timers = Timers::new(now, config.session_timeout, config.connect_timeout);
        let (session_id, password, last_zxid) = match config.resume {
            Some(resume) => (resume.session_id, resume.password, resume.last_zxid),
            None => (SessionId::NONE, Secret::new([0; 16]), Zxid::ZERO),
        };
        let Attempt { host, pause } = hosts.next();
        Self {
            phase: Phase::Waiting(Waiting { host: host.clone(), until: now + pause }),
            hosts,
            host,
            destination: None,
            timers,
            assured: Assured::new(config.tick),
            identity: Identity { session_id, password, is_known: session_id != SessionId::NONE },
            read_only_allowed: config.read_only,
            last_zxid,
            outgoing: Outgoing::new(),
            pending: Pending::new(),
            limits: config.limits,
            auth: Auth::new(),
            sasl: config.sasl,
            watches: Watches::default(),
            create2: Create2::Untried,
            multi_create2: MultiCreate2::Untried,
            unanswered_closes: 0,
            trying_without: false,
            leaving: None,
            told: Vec::new(),
            pings: 0,
            last_ping: Duration::ZERO,
            last_latency: 0,
            max_latency: 0,
        }
    }

    /// Takes one input at `now` and appends what must happen to `out`.
    pub fn step(&mut self, now: Moment, input: Input<'_, R>, out: &mut Outbox<R>) {
        match input {
            Input::Submit(request) => self.submit(now, request, out),
            Input::Unwatch(watcher, reply) => self.unwatch(watcher, reply, out),
            Input::Detach => self.leaving = self.leaving.or(Some(Leaving::Detach)),
            Input::Connected => self.connected(now, out),
            Input::Broken => self.broken(now, out),
            Input::Received(frame) => self.received(now, &frame, out),
            Input::UpdateHosts(hosts) => self.update_hosts(hosts),
            Input::Probed(host, found) => self.probed(now, host, found),
            Input::Tick => {}
        }
        self.pump(now, out);
        self.on_time(now, out);
    }

    /// When an [`Input::Tick`] is wanted; any input before that moves it.
    pub fn next_deadline(&self) -> Moment {
        let session = self.timers.lost_at().min(self.timers.give_up_at());
        match &self.phase {
            Phase::Waiting(waiting) => waiting.until.min(session),
            Phase::Connecting(connecting) => connecting.deadline.min(session),
            Phase::Handshaking(handshaking) => handshaking.deadline.min(session),
            Phase::Authenticating(authenticating) => authenticating.deadline.min(session),
            Phase::Connected(connected) => {
                let read = connected.last_received + self.timers.read();
                self.ping_due(connected).min(read).min(session).min(connected.search.next_at)
            }
            Phase::Over(_) => Moment::NEVER,
        }
    }

    /// How the session ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        match self.phase {
            Phase::Over(ending) => Some(ending),
            _ => None,
        }
    }

    /// What there is to tell at this moment.
    pub fn figures(&self) -> Figures {
        Figures {
            in_flight: self.pending.len(),
            waiting: self.outgoing.len(),
            watches: self.watches.len(),
            pings: self.pings,
            last_ping: self.last_ping,
            last_latency: Duration::from_nanos(self.last_latency),
            max_latency: Duration::from_nanos(self.max_latency),
        }
    }

    /// Until when a connection that stands may be believed in, without another answer.
    pub fn live_until(&self) -> Moment {
        self.timers.live_until()
    }

    /// When the session may be over at the earliest, as far as committed writes and handshakes
    /// prove it. Says nothing of a session that has ended.
    pub fn assured_until(&self) -> Moment {
        self.assured.until()
    }

    /// The newest transaction seen in a reply.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    fn submit(&mut self, now: Moment, request: Request<'_, R>, out: &mut Outbox<R>) {
        // After the process stood still this may come before the tick that ends the session. What
        // is sent then comes too late for all that the caller believes.
        if now >= self.timers.lost_at() && self.ending().is_none() {
            self.end(Ending::Expired, out);
        }
        let refused = match (&self.phase, self.leaving) {
            (Phase::Over(ending), _) => Some(*ending),
            (_, Some(_)) => Some(Ending::Closed),
            _ => None,
        };
        if let Some(ending) = refused {
            let failure = Failure { cause: Cause::Ended(ending), sent: false };
            out.push(Output::Reply(request.reply, Err(failure)));
            return;
        }
        match request.op {
            OpCode::Auth => return self.submit_auth(now, request, out),
            OpCode::CloseSession => return self.submit_close(request, out),
            _ => {}
        }
        let goes_at_once = self.may_send() && self.outgoing.is_empty();
        if !goes_at_once && self.outgoing.len() >= self.limits.waiting_max {
            let failure = Failure { cause: Cause::Overload, sent: false };
            return out.push(Output::Reply(request.reply, Err(failure)));
        }
        if let WatchEffect::Register(registration) = &request.watch {
            self.watches.expect(registration);
        }
        if goes_at_once {
            let Request { op, body, watch, reply } = request;
            self.send(now, op, body, watch, Some(reply), out);
        } else {
            self.outgoing.push(request);
        }
    }

    fn submit_auth(&mut self, now: Moment, request: Request<'_, R>, out: &mut Outbox<R>) {
        self.auth.add(request.body, request.reply);
        if let Phase::Connected(connected) = &mut self.phase {
            connected.last_sent = now;
            put_request(out, Xid::AUTH, OpCode::Auth, self.auth.send_newest());
        }
    }

    /// Closing is an ordinary request on a connection, and waits for a handshake that is under way:
    /// the server may have opened the session already. Without a connection there is nobody to
    /// ask, and the session is left to expire.
    fn submit_close(&mut self, request: Request<'_, R>, out: &mut Outbox<R>) {
        self.leaving = Some(Leaving::Close);
        self.outgoing.push(request);
        if matches!(self.phase, Phase::Waiting(_) | Phase::Connecting(_)) {
            self.end(Ending::LeftToExpire, out);
        }
    }

    /// Nothing more is sent to a server that is about to be left.
    pub(super) fn may_send(&self) -> bool {
        matches!(self.phase, Phase::Connected(_))
            && self.destination.is_none()
            && self.pending.has_room(&self.limits)
    }

    /// Writes a request and notes that its answer is awaited.
    pub(super) fn send(
        &mut self,
        now: Moment,
        op: OpCode,
        body: &[u8],
        watch: WatchEffect,
        reply: Option<R>,
        out: &mut Outbox<R>,
    ) {
        let (body, op, is_kept) = match op {
            OpCode::Multi => {
                let (body, is_kept) = self.applied_multi(body);
                (body, op, is_kept)
            }
            _ => {
                let (op, is_kept) = self.create2.applied(op);
                (Cow::Borrowed(body), op, is_kept)
            }
        };
        let kept = is_kept.then(|| (*body).into());
        let xid = self.pending.push(now, op, body.len(), watch, reply, kept);
        put_request(out, xid, op, &body);
        if let Phase::Connected(connected) = &mut self.phase {
            connected.last_sent = now;
        }
    }

    /// Moves what waits to the wire, as far as there is room; detaches once nothing is left.
    pub(super) fn pump(&mut self, now: Moment, out: &mut Outbox<R>) {
        while self.may_send() {
            let Some(Queued { op, body, watch, reply }) = self.outgoing.pop() else {
                break;
            };
            self.send(now, op, &body, watch, reply, out);
        }
        if self.pending.is_empty() {
            self.leave_if_asked(now, out);
        }
        let is_idle = self.outgoing.is_empty() && self.pending.is_empty();
        if self.leaving == Some(Leaving::Detach) && is_idle && self.ending().is_none() {
            self.end(Ending::Detached, out);
        }
    }

    fn unwatch(&mut self, watcher: WatcherId, reply: Option<R>, out: &mut Outbox<R>) {
        let removal = self.watches.release(watcher);
        if let Some(reply) = self.remove_at_server(removal, reply) {
            out.push(Output::Reply(reply, Ok(Answer::done(Xid(0)))));
        }
    }

    /// Asks the server to remove a watch. Without a connection there is nothing to ask: the watch
    /// went with the last one. Gives `reply` back if nothing was asked.
    pub(super) fn remove_at_server(
        &mut self,
        removal: Option<Removal>,
        reply: Option<R>,
    ) -> Option<R> {
        let Some(Removal { path, kind }) = removal else { return reply };
        if !matches!(self.phase, Phase::Connected(_)) {
            return reply;
        }
        let mut body = Vec::new();
        body.put(&WatchesRequest { path: (*path).into(), kind: kind.code() });
        self.outgoing.push_own(OpCode::RemoveWatches, body.into(), reply);
        None
    }
}

pub(super) fn put_request<R>(out: &mut Outbox<R>, xid: Xid, op: OpCode, body: &[u8]) {
    out.frame(|bytes| {
        bytes.put(&RequestHeader { xid, op: op.code() });
        bytes.extend_from_slice(body);
    });
}
