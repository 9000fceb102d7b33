//! Quotas: limits and usage, kept as text in nodes under `/zookeeper/quota`.

use std::collections::{BTreeMap, BTreeSet};

use super::parent;

/// Above all limits and usage.
const QUOTA: &[u8] = b"/zookeeper/quota";
/// The name of a node that holds limits.
const LIMITS: &[u8] = b"zookeeper_limits";
/// The name of a node that holds usage.
const USAGE: &[u8] = b"zookeeper_stats";

/// Which paths have a quota.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    /// Paths for which there is a node with limits.
    armed: BTreeSet<Box<[u8]>>,
}

/// What a new node means for quotas.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum QuotaNode<'a> {
    /// It holds the limits of this path.
    Limits(&'a [u8]),
    /// It holds the usage of this path.
    Usage(&'a [u8]),
}

impl<'a> QuotaNode<'a> {
    /// What the node at `path` means, if anything.
    pub(super) fn of(path: &'a [u8]) -> Option<Self> {
        let below = path.strip_prefix(QUOTA)?;
        let slash = below.iter().rposition(|byte| *byte == b'/')?;
        let (of, name) = (&below[..slash], &below[slash + 1..]);
        // A quota of the root is ignored.
        match name {
            _ if of.is_empty() => None,
            LIMITS => Some(Self::Limits(of)),
            USAGE => Some(Self::Usage(of)),
            _ => None,
        }
    }
}

impl Quotas {
    /// Lets the limits of a path count.
    pub(super) fn arm(&mut self, path: &[u8]) {
        self.armed.insert(path.into());
    }

    /// Forgets the limits of a path.
    pub(super) fn disarm(&mut self, path: &[u8]) {
        self.armed.remove(path);
    }

    /// Whether a node may be there for a quota, or count for one; mostly there are none.
    pub(super) fn concern(&self, path: &[u8]) -> bool {
        !self.armed.is_empty() || path.starts_with(QUOTA)
    }

    /// The deepest path with a quota, among this one and those above it.
    pub(crate) fn deepest<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        if self.armed.is_empty() {
            return None;
        }
        std::iter::successors(Some(path), |path| parent(path))
            .find(|path| self.armed.contains(*path))
    }
}

/// The node that holds the limits of a path.
pub(crate) fn limits_path(of: &[u8]) -> Vec<u8> {
    [QUOTA, of, b"/", LIMITS].concat()
}

/// The node that holds the usage of a path.
pub(crate) fn usage_path(of: &[u8]) -> Vec<u8> {
    [QUOTA, of, b"/", USAGE].concat()
}

/// Limits or usage: numbers by name, as Apache's `StatsTrack` writes them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Amounts(BTreeMap<String, i64>);

impl Amounts {
    /// Reads `count=1,bytes=2=;byteHardLimit=3`. What cannot be read is no limit; Apache would end
    /// its process over it.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let pair = |pair: &str| {
            let mut parts = pair.split('=');
            let name = parts.next().filter(|name| !name.is_empty())?;
            Some((name.to_owned(), parts.next()?.parse().unwrap_or(-1)))
        };
        Self(text.split([',', ';']).filter_map(pair).collect())
    }

    /// An amount of nodes and bytes.
    pub(super) fn of(count: i64, bytes: i64) -> Self {
        Self([("count".to_owned(), count), ("bytes".to_owned(), bytes)].into())
    }

    /// The number under a name; -1 if there is none.
    fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(-1)
    }

    /// More, or less, of both.
    pub(super) fn add(&mut self, count: i64, bytes: i64) {
        for (name, more) in [("count", count), ("bytes", bytes)] {
            let sum = self.get(name).saturating_add(more);
            self.0.insert(name.to_owned(), sum);
        }
    }

    /// The text. A second `=` hides the newer names from old readers.
    pub(super) fn text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.get("count"), self.get("bytes"));
        let others: Vec<_> =
            self.0.iter().filter(|(name, _)| !matches!(&***name, "count" | "bytes")).collect();
        if !others.is_empty() {
            text.push('=');
        }
        for (name, value) in others {
            text += &format!(";{name}={value}");
        }
        text
    }

    /// Whether these limits forbid `usage` to grow by so much. Soft limits forbid nothing, and
    /// what does not grow is not looked at.
    pub(crate) fn forbid(&self, usage: &Self, count: i64, bytes: i64) -> bool {
        let over = |limit: &str, name: &str, more: i64| {
            let limit = self.get(limit);
            more != 0 && limit > -1 && usage.get(name).saturating_add(more) > limit
        };
        over("countHardLimit", "count", count) || over("byteHardLimit", "bytes", bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_apache_writes_them() {
        let text = "count=5,bytes=-1=;byteHardLimit=10;countHardLimit=7";
        let limits = Amounts::parse(text.as_bytes());
        assert_eq!(limits.get("count"), 5);
        assert_eq!(limits.get("countHardLimit"), 7);
        assert_eq!(limits.text(), text);
        assert_eq!(Amounts::of(3, 4).text(), "count=3,bytes=4");
        assert_eq!(Amounts::parse(b"").text(), "count=-1,bytes=-1");
        assert_eq!(Amounts::parse(b"count=x,,=,y").get("count"), -1);
    }

    #[test]
    fn only_hard_limits_forbid_and_only_growth_is_checked() {
        let limits = Amounts::parse(b"count=1,bytes=1=;countHardLimit=3");
        let usage = Amounts::of(3, 100);
        assert!(limits.forbid(&usage, 1, 0));
        assert!(!limits.forbid(&usage, 0, 50));
        assert!(!limits.forbid(&Amounts::of(2, 0), 1, 0));
    }

    #[test]
    fn the_deepest_quota_counts_and_that_of_the_root_does_not() {
        let mut quotas = Quotas::default();
        quotas.arm(b"/a");
        quotas.arm(b"/a/b");
        assert_eq!(quotas.deepest(b"/a/b/c"), Some(&b"/a/b"[..]));
        assert_eq!(quotas.deepest(b"/a/bc"), Some(&b"/a"[..]));
        assert_eq!(quotas.deepest(b"/b"), None);
        quotas.disarm(b"/a/b");
        assert_eq!(quotas.deepest(b"/a/b"), Some(&b"/a"[..]));
        assert_eq!(QuotaNode::of(b"/zookeeper/quota/zookeeper_limits"), None);
        let limits = b"/zookeeper/quota/a/b/zookeeper_limits";
        assert_eq!(QuotaNode::of(limits), Some(QuotaNode::Limits(b"/a/b")));
        assert_eq!(limits_path(b"/a/b"), limits);
    }
}
