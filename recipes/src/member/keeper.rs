//! The task that makes a node, and makes it again whenever it is gone.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use znode::{
    Client, CreateMode, Error, ErrorKind, OneshotWatcher, Outcome, Parents, SessionId, Stat,
    Version, Zxid,
};

use super::desk::{Desk, NodeState, Wanted};
use super::touch::Touch;
use crate::final_look::final_look;
use crate::presence::Presence;
use crate::recipe_error::RecipeError;

/// Whose owner says that a node is no session's: of a container, and of those with a time to live.
const CONTAINER: i64 = i64::MIN;
const TTL: i64 = 0xff;

/// How often in a row the connection may be lost over data that never stood there before that is
/// its owner's to hear of: a server may end it because of that data, which is over a limit of its
/// own.
const ATTEMPTS_MAX: usize = 10;

/// How long is waited where too much waits already.
const PAUSE: Duration = Duration::from_millis(10);

/// One who keeps a node.
#[derive(Debug)]
pub(super) struct Keeper {
    client: Client,
    path: Arc<str>,
    kind: Kind,
    desk: Arc<Desk>,
    losses: Losses,
    /// Also of a task that never had its turn.
    _over: Over,
}

#[derive(Debug)]
enum Kind {
    Ephemeral(Presence),
    Persistent,
    Ttl(Touch),
}

