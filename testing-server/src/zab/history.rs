//! What a server remembers of the order of all writes: the last that were applied, and those that
//! are logged and not decided.

use std::collections::VecDeque;

use bytes::Bytes;
use znode::proto::Zxid;

/// How many applied transactions are kept, so that a learner that was away gets what it missed
/// instead of everything: `commitLogCount`.
pub(crate) const COMMITTED_LOG_MAX: usize = 500;

/// A transaction as it stands in a log, and on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place.
    pub(crate) zxid: Zxid,
    /// Its header and its record.
    pub(crate) bytes: Bytes,
}

/// What a learner must be sent to know what its leader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// What comes behind the place.
    Diff(Zxid),
    /// It must forget what comes behind the place, and gets what really does.
    Trunc(Zxid),
    /// Everything.
    Snap,
}

/// The history of one server, without a hole: `applied`, then `tail`.
#[derive(Debug)]
pub(crate) struct History {
    /// The place before the first of `applied`.
    base: Zxid,
    /// Applied to the tree.
    applied: VecDeque<Entry>,
    /// Logged, or on the way to the log, and not applied.
    tail: VecDeque<Entry>,
    /// The last that the disk holds.
    pub(crate) persisted: Zxid,
    /// The last that is decided.
    pub(crate) committed: Zxid,
    /// How many of the applied are kept.
    kept: usize,
    /// What was applied since somebody looked.
    #[cfg(test)]
    pub(crate) fresh: Vec<Entry>,
}

impl History {
    /// A server that has applied everything up to `zxid`, and remembers nothing of it. It will
    /// remember `kept` transactions.
    pub(crate) fn new(zxid: Zxid, kept: usize) -> Self {
        let (applied, tail) = (VecDeque::new(), VecDeque::new());
        Self {
            base: zxid,
            applied,
            tail,
            persisted: zxid,
            committed: zxid,
            kept,
            #[cfg(test)]
            fresh: Vec::new(),
        }
    }

    /// The last transaction in the log.
    pub(crate) fn last_logged(&self) -> Zxid {
        let newest = self.tail.back().or_else(|| self.applied.back());
        newest.map_or(self.base, |entry| entry.zxid.max(self.base))
    }

