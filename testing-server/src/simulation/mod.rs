//! A whole system under test in one thread and in no time: servers, real clients, the user's own
//! tasks, and whatever goes wrong between them, all of it out of one seed.

mod faults;
mod journal;
mod line;
mod shrink;
mod world;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use faults::Plan;
pub use faults::{Fault, Faults};
pub use world::World;

use crate::cluster::{ClusterSpec, TestingCluster};

/// The moment at which every simulated world begins, counted from 1970.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);

/// A system of servers and clients that is run in virtual time: it costs what the work costs, and
/// waiting costs nothing, so that an hour with its session expiries takes a fraction of a second.
///
/// The servers are a [`TestingCluster`]. Clients are real ones, and so is all code that uses them:
/// recipes, and the user's own. Every client has a link of its own, on which whatever is sent takes
/// its time; links, servers and the network between them break as [`Faults`] say.
///
/// ```
/// use std::time::Duration;
/// use znode::{CreateMode, State};
/// use znode_testing::{Faults, Simulation};
///
/// Simulation::seeds(1..=20, |simulation| {
///     let faults = Faults::random().until(Duration::from_secs(10));
///     simulation.faults(faults).run(|world| async move {
///         let client = world.connect().await.unwrap();
///         let created = client.create("/alive", "", CreateMode::Ephemeral).await;
///         world.after_faults().await;
///         world.cluster().await_converged().await;
///         // What was acknowledged is there for as long as the session is, whatever has happened.
///         let there = client.exists("/alive").await;
///         if let (Ok(_), Ok(there)) = (created, there) {
///             assert!(there.is_some() || client.state() == State::Expired);
///         }
///     });
/// });
/// ```
///
/// # What is the same in every run of a seed
///
/// Everything, for code that keeps to this:
/// - it runs on the runtime of the simulation, in tasks ([`World::spawn`], or tokio's own), and
///   waits for nothing outside of it: no socket, no file, no other thread;
/// - it takes its time from [`tokio::time`], and its chance from [`World::random_below`];
/// - it decides nothing by the order of a `HashMap`;
/// - its `tokio::select!` are `biased`, and it does without `tokio::sync::watch`, whose order of
///   waking is drawn.
///
/// The clients and the servers keep to it. A run of other code is still worth something: it only
/// cannot be run again.
#[derive(Debug, Clone)]
#[must_use = "a simulation does nothing until it is run"]
pub struct Simulation {
    seed: u64,
    spec: ClusterSpec,
    faults: Faults,
    limit: Duration,
}

/// A run that has come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished<T> {
    /// What the test has returned.
    pub value: T,
    /// How much virtual time has passed.
    pub elapsed: Duration,
    /// A number made of everything that clients have sent and were sent, and when: two runs with
    /// the same number were the same.
    pub trace: u64,
}

/// A run that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The seed of the run.
    pub seed: u64,
    /// What the test, or a task of it, said before it fell.
    pub said: String,
    /// How much virtual time had passed.
    pub elapsed: Duration,
    /// What had gone wrong by then, each with its time.
    pub faults: Vec<(Duration, Fault)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} fails after {:?}: {}", self.seed, self.elapsed, self.said)?;
        for (at, fault) in &self.faults {
            writeln!(f, "  {at:?} {fault}")?;
        }
        write!(f, "again with {}={}, or Simulation::new({})", REPLAY, self.seed, self.seed)
    }
}

impl std::error::Error for Failure {}

/// The variable by which one seed is run again, whichever are asked for.
const REPLAY: &str = "ZNODE_SIMULATION_SEED";

impl Simulation {
    /// Three servers, nothing that goes wrong, and ten minutes of virtual time at most.
    pub fn new(seed: u64) -> Self {
        let (spec, faults) = (ClusterSpec::new(3), Faults::none());
        Self { seed, spec, faults, limit: Duration::from_secs(600) }
    }

