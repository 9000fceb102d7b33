//! A number that several count with.

use std::fmt;
use std::marker::PhantomData;

use znode::Client;

use super::cell::Cell;
use super::values::Values;
use crate::layout::Layout;
use crate::recipe_error::RecipeError;

/// What others write as numbers.
pub(crate) trait Written {}

/// What a [`Counter`] counts in: `i64`, as Curator's `DistributedAtomicLong`, or `i32`, as its
/// `DistributedAtomicInteger` and `SharedCount`.
///
/// ```
/// use znode_recipes::Number;
///
/// assert_eq!(i32::MAX.plus(1), None);
/// assert_eq!(2_i64.plus(-3), Some(-1));
/// ```
#[expect(private_bounds, reason = "nobody reads numbers of other kinds")]
pub trait Number: Written + Copy + Ord + fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// Nothing, which is what a node without data stands for.
    const ZERO: Self;

    /// The sum, if there is such a number.
    fn plus(self, delta: Self) -> Option<Self>;

    /// The difference, if there is such a number.
    fn minus(self, delta: Self) -> Option<Self>;

    /// The next number, if there is one.
    fn successor(self) -> Option<Self>;

    #[doc(hidden)]
    fn to_data(self, layout: Layout) -> Vec<u8>;

    #[doc(hidden)]
    fn from_data(data: &[u8], layout: Layout) -> Option<Self>;
}

macro_rules! number {
    ($number:ty) => {
        impl Written for $number {}

        impl Number for $number {
            const ZERO: Self = 0;

            fn plus(self, delta: Self) -> Option<Self> {
                self.checked_add(delta)
            }

            fn minus(self, delta: Self) -> Option<Self> {
                self.checked_sub(delta)
            }

            fn successor(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn to_data(self, layout: Layout) -> Vec<u8> {
                match layout {
                    Layout::Kazoo => self.to_string().into_bytes(),
                    Layout::Curator | Layout::GoZookeeper => self.to_be_bytes().to_vec(),
                }
            }

            fn from_data(data: &[u8], layout: Layout) -> Option<Self> {
                match layout {
                    _ if data.is_empty() => Some(0),
                    Layout::Kazoo => std::str::from_utf8(data).ok()?.parse().ok(),
                    Layout::Curator | Layout::GoZookeeper => {
                        data.try_into().ok().map(Self::from_be_bytes)
                    }
                }
            }
        }
    };
}

number!(i32);
number!(i64);

/// A number in a node that several count with: what succeeds is done once, whatever replies are
/// lost on the way.
///
/// Each change is one transaction: the write, at the version that was read, and an ephemeral
/// witness below the node, which tells whether it has taken effect. (In Curator a lost reply makes
/// one addition two.) Changes of one handle and its clones wait for each other; a handle that
/// nobody interferes with takes one round trip for each.
///
/// `Counter<i64>` is Curator's `DistributedAtomicLong` on the wire, `Counter<i32>` its
/// `DistributedAtomicInteger`; with [`Layout::Kazoo`], kazoo's `Counter`.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::Counter;
///
/// let orders = Counter::<i64>::new(&client, "/counters/orders");
/// let number = orders.add(1).await?;
/// println!("order {number}; {} in all by now", orders.get().await?);
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{Counter, Layout};
///
/// let stock = Counter::<i32>::new(&client, "/counters/stock").with_layout(Layout::Kazoo);
/// if stock.initialize(500).await? {
///     println!("{} begins", stock.path());
/// }
/// let left = stock.subtract(3).await?;
/// if !stock.compare_and_set(left, 500).await? {
///     println!("somebody else has taken some; there were {}", stock.set(500).await?);
/// }
/// let doubled = stock.update(|left| left.checked_mul(2)).await?;
/// println!("{doubled:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Counter<N> {
    cell: Cell,
    layout: Layout,
    number: PhantomData<fn() -> N>,
}

