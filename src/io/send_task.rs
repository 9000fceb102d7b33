//! The task of a session: feeds the pure machine and does what it puts out, in order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Sleep;

use super::clock::Clock;
use super::link::{Link, LinkEvent};
use super::observer::{Asked, Observer};
use super::probe::probe;
use super::shared::Shared;
use super::submissions::{Batch, Submission};
use super::watchers::Watchers;
use crate::connect_string::HostPort;
use crate::moment::Moment;
use crate::session::{
    Cause, Config, Ending, Failure, Input, Outbox, Output, Probed, Request, Session,
};
use crate::state::State;
use crate::tap::Following;

/// How much memory the outbox keeps between steps.
const OUTBOX_KEPT: usize = 16 * 1024;

/// A look at another server, and what was found there.
type Probe = Pin<Box<dyn Future<Output = (HostPort, Probed)> + Send>>;

/// What ends a wait of the task.
enum Event {
    Link(LinkEvent),
    Probed(HostPort, Probed),
    /// Submissions or time: every turn looks at both.
    None,
}

/// Owns the session, its connection and its watchers.
pub(crate) struct SendTask {
    session: Session<Asked>,
    out: Outbox<Asked>,
    observer: Observer,
    tap: Option<Following>,
    link: Link,
    watchers: Watchers,
    /// Empty between turns; exchanged with the queue of the handles.
    batch: Batch,
    /// The look at another server that is under way.
    probe: Option<Probe>,
    shared: Arc<Shared>,
    clock: Clock,
    timer: Pin<Box<Sleep>>,
    /// When the timer will fire; it may fire too early, never too late.
    armed: Moment,
}

impl SendTask {
    pub(crate) fn new(config: Config, shared: Arc<Shared>, tap: Option<Following>) -> Self {
        let clock = shared.clock;
        Self {
            session: Session::new(clock.now(), config),
            out: Outbox::default(),
            observer: Observer::new(Arc::clone(&shared)),
            tap,
            link: Link::Down,
            watchers: Watchers::default(),
            batch: Batch::default(),
            probe: None,
            shared,
            clock,
            timer: Box::pin(tokio::time::sleep_until(clock.instant(Moment::START))),
            armed: Moment::START,
        }
    }

    /// Runs until the session is over; never fails, and leaves nobody without an answer.
    pub(crate) async fn run(mut self) {
        loop {
            self.turn();
            if self.session.ending().is_some() {
                return;
            }
            // The order of the arms is fixed, so that a simulated run replays. None can starve
            // the others: each turn takes submissions and looks at the time, whatever woke it.
            let event = tokio::select! {
                biased;
                event = self.link.next() => Event::Link(event),
                () = self.shared.submissions.some() => Event::None,
                () = &mut self.timer => Event::None,
                (host, found) = finished(&mut self.probe) => Event::Probed(host, found),
            };
            match event {
                Event::Link(event) => self.feed_link(event),
                Event::Probed(host, found) => {
                    let now = self.clock.now();
                    self.session.step(now, Input::Probed(host, found), &mut self.out);
                }
                Event::None => {}
            }
        }
    }

    /// Takes what handles have submitted, lets time pass, and does what follows.
    fn turn(&mut self) {
        let now = self.clock.now();
        self.feed_submissions(now);
        if now >= self.session.next_deadline() {
            self.session.step(now, Input::Tick, &mut self.out);
        }
        self.perform(now);
        self.arm();
    }

    /// Lets the timer fire no later than the session wants it; moving it for each packet that
    /// pushes the deadline back would cost more than one needless wake-up.
    fn arm(&mut self) {
        let deadline = self.session.next_deadline();
        if deadline < self.armed || self.timer.is_elapsed() {
            self.timer.as_mut().reset(self.clock.instant(deadline));
            self.armed = deadline;
        }
    }

    fn feed_submissions(&mut self, now: Moment) {
        let mut batch = std::mem::take(&mut self.batch);
        self.shared.submissions.take(&mut batch);
        let mut bytes = batch.bytes.as_slice();
        for submission in batch.items.drain(..) {
            let input = match submission {
                Submission::Request { op, len, watch, slot, reply, mut note } => {
                    if let Some(note) = &mut note {
                        note.taken = now;
                    }
                    if let Some((id, slot)) = slot {
                        self.watchers.insert(id, slot);
                    }
                    let (body, rest) = bytes.split_at(len);
                    bytes = rest;
                    Input::Submit(Request { op, body, watch, reply: Asked { reply, note } })
                }
                Submission::Unwatch(watcher, reply) => {
                    self.watchers.remove(watcher);
                    Input::Unwatch(watcher, reply.map(|reply| Asked { reply, note: None }))
                }
                Submission::Detach => Input::Detach,
                Submission::UpdateHosts(hosts) => Input::UpdateHosts(hosts),
            };
            self.session.step(now, input, &mut self.out);
        }
        self.batch = batch;
    }

