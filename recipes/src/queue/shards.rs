//! Which of several queues an item goes to, and whether there should be one more.
//!
//! Pure. Sizes are what was read last, and what was put since.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names::Order;

/// What the name of a queue among others begins with; a UUID follows.
const PREFIX: &str = "queue-";
/// How many characters stand between the dashes of a UUID.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// What a child of the common path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Child {
    Shard,
    /// It is not several queues that have this path, but one.
    Item,
    Stranger,
}

/// Several queues, and how full they are.
#[derive(Debug)]
pub(super) struct Shards {
    /// From how many items on a queue is full, and how many queues there are at most.
    pub(super) limit: usize,
    pub(super) count_max: usize,
    known: BTreeMap<Arc<str>, Shard>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Shard {
    items: usize,
    /// Since it was seen at the limit; until it is seen at half of that, as Curator has it, so that
    /// one which is emptied is not filled at once.
    is_full: bool,
}

impl Child {
    pub(super) fn of(name: &str) -> Self {
        const ORDERS: [Order; 4] = [Order::Put, Order::Priority, Order::Due, Order::Id];

        match name.strip_prefix(PREFIX) {
            Some(uuid) if is_uuid(uuid) => Self::Shard,
            _ if ORDERS.iter().any(|order| order.place(name).is_some()) => Self::Item,
            _ => Self::Stranger,
        }
    }
}

/// What a new queue is called.
pub(super) fn name(guid: &str) -> String {
    format!("{PREFIX}{guid}")
}

fn is_uuid(text: &str) -> bool {
    let is_hex = |group: &str| group.chars().all(|c| c.is_ascii_hexdigit());
    let mut groups = text.split('-');
    GROUPS.iter().all(|len| groups.next().is_some_and(|it| it.len() == *len && is_hex(it)))
        && groups.next().is_none()
}

impl Shards {
    pub(super) fn new(limit: usize, count_max: usize) -> Self {
        Self { limit, count_max, known: BTreeMap::new() }
    }

    /// Takes in which queues there are, and how many items each has.
    pub(super) fn see(&mut self, sizes: &BTreeMap<Arc<str>, usize>) {
        let before = std::mem::take(&mut self.known);
        let limit = self.limit.max(1);
        self.known.extend(sizes.iter().map(|(name, items)| {
            let was_full = before.get(name).is_some_and(|shard| shard.is_full);
            let is_full = *items >= limit || (was_full && *items > limit / 2);
            (Arc::clone(name), Shard { items: *items, is_full })
        }));
    }

    /// One more item was put.
    pub(super) fn note_put(&mut self, name: &str) {
        let limit = self.limit.max(1);
        if let Some(shard) = self.known.get_mut(name) {
            shard.items += 1;
            shard.is_full |= shard.items >= limit;
        }
    }

    /// One of those that are not full; if all are, one of all.
    pub(super) fn choose(&self, random: u64) -> Option<Arc<str>> {
        let with_room = || self.known.iter().filter(|(_, shard)| !shard.is_full);
        let pick = |count: usize| usize::try_from(random % count as u64).ok();
        let name = match with_room().count() {
            0 if self.known.is_empty() => None,
            0 => self.known.keys().nth(pick(self.known.len())?),
            count => with_room().nth(pick(count)?).map(|(name, _)| name),
        };
        name.map(Arc::clone)
    }

    /// Whether there should be one more: all are full, and there may be more.
    pub(super) fn lack_room(&self) -> bool {
        self.known.values().all(|shard| shard.is_full) && self.known.len() < self.count_max.max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn sizes(of: &[(&str, usize)]) -> BTreeMap<Arc<str>, usize> {
        of.iter().map(|(name, items)| (Arc::from(*name), *items)).collect()
    }

    #[test]
    fn children_are_queues_or_items_or_somebody_elses() {
        let shard = name("6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1");
        assert_eq!(Child::of(&shard), Child::Shard);
        // Also one whose last group could be a number.
        assert_eq!(Child::of("queue-6c0ae3f5-0f4c-4bd3-a3d2-123456789012"), Child::Shard);
        for item in ["queue-0000000001", "queue-1000000050000000002", "queue-|x|0000000003"] {
            assert_eq!(Child::of(item), Child::Item, "{item}");
        }
        for stranger in ["", "queue-", "locks", "6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1"] {
            assert_eq!(Child::of(stranger), Child::Stranger, "{stranger}");
        }
    }

    #[test]
    fn a_queue_that_was_full_is_spared_until_it_is_half_empty() {
        let mut shards = Shards::new(10, 3);
        let chosen = |shards: &Shards| (0..9).map(|r| shards.choose(r).unwrap()).max().unwrap();
        shards.see(&sizes(&[("a", 0), ("b", 9)]));
        assert_eq!(&*chosen(&shards), "b");
        shards.note_put("b");
        for (items, expected) in [(10, "a"), (6, "a"), (5, "b"), (9, "b"), (10, "a")] {
            shards.see(&sizes(&[("a", 0), ("b", items)]));
            assert_eq!(&*chosen(&shards), expected, "{items}");
        }
    }

    proptest! {
        #[test]
        fn none_is_filled_over_its_limit_while_another_has_room(
            limit in 1..20_usize,
            count_max in 1..5_usize,
            first in btree_map("[a-d]", 0..25_usize, 0..4),
            draws in vec(any::<u64>(), 0..200),
        ) {
            let mut sizes: BTreeMap<Arc<str>, usize> =
                first.into_iter().map(|(name, items)| (Arc::from(name), items)).collect();
            let mut shards = Shards::new(limit, count_max);
            shards.see(&sizes);
            for (i, random) in draws.into_iter().enumerate() {
                prop_assert_eq!(shards.choose(random).is_none(), sizes.is_empty());
                let has_room = sizes.values().any(|items| *items < limit);
                if shards.lack_room() {
                    prop_assert!(!has_room && sizes.len() < count_max);
                    sizes.insert(format!("new-{i}").into(), 0);
                    shards.see(&sizes);
                } else if let Some(name) = shards.choose(random) {
                    let items = sizes.get_mut(&name).expect("it is one of them");
                    prop_assert!(*items < limit || !has_room, "{} of {}", items, limit);
                    *items += 1;
                    shards.note_put(&name);
                }
            }
            prop_assert!(sizes.len() <= count_max.max(4));
        }
    }
}
