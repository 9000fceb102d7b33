//! Settings as those have them who follow them.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::stream::Stream;
use futures::task::AtomicWaker;
use tokio::task::AbortHandle;

use super::book::{Book, Row};
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
/// `Foreign` if the nodes are not, or were made anew; `Lost` if they were deleted. The stream goes
/// on, and ends behind an error of the client.
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

/// Where the task puts what it has read. What that means, users' code says: it runs when they ask,
/// and never on the task.
struct Desk<T> {
    state: Mutex<State<T>>,
    waker: AtomicWaker,
}

struct State<T> {
    /// Read, and not looked at yet.
    read: Option<(Book, Row, Tree)>,
    failed: Option<RecipeError>,
    good: Option<Arc<Release<T>>>,
    /// What the stream has to tell: a good one, and what has gone wrong since.
    news: Option<Arc<Release<T>>>,
    error: Option<RecipeError>,
    is_over: bool,
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
        let state =
            State { read: None, failed: None, good: None, news: None, error: None, is_over: false };
        let desk = Arc::new(Desk { state: Mutex::new(state), waker: AtomicWaker::new() });
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
        self.take_in();
        self.desk.state().good.clone()
    }

    /// Looks at what was read.
    fn take_in(&self) {
        let (read, failed) = {
            let mut state = self.desk.state();
            (state.read.take(), state.failed.take())
        };
        // Users' code runs with nothing held.
        let looked = read
            .map(|(book, row, tree)| (row.version, Release::read(&self.path, &book, row, &tree)));
        let mut state = self.desk.state();
        // Somebody else may have looked at a later one meanwhile.
        let last = state.good.as_ref().map_or(0, |good| good.version);
        match looked {
            Some((version, Ok(release))) if version > last => {
                let release = Arc::new(release);
                (state.good, state.news) = (Some(Arc::clone(&release)), Some(release));
                state.error = None;
            }
            Some((version, Err(error))) if version > last => state.error = Some(error),
            _ => {}
        }
        if failed.is_some() {
            state.error = failed;
        }
    }
}

impl<T> Desk<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&mut State<T>)) {
        what(&mut self.state());
        self.waker.wake();
    }
}

/// Reads whatever there is for a member to see, until the session is over.
async fn follow<T>(store: Store, mut eye: Eye, desk: Arc<Desk<T>>) {
    // What the same member has seen in another session, this one's server may not know yet. If it
    // fails, what is read behind it fails in the same way.
    let _ = store.client.until_answered(|| store.client.sync(&store.path)).await;
    let mut books = store.client.watch_data(&store.path);
    let mut has_seen = false;
    while let Some(read) = books.recv().await {
        let looked = match read {
            Ok(None) if !has_seen => continue,
            Ok(None) => Err(RecipeError::lost(&store.path, "somebody has deleted it")),
            Ok(Some((data, _))) => {
                has_seen = true;
                match store.decode(&data) {
                    Ok(book) => look(&store, &mut eye, book).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(store.failed(error)),
        };
        match looked {
            Ok(None) => {}
            Ok(Some(read)) => desk.tell(|state| {
                (state.read, state.failed) = (Some(read), None);
            }),
            Err(error) => desk.tell(|state| state.failed = Some(error)),
        }
    }
    desk.tell(|state| state.is_over = true);
}

/// Reads what a book has for a member, if that is new.
async fn look(
    store: &Store,
    eye: &mut Eye,
    book: Book,
) -> Result<Option<(Book, Row, Tree)>, RecipeError> {
    let row = match eye.look(&book) {
        Sight::Nothing => return Ok(None),
        Sight::New(row) => row,
        Sight::Older => {
            let what = "somebody has made it anew, with numbers that were given before";
            return Err(RecipeError::foreign(&store.path, what));
        }
    };
    if let Some(tree) = store.tree(row.content).await? {
        return Ok(Some((book, row, tree)));
    }
    // It was taken away meanwhile, if there is another book now, of which the watch tells.
    match store.book(true).await? {
        Some((now, _)) if now.change == book.change => {
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
        let desk = &self.0.desk;
        // Before it looks, so that nothing comes in between.
        desk.waker.register(cx.waker());
        let was_over = desk.state().is_over;
        self.0.take_in();
        let mut state = desk.state();
        if let Some(release) = state.news.take() {
            return Poll::Ready(Some(Ok(release)));
        }
        match state.error.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None if was_over => Poll::Ready(None),
            None => Poll::Pending,
        }
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
