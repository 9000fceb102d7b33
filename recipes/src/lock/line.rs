//! Standing in line: from a new contender to one whose turn it is.

use std::sync::Arc;

use znode::{Client, ErrorKind, Path};

use crate::contender::Contender;
use crate::error::LockError;
use crate::sequence::{Naming, Standing};

/// How often somebody else may delete our place in line before that is taken for their will. A
/// parent that is swept while we wait costs one; whoever deletes every new node wants us to stop.
const PLACES_MAX: usize = 3;

/// The line before one lock.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) client: Client,
    /// The node whose children contend, as the caller named it.
    pub(super) path: Arc<str>,
    pub(super) naming: Naming,
    /// How many may hold at once.
    pub(super) leases: usize,
}

/// How long to stand in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until it is our turn.
    Endless,
    /// Not at all.
    None,
}

/// How it ended.
enum Turn {
    Ours,
    NotYet,
    /// Somebody deleted our node.
    Gone,
}

impl Line {
    /// Takes a place in line, and waits with patience. `None` says that it is not our turn, and
    /// that the place was given up.
    ///
    /// # Errors
    /// Whatever prevents it; the place is given up.
    ///
    /// # Cancel safety
    /// If the future is dropped, the place is given up in the background.
    pub(super) async fn stand(&self, patience: Patience) -> Result<Option<Contender>, LockError> {
        let parent = Path::parse(&self.path).map_err(LockError::invalid_path)?;
        for _ in 0..PLACES_MAX {
            let mut contender = Contender::new(&self.client, &parent, self.naming);
            match self.take_turn(&mut contender, patience).await? {
                Turn::Ours => return Ok(Some(contender)),
                Turn::NotYet => {
                    contender.remove().await.map_err(|error| self.client_error(error))?;
                    return Ok(None);
                }
                Turn::Gone => tracing::debug!(path = contender.path(), "our place was deleted"),
            }
        }
        Err(LockError::place_deleted(&self.path))
    }

    /// Waits for whoever is directly ahead, again and again until nobody is.
    ///
    /// Each waiter watches one node, so that a leaving one wakes one. The watch is left by
    /// `get_data` and not by `exists`, which would leave one behind where the node has gone
    /// already. What the watch tells is a hint; what counts is a list with our own node in it.
    async fn take_turn(
        &self,
        contender: &mut Contender,
        patience: Patience,
    ) -> Result<Turn, LockError> {
        let entered = contender.enter(&[]).await;
        let mut children = entered.map_err(|error| self.client_error(error))?;
        loop {
            let standing = self.naming.standing(&children, contender.name(), self.leases);
            let ahead = match standing {
                Ok(Standing::Held) => return Ok(Turn::Ours),
                Ok(Standing::Gone) => return Ok(Turn::Gone),
                Ok(Standing::Behind(_)) if patience == Patience::None => return Ok(Turn::NotYet),
                Ok(Standing::Behind(name)) => contender.sibling(name),
                Err(rolled_over) => return Err(LockError::rolled_over(&self.path, rolled_over)),
            };
            tracing::debug!(path = contender.path(), ahead, "waiting");
            self.wait_for(&ahead).await.map_err(|error| self.client_error(error))?;
            let siblings = contender.siblings().await;
            children = siblings.map_err(|error| self.client_error(error))?;
        }
    }

    /// Waits until something happens to a node; at once if it is gone.
    async fn wait_for(&self, path: &str) -> Result<(), znode::Error> {
        let read = || self.client.get_data_watched(path);
        match self.client.until_answered(read).await {
            Ok((_, _, watcher)) => watcher.await.map(drop),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn client_error(&self, error: znode::Error) -> LockError {
        LockError::client(&self.path, error)
    }
}
