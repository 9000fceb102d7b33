//! Transactions among several participants: how they are proposed, found again and taken over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use znode::{Client, CreateMode, Error, ErrorKind, Op, Outcome, Parents, Path, Version};

use super::ballots::Ballots;
use super::decision::{Decision, Party, Vote};
use super::desk::{Desk, LOSSES_MAX, commit, decode, found, sync};
use super::limits::check;
use super::proposal::Proposal;
use super::record::{Charter, Record, decode_vote, encode_vote};
use super::seat::Seat;
use crate::member::child;
use crate::recipe_error::RecipeError;

/// For how long one waits for a decision, unless it is said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// What several participants do all of them or none: they are asked, each votes once, and it is
/// committed if all have said yes.
///
/// It is the two-phase commit of ZooKeeper's recipes. A transaction is a node below the path, with
/// a child for each participant. Votes and the decision stay there until every participant has
/// said that it has applied it, so whoever dies on the way finds them when it comes back; then the
/// node goes.
///
/// The decision is one write, made in a ZooKeeper transaction that checks what it was concluded
/// from: so anybody who has a part may decide, and whoever comes second is told. It is written with
/// the vote that it follows from, by whoever casts that: the last yes commits, the first no
/// aborts. Where several cast their last yeses at once, one of them writes it right behind its
/// vote. So the coordinator may die as soon as it has proposed. And nobody is blocked for ever:
/// whoever waits longer than the [patience](Self::with_patience) of the transaction aborts it,
/// unless everybody has voted by then.
///
/// Proposing is one request, and so is each vote, behind one round trip in which all nodes are
/// read. A vote that decides nothing is followed by another such round trip. Waiting is a watch.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Decision, TwoPhaseCommit};
///
/// let orders = TwoPhaseCommit::new(&client, "/transactions/orders");
/// let proposal = orders.propose("4711", ["stock", "payments"], "two of them").await?;
/// match proposal.outcome().await? {
///     Decision::Committed { .. } => println!("sold"),
///     Decision::Aborted { by, reason } => println!("{reason}, by {by}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// A participant, which may have been started anew, and then is asked again what it has not
/// finished (and which may do this side by side, for as many as it likes):
///
/// ```no_run
/// # fn reserve(order: &[u8]) -> bool { true }
/// # fn book(order: &[u8]) {}
/// # fn set_free(order: &[u8]) {}
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::TryStreamExt;
/// use znode_recipes::{TwoPhaseCommit, Vote};
///
/// let mut ballots = TwoPhaseCommit::new(&client, "/transactions/orders").ballots("stock");
/// while let Some(ballot) = ballots.try_next().await? {
///     let vote = match ballot.cast() {
///         Some(before) => before,
///         None if reserve(ballot.payload()) => Vote::Yes,
///         None => Vote::No,
///     };
///     let decided = ballot.vote(vote).await?.decision().await?;
///     if decided.decision().is_committed() {
///         book(decided.payload());
///     } else {
///         set_free(decided.payload());
///     }
///     decided.applied().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TwoPhaseCommit {
    client: Client,
    path: Arc<str>,
    patience: Duration,
}

/// A transaction as it stands; see [`TwoPhaseCommit::transactions`].
///
/// ```
/// fn told(transaction: &znode_recipes::Transaction) -> String {
///     let (id, payload) = (transaction.id(), transaction.payload().len());
///     match transaction.decision() {
///         Some(decision) => format!("{id}: {decision}; {:?} to apply it", transaction.votes()),
///         None => format!("{id}, {payload} bytes: {:?}", transaction.votes()),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    id: String,
    record: Record,
    votes: BTreeMap<String, Option<Vote>>,
}

