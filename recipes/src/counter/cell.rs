//! The data of one node, changed by read, compare and write: each change once, whatever replies
//! are lost.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;
use znode::{Client, CreateMode, ErrorKind, Op, OpResult, Parents, Path, Reply, Stat, Version};

use crate::final_look::final_look;
use crate::recipe_error::RecipeError;
use crate::witness::{Committed, Witnesses};

/// How often somebody else may be faster before a change is made to wait.
const ATTEMPTS: u32 = 3;

/// How long at first, and at most.
const PAUSE: Duration = Duration::from_millis(1);

/// A node with data that several change.
///
/// Changes through one handle, or a clone of it, wait for each other.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    client: Client,
    path: Arc<str>,
    parents: Parents,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Made with the first change.
    witnesses: OnceLock<Witnesses>,
    known: Mutex<Known>,
}

/// What was there last, as far as this handle knows.
#[derive(Debug, Default)]
struct Known {
    /// A guess: a change that is made to anything else fails, and is made again.
    last: Option<Seen>,
    /// Whether the last guess was wrong: somebody else makes changes, too. Then each write is
    /// followed by a read, which costs no time of its own.
    is_contended: bool,
}

/// A node's data; or that there is no node.
#[derive(Debug, Clone)]
enum Seen {
    Nothing,
    Data(Vec<u8>, Version),
}

/// A change that was made.
#[derive(Debug)]
pub(super) struct Changed {
    /// The data before; `None` if there was no node.
    pub(super) before: Option<Vec<u8>>,
    pub(super) after: Vec<u8>,
}

impl Seen {
    fn data(&self) -> Option<&[u8]> {
        match self {
            Self::Nothing => None,
            Self::Data(data, _) => Some(data),
        }
    }

    fn read(answer: Result<(impl AsRef<[u8]>, Stat), znode::Error>) -> Result<Self, znode::Error> {
        match answer {
            Ok((data, stat)) => Ok(Self::Data(data.as_ref().to_vec(), stat.version)),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(Self::Nothing),
            Err(error) => Err(error),
        }
    }
}

impl Cell {
    /// The node at `path`, which need not exist. Whether that can be a path is checked when it is
    /// first asked of.
    pub(super) fn new(client: &Client, path: impl Into<String>) -> Self {
        let client = client.without_deadline();
        let (path, parents) = (path.into().into(), Parents::Container);
        Self { client, path, parents, shared: Arc::default() }
    }

    /// The same node, whose data is never compressed.
    pub(super) fn plain(mut self) -> Self {
        self.client = self.client.without_compression();
        self
    }

