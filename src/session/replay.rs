//! How a new connection is told which watches stand: `setWatches`, in batches.

use std::borrow::Cow;

use super::watches::{WatchKind, Watches};
use crate::proto::requests::{SetWatches2Request, SetWatchesRequest};
use crate::proto::{JutePut, OpCode, Zxid};

/// How many bytes of paths one request carries. ZooKeeper's own client has the same bound: a
/// server refuses frames of more than a mebibyte, and the connection with them (ZOOKEEPER-706).
pub(super) const BATCH_BYTES_MAX: usize = 128 * 1024;

/// The requests that restore every watch, in order; or all but the persistent ones. Changes after
/// `last_zxid` are told at once.
pub(super) fn requests(
    watches: &Watches,
    last_zxid: Zxid,
    with_persistent: bool,
) -> Vec<(OpCode, Box<[u8]>)> {
    const ONE_SHOT: [WatchKind; 3] = [WatchKind::Data, WatchKind::Exist, WatchKind::Child];
    const PERSISTENT: [WatchKind; 2] = [WatchKind::Persistent, WatchKind::PersistentRecursive];

    let mut requests = Vec::new();
    let mut batch = Batch::new(last_zxid);
    let persistent = PERSISTENT.into_iter().filter(|_| with_persistent);
    for kind in ONE_SHOT.into_iter().chain(persistent) {
        for path in watches.paths(kind) {
            if batch.bytes > 0 && batch.bytes + path.len() > BATCH_BYTES_MAX {
                requests.push(batch.encode());
                batch = Batch::new(last_zxid);
            }
            batch.add(kind, path);
        }
    }
    if batch.bytes > 0 {
        requests.push(batch.encode());
    }
    requests
}

struct Batch<'a> {
    request: SetWatches2Request<'a>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(relative_zxid: Zxid) -> Self {
        let request = SetWatches2Request {
            relative_zxid,
            data: vec![],
            exist: vec![],
            child: vec![],
            persistent: vec![],
            persistent_recursive: vec![],
        };
        Self { request, bytes: 0 }
    }

    fn add(&mut self, kind: WatchKind, path: &'a str) {
        let list = match kind {
            WatchKind::Data => &mut self.request.data,
            WatchKind::Exist => &mut self.request.exist,
            WatchKind::Child => &mut self.request.child,
            WatchKind::Persistent => &mut self.request.persistent,
            WatchKind::PersistentRecursive => &mut self.request.persistent_recursive,
        };
        list.push(Cow::Borrowed(path));
        self.bytes += path.len();
    }

    /// Servers before 3.6 know the shorter request only, so it is used where it suffices.
    fn encode(self) -> (OpCode, Box<[u8]>) {
        let mut body = Vec::with_capacity(self.bytes * 2);
        let request = self.request;
        if request.persistent.is_empty() && request.persistent_recursive.is_empty() {
            let SetWatches2Request { relative_zxid, data, exist, child, .. } = request;
            body.put(&SetWatchesRequest { relative_zxid, data, exist, child });
            (OpCode::SetWatches, body.into())
        } else {
            body.put(&request);
            (OpCode::SetWatches2, body.into())
        }
    }
}
