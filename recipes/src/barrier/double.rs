//! A barrier that so many enter together, and leave together.

use std::sync::Arc;
use std::time::Duration;

use znode::{
    Client, CreateMode, ErrorKind, EventType, OneshotWatcher, Parents, Path, Version, Zxid,
};

use crate::presence::Presence;
use crate::recipe_error::RecipeError;

/// The child that says that enough have come.
const READY: &str = "ready";

/// A barrier for work in step: nobody enters before so many are there at once, and nobody has left
/// before all are out.
///
/// It is Curator's `DistributedDoubleBarrier` on the wire. A member passes when it has seen enough
/// members in one list, its own node among them; or when somebody who has seen as many has said so
/// since its own node was made: what an earlier round has left behind opens nothing. Waking up for
/// anything else is no more than a reason to look. (GH-1290.) Whoever gives up leaves no node.
/// (CURATOR-318.)
///
/// Kazoo's `DoubleBarrier` is the same on the wire, too, for members who stay inside until all have
/// entered: kazoo's say of nobody any more that enough have come when they begin to leave.
///
/// ```no_run
/// # async fn step(round: u32) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::DoubleBarrier;
///
/// let barrier = DoubleBarrier::new(&client, "/barriers/steps", 5)?;
/// for round in 0..10 {
///     let inside = barrier.enter().await?; // with four others
///     step(round).await;
///     inside.leave().await?; // when all have done it
/// }
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use std::time::Duration;
/// use znode_recipes::DoubleBarrier;
///
/// let barrier = DoubleBarrier::new(&client, "/barriers/steps", 5)?;
/// let Some(inside) = barrier.enter_timeout(Duration::from_secs(5)).await? else {
///     println!("only {} at {}", barrier.members().await?, barrier.path());
///     return Ok(());
/// };
/// println!("{}", inside.path());
/// let all_left = inside.leave_timeout(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DoubleBarrier {
    client: Client,
    path: Arc<str>,
    count: usize,
}

/// A member that has entered a [`DoubleBarrier`]. Dropping it takes its node away, without waiting
/// for the others.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{DoubleBarrier, Inside};
///
/// let inside: Inside = DoubleBarrier::new(&client, "/barriers/steps", 2)?.enter().await?;
/// inside.leave().await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it is leaving"]
pub struct Inside {
    barrier: DoubleBarrier,
    presence: Presence,
}

/// What a member that leaves has to do.
#[derive(Debug, PartialEq, Eq)]
enum Way<'a> {
    /// Everybody is out.
    Out,
    /// All others are: its node is the last.
    Last,
    /// It stays, as the lowest, until this one has gone.
    After(&'a str),
    /// It goes, and waits for the lowest.
    Before(&'a str),
}

/// What a member that leaves has to do, by the names of those who are there: the lowest stays until
/// it is alone, and all others wait for it. So one watch each is enough.
fn way<'a>(members: &[&'a str], ours: &str) -> Way<'a> {
    let lowest = members.iter().min();
    let highest = members.iter().max();
    match (lowest, highest) {
        (Some(lowest), Some(highest)) if *lowest == ours && *highest == ours => Way::Last,
        (Some(lowest), Some(highest)) if *lowest == ours => Way::After(highest),
        (Some(lowest), _) => Way::Before(lowest),
        (None, _) => Way::Out,
    }
}

impl DoubleBarrier {
    /// The barrier at `path`, for so many. All who use it must name the same number. Whether that
    /// can be a path is checked when it is first asked of.
    ///
    /// # Errors
    /// `InvalidArgument` if it is for nobody.
    pub fn new(client: &Client, path: impl Into<String>, count: u32) -> Result<Self, RecipeError> {
        let path: String = path.into();
        if count == 0 {
            return Err(RecipeError::invalid_argument(&path, "a barrier for nobody holds nobody"));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self { client: client.without_deadline(), path: path.into(), count })
    }

    /// The path of the barrier.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many are there, inside or waiting, as the server that this client is connected to knows
    /// it.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn members(&self) -> Result<usize, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        let listed = self.client.until_answered(|| self.client.get_children(&self.path)).await;
        match listed {
            Ok(children) => Ok(members(&children).len()),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(0),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Waits until so many are there, and enters with them.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session.
    ///
    /// # Cancel safety
    /// If the future is dropped, the member's node goes in the background.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn enter(&self) -> Result<Inside, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        let mut presence = self.absent();
        self.enter_as(&mut presence).await?;
        Ok(Inside { barrier: self.clone(), presence })
    }

