//! Answers the requests that change no node.

use std::borrow::Cow;

use znode::proto::multi::{MultiOp, MultiRequest};
use znode::proto::requests::PathRequest;
use znode::proto::{Decoder, ErrorCode, JutePut, MultiHeader, OpCode, Perms, Xid};

use crate::auth::Identity;
use crate::auth::check::{check_acl, redact};
use crate::node::Node;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::tree::node::{DataNode, NodeId, count};
use crate::tree::watches::Modes;

/// How long the results of a `multiRead` may get: far beyond what Apache's client reads, which
/// drops the connection over anything longer than its `jute.maxbuffer`. Its server bounds nothing,
/// and one frame can ask for the same node often enough to be answered with 64 GiB.
pub(crate) const MULTI_READ_LEN_MAX: usize = 64 * 1024 * 1024;

/// A path, and whether to leave a watch: the body of most reads. The path stays bytes: one that is
/// not UTF-8 names no node, and need not be checked to find that out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched<'a> {
    pub(super) path: &'a [u8],
    pub(super) watch: bool,
}

impl<'a> Watched<'a> {
    fn read(body: &'a [u8]) -> Result<Self, ErrorCode> {
        let mut from = Decoder::new(body);
        let path = path(&mut from)?;
        let watch = from.read().map_err(|_| ErrorCode::MarshallingError)?;
        Ok(Self { path, watch })
    }
}

/// A path that must not be null.
pub(super) fn path<'a>(from: &mut Decoder<'a>) -> Result<&'a [u8], ErrorCode> {
    from.buffer().ok().flatten().ok_or(ErrorCode::MarshallingError)
}

impl Node {
    /// Answers one read, as somebody known by `identities`.
    pub(crate) fn read(
        &mut self,
        to: ReplyTo,
        op: OpCode,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) {
        let answered = match op {
            OpCode::Ping => {
                // Whatever number it was sent with.
                let to = ReplyTo { xid: Xid::PING, ..to };
                self.answer(to, out, |_| {});
                Ok(())
            }
            OpCode::GetData => self.get_data(to, body, identities, out),
            OpCode::Exists => self.exists(to, body, identities, out),
            OpCode::GetChildren => self.get_children(to, body, identities, false, out),
            OpCode::GetChildren2 => self.get_children(to, body, identities, true, out),
            OpCode::Sync => self.sync(to, body, out),
            OpCode::GetAcl => self.get_acl(to, body, identities, out),
            OpCode::MultiRead => self.multi_read(to, body, identities, out),
            OpCode::GetAllChildrenNumber => self.descendants(to, body, identities, out),
            OpCode::GetEphemerals => self.get_ephemerals(to, body, out),
            OpCode::WhoAmI => {
                self.who_am_i(to, identities, out);
                Ok(())
            }
            _ => self.watching(to, op, body, out),
        };
        if let Err(error) = answered {
            out.reply(to, self.last_processed, error);
        }
    }

    /// Replies without an error.
    pub(super) fn answer(&self, to: ReplyTo, out: &mut Outbox, body: impl FnOnce(&mut Vec<u8>)) {
        out.reply_with(to, self.last_processed, ErrorCode::Ok, body);
    }

    /// A node that somebody may read.
    fn readable(&self, path: &[u8], identities: &[Identity]) -> Result<&DataNode, ErrorCode> {
        let node = self.tree.node(path).ok_or(ErrorCode::NoNode)?;
        self.check_acl(node, Perms::READ, identities)?;
        Ok(node)
    }

    fn check_acl(
        &self,
        node: &DataNode,
        wanted: Perms,
        identities: &[Identity],
    ) -> Result<(), ErrorCode> {
        check_acl(&self.schemes, &self.tree.acls, node.acl, wanted, identities)
    }

    fn get_data(
        &mut self,
        to: ReplyTo,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        let Watched { path, watch } = Watched::read(body)?;
        let node = self.readable(path, identities)?;
        self.answer(to, out, |body| {
            body.put_buffer(node.image.data());
            body.put(&node.stat());
        });
        self.leave(to, path, watch, Modes::DATA);
        Ok(())
    }

    /// Of a missing node nothing need be allowed, and the watch is left all the same.
    fn exists(
        &mut self,
        to: ReplyTo,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        let Watched { path, watch } = Watched::read(body)?;
        if path.contains(&0) {
            return Err(ErrorCode::BadArguments);
        }
        match self.readable(path, identities) {
            Err(ErrorCode::NoAuth) => return Err(ErrorCode::NoAuth),
            Err(error) => out.reply(to, self.last_processed, error),
            Ok(node) => self.answer(to, out, |body| body.put(&node.stat())),
        }
        self.leave(to, path, watch, Modes::DATA);
        Ok(())
    }

    fn get_children(
        &mut self,
        to: ReplyTo,
        body: &[u8],
        identities: &[Identity],
        with_stat: bool,
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        let Watched { path, watch } = Watched::read(body)?;
        let node = self.readable(path, identities)?;
        self.answer(to, out, |body| {
            self.put_names(node, body);
            if with_stat {
                body.put(&node.stat());
            }
        });
        self.leave(to, path, watch, Modes::CHILD);
        Ok(())
    }

    /// The empty path is another name of the root for look-ups, but a watch on it stays unheard,
    /// as it does in Apache.
    fn leave(&mut self, to: ReplyTo, path: &[u8], watch: bool, modes: Modes) {
        if watch {
            self.watches.add(path, to.conn.slot, modes);
        }
    }

