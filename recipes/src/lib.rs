//! Distributed locks over [`znode`]: guards with fencing tokens, compatible with Apache Curator
//! on the wire.
//!
//! ```no_run
//! use znode::Client;
//! use znode_recipes::{LockError, Mutex};
//! # async fn run(token: znode::Zxid) {}
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("zk1:2181,zk2:2181").await?;
//! let guard = Mutex::new(&client, "/locks/invoice-run").lock().await?;
//! tokio::select! {
//!     () = run(guard.token()) => {}
//!     reason = guard.lost() => return Err(LockError::from(reason).into()),
//! }
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What every recipe promises
//! - Futures are lazy and `Send`; those that take locks, or lead, are `'static`, too, and the
//!   others borrow their recipe. Dropping one at any await leaves no node, watch or
//!   waiter behind, also when its request is still under way.
//! - Nothing is asked again in the name of another session, and no node of another session is
//!   taken for ours.
//! - Whoever holds has a [`Guard`]: a fencing token, writes that fail once the lock is lost, and
//!   news of losing it. Dropping the guard lets go.
//! - A server's refusal is an error, never silence.
//!
//! # Which lock
//!
//! | recipe | who holds | on the wire |
//! |---|---|---|
//! | [`Mutex`] | one | Curator's `InterProcessMutex`, or kazoo's or go-zookeeper's [`Layout`] |
//! | [`ReadWriteLock`] | a writer, or readers | Curator's `InterProcessReadWriteLock`; kazoo's |
//! | [`Semaphore`] | as many as there are permits | Curator's `InterProcessSemaphoreV2` |
//! | [`MultiLock`] | one holder of several of these | |
//! | [`ReentrantGuard`] | the holder of one, several times | |
//!
//! # Who leads
//!
//! | recipe | what it is for | on the wire |
//! |---|---|---|
//! | [`LeaderLatch`] | to lead, to know who does, to be told of it | Curator's `LeaderLatch` |
//! | [`LeaderSelector`] | to do some work while leading, in turns | Curator's `LeaderSelector` |
//! | [`HotStandby`] | to go on with the work of whoever is gone | a selector and a checkpoint |
//! | [`ColdStandby`] | many pieces of work, and few who work | some of those |
//!
//! A leadership is a [`Guard`], and its token the epoch.
//!
//! # What is shared
//!
//! | recipe | what it is for | on the wire |
//! |---|---|---|
//! | [`Counter`] | to count together | Curator's `DistributedAtomicLong`; kazoo's `Counter` |
//! | [`AtomicValue`] | to change a value together | Curator's `DistributedAtomicValue` |
//! | [`CachedCounter`] | numbers without a request for each | a counter |
//! | [`Cache`] | to have what stands below a path at hand | Curator's `CuratorCache` |
//! | [`Queue`] | work, done again if it fails | Curator's `DistributedQueue` and its kinds |
//! | [`ShardedQueue`] | more work than one node can list | Curator's `QueueSharder` |
//! | [`SimpleQueue`] | items taken once | Curator's `SimpleDistributedQueue`; kazoo's `Queue` |
//! | [`UniqueIds`] | names that are given once, and grow with time | a counter |
//! | [`Configuration`] | settings that one publishes and many follow | |
//! | [`TwoPhaseCommit`] | what several do all of them or none | ZooKeeper's recipe |
//!
//! What succeeds is done once: every change leaves a witness of its own in the same transaction, so
//! a lost reply is no doubt.
//!
//! # Who waits for whom
//!
//! | recipe | what it is for | on the wire |
//! |---|---|---|
//! | [`Barrier`] | a gate, closed until opened | Curator's `DistributedBarrier`, kazoo's |
//! | [`DoubleBarrier`] | to begin and to end together | Curator's `DistributedDoubleBarrier` |
//! | [`CountdownLatch`] | until something has happened so often | a counter |
//!
//! # Who is there
//!
//! | recipe | what it is for | on the wire |
//! |---|---|---|
//! | [`PersistentNode`] | a node that comes back | Curator's `PersistentNode` |
//! | [`TtlNode`] | a node that outlives sessions, for a time | Curator's `PersistentTtlNode` |
//! | [`Group`] | to be in a group, to know who is | Curator's `GroupMember`; kazoo's `Party` |
//! | [`Partitioner`] | parts, each of which one member has at a time | kazoo's `SetPartitioner` |
//! | `Discovery` | to offer a service, to find who does; feature `discovery` | Curator's |
//!
//! # What a guard is worth
//! A guard that is [held](GuardState::Held) is a belief: a follower that was cut off answers pings
//! while its leader has given the lock away. Three things are more than that. Whatever is written
//! through [`Guard::client`] has taken effect under the lock, or not at all. Whoever compares
//! [tokens](Guard::token), or verifies a [`Sequencer`], is told by nobody who holds no more. And
//! up to its [deadline](Guard::deadline) nobody else can have the lock; a guard that is
//! [strict](LockOptions::strict) sees to it that this is always ahead, or is lost.
//!
//! # A map of the rooms
//!
//! | room | what it holds |
//! |---|---|
//! | `lock` | the locks, and the `line` that contenders of each stand in |
//! | `guard`, `guarded`, `run` | [`Guard`], [`GuardedClient`], [`Run`]: what every lock hands out |
//! | `leader` | the elections, and those who take part in them |
//! | `parked` | guarded writes that wait out a connection that is down |
//! | `holding`, `guard_state`, `loss` | what a holder may believe, until when, and why no longer |
//! | `watchman` | the task that watches over a held node |
//! | `sequencer`, `tombstone` | what others are told of a holding, and of a holder that died |
//! | `contender`, `departure` | the ephemeral sequential node that is never lost sight of |
//! | `sequence`, `layout` | which children contend, in which order, and whose turn it is; pure |
//! | `queue` | items that wait for whoever takes them |
//! | `cache` | copies of nodes that follow them; its `mirror` is pure |
//! | `configuration` | settings that one publishes and many follow; its `book` and `eye` are pure |
//! | `transaction` | what several do all of them or none; its `rules` are pure |
//! | `barrier` | those who wait for each other |
//! | `member` | nodes that come back, groups |
//! | `partition` | parts divided among members; its `division` and `ledger` are pure |
//! | `discovery` | services and who offers them |
//! | `presence` | an ephemeral node that goes when whoever wanted it does |
//! | `counter` | numbers and values that several change |
//! | `witness`, `final_look` | whether something whose reply was lost has taken effect |
//! | `notice`, `joined` | waiting for what somebody else changes, and for the end of a task |
//! | `order` | locks that are asked for in both orders, found in debug builds |
//! | `options`, `reentrant` | [`LockOptions`], [`ReentrantGuard`] |
//! | `error`, `recipe_error` | [`LockError`], [`RecipeError`] |
//!
//! A lock is acquired along one straight line: `lock/mutex.rs` asks `lock/line.rs`, which enters
//! a `contender`, asks `sequence` where it stands, waits for the one ahead, and hands the
//! contender to a `guard`.

