//! What a test of a simulated run has in its hands.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use znode::{Client, ConnectOptions};

use super::faults::{Fault, Plan};
use super::journal::Journal;
use super::line::{Direction, Line, LineConnector};
use crate::cluster::TestingCluster;
use crate::random::Random;

/// A simulated run, as the test sees it: servers, clients, time and chance.
///
/// Clones are the same world.
#[derive(Debug, Clone)]
pub struct World {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cluster: TestingCluster,
    journal: Arc<Journal>,
    seed: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// The links of all clients. Nothing here holds a client: its session ends with the last handle
    /// of the test.
    lines: Vec<Arc<Line>>,
    /// Sessions that are to be ended, once there is a leader.
    expiring: Vec<JoinHandle<bool>>,
    /// What has gone wrong so far.
    happened: Vec<(Duration, Fault)>,
    is_over: bool,
    /// What a task that was spawned here said before it fell.
    fallen: Option<String>,
}

impl World {
    pub(super) fn new(cluster: TestingCluster, seed: u64) -> Self {
        let state = State {
            random: Random::new(seed, 1),
            lines: Vec::new(),
            expiring: Vec::new(),
            happened: Vec::new(),
            is_over: false,
            fallen: None,
        };
        let (journal, state) = (Arc::new(Journal::new()), Mutex::new(state));
        Self { inner: Arc::new(Inner { cluster, journal, seed, state, changed: Notify::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.inner.changed.notify_waiters();
    }

    /// Waits until there is something to be had from the state.
    async fn until<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// The servers, for a test that wants to see into them, or to break them itself.
    pub fn cluster(&self) -> &TestingCluster {
        &self.inner.cluster
    }

    /// Connects a client over a link of its own.
    ///
    /// # Errors
    /// What [`ConnectOptions::connect`] fails with.
    ///
    /// # Cancel safety
    /// As of [`ConnectOptions::connect`]; the number of the client is used up.
    pub async fn connect(&self) -> Result<Client, znode::Error> {
        self.connect_with(ConnectOptions::new()).await
    }

    /// Connects a client over a link of its own. Its connector and its seed are the world's,
    /// whatever the options say.
    ///
    /// # Errors
    /// What [`ConnectOptions::connect`] fails with.
    ///
    /// # Cancel safety
    /// As of [`connect`](Self::connect).
    pub async fn connect_with(&self, options: ConnectOptions) -> Result<Client, znode::Error> {
        let number = self.lock().lines.len();
        let stream = |kind: u64| Random::new(self.inner.seed, 2 + 2 * number as u64 + kind);
        let (servers, journal) = (self.inner.cluster.connector(), Arc::clone(&self.inner.journal));
        let line = Arc::new(Line::new(number, servers, journal, stream(0)));
        self.change(|state| state.lines.push(Arc::clone(&line)));
        let options = options.connector(LineConnector(line)).seed(stream(1).next());
        options.connect(&self.inner.cluster.connect_string()).await
    }

    /// Has a task run beside the test. If it panics the whole run has failed.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let world = self.clone();
        tokio::spawn(async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(output) => output,
                Err(payload) => {
                    let said = super::said(&*payload);
                    world.change(|state| state.fallen = state.fallen.take().or(Some(said)));
                    std::panic::resume_unwind(payload)
                }
            }
        })
    }

    /// How much time has passed in this world.
    pub fn elapsed(&self) -> Duration {
        self.inner.journal.elapsed()
    }

    /// Draws a number below `end`, which follows from the seed and from what was drawn before; zero
    /// if there is none below.
    pub fn random_below(&self, end: usize) -> usize {
        self.lock().random.below(end)
    }

    /// Draws a time up to `most`, as [`random_below`](Self::random_below) draws a number, and lets
    /// it pass.
    ///
    /// # Cancel safety
    /// The number is drawn.
    pub async fn random_pause(&self, most: Duration) {
        let ms = usize::try_from(most.as_millis()).unwrap_or(usize::MAX - 1);
        let ms = self.random_below(ms + 1);
        sleep(Duration::from_millis(ms as u64)).await;
    }

