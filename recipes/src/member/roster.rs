//! The children of a node with their data, as they are and whenever one of them has changed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::TryStreamExt;
use futures::future::ready;
use futures::stream::{BoxStream, Stream, StreamExt, iter};
use znode::{Client, Error, ErrorKind};

use crate::final_look::is_unreadable;

/// How many children are read at a time where all are.
const READS_MAX: usize = 256;

/// The names of children, and their data.
pub(crate) type Children = BTreeMap<String, Vec<u8>>;

/// The children of a node, now and whenever one of them has come, gone or changed. It ends after
/// an error.
///
/// Who has come is told of once its data is read, and does not hold up news of who has gone; but at
/// first all are told of together, and nobody is said to be there only where that is so.
///
/// It costs one watch, and one for each child; each change of data is one read.
pub(crate) struct Roster {
    path: Arc<str>,
    names: BoxStream<'static, Result<Vec<String>, Error>>,
    /// Begins to follow the data of the child of a name.
    follow: Box<dyn Fn(&str) -> Values + Send>,
    /// `None` before the first list.
    children: Option<BTreeMap<String, Child>>,
    /// Whether something has changed since it was told last.
    is_news: bool,
    /// Whether anything was.
    has_told: bool,
    is_over: bool,
}

/// The data of a child, as it changes; `None` while there is none.
type Values = BoxStream<'static, Result<Option<Vec<u8>>, Error>>;

struct Child {
    values: Values,
    known: Known,
    /// Whether the log has told already that it may not be read.
    was_refused: bool,
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

    fn is_awaited(&self) -> bool {
        matches!(self.known, Known::NotYet)
    }

    /// Whether it is told of.
    fn is_known(&self) -> bool {
        matches!(self.known, Known::Data(_))
    }
}

impl Roster {
    /// The children of `path`, which need not exist.
    pub(crate) fn new(client: &Client, path: &Arc<str>) -> Self {
        let names = client.watch_children(path).map(|list| {
            let names = list?.map(|(names, _)| names);
            Ok(names.unwrap_or_default())
        });
        let (client, parent) = (client.clone(), Arc::clone(path));
        let follow = move |name: &str| {
            let values = client.watch_data(&znode::path::join(&parent, name));
            values.map(|value| Ok(value?.map(|(data, _)| Vec::from(data)))).boxed()
        };
        Self::of(path, names.boxed(), follow)
    }

    fn of(
        path: &Arc<str>,
        names: BoxStream<'static, Result<Vec<String>, Error>>,
        follow: impl Fn(&str) -> Values + Send + 'static,
    ) -> Self {
        let (path, follow) = (Arc::clone(path), Box::new(follow));
        let (is_news, has_told, is_over) = (false, false, false);
        Self { path, names, follow, children: None, is_news, has_told, is_over }
    }

    fn list(&mut self, names: Vec<String>) {
        let is_first = self.children.is_none();
        let mut before = self.children.take().unwrap_or_default();
        let children = names.into_iter().map(|name| {
            let child = before.remove(&name);
            let was_refused = child.as_ref().is_some_and(Child::is_refused);
            let child = child.filter(|_| !was_refused).unwrap_or_else(|| Child {
                values: (self.follow)(&name),
                known: Known::NotYet,
                was_refused,
            });
            (name, child)
        });
        self.children = Some(children.collect());
        self.is_news |= is_first || before.values().any(Child::is_known);
    }

    /// Takes in whatever has come.
    fn take_in(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while let Poll::Ready(Some(list)) = self.names.poll_next_unpin(cx) {
            self.list(list?);
        }
        for (name, child) in self.children.iter_mut().flatten() {
            while !child.is_refused()
                && let Poll::Ready(value) = child.values.poll_next_unpin(cx)
            {
                let was_known = child.is_known();
                child.known = match value {
                    Some(Ok(Some(data))) => Known::Data(data),
                    Some(Ok(None)) => Known::Nothing,
                    Some(Err(error)) if is_unreadable(&error) => {
                        if !child.was_refused {
                            tracing::warn!(path = &*self.path, name, %error, "passed over");
                        }
                        Known::Nothing
                    }
                    Some(Err(error)) => return Err(error),
                    None => Known::Refused,
                };
                self.is_news |= was_known || child.is_known();
            }
        }
        Ok(())
    }

