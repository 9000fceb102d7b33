//! What is put into a queue.

use std::time::Duration;

/// Bytes for a [`Queue`](crate::Queue), with what the queue orders or finds them by.
///
/// ```
/// use std::time::Duration;
/// use znode_recipes::Item;
///
/// let plain = Item::from("mail 4711");
/// let urgent = Item::new(b"mail 4711").with_priority(-10); // the smallest first
/// let later = Item::new("mail 4711").with_delay(Duration::from_secs(60));
/// let named = Item::new("mail 4711").with_id("4711");
/// # let _ = (plain, urgent, later, named);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is nowhere until it is put into a queue"]
pub struct Item {
    pub(super) data: Vec<u8>,
    pub(super) ordered_by: OrderedBy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OrderedBy {
    Nothing,
    Priority(i32),
    Delay(Duration),
    Id(String),
}

impl Item {
    /// An item with this data.
    pub fn new(data: impl AsRef<[u8]>) -> Self {
        Self { data: data.as_ref().to_vec(), ordered_by: OrderedBy::Nothing }
    }

    /// The same item for a queue [by priority](crate::Queue::by_priority): the smallest comes
    /// first, and zero is the one of those without.
    pub fn with_priority(mut self, priority: i32) -> Self {
        self.ordered_by = OrderedBy::Priority(priority);
        self
    }

    /// The same item for a queue [of delays](crate::Queue::delayed): nobody takes it before such a
    /// time has passed since it was put, by the clocks of those who put and take.
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.ordered_by = OrderedBy::Delay(delay);
        self
    }

    /// The same item for a queue [of ids](crate::Queue::by_id), by which it can be removed. There
    /// `/` and `|` stand as `_`.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.ordered_by = OrderedBy::Id(id.into());
        self
    }
}

impl<T: AsRef<[u8]>> From<T> for Item {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}
