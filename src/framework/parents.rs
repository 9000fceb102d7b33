//! Whole paths: a node together with what is missing above it.

use futures::future::join_all;

use super::again::is_lost;
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::{Error, ErrorKind};
use crate::ops::Created;
use crate::path;

/// How often somebody else may remove an ancestor while we make the next one.
const RACES_MAX: usize = 16;

/// What the nodes above another are made as, where they are missing.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::Parents;
///
/// client.ensure_path("/app/queues/mail", Parents::Container).await?; // go when they are empty
/// client.ensure_path("/app/config", Parents::Persistent).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parents {
    /// They stay until they are deleted.
    Persistent,
    /// The server deletes them some time after their last child was. It takes a server of 3.5 or
    /// later.
    Container,
}

impl Parents {
    fn mode(self) -> CreateMode {
        match self {
            Self::Persistent => CreateMode::Persistent,
            Self::Container => CreateMode::Container,
        }
    }
}

impl Client {
    /// As [`create`](Self::create), and makes the nodes above where they are missing, empty and
    /// with the default access control list of this handle.
    ///
    /// First the node is asked for: where its parent exists, that is all. Otherwise one round
    /// trip finds the deepest ancestor that exists, and one more makes all that are missing below
    /// it, from above to below, however deep the path. Somebody else may make or remove some of
    /// them at the same time.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{CreateMode, Parents};
    ///
    /// let worker = "/app/workers/eu/7";
    /// client.create_with_parents(worker, "", CreateMode::Ephemeral, Parents::Container).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create); after `ConnectionLoss` the node may exist. An error that an
    /// ancestor has met names that ancestor: `NoChildrenForEphemerals` the first that would have
    /// to stand below an ephemeral one. `NoNode` if the chroot of this handle does not exist,
    /// which is not made, or if ancestors are removed again and again.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect: ancestors, also the node, may be
    /// made or not.
    pub async fn create_with_parents(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
        parents: Parents,
    ) -> Result<Created, Error> {
        let data = data.as_ref();
        for _ in 0..RACES_MAX {
            match self.create(path, data, mode).await {
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    // The root itself, and below it, only a chroot can be missing.
                    let Some(parent) = path::parent(path).filter(|parent| *parent != "/") else {
                        return Err(error);
                    };
                    self.ensure_path(parent, parents).await?;
                }
                created => return created,
            }
        }
        self.create(path, data, mode).await
    }

    /// Makes `path` and whatever is missing above it; what exists stays as it is.
    ///
    /// It takes one round trip if nothing is missing and two if nobody interferes. No permission
    /// is needed on ancestors that exist, but READ or ADMIN to see that they do.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::Parents;
    ///
    /// client.ensure_path("/app/jobs/done", Parents::Container).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create_with_parents`](Self::create_with_parents), but that lost connections are no
    /// error: what was not answered is asked again.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect.
    pub async fn ensure_path(&self, path: &str, parents: Parents) -> Result<(), Error> {
        path::validate(path).map_err(|invalid| Error::invalid_path("ensure_path", invalid))?;
        let mut races = 0;
        loop {
            match self.make_missing(path, parents).await {
                // The next look waits for a connection.
                Err(error) if is_lost(&error) => {}
                // What stands right below the root lacks nothing but a chroot, which is not ours.
                Err(error)
                    if error.kind() == ErrorKind::NoNode
                        && error.path().and_then(path::parent) != Some("/")
                        && races < RACES_MAX =>
                {
                    races += 1;
                    // A server that is behind may have shown what is not there any more.
                    self.until_answered(|| self.sync(path)).await?;
                }
                made => return made,
            }
        }
    }

    /// One look, and one attempt.
    async fn make_missing(&self, path: &str, parents: Parents) -> Result<(), Error> {
        let lineage = lineage(path);
        let looks: Vec<_> = lineage.iter().map(|path| self.exists(path)).collect();
        let mut deepest = None;
        for (index, look) in join_all(looks).await.into_iter().enumerate() {
            match look {
                Ok(Some(_)) => deepest = Some(index),
                Ok(None) => {}
                // What may not be read exists.
                Err(error) if error.kind() == ErrorKind::NoAuth => deepest = Some(index),
                Err(error) => return Err(error),
            }
        }
        let missing = &lineage[deepest.map_or(0, |index| index + 1)..];
        // Nobody reads the data of a node that nobody has written.
        let plain = self.plain();
        let made: Vec<_> =
            missing.iter().map(|path| plain.create(path, "", parents.mode())).collect();
        for made in join_all(made).await {
            match made {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NodeExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A path and those above it but the root, from above to below.
fn lineage(path: &str) -> Vec<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    ends.map(|end| &path[..end]).filter(|path| *path != "/").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lineage_goes_from_above_to_below_without_the_root() {
        assert_eq!(lineage("/a/bc/d"), ["/a", "/a/bc", "/a/bc/d"]);
        assert_eq!(lineage("/a"), ["/a"]);
        assert!(lineage("/").is_empty());
    }
}