    /// The same node, above which missing ones are made so.
    pub(super) fn with_parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The data; `None` if there is no node.
    ///
    /// # Errors
    /// `InvalidPath`; `Client` with the client's own error.
    pub(super) async fn read(&self) -> Result<Option<Vec<u8>>, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        Ok(match self.look(false).await? {
            Seen::Nothing => None,
            Seen::Data(data, _) => Some(data),
        })
    }

    /// Writes what `change` makes of the data, once, and makes the node where there is none; if it
    /// makes nothing of it, leaves it as it is: that is said only of what stood there while it was
    /// asked, and not of what a server that is behind shows. If somebody else was faster, `change`
    /// is asked again.
    ///
    /// # Errors
    /// `InvalidPath`; `Client` with the client's own error; whatever `change` fails with.
    ///
    /// # Cancel safety
    /// A write that is in line takes effect or not.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) async fn change(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, RecipeError>,
    ) -> Result<Option<Changed>, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        let known = &mut *self.shared.known.lock().await;
        let mut is_final = false;
        let mut defeats = 0;
        loop {
            let (seen, is_guess) = match known.last.take() {
                Some(seen) => (seen, true),
                None => (self.look(is_final).await?, false),
            };
            let after = match change(seen.data()) {
                Ok(Some(after)) => after,
                // It is for what is there to say, and not for what was, here or at a server that is
                // behind.
                _ if is_guess => continue,
                _ if !is_final => {
                    is_final = true;
                    continue;
                }
                Ok(None) => {
                    known.last = Some(seen);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            if let Seen::Data(..) = seen
                && !self.witnesses().is_standing()
            {
                // A version says nothing of a node that was made anew since, with the versions of
                // the old one. Below what is read from now on there is a witness.
                self.witnesses().stand().await?;
                continue;
            }
            if let Some(answer) = self.commit(known, &seen, &after).await? {
                let next = next_version(&seen, answer.as_deref());
                // What was read behind the write knows better.
                known.last = known.last.take().or(next.map(|next| Seen::Data(after.clone(), next)));
                let before = seen.data().map(<[u8]>::to_vec);
                return Ok(Some(Changed { before, after }));
            }
            defeats += 1;
            if defeats % ATTEMPTS == 0 {
                // Where many change it at once nearly all that they ask for is in vain, and in the
                // way of the one who is next.
                let longest = PAUSE * (1 << (defeats / ATTEMPTS - 1).min(3));
                sleep(longest.mul_f64(self.client.random() as f64 / u64::MAX as f64)).await;
                known.last = None;
            }
        }
    }

    /// Writes over what was seen; `None` if that is not there any more. What a write that has
    /// taken effect was answered may be lost.
    async fn commit(
        &self,
        known: &mut Known,
        seen: &Seen,
        after: &[u8],
    ) -> Result<Option<Option<Vec<OpResult>>>, RecipeError> {
        let path = &*self.path;
        let op = match seen {
            Seen::Nothing => Op::create(path, after, CreateMode::Persistent),
            Seen::Data(_, version) if *version == Version::ANY => {
                // Of servers before 3.9, which count on through it: any version would do.
                return Err(RecipeError::exhausted(path, "versions have come round to -1"));
            }
            Seen::Data(_, version) => Op::set_data(path, after, *version),
        };
        let committing = self.witnesses().commit_below(std::slice::from_ref(&op));
        let (committed, read) = if known.is_contended {
            // The write is polled first, and so in line first.
            let (committed, read) = tokio::join!(committing, async {
                let read: Reply<_> = self.client.get_data(path);
                read.await
            });
            (committed, Seen::read(read).ok())
        } else {
            (committing.await, None)
        };
        let answer = match committed {
            Ok(Committed::Answered(results)) => Some(results),
            Ok(Committed::Unheard) => None,
            // Nor is anything known of what was read.
            Ok(Committed::NoWitness) => return Ok(None),
            Err(error) => {
                known.last = read;
                return self.is_beaten(known, seen, error).await.map(|()| None);
            }
        };
        known.last = read;
        known.is_contended = false;
        Ok(Some(answer))
    }

    /// Whether a write has failed because somebody else was faster, or because there is no node
    /// above, which is made then.
    async fn is_beaten(
        &self,
        known: &mut Known,
        seen: &Seen,
        error: RecipeError,
    ) -> Result<(), RecipeError> {
        let failed = error.client_error().filter(|error| error.op_index() == Some(0));
        match (failed.map(znode::Error::kind), seen) {
            (Some(ErrorKind::NoNode), Seen::Nothing) => {
                let parent = znode::path::parent(&self.path).filter(|parent| *parent != "/");
                let Some(parent) = parent else { return Err(error) };
                let made = self.client.ensure_path(parent, self.parents).await;
                made.map_err(|error| RecipeError::client(&self.path, error))
            }
            (Some(ErrorKind::BadVersion | ErrorKind::NoNode | ErrorKind::NodeExists), _) => {
                known.is_contended = true;
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Reads the node; behind everything that is acknowledged by now, if that is asked for.
    async fn look(&self, is_final: bool) -> Result<Seen, RecipeError> {
        let (client, path) = (&self.client, &*self.path);
        let read = if is_final {
            final_look(client, path, || client.get_data(path)).await
        } else {
            client.until_answered(|| client.get_data(path)).await
        };
        Seen::read(read).map_err(|error| RecipeError::client(path, error))
    }

    fn witnesses(&self) -> &Witnesses {
        let new = || Witnesses::new(&self.client, &*self.path);
        self.shared.witnesses.get_or_init(new)
    }
}

/// The version of what was written; `None` if that is not known.
fn next_version(seen: &Seen, answer: Option<&[OpResult]>) -> Option<Version> {
    match answer {
        Some([OpResult::DataSet(stat)]) => Some(stat.version),
        Some([OpResult::Created(created)]) => Some(created.stat.version),
        Some(_) => None,
        // The reply was lost, and the write took effect.
        None => match seen {
            Seen::Nothing => Some(Version(0)),
            Seen::Data(_, Version(version)) => {
                version.checked_add(1).map(Version).filter(|next| *next != Version::ANY)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CURATOR-688: what comes behind the last version is for the server to say.
    #[test]
    fn curator_688_a_version_that_comes_round_is_read_and_not_guessed() {
        let at = |version| Seen::Data(Vec::new(), Version(version));
        assert_eq!(next_version(&Seen::Nothing, None), Some(Version(0)));
        assert_eq!(next_version(&at(7), None), Some(Version(8)));
        assert_eq!(next_version(&at(i32::MAX), None), None);
        // Minus one is any version, and not the next.
        assert_eq!(next_version(&at(-2), None), None);
    }
}
