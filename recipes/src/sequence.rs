//! The names of sequential nodes: which children contend, in which order, and whose turn it is.
//!
//! Pure. Nothing here asks a server; everything here is decided from a list of names.

/// How the contenders of a recipe are named: some text, a marker, and the digits that the server
/// appends.
///
/// A child contends if what follows the last occurrence of a marker is a number; any other child
/// is somebody else's and is ignored. (Curator counts every child: CURATOR-43.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Naming {
    /// The marker of the nodes that we make, which is Curator's.
    own: &'static str,
    /// The markers of others whose nodes contend with ours.
    others: &'static [&'static str],
}

/// The number that a server has given to a sequential node.
///
/// It is the parent's count of creations, a signed 32-bit number, printed with ten digits. Beyond
/// 2³¹ − 1 it goes on with negative ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(i32);

/// Where a contender stands among the children of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing<'a> {
    /// It is among the first; it has what it contends for.
    Held,
    /// Its turn cannot come before this child is gone.
    Behind(&'a str),
    /// It is not there any more.
    Gone,
}

/// The numbers of a parent are used up: it has children with negative ones, and nobody can tell
/// any more who came first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sequence number of {0:?} has rolled over; its parent must be deleted and made anew")]
pub(crate) struct RolledOver(String);

impl Naming {
    /// Exclusive locks: Curator's `_c_<uuid>-lock-<number>`, which go-zookeeper shares, and
    /// kazoo's `<hex>__lock__<number>`.
    pub(crate) const LOCK: Self = Self { own: "lock-", others: &["__lock__"] };

    /// The marker that the name of a new node ends with.
    pub(crate) fn marker(self) -> &'static str {
        self.own
    }

    /// The number of a contender, or `None` of any other child.
    pub(crate) fn sequence(self, name: &str) -> Option<Sequence> {
        let mut markers = std::iter::once(self.own).chain(self.others.iter().copied());
        markers.find_map(|marker| {
            let (_, number) = name.rsplit_once(marker)?;
            Sequence::parse(number)
        })
    }

    /// Where `ours` stands among `children`, of which the first `leases` hold.
    ///
    /// Who waits depends on one other child, the last of those whose leaving can make room for
    /// it, so that a leaving child concerns one waiter.
    ///
    /// # Errors
    /// [`RolledOver`] if any contender has a negative number: it is younger than all others, but
    /// other clients of the same lock, which compare text or signed numbers, take it for older.
    pub(crate) fn standing<'a>(
        self,
        children: &'a [String],
        ours: &str,
        leases: usize,
    ) -> Result<Standing<'a>, RolledOver> {
        assert!(leases > 0, "a lock that nobody can hold");
        let mut contenders = Vec::with_capacity(children.len());
        for name in children {
            match self.sequence(name) {
                Some(Sequence(..0)) => return Err(RolledOver(name.clone())),
                Some(sequence) => contenders.push((sequence, name.as_str())),
                None => {}
            }
        }
        let Some(us) = contenders.iter().find(|(_, name)| *name == ours).copied() else {
            return Ok(Standing::Gone);
        };
        // Numbers repeat only where somebody made a node by hand; the names decide then.
        contenders.retain(|contender| *contender < us);
        match contenders.len().checked_sub(leases) {
            None => Ok(Standing::Held),
            Some(index) => {
                let (_, &mut (_, name), _) = contenders.select_nth_unstable(index);
                Ok(Standing::Behind(name))
            }
        }
    }
}

impl Sequence {
    /// Reads what a server has appended: digits, after a minus sign if the number is negative.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    const CURATOR: &str = "_c_6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1-lock-";
    const KAZOO: &str = "0f3a5cdd23f14a94ae1b8b2a52ae3ee0__lock__";
    const GO: &str = "_c_6c0ae3f50f4c4bd3a3d27e0c2bf9d5c1-lock-";

    /// The children of a parent as a server names them, by three clients in turn.
    fn children(numbers: impl IntoIterator<Item = i32>) -> Vec<String> {
        let clients = [CURATOR, KAZOO, GO].into_iter().cycle();
        clients.zip(numbers).map(|(client, number)| format!("{client}{number:010}")).collect()
    }

