//! Transactions that take effect exactly once, each proven by the version of an ephemeral node.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use znode::{Client, CreateMode, Error, ErrorKind, Op, OpResult, Outcome, Stat, Version};

use crate::final_look::find_own;
use crate::recipe_error::RecipeError;

/// Witnesses of one recipe's transactions, kept from one to the next.
///
/// A transaction ends with a write of its witness: the first one makes it, each further one raises
/// its version. So one round trip and one transaction are all it takes, and after a lost reply the
/// version tells whether it has taken effect. Each transaction under way has a witness of its own.
///
/// Clones share them; the last one that is dropped deletes them.
#[derive(Debug, Clone)]
pub(crate) struct Witnesses {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// The node that they stand below.
    parent: String,
    /// Those that no transaction under way uses.
    idle: Mutex<Vec<Witness>>,
    /// Where deletions are seen to: handles may be dropped outside of any runtime.
    runtime: Handle,
}

/// A node that stands below the parent, with its version; or that is yet to be made.
#[derive(Debug)]
struct Witness {
    path: String,
    version: Option<Version>,
}

/// How often the connection may be lost at one transaction before that is the caller's to hear of:
/// a server may end it because of the transaction itself, whose data is over a limit of its own.
const ATTEMPTS_MAX: usize = 10;

impl Witnesses {
    /// Of transactions of this client, below a node that exists by the time of the first.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new(client: &Client, parent: impl Into<String>) -> Self {
        let (client, parent) = (client.clone(), parent.into());
        let (idle, runtime) = (Mutex::default(), Handle::current());
        Self { shared: Arc::new(Shared { client, parent, idle, runtime }) }
    }

    /// Carries out a transaction, once, also if replies are lost. Returns what its operations were
    /// answered; `None` if it has taken effect and that was lost.
    ///
    /// # Errors
    /// A server's refusal, with the index of the operation that failed; that of the witness is the
    /// one behind the last, and `NoNode` there says that the parent is missing. `ConnectionLoss`
    /// only after 10 attempts. If the session ends before there is a proof, or somebody deletes
    /// that, the outcome is `Unknown`; but a witness that is deleted in the instant of its making
    /// is not missed, and the transaction is carried out again.
    ///
    /// # Cancel safety
    /// A transaction that is in line takes effect or not, whole.
    pub(crate) async fn commit(&self, ops: &[Op]) -> Result<Option<Vec<OpResult>>, RecipeError> {
        loop {
            match self.commit_below(ops).await? {
                Committed::Answered(results) => return Ok(Some(results)),
                Committed::Unheard => return Ok(None),
                // Somebody else has deleted or written it.
                Committed::NoWitness => {}
            }
        }
    }

    /// The same, unless the witness that stood is gone, and with it, perhaps, the parent that it
    /// stood below.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    ///
    /// # Cancel safety
    /// As of [`commit`](Self::commit).
    pub(crate) async fn commit_below(&self, ops: &[Op]) -> Result<Committed, RecipeError> {
        let shared = &*self.shared;
        let failed = |error| RecipeError::client(&shared.parent, error);
        let unknown = |error| failed(error).but_unknown();
        let mut using = Using { shared, witness: shared.take(), may_differ: false };
        let mut attempt = 1;
        loop {
            using.may_differ = true;
            let lost = match using.ask(ops).await {
                Ok(results) => return using.done(results).map(Committed::Answered),
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => error,
                Err(error) if using.is_refused(&error, ops.len()) => {
                    // As it goes, what may stand of it is deleted.
                    return Ok(Committed::NoWitness);
                }
                Err(error) => {
                    using.may_differ = error.outcome() == Outcome::Unknown;
                    return Err(failed(error));
                }
            };
            if lost.outcome() != Outcome::Unknown {
                continue;
            }
            let told = lost.clone();
            if using.is_proven(lost).await.map_err(unknown)? {
                return Ok(Committed::Unheard);
            }
            if attempt == ATTEMPTS_MAX {
                return Err(failed(told));
            }
            attempt += 1;
        }
    }

    /// Has a witness stand before whatever the next transaction is made of is read: as long as it
    /// stands, so does the parent, and is no other of that name. `false` if there is no parent.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session.
    ///
    /// # Cancel safety
    /// A witness that is in line stands until the session ends.
    pub(crate) async fn stand(&self) -> Result<bool, RecipeError> {
        if !self.shared.idle().is_empty() {
            return Ok(true);
        }
        match self.commit_below(&[]).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether one has stood since the last transaction, as far as is known here.
    pub(crate) fn is_standing(&self) -> bool {
        !self.shared.idle().is_empty()
    }
}

