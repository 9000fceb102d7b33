//! The names of a queue's items: in which order they are, and what else they say.
//!
//! Pure. Everything is decided from names, as Curator gives them.

/// What the items of a queue are in the order of, before that of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing: `queue-<number>`.
    Put,
    /// `queue-<0 or 1><priority, 8 digits of hex><number>`.
    Priority,
    /// `queue-|<milliseconds since 1970, hex>|<number>`.
    Due,
    /// Nothing, but each has a name of its own: `queue-|<id>|<number>`.
    Id,
    /// Nothing: `qn-<number>`, as ZooKeeper's own recipe has it.
    Simple,
    /// Nothing: `entry-100-<number>`, as kazoo has it, where 100 is a priority.
    Kazoo,
}

/// What an item is called by, beside its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    None,
    Priority(i32),
    Due(i64),
    Id(String),
}

/// An item's place in its queue, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The smallest comes first.
    pub(super) rank: i64,
    sequence: i64,
    pub(super) name: String,
}

const MARKER: &str = "queue-";
const SEPARATOR: char = '|';
/// What kazoo gives to items that are put without a priority.
const KAZOO_PRIORITY: i64 = 100;

impl Order {
    /// What the name of an item begins with; the server appends the number. `None` if items of this
    /// queue are not called by such a key.
    pub(super) fn prefix(self, key: &Key) -> Option<String> {
        match (self, key) {
            (Self::Put, Key::None) => Some(MARKER.to_owned()),
            (Self::Priority, Key::None) => Self::Priority.prefix(&Key::Priority(0)),
            (Self::Priority, Key::Priority(priority)) => {
                let sign = u8::from(*priority >= 0);
                Some(format!("{MARKER}{sign}{priority:08X}"))
            }
            (Self::Due, Key::None) => Self::Due.prefix(&Key::Due(0)),
            (Self::Due, Key::Due(ms)) => Some(format!("{MARKER}{SEPARATOR}{ms:08X}{SEPARATOR}")),
            (Self::Id, Key::Id(id)) => {
                Some(format!("{MARKER}{SEPARATOR}{}{SEPARATOR}", as_name(id)))
            }
            (Self::Simple, Key::None) => Some("qn-".to_owned()),
            (Self::Kazoo, Key::None) => Some(format!("entry-{KAZOO_PRIORITY:03}-")),
            _ => None,
        }
    }

    /// The place of the item of this name; `None` if it is no item of such a queue.
    pub(super) fn place(self, name: &str) -> Option<Place> {
        let (rank, digits) = match self {
            Self::Put => (0, name.strip_prefix(MARKER)?),
            Self::Simple => (0, name.strip_prefix("qn-")?),
            Self::Kazoo => {
                let (priority, digits) = name.strip_prefix("entry-")?.split_at_checked(3)?;
                (priority.parse().ok()?, digits.strip_prefix('-')?)
            }
            Self::Priority => {
                let rest = name.strip_prefix(MARKER)?;
                match rest.len() {
                    // What Curator makes of an item that it puts back: the priority is lost.
                    10 => (0, rest),
                    _ => {
                        let (priority, digits) = rest.split_at_checked(9)?;
                        let bits = u32::from_str_radix(priority.get(1..)?, 16).ok()?;
                        (i64::from(bits.cast_signed()), digits)
                    }
                }
            }
            Self::Due => {
                let (due, digits) = between_separators(name)?;
                (i64::from_str_radix(due, 16).ok()?, digits)
            }
            Self::Id => (0, between_separators(name)?.1),
        };
        let sequence = sequence(digits)?;
        Some(Place { rank, sequence, name: name.to_owned() })
    }

    /// The id of the item of this name.
    pub(super) fn id(self, name: &str) -> Option<&str> {
        match self {
            Self::Id => between_separators(name).map(|(id, _)| id),
            _ => None,
        }
    }

    /// Whether whoever takes an item claims it first.
    pub(super) fn has_claims(self) -> bool {
        !matches!(self, Self::Simple | Self::Kazoo)
    }

