//! What the recipes promise, fact by fact, told from outside: against a `TestingServer` of each
//! test's own, or against the server that `ZNODE_TEST_CONNECT=host:port` names (Apache ZooKeeper).
//!
//! | rooms | what they hold |
//! |---|---|
//! | `ground` | the fixture: a server, and what stands on it |
//! | `mutex`, `timeout` | who gets the lock, when, and who does not |
//! | `layout` | what others see on the wire, and what we make of theirs |
//! | `cost` | how many requests and watches it takes |
//! | `cuts` | every recipe with its link cut once, at every boundary |
//! | `compressed` | locks of a client that compresses what it writes; with its feature |
//! | `cancel`, `lost_reply`, `chaos` | dropped futures, cut links, and both at random |
//! | `release`, `loss`, `guarded` | letting go, losing, and what a former holder cannot do |
//! | `cut_off` | a holder whose server is cut off from its quorum; on an ensemble of ours |
//! | `deadline`, `grace` | until when a guard holds for certain, and what waits with it |
//! | `read_write` | readers and writers, and how one becomes the other |
//! | `semaphore` | permits: how many are held, and who gets the next |
//! | `cache` | copies of nodes that follow them |
//! | `cache_races` | caches at their limits, and whoever waits for them |
//! | `barrier` | those who wait for each other |
//! | `counter` | numbers and values that several change |
//! | `facts_of_work` | what holds of every recipe that is no lock |
//! | `sharded` | several queues as one |
//! | `queues` | what is put, taken, acknowledged and given back |
//! | `queue_races` | whose an item is when several want it, and replies are lost |
//! | `member` | nodes that come back, and groups |
//! | `member_races` | nodes that come back where replies are lost, and members that change places |
//! | `ttl` | nodes that outlive sessions, for a time |
//! | `partition` | parts that are divided among members |
//! | `discovery` | services and their instances; with its feature |
//! | `configuration` | settings that one publishes and many follow |
//! | `configuration_races` | the same, made anew and read while links are down |
//! | `transaction` | what several do all of them or none |
//! | `transaction_cuts` | the same, where replies are lost and futures dropped |
//! | `transaction_races` | the same, where several come at once and others have a hand |
//! | `multi_lock` | several locks as one, and one lock several times |
//! | `queue`, `sequencer`, `lock_delay` | what is told of a line, of a holding, of a death |
//! | `processes` | holders that are stopped and killed; `holder` is their program |
//! | `listings` | lists that are longer than a request may be |
//! | `rollover` | numbers of children that begin below zero |
//! | `facts` | what no other room tells of |
//! | `paused` | what takes hours, in no time at all; on our server only |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where it stood")]

mod ground;

mod barrier;
mod cache;
mod cache_races;
mod cancel;
mod chaos;
#[cfg(feature = "gzip")]
mod compressed;
mod configuration;
mod configuration_races;
mod cost;
mod counter;
mod cut_off;
mod cuts;
mod deadline;
#[cfg(feature = "discovery")]
mod discovery;
mod facts;
mod facts_of_work;
mod grace;
mod guarded;
mod layout;
mod leader;
mod listings;
mod lock_delay;
mod loss;
mod lost_reply;
mod member;
mod member_races;
mod multi_lock;
mod mutex;
mod partition;
mod paused;
mod processes;
mod queue;
mod queue_races;
mod queues;
mod read_write;
mod release;
mod rollover;
mod semaphore;
mod sequencer;
mod sharded;
mod standby;
mod timeout;
mod transaction;
mod transaction_cuts;
mod transaction_races;
mod ttl;
