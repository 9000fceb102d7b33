//! A copy of some nodes: what it takes from watches and reads, and what it has to read next.
//!
//! Pure. A change is told of by a watch, and by nothing but a read is it known what it is: so each
//! event has its node read, and what is read while another event comes is read again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use znode::{EventType, Stat, WatchedEvent};

use super::changes::CacheChange;
use super::handle::CachedNode;

/// Which nodes are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The root alone.
    Node,
    /// Those right below the root.
    Children,
    /// The root and everything below it.
    Tree,
}

/// Something to be read of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) path: Arc<str>,
    /// What is known of it: what has not changed since need not be read.
    pub(super) known: Option<Stat>,
    /// Whether the names of its children are wanted, too.
    pub(super) with_children: bool,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Missing,
    /// It is as it was known.
    Same,
    /// It is so; what was not read is as it was, or was not wanted.
    Node {
        stat: Stat,
        data: Option<Box<[u8]>>,
        children: Option<Vec<String>>,
    },
}

/// The copy.
#[derive(Debug)]
pub(super) struct Mirror {
    root: Arc<str>,
    scope: Scope,
    slots: BTreeMap<Arc<str>, Slot>,
    /// What is to be read, in order.
    jobs: VecDeque<Job>,
    /// How many jobs were handed out and not answered.
    under_way: usize,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not been whole yet.
    Filling,
    /// Something may have been missed.
    Checking,
    Whole,
}

#[derive(Debug, Default)]
struct Slot {
    node: Option<Arc<CachedNode>>,
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    #[default]
    Not,
    /// A job is waiting or under way.
    Once,
    /// The same, and what it reads may be old by then.
    Again { with_children: bool },
}

impl Mirror {
    /// An empty copy, with the job that begins to fill it.
    pub(super) fn new(root: &str, scope: Scope) -> Self {
        let root: Arc<str> = root.into();
        let mut mirror = Self {
            root: Arc::clone(&root),
            scope,
            slots: BTreeMap::new(),
            jobs: VecDeque::new(),
            under_way: 0,
            phase: Phase::Filling,
        };
        mirror.want(&root, true);
        mirror
    }

    /// Something has happened to a node.
    pub(super) fn event(&mut self, event: &WatchedEvent, out: &mut Vec<CacheChange>) {
        if !self.is_in_reach(&event.path) || event.kind == EventType::NodeChildrenChanged {
            return;
        }
        let path: Arc<str> = event.path.as_str().into();
        let is_gone = event.kind == EventType::NodeDeleted;
        if is_gone && !self.slots.contains_key(&path) {
            return;
        }
        let slot = self.slots.entry(Arc::clone(&path)).or_default();
        // The transaction says whether it was this very node that went.
        let was_it = |node: &Arc<CachedNode>| {
            event.zxid.is_some_and(|zxid| is_gone && node.stat.czxid < zxid)
        };
        if let Some(node) = slot.node.take_if(|node| was_it(node)) {
            self.tell(CacheChange::Deleted(node), out);
            if self.slots.get(&path).is_some_and(|slot| slot.reading == Reading::Not) {
                self.slots.remove(&path);
                return;
            }
        }
        // What was there before it was known has children that nobody will tell of.
        let is_known = self.slots.get(&path).is_some_and(|slot| slot.node.is_some());
        self.want(&path, event.kind == EventType::NodeDataChanged && !is_known);
    }

    /// Something may have been missed: all that is there is to be looked at.
    pub(super) fn gap(&mut self) {
        let paths: Vec<Arc<str>> = self.slots.keys().cloned().collect();
        for path in paths {
            self.want(&path, true);
        }
        let root = Arc::clone(&self.root);
        if !self.slots.contains_key(&root) {
            self.want(&root, true);
        }
        self.doubt();
    }

    /// Something may have been missed, and is to be looked at later.
    pub(super) fn doubt(&mut self) {
        if self.phase == Phase::Whole {
            self.phase = Phase::Checking;
        }
    }

