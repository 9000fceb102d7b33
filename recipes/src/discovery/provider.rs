//! One of those who offer a service, again and again.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::StreamExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use znode::Client;

use super::instance::ServiceInstance;
use super::instances::InstanceChanges;
use super::rest::Rest;
use super::strategy::{Memory, Strategy};
use crate::clock::now;
use crate::recipe_error::RecipeError;

/// One of those who offer a service, again and again; see
/// [`Discovery::provider`](crate::Discovery::provider).
///
/// A task follows them, and ends with the last clone of this. One that has failed twice within
/// half a minute is not given for half a minute, unless that is said otherwise; nor is one that
/// is not [enabled](ServiceInstance::enabled).
///
/// ```no_run
/// # async fn ask(instance: &znode_recipes::ServiceInstance) -> std::io::Result<()> { Ok(()) }
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::{Discovery, Provider, Strategy};
///
/// let discovery = Discovery::new(&client, "/services");
/// let provider: Provider = discovery.provider("billing", Strategy::round_robin())?;
/// let provider = provider.with_rest(3, Duration::from_secs(10))?;
/// while let Some(instance) = provider.instance().await? {
///     match ask(&instance).await {
///         Ok(()) => break,
///         Err(_) => provider.note_error(&instance), // another one next time
///     }
/// }
/// println!("{} offer it", provider.instances().await?.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Provider {
    following: Arc<Following>,
}

/// Ends its task when it is dropped.
struct Following {
    client: Client,
    board: Arc<Board>,
    strategy: Strategy,
    task: JoinHandle<()>,
}

struct Board {
    path: Arc<str>,
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    /// `None` before the first list.
    instances: Option<Result<Vec<Arc<ServiceInstance>>, RecipeError>>,
    rest: Rest,
    memory: Memory,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, instances: Result<Vec<Arc<ServiceInstance>>, RecipeError>) {
        self.lock().instances = Some(instances);
        self.changed.notify_waiters();
    }

    /// Waits until it is known who offers it.
    async fn instances(&self) -> Result<Vec<Arc<ServiceInstance>>, RecipeError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(instances) = &self.lock().instances {
                return instances.clone();
            }
            changed.await;
        }
    }
}

impl Provider {
    pub(super) fn new(
        client: &Client,
        path: Arc<str>,
        mut changes: InstanceChanges,
        strategy: Strategy,
    ) -> Self {
        let (seen, changed) = (Mutex::default(), Notify::new());
        let board = Arc::new(Board { path, seen, changed });
        let task = tokio::spawn({
            let board = Arc::clone(&board);
            async move {
                while let Some(instances) = changes.next().await {
                    board.tell(instances);
                }
            }
        });
        let client = client.clone();
        Self { following: Arc::new(Following { client, board, strategy, task }) }
    }

    /// The same, where an instance is not given for `time` after so many errors that are no longer
    /// apart; 2 and 30 seconds otherwise. Errors that were noted before are forgotten.
    ///
    /// # Errors
    /// `InvalidArgument` for no errors: each instance would rest for ever.
    pub fn with_rest(self, errors: u32, time: Duration) -> Result<Self, RecipeError> {
        let board = &self.following.board;
        if errors == 0 {
            let what = "an instance that rests after no error always does";
            return Err(RecipeError::invalid_argument(&board.path, what));
        }
        board.lock().rest = Rest::new(errors, time);
        Ok(self)
    }

    /// The next instance to ask; `None` if there is none that does not rest. It waits for the first
    /// list only.
    ///
    /// # Errors
    /// Why the service is followed no more: `Client` with the client's own error, as `NoAuth` or
    /// the end of the session.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn instance(&self) -> Result<Option<Arc<ServiceInstance>>, RecipeError> {
        let Following { client, board, strategy, .. } = &*self.following;
        let instances = board.instances().await?;
        let weighed: Vec<_> = instances.iter().map(|it| (it, strategy.weight(it))).collect();
        let (drawn, now) = (client.random(), now());
        let Seen { rest, memory, .. } = &mut *board.lock();
        let may_be_asked =
            |(it, _): &(&Arc<ServiceInstance>, u32)| it.enabled && !rest.is_resting(&it.id, now);
        let awake: Vec<_> = weighed.into_iter().filter(may_be_asked).collect();
        Ok(strategy.choose(memory, &awake, drawn).cloned())
    }

    /// Who offers the service, also those who rest. It waits for the first list only.
    ///
    /// # Errors
    /// As [`instance`](Self::instance).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn instances(&self) -> Result<Vec<Arc<ServiceInstance>>, RecipeError> {
        self.following.board.instances().await
    }

    /// Notes that an instance has failed: after some errors it rests.
    pub fn note_error(&self, instance: &ServiceInstance) {
        self.following.board.lock().rest.note(&instance.id, now());
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Following { board, strategy, .. } = &*self.following;
        f.debug_struct("Provider")
            .field("path", &board.path)
            .field("strategy", strategy)
            .finish_non_exhaustive()
    }
}
