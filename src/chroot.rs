//! The path below which a client lives: put in front of what is sent, taken off what comes back.
//!
//! No other room knows of it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::path::{InvalidPath, Path};

/// A prefix of paths; the root stands for none.
#[derive(Debug, Clone)]
pub(crate) struct Chroot {
    path: Arc<Path>,
}

impl Chroot {
    pub(crate) fn new(path: Path) -> Self {
        Self { path: Arc::new(path) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The chroot that is `below` within this one.
    pub(crate) fn join(&self, below: &str) -> Result<Self, InvalidPath> {
        let below = Path::parse(below)?;
        Ok(Self::new(Path::parse(&self.full(below.as_str()))?))
    }

    /// The path as the server knows it.
    pub(crate) fn full<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if self.path.is_root() {
            Cow::Borrowed(path)
        } else if path == "/" {
            Cow::Owned(self.path.as_str().to_owned())
        } else {
            Cow::Owned(format!("{}{path}", self.path))
        }
    }

    /// As [`full`](Self::full), for a deletion: the root of a view is not the view's to delete, so
    /// it goes out as the root of all, which servers refuse. ZooKeeper's own client does the same.
    pub(crate) fn full_to_delete<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if path == "/" { Cow::Borrowed(path) } else { self.full(path) }
    }

    /// The path as the client knows it, or `None` if it is not below this chroot.
    pub(crate) fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.path.is_root() {
            return Some(path);
        }
        match path.strip_prefix(self.path.as_str())? {
            "" => Some("/"),
            below if below.starts_with('/') => Some(below),
            _ => None,
        }
    }

    /// The path of an event. One from elsewhere, as from the ensemble's configuration, stays
    /// whole.
    pub(crate) fn strip_event(&self, path: &str) -> String {
        self.strip(path).unwrap_or(path).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chroot(path: &str) -> Chroot {
        Chroot::new(Path::parse(path).unwrap())
    }

    #[test]
    fn a_prefix_goes_in_front_and_comes_off_again() {
        for (root, path, full) in
            [("/", "/a", "/a"), ("/", "/", "/"), ("/x/y", "/", "/x/y"), ("/x", "/a", "/x/a")]
        {
            assert_eq!(chroot(root).full(path), full);
            assert_eq!(chroot(root).strip(full), Some(path));
        }
    }

    #[test]
    fn a_sibling_that_begins_alike_is_not_below() {
        assert_eq!(chroot("/x").strip("/xy"), None);
        assert_eq!(chroot("/x").strip("/"), None);
        assert_eq!(chroot("/x").strip_event("/zookeeper/config"), "/zookeeper/config");
    }

    #[test]
    fn chroots_nest() {
        let nested = chroot("/x").join("/y").unwrap();
        assert_eq!(nested.path().as_str(), "/x/y");
        assert_eq!(chroot("/x").join("/").unwrap().path().as_str(), "/x");
        assert!(chroot("/x").join("y").is_err());
    }
}
