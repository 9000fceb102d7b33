//! Replies as text in which what must differ between two servers is left out or made relative:
//! times, zxids, session ids, passwords, and the order of what has none.

use std::fmt::Write as _;

use znode::SessionId;
use znode::proto::multi::{MultiResponse, MultiResult};
use znode::proto::replies::{
    AclReply, Children2Reply, CountReply, Create2Reply, DataReply, NamesReply, PathReply,
    StatReply, SyncReply, WhoAmIReply,
};
use znode::proto::{Decoder, OpCode, ReplyHeader, Stat, WatcherEvent, Xid, Zxid};

/// What makes the numbers of one server comparable with those of another.
pub(crate) struct Scale<'a> {
    /// The last zxid before the stream.
    pub(crate) base: i64,
    /// The sessions of the stream, in the order of their opening.
    pub(crate) sessions: &'a [SessionId],
}

impl Scale<'_> {
    pub(crate) fn zxid(&self, zxid: Zxid) -> String {
        match zxid.0 {
            before if before > 0 && before <= self.base => "before".to_owned(),
            after if after > 0 => format!("+{}", after - self.base),
            odd => odd.to_string(),
        }
    }

    pub(crate) fn session(&self, id: SessionId) -> String {
        match self.sessions.iter().position(|known| *known == id) {
            _ if id == SessionId::NONE => "none".to_owned(),
            Some(at) => format!("s{at}"),
            None => "unknown".to_owned(),
        }
    }

    fn stat(&self, stat: &Stat) -> String {
        let Stat { czxid, mzxid, pzxid, version, aversion, data_length, .. } = stat;
        let (czxid, mzxid, pzxid) = (self.zxid(*czxid), self.zxid(*mzxid), self.zxid(*pzxid));
        if stat.czxid == Zxid::ZERO {
            // ZooKeeper's own nodes have a history before the stream.
            let since =
                |zxid: Zxid| if zxid.0 > self.base { self.zxid(zxid) } else { "-".to_owned() };
            return format!("[own node: m{} p{}]", since(stat.mzxid), since(stat.pzxid));
        }
        let owner = self.session(stat.ephemeral_owner);
        format!(
            "[c{czxid} m{mzxid} p{pzxid} v{} cv{} av{} owner {owner} len{data_length} n{}]",
            version.0, stat.cversion, aversion.0, stat.num_children
        )
    }

    /// A frame that answers `op`.
    pub(crate) fn reply(&self, op: i32, frame: &[u8]) -> String {
        let mut from = Decoder::new(frame);
        let Ok(header) = from.read::<ReplyHeader>() else {
            return format!("no header: {frame:02x?}");
        };
        let mut line = format!(
            "xid {} zxid {} error {}",
            header.xid.0,
            self.zxid(header.zxid),
            header.error.code()
        );
        if header.error.code() == 0 {
            match self.body(op, &mut from) {
                Some(body) => _ = write!(line, " {body}"),
                None => line.push_str(" unreadable"),
            }
        }
        if from.remaining() > 0 {
            _ = write!(line, " + {:02x?}", from.rest());
        }
        line
    }

    /// A notification, or nothing.
    pub(crate) fn event(&self, frame: &[u8]) -> Option<String> {
        let mut from = Decoder::new(frame);
        let header: ReplyHeader = from.read().ok()?;
        if header.xid != Xid::NOTIFICATION {
            return None;
        }
        let event: WatcherEvent<'_> = from.read().ok()?;
        let (zxid, error) = (self.zxid(header.zxid), header.error.code());
        Some(format!(
            "event {} state {} {:?} zxid {zxid} error {error}",
            event.kind,
            event.state,
            as_java_spells(&event.path)
        ))
    }

    fn body(&self, op: i32, from: &mut Decoder<'_>) -> Option<String> {
        let op = OpCode::try_from(op).ok()?;
        Some(match op {
            OpCode::Create => from.read::<PathReply<'_>>().ok()?.path.into_owned(),
            OpCode::Sync => {
                let path = from.read::<SyncReply<'_>>().ok()?.path;
                format!("{:?}", path.as_deref().map(as_java_spells))
            }
            OpCode::GetAllChildrenNumber => from.read::<CountReply>().ok()?.count.to_string(),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                let reply: Create2Reply<'_> = from.read().ok()?;
                format!("{} {}", reply.path, self.stat(&reply.stat))
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => {
                self.stat(&from.read::<StatReply>().ok()?.stat)
            }
            OpCode::GetData => self.data(&from.read().ok()?),
            OpCode::GetAcl => {
                let mut reply: AclReply<'_> = from.read().ok()?;
                // What stands for `auth` comes in no order, one identity behind the other.
                for same in reply.acl.chunk_by_mut(|a, b| a.perms == b.perms) {
                    same.sort_by(|a, b| (&a.id.scheme, &a.id.id).cmp(&(&b.id.scheme, &b.id.id)));
                }
                format!("{:?} {}", reply.acl, self.stat(&reply.stat))
            }
            OpCode::GetChildren | OpCode::GetEphemerals => sorted(from.read().ok()?),
            OpCode::GetChildren2 => {
                let reply: Children2Reply<'_> = from.read().ok()?;
                let names = sorted(NamesReply { names: reply.children });
                format!("{names} {}", self.stat(&reply.stat))
            }
            OpCode::Multi | OpCode::MultiRead => {
                let reply: MultiResponse<'_> = from.read().ok()?;
                let results = reply.results.iter().map(|result| self.result(result));
                results.collect::<Vec<_>>().join("; ")
            }
            OpCode::WhoAmI => {
                let mut reply: WhoAmIReply<'_> = from.read().ok()?;
                reply.client_info.sort_by(|a, b| (&a.scheme, &a.user).cmp(&(&b.scheme, &b.user)));
                format!("{:?}", reply.client_info)
            }
            _ => String::new(),
        })
    }

    fn data(&self, reply: &DataReply<'_>) -> String {
        let data = reply.data.map(|data| data.escape_ascii().to_string());
        format!("{data:?} {}", self.stat(&reply.stat))
    }

    fn result(&self, result: &MultiResult<'_>) -> String {
        match result {
            MultiResult::Create2(reply) => format!("{} {}", reply.path, self.stat(&reply.stat)),
            MultiResult::SetData(stat) => format!("set {}", self.stat(stat)),
            MultiResult::GetData(reply) => self.data(reply),
            MultiResult::GetChildren(reply) => sorted(reply.clone()),
            other => format!("{other:?}"),
        }
    }
}

fn sorted(reply: NamesReply<'_>) -> String {
    let mut names = reply.names;
    names.sort();
    format!("{names:?}")
}

/// Java encodes a character beyond the basic plane as two surrogates of three bytes each, none of
/// which is UTF-8.
fn as_java_spells(path: &str) -> String {
    let beyond = |c: char| if c > '\u{ffff}' { vec!['\u{fffd}'; 6] } else { vec![c] };
    path.chars().flat_map(beyond).collect()
}