mod barrier;
mod cache;
mod clock;
mod configuration;
mod contender;
mod counter;
mod departure;
#[cfg(feature = "discovery")]
mod discovery;
mod error;
mod final_look;
mod guard;
mod guard_state;
mod guarded;
mod holding;
mod joined;
mod layout;
mod leader;
mod lock;
mod loss;
mod member;
mod notice;
mod options;
mod order;
mod parked;
mod partition;
mod presence;
mod queue;
mod recipe_error;
mod reentrant;
mod run;
mod sequence;
mod sequencer;
mod tombstone;
mod transaction;
mod watchman;
mod witness;

pub use barrier::{Barrier, CountdownLatch, DoubleBarrier, Inside};
pub use cache::{Cache, CacheBuilder, CacheChange, CacheChanges, CachedNode, Current};
pub use configuration::{Configuration, Latest, Release, Rollout, Settings, Subscription};
pub use counter::{AtomicValue, CachedCounter, Counter, Number, UniqueIds, Values};
#[cfg(feature = "discovery")]
pub use discovery::{
    Discovery, InstanceChanges, Provider, Registration, ServiceInstance, ServiceType, Strategy,
    UriPart, UriSpec,
};
pub use error::{LockError, LockErrorKind};
pub use guard::Guard;
pub use guard_state::{GuardState, GuardStates};
pub use guarded::{GuardedClient, GuardedReply};
pub use layout::Layout;
pub use leader::{
    Candidacy, CloseMode, ColdStandby, HotStandby, LeaderChanges, LeaderEvent, LeaderEvents,
    LeaderLatch, LeaderSelector, Participant, Shift, Term,
};
pub use lock::{
    MultiGuard, MultiLock, Mutex, Permits, Place, Progress, ReadGuard, ReadWriteLock, Semaphore,
    Upgrade, Waiting, WriteGuard,
};
pub use loss::{Lost, LostReason};
pub use member::{Group, GroupChanges, Membership, NodeState, NodeStates, PersistentNode, TtlNode};
pub use options::LockOptions;
pub use partition::{Division, Part, Partitioner, Share, ShareState, ShareStates};
pub use queue::{Delivery, Item, Queue, ShardedQueue, SimpleQueue};
pub use recipe_error::{RecipeError, RecipeErrorKind};
pub use reentrant::ReentrantGuard;
pub use run::Run;
pub use sequence::Mode;
pub use sequencer::{InvalidSequencer, Sequencer};
pub use tombstone::UncleanDeath;
pub use transaction::{
    AbortReason, Ballot, Ballots, Decided, Decision, Party, Proposal, Transaction, TwoPhaseCommit,
    Vote, Voted,
};
pub use watchman::Revoked;