    /// A member that has not come yet.
    fn absent(&self) -> Presence {
        Presence::new(&self.client, znode::path::join(&self.path, &self.client.guid()))
    }

    async fn enter_as(&self, presence: &mut Presence) -> Result<(), RecipeError> {
        loop {
            let entered = presence.enter(b"", Parents::Container).await;
            if entered.map_err(|error| self.failed(error))? && self.await_others(presence).await? {
                return Ok(());
            }
            // Somebody has taken our node away, as one who sweeps: we come again, as another.
            *presence = self.absent();
        }
    }

    /// Waits no longer than `limit`; `None` if so many have not come by then. A limit of zero is
    /// too short for anybody.
    ///
    /// Then this one is gone when that is told, and does not count beside the one it may come back
    /// as; unless that, too, takes longer than `limit`, as where the connection is down: then it
    /// goes in the background, or with its session.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    ///
    /// # Cancel safety
    /// As [`enter`](Self::enter).
    ///
    /// # Panics
    /// As [`enter`](Self::enter).
    pub async fn enter_timeout(&self, limit: Duration) -> Result<Option<Inside>, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        let mut presence = self.absent();
        let entered = tokio::time::timeout(limit, self.enter_as(&mut presence)).await;
        if let Ok(entered) = entered {
            return entered.map(|()| Some(Inside { barrier: self.clone(), presence }));
        }
        let left = tokio::time::timeout(limit, presence.leave()).await;
        left.ok().transpose().map_err(|error| self.failed(error))?;
        Ok(None)
    }

    /// Waits until enough have come; `false` if our own node is gone.
    async fn await_others(&self, presence: &Presence) -> Result<bool, RecipeError> {
        loop {
            let (ready, watcher) = self.look_at_ready().await?;
            if ready.is_some_and(|zxid| zxid > presence.czxid()) {
                return Ok(true);
            }
            // Behind the look, which so is woken by whatever comes after the list.
            let children = self.children().await?;
            let members = members(&children);
            if !members.contains(&name(presence.path())) {
                return Ok(false);
            }
            if members.len() >= self.count {
                self.say_ready().await?;
                return Ok(true);
            }
            // Kazoo's take it back as soon as they leave: that it was said is all there is to see.
            let event = watcher.await.map_err(|error| self.failed(error))?;
            if matches!(event.kind, EventType::NodeCreated | EventType::NodeDataChanged) {
                return Ok(true);
            }
        }
    }

    /// When it was said last that enough have come, if that still stands; and what tells of more.
    async fn look_at_ready(&self) -> Result<(Option<Zxid>, OneshotWatcher), RecipeError> {
        let ready = znode::path::join(&self.path, READY);
        let looked = self.client.until_answered(|| self.client.exists_watched(&ready)).await;
        let (stat, watcher) = looked.map_err(|error| self.failed(error))?;
        Ok((stat.map(|stat| stat.mzxid), watcher))
    }

    async fn children(&self) -> Result<Vec<String>, RecipeError> {
        let listed = self.client.until_answered(|| self.client.get_children(&self.path)).await;
        match listed {
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(Vec::new()),
            listed => listed.map_err(|error| self.failed(error)),
        }
    }

    /// Says that enough have come, over what an earlier round may have left.
    async fn say_ready(&self) -> Result<(), RecipeError> {
        let (client, ready) = (&self.client, znode::path::join(&self.path, READY));
        loop {
            // Said twice it is the same.
            let made = client.until_answered(|| client.create(&ready, "", CreateMode::Persistent));
            match made.await {
                Err(error) if error.kind() == ErrorKind::NodeExists => {}
                made => return made.map(drop).map_err(|error| self.failed(error)),
            }
            let said = client.until_answered(|| client.set_data(&ready, "", Version::ANY));
            match said.await {
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                said => return said.map(drop).map_err(|error| self.failed(error)),
            }
        }
    }

    /// Waits until something happens to a member; `false` if it has come since everybody was out,
    /// under the name of one who was inside, as Curator's members do.
    async fn await_departure(
        &self,
        member: &str,
        since: Option<Zxid>,
    ) -> Result<bool, RecipeError> {
        let (client, path) = (&self.client, znode::path::join(&self.path, member));
        match client.until_answered(|| client.get_data_watched(&path)).await {
            Ok((_, stat, _)) if since.is_some_and(|since| stat.czxid > since) => Ok(false),
            Ok((_, _, watcher)) => watcher.await.map(|_| true).map_err(|error| self.failed(error)),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(true),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: znode::Error) -> RecipeError {
        RecipeError::client(&self.path, error)
    }
}

