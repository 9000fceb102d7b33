//! Servers that join a cluster, leave it, or change what they are in it.

use std::collections::BTreeMap;
use std::io;

use znode::proto::requests::ReconfigRequest;
use znode::proto::{ErrorCode, Zxid};

use super::{TestingCluster, number};
use crate::io::doors::Doors;
use crate::peer::QuorumPeer;
use crate::quorum::member::Role;
use crate::quorum::{QuorumConfig, text};
use crate::server::TestingServer;
use crate::spec::InstanceSpec;

impl TestingCluster {
    /// Starts another server, as [`ClusterSpec::each`](super::ClusterSpec::each) describes it, and
    /// has it join: voting, or only observing. Returns its number, the smallest that was never
    /// given. When this returns, every server that runs knows of it.
    ///
    /// It is what an operator does: the server first follows without a vote, until it has what the
    /// others have, and then the leader proposes the new configuration as a transaction. A client
    /// that is the superuser may do the same with [`Client::reconfig`](znode::Client::reconfig).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use znode_testing::{Role, TestingCluster};
    ///
    /// let mut cluster = TestingCluster::start(2).await?;
    /// let third = cluster.join(Role::Participant).await?;
    /// assert_eq!((third, cluster.voters()), (3, vec![1, 2, 3]));
    ///
    /// // Now one of them may fail.
    /// let leader = cluster.leader().await;
    /// cluster.kill(leader).await;
    /// assert_ne!(cluster.leader().await, leader);
    /// cluster.restart(leader).await?;
    ///
    /// // The leader itself may leave: another one takes its place.
    /// let leader = cluster.leader().await;
    /// cluster.remove(leader).await?;
    /// assert_ne!(cluster.leader().await, leader);
    /// cluster.stop(leader).await;
    /// assert_eq!(cluster.voters().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The operating system refuses a socket; there are 254 servers already, of which session ids
    /// could not tell more; its clients may send longer frames than the others pass on; or the
    /// [specification](super::ClusterSpec::reconfig_enabled) says that nothing is to change.
    ///
    /// # Cancel safety
    /// The server may be left running, as a member or not.
    pub async fn join(&mut self, role: Role) -> io::Result<u64> {
        self.join_with(role, self.spec.each.clone()).await
    }

    /// As [`join`](Self::join), with a server that this specification describes. Its port counts
    /// for nothing, and its tick is that of all.
    ///
    /// # Errors
    /// As of [`join`](Self::join).
    ///
    /// # Cancel safety
    /// As of [`join`](Self::join).
    pub async fn join_with(&mut self, role: Role, spec: InstanceSpec) -> io::Result<u64> {
        let id = self.servers.keys().next_back().map_or(1, |last| last + 1);
        if id > 254 {
            let why = format!("server {id}: must be at most 254");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let sid = number(id);
        self.spec.others.insert(id, spec);
        let spec = self.spec.instance(id);
        let opened = Doors::of(&spec)?.open()?;
        let mut told = self.config();
        let member = super::member(id, role, &opened.0);
        // What it is started with is older than whatever the others have agreed on.
        told.members.insert(sid, member.clone());
        told.version = Zxid::ZERO;
        self.add(id, opened, told, &spec)?;
        let joins = QuorumConfig::joining(sid, &member);
        self.reconfigure(&joins, |config| {
            config.members.get(&sid).is_some_and(|member| member.role == role)
        })
        .await?;
        Ok(id)
    }

    /// Has a server leave. When this returns, every server that runs knows of it. It goes on
    /// running, and follows without a vote, as ZooKeeper's servers do: [`stop`](Self::stop) it. One
    /// that is down may leave, too.
    ///
    /// If it leads, the voter that has logged the most leads in its place, without an election.
    ///
    /// # Errors
    /// Nobody would be left to vote; or the [specification](super::ClusterSpec::reconfig_enabled)
    /// says that nothing is to change.
    ///
    /// # Cancel safety
    /// It may leave all the same.
    pub async fn remove(&self, id: u64) -> io::Result<()> {
        let sid = number(id);
        self.reconfigure(&QuorumConfig::leaving(sid), |config| !config.members.contains_key(&sid))
            .await
    }

    /// Has a member vote, or vote no longer. When this returns, every server that runs knows of it.
    ///
    /// # Errors
    /// The server is no member; nobody would be left to vote; or the
    /// [specification](super::ClusterSpec::reconfig_enabled) says that nothing is to change.
    ///
    /// # Cancel safety
    /// It may change all the same.
    pub async fn change_role(&self, id: u64, role: Role) -> io::Result<()> {
        let sid = number(id);
        let Some(member) = self.config().members.remove(&sid) else {
            let why = format!("server {id} is no member");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        };
        let changed = QuorumConfig::joining(sid, &member.with_role(role));
        self.reconfigure(&changed, |config| {
            config.members.get(&sid).is_some_and(|member| member.role == role)
        })
        .await
    }

    /// The numbers of the members that vote, as the newest configuration has them that any server
    /// knows to be agreed on.
    pub fn voters(&self) -> Vec<u64> {
        self.config().voters().map(|sid| sid.0.unsigned_abs()).collect()
    }

    /// The numbers of the members that only observe, likewise.
    pub fn observers(&self) -> Vec<u64> {
        let config = self.config();
        let members = config.members.iter().filter(|(_, member)| !member.votes());
        members.map(|(sid, _)| sid.0.unsigned_abs()).collect()
    }

    /// What a server knows of who belongs together, as it tells in `/zookeeper/config`.
    ///
    /// # Panics
    /// If there is none with this number.
    pub fn configuration(&self, id: u64) -> String {
        text::print(&agreed(self.server(id)))
    }

    /// The newest configuration that any server knows to be agreed on.
    fn config(&self) -> QuorumConfig {
        let configs = self.servers.values().map(agreed);
        configs.max_by_key(|config| config.version).unwrap_or_else(nobody)
    }

    /// Has the leader propose a change until the newest configuration is as it should be, and waits
    /// for everybody to know of it.
    async fn reconfigure(
        &self,
        request: &ReconfigRequest<'_>,
        is_done: impl Fn(&QuorumConfig) -> bool,
    ) -> io::Result<()> {
        while !is_done(&self.config()) {
            let leader = self.leader().await;
            let asked = self.server(leader).shared().reconfigure(request);
            match asked {
                // Another server leads by now; another change is under way; or who is to vote has
                // not caught up yet.
                Ok(()) | Err(ErrorCode::ReconfigInProgress | ErrorCode::NewConfigNoQuorum) => {}
                Err(error) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, error.to_string()));
                }
            }
            // To ask is to move, so it is waited for what comes behind; a leader is never long
            // without a sign of life.
            let moved = self.moved();
            if !is_done(&self.config()) {
                moved.await;
            }
        }
        self.until(|| {
            let running = self
                .servers
                .values()
                .filter(|server| server.is_running() && !server.shared().lock().is_paused());
            running.map(agreed).all(|config| is_done(&config))
        })
        .await;
        Ok(())
    }
}

/// What a server knows to be agreed on.
fn agreed(server: &TestingServer) -> QuorumConfig {
    let engine = server.shared().lock();
    let peer: Option<&QuorumPeer> = engine.node.peer.as_deref();
    peer.map_or_else(nobody, |peer| peer.quorums.committed.clone())
}

fn nobody() -> QuorumConfig {
    QuorumConfig::majority(BTreeMap::new())
}
