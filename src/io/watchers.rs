//! Watchers by their number, and the words in which they are told.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::shared::Shared;
use super::watch_queue::WatchQueue;
use crate::chroot::Chroot;
use crate::session::{Ending, Notice, WatcherId};
use crate::watcher::{WatchUpdate, WatchedEvent};

/// Whom a watcher's number stands for.
#[derive(Debug)]
pub(crate) struct WatcherSlot {
    /// What to take off the paths of its events.
    pub(crate) chroot: Chroot,
    pub(crate) kind: SlotKind,
}

#[derive(Debug)]
pub(crate) enum SlotKind {
    /// Told once: an event, or how the session ended before there was one.
    Oneshot(oneshot::Sender<Result<WatchedEvent, Ending>>),
    /// Told again and again.
    Persistent(WatchQueue),
}

/// Every watcher of a session but the default one.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    slots: BTreeMap<WatcherId, WatcherSlot>,
}

impl Watchers {
    pub(super) fn insert(&mut self, id: WatcherId, slot: WatcherSlot) {
        self.slots.insert(id, slot);
    }

    pub(super) fn remove(&mut self, id: WatcherId) {
        self.slots.remove(&id);
    }

    /// Tells a watcher; forgets it when it hears nothing further.
    pub(super) fn notify(&mut self, id: WatcherId, notice: Notice, shared: &Shared) {
        if id == WatcherId::DEFAULT {
            if let Notice::Event { kind, path, zxid } = notice {
                shared.tell_default(kind, &path, zxid);
            }
            return;
        }
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        if let Some(stays) = slot.notify(notice) {
            self.slots.insert(id, stays);
        }
    }

    /// The session is over: every watcher that is left learns it.
    pub(super) fn end(&mut self, ending: Ending) {
        for slot in std::mem::take(&mut self.slots).into_values() {
            slot.notify(Notice::Over(ending));
        }
    }
}

impl WatcherSlot {
    /// Tells it; returns it if it goes on listening.
    fn notify(self, notice: Notice) -> Option<Self> {
        let Self { chroot, kind } = self;
        match kind {
            SlotKind::Oneshot(watcher) => {
                let told = match notice {
                    Notice::Event { kind, path, zxid } => {
                        Ok(WatchedEvent { kind, path: chroot.strip_event(&path), zxid })
                    }
                    Notice::Removed { kind, path } => {
                        Ok(WatchedEvent { kind, path: chroot.strip_event(&path), zxid: None })
                    }
                    Notice::Over(ending) => Err(ending),
                    // One-shot watches are restored with catch-up, so there is no gap, and every
                    // server knows them.
                    Notice::Gap | Notice::Unsupported => {
                        return Some(Self { chroot, kind: SlotKind::Oneshot(watcher) });
                    }
                };
                // Its owner may be gone, and the news with it.
                let _ = watcher.send(told);
                None
            }
            SlotKind::Persistent(queue) => {
                match notice {
                    Notice::Event { kind, path, zxid } => {
                        let path = chroot.strip_event(&path);
                        queue.push(WatchUpdate::Event(WatchedEvent { kind, path, zxid }));
                    }
                    Notice::Gap => queue.push(WatchUpdate::Gap),
                    Notice::Removed { .. } => {
                        queue.push(WatchUpdate::Removed);
                        queue.end();
                        return None;
                    }
                    Notice::Unsupported => {
                        queue.push(WatchUpdate::Unsupported);
                        queue.end();
                        return None;
                    }
                    Notice::Over(_) => {
                        queue.end();
                        return None;
                    }
                }
                Some(Self { chroot, kind: SlotKind::Persistent(queue) })
            }
        }
    }
}
