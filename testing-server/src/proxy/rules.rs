//! What a proxy is told to do: lasting rules, and triggers that go off once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use znode::proto::{Decoder, ReplyHeader, Xid};

/// What holds until it is changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) latency: Duration,
    pub(super) bytes_per_second: Option<u32>,
    /// Nothing passes.
    pub(super) stalled: bool,
    /// What the server sends is thrown away.
    pub(super) half_open: bool,
    /// New connections are closed.
    pub(super) refusing: bool,
    /// How often everything was cut; a connection ends when this rises.
    pub(super) cuts: u64,
    /// The same, with a reset.
    pub(super) resets: u64,
}

/// What goes off once.
#[derive(Debug, Default)]
pub(super) struct Triggers(Mutex<Armed>);

#[derive(Debug, Default)]
struct Armed {
    /// Frames left until a cut.
    frames: Option<u64>,
    lose_reply: bool,
}

/// What to do with a frame of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    /// Let it pass, then cut.
    Last,
    /// Cut without it.
    Lost,
}

impl Triggers {
    pub(super) fn cut_after(&self, frames: u64) {
        self.with(|armed| armed.frames = Some(frames));
    }

    pub(super) fn lose_next_reply(&self) {
        self.with(|armed| armed.lose_reply = true);
    }

    /// Judges a frame; `greeting` says that nothing came before it on its connection.
    pub(super) fn judge(&self, frame: &[u8], greeting: bool) -> Fate {
        self.with(|armed| {
            if armed.lose_reply && !greeting && is_reply(frame) {
                armed.lose_reply = false;
                return Fate::Lost;
            }
            match armed.frames.as_mut() {
                None => Fate::Pass,
                Some(left) if *left > 1 => {
                    *left -= 1;
                    Fate::Pass
                }
                Some(_) => {
                    armed.frames = None;
                    Fate::Last
                }
            }
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Armed) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a frame answers a request of the client's own.
fn is_reply(frame: &[u8]) -> bool {
    let header = Decoder::new(frame).read::<ReplyHeader>();
    header.is_ok_and(|header| header.xid != Xid::NOTIFICATION && header.xid != Xid::PING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(xid: Xid) -> Vec<u8> {
        [&xid.0.to_be_bytes()[..], &[0; 12]].concat()
    }

    #[test]
    fn a_trigger_goes_off_once_and_at_its_frame() {
        let triggers = Triggers::default();
        triggers.cut_after(2);
        let reply = frame(Xid(1));
        let fates = [(); 3].map(|()| triggers.judge(&reply, false));
        assert_eq!(fates, [Fate::Pass, Fate::Last, Fate::Pass]);
    }

    #[test]
    fn greetings_events_and_pings_are_no_replies() {
        let triggers = Triggers::default();
        triggers.lose_next_reply();
        assert_eq!(triggers.judge(&frame(Xid(1)), true), Fate::Pass);
        assert_eq!(triggers.judge(&frame(Xid::NOTIFICATION), false), Fate::Pass);
        assert_eq!(triggers.judge(&frame(Xid::PING), false), Fate::Pass);
        assert_eq!(triggers.judge(&frame(Xid(1)), false), Fate::Lost);
        assert_eq!(triggers.judge(&frame(Xid(2)), false), Fate::Pass);
    }
}
