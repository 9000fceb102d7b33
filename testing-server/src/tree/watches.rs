//! Who wants to know of what: watches by path and by connection.

use std::num::NonZeroU8;

use znode::proto::{EventType, WatcherType};

use super::index::{PathHasher, PathIndex};
use super::parent;
use super::slab::Slab;

/// The end of a list.
const NIL: u32 = u32::MAX;

/// The kinds of watch that one connection has on one path.
///
/// ZooKeeper keeps two tables, one for data and one for children, and a persistent watch stands in
/// both. Here a bit says which, so a connection has one record for a path, whatever it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes(u8);

impl Modes {
    /// One-shot, left by `getData` and `exists`.
    pub(crate) const DATA: Self = Self(1);
    /// One-shot, left by `getChildren`.
    pub(crate) const CHILD: Self = Self(2);
    /// Stays; told of the node and of its children's coming and going.
    pub(crate) const PERSISTENT: Self = Self(4);
    /// Stays; told of the node and of everything below, but never of a list of children.
    pub(crate) const RECURSIVE: Self = Self(8);
    /// Every kind.
    const ANY: Self = Self(15);
    /// Hears of what happens to the node itself.
    pub(crate) const DATA_TABLE: Self = Self(1 | 4 | 8);
    /// Hears of the node's list of children.
    pub(crate) const CHILD_TABLE: Self = Self(2 | 4);

    /// What `checkWatches` and `removeWatches` mean by a type.
    pub(crate) fn of(kind: WatcherType) -> Option<Self> {
        match kind {
            WatcherType::Children => Some(Self::CHILD),
            WatcherType::Data => Some(Self::DATA),
            WatcherType::Any => Some(Self::ANY),
            WatcherType::Persistent => Some(Self::PERSISTENT),
            WatcherType::PersistentRecursive => Some(Self::RECURSIVE),
            _ => None,
        }
    }

