//! A value that several change, each change made to what is there.

use znode::Client;

use super::cell::Cell;
use super::values::Values;
use crate::recipe_error::RecipeError;

/// Bytes in a node that several change, each change once, whatever replies are lost on the way.
///
/// It is Curator's `DistributedAtomicValue` on the wire. What is said of a
/// [`Counter`](crate::Counter) holds of it, too; the data is compressed if the client compresses.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::AtomicValue;
///
/// let motto = AtomicValue::new(&client, "/values/motto");
/// if motto.initialize("festina lente").await? {
///     println!("{} begins", motto.path());
/// }
/// let before = motto.set("sapere aude").await?;
/// let is_ours = motto.compare_and_set("sapere aude", before.unwrap_or_default()).await?;
/// let longer = motto.update(|motto| Some([motto, b"!"].concat())).await?;
/// println!("{is_ours} {longer:?} {:?}", motto.get().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AtomicValue {
    cell: Cell,
}

impl AtomicValue {
    /// The value at `path`, which need not exist. Whether that can be a path is checked when it is
    /// first asked of.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self { cell: Cell::new(client, path) }
    }

    /// The path of the node.
    pub fn path(&self) -> &str {
        self.cell.path()
    }

    /// The value as the server that this client is connected to knows it; `None` if there is no
    /// node.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth` or the end of the session.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn get(&self) -> Result<Option<Vec<u8>>, RecipeError> {
        self.cell.read().await
    }

    /// Writes another value, whatever is there; returns that.
    ///
    /// # Errors
    /// - `InvalidPath`, before anything is sent;
    /// - `Client` with the client's own error, as `NoAuth`, or the end of the session. Then, or
    ///   where somebody deletes the witness meanwhile, its [outcome](RecipeError::outcome) may be
    ///   `Unknown`; otherwise a lost connection is not told.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    ///
    /// # Panics
    /// If it is polled outside of a tokio runtime with time enabled.
    pub async fn set(&self, value: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, RecipeError> {
        let changed = self.cell.change(|_| Ok(Some(value.as_ref().to_vec()))).await?;
        Ok(changed.and_then(|changed| changed.before))
    }

    /// Writes another value where the expected one is; `false` if it is not, or there is no node.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    ///
    /// # Panics
    /// As [`set`](Self::set).
    pub async fn compare_and_set(
        &self,
        expected: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<bool, RecipeError> {
        let changed = self
            .cell
            .change(|now| Ok((now == Some(expected.as_ref())).then(|| value.as_ref().to_vec())));
        Ok(changed.await?.is_some())
    }

    /// Writes the first value where there is no node; `false` if there is one.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    ///
    /// # Panics
    /// As [`set`](Self::set).
    pub async fn initialize(&self, value: impl AsRef<[u8]>) -> Result<bool, RecipeError> {
        let changed =
            self.cell.change(|now| Ok(now.is_none().then(|| value.as_ref().to_vec()))).await?;
        Ok(changed.is_some())
    }

    /// Writes what `change` makes of it, no bytes where there is no node; returns that, or `None`
    /// if `change` makes nothing of what is there. It is asked again whenever somebody else was
    /// faster.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    ///
    /// # Panics
    /// As [`set`](Self::set).
    pub async fn update(
        &self,
        mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, RecipeError> {
        let changed = self.cell.change(|now| Ok(change(now.unwrap_or_default()))).await?;
        Ok(changed.map(|changed| changed.after))
    }

    /// The value as it is, `None` while there is no node, and whenever it has changed. (It is what
    /// Curator's `SharedValue` is for.) It costs one watch, and one read for each change.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) {
    /// use futures::StreamExt;
    /// use znode_recipes::AtomicValue;
    ///
    /// let mut mottoes = AtomicValue::new(&client, "/values/motto").values();
    /// while let Some(Ok(motto)) = mottoes.next().await {
    ///     println!("{motto:?}");
    /// }
    /// # }
    /// ```
    pub fn values(&self) -> Values<Option<Vec<u8>>> {
        Values::new(&self.cell, |data| Ok(data.map(<[u8]>::to_vec)))
    }
}
