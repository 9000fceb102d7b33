//! A copy of some nodes: what it takes from watches and reads, and what it has to read next.
//!
//! Pure. A change is told of by a watch, and by nothing but a read is it known what it is: so each
//! event has its node read, and what is read while another event comes is read again. Whether the
//! copy is whole is asked of each node, and never of the moment: there may be none in which nothing
//! is being read.

mod held;
mod line;
mod look;
mod scope;
mod slot;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use znode::{Error, EventType, Stat, WatchedEvent, Zxid};

use self::held::Held;
pub(super) use self::line::{Line, Looked, Request, Turn};
pub(super) use self::look::{Answer, Ask, Job, Seen};
pub(super) use self::scope::{Reach, Scope};
use self::slot::{Reading, Slot};
use super::changes::CacheChange;
use super::handle::CachedNode;

/// For how many paths that wait there is room when none does: when it is filled all of them did.
const WAITING_KEPT: usize = 1024;

/// The copy.
#[derive(Debug)]
pub(super) struct Mirror {
    reach: Reach,
    slots: BTreeMap<Arc<str>, Slot>,
    /// What is to be read, in order.
    waiting: VecDeque<Arc<str>>,
    /// How often something may have been missed.
    round: u64,
    /// How many nodes are to be seen yet, before nothing can have been missed.
    owed: usize,
    phase: Phase,
    /// Up to where every event was taken in, and on which connection that was asked for.
    heard: Asked,
    /// After which transaction at least whatever it does not know of was not there, until it is
    /// whole again.
    absent_at: Zxid,
}

/// What a session knew when it asked for something.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// What it had seen.
    pub(super) zxid: Zxid,
    /// How many states it had been in: a connection has a state of its own.
    pub(super) generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not been whole yet.
    Filling,
    /// Something may have been missed.
    Checking,
    Whole,
}

impl Mirror {
    /// An empty copy, to be filled once [`look_again`](Self::look_again) says so.
    pub(super) fn new(root: &str, scope: Scope) -> Self {
        let mut mirror = Self {
            reach: Reach::new(root, scope),
            slots: BTreeMap::new(),
            waiting: VecDeque::new(),
            round: 0,
            owed: 0,
            phase: Phase::Filling,
            heard: Asked::default(),
            absent_at: Zxid::ZERO,
        };
        mirror.doubt();
        mirror
    }

    /// Something has happened to a node.
    pub(super) fn event(&mut self, event: &WatchedEvent, out: &mut Vec<CacheChange>) {
        let is_gone = event.kind == EventType::NodeDeleted;
        let is_of_children = event.kind == EventType::NodeChildrenChanged;
        if is_of_children || !self.reach.reads(&event.path) {
            return;
        }
        let path: Arc<str> = event.path.as_str().into();
        if is_gone && !self.slots.contains_key(&path) {
            return;
        }
        // Before this nothing has happened to it.
        let as_of = self.as_of(&path);
        let slot = self.slot(&path);
        slot.see(as_of);
        // The transaction says whether it was this very node that went.
        let gone = event.zxid.filter(|_| is_gone);
        let was_it = |stat: Stat| gone.is_some_and(|zxid| stat.czxid < zxid);
        if slot.held.stat().is_some_and(was_it)
            && let Some(node) = slot.clear(&path)
        {
            // What is owed is looked at all the same: an answer on this connection is owed.
            let is_settled = slot.reading == Reading::Not && !slot.is_owed;
            self.tell(CacheChange::Deleted(node), out);
            if is_settled {
                return self.forget(&path);
            }
        }
        // What was there before it was known has children that nobody will tell of.
        let is_known = self.slot(&path).held.is_node();
        let is_of_before = event.kind == EventType::NodeDataChanged && !is_known;
        if is_of_before && self.phase != Phase::Whole {
            self.owe(&path);
        }
        let gone_at = if is_gone { event.zxid.unwrap_or(Zxid(i64::MAX)) } else { Zxid::ZERO };
        self.want(&path, is_of_before, gone_at);
    }

