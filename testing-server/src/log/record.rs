//! A transaction as a record: what stands between the checksum and the end mark in a log.

use znode::proto::{
    AclRecord, Decode, DecodeError, Decoder, Encode, JutePut, OpCode, SessionId, Xid, Zxid,
};
use znode::record;

use crate::pipeline::txn::{Change, Txn};
use crate::tree::NewNode;
use crate::tree::acl_cache::{AclCache, AclId};
use crate::tree::containers::OwnerKind;
use crate::tree::digest::DIGEST_VERSION;

/// The types of transactions that are not also operations of clients.
const CREATE_SESSION: i32 = -10;
const CLOSE_SESSION: i32 = -11;
const ERROR: i32 = -1;

/// How deep transactions are nested: a multi holds no multi.
const DEPTH_MAX: u32 = 1;

/// A path. It has been through a request, or through Java: it is UTF-8, and never null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathBytes<'a>(pub(crate) &'a [u8]);

impl<'a> Decode<'a> for PathBytes<'a> {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        from.buffer()?.map(Self).ok_or(DecodeError::UnexpectedNull("path"))
    }
}

impl Encode for PathBytes<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_buffer(Some(self.0));
    }
}

record! {
    packed
    /// What stands before every transaction.
    #[derive(Copy)]
    pub struct TxnHeader {
        /// The session that asked for it.
        pub session: SessionId,
        /// The number that its client gave the request.
        pub cxid: Xid,
        /// Its place in the order of all writes.
        pub zxid: Zxid,
        /// The wall clock, in milliseconds since 1970.
        pub time_ms: i64,
        /// Which record follows.
        pub kind: i32,
    }
}

record! {
    packed
    /// The digest of the tree behind a transaction.
    #[derive(Copy)]
    pub struct TxnDigest {
        /// The version of the formula.
        pub version: i32,
        /// The digest.
        pub digest: i64,
    }
}

/// The length of a digest behind a transaction.
const DIGEST_LEN: usize = 12;

record! {
    /// Creates a node; the oldest servers leave the last field out.
    pub struct CreateTxn<'a> {
        /// The node.
        pub path: PathBytes<'a>,
        /// Its data.
        pub data: Option<&'a [u8]>,
        /// Its access control list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// Whether it goes with the session.
        pub ephemeral: bool,
        /// The parent's count of creations after this one.
        pub parent_cversion: i32,
    }
}

record! {
    /// Creates a node, as the oldest servers wrote it.
    pub struct CreateTxnV0<'a> {
        /// The node.
        pub path: PathBytes<'a>,
        /// Its data.
        pub data: Option<&'a [u8]>,
        /// Its access control list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// Whether it goes with the session.
        pub ephemeral: bool,
    }
}

record! {
    /// Creates a container.
    pub struct CreateContainerTxn<'a> {
        /// The node.
        pub path: PathBytes<'a>,
        /// Its data.
        pub data: Option<&'a [u8]>,
        /// Its access control list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// The parent's count of creations after this one.
        pub parent_cversion: i32,
    }
}

record! {
    /// Creates a node with a time to live.
    pub struct CreateTtlTxn<'a> {
        /// The node.
        pub path: PathBytes<'a>,
        /// Its data.
        pub data: Option<&'a [u8]>,
        /// Its access control list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// The parent's count of creations after this one.
        pub parent_cversion: i32,
        /// The time to live, in milliseconds.
        pub ttl_ms: i64,
    }
}

record! {
    /// Writes data.
    pub struct SetDataTxn<'a> {
        /// The node.
        pub path: PathBytes<'a>,
        /// Its data from then on.
        pub data: Option<&'a [u8]>,
        /// Its version from then on.
        pub version: i32,
    }
}

record! {
    /// Writes an access control list.
    pub struct SetAclTxn<'a> {
        /// The node.
        pub path: PathBytes<'a>,
        /// The list.
        pub acl: Option<Vec<AclRecord<'a>>>,
        /// Its version from then on.
        pub version: i32,
    }
}

record! {
    /// A part of a multi: a type, and the record that it has by itself.
    pub struct SubTxn<'a> {
        /// Which record follows.
        pub kind: i32,
        /// The record.
        pub data: Option<&'a [u8]>,
    }
}

