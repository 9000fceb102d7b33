//! Lists of servers that change by themselves: a name, a file, the ensemble's configuration.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::client::Client;
use crate::connect_string::{ConnectString, HostPort};
use crate::error::Error;
use crate::hosts::client_addresses;
use crate::io::probe;

/// How long to wait after the configuration could not be read.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Keeps a client's list of servers up to date until it is dropped, or the session is over. As
/// long as it lives it counts as a handle to the session.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// let follower = client.follow_config();
/// // Servers come and go, and the client knows of it.
/// drop(follower); // the list stays as it is
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a follower stops it"]
pub struct Follower {
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Replaces the list of servers. Enough clients move to new servers that the load is even
    /// again, and no more; one that moves finishes its requests first, and is
    /// [`Suspect`](crate::State::Suspect) for a moment.
    ///
    /// ```no_run
    /// # fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.update_hosts("zk1:2181,zk2:2181,zk4:2181")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidConnectString`; nothing has changed. A chroot in it is ignored.
    pub fn update_hosts(&self, hosts: &str) -> Result<(), Error> {
        let list: ConnectString = hosts.parse().map_err(Error::invalid_connect_string)?;
        self.replace_hosts(list.hosts().to_vec());
        Ok(())
    }

    fn replace_hosts(&self, hosts: Vec<HostPort>) {
        self.shared().submissions.update_hosts(hosts);
    }

    /// Follows the addresses of names, as of a headless service: resolves them every `period`, and
    /// replaces the list of servers when the addresses have changed. An answer that is empty, or no
    /// answer, changes nothing.
    ///
    /// Every attempt to connect resolves its name anew in any case; what this adds is that each
    /// address counts as a server of its own, and that load is spread when some come or go.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use std::time::Duration;
    ///
    /// let _follower = client.follow_dns("zookeeper-headless:2181", Duration::from_secs(30))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidConnectString`. A chroot in it is ignored.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn follow_dns(&self, names: &str, period: Duration) -> Result<Follower, Error> {
        let names: ConnectString = names.parse().map_err(Error::invalid_connect_string)?;
        let client = self.clone();
        Ok(follow(async move {
            let mut known = Vec::new();
            while !client.state().is_terminal() {
                let addresses = resolve(names.hosts()).await;
                if !addresses.is_empty() && addresses != known {
                    client.replace_hosts(addresses.clone());
                    known = addresses;
                }
                tokio::time::sleep(period).await;
            }
        }))
    }

    /// Follows a file that holds a connect string: reads it every `period`, and replaces the list
    /// of servers when it has changed. A file that is missing or holds no connect string changes
    /// nothing; a chroot in it is ignored.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use std::time::Duration;
    ///
    /// let _follower = client.follow_file("/etc/zookeeper/hosts", Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn follow_file(&self, path: impl Into<PathBuf>, period: Duration) -> Follower {
        let (client, path) = (self.clone(), path.into());
        follow(async move {
            let mut known = Vec::new();
            while !client.state().is_terminal() {
                match read(path.clone()).await {
                    Ok(hosts) if hosts != known => {
                        client.replace_hosts(hosts.clone());
                        known = hosts;
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(path = %path.display(), %error, "no host list"),
                }
                tokio::time::sleep(period).await;
            }
        })
    }

    /// Follows the ensemble's own configuration, `/zookeeper/config`: whenever it changes, the list
    /// of servers becomes the client addresses that it names.
    ///
    /// A list of which no server can be reached from here never replaces the present one: members
    /// often know each other by addresses that mean nothing outside (CURATOR-384, -392, -638).
    /// A client that was connected to a `tls://` server takes secure addresses only.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// let _follower = client.follow_config();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn follow_config(&self) -> Follower {
        let client = self.clone();
        follow(async move {
            loop {
                match client.get_config_watched().await {
                    Ok((config, _, changed)) => {
                        let config = String::from_utf8_lossy(&config);
                        adopt(&client, client_addresses(&config, client.shared().scheme())).await;
                        if changed.await.is_err() {
                            return;
                        }
                    }
                    Err(error) if error.is_session_over() => return,
                    Err(error) => {
                        tracing::warn!(%error, "cannot read the ensemble's configuration");
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
            }
        })
    }
}

fn follow(work: impl Future<Output = ()> + Send + 'static) -> Follower {
    Follower { task: tokio::spawn(work) }
}

/// Takes a list over if any of its servers can be reached.
async fn adopt(client: &Client, hosts: Vec<HostPort>) {
    for host in &hosts {
        if probe::probe(client.shared().connect(host)).await.is_reachable() {
            return client.replace_hosts(hosts);
        }
    }
    if !hosts.is_empty() {
        tracing::warn!(?hosts, "the ensemble's configuration names no server in reach");
    }
}

/// All addresses of all names, in an order of their own, so that lists can be compared.
async fn resolve(names: &[HostPort]) -> Vec<HostPort> {
    let mut addresses: Vec<HostPort> = Vec::new();
    for name in names {
        match tokio::net::lookup_host((name.host(), name.port())).await {
            Ok(found) => addresses.extend(found.map(|address| name.at(address))),
            Err(error) => tracing::warn!(%name, %error, "cannot resolve"),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

async fn read(path: PathBuf) -> io::Result<Vec<HostPort>> {
    let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await??;
    let list: ConnectString = text.trim().parse().map_err(io::Error::other)?;
    Ok(list.hosts().to_vec())
}
