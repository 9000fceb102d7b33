//! Which parts are whose: computed by every member for itself, from the names of all.

use std::collections::BTreeSet;
use std::sync::Arc;

/// How the parts of a [`Partitioner`](crate::Partitioner) are divided among its members: in each
/// way every part is due to one member, and to no member two more than to another.
///
/// All members should divide alike. Where they do not no part is ever had by two, but some may be
/// had by nobody.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Division, Partitioner};
///
/// let tables = Partitioner::new(&client, "/tables", ["a", "b", "c"])?;
/// let share = tables.with_division(Division::Stable).join("host-1").await?;
/// # share.leave().await
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Division {
    /// As kazoo's `SetPartitioner`: members and parts are sorted, and dealt like cards. When a
    /// member comes or goes most parts move.
    #[default]
    RoundRobin,
    /// Each part has an order of its own in which it prefers members, and goes to the first that
    /// has room. When a member comes or goes few more parts move than have to; it takes as much
    /// time as there are parts times members.
    Stable,
}

/// Who is in a group, in the order in which they are dealt to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Members(Vec<Member>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    /// What it calls itself; several may do so alike.
    id: String,
    /// The name of its node, which is its own.
    node: String,
}

impl Members {
    /// Of the names of a group's children: `<hex>-<id>`, each of them somebody, as kazoo has it.
    pub(super) fn of(names: Vec<String>) -> Self {
        let member = |node: String| {
            let id = node.split_once('-').map_or(&*node, |(_, id)| id).to_owned();
            Member { id, node }
        };
        let mut members: Vec<_> = names.into_iter().map(member).collect();
        members.sort_unstable();
        Self(members)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|member| &*member.id)
    }

    /// The place of whoever has this node.
    pub(super) fn place(&self, node: &str) -> Option<usize> {
        self.0.iter().position(|member| member.node == node)
    }

    /// What tells a member from others, also after it was started anew: its id, and how many
    /// before it have the same.
    fn seed(&self, place: usize) -> u64 {
        let id = &self.0[place].id;
        let before = self.0[..place].iter().rev().take_while(|other| other.id == *id).count();
        hash(before as u64, id.as_bytes())
    }
}

impl Division {
    /// What is due to the member at a place.
    pub(super) fn due(
        self,
        parts: &BTreeSet<Arc<str>>,
        members: &Members,
        place: usize,
    ) -> BTreeSet<Arc<str>> {
        match self {
            Self::RoundRobin => {
                parts.iter().skip(place).step_by(members.0.len()).map(Arc::clone).collect()
            }
            Self::Stable => {
                let owners = stable(parts, members);
                let ours = parts.iter().zip(owners).filter(|(_, owner)| *owner == place);
                ours.map(|(part, _)| Arc::clone(part)).collect()
            }
        }
    }
}

/// The places of the members that have each part.
fn stable(parts: &BTreeSet<Arc<str>>, members: &Members) -> Vec<usize> {
    let count = members.0.len();
    let each = parts.len() / count;
    // So many have one more.
    let mut more = parts.len() % count;
    let seeds: Vec<u64> = (0..count).map(|place| members.seed(place)).collect();
    let mut load = vec![0; count];
    let mut owners = vec![0; parts.len()];
    // Not in the order of their names: the last have the least choice.
    let mut order: Vec<(u64, usize)> =
        parts.iter().enumerate().map(|(i, part)| (hash(0, part.as_bytes()), i)).collect();
    order.sort_unstable();
    for (part, i) in order {
        let has_room = |place: &usize| load[*place] < each || load[*place] == each && more > 0;
        let preferred = (0..count).filter(has_room).max_by_key(|place| mix(part ^ seeds[*place]));
        let owner = preferred.expect("there is room for as many parts as there are");
        more -= usize::from(load[owner] == each);
        load[owner] += 1;
        owners[i] = owner;
    }
    owners
}

/// FNV-1a, which every version computes alike.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let begin = mix(seed ^ 0xcbf2_9ce4_8422_2325);
    let hashed = bytes
        .iter()
        .fold(begin, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(hashed)
}

