//! What the task of a cache and its readers share, and what its watch tells them.

use std::future::poll_fn;
use std::sync::MutexGuard;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use znode::{Client, Path, PersistentWatcher, WatchUpdate};

use super::changes::{CacheChange, Subscriber};
use super::mirror::{Mirror, Scope};
use crate::notice::Notice;
use crate::recipe_error::RecipeError;

/// What the task and its readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) path: String,
    pub(super) scope: Scope,
    pub(super) nodes_max: usize,
    pub(super) jitter: Duration,
    copied: Notice<Copied>,
    /// Somebody wants to know what is true by now.
    pub(super) asked: Notify,
}

/// The copy, what tells of changes, and those who are told.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) mirror: Mirror,
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) failure: Option<RecipeError>,
    /// The watch, while there is one. It is read under the same lock as the copy: so nobody can
    /// look at a copy that lacks what the watch has told already.
    watcher: Option<PersistentWatcher>,
    /// The task, which is told when a reader has taken in what was meant for it.
    task: Option<Waker>,
    news: News,
}

/// What the task has to do about what was taken in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    is_any: bool,
    /// There is no watch any more.
    pub(super) is_unwatched: bool,
    /// The link was down.
    pub(super) is_gap: bool,
    /// Something was missed while the link stood.
    pub(super) is_lagging: bool,
}

impl Shared {
    pub(super) fn new(
        client: Client,
        path: String,
        scope: Scope,
        nodes_max: usize,
        jitter: Duration,
    ) -> Self {
        let copied = Copied {
            mirror: Mirror::new(&path, scope),
            subscribers: Vec::new(),
            failure: None,
            watcher: None,
            task: None,
            news: News { is_any: true, is_unwatched: true, ..News::default() },
        };
        let (copied, asked) = (Notice::new(copied), Notify::new());
        Self { client, path, scope, nodes_max, jitter, copied, asked }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Copied> {
        self.copied.lock()
    }

    /// Changes something that readers may wait for.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Copied) -> T) -> T {
        self.copied.change(change)
    }

    /// Waits until there is something to be had.
    pub(super) async fn until<T>(
        &self,
        look: impl Fn(&Copied) -> Option<T>,
    ) -> Result<T, RecipeError> {
        let look = |copied: &mut Copied| {
            let failed = || copied.failure.clone().map(Err);
            look(copied).map(Ok).or_else(failed)
        };
        self.copied.until(look).await
    }

    /// Waits, as the task, until the watch has told something, and takes that in.
    pub(super) async fn news(&self) -> News {
        poll_fn(|cx| {
            let news = self.change_if_any(|copied| {
                copied.task = Some(cx.waker().clone());
                copied.hear();
                std::mem::take(&mut copied.news)
            });
            if news.is_any { Poll::Ready(news) } else { Poll::Pending }
        })
        .await
    }

    /// Takes in what the watch has told by now; what there is to do about it, [`news`](Self::news)
    /// says.
    pub(super) fn hear(&self) {
        self.change_if_any(|copied| {
            copied.hear();
            copied.news
        });
    }

    /// What the watch tells is taken in from now on; what came before is to be looked at.
    pub(super) fn watched(&self, watcher: PersistentWatcher) {
        let mut copied = self.lock();
        copied.watcher = Some(watcher);
        copied.mirror.doubt();
        copied.mirror.look_again();
    }

    /// Nobody reads it any more, and whoever is told of changes is told of nothing else.
    pub(super) fn close(&self) {
        self.change(|copied| copied.subscribers.clear());
    }

    /// Nothing follows, for the first reason that was given.
    pub(super) fn end(&self, error: RecipeError) {
        let watcher = self.change(|copied| {
            for subscriber in copied.subscribers.drain(..) {
                subscriber.end(error.clone());
            }
            copied.failure.get_or_insert(error);
            copied.watcher.take()
        });
        drop(watcher);
    }

    /// Refuses a path that the cache can say nothing of.
    pub(super) fn check(&self, path: &str) -> Result<(), RecipeError> {
        Path::parse(path).map_err(RecipeError::invalid_path)?;
        let state = self.lock();
        let reach = state.mirror.reach();
        if !reach.holds(path) {
            return Err(RecipeError::invalid_argument(path, format!("the cache holds {reach}")));
        }
        Ok(())
    }

    fn change_if_any(&self, change: impl FnOnce(&mut Copied) -> News) -> News {
        let mut news = News::default();
        self.copied.change_if(|copied| {
            news = change(copied);
            news.is_any
        });
        news
    }
}

impl Copied {
    /// Has the mirror take something in, and tells of what has changed by that.
    pub(super) fn step<T>(
        &mut self,
        take: impl FnOnce(&mut Mirror, &mut Vec<CacheChange>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let taken = take(&mut self.mirror, &mut out);
        for change in &out {
            self.subscribers.retain(|subscriber| subscriber.tell(change));
        }
        taken
    }

    /// The same as [`Shared::hear`], for a reader: the task is woken if there is something to do.
    pub(super) fn hear_aside(&mut self) {
        self.hear();
        if let Some(task) = self.task.as_ref().filter(|_| self.news.is_any) {
            task.wake_by_ref();
        }
    }

    fn hear(&mut self) {
        // Without its task nobody can be woken by what comes next.
        let Some(task) = self.task.clone() else { return };
        let mut cx = Context::from_waker(&task);
        while let Some(watcher) = &mut self.watcher
            && let Poll::Ready(update) = watcher.poll_next_unpin(&mut cx)
        {
            self.news.is_any = true;
            match update {
                Some(WatchUpdate::Event(event)) => {
                    self.step(|mirror, out| mirror.event(&event, out));
                }
                Some(WatchUpdate::Gap) => {
                    self.mirror.doubt();
                    self.news.is_gap = true;
                }
                Some(WatchUpdate::Lagged(_)) => {
                    self.mirror.doubt();
                    self.news.is_lagging = true;
                }
                // Somebody has removed it, the server knows none, or the session is over: which of
                // these, the client says.
                Some(_) | None => {
                    self.mirror.doubt();
                    self.watcher = None;
                    self.news.is_unwatched = true;
                }
            }
        }
    }
}
