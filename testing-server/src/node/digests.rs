//! What a server knows of its own digest: some of its past, and how often others told another.

use std::collections::VecDeque;

use znode::proto::Zxid;

use super::Node;
use crate::log::snapshot::StoredDigest;
use crate::tree::digest::DIGEST_VERSION;

/// The digest is remembered after every transaction whose number is a multiple of this.
const REMEMBERED_EVERY: i64 = 128;

/// How many digests are remembered.
const REMEMBERED_MAX: usize = 1024;

/// The digests of one server.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    /// The oldest first, each with the transaction behind which it held.
    history: VecDeque<(Zxid, u64)>,
    /// What a snapshot says of a transaction that is not reached. One that was written while its
    /// server went on has no digest before that: until then nothing is compared.
    awaited: Option<StoredDigest>,
    /// The last transaction behind which the tree was not what was told of it.
    mismatch: Option<Zxid>,
}

impl Digests {
    /// Digests that were remembered, the oldest first.
    pub(crate) fn history(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.history.iter().copied()
    }

    /// Takes note of a digest that has differed, for whoever tells of it.
    pub(crate) fn take_mismatch(&mut self) -> Option<Zxid> {
        self.mismatch.take()
    }

    /// The transaction of which a snapshot has a digest, if the logs have ended before it.
    pub(crate) fn awaited(&self) -> Option<Zxid> {
        self.awaited.map(|awaited| awaited.zxid)
    }
}

impl Node {
    /// Takes in the digest of a snapshot that was loaded as of `zxid`.
    pub(super) fn loaded_digest(&mut self, stored: Option<StoredDigest>, zxid: Zxid) {
        // An older one belongs to a transaction before the snapshot, and says nothing of it.
        let known = |stored: &StoredDigest| stored.zxid > Zxid::ZERO && stored.zxid >= zxid;
        self.digests.awaited = stored.filter(known).filter(|_| self.settings.digest);
        self.reach(zxid);
    }

    /// Notes that a transaction was applied, and what was foretold of the tree behind it. It is
    /// compared now and then: to count what has changed costs the same for one transaction as for
    /// a hundred that change the same nodes.
    #[inline]
    pub(crate) fn digest_applied(&mut self, zxid: Zxid, foretold: Option<u64>) {
        if zxid.0 % REMEMBERED_EVERY == 0 {
            self.digest_replayed(zxid, foretold);
        }
    }

    /// Notes that a transaction was applied, and what its log says of the tree behind it.
    pub(super) fn digest_replayed(&mut self, zxid: Zxid, told: Option<u64>) {
        if self.digests.awaited.is_some() {
            return self.reach(zxid);
        }
        let digest = self.tree.digest();
        if self.settings.digest && told.is_some_and(|told| told != digest) {
            self.digest_differs(zxid);
        }
        if zxid.0 % REMEMBERED_EVERY == 0 {
            if self.digests.history.len() == REMEMBERED_MAX {
                self.digests.history.pop_front();
            }
            self.digests.history.push_back((zxid, digest));
        }
    }

    /// Compares with the digest of a snapshot once its transaction is reached.
    fn reach(&mut self, zxid: Zxid) {
        let Some(awaited) = self.digests.awaited.filter(|awaited| awaited.zxid <= zxid) else {
            return;
        };
        self.digests.awaited = None;
        let differs = awaited.digest.cast_unsigned() != self.tree.digest();
        if awaited.zxid == zxid && awaited.version == DIGEST_VERSION && differs {
            self.digest_differs(zxid);
        }
    }

    /// It says that some server has a bug. Apache's goes on, too.
    fn digest_differs(&mut self, zxid: Zxid) {
        self.stats.digest_mismatches += 1;
        self.digests.mismatch = Some(zxid);
    }
}
