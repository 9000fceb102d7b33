//! The children of a node with their data, as they are and whenever one of them has changed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::TryStreamExt;
use futures::future::ready;
use futures::stream::{BoxStream, Stream, StreamExt, iter};
use znode::{Client, Error, ErrorKind, Stat, Watched};

use crate::final_look::is_unreadable;

/// How many children are read at a time where all are.
const READS_MAX: usize = 256;

/// The names of children, and their data.
pub(crate) type Children = BTreeMap<String, Vec<u8>>;

/// The children of a node, now and whenever one of them has come, gone or changed. It ends after
/// an error.
///
/// It costs one watch, and one for each child; each change of data is one read.
pub(crate) struct Roster {
    client: Client,
    path: Arc<str>,
    names: Watched<(Vec<String>, Stat)>,
    /// `None` before the first list.
    children: Option<BTreeMap<String, Child>>,
    /// Whether something has changed since it was told last.
    is_news: bool,
    is_over: bool,
}

struct Child {
    values: BoxStream<'static, Result<Option<Vec<u8>>, Error>>,
    known: Known,
}

enum Known {
    NotYet,
    /// It was deleted, and the list that says so is on its way; or its data is not what this
    /// client's codec reads.
    Nothing,
    /// It may not be read, and nothing tells when it may: it is asked for again with the next list,
    /// which may be of another node by this name.
    Refused,
    Data(Vec<u8>),
}

impl Child {
    fn is_refused(&self) -> bool {
        matches!(self.known, Known::Refused)
    }
}

impl Roster {
    /// The children of `path`, which need not exist.
    pub(crate) fn new(client: &Client, path: &Arc<str>) -> Self {
        let (client, path, names) = (client.clone(), Arc::clone(path), client.watch_children(path));
        Self { client, path, names, children: None, is_news: false, is_over: false }
    }

    fn list(&mut self, names: Vec<String>) {
        let mut before = self.children.take().unwrap_or_default();
        let children = names.into_iter().map(|name| {
            let child = before.remove(&name).filter(|child| !child.is_refused());
            let child = child.unwrap_or_else(|| {
                let values = self.client.watch_data(&znode::path::join(&self.path, &name));
                let data = |value: Option<(_, Stat)>| value.map(|(data, _)| data);
                let values = values.map(move |value| Ok(data(value?).map(Vec::from))).boxed();
                Child { values, known: Known::NotYet }
            });
            (name, child)
        });
        self.children = Some(children.collect());
        self.is_news = true;
    }

    /// Takes in whatever has come.
    fn take_in(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while let Poll::Ready(Some(list)) = self.names.poll_next_unpin(cx) {
            let names = list?.map_or_else(Vec::new, |(names, _)| names);
            self.list(names);
        }
        for (name, child) in self.children.iter_mut().flatten() {
            while !child.is_refused()
                && let Poll::Ready(value) = child.values.poll_next_unpin(cx)
            {
                child.known = match value {
                    Some(Ok(Some(data))) => Known::Data(data),
                    Some(Ok(None)) => Known::Nothing,
                    Some(Err(error)) if is_unreadable(&error) => {
                        tracing::warn!(path = &*self.path, name, %error, "passed over");
                        Known::Nothing
                    }
                    Some(Err(error)) => return Err(error),
                    None => Known::Refused,
                };
                self.is_news = true;
            }
        }
        Ok(())
    }

    /// All of them, once all are known.
    fn whole(&self) -> Option<Children> {
        let mut whole = Children::new();
        for (name, child) in self.children.as_ref()? {
            match &child.known {
                Known::NotYet => return None,
                Known::Nothing | Known::Refused => {}
                Known::Data(data) => drop(whole.insert(name.clone(), data.clone())),
            }
        }
        Some(whole)
    }
}

impl Stream for Roster {
    type Item = Result<Children, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Err(error) = self.take_in(cx) {
            self.is_over = true;
            self.children = None;
            return Poll::Ready(Some(Err(error)));
        }
        match self.whole() {
            Some(whole) if self.is_news => {
                self.is_news = false;
                Poll::Ready(Some(Ok(whole)))
            }
            _ => Poll::Pending,
        }
    }
}

/// The children of a node, which need not exist, with their data; those that go meanwhile are left
/// out, and those that cannot be read.
///
/// # Errors
/// A server's refusal, or the end of the session.
pub(crate) async fn read_children(client: &Client, path: &str) -> Result<Children, Error> {
    let names = match client.until_answered(|| client.get_children(path)).await {
        Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Children::new()),
        names => names?,
    };
    let reads = names.into_iter().map(|name| async move {
        let child = znode::path::join(path, &name);
        match client.until_answered(|| client.get_data(&child)).await {
            Ok((data, _)) => Ok(Some((name, data.to_vec()))),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
            Err(error) if is_unreadable(&error) => {
                tracing::warn!(path = child, %error, "passed over");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    });
    let reads = iter(reads).buffer_unordered(READS_MAX).try_filter_map(|read| ready(Ok(read)));
    reads.try_collect().await
}
