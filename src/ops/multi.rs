//! Several writes as one transaction.

use std::borrow::Cow;

use bytes::Bytes;

use super::create::{Created, check, op_code, records};
use crate::acl::Acl;
use crate::client::Client;
use crate::create_mode::CreateMode;
use crate::error::Error;
use crate::path;
use crate::proto::multi::{MultiOp, MultiResponse, MultiResult};
use crate::proto::requests::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, SetDataRequest,
};
use crate::proto::{Encode, ErrorCode, JutePut, MultiHeader, OpCode, Stat, Version};
use crate::reply::{Call, Reply};
use crate::session::{Answer, WatchEffect};

const NAME: &str = "multi";

/// One operation of a [`multi`](Client::multi).
///
/// ```
/// use znode::{Acl, CreateMode, Op, Version};
///
/// let mode = CreateMode::Persistent;
/// let ops = [
///     Op::check("/ready", Version::ANY),
///     Op::create("/jobs/1", "to do", mode),
///     Op::create_with_acl("/jobs/1/notes", "", mode, &[Acl::read_only()]),
///     Op::set_data("/jobs", "1", 0),
///     Op::delete("/drafts/1", Version::ANY),
/// ];
/// assert_eq!(ops.map(|op| op.path().len()), [6, 7, 13, 5, 9]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    path: String,
    verb: Verb,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verb {
    Create { data: Bytes, mode: CreateMode, acl: Option<Vec<Acl>> },
    Delete { version: Version },
    SetData { data: Bytes, version: Version },
    Check { version: Version },
}

/// The result of one operation of a [`multi`](Client::multi).
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{Op, OpResult, Version};
///
/// let ops = [Op::set_data("/rate", "0.19", Version::ANY), Op::delete("/draft", Version::ANY)];
/// for result in client.multi(ops).await? {
///     match result {
///         OpResult::DataSet(stat) => println!("version {}", stat.version),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpResult {
    /// A node was created.
    Created(Created),
    /// A node was deleted.
    Deleted,
    /// Data was written; the metadata after it.
    DataSet(Stat),
    /// The version was as expected.
    Checked,
}

impl Op {
    /// Creates a node with the default access control list of the client; see
    /// [`Client::create`].
    pub fn create(path: impl Into<String>, data: impl AsRef<[u8]>, mode: CreateMode) -> Self {
        let data = Bytes::copy_from_slice(data.as_ref());
        Self { path: path.into(), verb: Verb::Create { data, mode, acl: None } }
    }

    /// Creates a node with an access control list of its own.
    pub fn create_with_acl(
        path: impl Into<String>,
        data: impl AsRef<[u8]>,
        mode: CreateMode,
        acl: &[Acl],
    ) -> Self {
        let data = Bytes::copy_from_slice(data.as_ref());
        let acl = Some(acl.to_vec());
        Self { path: path.into(), verb: Verb::Create { data, mode, acl } }
    }

    /// Deletes a node; see [`Client::delete`].
    pub fn delete(path: impl Into<String>, version: impl Into<Version>) -> Self {
        Self { path: path.into(), verb: Verb::Delete { version: version.into() } }
    }

    /// Writes the data of a node; see [`Client::set_data`].
    pub fn set_data(
        path: impl Into<String>,
        data: impl AsRef<[u8]>,
        version: impl Into<Version>,
    ) -> Self {
        let data = Bytes::copy_from_slice(data.as_ref());
        Self { path: path.into(), verb: Verb::SetData { data, version: version.into() } }
    }

    /// Fails the transaction unless the node exists and its data has the expected version;
    /// [`Version::ANY`] expects it to exist only. It takes READ on the node.
    pub fn check(path: impl Into<String>, version: impl Into<Version>) -> Self {
        Self { path: path.into(), verb: Verb::Check { version: version.into() } }
    }

    /// The node that it is about.
    ///
    /// ```
    /// use znode::{CreateMode, Op, Version};
    ///
    /// let ops = [Op::check("/a", 3), Op::create("/b", "", CreateMode::Persistent)];
    /// assert_eq!(ops.map(|op| op.path().to_owned()), ["/a", "/b"]);
    /// assert_eq!(Op::delete("/c", Version::ANY).path(), "/c");
    /// ```
    pub fn path(&self) -> &str {
        &self.path
    }

    fn validate(&self, default_acl: &[Acl]) -> Result<(), Error> {
        match &self.verb {
            Verb::Create { mode, acl, .. } => {
                check(NAME, &self.path, *mode, acl.as_deref().unwrap_or(default_acl)).map(drop)
            }
            _ => path::validate(&self.path).map_err(|invalid| Error::invalid_path(NAME, invalid)),
        }
    }
}

