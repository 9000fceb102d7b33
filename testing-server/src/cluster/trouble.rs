//! What goes wrong in a cluster: servers that die or stand still, a network that tears, clocks that
//! are set, sessions that end.

use std::io;
use std::time::Duration;

use znode::proto::SessionId;

use super::{TestingCluster, number};

impl TestingCluster {
    /// Kills a server: its connections break, and it holds what it has acknowledged, no more.
    /// Killing one that is down does nothing.
    ///
    /// # Cancel safety
    /// The server goes down from the first poll on.
    pub async fn kill(&self, id: u64) {
        self.server(id).kill().await;
    }

    /// Stops a server in good order. In memory that is no other thing than [`kill`](Self::kill).
    ///
    /// # Cancel safety
    /// As of [`kill`](Self::kill).
    pub async fn stop(&self, id: u64) {
        self.server(id).stop().await;
    }

    /// Starts a server again, on its port and with its data; one that runs is stopped first. It
    /// joins the others by and by: [`await_converged`](Self::await_converged) waits for that.
    ///
    /// # Errors
    /// As of [`TestingServer::restart`](crate::TestingServer::restart).
    ///
    /// # Cancel safety
    /// As of [`TestingServer::restart`](crate::TestingServer::restart).
    pub async fn restart(&self, id: u64) -> io::Result<()> {
        self.server(id).restart().await
    }

    /// Stops a server where it stands, as a signal stops a process: its connections stay, and
    /// nothing happens on them. It does not notice that time goes by.
    pub fn pause(&self, id: u64) {
        self.server(id).shared().pause(true);
    }

    /// Lets a server go on that was paused. What has arrived meanwhile it finds all at once.
    pub fn resume(&self, id: u64) {
        self.server(id).shared().pause(false);
    }

    /// Separates two groups of servers: nothing that one sends reaches the other until the network
    /// is [healed](Self::heal). Clients reach all of them.
    pub fn partition(&self, one: &[u64], other: &[u64]) {
        self.partition_one_way(one, other);
        self.partition_one_way(other, one);
    }

    /// Lets nothing through from one group of servers to another; the way back is free.
    pub fn partition_one_way(&self, from: &[u64], to: &[u64]) {
        for from in from {
            for to in to {
                self.switchboard.cut(number(*from), number(*to));
            }
        }
    }

    /// Has whatever two servers send each other take so long on its way, in both directions, until
    /// the network is [healed](Self::heal).
    pub fn slow_link(&self, one: u64, other: u64, latency: Duration) {
        self.switchboard.slow(number(one), number(other), latency);
        self.switchboard.slow(number(other), number(one), latency);
    }

    /// Sets the wall clock of a server: so many milliseconds more than it was, or less. That goes
    /// into the times of nodes and the numbers of new sessions; what is to happen when goes by
    /// another clock, which nobody sets.
    pub fn clock_skew(&self, id: u64, by_ms: i64) {
        let mut engine = self.server(id).shared().lock();
        let settings = &mut engine.node.settings;
        settings.origin_ms = settings.origin_ms.saturating_add_signed(by_ms);
    }

    /// Ends every partition, and makes every link fast. What was held up arrives now.
    pub fn heal(&self) {
        self.switchboard.heal();
    }

    /// Ends a session as the leader would if its client had fallen silent. False if the leader
    /// knows of no such session.
    ///
    /// # Cancel safety
    /// Happens at the poll at which there is a leader.
    pub async fn expire(&self, session: SessionId) -> bool {
        let leader = self.leader().await;
        let server = self.server(leader);
        server.expire(session).await
    }
}
