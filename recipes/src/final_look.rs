//! A look at ZooKeeper that shows whatever was on its way to it before, and what looks may find.

use std::future::Future;

use znode::{Client, Error, ErrorKind, Stat};

/// Looks behind a `sync`, again if a connection was lost meanwhile.
///
/// That makes the answer final, of a request of this session whose own was lost: what the lost
/// connection had carried to the leader comes before the look, and nothing can come after it, as
/// the session has moved on. Without it a slow follower shows what was there before.
///
/// # Errors
/// A server's refusal, or the end of the session.
pub(crate) async fn final_look<T, F>(
    client: &Client,
    path: &str,
    mut look: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>> + Send,
{
    let looked = client.until_answered(|| {
        // One behind the other, in one write.
        let (sync, look) = (client.sync(path), look());
        async move {
            match sync.await {
                Err(error) if error.kind() != ErrorKind::NoNode => Err(error),
                _ => look.await,
            }
        }
    });
    looked.await
}

/// The metadata of an ephemeral node, by a [final look](final_look), if this session owns it.
///
/// Two clients with one seed draw equal GUIDs, and a dying session's node may bear ours
/// (CURATOR-498, CURATOR-604).
///
/// # Errors
/// As of [`final_look`].
pub(crate) async fn find_own(client: &Client, path: &str) -> Result<Option<Stat>, Error> {
    let found = final_look(client, path, || client.exists(path)).await?;
    Ok(found.filter(|stat| stat.ephemeral_owner == client.session_id()))
}

/// Whether a node is there that this client cannot read, whoever has made it.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NoAuth | ErrorKind::InvalidData)
}

/// A node that does not exist has no children, where that is all that matters.
pub(crate) fn none_without_node(listed: Result<Vec<String>, Error>) -> Result<Vec<String>, Error> {
    match listed {
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(Vec::new()),
        listed => listed,
    }
}
