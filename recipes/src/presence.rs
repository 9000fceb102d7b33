//! An ephemeral node at a path of its own, which goes when whoever wanted it does.

use tokio::runtime::Handle;
use znode::{Client, CreateMode, Error, ErrorKind, Parents, Zxid};

use crate::final_look::find_own;

/// How often the parent may be taken away before that is the caller's to hear of.
const PARENTS_MAX: usize = 10;

/// An ephemeral node of this session. Dropping it deletes the node, in the background.
#[derive(Debug)]
pub(crate) struct Presence {
    client: Client,
    path: String,
    /// Where the deletion is seen to: a presence may be dropped outside of any runtime.
    runtime: Handle,
    state: State,
}

#[derive(Debug)]
enum State {
    /// There is none of ours.
    Absent,
    /// It was asked for, and the answer was not awaited.
    Unknown,
    Standing(Zxid),
}

impl Presence {
    /// One that is yet to be made.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new(client: &Client, path: String) -> Self {
        let (client, runtime) = (client.without_deadline(), Handle::current());
        Self { client, path, runtime, state: State::Absent }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The transaction that made it; zero before.
    pub(crate) fn czxid(&self) -> Zxid {
        match self.state {
            State::Standing(czxid) => czxid,
            State::Absent | State::Unknown => Zxid::ZERO,
        }
    }

    /// Makes the node, and those above it if they are missing; `false` if somebody else's stands
    /// there.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session.
    ///
    /// # Cancel safety
    /// The node's fate stays known to `self`.
    pub(crate) async fn enter(&mut self, data: &[u8], parents: Parents) -> Result<bool, Error> {
        let mut attempt = 1;
        loop {
            self.state = State::Unknown;
            let made = self.client.create_proven(&self.path, data, CreateMode::Ephemeral).await;
            match made {
                Ok(created) => {
                    self.state = State::Standing(created.stat.czxid);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::NodeExists => {
                    self.state = State::Absent;
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::NoNode && attempt < PARENTS_MAX => {
                    self.state = State::Absent;
                    let parent = znode::path::parent(&self.path).unwrap_or("/");
                    if parent == "/" {
                        return Err(error);
                    }
                    self.client.ensure_path(parent, parents).await?;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes the node and waits until it certainly is no more; `false` if it was gone already.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session, which ends the node too.
    ///
    /// # Cancel safety
    /// If the future is dropped, the deletion goes on in the background.
    pub(crate) async fn leave(&mut self) -> Result<bool, Error> {
        if let State::Unknown = self.state {
            let found = find_own(&self.client, &self.path).await?;
            self.state = found.map_or(State::Absent, |stat| State::Standing(stat.czxid));
        }
        if let State::Absent = self.state {
            return Ok(false);
        }
        let deleting = self.client.delete_guaranteed(&self.path);
        self.state = State::Absent;
        match deleting.await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets a node that has gone with something else.
    pub(crate) fn forget(&mut self) {
        self.state = State::Absent;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.client.state().is_terminal() {
            return;
        }
        let _entered = self.runtime.enter();
        match self.state {
            State::Absent => {}
            State::Standing(_) => drop(self.client.delete_guaranteed(&self.path)),
            // It may be somebody else's that stands there.
            State::Unknown => {
                let (client, path) = (self.client.clone(), std::mem::take(&mut self.path));
                drop(self.runtime.spawn(async move {
                    match find_own(&client, &path).await {
                        Ok(Some(_)) => drop(client.delete_guaranteed(&path).await),
                        Ok(None) => {}
                        Err(error) => tracing::debug!(path, %error, "abandoned node"),
                    }
                }));
            }
        }
    }
}
