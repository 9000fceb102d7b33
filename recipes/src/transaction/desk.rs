//! Where somebody who has a part in a transaction looks at it, and writes what is to be written.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, join3};
use znode::{Client, Error, ErrorKind, Op, OpResult, Outcome, RetryPolicy, Stat, Version};

use super::decision::{Decision, Party, Vote};
use super::record::{Charter, Record, decode_vote, encode_vote};
use super::rules::{Cast, Intent, Plan, Step, View, next};
use crate::clock::now;
use crate::final_look::final_look;
use crate::recipe_error::RecipeError;

/// How often the connection may be lost at one write before that is the caller's to hear of: a
/// server may end it because of the write itself, whose data is over a limit of its own.
pub(super) const LOSSES_MAX: usize = 10;
/// The pauses between two attempts at a write that there is no room for.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A node as it was read; `None` if there is none.
type Read = Option<(Vec<u8>, Stat)>;

/// One party at one transaction.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    client: Client,
    /// Of the transaction.
    path: Arc<str>,
    charter: Arc<Charter>,
    party: Arc<Party>,
    /// The path of our own node below it. While that stands, so does the transaction: whatever is
    /// written is written with a look at it, so that it cannot be of another transaction that has
    /// the same id.
    own: Arc<str>,
}

/// What has come of an intent.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    /// What our own node says now, if we are a participant.
    pub(super) cast: Option<Vote>,
    pub(super) decision: Option<Decision>,
}

impl Desk {
    pub(super) fn new(
        client: &Client,
        path: &str,
        charter: Arc<Charter>,
        party: Party,
        own: String,
    ) -> Self {
        let (client, party) = (client.clone(), Arc::new(party));
        Self { client, path: path.into(), charter, party, own: own.into() }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn own(&self) -> &str {
        &self.own
    }

    pub(super) fn charter(&self) -> &Charter {
        &self.charter
    }

    /// Waits for the decision, for so long; then decides it.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub(super) async fn decision(&self, patience: Duration) -> Result<Decision, RecipeError> {
        let until = now().checked_add(patience);
        // Whoever has voted last may have died before the votes were counted.
        if let Some(decision) = self.settle(Intent::Await).await?.decision {
            return Ok(decision);
        }
        let mut changes = self.client.watch_data(&self.path);
        loop {
            let change = match until {
                Some(until) => tokio::time::timeout_at(until, changes.recv()).await.ok(),
                None => Some(changes.recv().await),
            };
            let Some(change) = change else { break };
            let Some(read) = change else { return Err(self.gone()) };
            let read = read.map_err(|error| RecipeError::client(&self.path, error))?;
            let record = self.record(read.as_ref().map(|(data, stat)| (&data[..], stat)))?;
            if let Some(decision) = record.decision {
                return Ok(decision);
            }
        }
        loop {
            // It has an answer as soon as it has looked at everything.
            if let Some(decision) = self.settle(Intent::GiveUp).await?.decision {
                return Ok(decision);
            }
        }
    }

    /// Does what is to be done, once, whatever replies are lost.
    ///
    /// # Errors
    /// `Lost` if our own node is gone; `Conflict` if we have voted otherwise; `Foreign` if
    /// something else stands there; `Client` with the client's own error.
    pub(super) async fn settle(&self, intent: Intent) -> Result<Settled, RecipeError> {
        let (settled, has_written) = self.carry_out(intent).await?;
        if !has_written || settled.decision.is_some() {
            return Ok(settled);
        }
        // Two who vote at once do not see each other's vote, and each takes the other for missing.
        // Whoever was written last sees both now.
        match self.carry_out(Intent::Await).await {
            Ok((Settled { decision, .. }, _)) => Ok(Settled { decision, ..settled }),
            Err(error) => {
                // The vote is cast all the same: what is wrong is told to whoever waits.
                tracing::debug!(path = &*self.path, %error, "votes are not counted");
                Ok(settled)
            }
        }
    }