    /// Sets what the cluster is like. Its servers keep their data in memory, whatever the
    /// specification says, and their wall clocks all begin at the same moment.
    pub fn cluster(mut self, spec: ClusterSpec) -> Self {
        self.spec = spec;
        self
    }

    /// Sets what goes wrong.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Sets how much virtual time there is: a test that has not ended by then has failed, since
    /// something in it waits in vain.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Has `run` deal with a simulation for each of these seeds; with the environment variable
    /// `ZNODE_SIMULATION_SEED`, for that one alone.
    ///
    /// # Panics
    /// If `run` does, and if the variable is no number.
    pub fn seeds(seeds: impl IntoIterator<Item = u64>, run: impl Fn(Self)) {
        match std::env::var(REPLAY) {
            Ok(seed) => match seed.parse() {
                Ok(seed) => run(Self::new(seed)),
                Err(_) => panic!("{REPLAY}={seed}: must be a number"),
            },
            Err(_) => seeds.into_iter().for_each(|seed| run(Self::new(seed))),
        }
    }

    /// Runs a test, and returns what it returns.
    ///
    /// If it fails it is run again with fewer and fewer faults, and what is told in the end is a
    /// run that fails in the same words, numbers aside, and has no fault that could be left out. A
    /// fault is left out together with what puts it right.
    ///
    /// # Panics
    /// If the test or a task that it has [spawned](World::spawn) panics, or does not end in the
    /// time that there is. The message names the seed, and what had gone wrong.
    pub fn run<T, F: Future<Output = T>>(&self, test: impl Fn(World) -> F) -> T {
        match self.try_run(&test) {
            Ok(finished) => finished.value,
            Err(failure) => panic!("{}", shrink::shrink(self, failure, &test)),
        }
    }

    /// Runs a test once.
    ///
    /// # Errors
    /// The test or a task that it has [spawned](World::spawn) has panicked, or has not ended in
    /// the time that there is.
    ///
    /// # Panics
    /// If the cluster cannot be started: it has no servers, or too many.
    pub fn try_run<T, F: Future<Output = T>>(
        &self,
        test: impl FnOnce(World) -> F,
    ) -> Result<Finished<T>, Failure> {
        // The clock is a paused one: it moves when everybody waits.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap_or_else(|error| panic!("no runtime for a simulation: {error}"));
        let world = runtime.block_on(self.begin());
        let run = AssertUnwindSafe(|| runtime.block_on(self.judge(&world, test)));
        let outcome = catch_unwind(run).unwrap_or_else(|payload| Err(said(&*payload)));
        let _guard = runtime.enter();
        let elapsed = world.elapsed();
        match outcome {
            Ok(value) => Ok(Finished { value, elapsed, trace: world.trace() }),
            Err(said) => Err(Failure { seed: self.seed, said, elapsed, faults: world.happened() }),
        }
    }

    /// What goes wrong.
    fn plan(&self) -> Plan {
        self.faults.draw(self.seed, self.spec.count())
    }

    async fn begin(&self) -> World {
        let beginning = SystemTime::UNIX_EPOCH + BEGINNING;
        let cluster = TestingCluster::start_with(self.spec.clone().simulated(beginning)).await;
        let cluster = cluster.unwrap_or_else(|error| panic!("the cluster: {error}"));
        World::new(cluster, self.seed)
    }

    /// Runs the test to its end, or to that of the time, or of one of its tasks.
    async fn judge<T, F: Future<Output = T>>(
        &self,
        world: &World,
        test: impl FnOnce(World) -> F,
    ) -> Result<T, String> {
        let (plan, faults) = (self.plan(), world.clone());
        tokio::spawn(async move { faults.carry_out(plan).await });
        tokio::select! {
            biased;
            said = world.fallen() => Err(said),
            outcome = timeout(self.limit, test(world.clone())) => {
                outcome.map_err(|_| format!("it has not ended within {:?}", self.limit))
            }
        }
    }
}

/// What somebody who has panicked has to say.
fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}
