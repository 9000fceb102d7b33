//! A snapshot: sessions, access control lists and nodes, as they were at one zxid.

use std::collections::BTreeMap;
use std::fmt;

use simd_adler32::Adler32;
use znode::proto::{AclRecord, DecodeError, Decoder, Encode, JutePut, SessionId, Zxid};
use znode::record;

use super::Damage;
use super::record::{PathBytes, acl_records};
use crate::session::SessionTracker;
use crate::tree::Tree;
use crate::tree::acl_cache::AclId;
use crate::tree::digest::{DIGEST_VERSION, Meta};
use crate::tree::freeze::FrozenNode;

/// `ZKSN`, version 2, database -1.
const FILE_HEADER: [u8; 16] = *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";

/// What ends a list of nodes, and every part of a file: a string.
const END: &[u8] = b"/";

/// The length of the end as it is written, length included.
const END_LEN: usize = 5;

/// The number of the list that allows everything to everybody. It is not in the file.
const OPEN_ACL: i64 = -1;

/// Where the numbers of other lists begin.
const FIRST_ACL: i64 = 1;

record! {
    packed
    /// The metadata of a node, as it is kept.
    #[derive(Copy)]
    pub struct StatPersisted {
        /// The transaction that created it.
        pub czxid: Zxid,
        /// The transaction that last wrote its data.
        pub mzxid: Zxid,
        /// When it was created.
        pub ctime_ms: i64,
        /// When its data was last written.
        pub mtime_ms: i64,
        /// How often its data was written.
        pub version: i32,
        /// How many children were ever created.
        pub cversion: i32,
        /// How often its access control list was written.
        pub aversion: i32,
        /// Its owner, in the stored encoding.
        pub owner: i64,
        /// The transaction that last created or deleted a child.
        pub pzxid: Zxid,
    }
}

record! {
    /// A node without its path.
    pub struct NodeRecord<'a> {
        /// Its data.
        pub data: Option<&'a [u8]>,
        /// The number of its access control list.
        pub acl: i64,
        /// Its metadata.
        pub stat: StatPersisted,
    }
}

/// The digest that a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredDigest {
    /// The transaction after which it holds; zero if there is none.
    pub(crate) zxid: Zxid,
    /// The version of the formula.
    pub(crate) version: i32,
    /// The digest.
    pub(crate) digest: i64,
}

/// A snapshot as it was read.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    /// Every session, with its timeout in milliseconds.
    pub(crate) sessions: Vec<(SessionId, i32)>,
    /// The lists that nodes refer to.
    pub(crate) acls: BTreeMap<i64, Vec<AclRecord<'a>>>,
    /// Every node, parents first; the path of the root is empty.
    pub(crate) nodes: Vec<(&'a [u8], NodeRecord<'a>)>,
    /// A digest of the tree.
    pub(crate) digest: Option<StoredDigest>,
    /// The last transaction that it holds.
    pub(crate) last_processed: Option<Zxid>,
}

impl<'a> Snapshot<'a> {
    /// Whether a file looks whole, without reading it: its last write was the end of a part.
    pub(crate) fn looks_whole(bytes: &[u8]) -> bool {
        bytes.len() >= 10 && bytes.ends_with(&[0, 0, 0, 1, b'/'])
    }

    /// Reads what a leader sends over a link: no header, no checksums, no digest.
    ///
    /// # Errors
    /// It is not as a leader would send it.
    pub(crate) fn read_body(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut reader =
            Reader { bytes, from: Decoder::new(bytes), sum: Adler32::new(), summed: 0 };
        let mut read = || {
            let (sessions, acls) = (reader.sessions()?, reader.acls()?);
            Ok(Self { sessions, acls, nodes: reader.nodes()?, digest: None, last_processed: None })
        };
        let read: Result<Self, DecodeError> = read();
        read.map_err(|why| Damage::new(reader.at(), why.to_string()))
    }

    /// Reads a file. Parts that only newer servers write may be missing.
    ///
    /// # Errors
    /// It is no snapshot, or not as it was written.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Damage> {
        if !bytes.starts_with(&FILE_HEADER) {
            return Err(Damage::new(0, "this is not the header of a snapshot"));
        }
        if !Self::looks_whole(bytes) {
            return Err(Damage::new(bytes.len(), "the file has no proper end"));
        }
        let mut reader =
            Reader { bytes, from: Decoder::new(bytes), sum: Adler32::new(), summed: 0 };
        reader.read().map_err(|why| Damage::new(reader.at(), why))
    }
}

/// Reads the parts of a file and compares what they are sealed with.
struct Reader<'a> {
    bytes: &'a [u8],
    from: Decoder<'a>,
    /// Over everything before `summed`.
    sum: Adler32,
    summed: usize,
}

impl<'a> Reader<'a> {
    fn at(&self) -> usize {
        self.bytes.len() - self.from.remaining()
    }

