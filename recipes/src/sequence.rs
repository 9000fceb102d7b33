//! The names of sequential nodes: which children contend, in which order, and whose turn it is.
//!
//! Pure. Nothing here asks a server; everything here is decided from a list of names.

use crate::layout::Layout;

/// How the contenders of a recipe are named: some text, a marker, and the digits that the server
/// appends.
///
/// A child contends if what follows the last occurrence of a marker is a number. A child that
/// contends for something else, as others do with our paths, shows that the path is used for two
/// things, and neither would exclude the other; any other child is somebody else's and is ignored.
/// (Curator counts every child: CURATOR-43.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Naming {
    curator: Markers,
    kazoo: Markers,
    /// Whether a number may be given again, to a node that takes the place of another.
    may_inherit: bool,
}

/// The markers of one family of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Markers {
    exclusive: &'static str,
    shared: Option<&'static str>,
}

/// What a contender holds once it is its turn.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{Mode, ReadWriteLock};
///
/// let all = ReadWriteLock::new(&client, "/locks/index").participants().await?;
/// let readers = all.iter().filter(|(mode, _)| *mode == Mode::Shared).count();
/// println!("{readers} readers, {} writers", all.len() - readers);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Nobody else holds anything meanwhile.
    Exclusive,
    /// Others may hold the same.
    Shared,
}

/// The number that a server has given to a sequential node.
///
/// It is the parent's count of creations, a signed 32-bit number, printed with ten digits. Beyond
/// 2³¹ − 1 it goes on with negative ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(i32);

/// A child that contends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Contending<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) mode: Mode,
    pub(crate) name: &'a str,
}

/// Where a contender stands among the children of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing<'a> {
    /// It is among the first; it has what it contends for.
    Held,
    /// Its turn has not come.
    Behind(Behind<'a>),
    /// It is not there any more.
    Gone,
}

/// Who is ahead of a contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind<'a> {
    /// Its turn cannot come before this child is gone.
    pub(crate) of: &'a str,
    /// How many contenders came before it.
    pub(crate) position: usize,
    /// Whether its turn certainly has come once that child is gone.
    pub(crate) is_next: bool,
}

/// Why a list of children cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The numbers of a parent are used up: it has children with negative ones, or with the last,
    /// and nobody can tell any more who came first.
    #[error(
        "the sequence number of {0:?} has rolled over, or is the last; its parent must be deleted \
         and made anew"
    )]
    RolledOver(String),
    /// Some child contends for something else.
    #[error("{0:?} belongs to another recipe, which has the same path")]
    OtherRecipe(String),
}

/// What the contenders of any recipe are marked with, ours and others'.
const MARKERS: [&str; 9] =
    ["lock-", "__lock__", "__WRIT__", "__READ__", "__rlock__", "latch-", "lease-", "queue-", "qn-"];

/// How many characters a server appends at least.
const DIGITS: usize = 10;

/// The children of a semaphore's path.
pub(crate) const LOCKS: &str = "locks";
pub(crate) const LEASES: &str = "leases";

impl Naming {
    /// Exclusive locks: Curator's `_c_<uuid>-lock-<number>`, which go-zookeeper shares, and
    /// kazoo's `<hex>__lock__<number>`.
    pub(crate) const LOCK: Self = Self {
        curator: Markers { exclusive: "lock-", shared: None },
        kazoo: Markers { exclusive: "__lock__", shared: None },
        may_inherit: false,
    };

    /// Locks with readers and writers: Curator's `_c_<uuid>-__READ__<number>` and `…__WRIT__…`,
    /// and kazoo's `<hex>__rlock__<number>` and `…__lock__…`.
    pub(crate) const READ_WRITE: Self = Self {
        curator: Markers { exclusive: "__WRIT__", shared: Some("__READ__") },
        kazoo: Markers { exclusive: "__lock__", shared: Some("__rlock__") },
        may_inherit: true,
    };