    /// All that are known, once they are to be told of.
    fn whole(&self) -> Option<Children> {
        let children = self.children.as_ref()?;
        let data = |(name, child): (&String, &Child)| match &child.known {
            Known::Data(data) => Some((name.clone(), data.clone())),
            Known::NotYet | Known::Nothing | Known::Refused => None,
        };
        let known: Children = children.iter().filter_map(data).collect();
        // Where one has come as the last one left, somebody was there all the time.
        let is_partial = self.has_told && !known.is_empty();
        (is_partial || !children.values().any(Child::is_awaited)).then_some(known)
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
        let Some(whole) = self.is_news.then(|| self.whole()).flatten() else {
            return Poll::Pending;
        };
        self.is_news = false;
        self.has_told = true;
        Poll::Ready(Some(Ok(whole)))
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

    use super::*;

    type ValueSender = UnboundedSender<Result<Option<Vec<u8>>, Error>>;

    /// What a server says, when a test has it say so.
    struct Server {
        lists: UnboundedSender<Result<Vec<String>, Error>>,
        /// Who is followed since a name was listed, last.
        followed: Arc<Mutex<BTreeMap<String, ValueSender>>>,
        roster: Roster,
    }

    impl Server {
        fn new() -> Self {
            let (lists, names): (_, UnboundedReceiver<_>) = unbounded();
            let followed = Arc::<Mutex<BTreeMap<_, _>>>::default();
            let senders = Arc::clone(&followed);
            let follow = move |name: &str| {
                let (sender, values) = unbounded();
                senders.lock().unwrap().insert(name.to_owned(), sender);
                values.boxed()
            };
            let roster = Roster::of(&"/group".into(), names.boxed(), follow);
            Self { lists, followed, roster }
        }

        fn list(&self, names: &[&str]) {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            self.lists.unbounded_send(Ok(names)).unwrap();
        }

        /// A read of its data is answered with its name, or with nothing.
        fn answer(&self, name: &str, is_there: bool) {
            let data = is_there.then(|| name.as_bytes().to_vec());
            self.followed.lock().unwrap()[name].unbounded_send(Ok(data)).unwrap();
        }

        /// It is followed no more from there.
        fn end(&self, name: &str) {
            self.followed.lock().unwrap()[name].close_channel();
        }

        /// Everything that is told by now.
        fn told(&mut self) -> Vec<String> {
            let told = std::iter::from_fn(|| self.roster.next().now_or_never());
            told.map(|told| told.unwrap().unwrap().into_keys().collect::<Vec<_>>().join(" "))
                .collect()
        }
    }

    #[test]
    fn who_has_gone_is_told_of_while_the_data_of_newcomers_is_read() {
        let mut server = Server::new();
        assert_eq!(server.told(), [""; 0]);
        server.list(&["a", "b"]);
        assert_eq!(server.told(), [""; 0]);
        server.answer("a", true);
        assert_eq!(server.told(), [""; 0], "at first, all are told of together");
        server.answer("b", true);
        assert_eq!(server.told(), ["a b"]);
        // A fleet starts, and one goes.
        server.list(&["a", "b", "c"]);
        assert_eq!(server.told(), [""; 0], "nothing is known of it yet");
        server.list(&["a", "c", "d"]);
        assert_eq!(server.told(), ["a"]);
        server.answer("d", true);
        assert_eq!(server.told(), ["a d"]);
        server.answer("a", false);
        assert_eq!(server.told(), ["d"]);
        server.answer("c", true);
        assert_eq!(server.told(), ["c d"]);
    }

    #[test]
    fn a_group_that_is_handed_over_is_never_told_to_be_empty() {
        let mut server = Server::new();
        server.list(&["a"]);
        assert_eq!(server.told(), [""; 0]);
        server.answer("a", true);
        assert_eq!(server.told(), ["a"]);
        server.list(&["b"]);
        assert_eq!(server.told(), [""; 0]);
        server.answer("b", true);
        assert_eq!(server.told(), ["b"]);
        // Nobody was there for long.
        server.list(&["c"]);
        assert_eq!(server.told(), [""; 0]);
        server.answer("c", false);
        assert_eq!(server.told(), [""]);
        server.list(&[]);
        assert_eq!(server.told(), [""; 0], "it is the same");
    }

    #[test]
    fn one_whose_values_have_ended_is_followed_anew_with_the_next_list() {
        let mut server = Server::new();
        server.list(&["a", "b"]);
        assert_eq!(server.told(), [""; 0]);
        server.answer("b", true);
        server.end("a");
        assert_eq!(server.told(), ["b"]);
        server.list(&["a", "b"]);
        assert_eq!(server.told(), [""; 0]);
        server.answer("a", true);
        assert_eq!(server.told(), ["a b"]);
    }
}
