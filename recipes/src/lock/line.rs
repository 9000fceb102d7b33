//! Standing in line: from a new contender to one whose turn it is.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use znode::{Client, ErrorKind, EventType, OneshotWatcher, Path, Version};

use super::place::Place;
use crate::contender::Contender;
use crate::error::LockError;
use crate::guard::{Guard, Terms};
use crate::holding::renew;
use crate::options::LockOptions;
use crate::order::{self, Noted};
use crate::sequence::{Contending, Mode, Naming, Standing};
use crate::tombstone::{self, UncleanDeath};
use crate::watchman::REVOKE;

/// How often somebody else may delete our place in line before that is taken for their will. A
/// parent that is swept while we wait costs one; whoever deletes every new node wants us to stop.
const PLACES_MAX: usize = 3;

/// The line before one lock.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// For all that the lock needs itself.
    pub(crate) client: Client,
    /// The one that the caller gave.
    pub(crate) writer: Client,
    /// The node whose children contend, as the caller named it.
    pub(crate) path: Arc<str>,
    pub(crate) naming: Naming,
    pub(crate) mode: Mode,
    pub(crate) options: LockOptions,
    /// How long the successor of a holder that died is to wait, if it is to learn of it at all.
    pub(crate) lock_delay: Option<Duration>,
    /// Whether the node, and those above it, are made where they are missing.
    pub(crate) makes_parents: bool,
}

/// How long to stand in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it is our turn.
    Endless,
    /// So, and look every so often who is ahead.
    Curious(Duration),
    /// Not at all.
    None,
}

/// How it ended.
enum Turn {
    Ours(Option<UncleanDeath>),
    NotYet,
    /// Somebody deleted our node.
    Gone,
}

/// What has become of the one ahead.
enum Ahead {
    Gone,
    /// Something has happened, or it is time to look again.
    Changed,
}

impl Line {
    pub(crate) fn new(client: &Client, path: String, naming: Naming, mode: Mode) -> Self {
        // A place in line is not given up because an answer came late: that would leave it behind.
        // And what others have written into their nodes is read as it is.
        let (writer, client) = (client.clone(), client.without_deadline().without_compression());
        let (path, options) = (path.into(), LockOptions::new());
        Self { client, writer, path, naming, mode, options, lock_delay: None, makes_parents: true }
    }

    /// The same line, in which we call ourselves so.
    pub(crate) fn with_id(mut self, id: &str) -> Self {
        self.options.data = id.as_bytes().into();
        self
    }

    /// The same line, with guards that promise other things; what we call ourselves stays.
    pub(crate) fn with_terms(mut self, options: LockOptions) -> Self {
        let data = std::mem::take(&mut self.options.data);
        self.options = options.data(data);
        self
    }

    /// Waits for our turn, however long that takes.
    ///
    /// # Errors
    /// As of [`stand`](Self::stand).
    ///
    /// # Cancel safety
    /// As of [`stand`](Self::stand).
    pub(crate) async fn turn(&self) -> Result<Guard, LockError> {
        let guard = self.stand(Patience::Endless, drop).await?;
        Ok(guard.expect("endless patience ends with a turn or an error"))
    }

    /// Takes a place in line, and waits with patience. `None` says that it is not our turn, and
    /// that the place was given up.
    ///
    /// # Errors
    /// Whatever prevents it; the place is given up.
    ///
    /// # Cancel safety
    /// If the future is dropped, the place is given up in the background.
    pub(crate) async fn stand(
        &self,
        patience: Patience,
        mut tell: impl FnMut(Place) + Send,
    ) -> Result<Option<Guard>, LockError> {
        let parent = Path::parse(&self.path).map_err(LockError::invalid_path)?;
        if patience != Patience::None {
            order::asked(&self.client, &self.path);
        }
        for _ in 0..PLACES_MAX {
            let (client, options) = (&self.client, &self.options);
            let mut contender = Contender::new(client, &parent, self.naming, self.mode, options);
            if !self.makes_parents {
                contender = contender.without_parents();
            }
            match self.take_turn(&mut contender, patience, &mut tell).await? {
                Turn::Ours(died) => return Ok(Some(self.guard(contender, died))),
                Turn::NotYet => {
                    contender.remove().await.map_err(|error| self.client_error(error))?;
                    return Ok(None);
                }
                Turn::Gone => tracing::debug!(path = contender.path(), "our place was deleted"),
            }
        }
        Err(LockError::place_deleted(&self.path))
    }

    /// Waits for our turn, and does what is to be done before anybody may act on it.
    async fn take_turn(
        &self,
        contender: &mut Contender,
        patience: Patience,
        tell: &mut (impl FnMut(Place) + Send),
    ) -> Result<Turn, LockError> {
        let turn = self.reach_turn(contender, patience, tell).await?;
        let (Turn::Ours(_), Some(delay)) = (&turn, self.lock_delay) else {
            return match turn {
                Turn::Ours(_) if self.options.strict => self.prove(contender).await,
                turn => Ok(turn),
            };
        };
        // The tombstone is written in a transaction that checks the node, which proves as much.
        Ok(tombstone::write(contender, delay).await?.map_or(Turn::Gone, Turn::Ours))
    }