    /// The leases of a semaphore, which only count: Curator's `_c_<uuid>-lease-<number>`.
    pub(crate) const LEASE: Self = Self {
        curator: Markers { exclusive: "lease-", shared: None },
        kazoo: Markers { exclusive: "lease-", shared: None },
        may_inherit: false,
    };

    /// Who wants to lead: Curator's `_c_<uuid>-latch-<number>`.
    pub(crate) const LATCH: Self = Self {
        curator: Markers { exclusive: "latch-", shared: None },
        kazoo: Markers { exclusive: "latch-", shared: None },
        may_inherit: false,
    };

    /// What the name of a new node begins with, up to the number.
    pub(crate) fn prefix(self, layout: Layout, mode: Mode, guid: &str) -> String {
        let markers = match layout {
            Layout::Curator | Layout::GoZookeeper => self.curator,
            Layout::Kazoo => self.kazoo,
        };
        format!("{}{}", layout.owner(guid), markers.of(mode))
    }

    /// Every child that contends, in no order.
    ///
    /// # Errors
    /// If a child has a negative number, it is younger than all others, but other clients of the
    /// same lock, which compare text or signed numbers, take it for older. If it has the last
    /// number, so may others have: a server that has given it never counts any further, and gives
    /// it to everybody.
    pub(crate) fn contenders(self, children: &[String]) -> Result<Vec<Contending<'_>>, Refusal> {
        let is_there = |name: &str| children.iter().any(|child| child == name);
        if is_there(LEASES) && is_there(LOCKS) {
            return Err(Refusal::OtherRecipe(LEASES.to_owned()));
        }
        let mut contenders = Vec::with_capacity(children.len());
        for name in children {
            match self.contending(name) {
                Some(Contending { sequence: Sequence(..0 | i32::MAX), .. }) => {
                    return Err(Refusal::RolledOver(name.clone()));
                }
                Some(contending) => contenders.push(contending),
                None if is_marked(name) => {
                    return Err(Refusal::OtherRecipe(name.clone()));
                }
                None => {}
            }
        }
        Ok(contenders)
    }

    /// Where `ours` stands among `children`.
    ///
    /// Who waits depends on one other child, the last of those that keep it waiting, so that a
    /// leaving child concerns one waiter, or the readers that wait for one writer.
    ///
    /// # Errors
    /// As [`contenders`](Self::contenders).
    pub(crate) fn standing<'a>(
        self,
        children: &'a [String],
        ours: &str,
    ) -> Result<Standing<'a>, Refusal> {
        let mut contenders = self.contenders(children)?;
        let Some(us) = contenders.iter().find(|contender| contender.name == ours).copied() else {
            return Ok(Standing::Gone);
        };
        // Numbers repeat only where a node has taken the place of another, or somebody has made
        // one by hand; the names decide then.
        contenders.retain(|contender| *contender < us);
        let position = contenders.len();
        let last = contenders.iter().filter(|contender| contender.mode.excludes(us.mode)).max();
        // Where each number is given once, nobody can come before us any more.
        let is_next = position == 1 && !self.may_inherit;
        Ok(match last {
            None => Standing::Held,
            Some(last) => Standing::Behind(Behind { of: last.name, position, is_next }),
        })
    }

    /// How a child contends, if it does.
    pub(crate) fn contending(self, name: &str) -> Option<Contending<'_>> {
        for markers in [self.curator, self.kazoo] {
            if let Some(sequence) = number(name, markers.exclusive) {
                return Some(Contending { sequence, mode: Mode::Exclusive, name });
            }
            if let Some(sequence) = markers.shared.and_then(|marker| number(name, marker)) {
                return Some(Contending { sequence, mode: Mode::Shared, name });
            }
        }
        None
    }
}

impl Markers {
    fn of(self, mode: Mode) -> &'static str {
        match mode {
            Mode::Exclusive => self.exclusive,
            Mode::Shared => self.shared.unwrap_or(self.exclusive),
        }
    }
}

