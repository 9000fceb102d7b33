//! How a server comes back from its files: a snapshot, then every transaction behind it.

use std::time::Duration;

use znode::Moment;
use znode::proto::{SessionId, Zxid};

use super::Node;
use super::settings::Settings;
use crate::log::record::{Body, Logged};
use crate::log::snapshot::Snapshot;
use crate::session::Standing;
use crate::tree::NewNode;
use crate::tree::acl_cache::AclId;
use crate::tree::digest::DIGEST_VERSION;
use crate::tree::node::Image;
use crate::tree::restore::StoredNode;

impl Node {
    /// A server with the content of a snapshot that is named after `zxid`.
    ///
    /// Sessions have their full timeout from the next
    /// [`Restart`](super::input::Input::Restart) on.
    ///
    /// # Errors
    /// A node has no parent, or an access control list that is not in the file.
    pub(crate) fn from_snapshot(
        settings: Settings,
        snapshot: &Snapshot<'_>,
        zxid: Zxid,
    ) -> Result<Self, String> {
        let mut node = Self::new(settings);
        for (session, timeout_ms) in &snapshot.sessions {
            node.session_was_opened(*session, *timeout_ms);
        }
        for (path, record) in &snapshot.nodes {
            let told = || String::from_utf8_lossy(path).into_owned();
            let acl = match record.acl {
                -1 => {
                    node.tree.acls.retain(AclId::OPEN);
                    AclId::OPEN
                }
                number => match snapshot.acls.get(&number) {
                    Some(list) => node.tree.acls.intern(list),
                    None => return Err(format!("{}: no list has number {number}", told())),
                },
            };
            let path: &[u8] = if path.is_empty() { b"/" } else { path };
            let stat = &record.stat;
            let loaded = node.tree.load(StoredNode {
                image: node.image(path, record.data),
                acl,
                owner: stat.owner,
                zxids: (stat.czxid, stat.mzxid, stat.pzxid),
                times_ms: (stat.ctime_ms, stat.mtime_ms),
                versions: (stat.version, stat.cversion, stat.aversion),
            });
            if !loaded {
                return Err(format!("{}: the node above it is missing", told()));
            }
        }
        node.tree.settle_quotas();
        if node.settings.rules.digest {
            node.tree.keep_digest();
        }
        node.passed(zxid);
        node.loaded_digest(snapshot.digest, zxid);
        Ok(node)
    }

    /// Does again what a log says. What a snapshot holds of it already is not done twice.
    pub(crate) fn replay(&mut self, logged: &Logged<'_>) {
        let header = &logged.header;
        match &logged.body {
            Body::CreateSession(timeout_ms) => {
                self.session_was_opened(header.session, *timeout_ms);
            }
            Body::CloseSession(paths) => {
                self.sessions.remove(header.session);
                paths.iter().for_each(|path| self.tree.delete_again(path, header.zxid));
                let left = self.tree.ephemerals().of(header.session);
                let left: Vec<Box<[u8]>> =
                    left.map(|id| self.tree.at(id).image.path().into()).collect();
                left.iter().for_each(|path| self.tree.delete_again(path, header.zxid));
            }
            body => self.replay_change(body, header.zxid, header.time_ms),
        }
        self.passed(header.zxid);
        let told = logged.digest.filter(|told| told.version == DIGEST_VERSION);
        self.digest_replayed(header.zxid, told.map(|told| told.digest.cast_unsigned()));
    }

    fn replay_change(&mut self, body: &Body<'_>, zxid: Zxid, time_ms: i64) {
        match body {
            Body::Create { path, data, acl, owner, parent_cversion, plain } => {
                let new = NewNode {
                    image: self.image(path, *data),
                    acl: self.tree.acls.intern(acl),
                    owner: *owner,
                    parent_cversion: *parent_cversion,
                };
                self.tree.create_again(new, *plain, zxid, time_ms);
            }
            Body::Delete(path) => self.tree.delete_again(path, zxid),
            Body::SetData(txn) => {
                let image = self.image(txn.path.0, txn.data);
                // A node that is gone was deleted by a later transaction.
                self.tree.set_data(image, txn.version, zxid, time_ms);
            }
            Body::SetAcl(txn) => {
                let acl = self.tree.acls.intern(txn.acl.as_deref().unwrap_or_default());
                if self.tree.set_acl(txn.path.0, acl, txn.version).is_none() {
                    self.tree.acls.release(acl);
                }
            }
            Body::Multi(bodies) => {
                bodies.iter().for_each(|body| self.replay_change(body, zxid, time_ms));
            }
            Body::CreateSession(_) | Body::CloseSession(_) => {}
            Body::Check | Body::FailedMulti(_) | Body::Error(_) => {}
        }
    }

    fn image(&self, path: &[u8], data: Option<&[u8]>) -> Image {
        let image = Image::new(path, data);
        if self.outstanding.digest().is_some() { image.with_crc() } else { image }
    }

    pub(crate) fn session_was_opened(&mut self, session: SessionId, timeout_ms: i32) {
        self.session_ids.skip(session);
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        let slot = match self.sessions.find(session) {
            Some(slot) => slot,
            None => self.sessions.track(Moment::START, session, timeout, None),
        };
        if let Some(session) = self.sessions.get_mut(slot) {
            session.timeout = timeout;
            session.standing = Standing::Opened;
        }
    }

    /// Notes how far the server has come; never backwards.
    fn passed(&mut self, zxid: Zxid) {
        self.last_processed = self.last_processed.max(zxid);
        self.last_prepared = self.last_processed;
        if self.outstanding.digest().is_some() {
            self.outstanding.foretell(self.tree.digest());
        }
    }
}
