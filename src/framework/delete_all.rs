//! Deleting a node with everything below it.

use futures::future::join_all;

use super::again::is_lost;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::ops::Op;
use crate::path;
use crate::proto::Version;

/// How many nodes one transaction deletes, and how many bytes their paths may have: far from what
/// a server takes for too much, and enough to make the round trips few.
const BATCH_NODES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 128 * 1024;

/// How many lists of children are asked for at once.
const LISTS_MAX: usize = 256;

/// How often we look again for children that came in while we deleted.
const ROUNDS_MAX: usize = 16;

impl Client {
    /// Deletes a node with everything below it, of whatever version it is.
    ///
    /// The tree is listed level by level, then deleted from below in transactions of up to 500
    /// nodes: each of them is deleted whole or not at all, the tree is not. What somebody else
    /// deletes meanwhile is no error; what somebody else creates meanwhile is deleted too, as
    /// long as it takes no more than 16 rounds. If the connection is lost it looks and goes on,
    /// so a node that somebody makes anew in that instant is deleted as well.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.delete_all("/jobs/done").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode` if the node did not exist to begin with; `NotEmpty` if children kept coming;
    /// `NoAuth`, naming the node; `BadArguments` for the root, before anything is sent; the end
    /// of the session. In all cases but the first a part of the tree may be gone.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line is deleted, the rest is not.
    pub async fn delete_all(&self, path: &str) -> Result<(), Error> {
        const NAME: &str = "delete_all";

        path::validate(path).map_err(|invalid| Error::invalid_path(NAME, invalid))?;
        if path == "/" {
            return Err(Error::refused(NAME, ErrorKind::BadArguments).with_path(Some(path)));
        }
        let mut round = 1;
        let mut has_seen = false;
        loop {
            let result = match self.descendants(path).await {
                Ok(listed) => {
                    has_seen = true;
                    self.delete_from_below(&listed).await
                }
                Err(error) => Err(error),
            };
            match result {
                Err(error) if is_lost(&error) => {}
                Err(error) if error.kind() == ErrorKind::NoNode && has_seen => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NotEmpty && round < ROUNDS_MAX => {
                    round += 1;
                    // A server that is behind does not show yet what stood in the way.
                    self.until_answered(|| self.sync(path)).await?;
                }
                result => return result,
            }
        }
    }

    /// The node and everything below it, each before what is below it. `NoNode` if there is none.
    async fn descendants(&self, path: &str) -> Result<Vec<String>, Error> {
        let mut listed = vec![path.to_owned()];
        let mut next = 0;
        while next < listed.len() {
            let end = listed.len().min(next + LISTS_MAX);
            let lists: Vec<_> =
                listed[next..end].iter().map(|path| self.get_children(path)).collect();
            for (index, list) in (next..end).zip(join_all(lists).await) {
                match list {
                    Ok(names) => {
                        let parent = listed[index].clone();
                        listed.extend(names.iter().map(|name| path::join(&parent, name)));
                    }
                    // Somebody else was faster.
                    Err(error) if error.kind() == ErrorKind::NoNode && index > 0 => {}
                    Err(error) => return Err(error),
                }
            }
            next = end;
        }
        Ok(listed)
    }

    async fn delete_from_below(&self, listed: &[String]) -> Result<(), Error> {
        let mut rest = listed;
        while !rest.is_empty() {
            let (above, batch) = rest.split_at(rest.len() - batch_len(rest));
            let ops = batch.iter().rev().map(|path| Op::delete(path, Version::ANY));
            match self.multi(ops).await {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::NotEmpty) => {
                    self.delete_each(batch).await?;
                }
                Err(error) => return Err(error),
            }
            rest = above;
        }
        Ok(())
    }

    /// The same one by one, for a batch that somebody has interfered with.
    async fn delete_each(&self, batch: &[String]) -> Result<(), Error> {
        let deletes: Vec<_> =
            batch.iter().rev().map(|path| self.delete(path, Version::ANY)).collect();
        for deleted in join_all(deletes).await {
            match deleted {
                Err(error) if error.kind() != ErrorKind::NoNode => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// How many of the last paths go into one transaction.
fn batch_len(paths: &[String]) -> usize {
    let mut bytes = 0;
    let fits = paths.iter().rev().take(BATCH_NODES_MAX).take_while(|path| {
        bytes += path.len();
        bytes <= BATCH_BYTES_MAX
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_in_nodes_and_bytes_and_never_empty() {
        let short = vec!["/a".to_owned(); 3 * BATCH_NODES_MAX];
        assert_eq!(batch_len(&short), BATCH_NODES_MAX);
        assert_eq!(batch_len(&short[..7]), 7);
        let long = vec!["n".repeat(BATCH_BYTES_MAX / 3); 5];
        assert_eq!(batch_len(&long), 3);
        assert_eq!(batch_len(&["n".repeat(2 * BATCH_BYTES_MAX)]), 1);
    }
}