/// What a logged transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// Creates a node.
    Create {
        /// The node.
        path: &'a [u8],
        /// Its data.
        data: Option<&'a [u8]>,
        /// Its access control list.
        acl: Vec<AclRecord<'a>>,
        /// Its owner, in the stored encoding.
        owner: i64,
        /// The parent's count of creations; -1 stands for one more than it has.
        parent_cversion: i32,
        /// Whether the count is raised even if the node is there already, which only the plainest
        /// of creates does.
        plain: bool,
    },
    /// Deletes a node.
    Delete(&'a [u8]),
    /// Writes data.
    SetData(SetDataTxn<'a>),
    /// Writes an access control list.
    SetAcl(SetAclTxn<'a>),
    /// Does several things at once.
    Multi(Vec<Self>),
    /// Begins a session with this timeout.
    CreateSession(i32),
    /// Ends a session; old logs do not say which nodes go with it.
    CloseSession(Vec<&'a [u8]>),
    /// Compared a version, which was found right.
    Check,
    /// Does none of several things; the results say why.
    FailedMulti(Vec<i32>),
    /// Does nothing: it was refused.
    Error(i32),
}

/// A transaction as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged<'a> {
    /// Who, when, and in which place.
    pub(crate) header: TxnHeader,
    /// What.
    pub(crate) body: Body<'a>,
    /// What the tree is to be afterwards.
    pub(crate) digest: Option<TxnDigest>,
}

impl<'a> Logged<'a> {
    /// Whether a transaction makes another configuration, by its header alone.
    pub(crate) fn is_reconfig(entry: &[u8]) -> bool {
        let header = Decoder::new(entry).read::<TxnHeader>();
        header.is_ok_and(|header| header.kind == OpCode::Reconfig.code())
    }

    /// Reads a transaction, and the digest that may follow it.
    ///
    /// # Errors
    /// The record does not fit its type, or the type is none that a log may hold.
    pub(crate) fn read(entry: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(entry);
        let header: TxnHeader = from.read()?;
        let body = body(header.kind, header.session, &mut from, DEPTH_MAX)?;
        let has_digest = from.remaining() >= DIGEST_LEN;
        let digest = if has_digest { Some(from.read()?) } else { None };
        Ok(Self { header, body, digest })
    }
}

fn body<'a>(
    kind: i32,
    session: SessionId,
    from: &mut Decoder<'a>,
    depth: u32,
) -> Result<Body<'a>, DecodeError> {
    let unknown = DecodeError::UnknownValue { what: "transaction type", value: kind.into() };
    match kind {
        CREATE_SESSION => return from.read().map(Body::CreateSession),
        CLOSE_SESSION if names_no_paths(from) => return Ok(Body::CloseSession(Vec::new())),
        CLOSE_SESSION => {
            let paths: Vec<PathBytes<'a>> = from.read()?;
            return Ok(Body::CloseSession(paths.iter().map(|path| path.0).collect()));
        }
        ERROR => return from.read::<i32>().map(Body::Error),
        _ => {}
    }
    match OpCode::try_from(kind).map_err(|_| unknown.clone())? {
        OpCode::Create | OpCode::Create2 => plain_create(kind, session, from),
        OpCode::CreateContainer => {
            let CreateContainerTxn { path, data, acl, parent_cversion } = from.read()?;
            Ok(create(path, data, acl, OwnerKind::Container, parent_cversion))
        }
        OpCode::CreateTtl => {
            let CreateTtlTxn { path, data, acl, parent_cversion, ttl_ms } = from.read()?;
            Ok(create(path, data, acl, OwnerKind::Ttl(ttl_ms), parent_cversion))
        }
        OpCode::Delete | OpCode::DeleteContainer => {
            from.read::<PathBytes<'_>>().map(|path| Body::Delete(path.0))
        }
        OpCode::SetData | OpCode::Reconfig => from.read().map(Body::SetData),
        OpCode::SetAcl => from.read().map(Body::SetAcl),
        OpCode::Check => {
            from.read::<PathBytes<'_>>()?;
            from.read::<i32>().map(|_| Body::Check)
        }
        OpCode::Multi if depth > 0 => multi(session, from, depth - 1),
        _ => Err(unknown),
    }
}

/// Whether a session ends without a word of its nodes, as in old logs and by a setting of newer
/// servers: then nothing follows, or a digest. That is never taken for paths, since two of them
/// would have to be empty to be as short.
fn names_no_paths(from: &Decoder<'_>) -> bool {
    let is_digest = || {
        let version = from.clone().read::<i32>();
        from.remaining() == DIGEST_LEN && version.is_ok_and(|version| version == DIGEST_VERSION)
    };
    from.remaining() < 4 || is_digest()
}

fn plain_create<'a>(
    kind: i32,
    session: SessionId,
    from: &mut Decoder<'a>,
) -> Result<Body<'a>, DecodeError> {
    let mut older = from.clone();
    let txn = match from.read::<CreateTxn<'a>>() {
        Ok(txn) => txn,
        Err(error) if kind != OpCode::Create.code() => return Err(error),
        Err(_) => {
            let CreateTxnV0 { path, data, acl, ephemeral } = older.read()?;
            CreateTxn { path, data, acl, ephemeral, parent_cversion: -1 }
        }
    };
    let owner = if txn.ephemeral { session.0 } else { 0 };
    Ok(Body::Create {
        path: txn.path.0,
        data: txn.data,
        acl: txn.acl.unwrap_or_default(),
        owner,
        parent_cversion: txn.parent_cversion,
        plain: kind == OpCode::Create.code(),
    })
}

fn create<'a>(
    path: PathBytes<'a>,
    data: Option<&'a [u8]>,
    acl: Option<Vec<AclRecord<'a>>>,
    owner: OwnerKind,
    parent_cversion: i32,
) -> Body<'a> {
    let (acl, owner) = (acl.unwrap_or_default(), owner.encode());
    Body::Create { path: path.0, data, acl, owner, parent_cversion, plain: false }
}

