//! Which nodes a cache holds, and which it has to read for that.

use std::fmt;
use std::sync::Arc;

/// Which nodes are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) enum Scope {
    /// The root alone.
    Node,
    /// Those right below the root.
    Children,
    /// The root and everything below it.
    Tree,
}

/// A scope and where it begins.
#[derive(Debug)]
pub(in crate::cache) struct Reach {
    root: Arc<str>,
    scope: Scope,
}

impl Reach {
    pub(super) fn new(root: &str, scope: Scope) -> Self {
        Self { root: root.into(), scope }
    }

    pub(super) fn root(&self) -> &Arc<str> {
        &self.root
    }

    /// Whether a node is one of those that are copied.
    pub(in crate::cache) fn holds(&self, path: &str) -> bool {
        match self.scope {
            Scope::Node => *path == *self.root,
            Scope::Children => znode::path::parent(path) == Some(&*self.root),
            Scope::Tree => {
                let below = path.strip_prefix(self.root.trim_end_matches('/'));
                *path == *self.root || below.is_some_and(|below| below.starts_with('/'))
            }
        }
    }

    /// Whether it takes a node to know of those that are copied.
    pub(super) fn reads(&self, path: &str) -> bool {
        *path == *self.root || self.holds(path)
    }

    pub(super) fn reads_children(&self, path: &str) -> bool {
        match self.scope {
            Scope::Node => false,
            Scope::Children => *path == *self.root,
            Scope::Tree => true,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Node => write!(f, "{} alone", self.root),
            Scope::Children => write!(f, "the nodes right below {}", self.root),
            Scope::Tree => write!(f, "{} and what is below it", self.root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_holds_its_own_nodes_and_no_other() {
        let paths = ["/", "/r", "/r/a", "/r/a/b", "/ra", "/q"];
        let held = |root, scope| {
            let reach = Reach::new(root, scope);
            paths.into_iter().filter(|path| reach.holds(path)).collect::<Vec<_>>()
        };
        assert_eq!(held("/r", Scope::Node), ["/r"]);
        assert_eq!(held("/r", Scope::Children), ["/r/a"]);
        assert_eq!(held("/r", Scope::Tree), ["/r", "/r/a", "/r/a/b"]);
        assert_eq!(held("/", Scope::Node), ["/"]);
        assert_eq!(held("/", Scope::Children), ["/r", "/ra", "/q"]);
        assert_eq!(held("/", Scope::Tree), paths);
    }
}
