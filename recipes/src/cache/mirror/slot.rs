//! What is known of one path, and whether it is being read.

use std::sync::Arc;

use znode::{Error, Stat, Zxid};

use super::held::Held;
use crate::cache::handle::CachedNode;

#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) held: Held,
    pub(super) reading: Reading,
    /// No node that was made before this is there any more; of one that is read once more.
    pub(super) gone_at: Zxid,
    /// Whether it is to be seen before nothing can have been missed.
    pub(super) is_owed: bool,
    /// A transaction such that what is held was there after it, or after a later one.
    pub(super) seen_at: Zxid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reading {
    #[default]
    Not,
    /// A job waits for its turn.
    Waiting { with_children: bool },
    /// A job was handed out.
    UnderWay,
    /// The same, and what it reads may be old by then.
    Again { with_children: bool },
}

/// Why something is read once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) with_children: bool,
    /// No node that was made before this is there any more.
    pub(super) gone_at: Zxid,
}

impl Slot {
    /// A transaction such that what it holds was there after it, or after a later one; `heard` is
    /// up to where every event was taken in.
    pub(super) fn as_of(&self, heard: Zxid) -> Zxid {
        match self.is_owed || self.reading != Reading::Not {
            true => self.seen_at,
            false => self.seen_at.max(heard),
        }
    }

    /// What need not be read again as long as it is so.
    pub(super) fn known(&self) -> Option<Stat> {
        // Its metadata may be newer than what is known of its children.
        Some(Stat { pzxid: self.held.listed_at(), ..self.held.stat()? })
    }

    /// Somebody wants it to be read from now on.
    pub(super) fn want(&mut self, with_children: bool, gone_at: Zxid) {
        if self.reading.is_under_way() {
            self.gone_at = self.gone_at.max(gone_at);
        }
        self.reading.want(with_children);
    }

    /// Its job was answered, and this is why it is read once more, if it is.
    pub(super) fn done(&mut self) -> Option<Again> {
        let gone_at = std::mem::take(&mut self.gone_at);
        match std::mem::take(&mut self.reading) {
            Reading::Again { with_children } => Some(Again { with_children, gone_at }),
            _ => None,
        }
    }

    /// Holds nothing any more: the node that was, if there was one.
    pub(super) fn clear(&mut self, path: &Arc<str>) -> Option<Arc<CachedNode>> {
        std::mem::take(&mut self.held).node(path)
    }

    /// There is something, and it cannot be read: the node that was, if there was one.
    pub(super) fn refuse(&mut self, path: &Arc<str>, why: Error) -> Option<Arc<CachedNode>> {
        std::mem::replace(&mut self.held, Held::Refused(Box::new(why))).node(path)
    }

    /// What it holds was there after this, or after a later transaction.
    pub(super) fn see(&mut self, zxid: Zxid) {
        self.seen_at = self.seen_at.max(zxid);
    }

    /// Whether what it holds is as it is told here.
    pub(super) fn has(&self, stat: &Stat) -> bool {
        self.held.stat().is_some_and(|held| held.mzxid == stat.mzxid)
    }

    /// Whether something that was read while more has happened to the node is newer than what is
    /// held, all the same. Without that, of a node that changes faster than it can be read nothing
    /// would ever be shown.
    pub(super) fn is_news(&self, stat: &Stat, with_data: bool, gone_at: Zxid) -> bool {
        let is_newer = |held: Stat| stat.mzxid > held.mzxid;
        with_data && stat.czxid > gone_at && self.held.stat().is_none_or(is_newer)
    }
}

impl Reading {
    pub(super) fn is_under_way(self) -> bool {
        matches!(self, Self::UnderWay | Self::Again { .. })
    }

    fn want(&mut self, with_children: bool) {
        *self = match *self {
            Self::Not => Self::Waiting { with_children },
            Self::Waiting { with_children: before } => {
                Self::Waiting { with_children: before || with_children }
            }
            Self::UnderWay => Self::Again { with_children },
            Self::Again { with_children: before } => {
                Self::Again { with_children: before || with_children }
            }
        };
    }

    /// Its job is handed out; `true` if that is to list its children, too.
    pub(super) fn ask(&mut self) -> bool {
        let before = std::mem::replace(self, Self::UnderWay);
        before == Self::Waiting { with_children: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There is one for each node, and one for each that is to be read yet.
    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Slot>() <= 48, "{}", size_of::<Slot>());
    }
}
