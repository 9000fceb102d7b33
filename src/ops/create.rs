//! Creating nodes.

use crate::acl::{Acl, InvalidAcl};
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::Error;
use crate::path;
use crate::proto::replies::Create2Reply;
use crate::proto::requests::{CreateRequest, CreateTtlRequest};
use crate::proto::{AclRecord, JutePut, OpCode, Stat};
use crate::reply::Reply;
use crate::session::WatchEffect;

/// A node that was created.
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{Created, CreateMode};
///
/// let Created { path, stat } = client.create("/q/n-", "", CreateMode::EphemeralSequential).await?;
/// println!("{path}, made in transaction {}", stat.czxid);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its path, with the digits of a sequential node.
    pub path: String,
    /// Its metadata; the `czxid` identifies this incarnation for ever. A server before 3.5 does
    /// not tell it, and it is made up from the request and the answer: then its two times are 0.
    pub stat: Stat,
}

impl Client {
    /// Creates a node with the default access control list of this handle.
    ///
    /// The parent must exist. For a sequential mode `path` is the beginning of the name and may
    /// end in `/`.
    ///
    /// A server before 3.5 refuses the request that answers with metadata, and closes the
    /// connection. Then `create` goes first on the next one, in its older form, and so do all
    /// later ones of this session; what was in flight behind it fails with `ConnectionLoss`.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::CreateMode;
    ///
    /// let created = client.create("/queue/item-", "job", CreateMode::PersistentSequential).await?;
    /// println!("{} in transaction {}", created.path, created.stat.czxid);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoNode` if the parent does not exist, `NodeExists`, `NoAuth`, `NoChildrenForEphemerals`,
    /// `InvalidAcl`, `QuotaExceeded`; `InvalidPath`, `InvalidTtl` and `TooLarge` before anything
    /// is sent. After `ConnectionLoss` the node may exist.
    pub fn create(&self, path: &str, data: impl AsRef<[u8]>, mode: CreateMode) -> Reply<Created> {
        self.create_with_acl(path, data, mode, &self.default_acl)
    }

    /// Creates a node with an access control list of its own.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{Acl, CreateMode};
    ///
    /// let acl = [Acl::creator_all(), Acl::read_only()];
    /// client.create_with_acl("/rates", "0.19", CreateMode::Persistent, &acl).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create); an empty list is refused before anything is sent.
    pub fn create_with_acl(
        &self,
        path: &str,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
        acl: &[Acl],
    ) -> Reply<Created> {
        const NAME: &str = "create";

        let ttl_ms = match check(NAME, path, mode, acl) {
            Ok(ttl_ms) => ttl_ms,
            Err(error) => return Reply::refused(error),
        };
        let (op, full) = (op_code(mode), self.chroot.full(path));
        let data = self.codec.encode(data.as_ref());
        let (data, acl, flags) = (Some(&data[..]), Some(records(acl)), mode.flags());
        let encode = |out: &mut Vec<u8>| match ttl_ms {
            Some(ttl_ms) => out.put(&CreateTtlRequest { path: full, data, acl, flags, ttl_ms }),
            None => out.put(&CreateRequest { path: full, data, acl, flags }),
        };
        self.call(op, NAME, Some(path), WatchEffect::None, encode, |call, answer| {
            let Create2Reply { path, stat } = call.read(answer)?;
            Ok(Created { path: call.strip(&path)?, stat })
        })
    }
}

/// Checks what can be checked before anything is sent; returns the time to live.
pub(super) fn check(
    op: &'static str,
    path: &str,
    mode: CreateMode,
    acl: &[Acl],
) -> Result<Option<i64>, Error> {
    let valid =
        if mode.is_sequential() { path::validate_sequential(path) } else { path::validate(path) };
    valid.map_err(|invalid| Error::invalid_path(op, invalid))?;
    if acl.is_empty() {
        return Err(Error::invalid_acl(op, InvalidAcl::EmptyList).with_path(Some(path)));
    }
    mode.ttl_ms().map_err(|invalid| Error::invalid_ttl(op, invalid).with_path(Some(path)))
}

pub(super) fn records(acl: &[Acl]) -> Vec<AclRecord<'_>> {
    acl.iter().map(Acl::record).collect()
}

/// Every flavour that answers with a `Stat`.
pub(super) fn op_code(mode: CreateMode) -> OpCode {
    match mode {
        CreateMode::Container => OpCode::CreateContainer,
        CreateMode::PersistentTtl { .. } | CreateMode::PersistentSequentialTtl { .. } => {
            OpCode::CreateTtl
        }
        _ => OpCode::Create2,
    }
}
