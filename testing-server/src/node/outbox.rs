//! What the server wants done, as one ordered list: "persist, then send" can be read in it.

use std::ops::Range;

use znode::proto::{ErrorCode, EventType, JutePut, KeeperState, Xid, Zxid};

use super::faults::Losses;
use super::input::{ConfigKind, ConnId, EpochKind, LinkKind};
use crate::admin::stats::Sent;
use crate::quorum::member::MemberAddress;
use crate::quorum::{QuorumConfig, Sid};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send bytes of the [`Outbox`] to a client. One range may go to many of them.
    Send {
        /// The connection.
        conn: ConnId,
        /// Which bytes: whole frames, lengths included.
        range: Range<usize>,
    },
    /// Send what was asked before, then close the connection.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// Write a transaction to the disk and report it with
    /// [`Persisted`](super::input::Input::Persisted).
    Append {
        /// Which one.
        zxid: Zxid,
        /// Which bytes, as a log holds them; none if no disk wants them.
        range: Range<usize>,
    },
    /// Write an epoch to the disk, behind everything before it, and report it with
    /// [`EpochSaved`](super::input::Input::EpochSaved).
    SaveEpoch {
        /// Which.
        kind: EpochKind,
        /// The epoch.
        epoch: u32,
    },
    /// Write a configuration to the disk, behind everything before it. Nothing waits for that
    /// alone: what does comes behind it.
    SaveConfig {
        /// Which.
        kind: ConfigKind,
        /// The configuration.
        config: Box<QuorumConfig>,
    },
    /// Write a snapshot of another server to the disk, behind everything before it; once it is
    /// there, nothing that was there before may come back.
    SaveSnapshot {
        /// The transaction after which it holds.
        zxid: Zxid,
        /// Which bytes, as a file holds them.
        range: Range<usize>,
    },
    /// Cut off what the log holds behind a transaction, so that it never comes back.
    Truncate {
        /// The last that stays.
        zxid: Zxid,
    },
    /// As [`Truncate`](Self::Truncate), and read the files anew.
    Reload {
        /// The last that stays.
        zxid: Zxid,
    },
    /// Connect to a server and report it with [`LinkDialed`](super::input::Input::LinkDialed).
    Dial {
        /// What for.
        kind: LinkKind,
        /// To whom.
        to: Sid,
        /// Where it may be: hosts and ports, one as good as the other.
        addresses: Vec<(String, u16)>,
    },
    /// Let learners connect, or no longer.
    Listen {
        /// Whether they may.
        open: bool,
    },
    /// Be found elsewhere from now on: by other servers.
    Move {
        /// Where.
        addresses: Vec<MemberAddress>,
    },
    /// Be found elsewhere from now on: by clients.
    MoveClients {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// Stop for good: going on would tell clients what is not so.
    Halt {
        /// Why.
        why: String,
    },
}

/// The list, and the bytes that it refers to. It is emptied and used again, so that a step
/// allocates nothing of its own.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    outputs: Vec<Output>,
    arena: Vec<u8>,
    /// What was sent since the server was started.
    sent: Sent,
    /// Frames to each connection, by its slot.
    sent_by_slot: Vec<u64>,
    /// The last transaction that was asked to be written since somebody looked.
    appended: Option<Zxid>,
    /// Epochs that were asked to be written since somebody looked.
    saved: Vec<(EpochKind, u32)>,
    /// Replies that a test wants to be lost.
    pub(crate) losses: Losses,
}

/// How large an emptied arena may stay. A listing of many children may have blown it up.
const ARENA_KEPT: usize = 256 * 1024;