impl Inside {
    /// The path of the member's node.
    pub fn path(&self) -> &str {
        self.presence.path()
    }

    /// Leaves, and waits until everybody who is inside now has left or is gone. Who comes later, as
    /// for another round, is not waited for.
    ///
    /// # Errors
    /// `Client` with the client's own error, as the end of the session.
    ///
    /// # Cancel safety
    /// If the future is dropped, the member leaves all the same, in the background.
    pub async fn leave(mut self) -> Result<(), RecipeError> {
        let barrier = self.barrier.clone();
        let failed = |error| barrier.failed(error);
        let mut children = barrier.children().await?;
        let inside: Vec<String> = members(&children).into_iter().map(str::to_owned).collect();
        // What was done by the time that our own node was gone: whoever is younger has come since.
        let mut gone_at = None;
        loop {
            let mut present = members(&children);
            present.retain(|name| inside.iter().any(|one| one == name));
            let awaited = match way(&present, name(self.presence.path())) {
                Way::Out => break,
                Way::Last => {
                    self.presence.leave().await.map_err(failed)?;
                    break;
                }
                Way::After(highest) => highest.to_owned(),
                Way::Before(lowest) => {
                    // Before: other tasks' answers may come with later ones.
                    gone_at.get_or_insert(barrier.client.last_zxid());
                    self.presence.leave().await.map_err(failed)?;
                    lowest.to_owned()
                }
            };
            if !barrier.await_departure(&awaited, gone_at).await? {
                break;
            }
            children = barrier.children().await?;
        }
        // Whoever waits for the next round looks for himself when this goes.
        let (client, ready) = (&barrier.client, znode::path::join(&barrier.path, READY));
        match client.until_answered(|| client.delete(&ready, Version::ANY)).await {
            Err(error) if error.kind() != ErrorKind::NoNode => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Leaves, and waits for the others no longer than `limit`; `false` if some are still inside
    /// by then.
    ///
    /// # Errors
    /// As [`leave`](Self::leave).
    ///
    /// # Cancel safety
    /// As [`leave`](Self::leave).
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn leave_timeout(self, limit: Duration) -> Result<bool, RecipeError> {
        let left = tokio::time::timeout(limit, self.leave()).await.ok().transpose()?;
        Ok(left.is_some())
    }
}

/// Those of the children that are members.
fn members(children: &[String]) -> Vec<&str> {
    children.iter().map(String::as_str).filter(|name| is_member(name)).collect()
}

/// Whether a node is a member, and neither the one that says that enough have come nor somebody
/// else's: all have UUIDs for names, kazoo's without hyphens.
fn is_member(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && matches!((name.len(), name.matches('-').count()), (32, 0) | (36, 4))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_from_what_others_have_put_there() {
        assert!(is_member("0f8fad5b-d9cb-469f-a165-70867728950e"));
        assert!(is_member("0f8fad5bd9cb469fa16570867728950e"));
        for other in [READY, "", "notes", "0f8fad5b-d9cb-469f-a165-70867728950"] {
            assert!(!is_member(other), "{other}");
        }
    }

    #[test]
    fn the_lowest_stays_until_it_is_alone() {
        assert_eq!(way(&[], "b"), Way::Out);
        assert_eq!(way(&["b"], "b"), Way::Last);
        assert_eq!(way(&["c", "b", "d"], "b"), Way::After("d"));
        assert_eq!(way(&["c", "b", "d"], "c"), Way::Before("b"));
        // Its own node is gone already.
        assert_eq!(way(&["c", "d"], "b"), Way::Before("c"));
    }
}