    /// Who waited long was assured of its session long ago.
    async fn prove(&self, contender: &Contender) -> Result<Turn, LockError> {
        match renew(&self.client, contender.path()).await {
            Ok(()) => Ok(Turn::Ours(None)),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(Turn::Gone),
            Err(error) => Err(self.client_error(error)),
        }
    }

    /// Waits for whoever is directly ahead, again and again until nobody is.
    ///
    /// Each waiter watches one node, so that a leaving one wakes one. The watch is left by
    /// `get_data` and not by `exists`, which would leave one behind where the node has gone
    /// already. What the watch tells is a hint, and what counts is a list with our own node in it;
    /// but if all that was ahead of us in the last one is gone, it is our turn: numbers only grow.
    async fn reach_turn(
        &self,
        contender: &mut Contender,
        patience: Patience,
        tell: &mut (impl FnMut(Place) + Send),
    ) -> Result<Turn, LockError> {
        let entered = contender.enter(&self.options.data).await;
        let mut children = entered.map_err(|error| self.client_error(error))?;
        // The node that is watched, and what tells of it.
        let mut watch = None;
        loop {
            let standing = self.naming.standing(&children, contender.name());
            let behind = match standing {
                Ok(Standing::Held) => return Ok(Turn::Ours(None)),
                Ok(Standing::Gone) => return Ok(Turn::Gone),
                Ok(Standing::Behind(_)) if patience == Patience::None => return Ok(Turn::NotYet),
                Ok(Standing::Behind(behind)) => behind,
                Err(refusal) => return Err(LockError::refused(&self.path, refusal)),
            };
            let ahead = contender.sibling(behind.of);
            tracing::debug!(path = contender.path(), ahead, "waiting");
            tell(Place { position: behind.position, ahead: ahead.clone() });
            let gone = self.wait_for(ahead, &mut watch, patience).await;
            match gone.map_err(|error| self.client_error(error))? {
                Ahead::Gone if behind.is_next => return Ok(Turn::Ours(None)),
                Ahead::Gone | Ahead::Changed => {}
            }
            let siblings = contender.siblings().await;
            children = siblings.map_err(|error| self.client_error(error))?;
        }
    }

    /// Waits until something happens to a node, or until it is time to look again; at once if it is
    /// gone. A watch that nothing was told by stays for the next time.
    async fn wait_for(
        &self,
        path: String,
        watch: &mut Option<(String, OneshotWatcher)>,
        patience: Patience,
    ) -> Result<Ahead, znode::Error> {
        let watcher = match watch {
            Some((watched, watcher)) if *watched == path => watcher,
            _ => {
                let read = || self.client.get_data_watched(&path);
                let watcher = match self.client.until_answered(read).await {
                    Ok((_, _, watcher)) => watcher,
                    Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Ahead::Gone),
                    Err(error) => return Err(error),
                };
                &mut watch.insert((path, watcher)).1
            }
        };
        let time = async {
            match patience {
                Patience::Curious(interval) => sleep(interval).await,
                Patience::Endless | Patience::None => pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            event = watcher => event?,
            () = time => return Ok(Ahead::Changed),
        };
        *watch = None;
        let is_gone = event.kind == EventType::NodeDeleted;
        Ok(if is_gone { Ahead::Gone } else { Ahead::Changed })
    }

    fn guard(&self, mut contender: Contender, died: Option<UncleanDeath>) -> Guard {
        if let Some(tombstone) = contender.tombstone() {
            tombstone.told();
        }
        let lock = Arc::clone(&self.path);
        let noted = Noted::held(&self.client, &self.path);
        let (writer, mode, options) = (&self.writer, self.mode, &self.options);
        Guard::new(contender, Terms { lock, writer, mode, options, died, noted })
    }

    /// The contenders in line, in order.
    ///
    /// # Errors
    /// As [`stand`](Self::stand), but that nobody is in line where there is no node.
    pub(crate) async fn contenders<T>(
        &self,
        each: impl Fn(Contending<'_>, String) -> T,
    ) -> Result<Vec<T>, LockError> {
        let parent = Path::parse(&self.path).map_err(LockError::invalid_path)?;
        let listed = self.client.until_answered(|| self.client.get_children(parent.as_str()));
        let children = match listed.await {
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            listed => listed.map_err(|error| self.client_error(error))?,
        };
        let contenders = self.naming.contenders(&children);
        let mut contenders =
            contenders.map_err(|refusal| LockError::refused(&self.path, refusal))?;
        contenders.sort_unstable();
        let path = |name| znode::path::join(parent.as_str(), name);
        Ok(contenders.into_iter().map(|one| each(one, path(one.name))).collect())
    }

    /// Asks whoever has this node to let go; `false` if it has just done so.
    pub(crate) async fn revoke(&self, holder: &str) -> Result<bool, LockError> {
        let client = &self.client;
        match client.until_answered(|| client.set_data(holder, REVOKE, Version::ANY)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(false),
            Err(error) => Err(self.client_error(error)),
        }
    }

    pub(crate) fn client_error(&self, error: znode::Error) -> LockError {
        LockError::client(&self.path, error)
    }
}
