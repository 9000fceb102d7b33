//! Deletions that do not depend on anybody waiting for them.

use std::future::Future;

use tokio::runtime::Handle;

use super::again::is_unanswered;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome};
use crate::proto::Version;
use crate::session::Ending;

const NAME: &str = "delete";

impl Client {
    /// Deletes a node, and does not give up before a server has answered or the session is over:
    /// a task sees to it, whatever becomes of the future. (Curator: `guaranteed()`.)
    ///
    /// The first request is in line once this is called. While the task goes on it keeps the
    /// session open, as a handle does; [`close`](Self::close) ends it. If a reply is lost and the
    /// node is not there any more, it counts as deleted; if somebody has made it anew in that
    /// instant, it is deleted again.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.delete_guaranteed("/locks/mine").await?; // also if this future is dropped
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A server's refusal, as `NoNode`, `NotEmpty` or `NoAuth`, or the end of the session.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing but that nobody learns of the result.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn delete_guaranteed(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let task = self.spawn_delete(path, &Handle::current());
        async move {
            // A runtime that shuts down ends the task; so it ends the session.
            let gone = |_| Err(Error::ended(NAME, Ending::Closed).but_unknown());
            task.await.unwrap_or_else(gone)
        }
    }

    pub(super) fn spawn_delete(
        &self,
        path: &str,
        runtime: &Handle,
    ) -> tokio::task::JoinHandle<Result<(), Error>> {
        let client = self.without_deadline();
        let path = path.to_owned();
        let mut reply = client.delete(&path, Version::ANY);
        runtime.spawn(async move {
            // Whether one of our requests may have deleted the node unheard.
            let mut may_be_ours = false;
            loop {
                match reply.await {
                    Err(error) if is_unanswered(&error) => {
                        may_be_ours |= error.outcome() == Outcome::Unknown;
                        // With pauses, where connections are made and lost again at once.
                        if let Err(error) = client.until_answered(|| client.sync("/")).await {
                            return Err(told(error, &path, may_be_ours));
                        }
                        reply = client.delete(&path, Version::ANY);
                    }
                    Err(error) if error.is_session_over() => {
                        return Err(told(error, &path, may_be_ours));
                    }
                    Err(error) if error.kind() == ErrorKind::NoNode && may_be_ours => {
                        return Ok(());
                    }
                    answered => return answered,
                }
            }
        })
    }
}

/// The end of the session, as whoever asked for a deletion is told of it.
fn told(error: Error, path: &str, may_be_done: bool) -> Error {
    let error = error.renamed(NAME, path);
    if may_be_done { error.but_unknown() } else { error }
}