impl Client {
    /// Carries out several writes as one transaction: all or none, in order, each seeing what
    /// those before it did.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::{CreateMode, Op, Version};
    ///
    /// client
    ///     .multi([
    ///         Op::check("/config", 7),
    ///         Op::set_data("/config/a", "new", Version::ANY),
    ///         Op::create("/config/log-", "", CreateMode::PersistentSequential),
    ///     ])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A server before 3.5 cannot read a transaction that asks for metadata, and refuses all of it.
    /// Then it goes first again in its older form, as a [`create`](Self::create) does, and the
    /// metadata is made up; containers and times to live have none.
    ///
    /// # Errors
    /// That of the first operation that failed, with its [`path`](Error::path) and its place as
    /// [`op_index`](Error::op_index); nothing was done. After `ConnectionLoss` all of it or
    /// nothing may have been done.
    pub fn multi(&self, ops: impl IntoIterator<Item = Op>) -> Reply<Vec<OpResult>> {
        let ops: Vec<Op> = ops.into_iter().collect();
        for (index, op) in ops.iter().enumerate() {
            if let Err(error) = op.validate(&self.default_acl) {
                return Reply::refused(error.with_op_index(index));
            }
        }
        let encode = |out: &mut Vec<u8>| {
            for op in &ops {
                self.put_op(op, out);
            }
            out.put(&MultiHeader::DONE);
        };
        let call = Call {
            op_paths: ops.iter().map(|op| op.path.clone()).collect(),
            ..Call::new(NAME, None, &self.chroot)
        };
        let decode = |call: &mut Call, answer: &Answer| results(call, answer);
        self.submit(OpCode::Multi, call, WatchEffect::None, None, encode, decode)
    }

    fn put_op(&self, op: &Op, out: &mut Vec<u8>) {
        let path = self.chroot.full(&op.path);
        let data = match &op.verb {
            Verb::Create { data, .. } | Verb::SetData { data, .. } => self.codec.encode(data),
            Verb::Delete { .. } | Verb::Check { .. } => Cow::default(),
        };
        let data = Some(&data[..]);
        let multi_op = match &op.verb {
            Verb::Create { mode, acl, .. } => {
                let acl = Some(records(acl.as_deref().unwrap_or(&self.default_acl)));
                let flags = mode.flags();
                match mode.ttl_ms() {
                    Ok(Some(ttl_ms)) => {
                        MultiOp::CreateTtl(CreateTtlRequest { path, data, acl, flags, ttl_ms })
                    }
                    _ => MultiOp::Create(op_code(*mode), CreateRequest { path, data, acl, flags }),
                }
            }
            Verb::Delete { version } => {
                let path = self.chroot.full_to_delete(&op.path);
                MultiOp::Delete(DeleteRequest { path, version: *version })
            }
            Verb::SetData { version, .. } => {
                MultiOp::SetData(SetDataRequest { path, data, version: *version })
            }
            Verb::Check { version } => {
                MultiOp::Check(CheckVersionRequest { path, version: *version })
            }
        };
        multi_op.encode(out);
    }
}

fn results(call: &Call, answer: &Answer) -> Result<Vec<OpResult>, Error> {
    let MultiResponse { results } = call.read(answer)?;
    // A transaction that failed names the operation that did; those around it only say so.
    let failed = results.iter().enumerate().find_map(|(index, result)| match result {
        MultiResult::Error(ErrorCode::Ok | ErrorCode::RuntimeInconsistency) => None,
        MultiResult::Error(code) => Some((index, *code)),
        _ => None,
    });
    if let Some((index, code)) = failed {
        let path = call.op_paths.get(index).map(String::as_str);
        return Err(call.rejected(code).with_path(path).with_op_index(index));
    }
    if results.len() != call.op_paths.len() {
        let (answers, ops) = (results.len(), call.op_paths.len());
        let what = format!("{ops} operations were answered with {answers} results");
        return Err(call.name(Error::unexpected(call.op, what.into())));
    }
    results.into_iter().map(|result| done(call, result)).collect()
}

fn done(call: &Call, result: MultiResult<'_>) -> Result<OpResult, Error> {
    Ok(match result {
        MultiResult::Create2(created) => {
            OpResult::Created(Created { path: call.strip(&created.path)?, stat: created.stat })
        }
        MultiResult::Delete => OpResult::Deleted,
        MultiResult::SetData(stat) => OpResult::DataSet(stat),
        MultiResult::Check => OpResult::Checked,
        other => {
            let what = format!("a transaction was answered with {other:?}");
            return Err(call.name(Error::unexpected(call.op, what.into())));
        }
    })
}
