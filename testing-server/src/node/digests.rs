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
    /// From when on the tree is one whose digest can be told.
    blur: Option<Blur>,
    /// The last transaction behind which the tree was not what was told of it.
    mismatch: Option<Zxid>,
}

/// A snapshot that was written while its server went on holds some of what came behind it, and
/// until that has come again the tree is none that ever was: nothing is compared.
#[derive(Debug, Clone, Copy)]
enum Blur {
    /// It ends with this transaction, behind which the snapshot's own digest holds.
    Told(StoredDigest),
    /// It ends with this transaction at the latest.
    Until(Zxid),
    /// The snapshot does not say where it ends.
    Unknown,
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
        match self.blur {
            Some(Blur::Told(stored)) => Some(stored.zxid),
            _ => None,
        }
    }

    /// Whether the tree may be one that never was.
    pub(crate) fn is_blurred(&self) -> bool {
        self.blur.is_some()
    }
}

impl Node {
    /// Takes in the digest of a snapshot that was loaded as of `zxid`. Over a link none comes.
    pub(super) fn loaded_digest(&mut self, stored: Option<StoredDigest>, zxid: Zxid) {
        self.digests.blur = match stored.filter(|stored| stored.zxid > Zxid::ZERO) {
            _ if !self.settings.rules.digest || zxid == Zxid::ZERO => None,
            // An older one belongs to a transaction before the snapshot, as where an epoch has
            // begun: then nothing came in between.
            Some(stored) if stored.zxid < zxid => None,
            Some(stored) => Some(Blur::Told(stored)),
            None => Some(Blur::Unknown),
        };
        self.reach(zxid);
    }

    /// Says of a snapshot without a digest that it holds nothing that came behind `zxid`. A server
    /// that stands alone, or leads, has all that there is; a learner is told.
    pub(crate) fn sharp_behind(&mut self, zxid: Zxid) {
        if matches!(self.digests.blur, Some(Blur::Unknown)) {
            self.digests.blur = Some(Blur::Until(zxid));
            self.reach(self.last_processed);
        }
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
        if self.digests.is_blurred() {
            return self.reach(zxid);
        }
        let digest = self.tree.digest();
        if self.settings.rules.digest && told.is_some_and(|told| told != digest) {
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
        match self.digests.blur {
            Some(Blur::Until(end)) if end <= zxid => self.digests.blur = None,
            Some(Blur::Told(stored)) if stored.zxid <= zxid => {
                self.digests.blur = None;
                let differs = stored.digest.cast_unsigned() != self.tree.digest();
                if stored.zxid == zxid && stored.version == DIGEST_VERSION && differs {
                    self.digest_differs(zxid);
                }
            }
            _ => {}
        }
    }

    /// It says that some server has a bug. Apache's goes on, too.
    fn digest_differs(&mut self, zxid: Zxid) {
        self.stats.digest_mismatches += 1;
        self.digests.mismatch = Some(zxid);
    }
}