/// Makes each bit depend on all: names that differ in one letter are to be far apart.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn parts(names: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<Arc<str>> {
        names.into_iter().map(|name| Arc::from(name.into())).collect()
    }

    fn members<'a>(ids: impl IntoIterator<Item = &'a str>) -> Members {
        Members::of(ids.into_iter().enumerate().map(|(i, id)| format!("{i:032x}-{id}")).collect())
    }

    /// The place of the owner of each part, in order.
    fn owners(division: Division, parts: &BTreeSet<Arc<str>>, members: &Members) -> Vec<usize> {
        let due: Vec<_> =
            (0..members.0.len()).map(|place| division.due(parts, members, place)).collect();
        let owner = |part| {
            let mut owners = (0..due.len()).filter(|place| due[*place].contains(part));
            let owner = owners.next().expect("each part is somebody's");
            assert_eq!(owners.next(), None, "{part} is due to two");
            owner
        };
        parts.iter().map(owner).collect()
    }

    const BOTH: [Division; 2] = [Division::RoundRobin, Division::Stable];

    proptest! {
        #[test]
        fn every_part_is_due_to_one_and_to_all_the_same_within_one(
            names in btree_set("[a-z]{1,4}", 0..60),
            ids in vec("[ab]{0,2}", 1..9),
        ) {
            let (parts, members) = (parts(names), members(ids.iter().map(|id| &**id)));
            for division in BOTH {
                let mut load = vec![0; ids.len()];
                owners(division, &parts, &members).into_iter().for_each(|owner| load[owner] += 1);
                let (least, most) = (load.iter().min().unwrap(), load.iter().max().unwrap());
                prop_assert!(most - least <= 1, "{division:?} {load:?}");
            }
        }

        #[test]
        fn it_is_the_same_for_everybody_in_whatever_order_they_are_listed(
            names in btree_set("[a-z]{1,4}", 0..40),
            nodes in btree_set("[0-9a-f]{2}-?[a-c]{0,2}", 1..9).prop_map(Vec::from_iter)
                .prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle())),
        ) {
            let (parts, listed, again) = (parts(names), Members::of(nodes.0), Members::of(nodes.1));
            prop_assert_eq!(&listed, &again);
            for division in BOTH {
                prop_assert_eq!(
                    owners(division, &parts, &listed),
                    owners(division, &parts, &again)
                );
            }
        }
    }

    #[test]
    fn round_robin_is_kazoos() {
        // As kazoo's default function says: sorted(parts)[i::len(members)].
        let due = |id: &str| {
            let members = Members::of(vec!["1-b".into(), "3-a".into(), "2-c".into()]);
            let place = members.ids().position(|other| other == id).unwrap();
            let parts = parts(["q5", "q1", "q3", "q2", "q4"]);
            Division::RoundRobin.due(&parts, &members, place).into_iter().collect::<Vec<_>>()
        };
        let named = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>();
        assert_eq!(due("a"), named(&["q1", "q4"]));
        assert_eq!(due("b"), named(&["q2", "q5"]));
        assert_eq!(due("c"), named(&["q3"]));
    }

    #[test]
    fn names_are_taken_apart_as_kazoo_does() {
        let members = Members::of(vec!["f-host-1".into(), "stranger".into(), "0-".into()]);
        assert_eq!(members.ids().collect::<Vec<_>>(), ["", "host-1", "stranger"]);
        assert_eq!(members.place("f-host-1"), Some(1));
        assert_eq!(members.place("e-host-1"), None);
    }

    /// Of those who have the same id each has a share of its own.
    #[test]
    fn whoever_was_started_anew_has_what_it_had_if_it_is_stable() {
        let parts = parts((0..100).map(|i| format!("part-{i}")));
        let before = Members::of(vec!["1-a".into(), "2-b".into(), "3-b".into()]);
        let after = Members::of(vec!["9-a".into(), "8-b".into(), "3-b".into()]);
        let due = |members: &Members, place| Division::Stable.due(&parts, members, place);
        for place in 0..3 {
            assert_eq!(due(&before, place), due(&after, place));
        }
        assert_ne!(due(&before, 1), due(&before, 2));
    }

    /// How many of a thousand parts move when somebody comes, and how many have to.
    fn moved(division: Division, count: usize) -> (usize, usize) {
        let parts = parts((0..1_000).map(|i| format!("part-{i}")));
        let ids: Vec<String> = (0..=count).map(|i| format!("host-{i}")).collect();
        // They are named in such an order that the new one is the last.
        let of = |count: usize| members(ids.iter().take(count).map(|id| &**id));
        let (few, many) = (of(count), of(count + 1));
        let named = |members: &Members| -> Vec<String> {
            let owners = owners(division, &parts, members);
            owners.into_iter().map(|owner| members.0[owner].id.clone()).collect()
        };
        let moved = named(&few).into_iter().zip(named(&many)).filter(|(a, b)| a != b).count();
        (moved, parts.len() / (count + 1))
    }

    #[test]
    fn few_parts_move_if_it_is_stable_and_most_if_it_is_not() {
        for count in [2, 3, 5, 8, 13] {
            let (stable, least) = moved(Division::Stable, count);
            let (robin, _) = moved(Division::RoundRobin, count);
            assert!(stable < least * 2, "{count}: {stable} moved, {least} had to");
            assert!(robin > stable, "{count}: {robin} moved, {stable} if it is stable");
        }
    }

    /// Members of several versions must divide alike, for ever.
    #[test]
    fn a_stable_division_does_not_change_with_versions() {
        let parts = parts(["a", "b", "c", "d", "e", "f", "g"]);
        let members = members(["one", "two", "three"]);
        assert_eq!(owners(Division::Stable, &parts, &members), [2, 1, 0, 2, 0, 1, 1]);
    }
}
