//! The gate: whatever came behind a write waits until the disk has that write.

use std::collections::VecDeque;
use std::sync::Arc;

use znode::Moment;
use znode::proto::{ErrorCode, OpCode, Zxid};

use super::txn::Txn;
use crate::auth::Identity;
use crate::node::outbox::ReplyTo;

/// A request that has been decided or read, and not been answered.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Whom to answer; the end of an expired session is nobody's request.
    pub(crate) to: Option<ReplyTo>,
    /// What was asked.
    pub(crate) op: OpCode,
    /// When.
    pub(crate) since: Moment,
    /// How many bytes it has if it is large.
    pub(crate) large: usize,
    /// What to do when its turn comes.
    pub(crate) work: Work,
}

/// What a request waits for its turn to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Apply a transaction.
    Apply(Txn),
    /// Answer a read.
    Read {
        /// Its body, copied since its frame is gone by then.
        body: Box<[u8]>,
        /// Who asked, as of the arrival.
        identities: Arc<[Identity]>,
    },
    /// Answer with an error that took no zxid.
    Refuse(ErrorCode),
    /// Answer that there is no such operation, and close the connection.
    Unimplemented,
}

/// The requests that wait, in the one order in which they will be answered.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    queue: VecDeque<Waiting>,
}

impl Gate {
    /// Whether a request may pass at once.
    pub(crate) fn is_open(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Puts a request at the end.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.queue.push_back(waiting);
    }

    /// The next request whose turn has come, now that the disk holds everything up to `zxid`.
    pub(crate) fn pass(&mut self, zxid: Zxid) -> Option<Waiting> {
        match &self.queue.front()?.work {
            Work::Apply(txn) if txn.zxid > zxid => None,
            _ => self.queue.pop_front(),
        }
    }
}
