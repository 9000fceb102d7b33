//! The tree as it was: while snapshots are being written, nodes that change leave behind what they
//! were.
//!
//! Nothing is copied when a freeze begins. Whatever changes afterwards is saved first, with the
//! newest freeze only and only once: an older one looks through those after it, since a node that
//! did not change in between was the same for both. Data is never copied, it changes hands. So a
//! freeze costs what changed while it lasts, and one bit for each node.
//!
//! Nodes come out in the order of their numbers, each after those above it: where one of those has
//! not come out yet, it does now.

use std::collections::BTreeMap;

use super::Tree;
use super::acl_cache::{AclCache, AclId};
use super::digest::Meta;
use super::node::{DataNode, Image, NodeId};
use super::slab::Slab;

/// How many numbers are looked at in one go, in use or not.
const LOOKED_AT_MAX: u32 = 16 * 1024;

/// One freeze, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FreezeId(u32);

/// Every freeze that lasts, oldest first.
#[derive(Debug, Default)]
pub(super) struct Freezes {
    list: Vec<Freeze>,
    next: u32,
}

/// A point in time at which the tree is kept.
#[derive(Debug)]
struct Freeze {
    id: FreezeId,
    /// Nodes with greater numbers were created later.
    bound: u32,
    /// What has changed since, and before the next freeze.
    saved: BTreeMap<u32, Saved>,
    /// One bit for each number: whether it has come out.
    seen: Vec<u64>,
    /// The next number to look at.
    cursor: u32,
}

/// What was under a number.
#[derive(Debug)]
enum Saved {
    Nothing,
    Node(SavedNode),
}

#[derive(Debug)]
struct SavedNode {
    meta: Meta,
    parent: NodeId,
    /// With a reference of its own.
    acl: AclId,
    /// Nothing as long as it is still where it was.
    image: Option<Image>,
}

/// A node as it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrozenNode<'a> {
    /// Path and data.
    pub(crate) image: &'a Image,
    /// The rest.
    pub(crate) meta: Meta,
    /// Its access control list.
    pub(crate) acl: AclId,
    parent: NodeId,
}

impl Freezes {
    /// Whether nothing has to be saved.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Saves a node that is about to change, or was just removed.
    pub(super) fn save(&mut self, id: NodeId, node: &DataNode, acls: &mut AclCache) {
        let Some(newest) = self.newest_in_need(id) else { return };
        newest.saved.entry(id.0).or_insert_with(|| {
            acls.retain(node.acl);
            let (meta, parent, acl) = (node.meta(), node.parent, node.acl);
            Saved::Node(SavedNode { meta, parent, acl, image: None })
        });
    }

    /// Takes the path and data that a saved node has lost.
    #[inline]
    pub(super) fn keep(&mut self, id: NodeId, lost: Image) {
        if let Some(newest) = self.list.last_mut()
            && let Some(Saved::Node(SavedNode { image: image @ None, .. })) =
                newest.saved.get_mut(&id.0)
        {
            *image = Some(lost);
        }
    }

    /// Notes that there was nothing under the number of a new node.
    #[inline]
    pub(super) fn created(&mut self, id: NodeId) {
        if let Some(newest) = self.newest_in_need(id) {
            newest.saved.entry(id.0).or_insert(Saved::Nothing);
        }
    }

    /// The newest freeze, unless nobody will ask for this number any more.
    fn newest_in_need(&mut self, id: NodeId) -> Option<&mut Freeze> {
        if !self.list.iter().any(|freeze| freeze.needs(id)) {
            return None;
        }
        self.list.last_mut()
    }

    fn find(&self, id: FreezeId) -> Option<usize> {
        self.list.iter().position(|freeze| freeze.id == id)
    }
}

impl Freeze {
    fn needs(&self, id: NodeId) -> bool {
        id.0 < self.bound && !self.has_seen(id)
    }

    fn has_seen(&self, id: NodeId) -> bool {
        self.seen.get(id.0 as usize / 64).is_some_and(|bits| bits >> (id.0 % 64) & 1 == 1)
    }

    fn see(&mut self, id: NodeId) {
        if let Some(bits) = self.seen.get_mut(id.0 as usize / 64) {
            *bits |= 1 << (id.0 % 64);
        }
    }
}

impl Tree {
    /// Keeps the tree as it is now, until [`thaw`](Self::thaw). Several freezes may last at once.
    pub(crate) fn freeze(&mut self) -> FreezeId {
        let id = FreezeId(self.freezes.next);
        self.freezes.next = self.freezes.next.wrapping_add(1);
        let bound = self.nodes.bound();
        let seen = vec![0; bound as usize / 64 + 1];
        self.freezes.list.push(Freeze { id, bound, saved: BTreeMap::new(), seen, cursor: 0 });
        id
    }

