//! Quotas: limits for a subtree, kept where ZooKeeper's own tools keep them.

use std::fmt;

use super::again::is_lost;
use super::parents::Parents;
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::{Error, ErrorKind};
use crate::ops::Op;
use crate::path;
use crate::proto::Version;

/// Below it stands the tree of those nodes that have a quota.
const QUOTAS: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// What is limited of a node and everything below it; `None` is no limit.
///
/// A server that exceeds a soft limit says so in its log. It refuses to exceed a hard one, with
/// `QuotaExceeded`, if it is told to enforce quotas (`enforceQuota`), and does not look at the
/// soft one then.
///
/// ```
/// let quota = znode::Quota { count: Some(1000), bytes_hard: Some(1 << 20), ..Default::default() };
/// assert_eq!((quota.bytes, quota.count_hard), (None, None), "not limited");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Quota {
    /// How many nodes, the first included.
    pub count: Option<u64>,
    /// How many bytes of data.
    pub bytes: Option<u64>,
    /// As `count`, hard.
    pub count_hard: Option<u64>,
    /// As `bytes`, hard.
    pub bytes_hard: Option<u64>,
}

/// What a node with a quota has used up, as the server of this session counts it.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// if let Some((quota, usage)) = client.quota("/tenants/a").await? {
///     println!("{} of {:?} nodes, {} bytes", usage.count, quota.count, usage.bytes);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Usage {
    /// How many nodes there are, the first included.
    pub count: u64,
    /// How many bytes of data they have.
    pub bytes: u64,
}

impl Client {
    /// Sets the quota of a node, in place of the one that it may have.
    ///
    /// It is stored as ZooKeeper's `setquota` stores it, below `/zookeeper/quota`, where
    /// `listquota` finds it. The looks at other quotas and the write are several requests: two
    /// that set nested quotas at the same time may both succeed.
    ///
    /// # Errors
    /// `NoNode` if the node does not exist; `BadArguments` for the root, and if a node above or
    /// below it has a quota, which the source of the error names: of nested quotas servers look
    /// at one only. `NoAuth`. After `ConnectionLoss` it may be set.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in line takes effect: the quota is set or not, whole.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::Quota;
    ///
    /// let quota = Quota { count: Some(1000), bytes_hard: Some(1 << 20), ..Quota::default() };
    /// client.set_quota("/tenants/a", &quota).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_quota(&self, path: &str, quota: &Quota) -> Result<(), Error> {
        const NAME: &str = "set_quota";

