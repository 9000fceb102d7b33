//! Which ephemeral nodes each session owns.

use std::collections::{BTreeMap, BTreeSet};

use znode::proto::SessionId;

use super::node::NodeId;

/// The ephemeral nodes by the session that owns them.
#[derive(Debug, Default)]
pub(crate) struct Ephemerals {
    /// No session has an empty set.
    by_session: BTreeMap<SessionId, BTreeSet<NodeId>>,
}

impl Ephemerals {
    /// Notes that `session` owns `node`.
    pub(super) fn insert(&mut self, session: SessionId, node: NodeId) {
        self.by_session.entry(session).or_default().insert(node);
    }

    /// Forgets that `session` owns `node`.
    pub(super) fn remove(&mut self, session: SessionId, node: NodeId) {
        if let Some(nodes) = self.by_session.get_mut(&session) {
            nodes.remove(&node);
            if nodes.is_empty() {
                self.by_session.remove(&session);
            }
        }
    }

    /// The nodes of `session`, in the order of their numbers.
    pub(crate) fn of(&self, session: SessionId) -> impl Iterator<Item = NodeId> + '_ {
        self.by_session.get(&session).into_iter().flatten().copied()
    }

    /// The sessions that own nodes, in order.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.by_session.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_without_nodes_is_forgotten() {
        let mut ephemerals = Ephemerals::default();
        ephemerals.insert(SessionId(1), NodeId(7));
        assert_eq!(ephemerals.of(SessionId(1)).collect::<Vec<_>>(), [NodeId(7)]);
        ephemerals.remove(SessionId(1), NodeId(7));
        ephemerals.remove(SessionId(2), NodeId(7));
        assert_eq!(ephemerals.sessions().count(), 0);
    }
}
