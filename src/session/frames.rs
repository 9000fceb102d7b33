//! Frames from the server: handshake, answers and notifications.

use std::sync::Arc;

use bytes::Bytes;

use super::fallback::with_stat;
use super::handshake::{Identity, Verdict};
use super::input::WatchEffect;
use super::machine::{Session, put_request};
use super::output::{Answer, Ending, Established, Notice, Outbox, Output};
use super::phase::{Connected, Handshaking, Phase};
use super::replay;
use crate::moment::Moment;
use crate::proto::{Decoder, ErrorCode, EventType, OpCode, ReplyHeader, WatcherEvent, Xid, Zxid};
use crate::state::State;

impl<R> Session<R> {
    pub(super) fn received(&mut self, now: Moment, frame: &Bytes, out: &mut Outbox<R>) {
        match &mut self.phase {
            Phase::Handshaking(Handshaking { sent_at, deadline }) => {
                let (sent_at, deadline) = (*sent_at, *deadline);
                self.handshaken(now, sent_at, deadline, frame, out);
            }
            Phase::Authenticating(_) => self.sasl_answered(now, frame, out),
            Phase::Connected(connected) => {
                connected.last_received = now;
                let mut from = Decoder::new(frame);
                let Ok(header) = from.read::<ReplyHeader>() else {
                    return self.out_of_order(now, out);
                };
                match header.xid {
                    Xid::NOTIFICATION => self.notified(header.zxid, from, out),
                    Xid::PING => self.pinged(now, out),
                    Xid::AUTH => self.authenticated(now, header, out),
                    _ => self.answered(now, header, frame, out),
                }
            }
            // A frame that crossed the end of its connection.
            Phase::Waiting(_) | Phase::Connecting(_) | Phase::Over(_) => {}
        }
    }

    /// The server does not speak the protocol: no answer on this connection can be trusted.
    pub(super) fn out_of_order(&mut self, now: Moment, out: &mut Outbox<R>) {
        out.push(Output::Disconnect);
        self.lose_connection(now, out);
    }

    pub(super) fn handshaken(
        &mut self,
        now: Moment,
        sent_at: Moment,
        deadline: Moment,
        frame: &[u8],
        out: &mut Outbox<R>,
    ) {
        match self.identity.judge(frame) {
            Verdict::Malformed => {
                out.push(Output::Disconnect);
                self.try_next(now, out);
            }
            Verdict::Expired => self.end(Ending::Expired, out),
            Verdict::Confirmed { session_id, password, timeout, read_only } => {
                let is_known = self.identity.is_known || !read_only;
                self.identity = Identity { session_id, password: password.clone(), is_known };
                self.timers.confirmed(timeout, sent_at);
                // A server that is cut off from its quorum has asked nobody.
                if !read_only {
                    self.assured.handshaken(sent_at, timeout);
                }
                out.push(Output::Established(Established { session_id, password, timeout }));
                if !self.begin_sasl(now, deadline, read_only, out) {
                    self.enter_connected(now, read_only, out);
                }
            }
        }
    }

    /// The connection is as good as it gets: what waits for one may go.
    pub(super) fn enter_connected(&mut self, now: Moment, read_only: bool, out: &mut Outbox<R>) {
        self.timers.connected();
        self.hosts.confirmed(&self.host);
        self.phase = Phase::Connected(Connected {
            last_sent: now,
            last_received: now,
            ping_sent_at: None,
            read_only,
            search: self.begin_search(now, read_only),
        });
        self.restore(now, read_only, out);
    }

    /// Tells the new connection who we are and what we watch, before anything that waits is sent.
    pub(super) fn restore(&mut self, now: Moment, read_only: bool, out: &mut Outbox<R>) {
        for body in self.auth.send_all() {
            put_request(out, Xid::AUTH, OpCode::Auth, body);
        }
        let without = self.try_without_persistent();
        for (op, body) in replay::requests(&self.watches, self.last_zxid, !without) {
            self.send(now, op, &body, WatchEffect::None, None, out);
        }
        let state = if read_only { State::ConnectedReadOnly } else { State::Connected };
        out.push(Output::State(state));
        if without {
            // Its answer tells as well as any other.
            return self.ping(now, out);
        }
        for watcher in self.watches.persistent() {
            out.push(Output::Notify(watcher, Notice::Gap));
        }
    }

