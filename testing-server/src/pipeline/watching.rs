//! Answers the requests about watches: set, restored, asked for, removed.

use std::borrow::Cow;

use znode::proto::requests::{SetWatches2Request, SetWatchesRequest, WatchesRequest};
use znode::proto::{Decoder, ErrorCode, EventType, JutePut, OpCode, WatcherType, Zxid};

use super::read::path;
use crate::node::Node;
use crate::node::outbox::{Outbox, ReplyTo};
use crate::tree::node::DataNode;
use crate::tree::watches::Modes;

/// Events that make up for what a client missed carry this instead of a transaction.
const NO_ZXID: Zxid = Zxid(-1);

impl Node {
    /// Answers one request about watches.
    pub(super) fn watching(
        &mut self,
        to: ReplyTo,
        op: OpCode,
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<(), ErrorCode> {
        match op {
            OpCode::AddWatch => return self.add_watch(to, body, out),
            OpCode::CheckWatches => self.check_watches(to, body)?,
            OpCode::RemoveWatches => self.remove_watches(to, body)?,
            OpCode::SetWatches => {
                let request: SetWatchesRequest<'_> = read(body)?;
                self.set_watches(
                    to,
                    &SetWatches2Request {
                        relative_zxid: request.relative_zxid,
                        data: request.data,
                        exist: request.exist,
                        child: request.child,
                        persistent: Vec::new(),
                        persistent_recursive: Vec::new(),
                    },
                    out,
                );
            }
            OpCode::SetWatches2 => self.set_watches(to, &read(body)?, out),
            _ => return Err(ErrorCode::Unimplemented),
        }
        self.answer(to, out, |_| {});
        Ok(())
    }

    /// The node need not exist, and nothing need be allowed: what may not be read is not told.
    fn add_watch(&mut self, to: ReplyTo, body: &[u8], out: &mut Outbox) -> Result<(), ErrorCode> {
        let mut from = Decoder::new(body);
        let path = path(&mut from)?;
        let mode: i32 = from.read().map_err(|_| ErrorCode::MarshallingError)?;
        let modes = match mode {
            0 => Modes::PERSISTENT,
            1 => Modes::RECURSIVE,
            _ => return Err(ErrorCode::MarshallingError),
        };
        self.watches.add(path, to.conn.slot, modes);
        self.answer(to, out, |body| body.put(&ErrorCode::Ok));
        Ok(())
    }

    fn check_watches(&self, to: ReplyTo, body: &[u8]) -> Result<(), ErrorCode> {
        let (path, modes) = watches_request(body)?;
        let found = self.watches.contains(path.as_bytes(), to.conn.slot, modes);
        if found { Ok(()) } else { Err(ErrorCode::NoWatcher) }
    }

    fn remove_watches(&mut self, to: ReplyTo, body: &[u8]) -> Result<(), ErrorCode> {
        let (path, modes) = watches_request(body)?;
        let removed = self.watches.remove(path.as_bytes(), to.conn.slot, modes);
        if removed { Ok(()) } else { Err(ErrorCode::NoWatcher) }
    }

    /// Restores watches after a reconnect. Whatever happened since `relative_zxid` is told at once,
    /// and no permission is asked; persistent watches alone are not made up for.
    fn set_watches(&mut self, to: ReplyTo, request: &SetWatches2Request<'_>, out: &mut Outbox) {
        let seen = request.relative_zxid;
        let data = |node: Option<&DataNode>| match node {
            None => Some(EventType::NodeDeleted),
            Some(node) => (node.mzxid > seen).then_some(EventType::NodeDataChanged),
        };
        let exist = |node: Option<&DataNode>| node.map(|_| EventType::NodeCreated);
        let child = |node: Option<&DataNode>| match node {
            None => Some(EventType::NodeDeleted),
            Some(node) => (node.pzxid > seen).then_some(EventType::NodeChildrenChanged),
        };
        self.restore(to, &request.data, Modes::DATA, data, out);
        self.restore(to, &request.exist, Modes::DATA, exist, out);
        self.restore(to, &request.child, Modes::CHILD, child, out);
        self.restore(to, &request.persistent, Modes::PERSISTENT, |_| None, out);
        self.restore(to, &request.persistent_recursive, Modes::RECURSIVE, |_| None, out);
    }

    fn restore(
        &mut self,
        to: ReplyTo,
        paths: &[Cow<'_, str>],
        modes: Modes,
        missed: impl Fn(Option<&DataNode>) -> Option<EventType>,
        out: &mut Outbox,
    ) {
        for path in paths {
            let path = path.as_bytes();
            if let Some(event) = missed(self.tree.node(path)) {
                let range = out.event(event, path, NO_ZXID);
                out.send(to.conn, range);
            } else {
                self.watches.add(path, to.conn.slot, modes);
            }
        }
    }
}

fn read<'a, T: znode::proto::Decode<'a>>(body: &'a [u8]) -> Result<T, ErrorCode> {
    Decoder::new(body).read().map_err(|_| ErrorCode::MarshallingError)
}

fn watches_request(body: &[u8]) -> Result<(Cow<'_, str>, Modes), ErrorCode> {
    let request: WatchesRequest<'_> = read(body)?;
    let kind = WatcherType::try_from(request.kind).ok();
    let modes = kind.and_then(Modes::of).ok_or(ErrorCode::MarshallingError)?;
    Ok((request.path, modes))
}