    fn sequence(name: &str) -> Option<i32> {
        Naming::LOCK.sequence(name).map(|sequence| sequence.0)
    }

    #[test]
    fn the_names_of_every_family_are_read() {
        assert_eq!(sequence(&format!("{CURATOR}0000000042")), Some(42));
        assert_eq!(sequence(&format!("{KAZOO}0000000042")), Some(42));
        assert_eq!(sequence(&format!("{GO}2147483647")), Some(i32::MAX));
        assert_eq!(sequence("lock-0000000001"), Some(1));
        assert_eq!(sequence("lock-lock-0000000001"), Some(1));
    }

    #[test]
    fn other_children_do_not_contend() {
        for name in [
            "",
            "lock-",
            "lock--",
            "lock-+1",
            "lock- 1",
            "lock-1a",
            "lock-2147483648",
            "lock-0000000001-",
            "config",
            "0000000001",
            "_c_6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1-__WRIT__0000000001",
            "_c_6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1-latch-0000000001",
            "0f3a5cdd23f14a94ae1b8b2a52ae3ee0__rlock__0000000001",
        ] {
            assert_eq!(sequence(name), None, "{name}");
        }
    }

    #[test]
    fn a_number_that_rolled_over_is_refused_whosever_it_is() {
        let ours = children([5, i32::MIN]);
        for us in &ours {
            let refused = Naming::LOCK.standing(&ours, us, 1).unwrap_err();
            assert_eq!(refused, RolledOver(ours[1].clone()));
        }
        assert_eq!(sequence("lock--000000001"), Some(-1));
        assert_eq!(sequence("lock--2147483648"), Some(i32::MIN));
    }

    #[test]
    fn order_is_by_number_and_not_by_text() {
        // By text, kazoo's name comes before Curator's, and 10 before 9.
        let ours = vec![format!("{KAZOO}10"), format!("{CURATOR}9")];
        assert_eq!(Naming::LOCK.standing(&ours, &ours[1], 1), Ok(Standing::Held));
        let behind = Standing::Behind(&ours[1]);
        assert_eq!(Naming::LOCK.standing(&ours, &ours[0], 1), Ok(behind));
    }

    #[test]
    fn who_is_not_listed_is_gone() {
        let others = children([1, 2]);
        let us = format!("{CURATOR}0000000003");
        assert_eq!(Naming::LOCK.standing(&others, &us, 1), Ok(Standing::Gone));
    }

    proptest! {
        #[test]
        fn what_a_server_appends_is_read_back(number: i32) {
            for child in children([number; 3]) {
                prop_assert_eq!(sequence(&child), Some(number));
            }
        }

        #[test]
        fn any_name_is_read_without_panic(name: String, number: String) {
            sequence(&name);
            sequence(&format!("lock-{number}"));
        }

        #[test]
        fn exactly_the_first_hold_and_each_other_waits_for_one_of_its_own(
            (sorted, foreign, shuffled) in families(),
            leases in 1_usize..5,
        ) {
            for (index, us) in sorted.iter().enumerate() {
                let expected = match index.checked_sub(leases) {
                    None => Standing::Held,
                    Some(before) => Standing::Behind(&sorted[before]),
                };
                prop_assert_eq!(Naming::LOCK.standing(&shuffled, us, leases), Ok(expected));
            }
            for name in &foreign {
                let standing = Naming::LOCK.standing(&shuffled, name, leases);
                prop_assert_eq!(standing, Ok(Standing::Gone));
            }
        }
    }

    /// Contenders in order, children that do not contend, and all of them in no order.
    fn families() -> impl Strategy<Value = (Vec<String>, Vec<String>, Vec<String>)> {
        let foreign = any::<[String; 3]>().prop_map(|names| {
            names.into_iter().filter(|name| sequence(name).is_none()).collect::<Vec<_>>()
        });
        (btree_set(0..i32::MAX, 1..40).prop_map(children), foreign).prop_flat_map(
            |(sorted, foreign)| {
                let all: Vec<_> = sorted.iter().chain(&foreign).cloned().collect();
                (Just(sorted), Just(foreign), Just(all).prop_shuffle())
            },
        )
    }
}