impl Outbox {
    /// What is to be done, in order.
    pub(crate) fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Bytes that an output refers to.
    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.arena[range.clone()]
    }

    /// Empties the list once everything in it was done.
    pub(crate) fn clear(&mut self) {
        self.outputs.clear();
        self.arena.clear();
        self.arena.shrink_to(ARENA_KEPT);
    }

    /// What was sent since the server was started.
    pub(crate) fn sent(&self) -> Sent {
        self.sent
    }

    /// How many frames a connection was sent.
    pub(crate) fn sent_to(&self, conn: ConnId) -> u64 {
        self.sent_by_slot.get(conn.slot as usize).copied().unwrap_or(0)
    }

    /// Counts everything anew.
    pub(crate) fn forget_sent(&mut self) {
        self.sent = Sent::default();
    }

    /// Counts what a connection is sent anew.
    pub(crate) fn forget_sent_to(&mut self, conn: ConnId) {
        let slot = conn.slot as usize;
        if self.sent_by_slot.len() <= slot {
            self.sent_by_slot.resize(slot + 1, 0);
        }
        self.sent_by_slot[slot] = 0;
    }

    /// The last transaction that was asked to be written since the last call: for a disk that
    /// needs no time.
    pub(crate) fn take_appended(&mut self) -> Option<Zxid> {
        self.appended.take()
    }

    /// Asks for a connection to be closed.
    pub(crate) fn close(&mut self, conn: ConnId) {
        self.outputs.push(Output::Close { conn });
    }

    /// Keeps the bytes that `write` appends, for [`append`](Self::append).
    pub(crate) fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.arena.len();
        write(&mut self.arena);
        start..self.arena.len()
    }

    /// Forgets the bytes that were kept last, of which nothing has become.
    pub(crate) fn take_back_entry(&mut self, range: &Range<usize>) {
        debug_assert_eq!(range.end, self.arena.len(), "others may refer to what is behind");
        self.arena.truncate(range.start);
    }

    /// Asks for a transaction to be written; `range` is what a log holds of it.
    pub(crate) fn append(&mut self, zxid: Zxid, range: Range<usize>) {
        self.outputs.push(Output::Append { zxid, range });
        self.appended = Some(zxid);
    }

    /// Asks for a transaction to be written that is there already as a log holds it.
    pub(crate) fn append_bytes(&mut self, zxid: Zxid, bytes: &[u8]) {
        let range = self.entry(|arena| arena.extend_from_slice(bytes));
        self.append(zxid, range);
    }

    /// Asks for an epoch to be written.
    pub(crate) fn save_epoch(&mut self, kind: EpochKind, epoch: u32) {
        self.outputs.push(Output::SaveEpoch { kind, epoch });
        self.saved.push((kind, epoch));
    }

    /// Asks for a configuration to be written.
    pub(crate) fn save_config(&mut self, kind: ConfigKind, config: &QuorumConfig) {
        self.outputs.push(Output::SaveConfig { kind, config: Box::new(config.clone()) });
    }

    /// The first epoch that was asked to be written and not been taken: for a disk that needs no
    /// time.
    pub(crate) fn take_saved(&mut self) -> Option<(EpochKind, u32)> {
        (!self.saved.is_empty()).then(|| self.saved.remove(0))
    }

    /// Asks for a snapshot to be written.
    pub(crate) fn save_snapshot(&mut self, zxid: Zxid, bytes: &[u8]) {
        let range = self.entry(|arena| arena.extend_from_slice(bytes));
        self.outputs.push(Output::SaveSnapshot { zxid, range });
    }

    /// Asks for the log to be cut.
    pub(crate) fn truncate(&mut self, zxid: Zxid) {
        self.outputs.push(Output::Truncate { zxid });
    }

    /// Asks for the log to be cut, and for what is left.
    pub(crate) fn reload(&mut self, zxid: Zxid) {
        self.outputs.push(Output::Reload { zxid });
    }

    /// Asks for a connection to a server.
    pub(crate) fn dial(&mut self, kind: LinkKind, to: Sid, addresses: Vec<(String, u16)>) {
        self.outputs.push(Output::Dial { kind, to, addresses });
    }

    /// Opens or closes the port for learners.
    pub(crate) fn listen(&mut self, open: bool) {
        self.outputs.push(Output::Listen { open });
    }

    /// Has other servers find this one elsewhere.
    pub(crate) fn move_to(&mut self, addresses: &[MemberAddress]) {
        self.outputs.push(Output::Move { addresses: addresses.to_vec() });
    }

    /// Has clients find this server elsewhere.
    pub(crate) fn move_clients(&mut self, host: &str, port: u16) {
        self.outputs.push(Output::MoveClients { host: host.to_owned(), port });
    }

    /// Stops the server.
    pub(crate) fn halt(&mut self, why: String) {
        self.outputs.push(Output::Halt { why });
    }

    /// Encodes a packet between servers; whoever must get it is sent the range.
    pub(crate) fn encode_packet(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        self.entry(write)
    }

    /// Sends a packet that `write` fills to a server.
    pub(crate) fn packet(&mut self, link: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let range = self.entry(write);
        self.send_bytes(link, range);
    }

    /// Sends bytes to a server as they are.
    pub(crate) fn raw(&mut self, link: ConnId, bytes: &[u8]) {
        self.packet(link, |arena| arena.extend_from_slice(bytes));
    }

    /// Sends a frame that `write` fills.
    pub(crate) fn frame(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let range = self.encode(write);
        self.send(conn, range);
    }

    /// Sends text that is no frame.
    pub(crate) fn text(&mut self, conn: ConnId, text: &str) {
        let start = self.arena.len();
        self.arena.extend_from_slice(text.as_bytes());
        self.outputs.push(Output::Send { conn, range: start..self.arena.len() });
    }

    /// Sends a reply with a body.
    pub(crate) fn reply_with(
        &mut self,
        to: ReplyTo,
        zxid: Zxid,
        error: ErrorCode,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        if !self.losses.is_empty() && self.losses.takes(to, error) {
            return self.close(to.conn);
        }
        self.frame(to.conn, |buffer| {
            put_header(buffer, to.xid, zxid, error);
            body(buffer);
        });
    }

    /// Sends a reply that is a header and nothing else.
    pub(crate) fn reply(&mut self, to: ReplyTo, zxid: Zxid, error: ErrorCode) {
        self.reply_with(to, zxid, error, |_| {});
    }

    /// Encodes a notification; whoever must hear of it is sent the range.
    pub(crate) fn event(&mut self, event: EventType, path: &[u8], zxid: Zxid) -> Range<usize> {
        self.encode(|buffer| {
            put_header(buffer, Xid::NOTIFICATION, zxid, ErrorCode::Ok);
            buffer.put(&event.code());
            buffer.put(&KeeperState::SyncConnected.code());
            buffer.put_buffer(Some(path));
        })
    }

    /// Sends bytes that were encoded before; neighbouring bytes to one connection become one send.
    pub(crate) fn send(&mut self, conn: ConnId, range: Range<usize>) {
        self.sent.frames += 1;
        if let Some(sent) = self.sent_by_slot.get_mut(conn.slot as usize) {
            *sent += 1;
        }
        self.send_bytes(conn, range);
    }

    /// Sends bytes that are no frame for a client.
    pub(crate) fn send_bytes(&mut self, conn: ConnId, range: Range<usize>) {
        if !self.losses.is_empty() && self.losses.has_cut(conn) {
            return;
        }
        match self.outputs.last_mut() {
            Some(Output::Send { conn: last, range: sent })
                if *last == conn && sent.end == range.start =>
            {
                sent.end = range.end;
            }
            _ => self.outputs.push(Output::Send { conn, range }),
        }
    }

    fn encode(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(&[0; 4]);
        write(&mut self.arena);
        let end = self.arena.len();
        let len = i32::try_from(end - start - 4).expect("replies are bounded by the tree's memory");
        self.arena[start..start + 4].copy_from_slice(&len.to_be_bytes());
        self.sent.encoded(end - start - 4);
        start..end
    }
}

