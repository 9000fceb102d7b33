//! What every handle of a session can see, and who listens to its changes.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::clock::Clock;
use super::stats::Published;
use super::submissions::Submissions;
use super::transport::{Connecting, Connector};
use crate::chroot::Chroot;
use crate::connect_string::{HostPort, Scheme};
use crate::hosts::Seeded;
use crate::moment::Moment;
use crate::proto::{EventType, SessionId, Zxid};
use crate::secret::Secret;
use crate::session::{Ending, Established, WatcherId};
use crate::state::{State, StateChange};
use crate::tls_error::TlsError;
use crate::watcher::{ClientEvent, WatchedEvent};

/// The common ground of a session's handles and its send task.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) submissions: Submissions,
    connector: Arc<dyn Connector>,
    scheme: Scheme,
    facts: Mutex<Facts>,
    /// What the session's moments are counted from.
    pub(super) clock: Clock,
    /// Until when the session is assured, in nanoseconds of that clock.
    assured_until: AtomicU64,
    /// Until when its connection may be believed in, in nanoseconds of that clock.
    live_until: AtomicU64,
    last_zxid: AtomicI64,
    next_watcher: AtomicU64,
    seeded: Mutex<Seeded>,
    /// What the send task has counted. It lies by itself: it is written all the time, and what
    /// handles read for each request must not share its cache lines.
    pub(crate) stats: Box<Published>,
    /// From which latency on a request is told of as slow.
    pub(crate) slow_request: Option<Duration>,
}

#[derive(Debug)]
struct Facts {
    established: Established,
    change: StateChange,
    ending: Option<Ending>,
    /// The newest reason why a connection could not be made, or broke.
    last_error: Option<Arc<io::Error>>,
    // The queues to listeners have no bound: transitions come no faster than connections are
    // made and lost, and each one-shot watch of the default watcher gives one event.
    states: Vec<mpsc::UnboundedSender<StateChange>>,
    events: Vec<(Chroot, mpsc::UnboundedSender<ClientEvent>)>,
}

impl Shared {
    pub(crate) fn new(
        connector: Arc<dyn Connector>,
        scheme: Scheme,
        session_id: SessionId,
        timeout: Duration,
        seed: u64,
    ) -> Self {
        Self {
            submissions: Submissions::default(),
            connector,
            scheme,
            facts: Mutex::new(Facts {
                established: Established { session_id, password: Secret::default(), timeout },
                change: StateChange { state: State::Connecting, generation: 0 },
                ending: None,
                last_error: None,
                states: vec![],
                events: vec![],
            }),
            clock: Clock::start(),
            assured_until: AtomicU64::new(0),
            live_until: AtomicU64::new(0),
            last_zxid: AtomicI64::new(0),
            next_watcher: AtomicU64::new(WatcherId::DEFAULT.0 + 1),
            seeded: Mutex::new(Seeded::new(seed)),
            stats: Box::default(),
            slow_request: None,
        }
    }

    /// Makes a connection. A host that the connector cannot speak to as it should is refused here,
    /// before a byte is sent to it.
    pub(crate) fn connect(&self, host: &HostPort) -> Connecting {
        if self.connector.supports(host.scheme()) {
            return self.connector.connect(host);
        }
        let refused = TlsError::not_configured(host).into();
        Box::pin(std::future::ready(Err(refused)))
    }

    /// How servers are spoken to of which only an address is known.
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn established(&self) -> Established {
        self.facts().established.clone()
    }

    pub(crate) fn change(&self) -> StateChange {
        self.facts().change
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.facts().ending
    }

    pub(crate) fn last_error(&self) -> Option<Arc<io::Error>> {
        self.facts().last_error.clone()
    }

    pub(crate) fn last_zxid(&self) -> Zxid {
        Zxid(self.last_zxid.load(Ordering::Acquire))
    }

    /// Until when the session is assured.
    pub(crate) fn assured_until(&self) -> Instant {
        self.clock.instant(Moment::from_nanos(self.assured_until.load(Ordering::Acquire)))
    }

    /// Until when its connection may be believed in, if it stands.
    pub(crate) fn live_until(&self) -> Instant {
        self.clock.instant(Moment::from_nanos(self.live_until.load(Ordering::Acquire)))
    }

    pub(crate) fn next_watcher(&self) -> WatcherId {
        WatcherId(self.next_watcher.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn random(&self) -> u64 {
        self.seeded.lock().expect("nothing panics while it holds this lock").next()
    }

    /// The state as it is, and every change from there on.
    pub(crate) fn states(&self) -> (StateChange, mpsc::UnboundedReceiver<StateChange>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut facts = self.facts();
        if facts.ending.is_none() {
            facts.states.retain(|listener| !listener.is_closed());
            facts.states.push(sender);
        }
        (facts.change, receiver)
    }

    /// Waits until the session is over.
    pub(crate) async fn ended(&self) {
        let (now, mut changes) = self.states();
        if !now.state.is_terminal() {
            while changes.recv().await.is_some() {}
        }
    }

    /// What the default watcher hears from now on, as seen from below `chroot`.
    pub(crate) fn events(&self, chroot: Chroot) -> mpsc::UnboundedReceiver<ClientEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut facts = self.facts();
        if facts.ending.is_none() {
            facts.events.retain(|(_, listener)| !listener.is_closed());
            facts.events.push((chroot, sender));
        }
        receiver
    }

    pub(super) fn set_established(&self, established: Established) {
        self.facts().established = established;
    }

    pub(super) fn set_last_error(&self, error: io::Error) {
        self.facts().last_error = Some(Arc::new(error));
    }

    pub(super) fn set_assured_until(&self, moment: Moment) {
        self.assured_until.store(moment.as_nanos(), Ordering::Release);
    }

    pub(super) fn set_live_until(&self, moment: Moment) {
        self.live_until.store(moment.as_nanos(), Ordering::Release);
    }

    pub(super) fn set_last_zxid(&self, zxid: Zxid) {
        self.last_zxid.store(zxid.0, Ordering::Release);
    }

    /// Enters a state. A listener that is gone is forgotten at the next subscription.
    pub(super) fn enter(&self, state: State, ending: Option<Ending>) {
        let mut facts = self.facts();
        facts.change = StateChange { state, generation: facts.change.generation + 1 };
        facts.ending = ending;
        let change = facts.change;
        for listener in &facts.states {
            let _ = listener.send(change);
        }
        for (_, listener) in &facts.events {
            let _ = listener.send(ClientEvent::State(change));
        }
        if ending.is_some() {
            facts.states.clear();
            facts.events.clear();
        }
    }

    /// Tells the default watchers that a server knows whose the session is.
    pub(super) fn tell_sasl_authenticated(&self) {
        for (_, listener) in &self.facts().events {
            let _ = listener.send(ClientEvent::SaslAuthenticated);
        }
    }

    /// Tells the default watcher. A view of the client hears of what is below its chroot.
    pub(super) fn tell_default(&self, kind: EventType, path: &str, zxid: Option<Zxid>) {
        for (chroot, listener) in &self.facts().events {
            if let Some(path) = chroot.strip(path) {
                let event = WatchedEvent { kind, path: path.to_owned(), zxid };
                let _ = listener.send(ClientEvent::Node(event));
            }
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().expect("nothing panics while it holds this lock")
    }
}
