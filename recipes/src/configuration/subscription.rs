//! Settings as those have them who follow them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::Stream;
use tokio::task::AbortHandle;
use znode::{Path, Zxid};

use super::book::{Book, Row};
use super::desk::{Desk, Read};
use super::eye::{Eye, Sight};
use super::settings::{Settings, Tree};
use super::store::Store;
use crate::recipe_error::RecipeError;

/// Settings of a version.
///
/// ```
/// fn told(release: &znode_recipes::Release<String>) -> String {
///     let how = if release.is_staged { "first of all" } else { "with everybody" };
///     format!("{}, version {}, {how}", release.settings, release.version)
/// }
/// # let _ = told;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release<T> {
    /// The number of the version. Those that a member sees rise.
    pub version: u64,
    /// Whether not everybody had it when this was read.
    pub is_staged: bool,
    /// What it says.
    pub settings: T,
}

/// The settings that a member has, as they change; see
/// [`Configuration::subscribe`](crate::Configuration::subscribe).
///
/// It goes on over lost connections, and versions never go back: not here, nor behind another
/// subscription that had ended before this one began. Of some that come and go quickly
/// not all may be told; the last always is. What is no settings is told as an error, and the last
/// good ones [stay](Self::latest): `InvalidValue` if they are not what this program takes for some,
/// `Foreign` if the nodes are not, or were made anew; `Lost` if they were deleted; `Client` if what
/// a version says may not be read, which is tried again when the book changes next. The stream goes
/// on. It ends behind `InvalidPath`, of which nothing was sent, and behind an error of the client
/// at the book itself: the end of the session, or `NoAuth`.
///
/// Dropping it, and whatever [`Latest`] there is, ends the watch.
///
/// ```no_run
/// # async fn example(client: znode::Client) {
/// use futures::StreamExt;
/// use znode_recipes::{Configuration, Latest, Subscription};
///
/// let motd = Configuration::<String>::new(&client, "/config/motd");
/// let mut changes: Subscription<String> = motd.subscribe("host-1");
/// let handle: Latest<String> = changes.handle(); // for whoever only wants to know what is
/// if let Some(Ok(release)) = changes.next().await {
///     assert_eq!(handle.get().map(|latest| latest.version), Some(release.version));
///     assert!(changes.latest().is_some());
/// }
/// # }
/// ```
#[must_use = "dropping it ends it"]
pub struct Subscription<T>(Arc<Following<T>>);

/// The latest settings of a [`Subscription`]; clones are cheap, and see the same.
///
/// ```no_run
/// # fn serve(settings: &str) {}
/// # fn example(motd: znode_recipes::Latest<String>) {
/// if let Some(now) = motd.get() {
///     serve(&now.settings);
/// }
/// # }
/// ```
pub struct Latest<T>(Arc<Following<T>>);

/// The task that follows, until nobody wants to know.
struct Following<T> {
    desk: Arc<Desk<T>>,
    path: Arc<str>,
    task: AbortHandle,
}

impl<T: Settings> Release<T> {
    /// # Errors
    /// `InvalidValue` if that is none.
    pub(super) fn read(
        path: &str,
        book: &Book,
        row: Row,
        tree: &Tree,
    ) -> Result<Self, RecipeError> {
        let settings = T::from_tree(tree).map_err(|invalid| {
            let what = format!("version {}: {invalid}", row.version);
            RecipeError::invalid_value(path, what)
        })?;
        let is_staged = book.staged.is_some_and(|stage| stage.version == row.version);
        Ok(Self { version: row.version, is_staged, settings })
    }
}

impl<T: Settings> Subscription<T> {
    pub(super) fn start(store: Store, eye: Eye) -> Self {
        let desk = Arc::new(Desk::new());
        let path = Arc::clone(&store.path);
        let task = tokio::spawn(follow(store, eye, Arc::clone(&desk))).abort_handle();
        Self(Arc::new(Following { desk, path, task }))
    }

    /// The last good settings; `None` before the first.
    pub fn latest(&self) -> Option<Arc<Release<T>>> {
        self.0.latest()
    }

    /// The same for others, who need not read the stream.
    pub fn handle(&self) -> Latest<T> {
        Latest(Arc::clone(&self.0))
    }
}

impl<T: Settings> Latest<T> {
    /// The last good settings; `None` before the first.
    pub fn get(&self) -> Option<Arc<Release<T>>> {
        self.0.latest()
    }
}

impl<T: Settings> Following<T> {
    fn latest(&self) -> Option<Arc<Release<T>>> {
        self.desk.latest(&self.path)
    }
}

/// Reads whatever there is for a member to see, until the session is over.
async fn follow<T>(store: Store, mut eye: Eye, desk: Arc<Desk<T>>) {
    let failed = match Path::parse(&store.path) {
        Ok(_) => watch(&store, &mut eye, &desk).await,
        Err(invalid) => Some(RecipeError::invalid_path(invalid)),
    };
    desk.end(failed);
}

/// The same, below a path that can be one; returns what has ended it.
async fn watch<T>(store: &Store, eye: &mut Eye, desk: &Desk<T>) -> Option<RecipeError> {
    // What the same member has seen in another session, this one's server may not know yet. If it
    // fails, what is read behind it fails in the same way.
    let _ = store.client.until_answered(|| store.client.sync(&store.path)).await;
    let mut books = store.client.watch_data(&store.path);
    let mut has_seen = false;
    while let Some(read) = books.recv().await {
        let looked = match read {
            Ok(None) if !has_seen => continue,
            Ok(None) => Err(RecipeError::lost(&store.path, "somebody has deleted it")),
            Ok(Some((data, stat))) => {
                has_seen = true;
                match store.decode(&data) {
                    Ok(book) => look(store, eye, book, stat.czxid).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => return Some(store.failed(error)),
        };
        match looked {
            Ok(None) => {}
            Ok(Some(read)) => desk.put(read),
            Err(error) if error.is_session_over() => return Some(error),
            Err(error) => desk.fail(error),
        }
    }
    None
}

/// Reads what a book has for a member, if that is new.
async fn look(
    store: &Store,
    eye: &mut Eye,
    book: Book,
    made: Zxid,
) -> Result<Option<Read>, RecipeError> {
    let row = match eye.look(&book, made) {
        Sight::Nothing => return Ok(None),
        Sight::New(row) => row,
        Sight::Other => {
            let what = "somebody has made it anew, or has set it back";
            return Err(RecipeError::foreign(&store.path, what));
        }
    };
    if let Some(tree) = store.tree(row.content).await? {
        eye.saw(row.version);
        return Ok(Some((book, row, tree)));
    }
    // It was taken away meanwhile, if there is another book now, of which the watch tells: what
    // that has for the member is looked for then.
    match store.book(true).await? {
        Some((now, _)) if now.change == book.change => {
            eye.saw(row.version);
            Err(RecipeError::missing_version(&store.path, row.version))
        }
        _ => Ok(None),
    }
}

impl<T> Drop for Following<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Settings> Stream for Subscription<T> {
    type Item = Result<Arc<Release<T>>, RecipeError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.desk.poll_next(&self.0.path, cx)
    }
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").field("path", &self.0.path).finish_non_exhaustive()
    }
}