    /// Whether the two have a kind in common.
    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// One connection's watches on one path, in two lists.
#[derive(Debug)]
struct Watch {
    /// Never empty: a record without a kind is removed.
    modes: NonZeroU8,
    /// The slot of the connection.
    conn: u32,
    /// The watched path.
    path: u32,
    /// Neighbours among the watches on the same path; before the first one stands the last.
    on_path: Links,
    /// Neighbours among the watches of the same connection.
    of_conn: Links,
}

#[derive(Debug, Clone, Copy)]
struct Links {
    before: u32,
    after: u32,
}

/// A path that somebody watches; the node need not exist.
#[derive(Debug)]
struct WatchedPath {
    path: Box<[u8]>,
    /// The first watch, in the order in which they were set.
    first: u32,
    /// How many there are.
    count: u32,
}

/// Every watch of every connection.
#[derive(Debug)]
pub(crate) struct Watches {
    watches: Slab<Watch>,
    paths: Slab<WatchedPath>,
    /// Watched paths by path.
    by_path: PathIndex,
    /// By slot of the connection.
    by_conn: Vec<Watcher>,
    /// How many watches are recursive: without any, no ancestor is looked up.
    recursive: usize,
    /// Numbers the changes, so that a connection is told once of each.
    change: u64,
    hasher: PathHasher,
}

/// A connection as the watches see it.
#[derive(Debug, Clone, Copy)]
struct Watcher {
    /// Its most recent watch, which leads to the others.
    first: u32,
    /// How many there are.
    count: u32,
    /// The last change that it was told of.
    told: u64,
}

impl Watches {
    /// No watches; `seed` goes into the hashes.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            watches: Slab::new(),
            paths: Slab::new(),
            by_path: PathIndex::new(),
            by_conn: Vec::new(),
            recursive: 0,
            change: 0,
            hasher: PathHasher::new(seed),
        }
    }

    /// Lets a connection watch a path, besides whatever it watches there already.
    pub(crate) fn add(&mut self, path: &[u8], conn: u32, modes: Modes) {
        let path = self.intern(path);
        match self.pair(path, conn) {
            Some(id) => self.set_modes(id, Modes(self.watches[id].modes.get() | modes.0)),
            None => self.link(path, conn, modes),
        }
    }

    /// Ends some kinds of watch of a connection on a path; false if it has none of them.
    pub(crate) fn remove(&mut self, path: &[u8], conn: u32, modes: Modes) -> bool {
        let Some(id) = self.find(path, conn) else {
            return false;
        };
        let before = Modes(self.watches[id].modes.get());
        self.set_modes(id, Modes(before.0 & !modes.0));
        before.intersects(modes)
    }

    /// Whether a connection has one of some kinds of watch on a path.
    pub(crate) fn contains(&self, path: &[u8], conn: u32, modes: Modes) -> bool {
        self.find(path, conn)
            .is_some_and(|id| Modes(self.watches[id].modes.get()).intersects(modes))
    }

    /// Ends every watch of a connection.
    pub(crate) fn remove_connection(&mut self, conn: u32) {
        while let Some(id) = self.by_conn.get(conn as usize).map(|watcher| watcher.first)
            && id != NIL
        {
            self.set_modes(id, Modes(0));
        }
    }

    /// Appends to `told` each connection that must hear of a change, once, and ends the one-shot
    /// watches that the change has used up.
    pub(crate) fn trigger(&mut self, path: &[u8], event: EventType, told: &mut Vec<u32>) {
        if self.watches.len() == 0 {
            return;
        }
        let (table, spent) = match event {
            EventType::NodeChildrenChanged => (Modes::CHILD_TABLE, Modes::CHILD),
            EventType::NodeDeleted => (Modes::ANY, Modes(Modes::DATA.0 | Modes::CHILD.0)),
            _ => (Modes::DATA_TABLE, Modes::DATA),
        };
        self.change += 1;
        self.tell(path, table, spent, told);
        if self.recursive > 0 && event != EventType::NodeChildrenChanged {
            let mut above = parent(path);
            while let Some(path) = above {
                self.tell(path, Modes::RECURSIVE, Modes(0), told);
                above = parent(path);
            }
        }
    }

    /// The watches in the order of their numbers: path, slot of the connection, kinds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], u32, Modes)> {
        self.watches
            .iter()
            .map(|(_, watch)| (&*self.paths[watch.path].path, watch.conn, Modes(watch.modes.get())))
    }

    fn tell(&mut self, path: &[u8], table: Modes, spent: Modes, told: &mut Vec<u32>) {
        let Some(path) = self.watched(path) else {
            return;
        };
        let mut next = self.paths[path].first;
        while next != NIL {
            let id = next;
            let watch = &self.watches[id];
            let modes = Modes(watch.modes.get());
            next = watch.on_path.after;
            if !modes.intersects(table) {
                continue;
            }
            let watcher = &mut self.by_conn[watch.conn as usize];
            if watcher.told != self.change {
                watcher.told = self.change;
                told.push(watch.conn);
            }
            if modes.intersects(spent) {
                self.set_modes(id, Modes(modes.0 & !spent.0));
            }
        }
    }

    /// The number of a path that is watched.
    fn watched(&self, path: &[u8]) -> Option<u32> {
        let paths = &self.paths;
        self.by_path.find(self.hasher.hash(path), |id| &*paths[id].path == path)
    }

    /// The number of a path, watched or not yet.
    fn intern(&mut self, path: &[u8]) -> u32 {
        if let Some(id) = self.watched(path) {
            return id;
        }
        let hash = self.hasher.hash(path);
        let id = self.paths.insert(WatchedPath { path: path.into(), first: NIL, count: 0 });
        self.by_path.insert(hash, id);
        id
    }

    fn find(&self, path: &[u8], conn: u32) -> Option<u32> {
        self.pair(self.watched(path)?, conn)
    }

    /// The watch of a connection on a path: looked for among the fewer, the path's or the
    /// connection's. Either list is short in practice, and an index of pairs would take more
    /// memory than half of the record that it leads to.
    fn pair(&self, path: u32, conn: u32) -> Option<u32> {
        let watcher = self.by_conn.get(conn as usize)?;
        let on_path = &self.paths[path];
        let by_path = on_path.count < watcher.count;
        let mut next = if by_path { on_path.first } else { watcher.first };
        while next != NIL {
            let watch = &self.watches[next];
            if (watch.path, watch.conn) == (path, conn) {
                return Some(next);
            }
            next = if by_path { watch.on_path.after } else { watch.of_conn.after };
        }
        None
    }

    /// Makes a record and puts it at the end of its path's list and in front of its connection's.
    fn link(&mut self, path: u32, conn: u32, modes: Modes) {
        let kinds = NonZeroU8::new(modes.0).expect("a watch is set with a kind");
        let slot = conn as usize;
        if self.by_conn.len() <= slot {
            self.by_conn.resize(slot + 1, Watcher { first: NIL, count: 0, told: 0 });
        }
        let mine = self.by_conn[slot].first;
        let id = self.watches.insert(Watch {
            modes: kinds,
            conn,
            path,
            on_path: Links { before: NIL, after: NIL },
            of_conn: Links { before: NIL, after: mine },
        });
        let first = match self.paths[path].first {
            NIL => id,
            first => first,
        };
        let last = if first == id { id } else { self.watches[first].on_path.before };
        self.watches[last].on_path.after = id;
        self.watches[id].on_path = Links { before: last, after: NIL };
        self.watches[first].on_path.before = id;
        self.paths[path].first = first;
        self.paths[path].count += 1;
        if mine != NIL {
            self.watches[mine].of_conn.before = id;
        }
        self.by_conn[slot].first = id;
        self.by_conn[slot].count += 1;
        self.recursive += usize::from(modes.intersects(Modes::RECURSIVE));
    }

    /// Changes the kinds of a record; with the last kind the record goes, and with the last record
    /// of a path the path.
    fn set_modes(&mut self, id: u32, modes: Modes) {
        let watch = &mut self.watches[id];
        let before = Modes(watch.modes.get());
        self.recursive += usize::from(modes.intersects(Modes::RECURSIVE));
        self.recursive -= usize::from(before.intersects(Modes::RECURSIVE));
        match NonZeroU8::new(modes.0) {
            Some(modes) => watch.modes = modes,
            None => self.unlink(id),
        }
    }

    fn unlink(&mut self, id: u32) {
        let Some(watch) = self.watches.remove(id) else {
            return;
        };
        let watcher = &mut self.by_conn[watch.conn as usize];
        watcher.count -= 1;
        let Links { before, after } = watch.of_conn;
        match before {
            NIL => watcher.first = after,
            before => self.watches[before].of_conn.after = after,
        }
        if after != NIL {
            self.watches[after].of_conn.before = before;
        }
        self.unlink_from_path(id, &watch);
    }

    fn unlink_from_path(&mut self, id: u32, watch: &Watch) {
        let path = &mut self.paths[watch.path];
        path.count -= 1;
        let Links { before, after } = watch.on_path;
        if path.first == id {
            path.first = after;
        } else {
            self.watches[before].on_path.after = after;
        }
        // Behind the last one, the first keeps the way back.
        let heir = if after == NIL { path.first } else { after };
        if heir != NIL {
            self.watches[heir].on_path.before = before;
            return;
        }
        if let Some(path) = self.paths.remove(watch.path) {
            self.by_path.remove(self.hasher.hash(&path.path), watch.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(watches: &mut Watches, path: &str, event: EventType) -> Vec<u32> {
        let mut told = Vec::new();
        watches.trigger(path.as_bytes(), event, &mut told);
        told
    }

    #[test]
    fn a_one_shot_watch_is_told_once() {
        let mut watches = Watches::new(0);
        watches.add(b"/a", 1, Modes::DATA);
        watches.add(b"/a", 2, Modes::DATA);
        assert_eq!(told(&mut watches, "/a", EventType::NodeDataChanged), [1, 2]);
        assert!(told(&mut watches, "/a", EventType::NodeDataChanged).is_empty());
        assert_eq!((watches.watches.len(), watches.paths.len()), (0, 0));
    }

    #[test]
    fn a_persistent_watch_stays_and_hears_both_tables() {
        let mut watches = Watches::new(0);
        watches.add(b"/a", 1, Modes::PERSISTENT);
        for event in [EventType::NodeDataChanged, EventType::NodeChildrenChanged] {
            assert_eq!(told(&mut watches, "/a", event), [1]);
        }
        assert!(told(&mut watches, "/a/b", EventType::NodeCreated).is_empty());
    }

    #[test]
    fn a_recursive_watch_hears_everything_below_but_no_list_of_children() {
        let mut watches = Watches::new(0);
        watches.add(b"/", 1, Modes::RECURSIVE);
        watches.add(b"/a", 1, Modes::RECURSIVE);
        assert_eq!(told(&mut watches, "/a/b/c", EventType::NodeCreated), [1]);
        assert_eq!(told(&mut watches, "/", EventType::NodeDataChanged), [1]);
        assert!(told(&mut watches, "/a", EventType::NodeChildrenChanged).is_empty());
        assert!(watches.remove(b"/a", 1, Modes::ANY));
        watches.remove_connection(1);
        assert_eq!((watches.recursive, watches.watches.len()), (0, 0));
    }

    #[test]
    fn a_deletion_is_told_once_whatever_the_connection_watches() {
        let mut watches = Watches::new(0);
        for modes in [Modes::DATA, Modes::CHILD, Modes::PERSISTENT, Modes::RECURSIVE] {
            watches.add(b"/a", 1, modes);
        }
        watches.add(b"/", 1, Modes::RECURSIVE);
        assert_eq!(told(&mut watches, "/a", EventType::NodeDeleted), [1]);
        assert!(!watches.contains(b"/a", 1, Modes(Modes::DATA.0 | Modes::CHILD.0)));
        assert!(watches.contains(b"/a", 1, Modes::PERSISTENT));
    }

    #[test]
    fn removing_needs_a_watch_of_the_kind() {
        let mut watches = Watches::new(0);
        watches.add(b"/a", 1, Modes::CHILD);
        assert!(!watches.remove(b"/a", 1, Modes::DATA));
        assert!(!watches.remove(b"/a", 2, Modes::CHILD));
        assert!(watches.remove(b"/a", 1, Modes::CHILD));
        assert!(!watches.remove(b"/a", 1, Modes::ANY));
    }

    #[test]
    fn a_closed_connection_leaves_the_others_watches() {
        let mut watches = Watches::new(0);
        for conn in 0..50 {
            for path in 0..50 {
                watches.add(format!("/{path}").as_bytes(), conn, Modes::DATA);
            }
        }
        (0..50).filter(|conn| conn % 3 != 0).for_each(|conn| watches.remove_connection(conn));
        let expected: Vec<u32> = (0..50).filter(|conn| conn % 3 == 0).collect();
        assert_eq!(told(&mut watches, "/7", EventType::NodeDataChanged), expected);
        assert_eq!(watches.watches.len(), 17 * 49);
    }

    #[test]
    fn a_watch_is_small() {
        assert!(size_of::<Option<Watch>>() <= 28, "{}", size_of::<Option<Watch>>());
    }
}
