//! What handles have asked for and the send task has not taken yet.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use tokio::sync::oneshot;

use super::observer::Note;
use super::watchers::WatcherSlot;
use crate::connect_string::HostPort;
use crate::proto::OpCode;
use crate::session::{Answer, Ending, Failure, WatchEffect, WatcherId};

/// Who waits for an answer.
pub(crate) type Responder = oneshot::Sender<Result<Answer, Failure>>;

/// How much memory an idle session keeps for submissions.
const KEPT: usize = 16 * 1024;

/// The queue between any number of handles and one send task.
///
/// A caller encodes its request straight into memory that is used again and again, under one
/// short lock; that it is appended there *is* its place in line.
#[derive(Debug, Default)]
pub(crate) struct Submissions {
    queue: Mutex<Queue>,
    taker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    /// Set once the send task has stopped.
    ended: Option<Ending>,
}

/// Submissions in the order in which they were made, and the bytes of their records.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Submission>,
    pub(super) bytes: Vec<u8>,
}

/// The records may hold secrets.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.len();
        f.debug_struct("Batch").field("items", &self.items).field("bytes", &bytes).finish()
    }
}

/// One thing that a handle has asked for.
#[derive(Debug)]
pub(super) enum Submission {
    Request {
        op: OpCode,
        /// How many of the batch's bytes are its record.
        len: usize,
        watch: WatchEffect,
        /// The watcher that the request brings with it.
        slot: Option<(WatcherId, WatcherSlot)>,
        reply: Responder,
        note: Option<Box<Note>>,
    },
    Unwatch(WatcherId, Option<Responder>),
    Detach,
    UpdateHosts(Vec<HostPort>),
}

/// Why a request was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The session is over.
    Ended(Ending),
    /// The record has more bytes than a server accepts.
    TooLarge(usize),
}

impl Submissions {
    /// Appends a request whose record `encode` writes.
    ///
    /// # Errors
    /// [`NotTaken`]; nothing was appended.
    pub(crate) fn request(
        &self,
        op: OpCode,
        watch: WatchEffect,
        slot: Option<(WatcherId, WatcherSlot)>,
        len_max: usize,
        note: Option<Box<Note>>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<oneshot::Receiver<Result<Answer, Failure>>, NotTaken> {
        let (reply, answer) = oneshot::channel();
        let mut queue = self.lock();
        if let Some(ending) = queue.ended {
            return Err(NotTaken::Ended(ending));
        }
        let start = queue.batch.bytes.len();
        encode(&mut queue.batch.bytes);
        let len = queue.batch.bytes.len() - start;
        if len > len_max {
            queue.batch.bytes.truncate(start);
            queue.batch.bytes.shrink_to(KEPT.max(start));
            return Err(NotTaken::TooLarge(len));
        }
        self.append(queue, Submission::Request { op, len, watch, slot, reply, note });
        Ok(answer)
    }

    /// A watcher is no longer wanted, and nobody waits until its watch is gone.
    pub(crate) fn unwatch(&self, watcher: WatcherId) {
        self.append_unless_ended(Submission::Unwatch(watcher, None));
    }

    /// A watcher is no longer wanted; the answer comes once its watch is gone. If the session is
    /// over, so is the watch, and the answer is dropped.
    pub(crate) fn remove(&self, watcher: WatcherId) -> oneshot::Receiver<Result<Answer, Failure>> {
        let (reply, answer) = oneshot::channel();
        self.append_unless_ended(Submission::Unwatch(watcher, Some(reply)));
        answer
    }

    /// The session is to be left alive.
    pub(crate) fn detach(&self) {
        self.append_unless_ended(Submission::Detach);
    }

    /// The list of servers is another now.
    pub(crate) fn update_hosts(&self, hosts: Vec<HostPort>) {
        self.append_unless_ended(Submission::UpdateHosts(hosts));
    }

    fn append_unless_ended(&self, submission: Submission) {
        let queue = self.lock();
        if queue.ended.is_none() {
            self.append(queue, submission);
        }
    }

    fn append(&self, mut queue: MutexGuard<'_, Queue>, submission: Submission) {
        // With something in the queue the task has been woken already.
        let was_empty = queue.batch.items.is_empty();
        queue.batch.items.push(submission);
        drop(queue);
        if was_empty {
            self.taker.wake();
        }
    }

    /// Exchanges all submissions for `batch`, which must be empty.
    pub(super) fn take(&self, batch: &mut Batch) {
        batch.bytes.clear();
        batch.bytes.shrink_to(KEPT);
        std::mem::swap(&mut self.lock().batch, batch);
    }

    /// Ready once there is something to take.
    pub(super) async fn some(&self) {
        std::future::poll_fn(|cx| self.poll_some(cx)).await;
    }

    fn poll_some(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.taker.register(cx.waker());
        if self.lock().batch.items.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Refuses everything from now on; returns what was not taken.
    pub(super) fn end(&self, ending: Ending) -> Batch {
        let mut queue = self.lock();
        queue.ended = Some(ending);
        std::mem::take(&mut queue.batch)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it holds this lock")
    }
}