impl TwoPhaseCommit {
    /// The transactions below `path`. Whether that can be a path is checked when it is first asked
    /// of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        // What one writes all others read, whether they compress or not.
        let client = client.without_deadline().without_compression();
        Self { client, path: path.into().into(), patience: PATIENCE }
    }

    /// The same, where those who take part in what is proposed through this handle wait so long for
    /// a decision before they abort: 30 seconds otherwise. Counted in whole milliseconds, by each
    /// for itself, from when it begins to wait.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
    /// use std::time::Duration;
    /// use znode_recipes::TwoPhaseCommit;
    ///
    /// let orders = TwoPhaseCommit::new(&client, "/transactions/orders");
    /// let quick = orders.with_patience(Duration::from_secs(2));
    /// println!("transactions at {}", quick.path());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.patience = Duration::from_millis(ms);
        self
    }

    /// The path of the node that they stand below.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Proposes a transaction, once, whatever replies are lost: then all of its nodes are there.
    ///
    /// The id is its name for as long as it stands; afterwards another one may have it.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `InvalidArgument` if the id or the name of a participant cannot be part of a node's name,
    ///   if there is no participant, if one is named twice, if there are more than 1,000 or their
    ///   names have more than 64 KiB, if the payload has more than 512 KiB, or if a decision could
    ///   be longer than the one MiB that a client sends at once: it has the payload, each name
    ///   three times, and for each participant the path; nothing was sent;
    /// - `Conflict` if a transaction of this id stands already; `Foreign` if something else does;
    /// - `Client` with the client's own error, as `NoAuth`, or the end of the session. Then its
    ///   [outcome](RecipeError::outcome) may be `Unknown`; a lost connection is told only after 10
    ///   attempts.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect or not, whole. Then the transaction
    /// goes on without its coordinator; whoever wants to know what became of it can
    /// [`recover`](Self::recover) it.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn propose<N: Into<String>>(
        &self,
        id: &str,
        participants: impl IntoIterator<Item = N>,
        payload: impl AsRef<[u8]>,
    ) -> Result<Proposal, RecipeError> {
        let path = child(&self.path, id)?;
        let participants = participants.into_iter().map(Into::into).collect();
        let charter = Charter {
            guid: self.client.guid(),
            patience: self.patience,
            participants,
            payload: payload.as_ref().to_vec(),
        };
        check(self.client.chroot().as_str().len() + path.len(), &path, &charter)?;
        let nodes = charter.participants.iter();
        let nodes: Vec<_> =
            nodes.map(|name| znode::path::join(&path, &charter.node_of(name))).collect();
        let record = Record { charter, decision: None };
        let seat = Seat::new(&self.client, &path);
        // A server takes away a container that has become empty, if whoever was to do so has died.
        let mut ops = vec![Op::create(&path, record.encode(), CreateMode::Container)];
        let none = encode_vote(None);
        ops.extend(nodes.iter().map(|node| Op::create(node, none, CreateMode::Persistent)));
        ops.push(Op::create(seat.path(), "", CreateMode::Ephemeral));
        self.make(&path, &ops, &seat).await?;
        let own = seat.path().to_owned();
        let desk =
            Desk::new(&self.client, &path, Arc::new(record.charter), Party::Coordinator, own);
        Ok(Proposal::new(desk, seat))
    }

    /// Takes a transaction over as its coordinator, beside others if there are any; `None` if none
    /// of this id stands.
    ///
    /// It is for whoever was its coordinator and has died, or for somebody in its place. The new
    /// one decides by the same rules, or is told what was decided.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
    /// use znode_recipes::TwoPhaseCommit;
    ///
    /// let orders = TwoPhaseCommit::new(&client, "/transactions/orders");
    /// for transaction in orders.transactions().await? {
    ///     if let Some(proposal) = orders.recover(transaction.id()).await? {
    ///         println!("{}: {}", proposal.id(), proposal.outcome().await?);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`propose`](Self::propose), but `Conflict`.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is left of it.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn recover(&self, id: &str) -> Result<Option<Proposal>, RecipeError> {
        let path = child(&self.path, id)?;
        let client = &self.client;
        let failed = |error| RecipeError::client(&path, error);
        // Something else that stands there is left as it is.
        if self.read(&path).await?.is_none() {
            // A server that is behind does not know of it yet.
            sync(client, &path).await.map_err(failed)?;
            if self.read(&path).await?.is_none() {
                return Ok(None);
            }
        }
        let mut seat = Seat::unproven(client, &path);
        match client.create_proven(seat.path(), "", CreateMode::Ephemeral).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NoNode => {
                seat.forget();
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        }
        // What is read now stands for as long as our node does.
        let Some((record, _)) = self.read(&path).await? else { return Ok(None) };
        seat.prove();
        let (charter, own) = (Arc::new(record.charter), seat.path().to_owned());
        let desk = Desk::new(client, &path, charter, Party::Coordinator, own);
        Ok(Some(Proposal::new(desk, seat)))
    }

    /// All transactions that stand, by their ids, as the server that this client is connected to
    /// knows them: those that are undecided, and those that somebody has to apply yet. What is no
    /// transaction, or may not be read, is passed over, with a warning in the log.
    ///
    /// # Errors
    /// `InvalidPath`, before anything is sent; `Client` with the client's own error.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn transactions(&self) -> Result<Vec<Transaction>, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        let failed = |error| RecipeError::client(&self.path, error);
        let listed = self.client.until_answered(|| self.client.get_children(&self.path)).await;
        let mut ids = match listed {
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            listed => listed.map_err(failed)?,
        };
        ids.sort_unstable();
        let read = ids.into_iter().map(|id| self.transaction(id));
        let mut all = Vec::new();
        for transaction in join_all(read).await {
            match transaction {
                // What everybody has applied is over, also where its node is left of it.
                Ok(found) => all.extend(found.filter(|it| !it.is_over())),
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => tracing::warn!(path = error.path(), %error, "passed over"),
            }
        }
        Ok(all)
    }

    /// What this participant is to vote on, and what it has voted on and not applied yet; and
    /// whatever is proposed to it from then on, each once.
    ///
    /// It costs one watch. Whenever a transaction has come or gone, all names are read again; then,
    /// at once, one `exists` for each transaction that was seen and still stands, and two reads,
    /// one behind the other, for each that is new. What is no transaction, or may not be read, is
    /// passed over, with a warning in the log; what may not be read is tried again with the next
    /// change. If the path cannot be one, nothing is sent, and the stream yields `InvalidPath`.
    pub fn ballots(&self, participant: impl Into<String>) -> Ballots {
        Ballots::new(&self.client, &self.path, participant.into())
    }

    async fn make(&self, path: &str, ops: &[Op], seat: &Seat) -> Result<(), RecipeError> {
        let client = &self.client;
        let failed = |error| RecipeError::client(path, error);
        let mut losses = 0;
        loop {
            let Err(error) = commit(client, ops).await else { return Ok(()) };
            match (error.kind(), error.op_index()) {
                (ErrorKind::ConnectionLoss, _) if error.outcome() == Outcome::NotSent => {}
                (ErrorKind::ConnectionLoss, _) => {
                    let looked = seat.is_taken().await;
                    if looked.map_err(|error| failed(error).but_unknown())? {
                        return Ok(());
                    }
                    losses += 1;
                    if losses == LOSSES_MAX {
                        return Err(failed(error));
                    }
                }
                (ErrorKind::NoNode, Some(0)) if &*self.path != "/" => {
                    let make = || client.ensure_path(&self.path, Parents::Container);
                    client.until_answered(make).await.map_err(failed)?;
                }
                (ErrorKind::NodeExists, Some(0)) => {
                    if let Err(error) = self.clear(path).await {
                        seat.forget();
                        return Err(error);
                    }
                }
                _ => {
                    if error.outcome() != Outcome::Unknown {
                        seat.forget();
                    }
                    return Err(failed(error));
                }
            }
        }
    }

    /// Takes away what is left of a transaction that everybody has applied, whose coordinator has
    /// died before it could.
    async fn clear(&self, path: &str) -> Result<(), RecipeError> {
        let stands = || RecipeError::conflict(path, "a transaction of this id stands already");
        let Some((record, version)) = self.read(path).await? else { return Ok(()) };
        if record.decision.is_none() {
            return Err(stands());
        }
        match self.client.until_answered(|| self.client.delete(path, version)).await {
            Err(error) if error.kind() == ErrorKind::NotEmpty => Err(stands()),
            // Somebody else has, and may have proposed another one.
            Err(error) if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::BadVersion) => {
                Ok(())
            }
            cleared => cleared.map(drop).map_err(|error| RecipeError::client(path, error)),
        }
    }

    /// A record, with the version of its node; `None` if there is none.
    async fn read(&self, path: &str) -> Result<Option<(Record, Version)>, RecipeError> {
        let read = self.client.until_answered(|| self.client.get_data(path)).await;
        let read = found(read).map_err(|error| RecipeError::client(path, error))?;
        let record = read.map(|(data, stat)| Ok((decode(path, &data, &stat)?, stat.version)));
        record.transpose()
    }

    /// What stands of a transaction; `None` if it has gone.
    async fn transaction(&self, id: String) -> Result<Option<Transaction>, RecipeError> {
        let path = znode::path::join(&self.path, &id);
        let Some((record, _)) = self.read(&path).await? else { return Ok(None) };
        let nodes = record.charter.participants.iter().map(|name| async {
            let node = znode::path::join(&path, &record.charter.node_of(name));
            let read = self.client.until_answered(|| self.client.get_data(&node)).await;
            Ok::<_, Error>((name.clone(), found(read)?))
        });
        let mut votes = BTreeMap::new();
        for node in join_all(nodes).await {
            let (name, node) = node.map_err(|error| RecipeError::client(&path, error))?;
            let Some((data, _)) = node else { continue };
            let vote = decode_vote(&data);
            let foreign = || RecipeError::foreign(&path, format!("{name:?} has cast no vote"));
            votes.insert(name.clone(), vote.ok_or_else(foreign)?);
        }
        Ok(Some(Transaction { id, record, votes }))
    }
}

impl Transaction {
    fn is_over(&self) -> bool {
        self.decision().is_some() && self.votes.is_empty()
    }

    /// What it is called.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is about, as it was proposed.
    pub fn payload(&self) -> &[u8] {
        &self.record.charter.payload
    }

    /// The decision, if there is one.
    pub fn decision(&self) -> Option<&Decision> {
        self.record.decision.as_ref()
    }

    /// What each participant has voted, if it has. Those that have applied the decision are left
    /// out.
    pub fn votes(&self) -> &BTreeMap<String, Option<Vote>> {
        &self.votes
    }
}

/// Whether it keeps one from reading anything: what may not be read may be somebody else's.
fn is_fatal(error: &RecipeError) -> bool {
    error.client_error().is_some_and(|error| error.kind() != ErrorKind::NoAuth)
}
