//! Values of one's own types, stored as JSON. (Feature `serde`.)

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::watch_data::Watched;
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::Error;
use crate::ops::Created;
use crate::proto::{Stat, Version};
use crate::reply::Reply;

/// A view of a client for nodes whose data is a `T` in JSON; see [`Client::typed`].
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{CreateMode, Typed};
///
/// let hosts: Typed<Vec<String>> = client.typed();
/// hosts.create("/hosts", &vec!["a".to_owned()], CreateMode::Persistent).await?;
/// let (mut all, stat) = hosts.get_data("/hosts").await?;
/// all.push("b".to_owned());
/// hosts.set_data("/hosts", &all, stat.version).await?; // if nobody else has written it
/// hosts.update("/hosts", |all| all.push("c".to_owned())).await?; // whoever else writes it
/// # Ok(())
/// # }
/// ```
pub struct Typed<T> {
    client: Client,
    of: PhantomData<fn(T) -> T>,
}

impl Client {
    /// A view of the same session for nodes whose data is a `T` in JSON. (Feature `serde`.)
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use std::collections::BTreeMap;
    ///
    /// let rates = client.typed::<BTreeMap<String, f64>>();
    /// let add = |rates: &mut BTreeMap<_, _>| rates.extend([("de".to_owned(), 0.19)]);
    /// rates.update("/rates", add).await?;
    /// let (rates, stat) = rates.get_data("/rates").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T> {
        Typed { client: self.clone(), of: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> Typed<T> {
    /// As [`Client::create`].
    ///
    /// # Errors
    /// As [`Client::create`]; `InvalidData` if the value cannot be written as JSON, before
    /// anything is sent.
    pub fn create(&self, path: &str, value: &T, mode: CreateMode) -> Reply<Created> {
        match encode("create", path, value) {
            Ok(data) => self.client.create(path, data, mode),
            Err(error) => Reply::refused(error),
        }
    }

    /// As [`Client::get_data`]; the request is in line once this is called.
    ///
    /// # Errors
    /// As [`Client::get_data`]; `InvalidData` if the data is no `T`.
    ///
    /// # Cancel safety
    /// Reads only.
    pub fn get_data(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<(T, Stat), Error>> + Send + use<T> {
        let (reply, path) = (self.client.get_data(path), path.to_owned());
        async move {
            let (data, stat) = reply.await?;
            Ok((decode("get_data", &path, &data)?, stat))
        }
    }

    /// As [`Client::set_data`].
    ///
    /// # Errors
    /// As [`Client::set_data`]; `InvalidData` if the value cannot be written as JSON, before
    /// anything is sent.
    pub fn set_data(&self, path: &str, value: &T, version: impl Into<Version>) -> Reply<Stat> {
        match encode("set_data", path, value) {
            Ok(data) => self.client.set_data(path, data, version),
            Err(error) => Reply::refused(error),
        }
    }

    /// As [`Client::update`]: `change` is given the value as it was read, each time anew.
    ///
    /// # Errors
    /// As [`Client::update`]; `InvalidData` if the data is no `T`, or what was made of it cannot
    /// be written as JSON: then nothing is written.
    ///
    /// # Cancel safety
    /// As [`Client::update`].
    pub async fn update(&self, path: &str, mut change: impl FnMut(&mut T)) -> Result<Stat, Error> {
        let change = |data: &Bytes| {
            let mut value = decode("update", path, data)?;
            change(&mut value);
            encode("update", path, &value)
        };
        self.client.try_update(path, change).await
    }

    /// As [`Client::watch_data`]. Data that is no `T` gives `InvalidData` in its place, and the
    /// stream goes on.
    pub fn watch_data(&self, path: &str) -> TypedWatched<T> {
        let values = self.client.watch_data(path);
        TypedWatched { values, path: path.into(), of: PhantomData }
    }
}

/// The values at a path, as they change; see [`Typed::watch_data`].
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::TypedWatched;
///
/// let mut rates: TypedWatched<f64> = client.typed().watch_data("/rate");
/// while let Some(rate) = rates.recv().await {
///     match rate? {
///         Some((rate, stat)) => println!("{rate} since {}", stat.mzxid),
///         None => println!("no rate is set"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// [`recv`](Self::recv) may be given up and called again; nothing is lost. Dropping the stream
/// removes its watch.
#[must_use = "streams do nothing unless polled"]
pub struct TypedWatched<T> {
    values: Watched<(Bytes, Stat)>,
    path: Box<str>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> TypedWatched<T> {
    /// What is there next, or `None` once an error of the session has ended the stream.
    ///
    /// # Errors
    /// `InvalidData` if the data is no such value, and the stream goes on; whatever a read fails
    /// with otherwise, and then it has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<Option<(T, Stat)>, Error>> {
        self.next().await
    }
}

impl<T: DeserializeOwned> Stream for TypedWatched<T> {
    type Item = Result<Option<(T, Stat)>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let value = ready!(self.values.poll_next_unpin(cx));
        Poll::Ready(value.map(|value| match value? {
            Some((data, stat)) => Ok(Some((decode("watch_data", &self.path, &data)?, stat))),
            None => Ok(None),
        }))
    }
}

fn encode<T: Serialize>(op: &'static str, path: &str, value: &T) -> Result<Vec<u8>, Error> {
    let data = serde_json::to_vec(value);
    data.map_err(|error| Error::invalid_data(op, error).with_path(Some(path)))
}

fn decode<T: DeserializeOwned>(op: &'static str, path: &str, data: &[u8]) -> Result<T, Error> {
    let value = serde_json::from_slice(data);
    value.map_err(|error| Error::invalid_data(op, error).with_path(Some(path)))
}

impl<T> Clone for Typed<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Typed").field(&self.client).finish()
    }
}

impl<T> fmt::Debug for TypedWatched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedWatched").field(&self.path).finish()
    }
}
