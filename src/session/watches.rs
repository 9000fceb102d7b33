//! Who watches what: told when a server notifies, told again to every new connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::input::{Registration, Want};
use crate::path;
use crate::proto::{ErrorCode, EventType, WatcherType};

/// Names a watcher; the shell knows whom it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u64);

impl WatcherId {
    /// The default watcher, which may stand at any number of places at once.
    pub const DEFAULT: Self = Self(0);
}

/// What stands at the server for a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WatchKind {
    Data,
    Exist,
    Child,
    Persistent,
    PersistentRecursive,
}

/// Watches that a server cannot tell apart: it keeps one of each for a connection and a path,
/// however many watchers the client has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Data,
    Child,
    Persistent,
    PersistentRecursive,
}

const SLOTS: usize = 4;

/// A watch that nobody wants any more and the server still keeps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) path: Arc<str>,
    pub(super) kind: WatcherType,
}

/// Every watch of a session, by path and by watcher.
#[derive(Debug, Default)]
pub(super) struct Watches {
    paths: BTreeMap<Arc<str>, AtPath>,
    /// Where each watcher stands; the default watcher is not listed, as it never leaves.
    watchers: BTreeMap<WatcherId, (Arc<str>, WatchKind)>,
    /// Watchers whose request is not answered yet, each with whether it has left already.
    expected: BTreeMap<WatcherId, bool>,
}

#[derive(Debug, Default)]
struct AtPath {
    watchers: Vec<(WatchKind, WatcherId)>,
    /// How many requests that are not answered yet will leave a watch, by slot. As long as there
    /// is one, nothing may be removed at the server: it might be that request's watch.
    expected: [u32; SLOTS],
}

impl WatchKind {
    fn slot(self) -> Slot {
        match self {
            Self::Data | Self::Exist => Slot::Data,
            Self::Child => Slot::Child,
            Self::Persistent => Slot::Persistent,
            Self::PersistentRecursive => Slot::PersistentRecursive,
        }
    }

    /// What a watcher is told when its watch was removed.
    pub(super) fn removed_event(self) -> EventType {
        match self {
            Self::Data | Self::Exist => EventType::DataWatchRemoved,
            Self::Child => EventType::ChildWatchRemoved,
            Self::Persistent | Self::PersistentRecursive => EventType::PersistentWatchRemoved,
        }
    }
}

impl Slot {
    fn watcher_type(self) -> WatcherType {
        match self {
            Self::Data => WatcherType::Data,
            Self::Child => WatcherType::Children,
            Self::Persistent => WatcherType::Persistent,
            Self::PersistentRecursive => WatcherType::PersistentRecursive,
        }
    }
}

impl Want {
    fn slot(self) -> Slot {
        match self {
            Self::Data | Self::Existence => Slot::Data,
            Self::Children => Slot::Child,
            Self::Persistent => Slot::Persistent,
            Self::PersistentRecursive => Slot::PersistentRecursive,
        }
    }

    /// What stands after the request was answered with `code`, if anything.
    fn left_by(self, code: ErrorCode) -> Option<WatchKind> {
        match (self, code) {
            (Self::Data | Self::Existence, ErrorCode::Ok) => Some(WatchKind::Data),
            (Self::Existence, ErrorCode::NoNode) => Some(WatchKind::Exist),
            (Self::Children, ErrorCode::Ok) => Some(WatchKind::Child),
            (Self::Persistent, ErrorCode::Ok) => Some(WatchKind::Persistent),
            (Self::PersistentRecursive, ErrorCode::Ok) => Some(WatchKind::PersistentRecursive),
            _ => None,
        }
    }
}

impl AtPath {
    fn is_empty(&self) -> bool {
        self.watchers.is_empty() && self.expected == [0; SLOTS]
    }

    fn wants(&self, slot: Slot) -> bool {
        self.expected[slot as usize] > 0
            || self.watchers.iter().any(|(kind, _)| kind.slot() == slot)
    }

    fn insert(&mut self, kind: WatchKind, watcher: WatcherId) {
        if !self.watchers.contains(&(kind, watcher)) {
            self.watchers.push((kind, watcher));
        }
    }
}

impl Watches {
    /// How many watchers stand, the default one not counted.
    pub(super) fn len(&self) -> usize {
        self.watchers.len()
    }

    /// A request that will leave a watch was accepted.
    pub(super) fn expect(&mut self, registration: &Registration) {
        let at = self.paths.entry(Arc::clone(&registration.path)).or_default();
        at.expected[registration.want.slot() as usize] += 1;
        if registration.watcher != WatcherId::DEFAULT {
            self.expected.insert(registration.watcher, false);
        }
    }

