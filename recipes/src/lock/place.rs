//! A place in line, told while it is waited in.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::Stream;
use tokio::sync::mpsc;

use super::line::{Line, Patience};
use crate::error::LockError;
use crate::guard::Guard;

/// A place in line.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use futures::StreamExt;
/// use znode_recipes::{Mutex, Place, Progress};
///
/// let mut waiting = Mutex::new(&client, "/locks/one").queue(None);
/// let progress = waiting.next().await.transpose()?;
/// if let Some(Progress::Waiting(Place { position, ahead, .. })) = progress {
///     println!("{position} ahead of us, {ahead} directly");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// How many contenders came before us, those who hold the lock included.
    pub position: usize,
    /// The node that is waited for.
    pub ahead: String,
}

/// What there is to tell of whoever stands in line.
///
/// ```
/// use znode_recipes::Progress;
///
/// fn told(progress: &Progress) -> String {
///     match progress {
///         Progress::Waiting(place) => format!("{} ahead of us", place.position),
///         Progress::Granted(guard) => format!("ours, token {}", guard.token()),
///         _ => "waiting".to_owned(),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "it is handed on, and never kept")]
pub enum Progress {
    /// It stands there.
    Waiting(Place),
    /// It has the lock.
    Granted(Guard),
}

/// Standing in line as a stream; see [`Mutex::queue`](crate::Mutex::queue). It ends after
/// [`Progress::Granted`] or an error.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use futures::TryStreamExt;
/// use znode_recipes::{Mutex, Progress, Waiting};
///
/// let mut waiting: Waiting = Mutex::new(&client, "/locks/one").queue(None);
/// while let Some(progress) = waiting.try_next().await? {
///     if let Progress::Granted(guard) = progress {
///         guard.release().await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// If it is dropped before that, the place is given up in the background.
#[must_use = "streams do nothing unless polled"]
pub struct Waiting {
    /// Gone once it is over.
    standing: Option<BoxFuture<'static, Result<Guard, LockError>>>,
    /// How it ended, until everything before has been told.
    end: Option<Result<Guard, LockError>>,
    // A place is told no more often than we are woken, and taken at the next poll.
    places: mpsc::UnboundedReceiver<Place>,
    last: Option<Place>,
}

impl Waiting {
    pub(super) fn new(line: Line, patience: Patience) -> Self {
        let (teller, places) = mpsc::unbounded_channel();
        let standing = Box::pin(async move {
            // Nobody listens any more once this is dropped, and the stream with it.
            let tell = move |place| drop(teller.send(place));
            let guard = line.stand(patience, tell).await?;
            Ok(guard.expect("who is patient ends with a turn or an error"))
        });
        Self { standing: Some(standing), end: None, places, last: None }
    }
}

impl Stream for Waiting {
    type Item = Result<Progress, LockError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(standing) = &mut self.standing
            && let Poll::Ready(end) = standing.as_mut().poll(cx)
        {
            self.standing = None;
            self.end = Some(end);
        }
        while let Poll::Ready(Some(place)) = self.places.poll_recv(cx) {
            if self.last.as_ref() != Some(&place) {
                self.last = Some(place.clone());
                return Poll::Ready(Some(Ok(Progress::Waiting(place))));
            }
        }
        match self.end.take() {
            Some(end) => Poll::Ready(Some(end.map(Progress::Granted))),
            None if self.standing.is_none() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("last", &self.last).finish_non_exhaustive()
    }
}
