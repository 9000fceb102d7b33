//! Sessions: who is alive, until when, and on which connection.
//!
//! [`buckets`] says when to look, [`identity`] makes ids and passwords. Nothing here decides that a
//! session ends: an expired one is named, and goes the way of every write, as a transaction.

pub(crate) mod buckets;
pub(crate) mod identity;

use std::collections::BTreeMap;
use std::time::Duration;

use znode::Moment;
use znode::proto::SessionId;

use crate::node::input::ConnId;
use crate::tree::slab::Slab;
use buckets::Buckets;

/// The number of a session in the tracker, which saves each request a search by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionSlot(u32);

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its id.
    pub(crate) id: SessionId,
    /// How long it lives without a sign of its client.
    pub(crate) timeout: Duration,
    /// When it expires unless touched: always the end of a tick.
    expires: Moment,
    /// The bucket that it is filed under; never later than `expires`.
    filed: Moment,
    /// The connection that speaks for it.
    pub(crate) conn: Option<ConnId>,
    /// On a leader, the link of the learner whose client it is.
    pub(crate) owner: Option<ConnId>,
    /// Who knows of it.
    pub(crate) standing: Standing,
    /// Whether its end is decided. Its transaction may still be on the way to the disk.
    pub(crate) closing: bool,
}

/// Who knows of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its transaction is on the way. Until that is applied it is nothing that files may know of.
    Asked,
    /// Every server, and their files.
    Opened,
    /// The server that it began on, and nobody else: it ends there, without a transaction.
    Local,
}

impl Session {
    /// Whether every server knows of it.
    pub(crate) fn is_opened(&self) -> bool {
        self.standing == Standing::Opened
    }

    /// Whether only this server knows of it.
    pub(crate) fn is_local(&self) -> bool {
        self.standing == Standing::Local
    }

    /// When it expires unless its client gives a sign of life.
    pub(crate) fn expires(&self) -> Moment {
        self.expires
    }
}

/// Every session that has begun and whose end was not applied yet.
#[derive(Debug)]
pub(crate) struct SessionTracker {
    sessions: Slab<Session>,
    by_id: BTreeMap<SessionId, SessionSlot>,
    buckets: Buckets,
}

impl SessionTracker {
    /// No sessions; they will expire at multiples of `tick`.
    pub(crate) fn new(tick: Duration) -> Self {
        Self { sessions: Slab::new(), by_id: BTreeMap::new(), buckets: Buckets::new(tick) }
    }

    /// Begins a session.
    pub(crate) fn track(
        &mut self,
        now: Moment,
        id: SessionId,
        timeout: Duration,
        conn: Option<ConnId>,
    ) -> SessionSlot {
        let expires = self.buckets.round(now + timeout);
        let slot = SessionSlot(self.sessions.insert(Session {
            id,
            timeout,
            expires,
            filed: expires,
            conn,
            owner: None,
            standing: Standing::Asked,
            closing: false,
        }));
        self.by_id.insert(id, slot);
        self.buckets.file(expires, slot);
        slot
    }

    /// Notes a sign of life; false if the session is gone or its end is decided.
    pub(crate) fn touch(&mut self, now: Moment, slot: SessionSlot) -> bool {
        let Some(session) = self.sessions.get_mut(slot.0) else {
            return false;
        };
        if session.closing {
            return false;
        }
        session.expires = self.buckets.round(now + session.timeout);
        if session.expires < session.filed {
            // A resumed session may have asked for less than it had.
            session.filed = session.expires;
            self.buckets.file(session.expires, slot);
        }
        true
    }

    /// The session with an id.
    pub(crate) fn find(&self, id: SessionId) -> Option<SessionSlot> {
        self.by_id.get(&id).copied()
    }

    /// The session in a slot.
    pub(crate) fn get(&self, slot: SessionSlot) -> Option<&Session> {
        self.sessions.get(slot.0)
    }

    /// The session in a slot, to change it.
    pub(crate) fn get_mut(&mut self, slot: SessionSlot) -> Option<&mut Session> {
        self.sessions.get_mut(slot.0)
    }