    /// Something may have been missed: all that is known of is to be looked at, as soon as
    /// [`look_again`](Self::look_again) says so.
    pub(super) fn doubt(&mut self) {
        if self.phase == Phase::Whole {
            self.absent_at = self.absent_at.max(self.heard.zxid);
            self.phase = Phase::Checking;
        }
        self.round += 1;
        let root = Arc::clone(self.reach.root());
        self.slot(&root);
        for slot in self.slots.values_mut() {
            slot.see(slot.as_of(self.heard.zxid));
            slot.is_owed = true;
            // What is under way was asked for before.
            if slot.reading.is_under_way() {
                slot.want(true, Zxid::ZERO);
            }
        }
        self.owed = self.slots.len();
    }

    /// Has everything looked at that has not been since [`doubt`](Self::doubt).
    pub(super) fn look_again(&mut self) {
        let owed = self.slots.iter().filter(|(_, slot)| slot.is_owed);
        for path in owed.map(|(path, _)| Arc::clone(path)).collect::<Vec<_>>() {
            if self.slot(&path).reading == Reading::Not {
                self.want(&path, true, Zxid::ZERO);
            }
        }
    }

    /// What is to be read next; each job is to be answered.
    fn next_job(&mut self) -> Option<Job> {
        let path = self.waiting.pop_front()?;
        if self.waiting.is_empty() {
            self.waiting.shrink_to(WAITING_KEPT);
        }
        let round = self.round;
        let slot = self.slot(&path);
        let with_children = slot.reading.ask() || slot.is_owed;
        let known = slot.known();
        let with_children = with_children && self.reach.reads_children(&path);
        Some(Job { path, known, with_children, round })
    }

    /// What a job has read, which was `asked` for so. Every event that came before the answer is
    /// taken in.
    pub(super) fn answered(
        &mut self,
        job: &Job,
        seen: Seen,
        asked: Asked,
        out: &mut Vec<CacheChange>,
    ) {
        let path = Arc::clone(&job.path);
        let is_of_round = job.round == self.round;
        let seen_at = asked.zxid.max(seen.newest());
        self.hear(Asked { zxid: seen_at, ..asked });
        let slot = self.slot(&path);
        let is_paid = is_of_round && std::mem::take(&mut slot.is_owed);
        let again = slot.done();
        self.owed -= usize::from(is_paid);
        match seen {
            Seen::Same => self.slot(&path).see(seen_at),
            Seen::Missing => {
                self.slot(&path).see(seen_at);
                match again {
                    Some(_) => self.remove_old(&path, out),
                    None => self.remove(&path, out),
                }
            }
            Seen::Refused(error) => {
                let slot = self.slot(&path);
                slot.see(seen_at);
                if let Some(node) = slot.refuse(&path, error) {
                    self.tell(CacheChange::Deleted(node), out);
                }
            }
            Seen::Node { stat, data, children } => {
                let slot = self.slot(&path);
                if again.is_none_or(|again| slot.is_news(&stat, data.is_some(), again.gone_at)) {
                    slot.see(seen_at);
                    // Without a list it is events that tell of children, if none was missed.
                    let is_listed = job.with_children || again.is_none();
                    let listed_at = if is_listed { stat.pzxid } else { slot.held.listed_at() };
                    self.update(&path, stat, listed_at, data, out);
                } else if slot.has(&stat) {
                    slot.see(seen_at);
                }
                if let Some(children) = children {
                    self.compare_children(&path, &children);
                }
            }
        }
        if let Some(again) = again {
            self.want(&path, again.with_children, Zxid::ZERO);
        }
        self.settle(out);
    }

    /// Something was answered that was `asked` for so, and every event that came before the answer
    /// is taken in: those of all transactions that were seen then, and the gap before the first
    /// answer on that connection.
    pub(super) fn hear(&mut self, asked: Asked) {
        self.heard.zxid = self.heard.zxid.max(asked.zxid);
        self.heard.generation = self.heard.generation.max(asked.generation);
    }

