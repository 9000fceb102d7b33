//! The reaper: deletes containers that have lost their last child, and nodes whose time is up.

use std::collections::VecDeque;
use std::time::Duration;

use znode::Moment;
use znode::proto::{OpCode, SessionId, Xid};

use super::txn::Change;
use crate::node::Node;
use crate::node::outbox::Outbox;
use crate::tree::containers::OwnerKind;
use crate::tree::node::DataNode;

/// What the reaper has still to do.
#[derive(Debug)]
pub(crate) struct Reaper {
    /// When to look for candidates next.
    due: Moment,
    /// Candidates that were found.
    found: VecDeque<Box<[u8]>>,
    /// When the first of them may go.
    next: Moment,
}

impl Reaper {
    /// A reaper that first looks after one interval.
    pub(crate) fn new(interval: Duration) -> Self {
        let due = following(Moment::START, interval);
        Self { due, found: VecDeque::new(), next: Moment::START }
    }
}

impl Node {
    /// When [`reap`](Self::reap) next has something to do. Without containers and times to live
    /// there is nothing to look at.
    pub(crate) fn reaper_deadline(&self) -> Moment {
        if !self.reaper.found.is_empty() {
            self.reaper.next
        } else if self.tree.may_be_reaped().next().is_some() {
            self.reaper.due
        } else {
            Moment::NEVER
        }
    }

    /// Looks for candidates at every multiple of the interval, and deletes them one by one, not too
    /// fast: a flood of deletions would hold up everybody.
    pub(crate) fn reap(&mut self, now: Moment, out: &mut Outbox) {
        if self.reaper.found.is_empty() && now >= self.reaper.due {
            self.reaper.due = following(now, self.settings.rules.container_check_interval);
            self.reaper.next = now;
            let wall_ms = self.wall_ms(now);
            let nodes = self.tree.may_be_reaped().map(|id| self.tree.at(id));
            let candidates = nodes.filter(|node| self.is_candidate(node, wall_ms));
            self.reaper.found = candidates.map(|node| node.image.path().into()).collect();
        }
        let spacing =
            Duration::from_secs(60) / self.settings.rules.containers_per_minute_max.max(1);
        // With the last place of an epoch it is another server's to delete them.
        while self.is_deciding()
            && now >= self.reaper.next
            && let Some(path) = self.reaper.found.pop_front()
        {
            self.reaper.next += spacing;
            self.delete_container(&path, out);
        }
    }

    /// A container that was never used stays, unless a setting says for how long: it may have been
    /// created a moment ago. Of a node with a time to live only its own last write counts.
    fn is_candidate(&self, node: &DataNode, wall_ms: i64) -> bool {
        let elapsed_ms = wall_ms.saturating_sub(node.mtime_ms());
        node.children().is_empty()
            && match OwnerKind::of(node.owner) {
                OwnerKind::Container if node.cversion > 0 => true,
                OwnerKind::Container => self
                    .settings
                    .rules
                    .container_never_used_max
                    .is_some_and(|max| i128::from(elapsed_ms) > max.as_millis().cast_signed()),
                OwnerKind::Ttl(ttl_ms) => elapsed_ms > ttl_ms,
                _ => false,
            }
    }

    /// A transaction of no session; a child that came in between makes it fail, which harms nobody.
    fn delete_container(&mut self, path: &[u8], out: &mut Outbox) {
        let (op, nobody) = (OpCode::DeleteContainer, SessionId::NONE);
        self.put_in_order(None, op, Xid(0), nobody, out, |node, zxid| {
            let deleted = node.preparer(nobody, zxid, &[]).delete_container(path);
            deleted.unwrap_or_else(Change::Error)
        });
    }
}

/// The first multiple of `interval` after `now`.
fn following(now: Moment, interval: Duration) -> Moment {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let next_ms = (now.as_millis() / interval_ms).saturating_add(1).saturating_mul(interval_ms);
    Moment::START + Duration::from_millis(next_ms)
}