    /// That request was answered with `code`, or will never be (`None`).
    ///
    /// Returns what must be removed at the server, if the watcher has left in the meantime.
    pub(super) fn settle(
        &mut self,
        registration: &Registration,
        code: Option<ErrorCode>,
    ) -> Option<Removal> {
        let Registration { path, want, watcher } = registration;
        let has_left = self.expected.remove(watcher).unwrap_or(false);
        let at = self.paths.get_mut(path)?;
        at.expected[want.slot() as usize] -= 1;
        let left = code.and_then(|code| want.left_by(code));
        match left {
            Some(kind) if !has_left => {
                at.insert(kind, *watcher);
                if *watcher != WatcherId::DEFAULT {
                    self.watchers.insert(*watcher, (Arc::clone(path), kind));
                }
                None
            }
            Some(kind) => self.abandoned(path, kind.slot()),
            None => {
                self.forget_if_empty(path);
                None
            }
        }
    }

    /// A watcher leaves. Returns what must be removed at the server, if anything.
    pub(super) fn release(&mut self, watcher: WatcherId) -> Option<Removal> {
        if let Some(has_left) = self.expected.get_mut(&watcher) {
            *has_left = true;
            return None;
        }
        let (path, kind) = self.watchers.remove(&watcher)?;
        let at = self.paths.get_mut(&path)?;
        at.watchers.retain(|(_, at)| *at != watcher);
        self.abandoned(&path, kind.slot())
    }

    /// What is left to remove at the server when nobody uses `slot` at `path` any more.
    fn abandoned(&mut self, path: &Arc<str>, slot: Slot) -> Option<Removal> {
        let wanted = self.paths.get(path).is_some_and(|at| at.wants(slot));
        self.forget_if_empty(path);
        let path = Arc::clone(path);
        (!wanted).then(|| Removal { path, kind: slot.watcher_type() })
    }

    fn forget_if_empty(&mut self, path: &Arc<str>) {
        if self.paths.get(path).is_some_and(AtPath::is_empty) {
            self.paths.remove(path);
        }
    }

    /// A server has told an event: appends everyone to be told, once each, and takes away the
    /// one-shot watches that it has used up.
    pub(super) fn trigger(&mut self, kind: EventType, path: &str, told: &mut Vec<WatcherId>) {
        use WatchKind::{Child, Data, Exist, Persistent, PersistentRecursive};

        let hears: &[WatchKind] = match kind {
            EventType::NodeCreated | EventType::NodeDataChanged => {
                &[Data, Exist, Persistent, PersistentRecursive]
            }
            EventType::NodeDeleted => &[Data, Exist, Child, Persistent, PersistentRecursive],
            // Other watches of this connection may have caused it: recursive ones never hear of
            // children (ZOOKEEPER-4475).
            EventType::NodeChildrenChanged => &[Child, Persistent],
            _ => return,
        };
        self.trigger_at(path, hears, told);
        if hears.contains(&PersistentRecursive) {
            let mut below = path;
            while let Some(above) = path::parent(below) {
                self.trigger_at(above, &[PersistentRecursive], told);
                below = above;
            }
        }
    }

    fn trigger_at(&mut self, path: &str, hears: &[WatchKind], told: &mut Vec<WatcherId>) {
        let Some(at) = self.paths.get_mut(path) else {
            return;
        };
        let watchers = &mut self.watchers;
        at.watchers.retain(|(kind, watcher)| {
            if !hears.contains(kind) {
                return true;
            }
            if !told.contains(watcher) {
                told.push(*watcher);
            }
            let stays = matches!(kind, WatchKind::Persistent | WatchKind::PersistentRecursive);
            if !stays {
                watchers.remove(watcher);
            }
            stays
        });
        if at.is_empty() {
            self.paths.remove(path);
        }
    }

    /// The server has removed every watch of a type at a path: returns who stood there.
    pub(super) fn remove(&mut self, path: &str, kind: WatcherType) -> Vec<(WatcherId, WatchKind)> {
        let Some(at) = self.paths.get_mut(path) else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        at.watchers.retain(|(stands, watcher)| {
            let goes = kind == WatcherType::Any || stands.slot().watcher_type() == kind;
            if goes {
                gone.push((*watcher, *stands));
            }
            !goes
        });
        if at.is_empty() {
            self.paths.remove(path);
        }
        for (watcher, _) in &gone {
            self.watchers.remove(watcher);
        }
        gone
    }

    /// Everyone who watches persistently.
    pub(super) fn persistent(&self) -> impl Iterator<Item = WatcherId> {
        self.watchers
            .iter()
            .filter(|(_, (_, kind))| {
                matches!(kind, WatchKind::Persistent | WatchKind::PersistentRecursive)
            })
            .map(|(watcher, _)| *watcher)
    }

    /// Forgets everyone who watches persistently; returns who that was.
    pub(super) fn take_persistent(&mut self) -> Vec<WatcherId> {
        let gone: Vec<_> = self.persistent().collect();
        for watcher in &gone {
            let Some((path, _)) = self.watchers.remove(watcher) else { continue };
            if let Some(at) = self.paths.get_mut(&path) {
                at.watchers.retain(|(_, stands)| stands != watcher);
            }
            self.forget_if_empty(&path);
        }
        gone
    }

