//! A transaction: what a write was decided to do, before it is done.

use std::time::Duration;

use znode::proto::{ErrorCode, OpCode, SessionId, Zxid};

use crate::quorum::QuorumConfig;
use crate::tree::NewNode;
use crate::tree::acl_cache::{AclCache, AclId};
use crate::tree::node::Image;

/// One transaction.
#[derive(Debug)]
pub(crate) struct Txn {
    /// Its place in the order of all writes.
    pub(crate) zxid: Zxid,
    /// The wall clock when it was prepared, in milliseconds since 1970.
    pub(crate) time_ms: i64,
    /// The session that asked for it.
    pub(crate) session: SessionId,
    /// What it does.
    pub(crate) change: Change,
    /// The digest of the tree once it is applied, if it is foretold.
    pub(crate) digest: Option<u64>,
}

/// What a transaction does. A reference to an access control list passes to the tree when the
/// change is applied.
#[derive(Debug)]
pub(crate) enum Change {
    /// Creates a node; the operation tells the shape of the reply.
    Create(OpCode, NewNode),
    /// Deletes a node.
    Delete(Box<[u8]>),
    /// Writes the data of the node that the image names.
    SetData {
        /// Path and data.
        image: Image,
        /// The version from then on.
        version: i32,
    },
    /// Makes another configuration of the ensemble, and writes it where clients read it.
    Reconfig {
        /// Path and text.
        image: Image,
        /// The configuration.
        config: Box<QuorumConfig>,
    },
    /// Writes an access control list.
    SetAcl {
        /// The node.
        path: Box<[u8]>,
        /// The list.
        acl: AclId,
        /// Its version from then on.
        version: i32,
    },
    /// Compared a version, which was found right.
    Check {
        /// The node.
        path: Box<[u8]>,
        /// Its version from then on, had it been written.
        version: i32,
    },
    /// Does several things at once.
    Multi(Vec<Change>),
    /// Does none of several things; the results say why.
    FailedMulti(Vec<ErrorCode>),
    /// Begins a session with this timeout.
    CreateSession(Duration),
    /// Ends a session and deletes its ephemeral nodes.
    CloseSession(Vec<Box<[u8]>>),
    /// Does nothing: the write was refused, but has taken its zxid.
    Error(ErrorCode),
}

impl Change {
    /// Gives back what the change refers to, if it will not be applied.
    pub(crate) fn discard(self, acls: &mut AclCache) {
        match self {
            Self::Create(_, NewNode { acl, .. }) | Self::SetAcl { acl, .. } => acls.release(acl),
            Self::Multi(changes) => {
                changes.into_iter().for_each(|change| change.discard(acls));
            }
            _ => {}
        }
    }
}
