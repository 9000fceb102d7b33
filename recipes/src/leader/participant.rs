//! Those who want to lead, and the one who does.

use futures::future::join_all;
use znode::{ErrorKind, SessionId, Zxid};

use crate::error::LockError;
use crate::lock::line::Line;

/// One that wants to lead, or leads.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode_recipes::LockError> {
/// use znode_recipes::{LeaderLatch, Participant};
///
/// let all: Vec<Participant> =
///     LeaderLatch::new(&client, "/leaders/billing").participants().await?;
/// for Participant { id, session, is_leader, .. } in all {
///     println!("{id} of session {session}{}", if is_leader { " leads" } else { "" });
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// What it calls itself; nothing unless it was told a name.
    pub id: String,
    /// Its node.
    pub path: String,
    /// Its session.
    pub session: SessionId,
    /// The token of its leadership, if it leads or once it does: larger than those of all who led
    /// before.
    pub epoch: Zxid,
    /// Whether it leads, as far as the list of all tells.
    pub is_leader: bool,
}

/// All of a line, the leader first. Whoever leaves while they are read is left out.
///
/// # Errors
/// As of standing in line.
pub(super) async fn all(line: &Line) -> Result<Vec<Participant>, LockError> {
    let paths = line.contenders(|_, path| path).await?;
    let read = paths.into_iter().map(|path| read(line, path));
    let mut all = Vec::new();
    for participant in join_all(read).await {
        all.extend(participant?);
    }
    if let Some(first) = all.first_mut() {
        first.is_leader = true;
    }
    Ok(all)
}

/// The one who leads, if anybody does.
///
/// # Errors
/// As of standing in line.
pub(super) async fn leader(line: &Line) -> Result<Option<Participant>, LockError> {
    loop {
        let Some(path) = line.contenders(|_, path| path).await?.into_iter().next() else {
            return Ok(None);
        };
        // It may have left since it was listed: then somebody else leads.
        if let Some(leader) = read(line, path).await? {
            return Ok(Some(Participant { is_leader: true, ..leader }));
        }
    }
}

async fn read(line: &Line, path: String) -> Result<Option<Participant>, LockError> {
    match line.client.until_answered(|| line.client.get_data(&path)).await {
        Ok((data, stat)) => Ok(Some(Participant {
            id: String::from_utf8_lossy(&data).into_owned(),
            path,
            session: stat.ephemeral_owner,
            epoch: stat.czxid,
            is_leader: false,
        })),
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
        Err(error) => Err(line.client_error(error)),
    }
}