impl Mode {
    /// Whether who holds this keeps the other waiting.
    pub(crate) fn excludes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

/// Makes sure that nobody contends right below a path whose contenders stand further below.
pub(crate) fn none_contends(children: &[String]) -> Result<(), Refusal> {
    match children.iter().find(|name| is_marked(name)) {
        Some(name) => Err(Refusal::OtherRecipe(name.clone())),
        None => Ok(()),
    }
}

/// Whether a child contends for anything.
fn is_marked(name: &str) -> bool {
    MARKERS.iter().any(|marker| number(name, marker).is_some())
}

/// The number behind the last occurrence of a marker.
fn number(name: &str, marker: &str) -> Option<Sequence> {
    let (_, number) = name.rsplit_once(marker)?;
    Sequence::parse(number)
}

impl Sequence {
    /// Reads what a server has appended: ten characters at least, all of them digits but for the
    /// minus sign of a negative number. Who has called a node `lock-7` does not contend.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if text.len() < DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().map(Self)
    }

    /// As a server writes it.
    pub(crate) fn digits(self) -> String {
        format!("{:010}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    const GUID: &str = "6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1";
    const CURATOR: &str = "_c_6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1-lock-";
    const KAZOO: &str = "0f3a5cdd23f14a94ae1b8b2a52ae3ee0__lock__";
    const GO: &str = "_c_6c0ae3f50f4c4bd3a3d27e0c2bf9d5c1-lock-";

    /// The children of a parent as a server names them, by three clients in turn.
    fn children(numbers: impl IntoIterator<Item = i32>) -> Vec<String> {
        let clients = [CURATOR, KAZOO, GO].into_iter().cycle();
        clients.zip(numbers).map(|(client, number)| format!("{client}{number:010}")).collect()
    }

    fn sequence(name: &str) -> Option<i32> {
        Naming::LOCK.contending(name).map(|contending| contending.sequence.0)
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
            "lock-7",
            "lock-000000001",
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
            let refused = Naming::LOCK.standing(&ours, us).unwrap_err();
            assert_eq!(refused, Refusal::RolledOver(ours[1].clone()));
        }
        // A server gives the last one again and again: whose GUID is less would come first.
        let ours = children([5, i32::MAX]);
        let refused = Naming::LOCK.standing(&ours, &ours[0]).unwrap_err();
        assert_eq!(refused, Refusal::RolledOver(ours[1].clone()));
        assert_eq!(sequence("lock--000000001"), Some(-1));
        assert_eq!(sequence("lock--2147483648"), Some(i32::MIN));
    }

    #[test]
    fn order_is_by_number_and_not_by_text() {
        // By text, kazoo's name comes before Curator's.
        let ours = vec![format!("{KAZOO}0000000010"), format!("{CURATOR}0000000009")];
        assert_eq!(Naming::LOCK.standing(&ours, &ours[1]), Ok(Standing::Held));
        assert_eq!(Naming::LOCK.standing(&ours, &ours[0]), Ok(behind(&ours[1], 1)));
    }

    #[test]
    fn who_is_not_listed_is_gone() {
        let others = children([1, 2]);
        let us = format!("{CURATOR}0000000003");
        assert_eq!(Naming::LOCK.standing(&others, &us), Ok(Standing::Gone));
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
        fn exactly_the_first_holds_and_each_other_waits_for_the_one_ahead(
            (sorted, foreign, shuffled) in families(),
        ) {
            for (index, us) in sorted.iter().enumerate() {
                let expected = match index {
                    0 => Standing::Held,
                    _ => behind(&sorted[index - 1], index),
                };
                prop_assert_eq!(Naming::LOCK.standing(&shuffled, us), Ok(expected));
            }
            for name in &foreign {
                prop_assert_eq!(Naming::LOCK.standing(&shuffled, name), Ok(Standing::Gone));
            }
        }

        #[test]
        fn writers_hold_alone_and_readers_with_each_other(modes: Vec<bool>) {
            let names: Vec<_> = (modes.iter().enumerate())
                .map(|(number, is_writer)| match (is_writer, number % 2) {
                    (true, 0) => format!("_c_x-__WRIT__{number:010}"),
                    (true, _) => format!("x__lock__{number:010}"),
                    (false, 0) => format!("_c_x-__READ__{number:010}"),
                    (false, _) => format!("x__rlock__{number:010}"),
                })
                .collect();
            let standing = |us: &String| Naming::READ_WRITE.standing(&names, us).unwrap();
            let holds = |index: &usize| standing(&names[*index]) == Standing::Held;
            let holders: Vec<_> = (0..modes.len()).filter(holds).collect();
            let readers = modes.iter().take_while(|is_writer| !**is_writer).count();
            let expected = if readers == 0 { modes.len().min(1) } else { readers };
            prop_assert_eq!(holders, (0..expected).collect::<Vec<_>>());
            for index in expected..modes.len() {
                let writers = |at: &usize| modes[index] || modes[*at];
                let last = (0..index).rfind(writers).unwrap();
                let Standing::Behind(behind) = standing(&names[index]) else { panic!("it holds") };
                prop_assert_eq!((behind.of, behind.position), (&names[last][..], index));
                prop_assert!(!behind.is_next, "a number may come again");
            }
        }
    }

    fn behind(of: &str, position: usize) -> Standing<'_> {
        Standing::Behind(Behind { of, position, is_next: position == 1 })
    }

