//! How many may hold at once: a number that everybody knows, or one that stands in a node.

use std::sync::Arc;

use znode::{Client, CreateMode, Error, ErrorKind, OneshotWatcher, Parents, Version};

use crate::error::LockError;

/// How many leases a semaphore has.
#[derive(Debug, Clone)]
pub(super) enum Limit {
    Fixed(u32),
    /// In a node, as Curator's `SharedCount` keeps it.
    Shared {
        path: Arc<str>,
        /// What it is made with, where there is none.
        seed: u32,
    },
}

impl Limit {
    /// The limit.
    pub(super) async fn glance(&self, client: &Client) -> Result<u32, LockError> {
        let (path, seed) = match self {
            Self::Fixed(limit) => return Ok(*limit),
            Self::Shared { path, seed } => (path, *seed),
        };
        let (data, _) = looked(client, path, seed, || client.get_data(path)).await?;
        parse(path, &data)
    }

    /// The limit, and what tells that it may be another.
    pub(super) async fn watch(
        &self,
        client: &Client,
    ) -> Result<(u32, Option<OneshotWatcher>), LockError> {
        let (path, seed) = match self {
            Self::Fixed(limit) => return Ok((*limit, None)),
            Self::Shared { path, seed } => (path, *seed),
        };
        let read = || client.get_data_watched(path);
        let (data, _, watcher) = looked(client, path, seed, read).await?;
        Ok((parse(path, &data)?, Some(watcher)))
    }

    /// Writes another limit; `false` if it is fixed.
    pub(super) async fn write(&self, client: &Client, limit: u32) -> Result<bool, LockError> {
        let Self::Shared { path, .. } = self else { return Ok(false) };
        let data = encode(limit);
        loop {
            // Written twice it is the same limit.
            let write = || client.set_data(path, data, Version::ANY);
            match client.until_answered(write).await {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    make(client, path, limit).await?;
                }
                Err(error) => return Err(LockError::client(path, error)),
            }
        }
    }
}

/// Looks at the node, which is made if it is missing.
async fn looked<T, F: Future<Output = Result<T, Error>>>(
    client: &Client,
    path: &str,
    seed: u32,
    mut look: impl FnMut() -> F,
) -> Result<T, LockError> {
    loop {
        match client.until_answered(&mut look).await {
            Err(error) if error.kind() == ErrorKind::NoNode => make(client, path, seed).await?,
            looked => return looked.map_err(|error| LockError::client(path, error)),
        }
    }
}

/// Makes the node, unless somebody else does.
async fn make(client: &Client, path: &str, limit: u32) -> Result<(), LockError> {
    let failed = |error| LockError::client(path, error);
    match client.create(path, encode(limit), CreateMode::Persistent).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NodeExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionLoss => Ok(()),
        Err(error) if error.kind() == ErrorKind::NoNode => {
            let parent = znode::path::parent(path).unwrap_or("/");
            client.ensure_path(parent, Parents::Container).await.map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// A signed 32-bit number, the largest byte first; no more than those who read it can read.
fn encode(limit: u32) -> [u8; 4] {
    i32::try_from(limit).unwrap_or(i32::MAX).to_be_bytes()
}

fn parse(path: &str, data: &[u8]) -> Result<u32, LockError> {
    match *data {
        [] => Ok(0),
        [a, b, c, d] => Ok(u32::try_from(i32::from_be_bytes([a, b, c, d])).unwrap_or(0)),
        _ => Err(LockError::not_a_count(path, data.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_what_curators_shared_count_writes() {
        assert_eq!(encode(258), [0, 0, 1, 2]);
        for (data, limit) in [
            (&[][..], 0),
            (&[0, 0, 0, 7], 7),
            (&[0xff, 0xff, 0xff, 0xff], 0),
            (&[0x7f, 0xff, 0xff, 0xff], 0x7fff_ffff),
        ] {
            assert_eq!(parse("/a", data).unwrap(), limit);
        }
        assert!(parse("/a", b"10").is_err());
        assert_eq!(parse("/a", &encode(u32::MAX)).unwrap(), 0x7fff_ffff);
    }
}