    pub(super) fn notified(&mut self, zxid: Zxid, mut from: Decoder<'_>, out: &mut Outbox<R>) {
        // An event that cannot be read is of a kind that is not known yet: nobody waits for it.
        let Ok(event) = from.read::<WatcherEvent<'_>>() else {
            return;
        };
        let Ok(kind) = EventType::try_from(event.kind) else {
            return;
        };
        let mut told = std::mem::take(&mut self.told);
        self.watches.trigger(kind, &event.path, &mut told);
        if !told.is_empty() {
            let path: Arc<str> = event.path.into();
            let zxid = (zxid > Zxid::ZERO).then_some(zxid);
            for watcher in told.drain(..) {
                let path = Arc::clone(&path);
                out.push(Output::Notify(watcher, Notice::Event { kind, path, zxid }));
            }
        }
        self.told = told;
    }

    pub(super) fn pinged(&mut self, now: Moment, out: &mut Outbox<R>) {
        self.heard_without_persistent(out);
        if let Phase::Connected(connected) = &mut self.phase
            && let Some(sent_at) = connected.ping_sent_at.take()
        {
            self.timers.answered(sent_at);
            self.assured.answered(now, sent_at, false);
            self.last_ping = now.since(sent_at);
        }
    }

    pub(super) fn authenticated(&mut self, now: Moment, header: ReplyHeader, out: &mut Outbox<R>) {
        if header.error != ErrorCode::Ok {
            return self.end(Ending::AuthFailed, out);
        }
        match self.auth.answered() {
            Some(Some(reply)) => {
                out.push(Output::Reply(reply, Ok(Answer::done(Xid::AUTH))));
            }
            Some(None) => {}
            None => self.out_of_order(now, out),
        }
    }

    pub(super) fn answered(
        &mut self,
        now: Moment,
        header: ReplyHeader,
        frame: &Bytes,
        out: &mut Outbox<R>,
    ) {
        let Some(sent) = self.pending.answered(header.xid) else {
            return self.out_of_order(now, out);
        };
        self.heard_without_persistent(out);
        self.timers.answered(sent.sent_at);
        // A `sync` says no such thing: a leader that was deposed may answer it.
        let is_committed = header.error == ErrorCode::Ok && sent.op.changes_nodes();
        self.assured.answered(now, sent.sent_at, is_committed);
        let latency = now.as_nanos().saturating_sub(sent.sent_at.as_nanos());
        self.last_latency = latency;
        self.max_latency = self.max_latency.max(latency);
        self.last_zxid = self.last_zxid.max(header.zxid);
        let Some(sent) = self.learn(now, sent, header.error, out) else {
            return;
        };
        match sent.watch {
            WatchEffect::None => {}
            WatchEffect::Register(registration) => {
                let removal = self.watches.settle(&registration, Some(header.error));
                self.remove_at_server(removal, None);
            }
            WatchEffect::Remove { path, kind } if header.error == ErrorCode::Ok => {
                for (watcher, stood) in self.watches.remove(&path, kind) {
                    let path = Arc::clone(&path);
                    let notice = Notice::Removed { kind: stood.removed_event(), path };
                    out.push(Output::Notify(watcher, notice));
                }
            }
            WatchEffect::Remove { .. } => {}
        }
        if let Some(reply) = sent.reply {
            let body = frame.slice(ReplyHeader::LEN..);
            let ReplyHeader { xid, zxid, error: code } = header;
            let mut answer = Answer { xid, zxid, code, body };
            match (sent.op, &sent.body) {
                (OpCode::Create, Some(request)) => {
                    answer = with_stat(request, answer, self.identity.session_id);
                }
                (OpCode::Multi, Some(request)) => answer = self.multi_answered(request, answer),
                _ => {}
            }
            out.push(Output::Reply(reply, Ok(answer)));
        }
        if sent.op == OpCode::CloseSession {
            self.end(Ending::Closed, out);
        }
    }
}
