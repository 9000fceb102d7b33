//! A subtree as a value: read, written as text, and made again elsewhere.

use std::fmt::{self, Write};
use std::str::FromStr;

use bytes::Bytes;

use super::walk::TreeNode;
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::Error;
use crate::ops::Op;
use crate::path;

/// How many nodes one transaction makes, and how many bytes they may have together, unless one
/// alone has more: far from what a server takes for too much.
const BATCH_NODES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The first line of the text of a tree.
const TITLE: &str = "znode-tree 1";

/// The paths and data of a node and of everything below it.
///
/// As text it has a line for each node: the path below the first, a tab, and the data, of which
/// everything but printable ASCII is written as `%` and two hexadecimal digits, and so is `%`.
///
/// ```
/// let tree: znode::Tree = "znode-tree 1\n/\t\n/rate\t0.19\n/raw\t%00%ff\n".parse()?;
/// assert_eq!(tree.nodes().count(), 3);
/// assert_eq!(tree.to_string().parse(), Ok(tree));
/// # Ok::<(), znode::InvalidTree>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Each before what is below it; the first is `/`.
    nodes: Vec<(String, Bytes)>,
}

/// Why a text is not that of a tree.
///
/// ```
/// let refused = "znode-tree 1\nrate\t0.19\n".parse::<znode::Tree>().unwrap_err();
/// println!("{refused}");
/// assert!(refused.to_string().starts_with("line 2 "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of a tree {reason}")]
pub struct InvalidTree {
    line: usize,
    reason: &'static str,
}

impl Tree {
    /// The path of each node below the first, which is `/` itself, and its data; each before
    /// what is below it.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.nodes.iter().map(|(path, data)| (&path[..], &data[..]))
    }
}

impl Client {
    /// Reads a node and everything below it into memory.
    ///
    /// Ephemeral nodes are left out. What is read shows no single point in time. That a node is a
    /// container, or has a time to live, does not show; nor are access control lists read.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let tree = client.export("/app").await?;
    /// println!("{} nodes", tree.nodes().count());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode` if there is none; the first refusal, as `NoAuth`; the end of the session.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn export(&self, path: &str) -> Result<Tree, Error> {
        let mut nodes = Vec::new();
        let mut walk = self.walk_with_data(path);
        while let Some(node) = walk.next_node().await {
            let TreeNode { path: at, stat, data, .. } = node?;
            let below = if path == "/" { &at[..] } else { &at[path.len()..] };
            let below = if below.is_empty() { "/" } else { below };
            // ZooKeeper's own nodes are made by the server.
            let is_reserved = path == "/"
                && self.chroot().is_root()
                && (at == "/zookeeper" || at.starts_with("/zookeeper/"));
            if !is_reserved && (!stat.is_ephemeral() || nodes.is_empty()) {
                nodes.push((below.to_owned(), data.unwrap_or_default()));
            }
        }
        Ok(Tree { nodes })
    }

    /// Makes a tree at `path`, which must not exist, below a node that must: persistent nodes
    /// with the default access control list of this handle, from above to below, in transactions
    /// of up to 500 nodes.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{Client, Tree};
    ///
    /// let tree: Tree = client.export("/app").await?;
    /// let elsewhere = Client::connect("zk9:2181").await?;
    /// elsewhere.import("/app", &tree).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`multi`](Self::multi): `NodeExists`, `NoNode`, `NoAuth`, `TooLarge`. A part of the tree
    /// may be there then; after `ConnectionLoss` also the part that was under way.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line is made, the rest is not.
    pub async fn import(&self, path: &str, tree: &Tree) -> Result<(), Error> {
        path::validate(path).map_err(|invalid| Error::invalid_path("import", invalid))?;
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (below, data) in tree.nodes() {
            let path = path::join(path, below);
            let len = path.len() + data.len();
            if !batch.is_empty()
                && (batch.len() >= BATCH_NODES_MAX || bytes + len > BATCH_BYTES_MAX)
            {
                self.multi(batch.drain(..)).await?;
                bytes = 0;
            }
            bytes += len;
            batch.push(Op::create(path, data, CreateMode::Persistent));
        }
        self.multi(batch).await.map(drop)
    }

    /// Makes a copy of a node and of everything below it at `to`, which must not exist, below a
    /// node that must: [`export`](Self::export), then [`import`](Self::import).
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.copy_all("/app", "/app-before").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of both.
    ///
    /// # Cancel safety
    /// As that of both.
    pub async fn copy_all(&self, from: &str, to: &str) -> Result<(), Error> {
        let tree = self.export(from).await?;
        self.import(to, &tree).await
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        for (path, data) in self.nodes() {
            write!(f, "{path}\t")?;
            for byte in data {
                match byte {
                    b' '..=b'~' if *byte != b'%' => f.write_char(char::from(*byte))?,
                    byte => write!(f, "%{byte:02x}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl FromStr for Tree {
    type Err = InvalidTree;

    fn from_str(text: &str) -> Result<Self, InvalidTree> {
        let mut lines = text.lines().zip(1..);
        let invalid = |line, reason| InvalidTree { line, reason };
        if lines.next().map(|(title, _)| title) != Some(TITLE) {
            return Err(invalid(1, "is not its title"));
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut nodes = Vec::new();
        for (text, line) in lines {
            let (path, data) = text.split_once('\t').ok_or(invalid(line, "has no tab"))?;
            path::validate(path).map_err(|_| invalid(line, "has a path that is none"))?;
            let is_below = match path::parent(path) {
                None => nodes.is_empty(),
                Some(parent) => seen.contains(parent),
            };
            if !is_below || !seen.insert(path) {
                return Err(invalid(line, "has a path that is not below one before it"));
            }
            let data = unescape(data).ok_or(invalid(line, "has data that is not escaped"))?;
            nodes.push((path.to_owned(), data));
        }
        if nodes.is_empty() { Err(invalid(2, "is missing")) } else { Ok(Self { nodes }) }
    }
}

fn unescape(text: &str) -> Option<Bytes> {
    let mut data = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b' '..=b'~' => byte,
            _ => return None,
        };
        data.push(byte);
    }
    Some(data.into())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| digit.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_as_text() {
        let data: Bytes = (0..=255).collect::<Vec<u8>>().into();
        let nodes = vec![("/".to_owned(), data.clone()), ("/ä b%".to_owned(), data)];
        let tree = Tree { nodes };
        assert_eq!(tree.to_string().parse(), Ok(tree));
    }

    #[test]
    fn what_is_no_tree_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("znode-tree 2\n/\t\n", 1),
            ("znode-tree 1\n", 2),
            ("znode-tree 1\n/a\t\n", 2),
            ("znode-tree 1\n/\n", 2),
            ("znode-tree 1\n/\t\n/\t\n", 3),
            ("znode-tree 1\n/\t\n/a/b\t\n", 3),
            ("znode-tree 1\n/\t\n/a\t\n/a\t\n", 4),
            ("znode-tree 1\n/\t%0\n", 2),
            ("znode-tree 1\n/\t%zz\n", 2),
            ("znode-tree 1\n/\tä\n", 2),
        ] {
            assert_eq!(text.parse::<Tree>().unwrap_err().line, line, "{text:?}");
        }
    }
}
