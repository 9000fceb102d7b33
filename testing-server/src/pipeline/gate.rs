//! The gate: whatever came behind a write waits until the disk has that write.
//!
//! A server that stands alone has one gate for everybody. In an ensemble a write takes longer, and
//! each client waits behind its own writes alone: [`Lines`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use znode::Moment;
use znode::proto::{ErrorCode, OpCode, Zxid};

use super::txn::Txn;
use crate::auth::Identity;
use crate::node::input::ConnId;
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
    /// End a session that only this server knows of.
    End,
    /// Nothing: the ensemble decides, and then it is done.
    Commit,
    /// Answer once the leader has proved to be one.
    Sync {
        /// The path, which goes back.
        body: Box<[u8]>,
        /// Who asked, as of the arrival.
        identities: Arc<[Identity]>,
    },
}

impl Work {
    /// Whether somebody outside says when this is done.
    pub(crate) fn waits_outside(&self) -> bool {
        matches!(self, Self::Commit | Self::Sync { .. })
    }
}

/// A line for each client that waits, in the order of its requests.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<ConnId, VecDeque<Waiting>>,
    len: usize,
    /// How many bytes of large requests are among them.
    large: usize,
}

impl Lines {
    /// Whether a client waits for nothing.
    pub(crate) fn is_open(&self, conn: ConnId) -> bool {
        !self.lines.contains_key(&conn)
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes of large requests wait.
    pub(crate) fn large_bytes(&self) -> usize {
        self.large
    }

    /// Puts a request at the end of its client's line. What nobody waits for is in none.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        if let Some(to) = waiting.to {
            self.large += waiting.large;
            self.lines.entry(to.conn).or_default().push_back(waiting);
            self.len += 1;
        }
    }

    /// What a client waits for first.
    pub(crate) fn front(&self, conn: ConnId) -> Option<&Waiting> {
        self.lines.get(&conn)?.front()
    }

    /// Takes what a client waits for first.
    pub(crate) fn pop(&mut self, conn: ConnId) -> Option<Waiting> {
        let line = self.lines.get_mut(&conn)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&conn);
        }
        self.len -= usize::from(first.is_some());
        self.large -= first.as_ref().map_or(0, |first| first.large);
        first
    }

    /// Forgets a client, and what it has waited for.
    pub(crate) fn remove(&mut self, conn: ConnId) {
        let line = self.lines.remove(&conn).unwrap_or_default();
        self.len -= line.len();
        self.large -= line.iter().map(|waiting| waiting.large).sum::<usize>();
    }

    /// Forgets everybody.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The requests that wait, in the one order in which they will be answered.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    queue: VecDeque<Waiting>,
    /// How many bytes of large requests are among them.
    large: usize,
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

    /// How many bytes of large requests wait.
    pub(crate) fn large_bytes(&self) -> usize {
        self.large
    }

    /// Puts a request at the end.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.large += waiting.large;
        self.queue.push_back(waiting);
    }

    /// The next request whose turn has come, now that the disk holds everything up to `zxid`.
    pub(crate) fn pass(&mut self, zxid: Zxid) -> Option<Waiting> {
        if matches!(&self.queue.front()?.work, Work::Apply(txn) if txn.zxid > zxid) {
            return None;
        }
        let first = self.queue.pop_front()?;
        self.large -= first.large;
        Some(first)
    }
}
