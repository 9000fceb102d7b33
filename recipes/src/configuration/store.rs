//! The nodes of a configuration: the book, and below it a tree for each version.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use znode::{Client, CreateMode, ErrorKind, Op, Path, Version};

use super::book::Book;
use super::format::{decode_book, decode_names, encode_names};
use super::settings::Tree;
use crate::final_look::final_look;
use crate::recipe_error::RecipeError;
use crate::witness::{Committed, Witnesses};

/// The child of the book below which the trees stand, each called after its version.
const VERSIONS: &str = "versions";

#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) path: Arc<str>,
}

impl Store {
    pub(super) fn new(client: &Client, path: String) -> Self {
        // What one writes all others read, whether they compress or not.
        let client = client.without_deadline().without_compression();
        Self { client, path: path.into() }
    }

    /// The book, with the version of its node; `None` if there is none.
    ///
    /// # Errors
    /// `InvalidPath`; `Foreign` if something else stands there; `Client`.
    pub(super) async fn book(
        &self,
        is_synced: bool,
    ) -> Result<Option<(Book, Version)>, RecipeError> {
        Path::parse(&self.path).map_err(RecipeError::invalid_path)?;
        let look = || self.client.get_data(&self.path);
        let read = match is_synced {
            true => final_look(&self.client, &self.path, look).await,
            false => self.client.until_answered(look).await,
        };
        match read {
            Ok((data, stat)) => Ok(Some((self.decode(&data)?, stat.version))),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// # Errors
    /// `Foreign` if it is none.
    pub(super) fn decode(&self, data: &[u8]) -> Result<Book, RecipeError> {
        let foreign = || RecipeError::foreign(&self.path, "its data is no configuration's");
        decode_book(data).ok_or_else(foreign)
    }

    /// A version's tree, in two round trips; `None` if that is not kept any more.
    ///
    /// # Errors
    /// `Foreign` if something else stands there; `Client`.
    pub(super) async fn tree(&self, content: u64) -> Result<Option<Tree>, RecipeError> {
        let root = self.root(content);
        let Some(names) = self.names(&root).await? else { return Ok(None) };
        let reads = names.into_iter().map(|name| async {
            let path = znode::path::join(&root, &name);
            let read = self.client.until_answered(|| self.client.get_data(&path)).await;
            (name, read)
        });
        let mut tree = Tree::new();
        for (name, read) in join_all(reads).await {
            match read {
                Ok((data, _)) => drop(tree.insert(name, data.to_vec())),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(Some(tree))
    }

    /// What makes the node that all trees stand below.
    pub(super) fn make_versions(&self) -> Op {
        let path = znode::path::join(&self.path, VERSIONS);
        Op::create(path, "", CreateMode::Persistent)
    }

    /// What makes a version's tree.
    pub(super) fn make_tree(&self, content: u64, tree: &Tree) -> impl Iterator<Item = Op> {
        let root = self.root(content);
        let make = |path, data: &[u8]| Op::create(path, data, CreateMode::Persistent);
        let first = make(root.clone(), &encode_names(tree.keys()));
        let below = tree.iter().map(move |(name, data)| make(znode::path::join(&root, name), data));
        std::iter::once(first).chain(below)
    }

    /// Deletes the trees of versions that are not kept any more, as long as a witness stands that
    /// has stood since the book was written: in one that was made anew, other versions have their
    /// numbers. What cannot be deleted is left for whoever publishes next.
    pub(super) async fn clean(&self, book: &Book, witnesses: &Witnesses) {
        let versions = znode::path::join(&self.path, VERSIONS);
        let listed = self.client.until_answered(|| self.client.get_children(&versions)).await;
        let listed = listed.unwrap_or_default();
        // A name that is written otherwise is somebody else's.
        let number = |name: &String| name.parse().ok().filter(|n: &u64| n.to_string() == *name);
        for content in book.waste(listed.iter().filter_map(number)) {
            let root = self.root(content);
            let Ok(Some(names)) = self.names(&root).await else { continue };
            // Whatever is below another node comes behind it.
            let below = names.iter().rev().map(|name| znode::path::join(&root, name));
            let ops = below.chain([root.clone()]).map(|path| Op::delete(path, Version::ANY));
            let ops: Vec<_> = ops.collect();
            if !witnesses.is_standing() {
                return;
            }
            match witnesses.commit_below(&ops).await {
                Ok(Committed::NoWitness) => return,
                Ok(Committed::Answered(_) | Committed::Unheard) => {}
                Err(error) if is_missing(&error) => {}
                Err(error) => tracing::warn!(path = root, %error, "an old version stays"),
            }
        }
    }

    async fn names(&self, root: &str) -> Result<Option<BTreeSet<String>>, RecipeError> {
        match self.client.until_answered(|| self.client.get_data(root)).await {
            Ok((data, _)) => match decode_names(&data) {
                Some(names) => Ok(Some(names)),
                None => Err(RecipeError::foreign(root, "its data is no version's")),
            },
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn root(&self, content: u64) -> String {
        znode::path::join(&self.path, &format!("{VERSIONS}/{content}"))
    }

    pub(super) fn failed(&self, error: znode::Error) -> RecipeError {
        RecipeError::client(&self.path, error)
    }
}

/// Whether somebody else has deleted it, or a part of it.
fn is_missing(error: &RecipeError) -> bool {
    error.client_error().is_some_and(|error| error.kind() == ErrorKind::NoNode)
}
