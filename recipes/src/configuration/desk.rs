//! What was read for a subscription, and what its stream has to tell of that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

use super::book::{Book, Row};
use super::settings::{Settings, Tree};
use super::subscription::Release;
use crate::recipe_error::RecipeError;

/// A version as it was read: what it means is not known yet.
pub(super) type Read = (Book, Row, Tree);

/// Where the task puts what it has read. What that means, users' code says: it runs when they ask,
/// and never on the task.
pub(super) struct Desk<T> {
    state: Mutex<State<T>>,
    waker: AtomicWaker,
}

struct State<T> {
    /// Read, and not looked at yet.
    read: Option<Read>,
    /// What has gone wrong since that was read.
    failed: Option<RecipeError>,
    /// Whether somebody is about to look at what was read: others leave all that to it, so that
    /// nothing is told out of turn.
    is_looking: bool,
    good: Option<Arc<Release<T>>>,
    /// What the stream has to tell: a good one, and what has gone wrong since.
    news: Option<Arc<Release<T>>>,
    error: Option<RecipeError>,
    is_over: bool,
}

/// Somebody who looks at what was read. It has the stream look at what has come meanwhile, however
/// that ends: users' code may panic.
struct Looking<'a, T>(&'a Desk<T>);

impl<T> Desk<T> {
    pub(super) fn new() -> Self {
        let state = State {
            read: None,
            failed: None,
            is_looking: false,
            good: None,
            news: None,
            error: None,
            is_over: false,
        };
        Self { state: Mutex::new(state), waker: AtomicWaker::new() }
    }

    /// The task has read a version.
    pub(super) fn put(&self, read: Read) {
        self.tell(|state| (state.read, state.failed) = (Some(read), None));
    }

    /// Something has gone wrong.
    pub(super) fn fail(&self, error: RecipeError) {
        self.tell(|state| state.failed = Some(error));
    }

    /// The task has ended, of this.
    pub(super) fn end(&self, error: Option<RecipeError>) {
        self.tell(|state| {
            state.failed = error.or_else(|| state.failed.take());
            state.is_over = true;
        });
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&mut State<T>)) {
        what(&mut self.state());
        self.waker.wake();
    }
}

impl<T: Settings> Desk<T> {
    /// The last good settings, of a book at this path.
    pub(super) fn latest(&self, path: &str) -> Option<Arc<Release<T>>> {
        self.take_in(path);
        self.state().good.clone()
    }

    /// What the stream tells next.
    pub(super) fn poll_next(
        &self,
        path: &str,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Arc<Release<T>>, RecipeError>>> {
        // Before it looks, so that nothing comes in between.
        self.waker.register(cx.waker());
        self.take_in(path);
        self.state().next()
    }

    /// Looks at what was read, unless somebody does.
    fn take_in(&self, path: &str) {
        let mut state = self.state();
        if state.is_looking || (state.read.is_none() && state.failed.is_none()) {
            return;
        }
        state.is_looking = true;
        let read = state.read.take();
        drop(state);
        let looking = Looking(self);
        // Users' code runs with nothing held.
        let looked =
            read.map(|(book, row, tree)| (row.version, Release::read(path, &book, row, &tree)));
        looking.0.state().take_in(looked);
    }
}

impl<T> State<T> {
    fn take_in(&mut self, looked: Option<(u64, Result<Release<T>, RecipeError>)>) {
        let last = self.good.as_ref().map_or(0, |good| good.version);
        match looked {
            Some((version, Ok(release))) if version > last => {
                let release = Arc::new(release);
                (self.good, self.news) = (Some(Arc::clone(&release)), Some(release));
                self.error = None;
            }
            Some((version, Err(error))) if version > last => self.error = Some(error),
            _ => {}
        }
        // What has failed behind something else that was read is told behind that.
        if self.read.is_none() && self.failed.is_some() {
            self.error = self.failed.take();
        }
    }

