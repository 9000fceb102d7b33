//! What is published: a type of the user's own, as a tree of nodes.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt::Display;

use znode::Path;

/// A tree of nodes, by their paths below its root.
pub(super) type Tree = BTreeMap<String, Vec<u8>>;

/// How many nodes one version has: it is published in one transaction, and what a server takes as
/// one request is a megabyte, unless it was told otherwise.
const NODES_MAX: usize = 1_000;

/// Settings of some type, as a tree of nodes that operators can read and others can write.
///
/// ```
/// use std::collections::BTreeMap;
/// use znode_recipes::Settings;
///
/// struct Limits {
///     workers: u32,
/// }
///
/// impl Settings for Limits {
///     type Invalid = String;
///
///     fn to_tree(&self) -> BTreeMap<String, Vec<u8>> {
///         [("limits/workers".to_owned(), self.workers.to_string().into_bytes())].into()
///     }
///
///     fn from_tree(tree: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
///         let workers = tree.get("limits/workers").ok_or("no limits/workers")?;
///         match std::str::from_utf8(workers).ok().and_then(|text| text.parse().ok()) {
///             Some(workers @ 1..=64) => Ok(Self { workers }),
///             _ => Err("limits/workers is not 1 to 64".to_owned()),
///         }
///     }
/// }
///
/// assert!(Limits::from_tree(&Limits { workers: 8 }.to_tree()).is_ok());
/// assert!(Limits::from_tree(&Limits { workers: 0 }.to_tree()).is_err());
/// ```
pub trait Settings: Sized + Send + Sync + 'static {
    /// What [`from_tree`](Self::from_tree) has to say of settings that are none.
    type Invalid: Display;

    /// The data of each node, by its path below the root of the tree: names with slashes between
    /// them. Nodes above those that are named are made without data.
    fn to_tree(&self) -> BTreeMap<String, Vec<u8>>;

    /// The settings that such a tree stands for, with the nodes that were made above.
    ///
    /// It is asked before they are published, and by everybody who follows them: so this is the
    /// place to refuse what nobody should work with. Settings are never changed in place.
    ///
    /// # Errors
    /// Whatever is wrong with them.
    fn from_tree(tree: &BTreeMap<String, Vec<u8>>) -> Result<Self, Self::Invalid>;
}

/// Any tree, and what it means is for its readers to find out.
impl Settings for BTreeMap<String, Vec<u8>> {
    type Invalid = std::convert::Infallible;

    fn to_tree(&self) -> Self {
        self.clone()
    }

    fn from_tree(tree: &Self) -> Result<Self, Self::Invalid> {
        Ok(tree.clone())
    }
}

/// A text, in a node called `value`.
impl Settings for String {
    type Invalid = String;

    fn to_tree(&self) -> Tree {
        [("value".to_owned(), self.clone().into_bytes())].into()
    }

    fn from_tree(tree: &Tree) -> Result<Self, String> {
        let value = tree.get("value").ok_or("there is no value")?;
        Self::from_utf8(value.clone()).map_err(|error| error.to_string())
    }
}

/// The tree of these settings as it is published, which its readers will take for settings, too.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn checked<T: Settings>(settings: &T) -> Result<Tree, String> {
    let mut tree = settings.to_tree();
    let names: Vec<String> = tree.keys().cloned().collect();
    for name in names {
        if Path::parse(&format!("/{name}")).is_err() || name.is_empty() {
            return Err(format!("no node can be called {name:?}"));
        }
        for (at, _) in name.match_indices('/') {
            tree.entry(name[..at].to_owned()).or_default();
        }
    }
    if tree.len() > NODES_MAX {
        return Err(format!("{} nodes are more than {NODES_MAX}", tree.len()));
    }
    match T::from_tree(&tree) {
        Ok(_) => Ok(tree),
        Err(invalid) => Err(invalid.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> Tree {
        names.iter().map(|name| ((*name).to_owned(), b"x".to_vec())).collect()
    }

    #[test]
    fn nodes_above_others_are_made_and_come_first() {
        let whole = checked(&tree(&["db/pool/max", "db-x", "db"])).unwrap();
        let names: Vec<_> = whole.keys().map(String::as_str).collect();
        assert_eq!(names, ["db", "db-x", "db/pool", "db/pool/max"]);
        assert_eq!((&whole["db"][..], &whole["db/pool"][..]), (&b"x"[..], &b""[..]));
    }

    #[test]
    fn what_no_node_can_be_called_or_nobody_can_read_is_refused() {
        for name in ["", "/a", "a/", "a//b", "a/../b", "a\n"] {
            assert!(checked(&tree(&[name])).is_err(), "{name:?}");
        }
        let many: Vec<_> = (0..=NODES_MAX).map(|number| number.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(checked(&tree(&many)).is_err());
        assert_eq!(checked(&"ü".to_owned()).unwrap()["value"], "ü".as_bytes());
        assert!(String::from_tree(&tree(&["other"])).is_err());
    }
}