    fn feed_link(&mut self, event: LinkEvent) {
        let now = self.clock.now();
        match event {
            LinkEvent::Connected => self.session.step(now, Input::Connected, &mut self.out),
            LinkEvent::Broken(error) => self.broken(now, error),
            LinkEvent::Readable => loop {
                match self.link.next_frame() {
                    Ok(Some(frame)) => {
                        self.observer.received(frame.len());
                        if let Some(tap) = &mut self.tap {
                            tap.received(now.since(Moment::START), &frame);
                        }
                        self.session.step(now, Input::Received(frame), &mut self.out);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.link = Link::Down;
                        break self.broken(now, error);
                    }
                }
            },
        }
    }

    fn broken(&mut self, now: Moment, error: std::io::Error) {
        tracing::debug!(%error, "connection is down");
        self.shared.set_last_error(error);
        self.session.step(now, Input::Broken, &mut self.out);
    }

    /// Does what the session has put out, in order.
    fn perform(&mut self, now: Moment) {
        // An answer to a ping puts nothing out.
        self.shared.set_live_until(self.session.live_until());
        if self.out.is_empty() {
            return;
        }
        self.shared.set_last_zxid(self.session.last_zxid());
        self.shared.set_assured_until(self.session.assured_until());
        let figures = self.session.figures();
        let ending = self.session.ending();
        let (outputs, mut bytes) = self.out.drain();
        for output in outputs {
            match output {
                Output::Connect(host) => {
                    tracing::debug!(%host, "connecting");
                    self.observer.connecting(&host);
                    if let Some(tap) = &mut self.tap {
                        tap.connecting(&host);
                    }
                    self.link = Link::Connecting(self.shared.connect(&host));
                }
                Output::Probe(host) => {
                    let connecting = self.shared.connect(&host);
                    self.probe = Some(Box::pin(async move { (host, probe(connecting).await) }));
                }
                Output::Send(len) => {
                    let (frames, rest) = bytes.split_at(len);
                    bytes = rest;
                    self.link.send(frames);
                    self.observer.sent(len);
                    if let Some(tap) = &mut self.tap {
                        tap.sent(now.since(Moment::START), frames);
                    }
                }
                Output::Disconnect => self.link = Link::Down,
                Output::Established(established) => self.shared.set_established(established),
                Output::SaslAuthenticated => self.shared.tell_sasl_authenticated(),
                Output::SaslFailed(error) => {
                    self.shared.set_last_error(std::io::Error::other(error));
                }
                Output::State(state) => {
                    tracing::info!(%state, "session state");
                    self.observer.entered(state);
                    let ending = if state.is_terminal() { ending } else { None };
                    self.shared.enter(state, ending);
                }
                Output::Reply(asked, outcome) => {
                    self.observer.answered(now, asked.note.as_deref(), &outcome);
                    // Who asked may not wait any more.
                    drop(asked.reply.send(outcome));
                }
                Output::Notify(watcher, notice) => {
                    self.observer.notified(&notice);
                    self.watchers.notify(watcher, notice, &self.shared);
                }
            }
        }
        self.out.clear(OUTBOX_KEPT);
        self.observer.publish(figures);
    }
}

/// The session is over, or the runtime shuts down around it: nobody may wait for ever.
impl Drop for SendTask {
    fn drop(&mut self) {
        let ending = self.session.ending().unwrap_or_else(|| {
            self.shared.enter(State::Closed, Some(Ending::LeftToExpire));
            Ending::LeftToExpire
        });
        tracing::debug!(?ending, "session is over");
        for submission in self.shared.submissions.end(ending).items {
            if let Submission::Request { reply, slot, note, .. } = submission {
                let failed = Err(Failure { cause: Cause::Ended(ending), sent: false });
                self.observer.answered(self.clock.now(), note.as_deref(), &failed);
                drop(reply.send(failed));
                if let Some((id, slot)) = slot {
                    self.watchers.insert(id, slot);
                }
            }
        }
        self.watchers.end(ending);
        self.observer.publish(self.session.figures());
    }
}

/// Waits for the probe that is under way, or for ever if there is none.
async fn finished(probe: &mut Option<Probe>) -> (HostPort, Probed) {
    match probe {
        Some(under_way) => {
            let found = under_way.await;
            *probe = None;
            found
        }
        None => std::future::pending().await,
    }
}