fn is_missing(error: &RecipeError) -> bool {
    error.client_error().is_some_and(|error| error.kind() == ErrorKind::NoNode)
}

/// What has become of a transaction.
#[derive(Debug)]
pub(crate) enum Committed {
    Answered(Vec<OpResult>),
    /// It has taken effect, and the answer was lost.
    Unheard,
    /// Nothing was done: the witness that has stood so far does so no more.
    NoWitness,
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Witness>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Witness {
        self.idle().pop().unwrap_or_else(|| self.fresh())
    }

    fn fresh(&self) -> Witness {
        let name = self.client.protected_name("witness");
        Witness { path: znode::path::join(&self.parent, &name), version: None }
    }

    fn delete(&self, path: &str) {
        if !self.client.state().is_terminal() {
            let _entered = self.runtime.enter();
            drop(self.client.delete_guaranteed(path));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for witness in mem::take(&mut *self.idle()) {
            self.delete(&witness.path);
        }
    }
}

/// A witness that a transaction under way uses; idle again when this is dropped.
struct Using<'a> {
    shared: &'a Shared,
    witness: Witness,
    /// Whether the node may be another than is known of it here.
    may_differ: bool,
}

impl Using<'_> {
    async fn ask(&self, ops: &[Op]) -> Result<Vec<OpResult>, Error> {
        let Witness { path, version } = &self.witness;
        let write = match version {
            None => Op::create(path, "", CreateMode::Ephemeral),
            Some(version) => Op::set_data(path, "", *version),
        };
        self.shared.client.multi(ops.iter().cloned().chain([write])).await
    }

    /// Whether it is a witness that has stood before that failed.
    fn is_refused(&self, error: &Error, index: usize) -> bool {
        self.witness.version.is_some() && error.op_index() == Some(index)
    }

    fn done(mut self, mut results: Vec<OpResult>) -> Result<Vec<OpResult>, RecipeError> {
        let stat = match results.pop() {
            Some(OpResult::Created(witness)) => witness.stat,
            Some(OpResult::DataSet(stat)) => stat,
            other => {
                let what = format!("the write of a witness was answered with {other:?}");
                return Err(RecipeError::unexpected(&self.witness.path, what));
            }
        };
        self.stands(&stat);
        Ok(results)
    }

    /// Whether the transaction whose reply was lost has taken effect.
    async fn is_proven(&mut self, lost: Error) -> Result<bool, Error> {
        let (client, path) = (&self.shared.client, &self.witness.path);
        match (find_own(client, path).await?, self.witness.version) {
            (Some(stat), before) if before != Some(stat.version) => {
                self.stands(&stat);
                Ok(true)
            }
            (Some(_), _) | (None, None) => Ok(false),
            // Somebody else has deleted it, and the proof with it.
            (None, Some(_)) => Err(lost),
        }
    }

    fn stands(&mut self, stat: &Stat) {
        self.witness.version = Some(stat.version);
        self.may_differ = false;
    }
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        let Witness { path, version } = &mut self.witness;
        match *version {
            // The last versions are not worth a thought of what comes behind them.
            Some(version) if !self.may_differ && version.0 < i32::MAX - 1 => {
                let witness = Witness { path: mem::take(path), version: Some(version) };
                self.shared.idle().push(witness);
            }
            None if !self.may_differ => {}
            _ => self.shared.delete(path),
        }
    }
}
