//! How a lock is asked for, and what its guard is to promise.

use std::sync::Arc;
use std::time::Duration;

use crate::layout::Layout;

/// How much faster the leader's clock may run than ours, unless told otherwise: one part in a
/// hundred. Clocks are a hundred times better by themselves, but not while they are set right.
const DRIFT_PPM: u32 = 10_000;

/// How a lock is asked for, and what its guard is to promise; for every lock of these recipes.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use std::time::Duration;
/// use znode_recipes::{LockOptions, Mutex};
///
/// let options = LockOptions::new().strict().grace(Duration::from_secs(45));
/// let guard = Mutex::new(&client, "/locks/invoice-run").with_options(options).lock().await?;
/// # guard.release().await
/// # }
/// ```
///
/// ```
/// use znode_recipes::{Layout, LockOptions};
///
/// let options = LockOptions::new()
///     .clock_drift(1_000) // clocks that are never set by more than a thousandth
///     .layout(Layout::Kazoo)
///     .data("host-1");
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "options do nothing until a lock is given them"]
pub struct LockOptions {
    pub(crate) strict: bool,
    pub(crate) grace: Option<Duration>,
    pub(crate) drift_ppm: u32,
    pub(crate) layout: Layout,
    pub(crate) data: Arc<[u8]>,
}

impl LockOptions {
    /// Not strict, no grace, clocks that differ by at most one part in a hundred, Curator's names,
    /// empty nodes.
    pub fn new() -> Self {
        let (drift_ppm, layout, data) = (DRIFT_PPM, Layout::Curator, Arc::default());
        Self { strict: false, grace: None, drift_ppm, layout, data }
    }

    /// Has the guard hold no longer than it can prove: when its
    /// [`deadline`](crate::Guard::deadline) passes, it is lost as
    /// [`Overdue`](crate::LostReason::Overdue), even if the session lives.
    ///
    /// To keep it from passing, the guard proves itself anew every third of the session timeout, in
    /// the background, by an empty transaction that checks the lock's node. So of two strict guards
    /// of one lock no two are held at the same time, whatever the network does, as long as clocks
    /// differ by no more than [`clock_drift`](Self::clock_drift) and the ensemble's tick is
    /// [known](znode::ConnectOptions::tick_time).
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Parks guarded writes for so long while the connection is down, instead of failing those
    /// that it interrupts before they were sent; see
    /// [`GuardedClient::with_grace`](crate::GuardedClient::with_grace).
    pub fn grace(mut self, limit: Duration) -> Self {
        self.grace = Some(limit);
        self
    }

    /// By how many parts in a million the leader's clock may run faster than ours; 10,000 unless
    /// told otherwise. Deadlines are earlier by that part of the session timeout.
    ///
    /// # Panics
    /// If it is more than a million.
    pub fn clock_drift(mut self, parts_per_million: u32) -> Self {
        assert!(parts_per_million <= 1_000_000, "no clock runs backwards");
        self.drift_ppm = parts_per_million;
        self
    }

    /// Whose names the nodes are given, so that others wait for them. Those of a
    /// [`Semaphore`](crate::Semaphore) always have Curator's, as nobody else has one like it.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// What is written into a contender's node when it is made, for whoever looks: Curator writes
    /// its address there, kazoo an identifier. Nobody depends on it.
    pub fn data(mut self, data: impl AsRef<[u8]>) -> Self {
        self.data = data.as_ref().into();
        self
    }
}

impl Default for LockOptions {
    fn default() -> Self {
        Self::new()
    }
}