    fn next(&mut self) -> Poll<Option<Result<Arc<Release<T>>, RecipeError>>> {
        if let Some(release) = self.news.take() {
            return Poll::Ready(Some(Ok(release)));
        }
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let is_known = !self.is_looking && self.read.is_none() && self.failed.is_none();
        if self.is_over && is_known { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<T> Drop for Looking<'_, T> {
    fn drop(&mut self) {
        self.0.tell(|state| state.is_looking = false);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::recipe_error::RecipeErrorKind;

    thread_local! {
        /// What happens while somebody looks at what was read.
        static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    }

    fn meanwhile(what: impl FnOnce() + 'static) {
        MEANWHILE.with_borrow_mut(|meanwhile| *meanwhile = Some(Box::new(what)));
    }

    /// Settings that take their time.
    #[derive(Debug)]
    struct Slow;

    impl Settings for Slow {
        type Invalid = &'static str;

        fn to_tree(&self) -> Tree {
            Tree::new()
        }

        fn from_tree(tree: &Tree) -> Result<Self, &'static str> {
            if let Some(happens) = MEANWHILE.take() {
                happens();
            }
            if tree.is_empty() { Ok(Self) } else { Err("there is something") }
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A desk, with all who come to it in the test's hands.
    #[derive(Clone)]
    struct Ground {
        desk: Arc<Desk<Slow>>,
        wakes: Arc<Count>,
    }

    impl Ground {
        fn new() -> Self {
            Self { desk: Arc::new(Desk::new()), wakes: Arc::default() }
        }

        /// The task has read a version.
        fn reads(&self, version: u64, is_valid: bool) {
            let row = Row { version, content: version };
            let book = Book { versions: vec![row], ..Book::default() };
            let junk = [("junk".to_owned(), Vec::new())];
            let tree = if is_valid { Tree::new() } else { Tree::from(junk) };
            self.desk.put((book, row, tree));
        }

        /// The task has found nothing there.
        fn misses(&self) {
            self.desk.fail(RecipeError::lost("/settings", "gone"));
        }

        /// Somebody asks by a handle.
        fn asks(&self) {
            drop(self.desk.latest("/settings"));
        }

        /// What the stream tells: a version, or an error.
        fn told(&self) -> Poll<Option<Result<u64, RecipeErrorKind>>> {
            let waker = Waker::from(Arc::clone(&self.wakes));
            let told = self.desk.poll_next("/settings", &mut Context::from_waker(&waker));
            let plain = |told: Result<Arc<Release<Slow>>, RecipeError>| {
                told.map(|release| release.version).map_err(|error| error.kind())
            };
            told.map(|told| told.map(plain))
        }

        fn tells(&self, expected: &[Result<u64, RecipeErrorKind>]) {
            for expected in expected {
                assert_eq!(self.told(), Poll::Ready(Some(*expected)));
            }
        }
    }

    #[test]
    fn the_stream_is_woken_by_whoever_looks_in_its_place() {
        let ground = Ground::new();
        ground.reads(1, true);
        let stream = ground.clone();
        meanwhile(move || {
            assert_eq!(stream.told(), Poll::Pending);
            stream.wakes.0.store(0, Ordering::SeqCst);
        });
        ground.asks();
        assert!(ground.wakes.0.load(Ordering::SeqCst) > 0, "it sleeps on what there is to tell");
        ground.tells(&[Ok(1)]);
        assert_eq!(ground.told(), Poll::Pending);
    }

    #[test]
    fn what_ends_the_stream_is_told_also_if_others_look_just_then() {
        let ground = Ground::new();
        ground.reads(1, true);
        ground.misses();
        ground.desk.end(None);
        let stream = ground.clone();
        meanwhile(move || assert_eq!(stream.told(), Poll::Pending, "it ends untold"));
        ground.asks();
        ground.tells(&[Ok(1), Err(RecipeErrorKind::Lost)]);
        assert_eq!(ground.told(), Poll::Ready(None));
    }

    #[test]
    fn what_goes_wrong_while_somebody_looks_is_told_behind_what_was_good() {
        for is_deleted in [false, true] {
            let ground = Ground::new();
            ground.reads(5, true);
            let task = ground.clone();
            meanwhile(move || {
                if is_deleted {
                    task.misses();
                } else {
                    task.reads(6, false);
                }
                task.asks();
            });
            ground.asks();
            let error = match is_deleted {
                true => RecipeErrorKind::Lost,
                false => RecipeErrorKind::InvalidValue,
            };
            ground.tells(&[Ok(5), Err(error)]);
            assert_eq!(ground.told(), Poll::Pending);
        }
    }

    #[test]
    fn a_panic_of_users_code_stops_nobody_else() {
        let ground = Ground::new();
        ground.reads(1, true);
        ground.misses();
        meanwhile(|| panic!("as users' code may"));
        assert!(catch_unwind(AssertUnwindSafe(|| ground.asks())).is_err());
        ground.tells(&[Err(RecipeErrorKind::Lost)]);
        ground.reads(2, true);
        ground.tells(&[Ok(2)]);
    }
}
