//! Who leads, for those who do not take part.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt, unfold};
use znode::{ErrorKind, Zxid};

use super::participant::{self, Participant};
use crate::error::LockError;
use crate::lock::line::Line;

/// Each change of leader; see [`LeaderLatch::changes`](crate::LeaderLatch::changes). It ends after
/// an error.
///
/// The first item is who leads now. Of leaders that come and go quickly some may not be told of;
/// the last always is.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use futures::TryStreamExt;
/// use znode_recipes::{LeaderChanges, LeaderLatch};
///
/// let mut changes: LeaderChanges = LeaderLatch::new(&client, "/leaders/billing").changes();
/// let leader = changes.try_next().await?.flatten();
/// println!("{:?}", leader.map(|leader| leader.id));
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct LeaderChanges(BoxStream<'static, Result<Option<Participant>, LockError>>);

/// What was told last.
enum Told {
    Nothing,
    /// Who led.
    Leader(Option<Leader>),
    AnError,
}

/// A leader, as it is told from others.
#[derive(PartialEq, Eq)]
struct Leader {
    path: String,
    epoch: Zxid,
}

impl Leader {
    fn of(participant: &Participant) -> Self {
        Self { path: participant.path.clone(), epoch: participant.epoch }
    }
}

impl LeaderChanges {
    pub(super) fn new(line: Line) -> Self {
        let next = |(line, told): (Line, Told)| async move {
            let before = match told {
                Told::AnError => return None,
                Told::Nothing => None,
                Told::Leader(leader) => Some(leader),
            };
            match next(&line, before).await {
                Ok(leader) => {
                    let told = Told::Leader(leader.as_ref().map(Leader::of));
                    Some((Ok(leader), (line, told)))
                }
                Err(error) => Some((Err(error), (line, Told::AnError))),
            }
        };
        Self(unfold((line, Told::Nothing), next).boxed())
    }
}

/// Waits until the leader is another one than before.
async fn next(
    line: &Line,
    before: Option<Option<Leader>>,
) -> Result<Option<Participant>, LockError> {
    loop {
        match &before {
            None => {}
            Some(Some(leader)) => gone(line, &leader.path).await?,
            Some(None) => somebody_comes(line).await?,
        }
        let leader = participant::leader(line).await?;
        if before != Some(leader.as_ref().map(Leader::of)) {
            return Ok(leader);
        }
    }
}

/// Waits until a node has changed or is gone.
async fn gone(line: &Line, path: &str) -> Result<(), LockError> {
    match line.client.until_answered(|| line.client.get_data_watched(path)).await {
        Ok((_, _, watcher)) => watcher.await.map(drop).map_err(|error| line.client_error(error)),
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(()),
        Err(error) => Err(line.client_error(error)),
    }
}

/// Waits until there is a child, or the parent of one.
async fn somebody_comes(line: &Line) -> Result<(), LockError> {
    let client = &line.client;
    let failed = |error| line.client_error(error);
    match client.until_answered(|| client.get_children_watched(&line.path)).await {
        Ok((children, _, watcher)) if children.is_empty() => {
            watcher.await.map(drop).map_err(failed)
        }
        // Whoever is there may be none that contends: then there is nothing to wait for but more.
        Ok((_, _, watcher)) => match participant::leader(line).await? {
            Some(_) => Ok(()),
            None => watcher.await.map(drop).map_err(failed),
        },
        Err(error) if error.kind() == ErrorKind::NoNode => {
            let exists = client.until_answered(|| client.exists_watched(&line.path)).await;
            match exists.map_err(failed)? {
                (Some(_), _) => Ok(()),
                (None, watcher) => watcher.await.map(drop).map_err(failed),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

impl Stream for LeaderChanges {
    type Item = Result<Option<Participant>, LockError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for LeaderChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaderChanges")
    }
}