    /// Hands out nodes as they were, until `put` has enough; what is above a node comes before it.
    /// True if there is more; nothing if there is no such freeze.
    pub(crate) fn frozen(
        &mut self,
        id: FreezeId,
        mut put: impl FnMut(FrozenNode<'_>) -> bool,
    ) -> Option<bool> {
        let at = self.freezes.find(id)?;
        let freeze = &self.freezes.list[at];
        let (from, bound) = (freeze.cursor, freeze.bound);
        let end = bound.min(from.saturating_add(LOOKED_AT_MAX));
        let mut above = Vec::new();
        for number in from..end {
            self.freezes.list[at].cursor = number + 1;
            self.chain(at, NodeId(number), &mut above);
            let mut enough = false;
            while let Some(id) = above.pop() {
                enough |= self.hand_out(at, id, &mut put);
            }
            if enough {
                break;
            }
        }
        Some(self.freezes.list[at].cursor < bound)
    }

    /// Ends a freeze, and hands what older ones still need of it over to the one before.
    pub(crate) fn thaw(&mut self, id: FreezeId) {
        let Some(at) = self.freezes.find(id) else { return };
        let ended = self.freezes.list.remove(at);
        let older = &mut self.freezes.list[..at];
        for (number, saved) in ended.saved {
            let acl = match &saved {
                Saved::Node(node) => Some(node.acl),
                Saved::Nothing => None,
            };
            let needed = older.iter().any(|freeze| freeze.needs(NodeId(number)));
            let heir = older.last_mut().filter(|_| needed);
            let taken = heir.is_some_and(|heir| heir.inherit(number, saved));
            if let Some(acl) = acl.filter(|_| !taken) {
                self.acls.release(acl);
            }
        }
    }

    /// A node and those above it that have not come out, the lowest first.
    fn chain(&self, at: usize, id: NodeId, above: &mut Vec<NodeId>) {
        let mut id = id;
        while !self.freezes.list[at].has_seen(id)
            && let Some(node) = view(&self.nodes, &self.freezes.list[at..], id)
        {
            above.push(id);
            if node.parent == id {
                break;
            }
            id = node.parent;
        }
    }

    fn hand_out(
        &mut self,
        at: usize,
        id: NodeId,
        put: &mut impl FnMut(FrozenNode<'_>) -> bool,
    ) -> bool {
        let node = view(&self.nodes, &self.freezes.list[at..], id);
        let enough = put(node.expect("it was there when it was put in line"));
        let freeze = &mut self.freezes.list[at];
        freeze.see(id);
        // Nobody before this freeze asks for it any more.
        if at == 0
            && let Some(Saved::Node(node)) = freeze.saved.remove(&id.0)
        {
            self.acls.release(node.acl);
        }
        enough
    }
}

impl Freeze {
    /// Takes over what a later freeze has saved; false if it has saved more itself, and took the
    /// path and data at most.
    fn inherit(&mut self, number: u32, later: Saved) -> bool {
        match (self.saved.get_mut(&number), later) {
            (None, later) => {
                self.saved.insert(number, later);
                return true;
            }
            (Some(Saved::Node(SavedNode { image: image @ None, .. })), Saved::Node(later)) => {
                *image = later.image;
            }
            _ => {}
        }
        false
    }
}

/// What was under a number at the first of these freezes.
fn view<'a>(
    nodes: &'a Slab<DataNode>,
    freezes: &'a [Freeze],
    id: NodeId,
) -> Option<FrozenNode<'a>> {
    let mut saved = freezes.iter().filter_map(|freeze| freeze.saved.get(&id.0));
    match saved.next() {
        None => {
            let node = nodes.get(id.0)?;
            let (meta, acl, parent) = (node.meta(), node.acl, node.parent);
            Some(FrozenNode { image: &node.image, meta, acl, parent })
        }
        Some(Saved::Nothing) => None,
        Some(Saved::Node(node)) => {
            let image = node.image.as_ref().or_else(|| {
                saved.find_map(|later| match later {
                    Saved::Node(later) => later.image.as_ref(),
                    Saved::Nothing => None,
                })
            });
            let image = image.or_else(|| nodes.get(id.0).map(|node| &node.image))?;
            Some(FrozenNode { image, meta: node.meta, acl: node.acl, parent: node.parent })
        }
    }
}

#[cfg(test)]
impl Tree {
    /// Whether no freeze lasts, and with it nothing that was saved.
    pub(crate) fn keeps_nothing_back(&self) -> bool {
        self.freezes.list.is_empty()
    }
}