/// A multi of which anything has failed does nothing, and neither do its parts.
fn multi<'a>(
    session: SessionId,
    from: &mut Decoder<'a>,
    depth: u32,
) -> Result<Body<'a>, DecodeError> {
    let parts: Vec<SubTxn<'a>> = from.read()?;
    if parts.iter().any(|part| part.kind == ERROR) {
        let error = |part: &SubTxn<'a>| {
            Decoder::new(part.data.unwrap_or_default()).read().unwrap_or_default()
        };
        return Ok(Body::FailedMulti(parts.iter().map(error).collect()));
    }
    let read = |part: &SubTxn<'a>| {
        let mut from = Decoder::new(part.data.unwrap_or_default());
        body(part.kind, session, &mut from, depth)
    };
    parts.iter().map(read).collect::<Result<_, _>>().map(Body::Multi)
}

/// Appends a transaction: its header, its record, and the digest of the tree behind it.
pub(crate) fn put_txn(txn: &Txn, cxid: Xid, acls: &AclCache, out: &mut Vec<u8>) {
    let (session, zxid, time_ms) = (txn.session, txn.zxid, txn.time_ms);
    out.put(&TxnHeader { session, cxid, zxid, time_ms, kind: kind(&txn.change) });
    put_change(&txn.change, acls, out);
    if let Some(digest) = txn.digest {
        out.put(&TxnDigest { version: DIGEST_VERSION, digest: digest.cast_signed() });
    }
}

fn kind(change: &Change) -> i32 {
    match change {
        Change::Create(op, _) => op.code(),
        Change::Delete(_) => OpCode::Delete.code(),
        Change::SetData { .. } => OpCode::SetData.code(),
        Change::Reconfig { .. } => OpCode::Reconfig.code(),
        Change::SetAcl { .. } => OpCode::SetAcl.code(),
        Change::Check { .. } => OpCode::Check.code(),
        Change::Multi(_) | Change::FailedMulti(_) => OpCode::Multi.code(),
        Change::CreateSession(_) => CREATE_SESSION,
        Change::CloseSession(_) => CLOSE_SESSION,
        Change::Error(_) => ERROR,
    }
}

fn put_change(change: &Change, acls: &AclCache, out: &mut Vec<u8>) {
    match change {
        Change::Create(op, new) => put_create(*op, new, acls, out),
        Change::Delete(path) => out.put(&PathBytes(path)),
        Change::SetData { image, version } => {
            let path = PathBytes(image.path());
            out.put(&SetDataTxn { path, data: image.data(), version: *version });
        }
        Change::Reconfig { image, .. } => {
            let path = PathBytes(image.path());
            out.put(&SetDataTxn { path, data: image.data(), version: -1 });
        }
        Change::SetAcl { path, acl, version } => {
            let acl = Some(acl_records(acls, *acl));
            out.put(&SetAclTxn { path: PathBytes(path), acl, version: *version });
        }
        Change::Check { path, version } => {
            out.put(&PathBytes(path));
            out.put(version);
        }
        Change::Multi(changes) => {
            out.put_len(changes.len());
            for change in changes {
                put_part(kind(change), out, |out| put_change(change, acls, out));
            }
        }
        Change::FailedMulti(errors) => {
            out.put_len(errors.len());
            for error in errors {
                put_part(ERROR, out, |out| out.put(&error.code()));
            }
        }
        Change::CreateSession(timeout) => {
            out.put(&i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
        }
        Change::CloseSession(paths) => {
            out.put_len(paths.len());
            paths.iter().for_each(|path| out.put(&PathBytes(path)));
        }
        Change::Error(error) => out.put(&error.code()),
    }
}

fn put_create(op: OpCode, new: &NewNode, acls: &AclCache, out: &mut Vec<u8>) {
    let path = PathBytes(new.image.path());
    let (data, parent_cversion) = (new.image.data(), new.parent_cversion);
    let acl = Some(acl_records(acls, new.acl));
    match (op, OwnerKind::of(new.owner)) {
        (OpCode::CreateContainer, _) => {
            out.put(&CreateContainerTxn { path, data, acl, parent_cversion });
        }
        (OpCode::CreateTtl, OwnerKind::Ttl(ttl_ms)) => {
            out.put(&CreateTtlTxn { path, data, acl, parent_cversion, ttl_ms });
        }
        (_, owner) => {
            let ephemeral = owner.is_ephemeral();
            out.put(&CreateTxn { path, data, acl, ephemeral, parent_cversion });
        }
    }
}

/// Appends a part of a multi, whose record has its length before it.
fn put_part(kind: i32, out: &mut Vec<u8>, record: impl FnOnce(&mut Vec<u8>)) {
    out.put(&kind);
    let start = out.len();
    out.put_len(0);
    record(out);
    let len = i32::try_from(out.len() - start - 4).expect("a frame holds less than 2 GiB");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// A list as it is written.
pub(super) fn acl_records(acls: &AclCache, id: AclId) -> Vec<AclRecord<'_>> {
    let list = acls.list(id).iter();
    list.map(|acl| AclRecord::new(acl.perms, &*acl.scheme, &*acl.id)).collect()
}
