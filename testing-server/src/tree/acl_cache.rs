//! Access control lists, each kept once and counted: most nodes share one of a handful.

use hashbrown::HashTable;
use znode::proto::{AclRecord, Perms};

use super::index::PathHasher;
use super::slab::Slab;

/// The number of an access control list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AclId(u32);

impl AclId {
    /// Everything to everybody, which needs no look-up.
    pub(crate) const OPEN: Self = Self(0);

    /// The number itself.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// One entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acl {
    /// What is allowed.
    pub(crate) perms: Perms,
    /// The scheme of the id.
    pub(crate) scheme: Box<str>,
    /// Who is meant, in the scheme's own form.
    pub(crate) id: Box<str>,
}

/// Every access control list that a node, or a transaction on its way, refers to.
#[derive(Debug)]
pub(crate) struct AclCache {
    lists: Slab<Shared>,
    /// Numbers of lists by their content.
    index: HashTable<u32>,
    hasher: PathHasher,
}

#[derive(Debug)]
struct Shared {
    list: Box<[Acl]>,
    hash: u32,
    references: usize,
}

impl AclCache {
    /// A cache that holds [`AclId::OPEN`] alone.
    pub(crate) fn new(hasher: PathHasher) -> Self {
        let mut cache = Self { lists: Slab::new(), index: HashTable::new(), hasher };
        let open = cache.intern(&[AclRecord::new(Perms::ALL, "world", "anyone")]);
        debug_assert_eq!(open, AclId::OPEN);
        cache
    }

    /// The number of `list`, with one reference more. Entries without scheme or id are refused
    /// before a list gets here.
    pub(crate) fn intern(&mut self, list: &[AclRecord<'_>]) -> AclId {
        let hash = self.hash(list);
        let lists = &mut self.lists;
        let equal = |id: &u32| lists[*id].hash == hash && same(&lists[*id].list, list);
        if let Some(id) = self.index.find(u64::from(hash), equal) {
            let id = AclId(*id);
            self.retain(id);
            return id;
        }
        let id =
            self.lists.insert(Shared { list: list.iter().map(own).collect(), hash, references: 1 });
        let lists = &self.lists;
        self.index.insert_unique(u64::from(hash), id, |id| u64::from(lists[*id].hash));
        AclId(id)
    }

    /// Counts one reference more.
    pub(crate) fn retain(&mut self, id: AclId) {
        self.lists[id.0].references += 1;
    }

    /// Counts one reference less and forgets the list with the last one.
    pub(crate) fn release(&mut self, id: AclId) {
        let shared = &mut self.lists[id.0];
        shared.references -= 1;
        if shared.references == 0 {
            let hash = u64::from(shared.hash);
            self.lists.remove(id.0);
            if let Ok(entry) = self.index.find_entry(hash, |found| *found == id.0) {
                entry.remove();
            }
        }
    }

    /// The list.
    pub(crate) fn list(&self, id: AclId) -> &[Acl] {
        &self.lists[id.0].list
    }

    /// Every list that is referred to, in the order of the numbers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AclId> {
        self.lists.iter().map(|(id, _)| AclId(id))
    }

    fn hash(&self, list: &[AclRecord<'_>]) -> u32 {
        list.iter().fold(0, |hash: u32, acl| {
            let scheme = acl.id.scheme.as_deref().unwrap_or_default();
            let id = acl.id.id.as_deref().unwrap_or_default();
            let mixed = self.hasher.hash(scheme.as_bytes()) ^ acl.perms.0.cast_unsigned();
            hash.rotate_left(5)
                .wrapping_add(mixed.rotate_left(11))
                .wrapping_add(self.hasher.hash(id.as_bytes()))
        })
    }
}

fn own(acl: &AclRecord<'_>) -> Acl {
    Acl {
        perms: acl.perms,
        scheme: acl.id.scheme.as_deref().unwrap_or_default().into(),
        id: acl.id.id.as_deref().unwrap_or_default().into(),
    }
}

fn same(kept: &[Acl], asked: &[AclRecord<'_>]) -> bool {
    kept.len() == asked.len()
        && kept.iter().zip(asked).all(|(kept, asked)| {
            kept.perms == asked.perms
                && Some(&*kept.scheme) == asked.id.scheme.as_deref()
                && Some(&*kept.id) == asked.id.id.as_deref()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_share_one_number_until_the_last_reference_goes() {
        let mut cache = AclCache::new(PathHasher::new(3));
        let list = [AclRecord::new(Perms::READ, "ip", "127.0.0.1")];
        let first = cache.intern(&list);
        assert_eq!(cache.intern(&list), first);
        assert_ne!(first, AclId::OPEN);
        cache.release(first);
        assert_eq!(cache.list(first).len(), 1);
        cache.release(first);
        assert_eq!(cache.lists.len(), 1);
        assert_eq!(cache.index.len(), 1);
    }
}