/// Whom a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    /// The connection.
    pub(crate) conn: ConnId,
    /// The number that the client gave its request.
    pub(crate) xid: Xid,
}

/// A reply header in one piece: this is on the path of every reply.
fn put_header(buffer: &mut Vec<u8>, xid: Xid, zxid: Zxid, error: ErrorCode) {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&xid.0.to_be_bytes());
    header[4..12].copy_from_slice(&zxid.0.to_be_bytes());
    header[12..].copy_from_slice(&error.code().to_be_bytes());
    buffer.extend_from_slice(&header);
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONN: ConnId = ConnId { slot: 1, generation: 0 };
    const OTHER: ConnId = ConnId { slot: 2, generation: 0 };

    #[test]
    fn neighbouring_frames_to_one_connection_become_one_send() {
        let mut out = Outbox::default();
        let to = |conn| ReplyTo { conn, xid: Xid(7) };
        out.reply(to(CONN), Zxid(1), ErrorCode::Ok);
        out.reply(to(CONN), Zxid(2), ErrorCode::NoNode);
        out.reply(to(OTHER), Zxid(3), ErrorCode::Ok);
        let sends = [(CONN, 0..40), (OTHER, 40..60)];
        assert_eq!(out.outputs(), sends.map(|(conn, range)| Output::Send { conn, range }));
        assert_eq!(out.bytes(&(0..4)), 16_i32.to_be_bytes());
        out.clear();
        assert!(out.outputs().is_empty());
    }

    #[test]
    fn an_event_is_encoded_once_for_everybody() {
        let mut out = Outbox::default();
        let range = out.event(EventType::NodeCreated, b"/a", Zxid(9));
        out.send(CONN, range.clone());
        out.send(OTHER, range.clone());
        assert_eq!(out.outputs().len(), 2);
        assert_eq!(range.len(), 4 + 16 + 8 + 4 + 2);
    }
}