    /// A node that is held, as it was seen last.
    pub(super) fn get(&self, path: &str) -> Option<Arc<CachedNode>> {
        let (path, slot) = self.slots.get_key_value(path).filter(|_| self.reach.holds(path))?;
        slot.held.node(path)
    }

    /// Why a node that is there cannot be read, if so.
    pub(super) fn refusal(&self, path: &str) -> Option<&Error> {
        self.slots.get(path)?.held.refusal()
    }

    /// The paths of nodes that are there and cannot be read.
    pub(super) fn hidden(&self) -> impl Iterator<Item = &Arc<str>> {
        let hidden = self.slots.iter().filter(|(_, slot)| slot.held.refusal().is_some());
        hidden.map(|(path, _)| path).filter(|path| self.reach.holds(path))
    }

    /// All nodes that are held, parents before children.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Arc<CachedNode>> {
        let held = self.slots.iter().filter(|(path, _)| self.reach.holds(path));
        held.filter_map(|(path, slot)| slot.held.node(path))
    }

    /// How many nodes it knows of, of those that it copies.
    pub(super) fn len(&self) -> usize {
        let root = self.reach.root();
        let is_beside = !self.reach.holds(root) && self.slots.contains_key(root);
        self.slots.len() - usize::from(is_beside)
    }

    /// What it copies.
    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether it has been whole.
    pub(super) fn is_filled(&self) -> bool {
        self.phase != Phase::Filling
    }

    /// A transaction such that what is held at a path was there after it, or after a later one.
    pub(super) fn as_of(&self, path: &str) -> Zxid {
        match self.slots.get(path) {
            Some(slot) => slot.as_of(self.heard.zxid),
            None if self.phase == Phase::Whole => self.absent_at.max(self.heard.zxid),
            None => self.absent_at,
        }
    }

    /// The same, if the session is in this generation still, nothing can have been missed in it,
    /// and the node is not being read.
    pub(super) fn settled(&self, path: &str, generation: u64) -> Option<Zxid> {
        let is_unsure = |slot: &Slot| slot.reading != Reading::Not || slot.held.refusal().is_some();
        let is_unsure = self.slots.get(path).is_some_and(is_unsure);
        let is_whole = self.phase == Phase::Whole && self.heard.generation == generation;
        (is_whole && !is_unsure).then(|| self.as_of(path))
    }

    fn settle(&mut self, out: &mut Vec<CacheChange>) {
        if self.owed > 0 {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Whole) {
            Phase::Filling => out.push(CacheChange::Filled),
            Phase::Checking => out.push(CacheChange::Resynced),
            Phase::Whole => {}
        }
    }

    /// The slot of a path, which is made if need be.
    fn slot(&mut self, path: &Arc<str>) -> &mut Slot {
        if !self.slots.contains_key(path) {
            let slot = Slot { seen_at: self.as_of(path), ..Slot::default() };
            self.slots.insert(Arc::clone(path), slot);
        }
        self.slots.get_mut(path).expect("it was made if there was none")
    }

    /// Knows nothing of a path any more.
    fn forget(&mut self, path: &str) {
        if self.slots.remove(path).is_some_and(|slot| slot.is_owed) {
            self.owed -= 1;
        }
    }

    /// Is not whole before this was seen.
    fn owe(&mut self, path: &Arc<str>) {
        let slot = self.slot(path);
        if !std::mem::replace(&mut slot.is_owed, true) {
            self.owed += 1;
        }
    }

    /// Has a node read, once more if that is under way already.
    fn want(&mut self, path: &Arc<str>, with_children: bool, gone_at: Zxid) {
        let slot = self.slot(path);
        let is_new = slot.reading == Reading::Not;
        slot.want(with_children, gone_at);
        if is_new {
            self.waiting.push_back(Arc::clone(path));
        }
    }

    fn update(
        &mut self,
        path: &Arc<str>,
        stat: Stat,
        listed_at: Zxid,
        data: Option<Box<[u8]>>,
        out: &mut Vec<CacheChange>,
    ) {
        let slot = self.slot(path);
        let before = slot.held.node(path);
        let data = match (data, &before) {
            (Some(data), _) => data,
            (None, Some(before)) => before.data.clone(),
            // It has gone since it was looked at, so its data is to be read if it is back.
            (None, None) => return self.want(path, true, Zxid::ZERO),
        };
        let after = Arc::new(CachedNode { path: Arc::clone(path), stat, data });
        slot.held = Held::new(&after, listed_at);
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

    /// Takes a node away that was gone while more has happened to it; what is below it may be
    /// newer, and is looked at.
    fn remove_old(&mut self, path: &Arc<str>, out: &mut Vec<CacheChange>) {
        for below in self.below(path).cloned().collect::<Vec<_>>() {
            self.want(&below, true, Zxid::ZERO);
        }
        if let Some(node) = self.slot(path).clear(path) {
            self.tell(CacheChange::Deleted(node), out);
        }
    }

    /// Takes a node away, and whatever is below it.
    fn remove(&mut self, path: &Arc<str>, out: &mut Vec<CacheChange>) {
        let gone: Vec<Arc<str>> = self.below(path).cloned().collect();
        for path in gone.iter().rev().chain([path]) {
            let slot = self.slot(path);
            let node = slot.clear(path);
            if slot.reading.is_under_way() {
                // The answer to that may be as old as what has gone.
                slot.want(true, Zxid(i64::MAX));
            } else if slot.reading == Reading::Not {
                self.forget(path);
            }
            if let Some(node) = node {
                self.tell(CacheChange::Deleted(node), out);
            }
        }
    }

    /// Has those read of which a list and the copy disagree.
    fn compare_children(&mut self, path: &Arc<str>, children: &[String]) {
        let listed = children.iter().map(|name| Arc::<str>::from(znode::path::join(path, name)));
        let listed: BTreeSet<Arc<str>> = listed.filter(|child| self.reach.reads(child)).collect();
        let is_child = |below: &&Arc<str>| znode::path::parent(below) == Some(&**path);
        let known: Vec<Arc<str>> = self.below(path).filter(is_child).cloned().collect();
        for child in known.iter().filter(|child| !listed.contains(*child)) {
            self.want(child, false, Zxid::ZERO);
        }
        let is_new = |child: &Arc<str>| !self.slots.contains_key(child);
        let new: BTreeSet<Arc<str>> =
            listed.iter().filter(|child| is_new(child)).cloned().collect();
        for child in spread(&new) {
            self.slot(child);
        }
        for child in listed {
            let is_new = new.contains(&child);
            let slot = self.slot(&child);
            let is_unseen = !slot.held.is_node() && (is_new || slot.reading != Reading::Not);
            if is_unseen && self.phase != Phase::Whole {
                self.owe(&child);
            }
            if is_new {
                self.want(&child, true, Zxid::ZERO);
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
        if change.node().is_none_or(|node| self.reach.holds(&node.path)) {
            out.push(change);
        }
    }
}

/// The same paths, in an order that leaves few gaps among the slots. A leaf of a B-tree that is
/// full is split, and its first half stays as it is if all that comes is behind that; so what fills
/// those halves comes last. (The standard library's leaves hold eleven, and are split at the
/// seventh.)
fn spread(paths: &BTreeSet<Arc<str>>) -> impl Iterator<Item = &Arc<str>> {
    let (first, last) = (paths.iter().enumerate(), paths.iter().enumerate());
    let first = first.filter(|(number, _)| number % 12 < 7);
    first.chain(last.filter(|(number, _)| number % 12 >= 7)).map(|(_, path)| path)
}

#[cfg(test)]
mod tests;
