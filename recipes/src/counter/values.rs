//! A number or a value as it is, and whenever it has changed.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};

use super::cell::Cell;
use crate::recipe_error::RecipeError;

/// What stands in a node, now and whenever it has changed; see
/// [`Counter::values`](crate::Counter::values) and
/// [`AtomicValue::values`](crate::AtomicValue::values).
///
/// Of values that come and go quickly some may not be told of; the last always is. It ends after an
/// error of the client.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::RecipeError> {
/// use futures::StreamExt;
/// use znode_recipes::{Counter, Values};
///
/// let mut limit: Values<i32> = Counter::new(&client, "/limits/workers").values();
/// while let Some(limit) = limit.next().await {
///     println!("{} may work", limit?);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Values<T>(BoxStream<'static, Result<T, RecipeError>>);

impl<T> Values<T> {
    pub(super) fn new(
        cell: &Cell,
        decode: impl Fn(Option<&[u8]>) -> Result<T, RecipeError> + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
    {
        let path = cell.path().to_owned();
        let watched = cell.client().watch_data(&path);
        Self(Box::pin(watched.map(move |value| {
            let value = value.map_err(|error| RecipeError::client(&path, error))?;
            decode(value.as_ref().map(|(data, _)| &data[..]))
        })))
    }
}

impl<T> Stream for Values<T> {
    type Item = Result<T, RecipeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl<T> fmt::Debug for Values<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values")
    }
}