    #[test]
    fn each_layout_has_its_names() {
        let name = |naming: Naming, layout, mode| naming.prefix(layout, mode, GUID);
        let (lock, rw) = (Naming::LOCK, Naming::READ_WRITE);
        let hex = "6c0ae3f50f4c4bd3a3d27e0c2bf9d5c1";
        assert_eq!(name(lock, Layout::Curator, Mode::Exclusive), CURATOR);
        assert_eq!(name(lock, Layout::GoZookeeper, Mode::Exclusive), GO);
        assert_eq!(name(lock, Layout::Kazoo, Mode::Exclusive), format!("{hex}__lock__"));
        assert_eq!(name(rw, Layout::Kazoo, Mode::Shared), format!("{hex}__rlock__"));
        assert_eq!(name(rw, Layout::Kazoo, Mode::Exclusive), format!("{hex}__lock__"));
        assert_eq!(name(rw, Layout::Curator, Mode::Shared), format!("_c_{GUID}-__READ__"));
        assert_eq!(name(rw, Layout::Curator, Mode::Exclusive), format!("_c_{GUID}-__WRIT__"));
    }

    #[test]
    fn what_contends_for_something_else_is_refused() {
        for other in [
            "_c_x-__WRIT__0000000001",
            "_c_x-latch-0000000001",
            "_c_x-lease-0000000001",
            "queue-0000000001",
            "x__rlock__0000000001",
        ] {
            let children = vec![format!("{CURATOR}0000000002"), other.to_owned()];
            let refused = Naming::LOCK.standing(&children, &children[0]).unwrap_err();
            assert_eq!(refused, Refusal::OtherRecipe(other.to_owned()));
        }
        let both = vec![LEASES.to_owned(), LOCKS.to_owned()];
        assert_eq!(Naming::LOCK.contenders(&both), Err(Refusal::OtherRecipe(LEASES.to_owned())));
        assert_eq!(Naming::LOCK.contenders(&both[..1]), Ok(vec![]));
    }

    /// Contenders in order, children that do not contend, and all of them in no order.
    fn families() -> impl Strategy<Value = (Vec<String>, Vec<String>, Vec<String>)> {
        let is_foreign =
            |name: &String| Naming::LOCK.contenders(std::slice::from_ref(name)) == Ok(vec![]);
        let foreign = any::<[String; 3]>()
            .prop_map(move |names| names.into_iter().filter(is_foreign).collect::<Vec<_>>());
        (btree_set(0..i32::MAX, 1..40).prop_map(children), foreign).prop_flat_map(
            |(sorted, foreign)| {
                let all: Vec<_> = sorted.iter().chain(&foreign).cloned().collect();
                (Just(sorted), Just(foreign), Just(all).prop_shuffle())
            },
        )
    }
}