    /// The paths at which a kind of watch stands.
    pub(super) fn paths(&self, kind: WatchKind) -> impl Iterator<Item = &str> {
        self.paths
            .iter()
            .filter(move |(_, at)| at.watchers.iter().any(|(stands, _)| *stands == kind))
            .map(|(path, _)| &**path)
    }

    /// Forgets everything; returns every watcher that stood somewhere or was about to.
    pub(super) fn end(&mut self) -> Vec<WatcherId> {
        self.paths.clear();
        let mut watchers: Vec<_> = std::mem::take(&mut self.watchers).into_keys().collect();
        watchers.extend(std::mem::take(&mut self.expected).into_keys());
        watchers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, want: Want, watcher: u64) -> Registration {
        Registration { path: path.into(), want, watcher: WatcherId(watcher) }
    }

    fn stand(watches: &mut Watches, registration: &Registration) {
        watches.expect(registration);
        assert_eq!(watches.settle(registration, Some(ErrorCode::Ok)), None);
    }

    fn told(watches: &mut Watches, kind: EventType, path: &str) -> Vec<u64> {
        let mut told = Vec::new();
        watches.trigger(kind, path, &mut told);
        told.into_iter().map(|watcher| watcher.0).collect()
    }

    #[test]
    fn a_one_shot_watch_is_told_once() {
        let mut watches = Watches::default();
        stand(&mut watches, &at("/a", Want::Data, 1));
        assert_eq!(told(&mut watches, EventType::NodeDataChanged, "/a"), [1]);
        assert!(told(&mut watches, EventType::NodeDataChanged, "/a").is_empty());
        assert!(watches.paths.is_empty());
    }

    #[test]
    fn a_deletion_uses_up_data_and_child_watches() {
        let mut watches = Watches::default();
        stand(&mut watches, &at("/a", Want::Data, 1));
        stand(&mut watches, &at("/a", Want::Children, 2));
        assert_eq!(told(&mut watches, EventType::NodeDeleted, "/a"), [1, 2]);
        assert!(watches.watchers.is_empty());
    }

    #[test]
    fn recursive_watches_hear_of_descendants_but_not_of_children_lists() {
        let mut watches = Watches::default();
        stand(&mut watches, &at("/", Want::PersistentRecursive, 1));
        stand(&mut watches, &at("/a", Want::PersistentRecursive, 2));
        stand(&mut watches, &at("/a", Want::Persistent, 3));
        assert_eq!(told(&mut watches, EventType::NodeCreated, "/a/b/c"), [2, 1]);
        assert_eq!(told(&mut watches, EventType::NodeChildrenChanged, "/a"), [3]);
    }

    #[test]
    fn exists_leaves_a_watch_on_a_missing_node_and_get_data_does_not() {
        let mut watches = Watches::default();
        for (watcher, want) in [(1, Want::Existence), (2, Want::Data)] {
            let registration = at("/a", want, watcher);
            watches.expect(&registration);
            watches.settle(&registration, Some(ErrorCode::NoNode));
        }
        assert_eq!(watches.paths(WatchKind::Exist).collect::<Vec<_>>(), ["/a"]);
        assert_eq!(told(&mut watches, EventType::NodeCreated, "/a"), [1]);
    }

    #[test]
    fn the_last_watcher_to_leave_removes_the_watch_at_the_server() {
        let mut watches = Watches::default();
        stand(&mut watches, &at("/a", Want::Data, 1));
        stand(&mut watches, &at("/a", Want::Existence, 2));
        assert_eq!(watches.release(WatcherId(1)), None);
        let removal = Removal { path: "/a".into(), kind: WatcherType::Data };
        assert_eq!(watches.release(WatcherId(2)), Some(removal));
        assert_eq!(watches.release(WatcherId(2)), None);
    }

    #[test]
    fn a_late_unwatch_does_not_remove_the_watch_of_a_request_under_way() {
        let mut watches = Watches::default();
        stand(&mut watches, &at("/a", Want::Data, 1));
        let newer = at("/a", Want::Data, 2);
        watches.expect(&newer);
        assert_eq!(watches.release(WatcherId(1)), None);
        assert_eq!(watches.settle(&newer, Some(ErrorCode::Ok)), None);
        assert_eq!(told(&mut watches, EventType::NodeDataChanged, "/a"), [2]);
    }

    #[test]
    fn a_watcher_dropped_before_its_answer_leaves_nothing_behind() {
        let mut watches = Watches::default();
        let registration = at("/a", Want::Children, 1);
        watches.expect(&registration);
        assert_eq!(watches.release(WatcherId(1)), None);
        assert_eq!(
            watches.settle(&registration, Some(ErrorCode::Ok)),
            Some(Removal { path: "/a".into(), kind: WatcherType::Children })
        );
        assert!(watches.paths.is_empty());
    }
}
