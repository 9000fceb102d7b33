//! What must be known of a connection to read its frames: which operation each reply answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::describe;
use super::{Direction, TappedFrame, TappedKind, WireTap};
use crate::connect_string::HostPort;
use crate::proto::{
    ConnectRequest, ConnectResponse, Decoder, OpCode, ReplyHeader, RequestHeader, WatcherEvent, Xid,
};

/// Reads the frames of one connection after the other, and shows them.
pub(crate) struct Following {
    tap: Arc<dyn WireTap>,
    server: HostPort,
    /// What each side has not done yet.
    client_greets: bool,
    server_greets: bool,
    /// Requests without an answer, in order; answers come in the same.
    asked: VecDeque<(Xid, Option<OpCode>)>,
}

impl Following {
    pub(crate) fn new(tap: Arc<dyn WireTap>) -> Self {
        let server = HostPort::new("", 0);
        Self { tap, server, client_greets: true, server_greets: true, asked: VecDeque::new() }
    }

    /// A new connection is made.
    pub(crate) fn connecting(&mut self, server: &HostPort) {
        self.server = server.clone();
        (self.client_greets, self.server_greets) = (true, true);
        self.asked.clear();
    }

    /// Whole frames, each with its length, are about to be sent.
    pub(crate) fn sent(&mut self, at: Duration, mut frames: &[u8]) {
        while let Some((length, rest)) = frames.split_first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let (frame, rest) = rest.split_at(len.min(rest.len()));
            let (kind, record) = self.request(frame);
            self.show(Direction::Sent, at, kind, &record, frame.len());
            frames = rest;
        }
    }

    /// A frame has come in.
    pub(crate) fn received(&mut self, at: Duration, frame: &[u8]) {
        let (kind, record) = self.reply(frame);
        self.show(Direction::Received, at, kind, &record, frame.len());
    }

    fn show(&self, direction: Direction, at: Duration, kind: TappedKind, record: &str, len: usize) {
        let server = &self.server;
        self.tap.frame(&TappedFrame { direction, at, server, kind, record, len });
    }

    fn request(&mut self, frame: &[u8]) -> (TappedKind, String) {
        let mut from = Decoder::new(frame);
        if std::mem::take(&mut self.client_greets) {
            return match from.read::<ConnectRequest<'_>>() {
                Ok(hello) => (TappedKind::Handshake, format!("{hello:?}")),
                Err(_) => (TappedKind::Garbled, String::new()),
            };
        }
        let Ok(RequestHeader { xid, op }) = from.read() else {
            return (TappedKind::Garbled, String::new());
        };
        let op = OpCode::try_from(op).ok();
        if xid.0 > 0 {
            self.asked.push_back((xid, op));
        }
        let record = describe::request(op, &mut from);
        (TappedKind::Request { xid, op }, record)
    }

    fn reply(&mut self, frame: &[u8]) -> (TappedKind, String) {
        let mut from = Decoder::new(frame);
        if std::mem::take(&mut self.server_greets) {
            return match from.read::<ConnectResponse<'_>>() {
                Ok(hello) => (TappedKind::Handshake, format!("{hello:?}")),
                Err(_) => (TappedKind::Garbled, String::new()),
            };
        }
        let Ok(ReplyHeader { xid, zxid, error }) = from.read() else {
            return (TappedKind::Garbled, String::new());
        };
        let op = match xid {
            Xid::NOTIFICATION => {
                let event = from.read::<WatcherEvent<'_>>();
                let record = match event {
                    Ok(event) => format!("{event:?}"),
                    Err(error) => describe::garbled(&error),
                };
                return (TappedKind::Notification { zxid }, record);
            }
            Xid::PING => Some(OpCode::Ping),
            Xid::AUTH => Some(OpCode::Auth),
            _ => self.asked.pop_front().filter(|(asked, _)| *asked == xid).and_then(|(_, op)| op),
        };
        let record = describe::reply(op, error, &mut from);
        (TappedKind::Reply { xid, zxid, error, op }, record)
    }
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").field("server", &self.server).finish_non_exhaustive()
    }
}
