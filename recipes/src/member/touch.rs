//! The child by whose age a server tells whether a node with a time to live is still wanted.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use znode::{Client, CreateMode, Error, ErrorKind, Version};

use super::keeper::is_of_a_session;
use crate::clock::now;
use crate::final_look::final_look;
use crate::recipe_error::RecipeError;

/// What the child is called, as Curator has it.
const NAME: &str = "touch";
/// How often it is touched while its time runs once, as Curator does.
const TOUCHES: u32 = 2;

/// One who touches a child of a node.
#[derive(Debug)]
pub(super) struct Touch {
    client: Client,
    path: String,
    ttl: Duration,
}

impl Touch {
    pub(super) fn new(client: &Client, node: &str, ttl: Duration) -> Self {
        Self { client: client.without_deadline(), path: znode::path::join(node, NAME), ttl }
    }

    /// What the node and its child are made as.
    pub(super) fn mode(&self) -> CreateMode {
        CreateMode::PersistentTtl { ttl: self.ttl }
    }

    /// Touches the child at once, unless it is known when that is due, and again and again, until
    /// it is refused.
    ///
    /// # Cancel safety
    /// It is due when it was.
    pub(super) async fn go_on(&self, due: &mut Option<Instant>) -> RecipeError {
        loop {
            let touched = match *due {
                None => self.make().await,
                Some(at) => {
                    sleep_until(at).await;
                    self.write().await
                }
            };
            match touched {
                Ok(()) => *due = Some(now() + self.ttl / TOUCHES),
                Err(error) => return error,
            }
        }
    }

    /// Makes the child, or goes on with one that is there. If there is no node to make it below,
    /// whoever keeps that is about to know.
    async fn make(&self) -> Result<(), RecipeError> {
        loop {
            let make = || self.client.create(&self.path, "", self.mode());
            match self.client.until_answered(make).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NodeExists => {}
                Err(error) => return Err(self.failed(error)),
            }
            let look = self.client.until_answered(|| self.client.exists(&self.path));
            match look.await.map_err(|error| self.failed(error))? {
                Some(stat) if is_of_a_session(&stat) => {
                    let what = "a session's node stands there";
                    return Err(RecipeError::foreign(&self.path, what));
                }
                Some(_) => return self.write().await,
                None => {}
            }
        }
    }

    /// However often that is done, it is the same.
    async fn write(&self) -> Result<(), RecipeError> {
        let write = || self.client.set_data(&self.path, "", Version::ANY);
        match self.client.until_answered(write).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NoNode => Box::pin(self.make()).await,
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Deletes the child, unless it is somebody else's.
    pub(super) async fn remove(&self) -> Result<(), Error> {
        // A create whose reply was lost may be on its way still, and would outlive the node.
        match final_look(&self.client, &self.path, || self.client.exists(&self.path)).await? {
            Some(stat) if !is_of_a_session(&stat) => {}
            _ => return Ok(()),
        }
        match self.client.delete_guaranteed(&self.path).await {
            Err(error) if error.kind() != ErrorKind::NoNode => Err(error),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: Error) -> RecipeError {
        RecipeError::client(&self.path, error)
    }
}
