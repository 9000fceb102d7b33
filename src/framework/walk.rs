//! Walking over a subtree, with many requests under way and few results in memory.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_stream::stream;
use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::again::is_lost;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::path;
use crate::proto::Stat;
use crate::reply::Reply;

/// How many nodes are asked for ahead of the one that is yielded next.
const AHEAD_MAX: usize = 64;

/// A node that was found on a walk.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::TreeNode;
///
/// let mut walk = client.walk_with_data("/app");
/// while let Some(node) = walk.next_node().await {
///     let TreeNode { path, stat, children, data } = node?;
///     println!("{path}: {data:?}, version {}, above {children:?}", stat.version);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeNode {
    /// Its path.
    pub path: String,
    /// Its metadata, read with the data if that is read, otherwise with the children.
    pub stat: Stat,
    /// The names of its children, sorted.
    pub children: Vec<String>,
    /// Its data, of a [`walk_with_data`](Client::walk_with_data).
    pub data: Option<Bytes>,
}

/// The nodes of a subtree; see [`Client::walk`].
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use futures::TryStreamExt;
///
/// let leaves = client.walk("/app").try_filter(|node| {
///     std::future::ready(node.children.is_empty())
/// });
/// let leaves: Vec<_> = leaves.map_ok(|node| node.path).try_collect().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Waiting for the next node may be given up and resumed.
#[must_use = "streams do nothing unless polled"]
pub struct Walk(Pin<Box<dyn Stream<Item = Result<TreeNode, Error>> + Send>>);

impl Client {
    /// A node and everything below it, depth first, each before what is below it, siblings in
    /// the order of their names.
    ///
    /// Up to 64 nodes are asked for ahead of the one that comes next, so a walk takes few round
    /// trips; what is below those is not held in memory. It shows no single point in time: what
    /// is made and removed meanwhile is seen or not. Lost connections are survived.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let mut walk = client.walk("/app");
    /// while let Some(node) = walk.next_node().await {
    ///     match node {
    ///         Ok(node) => println!("{} has {} bytes", node.path, node.stat.data_length),
    ///         Err(error) => println!("not shown: {error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// In the place of a node that a server refuses to show, as with `NoAuth`, there is its
    /// error; the walk goes on beside it. A node that is gone before it is reached is left out,
    /// but for the first: its `NoNode` ends the walk, as the end of the session does.
    pub fn walk(&self, path: &str) -> Walk {
        Walk::new(self, path, false)
    }

    /// As [`walk`](Self::walk), and reads the data of each node.
    ///
    /// # Errors
    /// As [`walk`](Self::walk).
    pub fn walk_with_data(&self, path: &str) -> Walk {
        Walk::new(self, path, true)
    }
}

/// A node that is to be yielded.
struct Visit {
    path: String,
    /// Its requests, once they are in line.
    asked: Option<Asked>,
}

struct Asked {
    data: Option<Reply<(Bytes, Stat)>>,
    children: Reply<(Vec<String>, Stat)>,
}

impl Visit {
    fn new(path: String) -> Self {
        Self { path, asked: None }
    }
}

impl Asked {
    fn new(client: &Client, path: &str, with_data: bool) -> Self {
        let data = with_data.then(|| client.get_data(path));
        Self { data, children: client.get_children_with_stat(path) }
    }

    async fn node(self, path: &str) -> Result<TreeNode, Error> {
        let data = match self.data {
            Some(data) => Some(data.await?),
            None => None,
        };
        let (mut children, stat) = self.children.await?;
        children.sort_unstable();
        let path = path.to_owned();
        Ok(match data {
            Some((data, stat)) => TreeNode { path, stat, children, data: Some(data) },
            None => TreeNode { path, stat, children, data: None },
        })
    }
}

impl Walk {
    fn new(client: &Client, path: &str, with_data: bool) -> Self {
        let client = client.clone();
        let mut stack = vec![Visit::new(path.to_owned())];
        let mut in_flight = 0;
        let mut is_first = true;
        Self(Box::pin(stream! {
            loop {
                in_flight += ask_ahead(&client, &mut stack, AHEAD_MAX - in_flight, with_data);
                let Some(Visit { path, asked }) = stack.pop() else { break };
                let asked = asked.expect("the next one is always asked for");
                in_flight -= 1;
                let mut found = asked.node(&path).await;
                if found.as_ref().is_err_and(is_lost) {
                    let again = || Asked::new(&client, &path, with_data).node(&path);
                    found = client.until_answered(again).await;
                }
                match found {
                    Ok(node) => {
                        let below = node.children.iter().rev();
                        stack.extend(below.map(|name| Visit::new(path::join(&path, name))));
                        yield Ok(node);
                    }
                    Err(error) if error.kind() == ErrorKind::NoNode && !is_first => {}
                    Err(error) => {
                        let is_over = error.is_session_over() || is_first;
                        yield Err(error);
                        if is_over {
                            break;
                        }
                    }
                }
                is_first = false;
            }
        }))
    }
}

/// Puts the requests for the next nodes in line, as far as there is room; one place is always
/// left for the very next. Returns for how many it did.
fn ask_ahead(client: &Client, stack: &mut [Visit], room: usize, with_data: bool) -> usize {
    let mut asked = 0;
    for (place, visit) in stack.iter_mut().rev().take(AHEAD_MAX).enumerate() {
        let has_room = asked + 1 < room || (place == 0 && room > 0);
        if visit.asked.is_none() && has_room {
            visit.asked = Some(Asked::new(client, &visit.path, with_data));
            asked += 1;
        }
    }
    asked
}

impl Walk {
    /// The next node, or `None` at the end.
    ///
    /// # Errors
    /// As of [`Client::walk`].
    ///
    /// # Cancel safety
    /// No node is lost if the future is dropped.
    pub fn next_node(
        &mut self,
    ) -> impl Future<Output = Option<Result<TreeNode, Error>>> + Send + '_ {
        self.0.next()
    }
}

impl Stream for Walk {
    type Item = Result<TreeNode, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Walk")
    }
}
