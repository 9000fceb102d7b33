//! ZooKeeper's atomic broadcast: one order of all writes, agreed on by a quorum, across leaders.
//!
//! | room | what it holds |
//! |---|---|
//! | [`packet`], [`stream`] | what goes over a link between a leader and a learner |
//! | [`history`] | the order as one server knows it |
//! | [`leader`] | the leader's part: discover, synchronize, broadcast |
//! | [`learner`] | the part of followers and observers, mirrored |
//!
//! What is in the tree is decided. What is only logged stays beside it, in the history, until a
//! leader that enough servers acknowledge says that it is decided, too. So a server that must
//! forget what nobody else has can cut its log and is done, and a snapshot never holds anything
//! that could be taken back (ZOOKEEPER-1549, 4837).

pub(crate) mod history;
pub(crate) mod leader;
pub(crate) mod learner;
pub(crate) mod packet;
pub(crate) mod stream;
