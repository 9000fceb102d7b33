//! Decides what a write will do: checks it against the tree as it will be by then.

use std::borrow::Cow;
use std::collections::BTreeSet;

use znode::path;
use znode::proto::requests::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, SetAclRequest,
    SetDataRequest,
};
use znode::proto::{AclRecord, ErrorCode, OpCode, Perms, SessionId, Version, Zxid};

use super::outstanding::{NodeState, Outstanding};
use super::txn::Change;
use crate::auth::check::{check_acl, fixup_acl};
use crate::auth::{Identity, Schemes};
use crate::quorum::QuorumConfig;
use crate::quorum::text::print;
use crate::tree::acl_cache::AclId;
use crate::tree::containers::{OwnerKind, TTL_MS_MAX};
use crate::tree::digest::Meta;
use crate::tree::node::Image;
use crate::tree::quota::{Amounts, limits_path, usage_path};
use crate::tree::{CONFIG_PATH, NewNode, Tree, is_reserved, parent};

mod multi;

pub(super) use multi::{Fault, read_multi};

/// Everything that the decision about one transaction depends on.
#[derive(Debug)]
pub(crate) struct Preparer<'a> {
    /// The tree as it is; lists that the transaction names are interned there.
    pub(crate) tree: &'a mut Tree,
    /// What the tree will be once waiting transactions are applied.
    pub(crate) outstanding: &'a mut Outstanding,
    pub(crate) schemes: &'a Schemes,
    /// Who asks.
    pub(crate) identities: &'a [Identity],
    /// The session that asks.
    pub(crate) session: SessionId,
    /// The transaction's number.
    pub(crate) zxid: Zxid,
    /// Its time.
    pub(crate) time_ms: i64,
    /// How many bytes of lists more it may name.
    pub(crate) acl_room: usize,
    /// Whether nodes may have a time to live.
    pub(crate) extended_types: bool,
    /// Whether hard limits of quotas hold.
    pub(crate) enforce_quota: bool,
}

/// How many bytes of paths go into the end of a session, or into a transaction before it. Apache's
/// servers read records of a mebibyte, and a part of a multi takes more than its path.
const CLOSE_LEN_MAX: usize = 256 * 1024;

/// The create modes, as the flags of a request number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode {
    kind: ModeKind,
    sequential: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModeKind {
    Persistent,
    Ephemeral,
    Container,
    Ttl,
}

impl Mode {
    fn of(flags: i32) -> Option<Self> {
        let (kind, sequential) = match flags {
            0 => (ModeKind::Persistent, false),
            1 => (ModeKind::Ephemeral, false),
            2 => (ModeKind::Persistent, true),
            3 => (ModeKind::Ephemeral, true),
            4 => (ModeKind::Container, false),
            5 => (ModeKind::Ttl, false),
            6 => (ModeKind::Ttl, true),
            _ => return None,
        };
        Some(Self { kind, sequential })
    }
}

