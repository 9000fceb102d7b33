//! Trouble that a test makes: a server that stands still, is killed, loses replies or turns people
//! away.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::engine::{Engine, Shared};
use crate::node::faults::Loss;

impl Shared {
    /// Stops the server where it stands, as a stopped process stands; or lets it go on.
    pub(crate) fn pause(&self, is_paused: bool) {
        let mut engine = self.lock();
        engine.is_paused = is_paused;
        if !is_paused {
            engine.paused.drain(..).for_each(Waker::wake);
            self.deadline_moved.notify_one();
        }
    }

    /// Resolves unless the server is paused.
    pub(super) async fn goes_on(&self) {
        poll_fn(|context| match self.lock().poll_paused(context) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }

    /// Cuts every connection; sessions stay.
    pub(crate) fn drop_connections(&self) {
        let mut engine = self.lock();
        for conn in engine.ports.ids() {
            engine.cut(conn);
        }
        self.settle(&mut engine, None);
    }

    /// Ends the server where it stands: nothing that waits for the disk is written, nothing that
    /// is on its way to anybody is sent.
    pub(crate) fn kill(&self) {
        let mut engine = self.lock();
        if let Some(disk) = &mut engine.disk {
            disk.abandon();
        }
        engine.node.abandon_snapshots();
        for conn in engine.ports.ids() {
            engine.cut(conn);
        }
        engine.outbox.clear();
    }
}

impl Engine {
    /// Has a reply be lost.
    pub(crate) fn lose_reply(&mut self, loss: Loss) {
        self.outbox.losses.add(loss);
    }

    /// How many replies were lost.
    pub(crate) fn lost_replies(&self) -> u64 {
        self.outbox.losses.count()
    }

    /// Has everything reach clients later.
    pub(crate) fn delay_replies(&mut self, by: Duration) {
        self.reply_delay = by;
    }

    /// Cuts off whoever connects, or does so no longer.
    pub(crate) fn refuse_connections(&mut self, refuse: bool) {
        self.refuses = refuse;
    }

    /// Whether time stands still.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether time stands still; then the task is woken when it goes on.
    pub(super) fn poll_paused(&mut self, context: &Context<'_>) -> bool {
        if self.is_paused {
            self.paused.push(context.waker().clone());
        }
        self.is_paused
    }
}