    /// Looks, and writes what the rules say, until that fits what is there; returns also whether
    /// something was written for certain by the last write.
    async fn carry_out(&self, intent: Intent) -> Result<(Settled, bool), RecipeError> {
        let mut is_doubtful = intent == Intent::GiveUp;
        let (mut may_be_done, mut losses) = (false, 0);
        let but_maybe = |error: RecipeError, may_be_done| match may_be_done {
            true => error.but_unknown(),
            false => error,
        };
        loop {
            let view = self.view(is_doubtful).await;
            let view = view.map_err(|error| but_maybe(error, may_be_done))?;
            let own = match &*self.party {
                Party::Participant(name) => view.ballots.get(name),
                Party::Coordinator => None,
            };
            let cast = own.and_then(|cast| cast.vote);
            let plan = match next(&view, &self.party, intent) {
                Step::Told(decision) => {
                    return Ok((Settled { cast, decision: Some(decision) }, false));
                }
                Step::Wait => return Ok((Settled { cast, decision: None }, false)),
                Step::Contradicts(before) => {
                    let what = format!("{} has voted {before} before", self.party);
                    return Err(RecipeError::conflict(&self.path, what));
                }
                Step::Write(plan) => plan,
            };
            is_doubtful = true;
            match commit(&self.client, &self.ops(&view, &plan)).await {
                Ok(_) => {
                    let cast = plan.vote.map(|(vote, _)| vote).or(cast);
                    return Ok((Settled { cast, decision: plan.decision }, true));
                }
                Err(error) if error.kind() == ErrorKind::ConnectionLoss && losses < LOSSES_MAX => {
                    losses += usize::from(error.outcome() == Outcome::Unknown);
                    may_be_done |= error.outcome() == Outcome::Unknown;
                }
                Err(error) if is_overtaken(&error) => {}
                Err(error) => {
                    let error = RecipeError::client(&self.path, error);
                    return Err(but_maybe(error, may_be_done));
                }
            }
        }
    }

    /// Everything that stands there.
    async fn view(&self, is_doubtful: bool) -> Result<View, RecipeError> {
        let failed = |error| RecipeError::client(&self.path, error);
        if is_doubtful {
            sync(&self.client, &self.path).await.map_err(failed)?;
        }
        let (record, seat, nodes) = self.read().await.map_err(failed)?;
        let record = self.record(record.as_ref().map(|(data, stat)| (&data[..], stat)))?;
        let mut ballots = BTreeMap::new();
        for (name, node) in self.charter.participants.iter().zip(nodes) {
            let Some((data, stat)) = node else { continue };
            let path = znode::path::join(&self.path, &self.charter.node_of(name));
            let Some(vote) = decode_vote(&data).filter(|_| stat.version != Version::ANY) else {
                return Err(RecipeError::foreign(&path, "it is no vote: neither yes, nor no"));
            };
            ballots.insert(name.clone(), Cast { vote, version: stat.version.0 });
        }
        let stands = match &*self.party {
            Party::Participant(name) => ballots.contains_key(name),
            Party::Coordinator => seat.is_some(),
        };
        if stands { Ok(View { record, ballots }) } else { Err(self.gone()) }
    }

    /// One round trip: the record, the node of a coordinator, and those of all participants.
    ///
    /// Each node is asked for again by itself, since all at once may be more than this client may
    /// ever ask for; but none before the record: what is said of a decision is the last word.
    async fn read(&self) -> Result<(Read, Read, Vec<Read>), Error> {
        let read = async |path: &str| {
            found(self.client.until_answered(|| self.client.get_data(path)).await)
        };
        let all = async || {
            let record = async { found(self.client.get_data(&self.path).await) };
            let seat = async {
                match *self.party {
                    Party::Coordinator => read(&self.own).await,
                    Party::Participant(_) => Ok(None),
                }
            };
            let nodes = self.charter.participants.iter().map(async |name| {
                read(&znode::path::join(&self.path, &self.charter.node_of(name))).await
            });
            let (record, seat, nodes) = join3(record, seat, join_all(nodes)).await;
            Ok((record?, seat?, nodes.into_iter().collect::<Result<_, _>>()?))
        };
        self.client.until_answered(all).await
    }

