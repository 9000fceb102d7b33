//! Decides what becomes of a reconfiguration.

use znode::Moment;
use znode::proto::requests::ReconfigRequest;
use znode::proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

use super::txn::{Change, Txn};
use crate::auth::Identity;
use crate::node::Node;
use crate::node::outbox::Outbox;
use crate::quorum::QuorumConfig;

impl Node {
    /// `reconfig`.
    ///
    /// # Errors
    /// In this order: switched off, no ensemble, another one under way, the version of the
    /// configuration, what is asked for, how many would vote, how many of those follow, permission.
    pub(super) fn prepare_reconfig(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        identities: &[Identity],
        request: &ReconfigRequest<'_>,
    ) -> Result<Change, ErrorCode> {
        let config = self.next_config(zxid, request)?;
        self.preparer(session, zxid, identities).reconfig(config, true)
    }

    /// Proposes a reconfiguration that no client asks for, and nobody need be allowed to: a test
    /// wants it. Only a leader can.
    ///
    /// # Errors
    /// As of a client's, but for the permission.
    pub(crate) fn reconfigure(
        &mut self,
        now: Moment,
        request: &ReconfigRequest<'_>,
        out: &mut Outbox,
    ) -> Result<Zxid, ErrorCode> {
        self.now = now;
        let zxid = self.next_zxid();
        let decided = self
            .next_config(zxid, request)
            .and_then(|config| self.preparer(SessionId::NONE, zxid, &[]).reconfig(config, false));
        let change = decided.inspect_err(|_| self.take_back_zxid())?;
        let (time_ms, session) = (self.wall_ms(now), SessionId::NONE);
        let txn = Txn { zxid, time_ms, session, change, digest: None };
        self.append(None, OpCode::Reconfig, Xid(0), txn, out);
        Ok(zxid)
    }

    fn next_config(
        &self,
        zxid: Zxid,
        request: &ReconfigRequest<'_>,
    ) -> Result<QuorumConfig, ErrorCode> {
        if !self.settings.rules.reconfig_enabled {
            return Err(ErrorCode::ReconfigDisabled);
        }
        let peer = self.peer.as_deref().ok_or(ErrorCode::Unimplemented)?;
        if peer.reconfig_under_way().is_some() {
            return Err(ErrorCode::ReconfigInProgress);
        }
        let now = &peer.quorums.committed;
        if request.current_config_id != -1 && request.current_config_id != now.version.0 {
            return Err(ErrorCode::BadVersion);
        }
        let next = now.changed(request, zxid, self.settings.standalone_enabled)?;
        if !self.is_quorum_synced(&next) {
            tracing::warn!("refusing a reconfiguration: no quorum of it follows");
            return Err(ErrorCode::NewConfigNoQuorum);
        }
        Ok(next)
    }
}
