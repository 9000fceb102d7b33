//! An ephemeral node that goes when whoever wanted it does.

use std::future::pending;
use std::mem;

use tokio::runtime::Handle;
use znode::{Client, CreateMode, Error, ErrorKind, Outcome, Parents, Version, Zxid};

use crate::final_look::{final_look, find_own, is_unreadable};
use crate::joined::joined;

/// How often the parent may be taken away before that is the caller's to hear of.
const PARENTS_MAX: usize = 10;
/// How often a create is tried before its failure is the caller's. A server that drops the
/// connection at every create, as one with a smaller frame limit than ours, ends here.
const ATTEMPTS_MAX: usize = 10;

/// An ephemeral node of this session. Dropping it deletes the node, in the background.
#[derive(Debug)]
pub(crate) struct Presence {
    client: Client,
    path: String,
    /// Where the deletion is seen to: a presence may be dropped outside of any runtime.
    runtime: Handle,
    whose: Whose,
    state: State,
}

/// Who else may have a node at this path.
#[derive(Debug)]
enum Whose {
    /// Nobody.
    Ours,
    /// Other sessions: what stands there is looked at before it is deleted.
    Sessions,
    /// Others of this session, too: the data of the node, which nobody else draws, says whose it
    /// is.
    Marked(String),
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
        Self::of(client, path, Whose::Ours)
    }

    /// One that is yet to be made, at a path that other sessions may use.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn at_shared_path(client: &Client, path: String) -> Self {
        Self::of(client, path, Whose::Sessions)
    }

    /// One that is yet to be made, at a path that anybody may use: of those who want it, one has
    /// it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn claim(client: &Client, path: String) -> Self {
        Self::of(client, path, Whose::Marked(client.guid()))
    }

    fn of(client: &Client, path: String, whose: Whose) -> Self {
        let (client, runtime) = (client.without_deadline(), Handle::current());
        Self { client, path, runtime, whose, state: State::Absent }
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
    /// A server's refusal, the end of the session, or `ConnectionLoss` after several attempts, none
    /// of which has made it.
    ///
    /// # Cancel safety
    /// The node's fate stays known to `self`.
    pub(crate) async fn enter(&mut self, data: &[u8], parents: Parents) -> Result<bool, Error> {
        let mut attempt = 1;
        loop {
            match self.enter_below(data).await {
                Err(error) if error.kind() == ErrorKind::NoNode && attempt < PARENTS_MAX => {
                    let parent = znode::path::parent(&self.path).unwrap_or("/");
                    if parent == "/" {
                        return Err(error);
                    }
                    self.client.ensure_path(parent, parents).await?;
                    attempt += 1;
                }
                entered => return entered,
            }
        }
    }

    /// The same where there is a parent, or `NoNode`. The data of a claim is its mark.
    ///
    /// # Errors
    /// As of [`enter`](Self::enter).
    ///
    /// # Cancel safety
    /// As of [`enter`](Self::enter).
    pub(crate) async fn enter_below(&mut self, data: &[u8]) -> Result<bool, Error> {
        let seen = self.client.last_zxid();
        self.state = State::Unknown(seen);
        let data = match &self.whose {
            Whose::Marked(mark) => mark.as_bytes(),
            Whose::Ours | Whose::Sessions => data,
        };
        let mut attempt = 1;
        let made = loop {
            let lost = match self.client.create(&self.path, data, CreateMode::Ephemeral).await {
                Ok(created) => break Some(created.stat.czxid),
                Err(error) if error.kind() == ErrorKind::NodeExists => break None,
                Err(error) if error.kind() == ErrorKind::ConnectionLoss => error,
                Err(error) => {
                    if error.outcome() != Outcome::Unknown {
                        self.state = State::Absent;
                    }
                    return Err(error);
                }
            };
            if lost.outcome() == Outcome::NotSent {
                continue;
            }
            match self.find(seen).await? {
                Found::Ours(czxid) => break Some(czxid),
                Found::Others => break None,
                Found::Nothing if attempt == ATTEMPTS_MAX => {
                    self.state = State::Absent;
                    return Err(lost);
                }
                Found::Nothing => attempt += 1,
            }
        };
        self.state = made.map_or(State::Absent, State::Standing);
        Ok(made.is_some())
    }

    /// Finds out what became of a create that was not answered, whose node is younger than `seen`.
    async fn find(&self, seen: Zxid) -> Result<Found, Error> {
        let (client, path) = (&self.client, &*self.path);
        if let Whose::Marked(mark) = &self.whose {
            return find_marked(client, path, mark).await;
        }
        Ok(match final_look(client, path, || client.exists(path)).await? {
            None => Found::Nothing,
            Some(stat) if stat.czxid > seen && stat.ephemeral_owner == client.session_id() => {
                Found::Ours(stat.czxid)
            }
            Some(_) => Found::Others,
        })
    }

    /// Deletes the node and waits until it certainly is no more; `false` if it was gone already.
    ///
    /// # Errors
    /// A server's refusal, or the end of the session, which ends the node too.
    ///
    /// # Cancel safety
    /// If the future is dropped, the deletion goes on in the background.
    pub(crate) async fn leave(&mut self) -> Result<bool, Error> {
        let Some(leaving) = self.departure() else { return Ok(false) };
        match joined(self.runtime.spawn(leaving).await) {
            Some(left) => left,
            // The runtime shuts down, and this with it.
            None => pending().await,
        }
    }

    /// What is to be done for the node to go, whoever waits for it; says whether it was there.
    fn departure(&mut self) -> Option<impl Future<Output = Result<bool, Error>> + Send + use<>> {
        let state = mem::replace(&mut self.state, State::Absent);
        if let State::Absent = state {
            return None;
        }
        let mark = match &self.whose {
            Whose::Marked(mark) => Some(mark.clone()),
            Whose::Ours | Whose::Sessions => None,
        };
        let is_certain = matches!((&self.whose, state), (Whose::Ours, State::Standing(_)));
        let (client, path) = (self.client.clone(), self.path.clone());
        // The first request is in line once this is asked for.
        let _entered = self.runtime.enter();
        let deleting = is_certain.then(|| client.delete_guaranteed(&path));
        Some(async move {
            let Some(deleting) = deleting else {
                return delete_ours(&client, &path, state, mark.as_deref()).await;
            };
            match deleting.await {
                Err(error) if error.kind() == ErrorKind::NoNode => Ok(false),
                deleted => deleted.map(|()| true),
            }
        })
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

/// What stands at the path.
enum Found {
    Nothing,
    Ours(Zxid),
    Others,
}

/// Looks for a claim behind everything that was on its way.
async fn find_marked(client: &Client, path: &str, mark: &str) -> Result<Found, Error> {
    match final_look(client, path, || client.get_data(path)).await {
        Ok((data, stat)) if data == mark && stat.ephemeral_owner == client.session_id() => {
            Ok(Found::Ours(stat.czxid))
        }
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(Found::Nothing),
        // Whatever it is that cannot be read.
        Ok(_) => Ok(Found::Others),
        Err(error) if is_unreadable(&error) => Ok(Found::Others),
        Err(error) => Err(error),
    }
}

/// Deletes a node, and nobody else's that has come in its place; `false` if there was none.
async fn delete_ours(
    client: &Client,
    path: &str,
    state: State,
    mark: Option<&str>,
) -> Result<bool, Error> {
    let mut may_be_done = false;
    loop {
        let found = match mark {
            Some(mark) => match find_marked(client, path, mark).await? {
                Found::Ours(czxid) => Some(czxid),
                Found::Nothing | Found::Others => None,
            },
            None => find_own(client, path).await?.map(|stat| stat.czxid),
        };
        if !found.is_some_and(|czxid| state.is_of(czxid)) {
            return Ok(may_be_done);
        }
        match client.delete(path, Version::ANY).await {
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                may_be_done |= error.outcome() == Outcome::Unknown;
            }
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(may_be_done),
            deleted => return deleted.map(|()| true),
        }
    }
}

impl State {
    /// Whether the node that was made by this transaction can be it.
    fn is_of(self, czxid: Zxid) -> bool {
        match self {
            Self::Absent => false,
            Self::Unknown(since) => czxid > since,
            Self::Standing(ours) => czxid == ours,
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.client.state().is_terminal() {
            return;
        }
        if let Some(leaving) = self.departure() {
            let path = mem::take(&mut self.path);
            drop(self.runtime.spawn(async move {
                if let Err(error) = leaving.await {
                    tracing::debug!(path, %error, "abandoned node");
                }
            }));
        }
    }
}
