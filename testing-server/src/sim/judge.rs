//! Whether what a server has just done may be, and whether all is well in the end.

use znode::proto::Zxid;

use super::world::{Server, World};
use crate::node::Node;
use crate::peer::Role as Doing;
use crate::quorum::Sid;
use crate::zab::history::Entry;
use crate::zab::leader::Phase as Leading;

impl World {
    /// Looks at a server after it has done something.
    pub(super) fn judge(&mut self, server: usize) {
        let Some(node) = &self.servers[server].node else { return };
        let Some(peer) = node.peer.as_deref() else { return };
        let epochs = self.servers[server].disk.epochs;
        let was_promised = epochs.accepted >= epochs.current;
        assert!(was_promised, "an epoch that nobody was promised: {epochs:?}");
        if let Doing::Leading(leader) = &peer.role
            && leader.phase == Leading::Broadcast
        {
            self.oracle.establishes(leader.epoch, server);
        }
        self.oracle.agrees(&peer.quorums.committed);
        let (is_serving, last) = (peer.is_serving(), node.last_processed);
        let started = is_serving && !self.servers[server].was_serving;
        self.servers[server].was_serving = is_serving;
        let at = self.servers[server].applied;
        // Everything that a server has done by the time it serves is decided, also what came back
        // from its own log.
        let mut fresh: Vec<Entry> = if started && !self.in_memory {
            let before = self.oracle.index(last);
            let behind = self.decided_at(before.min(at));
            let log = self.servers[server].disk.behind(behind);
            log.filter(|entry| entry.zxid <= last).cloned().collect()
        } else {
            Vec::new()
        };
        let node = self.servers[server].node.as_mut();
        let Some(peer) = node.and_then(|node| node.peer.as_deref_mut()) else { return };
        let applied = std::mem::take(&mut peer.history.fresh);
        let mut index = at;
        if fresh.is_empty() {
            fresh = applied;
        } else {
            index = self.oracle.index(self.before(&fresh));
        }
        for entry in fresh {
            if self.oracle.applies(index, &entry) {
                self.is_durable(entry.zxid);
            }
            index += 1;
        }
        self.servers[server].applied = self.oracle.index(last);
    }

    fn before(&self, entries: &[Entry]) -> Zxid {
        Zxid(entries.first().map_or(0, |entry| entry.zxid.0 - 1))
    }

    /// What is in a snapshot that a learner has got from its leader, and that nobody but the leader
    /// may be able to tell: it need not be decided yet.
    pub(super) fn told_by_leader(&self, learner: usize, zxid: Zxid) -> Vec<Entry> {
        let peer = self.servers[learner].node.as_ref().and_then(|node| node.peer.as_deref());
        let Some(Doing::Learning(learner)) = peer.map(|peer| &peer.role) else { return Vec::new() };
        let leader = usize::try_from(learner.leader.0 - 1).expect("few servers");
        let known = self.servers[leader].disk.behind(self.oracle.last());
        known.filter(|entry| entry.zxid <= zxid).cloned().collect()
    }

    fn decided_at(&self, index: usize) -> Zxid {
        self.oracle.at(index)
    }

    /// What is decided survives any crash of any servers: a quorum has it on its disks.
    fn is_durable(&self, zxid: Zxid) {
        if self.in_memory {
            return;
        }
        let holds = |sid: &Sid| {
            let server = usize::try_from(sid.0 - 1).expect("few servers");
            self.servers[server].disk.holds(zxid)
        };
        for config in self.oracle.deciding(zxid) {
            let decided = config.is_quorum(|sid| holds(&sid));
            assert!(decided, "{zxid} is decided, and on too few disks of {config:?}");
        }
    }

    /// Whether one leader serves and everybody else follows it with the same data.
    pub(super) fn is_settled(&self) -> bool {
        let nodes = self.servers.iter().map(|server| server.node.as_ref());
        let Some(nodes) = nodes.collect::<Option<Vec<_>>>() else { return false };
        let last = self.oracle.last();
        let settled = |node: &&Node| {
            node.is_serving()
                && node.last_processed.max(last) == node.last_processed
                && node.peer.as_ref().is_some_and(|peer| peer.history.tail_len() == 0)
        };
        nodes.iter().all(settled) && nodes.iter().filter(|node| node.is_deciding()).count() == 1
    }

    /// What is equal on every server once everything is settled.
    pub(super) fn digests(&mut self) -> Vec<(u64, Vec<(i64, u128)>)> {
        let digest = |server: &mut Server| {
            let node = server.node.as_mut().expect("everybody is up");
            assert_eq!(node.stats.digest_mismatches, 0, "a tree is not what was told of it");
            let digest = node.tree.digest();
            let sessions = node.sessions.iter().filter(|session| session.is_opened());
            let sessions = sessions.map(|session| (session.id.0, session.timeout.as_millis()));
            (digest, sessions.collect())
        };
        self.servers.iter_mut().map(digest).collect()
    }
}