    fn read(&mut self) -> Result<Snapshot<'a>, String> {
        let told = |error: DecodeError| error.to_string();
        self.from.take("header", FILE_HEADER.len()).map_err(told)?;
        let sessions = self.sessions().map_err(told)?;
        let acls = self.acls().map_err(told)?;
        let nodes = self.nodes().map_err(told)?;
        self.seal()?;
        let mut digest = None;
        let mut last_processed = None;
        if self.from.remaining() > 0 {
            digest = Some(self.digest().map_err(told)?);
            self.seal()?;
        }
        if self.from.remaining() > 0 {
            last_processed = Some(self.from.read().map_err(told)?);
            self.seal()?;
        }
        Ok(Snapshot { sessions, acls, nodes, digest, last_processed })
    }

    fn sessions(&mut self) -> Result<Vec<(SessionId, i32)>, DecodeError> {
        let count: i32 = self.from.read()?;
        (0..count).map(|_| Ok((self.from.read()?, self.from.read()?))).collect()
    }

    fn acls(&mut self) -> Result<BTreeMap<i64, Vec<AclRecord<'a>>>, DecodeError> {
        let count: i32 = self.from.read()?;
        (0..count).map(|_| Ok((self.from.read()?, self.from.read()?))).collect()
    }

    fn nodes(&mut self) -> Result<Vec<(&'a [u8], NodeRecord<'a>)>, DecodeError> {
        let mut nodes = Vec::new();
        loop {
            let PathBytes(path) = self.from.read()?;
            if path == END {
                return Ok(nodes);
            }
            nodes.push((path, self.from.read()?));
        }
    }

    fn digest(&mut self) -> Result<StoredDigest, DecodeError> {
        let (zxid, version) = (self.from.read()?, self.from.read()?);
        // The first formula's digests were text; nothing is compared with them.
        let digest = match version {
            ..DIGEST_VERSION => self.from.string().map(|_| 0)?,
            _ => self.from.read()?,
        };
        Ok(StoredDigest { zxid, version, digest })
    }

    fn seal(&mut self) -> Result<(), String> {
        let at = self.at();
        self.sum.write(&self.bytes[self.summed..at]);
        self.summed = at;
        let sum: i64 = self.from.read().map_err(|error: DecodeError| error.to_string())?;
        if sum != i64::from(self.sum.finish()) {
            return Err("the checksum is wrong".to_owned());
        }
        match self.from.take("end", END_LEN) {
            Ok([0, 0, 0, 1, b'/']) => Ok(()),
            _ => Err("a checksum without an end".to_owned()),
        }
    }
}

/// How many bytes of the head only a file has.
pub(crate) const FILE_HEADER_LEN: usize = FILE_HEADER.len();

/// What ends the nodes.
pub(crate) fn put_end(out: &mut Vec<u8>) {
    out.put(&PathBytes(END));
}

/// Appends what stands before the nodes: sessions, and the lists that nodes refer to.
pub(crate) fn put_head(tree: &Tree, sessions: &SessionTracker, out: &mut Vec<u8>) {
    out.extend_from_slice(&FILE_HEADER);
    let opened: Vec<_> = sessions.iter().filter(|session| session.is_opened()).collect();
    out.put_len(opened.len());
    for session in opened {
        out.put(&session.id);
        out.put(&i32::try_from(session.timeout.as_millis()).unwrap_or(i32::MAX));
    }
    let lists: Vec<AclId> = tree.acls.ids().filter(|id| *id != AclId::OPEN).collect();
    out.put_len(lists.len());
    for id in lists {
        out.put(&acl_number(id));
        out.put(&acl_records(&tree.acls, id));
    }
}

/// Appends a node.
pub(crate) fn put_node(node: &FrozenNode<'_>, out: &mut Vec<u8>) {
    let path = match node.image.path() {
        b"/" => b"",
        path => path,
    };
    out.put(&PathBytes(path));
    let acl = acl_number(node.acl);
    out.put(&NodeRecord { data: node.image.data(), acl, stat: stat(&node.meta) });
}

/// What seals the parts of a snapshot: a checksum over everything before.
pub(crate) struct Seal(Adler32);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seal").field(&self.0.finish()).finish()
    }
}

impl Seal {
    /// The seal of an empty file.
    pub(crate) fn new() -> Self {
        Self(Adler32::new())
    }

    /// Takes in bytes of the file.
    pub(crate) fn note(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// What stands behind the last node.
    pub(crate) fn tail(&mut self, digest: StoredDigest, last_processed: Zxid) -> Vec<u8> {
        let mut out = Vec::new();
        out.put(&PathBytes(END));
        self.put(&mut out, 0);
        let from = out.len();
        out.put(&digest.zxid);
        out.put(&digest.version);
        out.put(&digest.digest);
        self.put(&mut out, from);
        let from = out.len();
        out.put(&last_processed);
        self.put(&mut out, from);
        out
    }

    /// Seals what was appended from there on.
    fn put(&mut self, out: &mut Vec<u8>, from: usize) {
        self.note(&out[from..]);
        let from = out.len();
        i64::from(self.0.finish()).encode(out);
        out.put(&PathBytes(END));
        self.note(&out[from..]);
    }
}

fn acl_number(id: AclId) -> i64 {
    match id {
        AclId::OPEN => OPEN_ACL,
        id => FIRST_ACL + i64::from(id.number()),
    }
}

fn stat(meta: &Meta) -> StatPersisted {
    StatPersisted {
        czxid: meta.czxid,
        mzxid: meta.mzxid,
        ctime_ms: meta.ctime_ms,
        mtime_ms: meta.mtime_ms,
        version: meta.version,
        cversion: meta.cversion,
        aversion: meta.aversion,
        owner: meta.owner,
        pzxid: meta.pzxid,
    }
}
