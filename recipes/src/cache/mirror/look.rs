//! One look at a node: what it asks for, one thing after the other, each of which is answered at
//! another time.

use std::sync::Arc;

use znode::{Error, Stat, Zxid};

/// Something to be read of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cache) struct Job {
    pub(in crate::cache) path: Arc<str>,
    /// What is known of it: what has not changed since need not be read.
    pub(in crate::cache) known: Option<Stat>,
    /// Whether the names of its children are wanted, too.
    pub(in crate::cache) with_children: bool,
    /// How often something may have been missed when it was handed out.
    pub(super) round: u64,
}

/// Something that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) enum Ask {
    Exists,
    Data,
    Children,
}

/// What is answered to one.
#[derive(Debug, Clone)]
pub(in crate::cache) enum Answer {
    Missing,
    Refused(Error),
    Exists(Stat),
    Data(Box<[u8]>, Stat),
    Children(Vec<String>),
}

/// What was read.
#[derive(Debug, Clone)]
pub(in crate::cache) enum Seen {
    Missing,
    /// It is there, and cannot be read.
    Refused(Error),
    /// It is as it was known.
    Same,
    /// It is so; what was not read is as it was, or was not wanted.
    Node {
        stat: Stat,
        data: Option<Box<[u8]>>,
        children: Option<Vec<String>>,
    },
}

/// What a look comes to next.
#[derive(Debug, Clone)]
pub(super) enum Next {
    Ask(Ask),
    Done(Seen),
}

/// A look that is under way.
#[derive(Debug)]
pub(super) struct Look {
    known: Option<Stat>,
    with_children: bool,
    /// As of the newest answer that had it.
    stat: Option<Stat>,
    data: Option<Box<[u8]>>,
}

impl Look {
    /// Begins, with this request.
    pub(super) fn new(job: &Job) -> (Self, Ask) {
        let Job { known, with_children, .. } = *job;
        let look = Self { known, with_children, stat: None, data: None };
        (look, if known.is_some() { Ask::Exists } else { Ask::Data })
    }

    /// Goes on from an answer.
    pub(super) fn answered(&mut self, answer: Answer) -> Next {
        let stat = match answer {
            Answer::Missing => return Next::Done(Seen::Missing),
            Answer::Refused(error) => return Next::Done(Seen::Refused(error)),
            Answer::Children(children) => return Next::Done(self.seen(Some(children))),
            Answer::Exists(stat) => stat,
            Answer::Data(data, stat) => {
                self.data = Some(data);
                stat
            }
        };
        // Its metadata may be newer than its data; so that of the data counts, which comes later.
        self.stat = Some(stat);
        let is_another = self.known.is_none_or(|known| known.czxid != stat.czxid);
        let is_written = self.known.is_none_or(|known| known.mzxid != stat.mzxid);
        if !is_another && !is_written {
            self.data = None;
        } else if self.data.is_none() {
            return Next::Ask(Ask::Data);
        }
        // Of one that was not known and has no children now, the watch tells when it has.
        let may_have_others = stat.num_children > 0 || self.known.is_some();
        let has_others = self.known.is_none_or(|known| known.pzxid != stat.pzxid);
        if self.with_children && may_have_others && (is_another || has_others) {
            return Next::Ask(Ask::Children);
        }
        Next::Done(self.seen(None))
    }

    /// Its metadata, as far as that is known.
    pub(super) fn stat(&self) -> Option<Stat> {
        self.stat.or(self.known)
    }

    fn seen(&mut self, children: Option<Vec<String>>) -> Seen {
        match self.stat {
            Some(stat) if self.data.is_some() || children.is_some() => {
                Seen::Node { stat, data: self.data.take(), children }
            }
            _ => Seen::Same,
        }
    }
}

impl Seen {
    /// The newest transaction that it shows: everything up to there had happened.
    pub(super) fn newest(&self) -> Zxid {
        match self {
            Self::Node { stat, .. } => stat.czxid.max(stat.mzxid).max(stat.pzxid),
            Self::Missing | Self::Refused(_) | Self::Same => Zxid::ZERO,
        }
    }
}
