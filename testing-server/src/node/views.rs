//! What the server shows of itself to the test that runs it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use znode::proto::SessionId;

use super::Node;
use crate::tree::containers::OwnerKind;
use crate::tree::watches::Modes;
use crate::views::{NodeView, SessionView, WatchView};

impl Node {
    /// Every session, in the order of the ids.
    pub(crate) fn session_views(&self) -> Vec<SessionView> {
        self.sessions
            .iter()
            .map(|session| SessionView {
                id: session.id,
                timeout: session.timeout,
                connected: session.conn.is_some(),
                closing: session.closing,
            })
            .collect()
    }

    /// The ephemeral nodes of every session that has some, sorted.
    pub(crate) fn ephemeral_views(&self) -> BTreeMap<SessionId, Vec<String>> {
        let ephemerals = self.tree.ephemerals();
        let paths = |session| {
            let nodes = ephemerals.of(session);
            let mut paths: Vec<String> =
                nodes.map(|id| text(self.tree.at(id).image.path())).collect();
            paths.sort_unstable();
            (session, paths)
        };
        ephemerals.sessions().map(paths).collect()
    }

    /// Every watch, sorted by path and session.
    pub(crate) fn watch_views(&self) -> Vec<WatchView> {
        let view = |(path, slot, modes): (&[u8], u32, Modes)| {
            let connection = self.connections.at(slot)?;
            let session = self.sessions.get(connection.phase.session()?)?.id;
            Some(WatchView {
                path: text(path),
                session,
                data: modes.intersects(Modes::DATA),
                child: modes.intersects(Modes::CHILD),
                persistent: modes.intersects(Modes::PERSISTENT),
                recursive: modes.intersects(Modes::RECURSIVE),
            })
        };
        let mut views: Vec<WatchView> = self.watches.iter().filter_map(view).collect();
        views.sort_unstable_by(|a, b| (&a.path, a.session).cmp(&(&b.path, b.session)));
        views
    }

    /// One node.
    pub(crate) fn node_view(&self, path: &str) -> Option<NodeView> {
        let node = self.tree.node(path.as_bytes())?;
        let mut children: Vec<String> =
            node.children().iter().map(|child| text(self.tree.at(*child).name())).collect();
        children.sort_unstable();
        let acl = self.tree.acls.list(node.acl).iter();
        let kind = OwnerKind::of(node.owner);
        Some(NodeView {
            path: text(node.image.path()),
            data: node.image.data().map(Bytes::copy_from_slice),
            stat: node.stat(),
            acl: acl.map(|acl| (acl.perms, acl.scheme.to_string(), acl.id.to_string())).collect(),
            children,
            is_container: kind == OwnerKind::Container,
            ttl: match kind {
                OwnerKind::Ttl(ttl_ms) => u64::try_from(ttl_ms).ok().map(Duration::from_millis),
                _ => None,
            },
        })
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