    /// Waits until all that was to go wrong has gone wrong. With random faults everything is put
    /// right by then, so that a test can look at what has become of it.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn after_faults(&self) {
        self.until(|state| state.is_over.then_some(())).await;
    }

    /// How many frames a client has sent, its handshakes among them; zero if there is no such
    /// client. With [`Fault::CutAtRequest`] a run can be cut at every one of them.
    pub fn requests(&self, client: usize) -> u64 {
        self.frames(client, Direction::ToServer)
    }

    /// How many frames a client was sent, as [`requests`](Self::requests).
    pub fn replies(&self, client: usize) -> u64 {
        self.frames(client, Direction::ToClient)
    }

    fn frames(&self, client: usize, direction: Direction) -> u64 {
        self.lock().lines.get(client).map_or(0, |line| line.frames(direction))
    }

    /// Carries out a fault, now.
    ///
    /// # Cancel safety
    /// It may be carried out or not.
    pub async fn apply(&self, fault: Fault) {
        let cluster = self.cluster();
        let is_there = |id: &u64| cluster.ids().contains(id);
        match fault {
            Fault::Kill(id) if is_there(&id) => cluster.kill(id).await,
            Fault::Restart(id) if is_there(&id) => self.restart(id).await,
            Fault::Pause(id) if is_there(&id) => cluster.pause(id),
            Fault::Resume(id) if is_there(&id) => cluster.resume(id),
            Fault::Cut(from, to) => cluster.partition_one_way(&from, &to),
            Fault::SlowServers(one, other, by) => cluster.slow_link(one, other, by),
            Fault::HealServers => cluster.heal(),
            Fault::SetClock(id, by_ms) if is_there(&id) => cluster.clock_skew(id, by_ms),
            Fault::Expire(client) => self.expire(client),
            Fault::CutLink(client) => self.with_line(client, Line::cut),
            Fault::CutAtRequest(client, number) => {
                self.with_line(client, |line| line.cut_at(Direction::ToServer, number));
            }
            Fault::CutAtReply(client, number) => {
                self.with_line(client, |line| line.cut_at(Direction::ToClient, number));
            }
            Fault::RefuseLink(client) => self.with_line(client, |line| {
                line.refuse(true);
                line.cut();
            }),
            Fault::StallLink(client) => self.with_line(client, |line| {
                line.stall(Direction::ToServer, true);
                line.stall(Direction::ToClient, true);
            }),
            Fault::DeafenLink(client) => {
                self.with_line(client, |line| line.stall(Direction::ToClient, true));
            }
            Fault::SlowLink(client, by) => self.with_line(client, |line| line.latency(by, by)),
            Fault::MendLink(client) => self.with_line(client, Line::mend),
            Fault::MendAll => self.mend_all().await,
            _ => {}
        }
    }

    fn with_line(&self, client: usize, change: impl FnOnce(&Line)) {
        let line = self.lock().lines.get(client).map(Arc::clone);
        if let Some(line) = line {
            change(&line);
        }
    }

    async fn restart(&self, id: u64) {
        let cluster = self.cluster();
        if !cluster.server(id).is_running()
            && let Err(error) = cluster.restart(id).await
        {
            let said = format!("server {id} does not start again: {error}");
            self.change(|state| state.fallen = state.fallen.take().or(Some(said)));
        }
    }

    /// There may be no leader for a while, for which nobody else is to wait.
    fn expire(&self, client: usize) {
        let session = self.lock().lines.get(client).and_then(|line| line.session());
        if let Some(session) = session {
            let world = self.clone();
            let expiring = tokio::spawn(async move { world.cluster().expire(session).await });
            self.change(|state| state.expiring.push(expiring));
        }
    }

    async fn mend_all(&self) {
        // What no leader has heard of by now is not to go wrong afterwards.
        std::mem::take(&mut self.lock().expiring).iter().for_each(JoinHandle::abort);
        let lines = self.lock().lines.clone();
        lines.iter().for_each(|line| line.mend());
        let cluster = self.cluster();
        cluster.heal();
        for id in cluster.ids() {
            cluster.resume(id);
            self.restart(id).await;
        }
    }

    /// Has everything go wrong that is to, each at its time.
    pub(super) async fn carry_out(&self, plan: Plan) {
        for (at, fault) in plan.faults {
            sleep(at.saturating_sub(self.elapsed())).await;
            self.change(|state| state.happened.push((at, fault.clone())));
            self.apply(fault).await;
        }
        sleep(plan.until.saturating_sub(self.elapsed())).await;
        self.change(|state| state.is_over = true);
    }

    /// Waits until a task has fallen, for what it said.
    pub(super) async fn fallen(&self) -> String {
        self.until(|state| state.fallen.clone()).await
    }

    /// What was planned and has gone wrong so far.
    pub(super) fn happened(&self) -> Vec<(Duration, Fault)> {
        self.lock().happened.clone()
    }

    /// What [`Finished::trace`](super::Finished::trace) is so far.
    pub(super) fn trace(&self) -> u64 {
        self.inner.journal.trace()
    }
}
