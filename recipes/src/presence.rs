//! An ephemeral node at a path of its own, which goes when whoever wanted it does.

use tokio::runtime::Handle;
use znode::{Client, CreateMode, Error, ErrorKind, Outcome, Parents, Zxid};

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
    /// Whether others may have a node at this path, too: what stands there is looked at before it
    /// is deleted.
    is_shared: bool,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// There is none of ours.
    Absent,
    /// It was asked for, and the answer was not awaited. It is younger than this.
    Unknown(Zxid),
    Standing(Zxid),
}

impl Presence {
    /// One that is yet to be made, at a path that nobody else uses.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new(client: &Client, path: String) -> Self {
        let (client, runtime) = (client.without_deadline(), Handle::current());
        Self { client, path, runtime, is_shared: false, state: State::Absent }
    }

    /// One that is yet to be made, at a path that others may use.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn at_shared_path(client: &Client, path: String) -> Self {
        let mut presence = Self::new(client, path);
        presence.is_shared = true;
        presence
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The transaction that made it; zero before.
    pub(crate) fn czxid(&self) -> Zxid {
        match self.state {
            State::Standing(czxid) => czxid,
            State::Absent | State::Unknown(_) => Zxid::ZERO,
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
            self.state = State::Unknown(self.client.last_zxid());
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
                Err(error) => {
                    if error.outcome() != Outcome::Unknown {
                        self.state = State::Absent;
                    }
                    return Err(error);
                }
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
        if self.state.is_doubtful(self.is_shared) {
            self.state = self.state.looked_up(&self.client, &self.path).await?;
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

    /// Goes on with a node that this session has made before.
    pub(crate) fn adopt(&mut self, czxid: Zxid) {
        self.state = State::Standing(czxid);
    }

    /// Forgets a node that has gone with something else.
    pub(crate) fn forget(&mut self) {
        self.state = State::Absent;
    }
}

impl State {
    /// Whether it may be somebody else's that stands there.
    fn is_doubtful(self, is_shared: bool) -> bool {
        match self {
            Self::Absent => false,
            Self::Unknown(_) => true,
            Self::Standing(_) => is_shared,
        }
    }

    /// What is true of the node after everything that was on its way.
    async fn looked_up(self, client: &Client, path: &str) -> Result<Self, Error> {
        let found = find_own(client, path).await?.map(|stat| stat.czxid);
        let is_it = |czxid: &Zxid| match self {
            Self::Absent => false,
            Self::Unknown(since) => *czxid > since,
            Self::Standing(ours) => *czxid == ours,
        };
        Ok(found.filter(is_it).map_or(Self::Absent, Self::Standing))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.client.state().is_terminal() {
            return;
        }
        let _entered = self.runtime.enter();
        let state = self.state;
        if !state.is_doubtful(self.is_shared) {
            if let State::Standing(_) = state {
                drop(self.client.delete_guaranteed(&self.path));
            }
            return;
        }
        let (client, path) = (self.client.clone(), std::mem::take(&mut self.path));
        drop(self.runtime.spawn(async move {
            match state.looked_up(&client, &path).await {
                Ok(State::Standing(_)) => drop(client.delete_guaranteed(&path).await),
                Ok(_) => {}
                Err(error) => tracing::debug!(path, %error, "abandoned node"),
            }
        }));
    }
}