    /// What is there as a record of this transaction.
    fn record(&self, read: Option<(&[u8], &Stat)>) -> Result<Record, RecipeError> {
        let (data, stat) = read.ok_or_else(|| self.gone())?;
        let record = decode(&self.path, data, stat)?;
        if record.charter.guid != self.charter.guid {
            return Err(self.gone());
        }
        Ok(record)
    }

    fn ops(&self, view: &View, plan: &Plan) -> Vec<Op> {
        let node = |name: &str| znode::path::join(&self.path, &self.charter.node_of(name));
        let vote = plan.vote.map(|(vote, version)| {
            Op::set_data(&*self.own, encode_vote(Some(vote)), Version(version))
        });
        let checks = plan.checks.iter().map(|(name, v)| Op::check(node(name), Version(*v)));
        let seat =
            matches!(*self.party, Party::Coordinator).then(|| Op::check(&*self.own, Version::ANY));
        // Undecided is what nobody has written since it was made.
        let record = match &plan.decision {
            Some(decision) => {
                let (charter, decision) = (view.record.charter.clone(), Some(decision.clone()));
                Op::set_data(&*self.path, Record { charter, decision }.encode(), UNDECIDED)
            }
            None => Op::check(&*self.path, UNDECIDED),
        };
        vote.into_iter().chain(checks).chain(seat).chain([record]).collect()
    }

    fn gone(&self) -> RecipeError {
        RecipeError::lost(&self.own, "the transaction is over, or somebody has deleted the node")
    }
}

/// The version of a record that nobody has decided: it is written once.
const UNDECIDED: Version = Version(0);

/// Waits for everything that was on its way: what is read behind it is final, also over another
/// connection, since a session never goes back.
///
/// # Errors
/// The end of the session.
pub(super) async fn sync(client: &Client, path: &str) -> Result<(), Error> {
    final_look(client, path, || ready(Ok(()))).await
}

/// Carries out a ZooKeeper transaction once there is room for it. What was concluded from something
/// older by then is refused.
///
/// # Errors
/// As of [`Client::multi`], but `Overloaded`.
pub(super) async fn commit(client: &Client, ops: &[Op]) -> Result<Vec<OpResult>, Error> {
    // Those who ask for something else meanwhile, in step, would never leave any.
    let policy = RetryPolicy::exponential(PAUSE_MIN, PAUSE_MAX);
    let is_full = |error: &Error| error.kind() == ErrorKind::Overloaded;
    policy.run_if(client, is_full, || client.multi(ops.iter().cloned())).await
}

/// A record that was read.
///
/// # Errors
/// `Foreign` if it is none, or if it was written in another way than this recipe does.
pub(super) fn decode(path: &str, data: &[u8], stat: &Stat) -> Result<Record, RecipeError> {
    let record = Record::decode(data).ok_or("its data is no transaction's");
    let record = record.and_then(|record| match record.decision {
        None if stat.version != UNDECIDED => Err("it is undecided, and yet was written"),
        _ => Ok(record),
    });
    record.map_err(|what| RecipeError::foreign(path, what))
}

/// `None` if there is no node.
pub(super) fn found(read: Result<(impl AsRef<[u8]>, Stat), Error>) -> Result<Read, Error> {
    match read {
        Ok((data, stat)) => Ok(Some((data.as_ref().to_vec(), stat))),
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether somebody has written or deleted something that this was concluded from.
fn is_overtaken(error: &Error) -> bool {
    let kinds = [ErrorKind::BadVersion, ErrorKind::NoNode];
    error.op_index().is_some() && kinds.contains(&error.kind())
}
