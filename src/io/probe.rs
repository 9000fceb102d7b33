//! A look at a server without opening a session: is it there, and does it accept writes?

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::transport::Connecting;
use crate::session::Probed;

/// How long a server may take to answer.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks `isro`. Anything but a lost connection shows that a server is there; servers that do not
/// know the word, or do not allow it, say so in a sentence.
pub(crate) async fn probe(connecting: Connecting) -> Probed {
    match tokio::time::timeout(PROBE_TIMEOUT, ask(connecting)).await {
        Ok(Ok(answer)) if answer == b"ro" => Probed::ReadOnly,
        Ok(Ok(answer)) if answer == b"rw" => Probed::Writable,
        Ok(Ok(answer)) if answer != b"null" => Probed::Reachable,
        _ => Probed::Unreachable,
    }
}

async fn ask(connecting: Connecting) -> std::io::Result<Vec<u8>> {
    let mut wire = connecting.await?;
    wire.write_all(b"isro").await?;
    wire.flush().await?;
    let mut answer = Vec::new();
    // A sentence need not be read to its end.
    wire.take(64).read_to_end(&mut answer).await?;
    Ok(answer)
}
