//! Does what was decided: changes the tree, tells the watchers, then answers.

use znode::proto::multi::MultiResult;
use znode::proto::{Encode, ErrorCode, EventType, JutePut, MultiHeader, OpCode, Perms, Zxid};

use super::txn::{Change, Txn};
use crate::auth::Schemes;
use crate::auth::check::check_acl;
use crate::node::connection::Connections;
use crate::node::outbox::Outbox;
use crate::tree::Tree;
use crate::tree::acl_cache::{AclCache, AclId};
use crate::tree::node::{Image, NodeId};
use crate::tree::watches::Watches;

/// Where events go.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    /// Who watches what.
    pub(crate) watches: &'a mut Watches,
    /// Who the watchers are.
    pub(crate) connections: &'a Connections,
    pub(crate) schemes: &'a Schemes,
    /// Filled and emptied for each event.
    pub(crate) told: &'a mut Vec<u32>,
    pub(crate) out: &'a mut Outbox,
}

impl Delivery<'_> {
    /// Tells whoever watches and may read. The one-shot watch of somebody who may not is used up
    /// all the same.
    pub(super) fn tell(
        &mut self,
        acls: &AclCache,
        event: EventType,
        path: &[u8],
        acl: AclId,
        zxid: Zxid,
    ) {
        self.watches.trigger(path, event, self.told);
        if self.told.is_empty() {
            return;
        }
        let range = self.out.event(event, path, zxid);
        for slot in self.told.drain(..) {
            let Some(connection) = self.connections.at(slot) else {
                continue;
            };
            let identities = &connection.identities;
            if check_acl(self.schemes, acls, acl, Perms::READ, identities).is_ok() {
                self.out.send(connection.id, range.clone());
            }
        }
    }
}

/// What came of a change, as far as its reply tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// A node was created; the operation tells the shape of the reply.
    Created(OpCode, NodeId),
    /// The data or the list of a node was written.
    Written(NodeId),
    /// The configuration was written, which the reply tells.
    Reconfigured(NodeId),
    /// There is nothing to tell.
    Done(OpCode),
    /// A session has ended.
    SessionClosed,
    /// Nothing was done.
    Failed(ErrorCode),
}

impl Outcome {
    /// The same, of a transaction of this type: what a reconfiguration writes its reply tells.
    pub(crate) fn of_kind(self, kind: i32) -> Self {
        match self {
            Self::Written(id) if kind == OpCode::Reconfig.code() => Self::Reconfigured(id),
            other => other,
        }
    }

    /// The error that the header of a reply tells.
    pub(crate) fn error(self) -> ErrorCode {
        match self {
            Self::Failed(error) => error,
            _ => ErrorCode::Ok,
        }
    }
}

/// Applies changes to the tree.
#[derive(Debug)]
pub(crate) struct Applier<'a> {
    pub(crate) tree: &'a mut Tree,
    pub(crate) delivery: Delivery<'a>,
    /// The transaction being applied.
    pub(crate) zxid: Zxid,
    /// Its time.
    pub(crate) time_ms: i64,
}

