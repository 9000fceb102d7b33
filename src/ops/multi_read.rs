//! Several independent reads in one request.

use bytes::Bytes;

use super::data;
use crate::client::Client;
use crate::error::Error;
use crate::path;
use crate::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
use crate::proto::requests::ReadRequest;
use crate::proto::{JutePut, OpCode, Stat};
use crate::reply::{Call, Reply};
use crate::session::{Answer, WatchEffect};

const NAME: &str = "multi_read";

/// One read of a [`multi_read`](Client::multi_read).
///
/// ```
/// use znode::ReadOp;
///
/// let reads = [ReadOp::get_data("/rate"), ReadOp::get_children("/workers")];
/// assert_eq!(reads[1].path(), "/workers");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOp {
    path: String,
    verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    GetData,
    GetChildren,
}

/// The result of one read of a [`multi_read`](Client::multi_read).
///
/// ```no_run
/// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
/// use znode::{ReadOp, ReadResult};
///
/// for result in client.multi_read([ReadOp::get_data("/a"), ReadOp::get_children("/b")]).await? {
///     match result {
///         Ok(ReadResult::Data(data, stat)) => println!("{data:?}, version {}", stat.version),
///         Ok(ReadResult::Children(names)) => println!("{names:?}"),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadResult {
    /// The data and metadata of a node.
    Data(Bytes, Stat),
    /// The names of a node's children, in no order.
    Children(Vec<String>),
}

impl ReadOp {
    /// Reads the data and metadata of a node.
    pub fn get_data(path: impl Into<String>) -> Self {
        Self { path: path.into(), verb: Verb::GetData }
    }

    /// Lists the children of a node.
    pub fn get_children(path: impl Into<String>) -> Self {
        Self { path: path.into(), verb: Verb::GetChildren }
    }

    /// The node that it is about.
    ///
    /// ```
    /// use znode::ReadOp;
    ///
    /// let reads = [ReadOp::get_data("/a"), ReadOp::get_children("/")];
    /// assert_eq!(reads.map(|read| read.path().to_owned()), ["/a", "/"]);
    /// ```
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Client {
    /// Carries out several reads in one request. Each succeeds or fails on its own; together they
    /// show the tree at one point in time.
    ///
    /// ```no_run
    /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
    /// use znode::ReadOp;
    ///
    /// let reads = [ReadOp::get_data("/a"), ReadOp::get_children("/b")];
    /// for result in client.multi_read(reads).await? {
    ///     println!("{:?}", result?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Of the whole: those of the connection; `InvalidPath` before anything is sent;
    /// `Unimplemented` by servers before 3.6. Of each read: `NoNode`, `NoAuth`.
    pub fn multi_read(
        &self,
        ops: impl IntoIterator<Item = ReadOp>,
    ) -> Reply<Vec<Result<ReadResult, Error>>> {
        let ops: Vec<ReadOp> = ops.into_iter().collect();
        for (index, op) in ops.iter().enumerate() {
            if let Err(invalid) = path::validate(&op.path) {
                return Reply::refused(Error::invalid_path(NAME, invalid).with_op_index(index));
            }
        }
        let encode = |out: &mut Vec<u8>| {
            let ops = ops.iter().map(|op| {
                let read = ReadRequest { path: self.chroot.full(&op.path), watch: false };
                match op.verb {
                    Verb::GetData => MultiOp::GetData(read),
                    Verb::GetChildren => MultiOp::GetChildren(read),
                }
            });
            out.put(&MultiRequest { ops: ops.collect() });
        };
        let call = Call {
            op_paths: ops.iter().map(|op| op.path.clone()).collect(),
            ..Call::new(NAME, None, &self.chroot)
        };
        let decode = |call: &mut Call, answer: &Answer| results(call, answer);
        self.submit(OpCode::MultiRead, call, WatchEffect::None, None, encode, decode)
    }
}

fn results(call: &Call, answer: &Answer) -> Result<Vec<Result<ReadResult, Error>>, Error> {
    let MultiResponse { results } = call.read(answer)?;
    if results.len() != call.op_paths.len() {
        let (answers, ops) = (results.len(), call.op_paths.len());
        let what = format!("{ops} reads were answered with {answers} results");
        return Err(call.name(Error::unexpected(NAME, what.into())));
    }
    let read = results.into_iter().enumerate().map(|(index, result)| match result {
        MultiResult::GetData(reply) => {
            let data = data::owned(reply.data, answer);
            let data = call.decoded(data).map_err(|error| {
                let path = call.op_paths.get(index).map(String::as_str);
                error.with_path(path).with_op_index(index)
            });
            Ok(data.map(|data| ReadResult::Data(data, reply.stat)))
        }
        MultiResult::GetChildren(reply) => {
            let names = reply.names.into_iter().map(std::borrow::Cow::into_owned);
            Ok(Ok(ReadResult::Children(names.collect())))
        }
        MultiResult::Error(code) => {
            let path = call.op_paths.get(index).map(String::as_str);
            Ok(Err(Error::rejected(NAME, code).with_path(path).with_op_index(index)))
        }
        other => {
            let what = format!("a read was answered with {other:?}");
            Err(call.name(Error::unexpected(NAME, what.into())))
        }
    });
    read.collect()
}
