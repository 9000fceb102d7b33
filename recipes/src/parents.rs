//! The nodes above a recipe's own: made as containers, which the server removes when it finds
//! them empty.

use znode::{Client, CreateMode, Error, ErrorKind, Path};

use crate::retry::until_answered;

/// How often somebody else may remove an ancestor while we make the next one. A server removes no
/// container that never had a child, unless it is told to, so even one such race is rare.
const RACES_MAX: usize = 16;

/// Makes `path` and whatever is missing above it.
///
/// It tries from below, so that one request suffices where one node is missing, and no permission
/// is needed on ancestors that exist.
///
/// # Errors
/// `NoNode` if the client's chroot does not exist, which is not ours to make; `NoAuth`,
/// `QuotaExceeded` and whatever else a create can meet.
pub(crate) async fn make_containers(client: &Client, path: &Path) -> Result<(), Error> {
    let mut missing = vec![path.as_str()];
    let depth = path.as_str().matches('/').count();
    let steps_max = 2 * depth + RACES_MAX;
    for step in 0.. {
        let Some(&lowest) = missing.last() else {
            break;
        };
        // Whether a lost create took effect does not matter: the next one finds the node there.
        let made =
            until_answered(client, || client.create(lowest, "", CreateMode::Container)).await;
        match made {
            Ok(_) => drop(missing.pop()),
            Err(error) if error.kind() == ErrorKind::NodeExists => drop(missing.pop()),
            Err(error) if error.kind() == ErrorKind::NoNode && step < steps_max => {
                match lowest.rsplit_once('/') {
                    Some((above, _)) if !above.is_empty() => missing.push(above),
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
