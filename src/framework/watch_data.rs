//! Values that are followed: what is at a path now, and whenever that has changed.
//!
//! They stand on one-shot watches, which take the fewest requests. The read that fetches a change
//! is the one that sets the watch for the next, and however often a node is written in between,
//! one notification is sent. After a reconnect the server compares and tells only of nodes that
//! have changed: a thousand values that have not are restored without a read. A persistent watch
//! would be told of every write, and could not know after a reconnect what it had missed
//! (ZOOKEEPER-4698), so that everything would be read again, by everybody, at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_stream::try_stream;
use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::proto::{Stat, Zxid};
use crate::reply::Reply;
use crate::watcher::OneshotWatcher;

/// What is at a path, as it changes; see [`Client::watch_data`] and [`Client::watch_children`].
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::Watched;
///
/// let mut workers: Watched<_> = client.watch_children("/workers");
/// while let Some(now) = workers.recv().await {
///     let names = now?.map(|(names, _)| names).unwrap_or_default();
///     println!("{} workers", names.len());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// [`recv`](Self::recv) may be given up and called again; nothing is lost. Dropping the stream
/// removes its watch.
#[must_use = "streams do nothing unless polled"]
pub struct Watched<T>(Pin<Box<dyn Stream<Item = Result<Option<T>, Error>> + Send>>);

impl Client {
    /// The data of a node as it is now, and again whenever it has changed; `None` while there is
    /// no node.
    ///
    /// What is between two changes may be left out, the last one never: whoever reads up to
    /// where the stream waits has what the node has. Each value is another one than the last, by
    /// its `mzxid`; one with another `czxid` is of another node that was made in its place.
    ///
    /// Lost connections are survived, and cost no read unless the node has changed. What a
    /// server hides is not seen: a change of the access control list gives no event, so the
    /// stream hears of nothing while the session may not read the node, nor once it may again,
    /// before the next reconnect.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let mut rate = client.watch_data("/rate");
    /// while let Some(now) = rate.recv().await {
    ///     match now? {
    ///         Some((data, stat)) => println!("{data:?} since {}", stat.mzxid),
    ///         None => println!("no rate is set"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The stream yields what has ended it, and then `None`: the end of the session, or a refusal
    /// as `NoAuth` or `InvalidPath`. Data that this handle expects to be compressed and is not
    /// gives `InvalidData` in its place, and the stream goes on.
    pub fn watch_data(&self, path: &str) -> Watched<(Bytes, Stat)> {
        let read = |client: &Client, path: &str| client.get_data_watched(path);
        let part = |(data, stat, watcher)| ((data, stat), watcher);
        let stored = Watched::new(&self.plain(), path, read, part, |(_, stat)| stat.mzxid);
        let (codec, path) = (self.codec, path.to_owned());
        Watched(Box::pin(stored.map(move |value| {
            let Some((data, stat)) = value? else { return Ok(None) };
            let data = codec
                .decode(data)
                .map_err(|error| Error::invalid_data("watch_data", error).with_path(Some(&path)))?;
            Ok(Some((data, stat)))
        })))
    }

    /// The names of a node's children as they are now, sorted, and again whenever they have
    /// changed; `None` while there is no node.
    ///
    /// Everything that is said of [`watch_data`](Self::watch_data) holds, with `pzxid` for
    /// `mzxid`.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let mut children = client.watch_children("/workers");
    /// while let Some(list) = children.recv().await {
    ///     println!("{:?}", list?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`watch_data`](Self::watch_data).
    pub fn watch_children(&self, path: &str) -> Watched<(Vec<String>, Stat)> {
        let read = |client: &Client, path: &str| client.get_children_watched(path);
        let part = |(mut names, stat, watcher): (Vec<String>, Stat, _)| {
            names.sort_unstable();
            ((names, stat), watcher)
        };
        Watched::new(self, path, read, part, |(_, stat)| stat.pzxid)
    }
}

impl<T: Send + 'static> Watched<T> {
    fn new<A: Send + 'static>(
        client: &Client,
        path: &str,
        read: fn(&Client, &str) -> Reply<A>,
        part: fn(A) -> (T, OneshotWatcher),
        changed: fn(&T) -> Zxid,
    ) -> Self {
        // It is to last: the time that is given to a request is not its time.
        let (client, path) = (client.without_deadline(), path.to_owned());
        Self(Box::pin(try_stream! {
            // Of what was yielded last; zero stands for nothing, as no transaction has it.
            let mut last: Option<Zxid> = None;
            // Kept until the next read is in line, so that its watch is not removed in between.
            let mut missing: Option<OneshotWatcher> = None;
            loop {
                let answer = client.until_answered(|| read(&client, &path)).await;
                drop(missing.take());
                let watcher = match answer.map(part) {
                    Ok((value, watcher)) => {
                        let now = Some(changed(&value));
                        if last != now {
                            last = now;
                            yield Some(value);
                        }
                        watcher
                    }
                    Err(error) if error.kind() == ErrorKind::NoNode => {
                        // A read of nothing leaves no watch; it takes one that looks for a node.
                        let look = client.until_answered(|| client.exists_watched(&path));
                        let (stat, watcher) = look.await?;
                        if stat.is_some() {
                            missing = Some(watcher);
                            continue;
                        }
                        if last != Some(Zxid::ZERO) {
                            last = Some(Zxid::ZERO);
                            yield None;
                        }
                        watcher
                    }
                    Err(error) => Err(error)?,
                };
                watcher.await?;
            }
        }))
    }
}

impl<T> Watched<T> {
    /// What is there next, or `None` once an error has ended the stream.
    ///
    /// # Errors
    /// Whatever a read fails with; the stream ends there.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub fn recv(&mut self) -> impl Future<Output = Option<Result<Option<T>, Error>>> + Send {
        self.0.next()
    }
}

impl<T> Stream for Watched<T> {
    type Item = Result<Option<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}