    /// Ends a session.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let slot = self.by_id.remove(&id)?;
        self.sessions.remove(slot.0)
    }

    /// Every session, in the order of the ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_id.values().map(|slot| &self.sessions[slot.0])
    }

    /// When [`expired`](Self::expired) may next have something to say.
    pub(crate) fn next_deadline(&self) -> Moment {
        self.buckets.first()
    }

    /// A session whose time is up; each is named once.
    pub(crate) fn expired(&mut self, now: Moment) -> Option<SessionId> {
        while let Some((bucket, slot)) = self.buckets.take(now) {
            let Some(session) = self.sessions.get_mut(slot.0) else {
                continue;
            };
            if session.closing || session.filed != bucket {
                continue;
            }
            if session.expires <= now {
                return Some(session.id);
            }
            session.filed = session.expires;
            self.buckets.file(session.expires, slot);
        }
        None
    }

    /// How many sessions only this server knows of.
    pub(crate) fn local_count(&self) -> usize {
        self.iter().filter(|session| session.is_local()).count()
    }

    /// Says that the client of a session speaks through a learner.
    pub(crate) fn own(&mut self, id: SessionId, link: ConnId) {
        if let Some(session) = self.find(id).and_then(|slot| self.get_mut(slot)) {
            session.owner = Some(link);
        }
    }

    /// A learner is gone; its clients may come back through any server.
    pub(crate) fn disown(&mut self, link: ConnId) {
        for slot in self.by_id.values() {
            let owner = &mut self.sessions[slot.0].owner;
            owner.take_if(|owner| *owner == link);
        }
    }

    /// Forgets what was not decided: sessions that have not begun, and ends that have not come.
    pub(crate) fn unsettle(&mut self) {
        let unopened: Vec<SessionId> =
            self.iter().filter(|session| !session.is_opened()).map(|session| session.id).collect();
        for id in unopened {
            self.remove(id);
        }
        for slot in self.by_id.values() {
            let session = &mut self.sessions[slot.0];
            (session.closing, session.owner, session.conn) = (false, None, None);
        }
    }

    /// Gives every session its full timeout again, as a server does that was just started, and
    /// takes its connection away.
    pub(crate) fn restart(&mut self, now: Moment) {
        self.buckets.clear();
        for slot in self.by_id.values() {
            let session = &mut self.sessions[slot.0];
            session.conn = None;
            session.expires = self.buckets.round(now + session.timeout);
            session.filed = session.expires;
            self.buckets.file(session.expires, *slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Moment {
        Moment::START + Duration::from_millis(ms)
    }

    fn expired(tracker: &mut SessionTracker, ms: u64) -> Vec<SessionId> {
        std::iter::from_fn(|| tracker.expired(at(ms))).collect()
    }

    #[test]
    fn a_session_expires_between_its_timeout_and_a_tick_later() {
        let mut tracker = SessionTracker::new(TICK);
        tracker.track(at(30), SessionId(1), Duration::from_millis(200), None);
        assert_eq!(tracker.next_deadline(), at(300));
        assert!(expired(&mut tracker, 299).is_empty());
        assert_eq!(expired(&mut tracker, 300), [SessionId(1)]);
        assert_eq!(tracker.next_deadline(), Moment::NEVER);
    }

    #[test]
    fn a_touch_puts_expiry_off() {
        let mut tracker = SessionTracker::new(TICK);
        let slot = tracker.track(at(0), SessionId(1), Duration::from_millis(200), None);
        assert!(tracker.touch(at(250), slot));
        assert!(expired(&mut tracker, 300).is_empty());
        assert_eq!(expired(&mut tracker, 500), [SessionId(1)]);
    }

    #[test]
    fn a_shorter_timeout_holds_at_once() {
        let mut tracker = SessionTracker::new(TICK);
        let slot = tracker.track(at(0), SessionId(1), Duration::from_secs(60), None);
        tracker.get_mut(slot).unwrap().timeout = Duration::from_millis(100);
        tracker.touch(at(0), slot);
        assert_eq!(tracker.next_deadline(), at(200));
        assert_eq!(expired(&mut tracker, 200), [SessionId(1)]);
        assert!(expired(&mut tracker, 70_000).is_empty());
    }

    #[test]
    fn a_closing_session_cannot_be_touched() {
        let mut tracker = SessionTracker::new(TICK);
        let slot = tracker.track(at(0), SessionId(1), TICK, None);
        tracker.get_mut(slot).unwrap().closing = true;
        assert!(!tracker.touch(at(1), slot));
        tracker.remove(SessionId(1));
        assert!(!tracker.touch(at(1), slot));
    }

    #[test]
    fn a_restart_gives_every_session_its_full_timeout() {
        let mut tracker = SessionTracker::new(TICK);
        tracker.track(at(0), SessionId(1), Duration::from_millis(200), None);
        tracker.restart(at(10_000));
        assert!(expired(&mut tracker, 10_200).is_empty());
        assert_eq!(expired(&mut tracker, 10_300), [SessionId(1)]);
    }
}
