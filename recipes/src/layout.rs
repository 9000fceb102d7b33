//! Whose names we give to our nodes.

/// Whose names we give to the nodes of a lock.
///
/// All of them are understood when reading, so this says who else can see *us* in line:
///
/// | who waits | for Curator's names | for go-zookeeper's | for kazoo's |
/// |---|---|---|---|
/// | these recipes | yes | yes | yes |
/// | Curator | yes | yes | no |
/// | go-zookeeper | yes | yes | yes |
/// | kazoo | if told `extra_lock_patterns=["lock-"]` | the same | yes |
///
/// So a fleet of Curator and these recipes has the first, one of kazoo and these recipes the last,
/// and one with both cannot exclude each other whatever is done, since Curator sees nobody but
/// those with its own names.
///
/// ```no_run
/// # fn example(client: znode::Client) {
/// use znode_recipes::{Layout, LockOptions, Mutex};
///
/// // In a fleet with kazoo.
/// let options = LockOptions::new().layout(Layout::Kazoo);
/// let mutex = Mutex::new(&client, "/locks/invoice-run").with_options(options);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Layout {
    /// `_c_<uuid>-lock-<number>`, below containers.
    #[default]
    Curator,
    /// `<hex>__lock__<number>`, below persistent nodes: kazoo does not make its path anew when the
    /// server has reaped it.
    Kazoo,
    /// `_c_<hex>-lock-<number>`, below persistent nodes. Of locks with readers and writers, which
    /// go-zookeeper has none of, as Curator's.
    GoZookeeper,
}

impl Layout {
    /// What a node's name begins with, up to its marker.
    pub(crate) fn owner(self, guid: &str) -> String {
        match self {
            Self::Curator => format!("_c_{guid}-"),
            Self::Kazoo => guid.replace('-', ""),
            Self::GoZookeeper => format!("_c_{}-", guid.replace('-', "")),
        }
    }

    /// What missing parents are made as.
    pub(crate) fn parents(self) -> znode::Parents {
        match self {
            Self::Curator => znode::Parents::Container,
            Self::Kazoo | Self::GoZookeeper => znode::Parents::Persistent,
        }
    }
}