impl Keeper {
    /// Of an ephemeral node, which goes when this is dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn ephemeral(client: &Client, path: &Arc<str>, desk: &Arc<Desk>) -> Self {
        let presence = Presence::at_shared_path(client, path.to_string());
        Self { kind: Kind::Ephemeral(presence), ..Self::persistent(client, path, desk) }
    }

    /// Of one that stays.
    pub(super) fn persistent(client: &Client, path: &Arc<str>, desk: &Arc<Desk>) -> Self {
        let (client, path, desk) = (client.without_deadline(), Arc::clone(path), Arc::clone(desk));
        let over = Over(Arc::clone(&desk));
        let (kind, losses) = (Kind::Persistent, Losses::default());
        Self { client, path, kind, desk, losses, _over: over }
    }

    /// Of one that goes when it was not touched for so long.
    pub(super) fn with_ttl(
        client: &Client,
        path: &Arc<str>,
        desk: &Arc<Desk>,
        ttl: Duration,
    ) -> Self {
        let touch = Touch::new(client, path, ttl);
        Self { kind: Kind::Ttl(touch), ..Self::persistent(client, path, desk) }
    }

    /// Keeps the node until that cannot go on, or it is to be removed.
    pub(super) async fn run(mut self, remove: oneshot::Receiver<()>) -> Result<(), RecipeError> {
        let desk = Arc::clone(&self.desk);
        tokio::select! {
            biased;
            Ok(()) = remove => {}
            error = self.keep() => {
                desk.tell(NodeState::Failed(error.clone()));
                return Err(error);
            }
        }
        self.remove().await.map_err(|error| self.failed(error))
    }

    async fn keep(&mut self) -> RecipeError {
        loop {
            let wanted = self.desk.wanted();
            let stands = match self.make(&wanted).await {
                Ok(Some(czxid)) => Ok(Some(czxid)),
                Ok(None) => self.go_on_with_other(&wanted).await,
                Err(error) => Err(self.failed(error)),
            };
            let stayed = match stands {
                Ok(Some(czxid)) => {
                    self.desk.tell_standing(czxid, wanted.clone());
                    self.stay(czxid).await
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            match stayed {
                Err(error) if !self.desk.falls_back(&wanted, &error) => return error,
                _ => {}
            }
        }
    }

    /// Makes the node; `None` if somebody else's stands there, or has a moment ago.
    async fn make(&mut self, wanted: &Wanted) -> Result<Option<Zxid>, Error> {
        let (client, path, data) = (&self.client, &*self.path, &wanted.data);
        let mode = self.kind.mode();
        let made = match &mut self.kind {
            Kind::Ephemeral(presence) => {
                let entered = presence.enter(data, Parents::Container).await;
                entered.map(|is_ours| is_ours.then(|| presence.czxid()))
            }
            Kind::Persistent | Kind::Ttl(_) => {
                let made = client.create_with_parents(path, data, mode, Parents::Container).await;
                made.map(|created| Some(created.stat.czxid))
            }
        };
        match made {
            Err(error) if error.kind() == ErrorKind::NodeExists => Ok(None),
            // That was tried often enough.
            Err(error)
                if error.kind() == ErrorKind::ConnectionLoss
                    && matches!(self.kind, Kind::Ephemeral(_))
                    && self.desk.is_new(wanted) =>
            {
                Err(error)
            }
            // There it is, or nothing.
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => self.lost(wanted, error),
            // Too much waits already: so does this, without a request that would wait as well.
            Err(error) if error.kind() == ErrorKind::Overloaded => {
                tokio::time::sleep(PAUSE).await;
                Ok(None)
            }
            made => made,
        }
    }

    /// The connection was lost while data was being written: it takes another look to know what
    /// has become of that, unless it is too often that this is so.
    fn lost<T>(&mut self, wanted: &Wanted, error: Error) -> Result<Option<T>, Error> {
        let may_be_refused = error.outcome() == Outcome::Unknown && self.desk.is_new(wanted);
        match may_be_refused && self.losses.are_too_many(wanted.number) {
            true => Err(error),
            false => Ok(None),
        }
    }

    /// Goes on with what stands there, if that is ours to take; otherwise waits until something
    /// happens to it.
    async fn go_on_with_other(&mut self, wanted: &Wanted) -> Result<Option<Zxid>, RecipeError> {
        let (Some(stat), watcher) = self.look().await? else { return Ok(None) };
        if self.may_take(&stat) {
            if let Kind::Ephemeral(presence) = &mut self.kind {
                // Before anything is awaited: it goes with this from here on.
                presence.adopt(stat.czxid);
            }
            let taken = self.take_over(wanted, stat).await;
            return taken.map_err(|error| self.failed(error));
        }
        if !is_of_a_session(&stat) {
            let what = "a node that is not ephemeral stands there";
            return Err(RecipeError::foreign(&self.path, what));
        }
        self.desk.tell(NodeState::Occupied { owner: stat.ephemeral_owner });
        watcher.await.map(|_| None).map_err(|error| self.failed(error))
    }

    /// Whether a node that stands there is one that we may go on with: of ephemeral ones, our own
    /// session's, as from before it was resumed.
    fn may_take(&self, stat: &Stat) -> bool {
        match self.kind {
            Kind::Ephemeral(_) => stat.ephemeral_owner == self.client.session_id(),
            // Whether one has a time to live no server tells.
            Kind::Persistent | Kind::Ttl(_) => !is_of_a_session(stat),
        }
    }

    /// Gives the data to a node that is there; `None` if something has happened to it.
    async fn take_over(&mut self, wanted: &Wanted, seen: Stat) -> Result<Option<Zxid>, Error> {
        let (client, path) = (&self.client, &*self.path);
        let (found, stat) = match client.until_answered(|| client.get_data(path)).await {
            Ok((found, stat)) => (Some(found), stat),
            // It is not compressed as this client would.
            Err(error) if error.kind() == ErrorKind::InvalidData => (None, seen),
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
            Err(error) => return Err(error),
        };
        if stat.czxid != seen.czxid {
            return Ok(None);
        }
        // Nobody who watches it is to be woken for nothing.
        if found.is_some_and(|found| found == *wanted.data) {
            return Ok(Some(stat.czxid));
        }
        match client.set_data(path, &wanted.data, stat.version).await {
            Ok(stat) => Ok(Some(stat.czxid)),
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => self.lost(wanted, error),
            Err(error) if is_to_be_seen(&error) || error.kind() == ErrorKind::Overloaded => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sees to the node until it is gone.
    async fn stay(&mut self, czxid: Zxid) -> Result<(), RecipeError> {
        let mut touch_due = None;
        loop {
            let (stat, mut watcher) = self.look().await?;
            let Some(stat) = stat.filter(|stat| stat.czxid == czxid) else {
                self.desk.tell(NodeState::Absent);
                return Ok(());
            };
            tokio::select! {
                biased;
                event = &mut watcher => drop(event.map_err(|error| self.failed(error))?),
                // The watch stands until the write has fired it: it need not be removed.
                wanted = self.desk.unsettled() => self.write(wanted, stat.version).await?,
                error = self.touch(&mut touch_due) => return Err(error),
            }
        }
    }

    /// Keeps a node with a time to live alive, until that is refused.
    async fn touch(&self, due: &mut Option<Instant>) -> RecipeError {
        match &self.kind {
            Kind::Ttl(touch) => touch.go_on(due).await,
            Kind::Ephemeral(_) | Kind::Persistent => pending().await,
        }
    }

    /// Writes other data, unless something has happened to the node since the last look: whoever
    /// looks again knows more.
    async fn write(&mut self, wanted: Wanted, version: Version) -> Result<(), RecipeError> {
        let refused = match self.client.set_data(&self.path, &wanted.data, version).await {
            Ok(_) => {
                self.desk.tell_written(wanted);
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {
                match self.lost::<()>(&wanted, error) {
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) if is_to_be_seen(&error) => return Ok(()),
            Err(error) if error.is_session_over() => {
                return Err(self.failed(error).but_unknown());
            }
            Err(error) => error,
        };
        self.desk.tell_refused(wanted.number, &self.failed(refused));
        Ok(())
    }

    async fn look(&self) -> Result<(Option<Stat>, OneshotWatcher), RecipeError> {
        let look = self.client.until_answered(|| self.client.exists_watched(&self.path));
        look.await.map_err(|error| self.failed(error))
    }

    async fn remove(&mut self) -> Result<(), Error> {
        if let Kind::Ephemeral(presence) = &mut self.kind {
            return presence.leave().await.map(drop);
        }
        if let Kind::Ttl(touch) = &self.kind {
            touch.remove().await?;
        }
        let (client, path) = (&self.client, &*self.path);
        // A create whose reply was lost may be on its way still.
        match final_look(client, path, || client.exists(path)).await? {
            Some(stat) if self.may_take(&stat) => {}
            _ => return Ok(()),
        }
        match client.delete_guaranteed(path).await {
            Err(error) if error.kind() != ErrorKind::NoNode => Err(error),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: Error) -> RecipeError {
        RecipeError::client(&self.path, error)
    }
}

impl Kind {
    /// What a node is made as that is not ephemeral.
    fn mode(&self) -> CreateMode {
        match self {
            Self::Ttl(touch) => touch.mode(),
            Self::Ephemeral(_) | Self::Persistent => CreateMode::Persistent,
        }
    }
}

/// Whether something has happened to a node that was to be written, and another look says what.
fn is_to_be_seen(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::BadVersion | ErrorKind::NoNode)
}

/// Whether a node goes with a session.
pub(super) fn is_of_a_session(stat: &Stat) -> bool {
    let SessionId(owner) = stat.ephemeral_owner;
    stat.is_ephemeral() && owner != CONTAINER && owner >> 56 & 0xff != TTL
}

/// How often in a row the connection was lost over one and the same data.
#[derive(Debug, Default)]
struct Losses {
    number: u64,
    count: usize,
}

impl Losses {
    /// Counts one more; whether that is as often as may be.
    fn are_too_many(&mut self, number: u64) -> bool {
        if self.number != number {
            *self = Self { number, count: 0 };
        }
        self.count += 1;
        self.count >= ATTEMPTS_MAX
    }
}

/// Tells that nobody keeps a node any more, when it is dropped.
#[derive(Debug)]
struct Over(Arc<Desk>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.tell_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_nodes_with_a_time_to_live_are_of_no_session() {
        let of = |owner| {
            let stat = Stat { ephemeral_owner: SessionId(owner), ..Stat::default() };
            is_of_a_session(&stat)
        };
        assert!(!of(0) && !of(i64::MIN) && !of(-1 << 56 | 1_000));
        assert!(of(0x0100_0000_0000_0001) && of(-2 << 56));
    }
}