    /// What is to be read next; each job is to be answered.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.under_way += 1;
        Some(job)
    }

    /// What a job has read.
    pub(super) fn answered(&mut self, job: &Job, seen: Seen, out: &mut Vec<CacheChange>) {
        self.under_way -= 1;
        let path = Arc::clone(&job.path);
        let slot = self.slots.entry(Arc::clone(&path)).or_default();
        if let Reading::Again { with_children } = slot.reading {
            slot.reading = Reading::Not;
            self.want(&path, job.with_children || with_children);
        } else {
            slot.reading = Reading::Not;
            match seen {
                Seen::Same => {}
                Seen::Missing => self.remove(&path, out),
                Seen::Node { stat, data, children } => {
                    self.update(&path, stat, data, out);
                    if let Some(children) = children {
                        self.compare_children(&path, &children);
                    }
                }
            }
        }
        self.settle(out);
    }

    /// A node that is held, as it was seen last.
    pub(super) fn get(&self, path: &str) -> Option<&Arc<CachedNode>> {
        self.slots.get(path)?.node.as_ref().filter(|node| self.holds(&node.path))
    }

    /// All nodes that are held, parents before children.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<CachedNode>> {
        self.slots
            .values()
            .filter_map(|slot| slot.node.as_ref())
            .filter(|node| self.holds(&node.path))
    }

    /// How many nodes it knows of.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is left to be read, and nothing was missed.
    pub(super) fn is_whole(&self) -> bool {
        self.phase == Phase::Whole && self.is_idle()
    }

    fn is_idle(&self) -> bool {
        self.under_way == 0 && self.jobs.is_empty()
    }

    fn settle(&mut self, out: &mut Vec<CacheChange>) {
        if !self.is_idle() {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Whole) {
            Phase::Filling => out.push(CacheChange::Filled),
            Phase::Checking => out.push(CacheChange::Resynced),
            Phase::Whole => {}
        }
    }

    /// Has a node read, once more if that is under way already.
    fn want(&mut self, path: &Arc<str>, with_children: bool) {
        let slot = self.slots.entry(Arc::clone(path)).or_default();
        match slot.reading {
            Reading::Not => {
                slot.reading = Reading::Once;
                let known = slot.node.as_ref().map(|node| node.stat);
                let with_children = with_children && self.has_children_in_reach(path);
                self.jobs.push_back(Job { path: Arc::clone(path), known, with_children });
            }
            Reading::Once => slot.reading = Reading::Again { with_children },
            Reading::Again { with_children: before } => {
                slot.reading = Reading::Again { with_children: before || with_children };
            }
        }
    }

    fn update(
        &mut self,
        path: &Arc<str>,
        stat: Stat,
        data: Option<Box<[u8]>>,
        out: &mut Vec<CacheChange>,
    ) {
        let slot = self.slots.entry(Arc::clone(path)).or_default();
        let before = slot.node.take();
        let data = match (data, &before) {
            (Some(data), _) => data,
            (None, Some(before)) => before.data.clone(),
            (None, None) => Box::default(),
        };
        let after = Arc::new(CachedNode { path: Arc::clone(path), stat, data });
        slot.node = Some(Arc::clone(&after));
        match before {
            None => self.tell(CacheChange::Created(after), out),
            // The same version may be another node's. (CURATOR-391)
            Some(before) if before.stat.czxid != after.stat.czxid => {
                self.tell(CacheChange::Deleted(before), out);
                self.tell(CacheChange::Created(after), out);
            }
            Some(before) if before.stat.mzxid != after.stat.mzxid => {
                self.tell(CacheChange::Changed { before, after }, out);
            }
            Some(_) => {}
        }
    }

    /// Takes a node away, and whatever is below it.
    fn remove(&mut self, path: &Arc<str>, out: &mut Vec<CacheChange>) {
        let gone: Vec<Arc<str>> = self.below(path).cloned().collect();
        for path in gone.iter().rev().chain([path]) {
            let Some(slot) = self.slots.get_mut(path) else { continue };
            let node = slot.node.take();
            if slot.reading == Reading::Not {
                self.slots.remove(path);
            }
            if let Some(node) = node {
                self.tell(CacheChange::Deleted(node), out);
            }
        }
    }

    /// Has those read of which a list and the copy disagree.
    fn compare_children(&mut self, path: &Arc<str>, children: &[String]) {
        let listed: BTreeSet<Arc<str>> =
            children.iter().map(|name| znode::path::join(path, name).into()).collect();
        let is_child = |below: &&Arc<str>| znode::path::parent(below) == Some(&**path);
        let known: Vec<Arc<str>> = self.below(path).filter(is_child).cloned().collect();
        let gone = known.into_iter().filter(|child| !listed.contains(child));
        for child in gone.collect::<Vec<_>>() {
            self.want(&child, false);
        }
        for child in listed {
            if self.is_in_reach(&child) && !self.slots.contains_key(&child) {
                self.want(&child, true);
            }
        }
    }

    /// The paths below one, in order.
    fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Arc<str>> + use<'a> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let from = (Bound::Included(below.as_str()), Bound::Unbounded);
        let paths = self.slots.range::<str, _>(from).map(|(path, _)| path);
        paths.take_while(move |path| path.starts_with(&below))
    }

    fn tell(&self, change: CacheChange, out: &mut Vec<CacheChange>) {
        if change.node().is_none_or(|node| self.holds(&node.path)) {
            out.push(change);
        }
    }

    /// Whether a node is one of those that are copied.
    fn holds(&self, path: &str) -> bool {
        match self.scope {
            Scope::Node => *path == *self.root,
            Scope::Children => znode::path::parent(path) == Some(&*self.root),
            Scope::Tree => true,
        }
    }

    /// Whether it takes a node to know of those that are copied.
    fn is_in_reach(&self, path: &str) -> bool {
        *path == *self.root || self.holds(path)
    }

    fn has_children_in_reach(&self, path: &str) -> bool {
        match self.scope {
            Scope::Node => false,
            Scope::Children => *path == *self.root,
            Scope::Tree => true,
        }
    }
}

/// What differs between what is known of a node and what it is: its data, and its children.
pub(super) fn differences(known: &Stat, now: &Stat) -> (bool, bool) {
    let is_another = known.czxid != now.czxid;
    (is_another || known.mzxid != now.mzxid, is_another || known.pzxid != now.pzxid)
}

#[cfg(test)]
mod tests;