impl<N: Number> Counter<N> {
    /// The number at `path`, which is zero where there is no node. Whether that can be a path is
    /// checked when it is first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let cell = Cell::new(client, path).plain();
        Self { cell, layout: Layout::Curator, number: PhantomData }
    }

    /// The same number, as others write it: of both, the one with kazoo's layout is decimal text.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.cell = self.cell.with_parents(layout.parents());
        self.layout = layout;
        self
    }

    /// The path of the node.
    pub fn path(&self) -> &str {
        self.cell.path()
    }

    /// The number as the server that this client is connected to knows it; a `sync` before makes
    /// that the latest.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Foreign` if the data of the node is no such number;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn get(&self) -> Result<N, RecipeError> {
        self.decode(self.cell.read().await?.as_deref())
    }

    /// Adds to it; returns the sum.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Exhausted` if there is no such number;
    /// - `Foreign` if the data of the node is none;
    /// - `Client` with the client's own error, as `NoAuth`, or the end of the session. Then, or
    ///   where somebody deletes the witness meanwhile, its [outcome](RecipeError::outcome) may be
    ///   `Unknown`; otherwise a lost connection is not told.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn add(&self, delta: N) -> Result<N, RecipeError> {
        self.calculate(|number| number.plus(delta)).await
    }

    /// Subtracts from it; returns the difference.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub async fn subtract(&self, delta: N) -> Result<N, RecipeError> {
        self.calculate(|number| number.minus(delta)).await
    }

    /// Writes another number, whatever is there; returns that.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub async fn set(&self, number: N) -> Result<N, RecipeError> {
        let changed = self.cell.change(|before| {
            self.decode(before)?;
            Ok(Some(number.to_data(self.layout)))
        });
        let changed = changed.await?.expect("every number gives way to another");
        self.decode(changed.before.as_deref())
    }

    /// Writes another number where the expected one is; `false` if it is not.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub async fn compare_and_set(&self, expected: N, number: N) -> Result<bool, RecipeError> {
        Ok(self.update(|now| (now == expected).then_some(number)).await?.is_some())
    }

    /// Writes the first number where there is no node; `false` if there is one.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub async fn initialize(&self, number: N) -> Result<bool, RecipeError> {
        let changed = self.cell.change(|before| match before {
            None => Ok(Some(number.to_data(self.layout))),
            Some(_) => Ok(None),
        });
        Ok(changed.await?.is_some())
    }

    /// Writes what `change` makes of it; returns that, or `None` if `change` makes nothing of what
    /// is there. It is asked again whenever somebody else was faster.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    /// As [`add`](Self::add).
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub async fn update(
        &self,
        mut change: impl FnMut(N) -> Option<N>,
    ) -> Result<Option<N>, RecipeError> {
        self.update_if_any(|number| change(number.unwrap_or(N::ZERO))).await
    }

    /// The same, where no node is something else than zero.
    pub(crate) async fn update_if_any(
        &self,
        mut change: impl FnMut(Option<N>) -> Option<N>,
    ) -> Result<Option<N>, RecipeError> {
        let changed = self.cell.change(|before| {
            let next = change(before.map(|data| self.decode(Some(data))).transpose()?);
            Ok(next.map(|next| next.to_data(self.layout)))
        });
        changed.await?.map(|changed| self.decode(Some(&changed.after))).transpose()
    }

    /// As [`get`](Self::get), where no node is something else than zero.
    pub(crate) async fn get_if_any(&self) -> Result<Option<N>, RecipeError> {
        self.cell.read().await?.map(|data| self.decode(Some(&data))).transpose()
    }

    /// As [`values`](Self::values), where no node is something else than zero.
    pub(crate) fn values_if_any(&self) -> Values<Option<N>> {
        let (path, layout) = (self.path().to_owned(), self.layout);
        let decode = move |data: &[u8]| decode(&path, layout, Some(data));
        Values::new(&self.cell, move |data| data.map(&decode).transpose())
    }

    /// The number as it is, and whenever it has changed. (It is what Curator's `SharedCount` is
    /// for.) It costs one watch, and one read for each change. Data that is no number is an error
    /// in its place, and the stream goes on.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) {
    /// use futures::StreamExt;
    /// use znode_recipes::Counter;
    ///
    /// let workers = Counter::<i32>::new(&client, "/limits/workers");
    /// let mut limits = workers.values();
    /// while let Some(Ok(limit)) = limits.next().await {
    ///     println!("{limit} may work");
    /// }
    /// # }
    /// ```
    pub fn values(&self) -> Values<N> {
        let (path, layout) = (self.path().to_owned(), self.layout);
        Values::new(&self.cell, move |data| decode(&path, layout, data))
    }

    async fn calculate(&self, sum: impl Fn(N) -> Option<N>) -> Result<N, RecipeError> {
        let changed = self.cell.change(|before| {
            let number = self.decode(before)?;
            match sum(number) {
                Some(next) => Ok(Some(next.to_data(self.layout))),
                None => {
                    let what = format!("it is {number} and would be out of range");
                    Err(RecipeError::exhausted(self.path(), what))
                }
            }
        });
        let changed = changed.await?.expect("there is a sum, or an error");
        self.decode(Some(&changed.after))
    }

    fn decode(&self, data: Option<&[u8]>) -> Result<N, RecipeError> {
        decode(self.path(), self.layout, data)
    }
}

fn decode<N: Number>(path: &str, layout: Layout, data: Option<&[u8]>) -> Result<N, RecipeError> {
    let Some(data) = data else { return Ok(N::ZERO) };
    N::from_data(data, layout).ok_or_else(|| {
        let what = format!("its {} bytes are no number of this layout", data.len());
        RecipeError::foreign(path, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_others_write_them() {
        assert_eq!(258_i64.to_data(Layout::Curator), [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((-1_i32).to_data(Layout::Curator), [0xff; 4]);
        assert_eq!((-17_i64).to_data(Layout::Kazoo), b"-17");
    }

    #[test]
    fn what_is_no_number_is_told_from_one() {
        for layout in [Layout::Curator, Layout::Kazoo] {
            assert_eq!(i64::from_data(b"", layout), Some(0));
            assert_eq!(i64::from_data(b"x", layout), None);
            assert_eq!(i32::from_data(&i32::MIN.to_data(layout), layout), Some(i32::MIN));
        }
        // A long is no integer.
        assert_eq!(i32::from_data(&7_i64.to_data(Layout::Curator), Layout::Curator), None);
        assert_eq!(i32::from_data(b"4294967296", Layout::Kazoo), None);
        assert_eq!(i32::from_data(b"1.5", Layout::Kazoo), None);
    }
}