        path::validate(path).map_err(|invalid| Error::invalid_path(NAME, invalid))?;
        if self.until_answered(|| self.exists(path)).await?.is_none() {
            let missing = Error::rejected(NAME, crate::proto::ErrorCode::NoNode);
            return Err(missing.with_path(Some(path)));
        }
        let (client, place) = self.quota_place(NAME, path)?;
        if let Some(other) = client.nested_quota(&place).await? {
            let what = format!("{other} has a quota, and quotas do not nest");
            return Err(Error::bad_arguments(NAME, what).with_path(Some(path)));
        }
        let limits = path::join(&place, LIMITS);
        client.ensure_path(&place, Parents::Persistent).await?;
        loop {
            let text = quota.to_string();
            match client.set_data(&limits, &text, Version::ANY).await {
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                set => return set.map(drop).map_err(|error| error.renamed(NAME, path)),
            }
            // The creation of the second makes the server count.
            let created = client.multi([
                Op::create(&limits, &text, CreateMode::Persistent),
                Op::create(path::join(&place, STATS), NOTHING, CreateMode::Persistent),
            ]);
            match created.await {
                Err(error) if error.kind() == ErrorKind::NodeExists => {}
                created => return created.map(drop).map_err(|error| error.renamed(NAME, path)),
            }
        }
    }

    /// The quota of a node, and what is used up of it; `None` if it has none of its own.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// println!("{:?}", client.quota("/app").await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoAuth`; `InvalidData` if somebody has written there what is no quota; the end of the
    /// session.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn quota(&self, path: &str) -> Result<Option<(Quota, Usage)>, Error> {
        const NAME: &str = "quota";

        path::validate(path).map_err(|invalid| Error::invalid_path(NAME, invalid))?;
        let (client, place) = self.quota_place(NAME, path)?;
        let (limits, stats) = (path::join(&place, LIMITS), path::join(&place, STATS));
        let read = client.until_answered(|| {
            let (limits, stats) = (client.get_data(&limits), client.get_data(&stats));
            async { Ok((limits.await?.0, stats.await?.0)) }
        });
        match read.await {
            Ok((limits, stats)) => {
                let parsed = Fields::parse(&limits).zip(Fields::parse(&stats));
                let (limits, stats) = parsed.ok_or_else(|| {
                    let what = std::io::Error::other("what is stored is no quota");
                    Error::invalid_data(NAME, what).with_path(Some(path))
                })?;
                Ok(Some((limits.quota(), stats.usage())))
            }
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
            Err(error) => Err(error.renamed(NAME, path)),
        }
    }

    /// Removes the quota of a node, and what the quota alone has needed below
    /// `/zookeeper/quota`.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// client.delete_quota("/app").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode` if it has none; `NoAuth`. After `ConnectionLoss` it may be removed.
    ///
    /// # Cancel safety
    /// If the future is dropped, the quota is removed or not, whole; empty nodes may stay.
    pub async fn delete_quota(&self, path: &str) -> Result<(), Error> {
        const NAME: &str = "delete_quota";

        path::validate(path).map_err(|invalid| Error::invalid_path(NAME, invalid))?;
        let (client, place) = self.quota_place(NAME, path)?;
        let ops = [STATS, LIMITS].map(|name| Op::delete(path::join(&place, name), Version::ANY));
        client.multi(ops).await.map_err(|error| error.renamed(NAME, path))?;
        let mut above = Some(&place[..]).filter(|place| *place != QUOTAS);
        while let Some(place) = above {
            match client.delete(place, Version::ANY).await {
                // Another quota needs it; or what is left over does no harm.
                Err(error) if !is_lost(&error) => break,
                _ => above = path::parent(place).filter(|place| *place != QUOTAS),
            }
        }
        Ok(())
    }

    /// The whole tree's client, and where the quota of a node stands in it.
    fn quota_place(&self, op: &'static str, path: &str) -> Result<(Self, String), Error> {
        let full = self.chroot.full(path);
        if full == "/" {
            let what = "servers do not look at a quota of the root".to_owned();
            return Err(Error::bad_arguments(op, what).with_path(Some(path)));
        }
        Ok((self.unrooted(), format!("{QUOTAS}{full}")))
    }

    /// A node above or below the one with its quota at `place` that has a quota of its own.
    async fn nested_quota(&self, place: &str) -> Result<Option<String>, Error> {
        let mut above = path::parent(place).filter(|place| *place != QUOTAS);
        while let Some(place) = above {
            let limits = path::join(place, LIMITS);
            if self.until_answered(|| self.exists(&limits)).await?.is_some() {
                return Ok(Some(place[QUOTAS.len()..].to_owned()));
            }
            above = path::parent(place).filter(|place| *place != QUOTAS);
        }
        let mut walk = self.walk(place);
        while let Some(node) = walk.next_node().await {
            match node {
                Ok(node) if node.path != place && node.children.iter().any(|c| c == LIMITS) => {
                    return Ok(Some(node.path[QUOTAS.len()..].to_owned()));
                }
                Err(error) if error.kind() != ErrorKind::NoNode => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// What is used up before a server has counted.
const NOTHING: &str = "count=0,bytes=0";

/// As ZooKeeper writes it. The `=` before the semicolon keeps old servers from tripping over what
/// they do not know.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |limit: Option<u64>| limit.map_or("-1".to_owned(), |limit| limit.to_string());
        write!(f, "count={},bytes={}", text(self.count), text(self.bytes))?;
        if self.bytes_hard.is_some() || self.count_hard.is_some() {
            let (bytes, count) = (text(self.bytes_hard), text(self.count_hard));
            write!(f, "=;byteHardLimit={bytes};countHardLimit={count}")?;
        }
        Ok(())
    }
}

/// The fields of either node; -1 stands for none.
#[derive(Debug, Clone, Copy)]
struct Fields {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Fields {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = Self { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };
        let text = std::str::from_utf8(text).ok()?;
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut pair = pair.split('=');
            let (name, number) = (pair.next()?.trim(), pair.next()?.trim());
            let number = if number.is_empty() { -1 } else { number.parse().ok()? };
            match name {
                "count" => fields.count = number,
                "bytes" => fields.bytes = number,
                "countHardLimit" => fields.count_hard = number,
                "byteHardLimit" => fields.bytes_hard = number,
                _ => {}
            }
        }
        Some(fields)
    }

    fn quota(self) -> Quota {
        let limit = |number| u64::try_from(number).ok();
        Quota {
            count: limit(self.count),
            bytes: limit(self.bytes),
            count_hard: limit(self.count_hard),
            bytes_hard: limit(self.bytes_hard),
        }
    }

    fn usage(self) -> Usage {
        let used = |number| u64::try_from(number).unwrap_or(0);
        Usage { count: used(self.count), bytes: used(self.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_zookeeper_does_and_read_back() {
        let (count, bytes) = (Some(5), Some(7));
        let none = None;
        for (quota, text) in [
            (Quota { count, ..Quota::default() }, "count=5,bytes=-1"),
            (Quota { count, bytes, ..Quota::default() }, "count=5,bytes=7"),
            (
                Quota { count: none, bytes: none, count_hard: none, bytes_hard: bytes },
                "count=-1,bytes=-1=;byteHardLimit=7;countHardLimit=-1",
            ),
        ] {
            assert_eq!(quota.to_string(), text);
            assert_eq!(Fields::parse(text.as_bytes()).unwrap().quota(), quota);
        }
        assert!(Fields::parse(b"count").is_none());
        assert!(Fields::parse(b"count=x").is_none());
        let usage = Fields::parse(b"count=3,bytes=9").unwrap().usage();
        assert_eq!(usage, Usage { count: 3, bytes: 9 });
    }
}