impl Applier<'_> {
    /// Applies one change that is not made of others.
    pub(crate) fn apply(&mut self, change: Change) -> Outcome {
        match change {
            Change::Create(op, new) => {
                let id = self.tree.create(new, self.zxid, self.time_ms);
                self.tell_created(id);
                Outcome::Created(op, id)
            }
            Change::Delete(path) => {
                self.delete(&path);
                Outcome::Done(OpCode::Delete)
            }
            Change::SetData { image, version } => {
                let id = self.set_data(image, version);
                Outcome::Written(id.expect("a write is checked against its node"))
            }
            Change::Reconfig { image, .. } => {
                let id = self.set_data(image, -1);
                Outcome::Reconfigured(id.expect("the configuration has a node"))
            }
            Change::SetAcl { path, acl, version } => Outcome::Written(
                self.tree
                    .set_acl(&path, acl, version)
                    .expect("a write is checked against its node"),
            ),
            Change::CloseSession(paths) => {
                self.close_session(&paths);
                Outcome::SessionClosed
            }
            _ => Outcome::Done(OpCode::Check),
        }
    }

    /// Writes the data of a node, if there is one.
    pub(super) fn set_data(&mut self, image: Image, version: i32) -> Option<NodeId> {
        let id = self.tree.set_data(image, version, self.zxid, self.time_ms)?;
        let node = self.tree.at(id);
        let (path, acl) = (node.image.path(), node.acl);
        let acls = &self.tree.acls;
        self.delivery.tell(acls, EventType::NodeDataChanged, path, acl, self.zxid);
        Some(id)
    }

    /// Applies the changes of a multi and encodes their results.
    pub(crate) fn apply_multi(&mut self, changes: Vec<Change>, results: &mut Vec<u8>) {
        for change in changes {
            let outcome = self.apply(change);
            self.put_result(outcome, results);
        }
        results.put(&MultiHeader::DONE);
    }

    /// Deletes what a session leaves behind.
    pub(crate) fn close_session(&mut self, paths: &[Box<[u8]>]) {
        paths.iter().for_each(|path| self.delete(path));
    }

    pub(super) fn tell_created(&mut self, id: NodeId) {
        let node = self.tree.at(id);
        let acls = &self.tree.acls;
        let path = node.image.path();
        self.delivery.tell(acls, EventType::NodeCreated, path, node.acl, self.zxid);
        let above = self.tree.at(node.parent);
        let path = above.image.path();
        self.delivery.tell(acls, EventType::NodeChildrenChanged, path, above.acl, self.zxid);
    }

    pub(super) fn delete(&mut self, path: &[u8]) {
        let Some(node) = self.tree.delete(path, self.zxid) else {
            return;
        };
        let acls = &self.tree.acls;
        self.delivery.tell(acls, EventType::NodeDeleted, path, node.acl, self.zxid);
        let above = self.tree.at(node.parent);
        let path = above.image.path();
        self.delivery.tell(acls, EventType::NodeChildrenChanged, path, above.acl, self.zxid);
        self.tree.acls.release(node.acl);
    }

    pub(super) fn put_result(&self, outcome: Outcome, results: &mut Vec<u8>) {
        let (op, id) = match outcome {
            Outcome::Created(OpCode::Create, id) => (OpCode::Create, Some(id)),
            Outcome::Created(_, id) => (OpCode::Create2, Some(id)),
            Outcome::Written(id) | Outcome::Reconfigured(id) => (OpCode::SetData, Some(id)),
            Outcome::Done(op) => (op, None),
            Outcome::SessionClosed => (OpCode::CloseSession, None),
            Outcome::Failed(error) => return MultiResult::Error(error).encode(results),
        };
        results.put(&MultiHeader { op: op.code(), done: false, error: 0 });
        let Some(id) = id else { return };
        let node = self.tree.at(id);
        if matches!(outcome, Outcome::Created(..)) {
            results.put_buffer(Some(node.image.path()));
        }
        if op != OpCode::Create {
            results.put(&node.stat());
        }
    }
}

/// The results of a multi that was refused.
pub(crate) fn put_failed(errors: &[ErrorCode], results: &mut Vec<u8>) {
    for error in errors {
        MultiResult::Error(*error).encode(results);
    }
    results.put(&MultiHeader::DONE);
}

/// Appends the body of the reply to a single write.
pub(crate) fn put_body(tree: &Tree, outcome: Outcome, body: &mut Vec<u8>) {
    match outcome {
        Outcome::Created(op, id) => {
            let node = tree.at(id);
            body.put_buffer(Some(node.image.path()));
            if op != OpCode::Create {
                body.put(&node.stat());
            }
        }
        Outcome::Written(id) => body.put(&tree.at(id).stat()),
        Outcome::Reconfigured(id) => {
            let node = tree.at(id);
            body.put_buffer(node.image.data());
            body.put(&node.stat());
        }
        Outcome::Done(_) | Outcome::SessionClosed | Outcome::Failed(_) => {}
    }
}

/// The error that a transaction answers with in its header.
pub(crate) fn header_error(txn: &Txn) -> ErrorCode {
    match txn.change {
        Change::Error(error) => error,
        _ => ErrorCode::Ok,
    }
}
