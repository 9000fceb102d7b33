//! What a participant is asked, one transaction after another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::join_all;
use futures::stream::{BoxStream, Stream, StreamExt, once, try_unfold};
use znode::{Client, Error, ErrorKind, Path, Stat, Watched, Zxid};

use super::ballot::Ballot;
use super::decision::Party;
use super::desk::{Desk, decode, found};
use super::record::decode_vote;
use crate::recipe_error::RecipeError;

/// The transactions that a participant has not finished, those that were proposed first first; see
/// [`TwoPhaseCommit::ballots`](crate::TwoPhaseCommit::ballots).
///
/// It ends after an error: `InvalidPath`, of which nothing was sent, or `Client` with the client's
/// own error, as the end of the session, or `NoAuth` if the names of the transactions may not be
/// read.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::TryStreamExt;
/// use znode_recipes::{Ballots, TwoPhaseCommit, Vote};
///
/// let orders = TwoPhaseCommit::new(&client, "/transactions/orders");
/// let mut ballots: Ballots = orders.ballots("stock");
/// while let Some(ballot) = ballots.try_next().await? {
///     println!("{}: {:?}", ballot.id(), ballot.cast());
///     let voted = ballot.vote(Vote::No).await?;
///     voted.decision().await?.applied().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Ballots(BoxStream<'static, Result<Ballot, RecipeError>>);

struct Desks {
    names: Watched<(Vec<String>, Stat)>,
    clerk: Clerk,
    next: VecDeque<Ballot>,
}

/// Whoever looks what there is to vote on.
struct Clerk {
    client: Client,
    path: Arc<str>,
    participant: String,
    /// Each by its name, with the transaction that made it: another may have the name by now.
    seen: BTreeMap<String, Zxid>,
}

impl Ballots {
    pub(super) fn new(client: &Client, path: &Arc<str>, participant: String) -> Self {
        if let Err(invalid) = Path::parse(path) {
            return Self(once(ready(Err(RecipeError::invalid_path(invalid)))).boxed());
        }
        let (client, path, names) = (client.clone(), Arc::clone(path), client.watch_children(path));
        let clerk = Clerk { client, path, participant, seen: BTreeMap::new() };
        let desks = Desks { names, clerk, next: VecDeque::new() };
        Self(try_unfold(desks, Desks::next).boxed())
    }
}

impl Desks {
    async fn next(mut self) -> Result<Option<(Ballot, Self)>, RecipeError> {
        loop {
            if let Some(ballot) = self.next.pop_front() {
                return Ok(Some((ballot, self)));
            }
            let path = Arc::clone(&self.clerk.path);
            let failed = |error| RecipeError::client(&path, error);
            let Some(listed) = self.names.recv().await else { return Ok(None) };
            let names = listed.map_err(failed)?.map_or_else(Vec::new, |(names, _)| names);
            let ballots = self.clerk.look(names).await.map_err(failed)?;
            self.next.extend(ballots.into_values());
        }
    }
}

impl Clerk {
    /// What there is to vote on among these, that was not seen yet.
    async fn look(&mut self, names: Vec<String>) -> Result<BTreeMap<Zxid, Ballot>, Error> {
        let standing: BTreeSet<_> = names.iter().collect();
        self.seen.retain(|name, _| standing.contains(name));
        let looks = names.into_iter().map(|name| async {
            let path = znode::path::join(&self.path, &name);
            let seen = self.seen.get(&name).copied();
            if seen.is_some() {
                let stat = self.client.until_answered(|| self.client.exists(&path)).await?;
                if stat.map(|stat| stat.czxid) == seen {
                    return Ok(None);
                }
            }
            match self.read(&path).await {
                Ok(read) => Ok(read.map(|(czxid, ballot)| (name, czxid, ballot))),
                // It may be read some day: it is looked at again with the next change.
                Err(error) if error.kind() == ErrorKind::NoAuth => {
                    tracing::warn!(path, %error, "passed over");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        let mut fresh = BTreeMap::new();
        let looked: Vec<_> = join_all(looks).await;
        for looked in looked {
            let Some((name, czxid, ballot)) = looked? else { continue };
            self.seen.insert(name, czxid);
            fresh.extend(ballot.map(|ballot| (czxid, ballot)));
        }
        Ok(fresh)
    }

    /// A transaction that was not seen yet; `None` if it has gone.
    async fn read(&self, path: &str) -> Result<Option<(Zxid, Option<Ballot>)>, Error> {
        let read = self.client.until_answered(|| self.client.get_data(path)).await;
        let Some((data, stat)) = found(read)? else { return Ok(None) };
        Ok(Some((stat.czxid, self.ballot(path, &data, &stat).await?)))
    }

    /// The ballot of a transaction; `None` if this participant has none there, or not any more.
    async fn ballot(&self, path: &str, data: &[u8], stat: &Stat) -> Result<Option<Ballot>, Error> {
        let record = match decode(path, data, stat) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(path, %error, "passed over");
                return Ok(None);
            }
        };
        let charter = Arc::new(record.charter);
        if !charter.participants.contains(&self.participant) {
            return Ok(None);
        }
        let own = znode::path::join(path, &charter.node_of(&self.participant));
        let read = self.client.until_answered(|| self.client.get_data(&own)).await;
        let Some((data, _)) = found(read)? else { return Ok(None) };
        let Some(cast) = decode_vote(&data) else {
            tracing::warn!(path = own, "passed over: it is no vote");
            return Ok(None);
        };
        let party = Party::Participant(self.participant.clone());
        Ok(Some(Ballot::new(Desk::new(&self.client, path, charter, party, own), cast)))
    }
}

impl Stream for Ballots {
    type Item = Result<Ballot, RecipeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Ballots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ballots")
    }
}