    /// Whether an item that comes later may be ahead of those that are there.
    pub(super) fn is_overtaken(self) -> bool {
        matches!(self, Self::Priority | Self::Due | Self::Kazoo)
    }
}

impl Place {
    /// Whether the server has numbered 2³¹ items and goes on from below.
    pub(super) fn has_rolled_over(&self) -> bool {
        self.sequence < 0
    }
}

/// An id as it can stand in a name, as Curator has it.
pub(super) fn as_name(id: &str) -> String {
    id.replace(['/', SEPARATOR], "_")
}

fn between_separators(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(MARKER)?.strip_prefix(SEPARATOR)?.split_once(SEPARATOR)
}

/// Ten digits, or a sign and those of a negative number.
fn sequence(digits: &str) -> Option<i64> {
    let is_one = digits.len() >= 10 && digits.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    if !is_one || digits.starts_with('+') {
        return None;
    }
    digits.parse::<i32>().ok().map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(order: Order, key: &Key, number: u32) -> String {
        format!("{}{number:010}", order.prefix(key).unwrap())
    }

    #[test]
    fn items_are_named_as_curator_names_them() {
        assert_eq!(name(Order::Put, &Key::None, 3), "queue-0000000003");
        assert_eq!(name(Order::Priority, &Key::Priority(5), 3), "queue-1000000050000000003");
        assert_eq!(name(Order::Priority, &Key::Priority(-1), 3), "queue-0FFFFFFFF0000000003");
        assert_eq!(
            name(Order::Due, &Key::Due(0x0018_0000_0000), 3),
            "queue-|1800000000|0000000003"
        );
        assert_eq!(name(Order::Id, &Key::Id("a/b|c".to_owned()), 3), "queue-|a_b_c|0000000003");
        assert_eq!(name(Order::Simple, &Key::None, 3), "qn-0000000003");
        assert_eq!(name(Order::Kazoo, &Key::None, 3), "entry-100-0000000003");
        assert_eq!(Order::Put.prefix(&Key::Priority(1)), None);
        assert_eq!(Order::Id.prefix(&Key::None), None);
    }

    #[test]
    fn items_are_in_their_order_and_nothing_else_is_an_item() {
        let places = |order: Order, names: &[&str]| {
            let mut places: Vec<_> = names.iter().filter_map(|name| order.place(name)).collect();
            places.sort();
            places.into_iter().map(|place| place.name).collect::<Vec<_>>()
        };
        let numbers = ["queue-0000000010", "queue-0000000009", "queue-", "qn-0000000001", "lock"];
        assert_eq!(places(Order::Put, &numbers), ["queue-0000000009", "queue-0000000010"]);
        let priorities =
            ["queue-1000000050000000001", "queue-0FFFFFFFF0000000002", "queue-1000000000000000003"];
        assert_eq!(
            places(Order::Priority, &priorities),
            [priorities[1], priorities[2], priorities[0]]
        );
        // What Curator has put back has lost its priority.
        assert_eq!(Order::Priority.place("queue-0000000004").unwrap().rank, 0);
        let due = ["queue-|100|0000000001", "queue-|FF|0000000002", "queue-|x|0000000003"];
        assert_eq!(places(Order::Due, &due), [due[1], due[0]]);
        let kazoo = ["entry-100-0000000001", "entry-001-0000000002", "entry-0000000003"];
        assert_eq!(places(Order::Kazoo, &kazoo), [kazoo[1], kazoo[0]]);
        assert_eq!(Order::Id.id("queue-|a_b|0000000003"), Some("a_b"));
    }

    #[test]
    fn fact_28_numbers_below_zero_are_told_from_others() {
        let has_rolled_over = |name| Order::Put.place(name).unwrap().has_rolled_over();
        assert!(has_rolled_over("queue--2147483648"));
        assert!(has_rolled_over("queue--000000005"));
        assert!(!has_rolled_over("queue-0000000003"));
    }
}
