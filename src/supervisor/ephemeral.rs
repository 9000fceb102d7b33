//! An ephemeral node that comes back: in each new session, and after others have deleted it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::task::{Command, Spec, tell};
use super::{Shared, SupervisorEvent};
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::{Error, ErrorKind};
use crate::path::Path;
use crate::proto::{Stat, Version};
use crate::watcher::OneshotWatcher;

/// A registered ephemeral node; see [`Supervisor::ephemeral`](super::Supervisor::ephemeral).
///
/// Dropping it deletes the node in the background, and counts as letting go of the supervisor.
///
/// ```no_run
/// # fn example(supervisor: znode::Supervisor) -> Result<(), znode::Error> {
/// use znode::SupervisedEphemeral;
///
/// let here: SupervisedEphemeral = supervisor.ephemeral("/billing/host-1", "10.0.0.1:8080")?;
/// println!("{} is kept", here.path());
/// drop(here); // and now it goes
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it deletes the node"]
pub struct SupervisedEphemeral {
    shared: Arc<Shared>,
    id: u64,
    path: Path,
}

/// What is registered.
#[derive(Debug, Clone)]
pub(super) struct EphemeralSpec {
    path: Path,
    data: Arc<[u8]>,
}

/// How an attempt to make the node has ended.
enum Stand {
    /// It stands; the watch tells when it does not any more.
    Ours(Stat, OneshotWatcher),
    /// Another node stands there; the watch tells when it does not any more.
    Taken(Stat, OneshotWatcher),
}

impl SupervisedEphemeral {
    pub(super) fn register(shared: &Arc<Shared>, path: Path, data: Vec<u8>) -> Self {
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let spec = EphemeralSpec { path: path.clone(), data: data.into() };
        // A supervisor that was closed keeps nothing.
        let _ = shared.commands.send(Command::Add(id, Spec::Ephemeral(spec)));
        Self { shared: Arc::clone(shared), id, path }
    }

    /// The path of the node.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SupervisedEphemeral {
    fn drop(&mut self) {
        let _ = self.shared.commands.send(Command::Remove(self.id));
    }
}

/// Keeps the node standing for as long as the session does.
pub(super) async fn keep(client: Client, shared: Weak<Shared>, spec: EphemeralSpec) {
    let path = || spec.path.as_str().to_owned();
    loop {
        let changed = match stand(&client, &spec).await {
            Ok(Stand::Ours(stat, changed)) => {
                let czxid = stat.czxid;
                tell(&shared, |generation| SupervisorEvent::EphemeralStands {
                    path: path(),
                    czxid,
                    generation,
                });
                changed
            }
            Ok(Stand::Taken(stat, changed)) => {
                let owner = stat.ephemeral_owner;
                tell(&shared, |_| SupervisorEvent::EphemeralTaken { path: path(), owner });
                changed
            }
            // The reply was lost, not the session: look again.
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => continue,
            Err(error) if error.is_session_over() => return,
            Err(error) => {
                return tell(&shared, |_| SupervisorEvent::EphemeralRefused {
                    path: path(),
                    error,
                });
            }
        };
        if changed.await.is_err() {
            return;
        }
    }
}

/// Creates the node unless it stands, and watches what stands there.
async fn stand(client: &Client, spec: &EphemeralSpec) -> Result<Stand, Error> {
    let path = spec.path.as_str();
    loop {
        match client.create(path, &spec.data, CreateMode::Ephemeral).await {
            Err(error) if error.kind() != ErrorKind::NodeExists => return Err(error),
            _ => {}
        }
        // Whoever created it, it is the owner that counts: a create whose reply was lost is ours.
        match client.exists_watched(path).await? {
            (Some(stat), changed) if stat.ephemeral_owner == client.session_id() => {
                return Ok(Stand::Ours(stat, changed));
            }
            (Some(stat), changed) => return Ok(Stand::Taken(stat, changed)),
            // Gone in between.
            (None, _) => {}
        }
    }
}

/// Deletes the node if it is this session's.
pub(super) async fn withdraw(client: Client, spec: EphemeralSpec) {
    let path = spec.path.as_str();
    loop {
        let deleted = match client.exists(path).await {
            Ok(Some(stat)) if stat.ephemeral_owner == client.session_id() => {
                client.delete(path, Version::ANY).await
            }
            other => other.map(drop),
        };
        match deleted {
            Err(error) if error.kind() == ErrorKind::ConnectionLoss => {}
            // Done, gone already, or gone with its session.
            _ => return,
        }
    }
}