impl Preparer<'_> {
    /// `create`, `create2` and `createContainer`.
    ///
    /// # Errors
    /// In this order: flags, time to live, path, list, parent, permission, path with its number,
    /// existence, ephemeral parent.
    pub(super) fn create(
        &mut self,
        op: OpCode,
        request: &CreateRequest<'_>,
    ) -> Result<Change, ErrorCode> {
        let mode = Mode::of(request.flags).ok_or(ErrorCode::BadArguments)?;
        self.check_ttl(mode, -1)?;
        let acl = request.acl.as_deref();
        // Outside a multi a container is made by its own operation alone: the flag is no order.
        let owner = match (op, mode.kind) {
            (OpCode::CreateContainer, _) => OwnerKind::Container,
            (_, ModeKind::Ephemeral) => OwnerKind::Session(self.session),
            _ => OwnerKind::Nobody,
        };
        self.create_node(op, &request.path, request.data, acl, mode, owner)
    }

    /// `createTTL`.
    ///
    /// # Errors
    /// As of [`create`](Self::create).
    pub(super) fn create_ttl(
        &mut self,
        request: &CreateTtlRequest<'_>,
    ) -> Result<Change, ErrorCode> {
        let mode = Mode::of(request.flags).ok_or(ErrorCode::BadArguments)?;
        self.check_ttl(mode, request.ttl_ms)?;
        // Any other mode with a negative time passes the check, and Apache then fails to encode it.
        if mode.kind != ModeKind::Ttl {
            return Err(ErrorCode::BadArguments);
        }
        let owner = OwnerKind::Ttl(request.ttl_ms);
        let acl = request.acl.as_deref();
        self.create_node(OpCode::CreateTtl, &request.path, request.data, acl, mode, owner)
    }

    fn check_ttl(&self, mode: Mode, ttl_ms: i64) -> Result<(), ErrorCode> {
        if mode.kind != ModeKind::Ttl {
            return if ttl_ms < 0 { Ok(()) } else { Err(ErrorCode::BadArguments) };
        }
        if !self.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        if (1..=TTL_MS_MAX).contains(&ttl_ms) { Ok(()) } else { Err(ErrorCode::BadArguments) }
    }

    fn create_node(
        &mut self,
        op: OpCode,
        asked: &str,
        data: Option<&[u8]>,
        acl: Option<&[AclRecord<'_>]>,
        mode: Mode,
        owner: OwnerKind,
    ) -> Result<Change, ErrorCode> {
        let above_path = parent_to_create(asked).ok_or(ErrorCode::BadArguments)?;
        let acl = fixup_acl(self.schemes, self.identities, acl, &mut self.acl_room)?;
        let above = self.state(above_path)?;
        self.check_acl(above.acl, Perms::CREATE)?;
        let path = match mode.sequential {
            true => Cow::Owned(format!("{asked}{:010}", above.meta.cversion)),
            false => Cow::Borrowed(asked),
        };
        path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
        if self.state(path.as_bytes()).is_ok() {
            return Err(ErrorCode::NodeExists);
        }
        if OwnerKind::of(above.owner).is_ephemeral() {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        self.check_quota(path.as_bytes(), 1, data_len(data))?;
        let parent_cversion = above.meta.cversion.wrapping_add(1);
        let acl = self.tree.acls.intern(&acl);
        let mut parent = NodeState { child_count: above.child_count + 1, ..above };
        parent.meta.cversion = parent_cversion;
        // Where the count of creations has no further to go, the tree does not follow.
        if parent_cversion > above.meta.cversion {
            parent.meta.pzxid = self.zxid;
        }
        self.record(above_path, Some(&above), Some(parent));
        let owner = owner.encode();
        let image = self.image(path.as_bytes(), data);
        let state = NodeState {
            meta: self.new_meta(owner),
            crc: self.crc(&image),
            share: 0,
            child_count: 0,
            data_len: data_len(data),
            // Until it is applied, even a container of an ephemeral mode passes for ephemeral.
            owner: if mode.kind == ModeKind::Ephemeral { self.session.0 } else { owner },
            acl,
        };
        self.record(path.as_bytes(), None, Some(state));
        Ok(Change::Create(op, NewNode { image, acl, owner, parent_cversion }))
    }

    /// Path and data; what they add to a digest is kept if digests are foretold.
    fn image(&self, path: &[u8], data: Option<&[u8]>) -> Image {
        let image = Image::new(path, data);
        if self.outstanding.digest().is_some() { image.with_crc() } else { image }
    }

    fn crc(&self, image: &Image) -> u32 {
        if self.outstanding.digest().is_some() { image.crc() } else { 0 }
    }

    fn new_meta(&self, owner: i64) -> Meta {
        let (zxid, time_ms) = (self.zxid, self.time_ms);
        Meta {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime_ms: time_ms,
            mtime_ms: time_ms,
            version: 0,
            cversion: 0,
            aversion: 0,
            owner,
        }
    }

    /// `delete`.
    ///
    /// # Errors
    /// In this order: path, parent, permission on the parent, node, version, children.
    pub(super) fn delete(&mut self, request: &DeleteRequest<'_>) -> Result<Change, ErrorCode> {
        let path = request.path.as_bytes();
        let above_path = parent_to_create(&request.path)
            .filter(|_| !is_reserved(path))
            .ok_or(ErrorCode::BadArguments)?;
        let above = self.state(above_path)?;
        self.check_acl(above.acl, Perms::DELETE)?;
        let node = self.state(path)?;
        check_version(request.version, node.meta.version)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.record_deletion((path, &node), (above_path, &above));
        Ok(Change::Delete(path.into()))
    }

    /// `deleteContainer`, which the reaper alone may ask for; nothing need be allowed.
    ///
    /// # Errors
    /// In this order: node, children, ephemeral.
    pub(super) fn delete_container(&mut self, path: &[u8]) -> Result<Change, ErrorCode> {
        let above_path = parent(path).ok_or(ErrorCode::BadArguments)?;
        let node = self.state(path)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if OwnerKind::of(node.owner).is_ephemeral() {
            return Err(ErrorCode::BadVersion);
        }
        let above = self.state(above_path)?;
        self.record_deletion((path, &node), (above_path, &above));
        Ok(Change::Delete(path.into()))
    }

    /// `setData`.
    ///
    /// # Errors
    /// In this order: path, node, permission, quota, version.
    pub(super) fn set_data(&mut self, request: &SetDataRequest<'_>) -> Result<Change, ErrorCode> {
        let path = request.path.as_bytes();
        path::validate(&request.path).map_err(|_| ErrorCode::BadArguments)?;
        let node = self.state(path)?;
        self.check_acl(node.acl, Perms::WRITE)?;
        let data_len = data_len(request.data);
        self.check_quota(path, 0, data_len - node.data_len)?;
        check_version(request.version, node.meta.version)?;
        let version = next_version(node.meta.version);
        let image = self.image(path, request.data);
        let mut written = NodeState { crc: self.crc(&image), data_len, ..node };
        written.meta.version = version;
        written.meta.mzxid = self.zxid;
        written.meta.mtime_ms = self.time_ms;
        self.record(path, Some(&node), Some(written));
        Ok(Change::SetData { image, version })
    }

    /// `reconfig`, of which everything else is found right. The node's version says nothing: its
    /// text holds one.
    ///
    /// # Errors
    /// The permission, if one is asked for.
    pub(super) fn reconfig(
        &mut self,
        config: QuorumConfig,
        asks_permission: bool,
    ) -> Result<Change, ErrorCode> {
        let node = self.state(CONFIG_PATH)?;
        if asks_permission {
            self.check_acl(node.acl, Perms::WRITE)?;
        }
        let text = print(&config);
        let image = self.image(CONFIG_PATH, Some(text.as_bytes()));
        let data_len = data_len(image.data());
        let mut written = NodeState { crc: self.crc(&image), data_len, ..node };
        written.meta.version = -1;
        written.meta.mzxid = self.zxid;
        written.meta.mtime_ms = self.time_ms;
        self.record(CONFIG_PATH, Some(&node), Some(written));
        Ok(Change::Reconfig { image, config: Box::new(config) })
    }

    /// `setACL`.
    ///
    /// # Errors
    /// In this order: path, list, node, permission, version of the list.
    pub(super) fn set_acl(&mut self, request: &SetAclRequest<'_>) -> Result<Change, ErrorCode> {
        let path = request.path.as_bytes();
        path::validate(&request.path).map_err(|_| ErrorCode::BadArguments)?;
        let acl = request.acl.as_deref();
        let acl = fixup_acl(self.schemes, self.identities, acl, &mut self.acl_room)?;
        let node = self.state(path)?;
        self.check_acl(node.acl, Perms::ADMIN)?;
        check_version(request.version, node.meta.aversion)?;
        let version = next_version(node.meta.aversion);
        let acl = self.tree.acls.intern(&acl);
        let mut written = NodeState { acl, ..node };
        written.meta.aversion = version;
        self.record(path, Some(&node), Some(written));
        Ok(Change::SetAcl { path: path.into(), acl, version })
    }

    /// `check`, which a multi alone may hold.
    ///
    /// # Errors
    /// In this order: path, node, permission, version.
    fn check(&self, request: &CheckVersionRequest<'_>) -> Result<Change, ErrorCode> {
        path::validate(&request.path).map_err(|_| ErrorCode::BadArguments)?;
        let node = self.state(request.path.as_bytes())?;
        self.check_acl(node.acl, Perms::READ)?;
        check_version(request.version, node.meta.version)?;
        let version = next_version(node.meta.version);
        Ok(Change::Check { path: request.path.as_bytes().into(), version })
    }

    /// `closeSession`: every ephemeral node that the session has, or will have by then.
    pub(super) fn close_session(&mut self) -> Change {
        let paths = self.ephemerals();
        self.record_deletions(&paths);
        Change::CloseSession(paths)
    }

    /// A transaction that deletes some of the ephemeral nodes of a session that ends; nothing if
    /// those that are left fit in its end. A record that is too long could not be read by other
    /// servers, and they could not start any more (ZOOKEEPER-4306).
    pub(super) fn shorten_close(&mut self) -> Option<Change> {
        let mut paths = self.ephemerals();
        let mut len = 0;
        let fits = paths.iter().take_while(|path| {
            len += path.len() + 4;
            len <= CLOSE_LEN_MAX
        });
        let fits = fits.count().max(1);
        if fits >= paths.len() {
            return None;
        }
        paths.truncate(fits);
        self.record_deletions(&paths);
        Some(Change::Multi(paths.into_iter().map(Change::Delete).collect()))
    }

    /// Every ephemeral node that the session has, or will have, in order.
    fn ephemerals(&self) -> Vec<Box<[u8]>> {
        let nodes = self.tree.ephemerals().of(self.session);
        let mut paths: BTreeSet<Box<[u8]>> =
            nodes.map(|id| self.tree.at(id).image.path().into()).collect();
        for (path, state) in self.outstanding.iter() {
            match state {
                None => _ = paths.remove(path),
                Some(state) if state.owner == self.session.0 => _ = paths.insert(path.into()),
                Some(_) => {}
            }
        }
        paths.into_iter().collect()
    }

    fn record_deletions(&mut self, paths: &[Box<[u8]>]) {
        for path in paths {
            let above_path = parent(path).expect("the root is not ephemeral");
            if let (Ok(node), Ok(above)) = (self.state(path), self.state(above_path)) {
                self.record_deletion((path, &node), (above_path, &above));
            }
        }
    }

    /// A node as it will be; the empty path is another name of the root.
    fn state(&self, path: &[u8]) -> Result<NodeState, ErrorCode> {
        let path = if path.is_empty() { b"/" } else { path };
        match self.outstanding.find(path) {
            Some(state) => state,
            None => {
                let foretold = self.outstanding.digest().is_some();
                self.tree.node(path).map(|node| NodeState::of(node, foretold))
            }
        }
        .ok_or(ErrorCode::NoNode)
    }

    fn check_acl(&self, acl: AclId, wanted: Perms) -> Result<(), ErrorCode> {
        check_acl(self.schemes, &self.tree.acls, acl, wanted, self.identities)
    }

    /// Whether a hard limit leaves room. Apache compares with the usage that was applied, not with
    /// what it will be once waiting transactions are, and so does this.
    fn check_quota(&self, path: &[u8], count: i64, bytes: i64) -> Result<(), ErrorCode> {
        if !self.enforce_quota {
            return Ok(());
        }
        let Some(of) = self.tree.quotas.deepest(path) else {
            return Ok(());
        };
        let amounts = |path: Vec<u8>| {
            let node = self.tree.node(&path)?;
            Some(Amounts::parse(node.image.data().unwrap_or_default()))
        };
        match (amounts(limits_path(of)), amounts(usage_path(of))) {
            (Some(limits), Some(usage)) if limits.forbid(&usage, count, bytes) => {
                Err(ErrorCode::QuotaExceeded)
            }
            _ => Ok(()),
        }
    }

    fn record(&mut self, path: &[u8], before: Option<&NodeState>, state: Option<NodeState>) {
        let path = if path.is_empty() { b"/" } else { path };
        self.outstanding.add(&mut self.tree.acls, self.zxid, path, before, state);
    }

    fn record_deletion(&mut self, (path, node): Place<'_>, (above_path, above): Place<'_>) {
        let mut left = NodeState { child_count: above.child_count - 1, ..*above };
        left.meta.pzxid = left.meta.pzxid.max(self.zxid);
        self.record(above_path, Some(above), Some(left));
        self.record(path, Some(node), None);
    }
}

/// A node as it will be, by its path.
type Place<'a> = (&'a [u8], &'a NodeState);

/// The path above one that is to be created or deleted. That path is not validated yet: here only
/// a missing slash and a NUL count.
fn parent_to_create(path: &str) -> Option<&[u8]> {
    let slash = path.rfind('/')?;
    (!path.contains('\0')).then(|| &path.as_bytes()[..slash])
}

fn data_len(data: Option<&[u8]>) -> i64 {
    data.map_or(0, |data| i64::try_from(data.len()).unwrap_or(i64::MAX))
}

fn check_version(expected: Version, current: i32) -> Result<(), ErrorCode> {
    if expected.admits(Version(current)) { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

/// The version after a write. It skips -1, which as an expectation would mean "any"
/// (ZOOKEEPER-4743).
fn next_version(current: i32) -> i32 {
    match current.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_36_versions_skip_the_number_that_means_any() {
        assert_eq!(next_version(0), 1);
        assert_eq!(next_version(-2), 0);
        assert_eq!(next_version(i32::MAX), i32::MIN);
    }

    #[test]
    fn only_a_missing_slash_and_nul_are_found_before_the_parent() {
        assert_eq!(parent_to_create("a"), None);
        assert_eq!(parent_to_create("/a\0"), None);
        assert_eq!(parent_to_create("/a"), Some(&b""[..]));
        assert_eq!(parent_to_create("/p/x/"), Some(&b"/p/x"[..]));
    }
}