    fn put_names(&self, node: &DataNode, body: &mut Vec<u8>) {
        let children = node.children();
        body.put(&count(children.len()));
        // Every child's path is the node's, a slash, and the name; the root's is the slash itself.
        let above = node.image.path();
        let behind = if above == b"/" { 1 } else { above.len() + 1 };
        for child in children {
            body.put_buffer(Some(&self.tree.at(*child).image.path()[behind..]));
        }
    }

    /// On a standalone server an ordered nothing: its place in line is all that counts.
    fn sync(&mut self, to: ReplyTo, body: &[u8], out: &mut Outbox) -> Result<(), ErrorCode> {
        let path = Decoder::new(body).buffer().map_err(|_| ErrorCode::MarshallingError)?;
        self.answer(to, out, |body| body.put_buffer(path));
        Ok(())
    }

    fn get_acl(
        &mut self,
        to: ReplyTo,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        let path = path(&mut Decoder::new(body))?;
        let node = self.tree.node(path).ok_or(ErrorCode::NoNode)?;
        self.check_acl(node, Perms::READ | Perms::ADMIN, identities)?;
        let whole = self.check_acl(node, Perms::ADMIN, identities).is_ok();
        let list = self.tree.acls.list(node.acl);
        self.answer(to, out, |body| {
            body.put(&count(list.len()));
            for acl in list {
                let id = if whole { Cow::Borrowed(&*acl.id) } else { redact(acl) };
                body.put(&acl.perms);
                body.put_string(&acl.scheme);
                body.put_string(&id);
            }
            body.put(&node.stat());
        });
        Ok(())
    }

    /// Each read stands for itself. One that has no place here fails the whole request, though not
    /// before the results in front of it were written: the reply carries them. Results that are too
    /// long fail it as well, and go nowhere.
    fn multi_read(
        &mut self,
        to: ReplyTo,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        let unreadable = |_| ErrorCode::MarshallingError;
        let request = Decoder::new(body).read::<MultiRequest<'_>>().map_err(unreadable)?;
        let is_read = |op: &MultiOp<'_>| matches!(op.op(), OpCode::GetData | OpCode::GetChildren);
        let reads = request.ops.iter().filter(|op| is_read(op)).count();
        if reads > 0 && reads < request.ops.len() {
            return Err(ErrorCode::MarshallingError);
        }
        let legal = reads == request.ops.len();
        let error = if legal { ErrorCode::Ok } else { ErrorCode::MarshallingError };
        let mut results = Vec::new();
        for op in request.ops.iter().filter(|_| legal) {
            self.put_read(op, identities, &mut results);
            if results.len() > MULTI_READ_LEN_MAX {
                return Err(ErrorCode::MarshallingError);
            }
        }
        results.put(&MultiHeader::DONE);
        out.reply_with(to, self.last_processed, error, |body| body.extend_from_slice(&results));
        Ok(())
    }

    fn put_read(&self, op: &MultiOp<'_>, identities: &[Identity], body: &mut Vec<u8>) {
        let (MultiOp::GetData(request) | MultiOp::GetChildren(request)) = op else {
            return;
        };
        let node = match self.readable(request.path.as_bytes(), identities) {
            Ok(node) => node,
            Err(error) => {
                let op = OpCode::Error.code();
                body.put(&MultiHeader { op, done: false, error: error.code() });
                return body.put(&error);
            }
        };
        body.put(&MultiHeader { op: op.op().code(), done: false, error: 0 });
        if op.op() == OpCode::GetChildren {
            return self.put_names(node, body);
        }
        body.put_buffer(node.image.data());
        body.put(&node.stat());
    }

    fn descendants(
        &mut self,
        to: ReplyTo,
        body: &[u8],
        identities: &[Identity],
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        let path = path(&mut Decoder::new(body))?;
        self.readable(path, identities)?;
        let id = self.tree.lookup(path).ok_or(ErrorCode::NoNode)?;
        let descendants = count(self.tree.descendants(id));
        self.answer(to, out, |body| body.put(&descendants));
        Ok(())
    }

    /// The prefix is a plain one of strings: `/a` also finds `/ab`.
    fn get_ephemerals(
        &mut self,
        to: ReplyTo,
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        let request = Decoder::new(body).read::<PathRequest<'_>>();
        let prefix = request.map_err(|_| ErrorCode::MarshallingError)?.path;
        let prefix = prefix.as_deref().filter(|prefix| !matches!(prefix.trim(), "" | "/"));
        let connection = self.connections.get(to.conn);
        let slot = connection.and_then(|connection| connection.phase.session());
        let Some(session) = slot.and_then(|slot| self.sessions.get(slot)) else {
            return Ok(());
        };
        let session = session.id;
        let path = |id: NodeId| self.tree.at(id).image.path();
        let matches = |id: &NodeId| path(*id).starts_with(prefix.unwrap_or_default().as_bytes());
        let nodes: Vec<NodeId> = self.tree.ephemerals().of(session).filter(matches).collect();
        self.answer(to, out, |body| {
            body.put(&count(nodes.len()));
            nodes.iter().for_each(|id| body.put_buffer(Some(path(*id))));
        });
        Ok(())
    }

    fn who_am_i(&mut self, to: ReplyTo, identities: &[Identity], out: &mut Outbox) {
        self.answer(to, out, |body| {
            body.put(&count(identities.len()));
            for identity in identities {
                body.put_string(&identity.scheme);
                body.put_string(self.schemes.user(identity));
            }
        });
    }
}