    /// Adds a transaction that goes to the log.
    ///
    /// # Errors
    /// It does not come behind everything else.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), String> {
        let last = self.last_logged();
        if entry.zxid <= last {
            return Err(format!("{} comes behind {last}", entry.zxid));
        }
        self.tail.push_back(entry);
        Ok(())
    }

    /// What is logged and not applied.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &Entry> {
        self.tail.iter()
    }

    /// How much is logged and not applied.
    pub(crate) fn tail_len(&self) -> usize {
        self.tail.len()
    }

    /// The next transaction that is decided, and that the disk holds: what is on no disk here is
    /// not shown to anybody here (ZOOKEEPER-4882).
    pub(crate) fn take_ready(&mut self) -> Option<Entry> {
        let ready = self.committed.min(self.persisted);
        if self.tail.front()?.zxid > ready {
            return None;
        }
        let entry = self.tail.pop_front()?;
        self.remember(entry.clone());
        Some(entry)
    }

    /// Forgets what was applied last: a mistake that a test must find.
    pub(crate) fn forget_last(&mut self) {
        self.applied.pop_back();
    }

    /// Remembers a transaction that was applied.
    pub(crate) fn remember(&mut self, entry: Entry) {
        #[cfg(test)]
        self.fresh.push(entry.clone());
        self.applied.push_back(entry);
        self.forget_some();
    }

    /// Remembers what was read from a log when the server started, behind `base`: so a leader that
    /// has just started sends learners what they lack, and not everything.
    pub(crate) fn recall(&mut self, base: Zxid, logged: impl IntoIterator<Item = Entry>) {
        self.base = base;
        for entry in logged {
            self.applied.push_back(entry);
            self.forget_some();
        }
    }

    fn forget_some(&mut self) {
        if self.applied.len() > self.kept
            && let Some(first) = self.applied.pop_front()
        {
            self.base = first.zxid;
        }
    }

    /// Everything up to `zxid` was applied, of which nothing is remembered: a snapshot has come, or
    /// an epoch has begun.
    pub(crate) fn restart(&mut self, zxid: Zxid) {
        *self = Self::new(zxid, self.kept);
    }

    /// An epoch has begun: this is its first place, with nothing in it. So whoever has all that
    /// came before it lacks nothing, and the base stays what it was.
    pub(crate) fn begin_epoch(&mut self, zxid: Zxid) {
        self.committed = self.committed.max(zxid);
        self.persisted = self.persisted.max(zxid);
    }

    /// Forgets what is logged behind `zxid`. False if some of it was applied already.
    pub(crate) fn truncate(&mut self, zxid: Zxid) -> bool {
        if self.applied.back().map_or(self.base, |entry| entry.zxid) > zxid {
            return false;
        }
        self.tail.retain(|entry| entry.zxid <= zxid);
        self.persisted = self.persisted.min(zxid);
        true
    }

    /// What a learner needs whose log ends with `peer`, to have everything up to `decided`.
    ///
    /// Its log is cut only within one epoch, or at the very end of ours, and is continued only
    /// from a place that stands in ours: there nothing can be missing in between
    /// (ZOOKEEPER-2418, 4352).
    pub(crate) fn plan(&self, peer: Zxid, decided: Zxid) -> Plan {
        let last = self.place(decided).unwrap_or(self.base);
        let Some(place) = self.place(peer).map(|place| place.min(last)) else {
            return Plan::Snap;
        };
        // Whoever stands at the first place of an epoch has all that its leader began with, and
        // nothing else; and so have we, or we would not lead.
        if place == peer || peer.counter() == 0 {
            return Plan::Diff(place);
        }
        if place == last || place.epoch() == peer.epoch() { Plan::Trunc(place) } else { Plan::Snap }
    }

    /// The last place that is not behind `zxid`.
    fn place(&self, zxid: Zxid) -> Option<Zxid> {
        let places = self.applied.iter().chain(&self.tail).map(|entry| entry.zxid);
        let places = std::iter::once(self.base).chain(places);
        places.take_while(|place| *place <= zxid).last()
    }

    /// Everything behind a place.
    pub(crate) fn behind(&self, place: Zxid) -> impl Iterator<Item = &Entry> {
        self.applied.iter().chain(&self.tail).filter(move |entry| entry.zxid > place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zxid(epoch: i64, counter: i64) -> Zxid {
        Zxid(epoch << 32 | counter)
    }

    fn entry(zxid: Zxid) -> Entry {
        Entry { zxid, bytes: Bytes::new() }
    }

    #[test]
    fn what_was_read_from_a_log_is_sent_on() {
        let mut history = History::new(zxid(2, 1), 2);
        history.recall(zxid(1, 2), [zxid(1, 3), zxid(1, 4), zxid(2, 1)].map(entry));
        assert_eq!(history.last_logged(), zxid(2, 1));
        let plan = |peer| history.plan(peer, zxid(2, 1));
        assert_eq!(plan(zxid(2, 1)), Plan::Diff(zxid(2, 1)));
        assert_eq!(plan(zxid(1, 3)), Plan::Diff(zxid(1, 3)));
        assert_eq!(history.behind(zxid(1, 3)).count(), 2);
        // Of that no more is remembered than of anything else.
        assert_eq!(plan(zxid(1, 2)), Plan::Snap);
        assert_eq!(plan(zxid(2, 5)), Plan::Trunc(zxid(2, 1)));
    }

    /// Applied 1.3, 1.4, 2.1; logged 2.2.
    fn history() -> History {
        let mut history = History::new(zxid(1, 2), COMMITTED_LOG_MAX);
        for place in [zxid(1, 3), zxid(1, 4), zxid(2, 1), zxid(2, 2)] {
            history.push(entry(place)).unwrap();
        }
        history.persisted = zxid(2, 2);
        history.committed = zxid(2, 1);
        while history.take_ready().is_some() {}
        history
    }

    #[test]
    fn nothing_is_applied_before_it_is_decided_and_on_the_disk() {
        let mut history = history();
        assert_eq!(history.tail_len(), 1);
        history.committed = zxid(2, 2);
        history.persisted = zxid(2, 1);
        assert_eq!(history.take_ready(), None);
        history.persisted = zxid(2, 2);
        assert_eq!(history.take_ready(), Some(entry(zxid(2, 2))));
    }

    #[test]
    fn every_learner_gets_what_it_lacks_and_loses_what_nobody_else_has() {
        let history = history();
        for (peer, plan) in [
            (zxid(2, 2), Plan::Diff(zxid(2, 2))),
            (zxid(1, 4), Plan::Diff(zxid(1, 4))),
            (zxid(1, 2), Plan::Diff(zxid(1, 2))),
            (zxid(2, 0), Plan::Diff(zxid(1, 4))),
            // Strays at the end of its log.
            (zxid(2, 3), Plan::Trunc(zxid(2, 2))),
            (zxid(1, 7), Plan::Trunc(zxid(1, 4))),
            (zxid(7, 1), Plan::Trunc(zxid(2, 2))),
            // Too old, or of another world.
            (zxid(1, 1), Plan::Snap),
            (zxid(0, 0), Plan::Snap),
        ] {
            assert_eq!(history.plan(peer, zxid(2, 2)), plan, "{peer}");
        }
        // What is only proposed is proposed again, to those as well who have it already.
        assert_eq!(history.plan(zxid(2, 2), zxid(2, 1)), Plan::Trunc(zxid(2, 1)));
    }

    #[test]
    fn what_was_forgotten_cannot_be_continued() {
        let mut history = History::new(Zxid(0), COMMITTED_LOG_MAX);
        for counter in 1..=i64::try_from(COMMITTED_LOG_MAX).unwrap() + 10 {
            history.push(entry(zxid(1, counter))).unwrap();
            history.persisted = zxid(1, counter);
            history.committed = zxid(1, counter);
            history.take_ready().unwrap();
        }
        let last = history.last_logged();
        assert_eq!(history.plan(zxid(1, 9), last), Plan::Snap);
        assert_eq!(history.plan(zxid(1, 10), last), Plan::Diff(zxid(1, 10)));
        assert_eq!(history.behind(zxid(1, 10)).count(), COMMITTED_LOG_MAX);
    }

    #[test]
    fn only_what_was_not_applied_can_be_forgotten() {
        let mut history = history();
        assert!(history.truncate(zxid(2, 1)));
        assert_eq!(history.last_logged(), zxid(2, 1));
        assert!(!history.truncate(zxid(1, 4)));
    }
}
