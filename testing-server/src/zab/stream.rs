//! Cuts the bytes of a link into packets, and finds the end of a snapshot that follows one.

use std::ops::Range;

use znode::proto::{AclRecord, DecodeError, Decoder, IdRecord, SessionId};

use super::packet::{Kind, SNAPSHOT_END};
use crate::log::record::PathBytes;
use crate::log::snapshot::NodeRecord;

/// The longest frame of a client that one server can pass on to another.
pub(crate) const FORWARDED_LEN_MAX: usize = 2 * 1024 * 1024;

/// The longest data of a packet: twice what a client may send, and some, as Apache has it. It is
/// bounded before anything is kept of it.
const DATA_MAX: usize = FORWARDED_LEN_MAX + 1024;

/// The longest transaction that a packet can carry. An observer may get one with the number of a
/// server before it.
pub(crate) const ENTRY_LEN_MAX: usize = DATA_MAX - 8;

/// How many identities a request may be made for, and how long each of their words may be.
const IDENTITIES_MAX: usize = 1024;

/// What stands at the front of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// A packet.
    Packet(Range<usize>),
    /// A snapshot, without what marks its end; and how many bytes it took with that.
    Snapshot(Range<usize>, usize),
    /// Something whose end has not arrived.
    Incomplete,
    /// Nothing that a server would send.
    Broken(String),
}

/// Where in the talk of a link the next byte stands.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// How far a snapshot that is arriving was looked at.
    snapshot: Option<Scan>,
}

#[derive(Debug, Default)]
struct Scan {
    at: usize,
    part: Part,
}

#[derive(Debug, Default, Clone, Copy)]
enum Part {
    #[default]
    SessionCount,
    Sessions(i32),
    AclCount,
    Acls(i32),
    Nodes,
    End,
}

impl Reader {
    /// What `bytes` begin with. They begin where the last thing that was returned has ended.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Next {
        let Some(scan) = &mut self.snapshot else {
            return match packet(bytes) {
                Ok(Some((range, Kind::Snap))) => {
                    self.snapshot = Some(Scan::default());
                    Next::Packet(range)
                }
                Ok(Some((range, _))) => Next::Packet(range),
                Ok(None) => Next::Incomplete,
                Err(why) => Next::Broken(why),
            };
        };
        match scan.run(bytes) {
            Ok(()) => {
                let (body, all) = (scan.at - SNAPSHOT_END.len() - 4, scan.at);
                self.snapshot = None;
                Next::Snapshot(0..body, all)
            }
            Err(DecodeError::Truncated { needed, .. }) if needed <= DATA_MAX => Next::Incomplete,
            Err(error) => Next::Broken(error.to_string()),
        }
    }
}

/// The length and the kind of a packet, if all of it is there.
fn packet(bytes: &[u8]) -> Result<Option<(Range<usize>, Kind)>, String> {
    let mut from = Decoder::new(bytes);
    let mut read = || -> Result<Kind, DecodeError> {
        let kind = from.read()?;
        from.read::<i64>()?;
        from.buffer()?;
        let identities = from.read::<i32>()?;
        let limit = i32::try_from(IDENTITIES_MAX).unwrap_or(i32::MAX);
        if identities > limit {
            let value = identities.into();
            return Err(DecodeError::UnknownValue { what: "count of identities", value });
        }
        for _ in 0..identities {
            from.read::<IdRecord<'_>>()?;
        }
        Ok(kind)
    };
    match read() {
        Ok(kind) => Ok(Some((0..bytes.len() - from.remaining(), kind))),
        Err(DecodeError::Truncated { needed, .. }) if needed <= DATA_MAX => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

impl Scan {
    /// Goes on as far as there are bytes: item by item, so that nothing is looked at twice.
    fn run(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        loop {
            let mut from = Decoder::new(bytes.get(self.at..).unwrap_or_default());
            let (part, done) = match self.part {
                Part::SessionCount => (Part::Sessions(from.read()?), false),
                Part::Sessions(..=0) => (Part::AclCount, false),
                Part::Sessions(left) => {
                    from.read::<SessionId>()?;
                    from.read::<i32>()?;
                    (Part::Sessions(left - 1), false)
                }
                Part::AclCount => (Part::Acls(from.read()?), false),
                Part::Acls(..=0) => (Part::Nodes, false),
                Part::Acls(left) => {
                    from.read::<i64>()?;
                    from.read::<Vec<AclRecord<'_>>>()?;
                    (Part::Acls(left - 1), false)
                }
                Part::Nodes => {
                    let PathBytes(path) = from.read()?;
                    if path == b"/" {
                        (Part::End, false)
                    } else {
                        from.read::<NodeRecord<'_>>()?;
                        (Part::Nodes, false)
                    }
                }
                Part::End => {
                    let end = from.buffer()?;
                    if end != Some(SNAPSHOT_END) {
                        return Err(DecodeError::UnexpectedNull("end of a snapshot"));
                    }
                    (Part::End, true)
                }
            };
            self.at = bytes.len() - from.remaining();
            self.part = part;
            if done {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use znode::proto::{JutePut, Zxid};

    use super::*;
    use crate::zab::packet::put;

    #[test]
    fn packets_and_a_snapshot_are_found_wherever_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        put(Kind::Snap, Zxid(5), None, &mut bytes);
        let snap = bytes.len();
        bytes.extend(
            crate::node::Node::new(crate::node::settings::Settings::fixed()).snapshot_body(),
        );
        let body = bytes.len() - snap;
        bytes.put_buffer(Some(SNAPSHOT_END));
        let end = bytes.len();
        put(Kind::NewLeader, Zxid(9), Some(b"version=0"), &mut bytes);
        let mut reader = Reader::default();
        let (mut start, mut found) = (0, Vec::new());
        for len in 0..=bytes.len() {
            let next = reader.next(&bytes[start..len]);
            match &next {
                Next::Incomplete => continue,
                Next::Packet(range) => start += range.end,
                Next::Snapshot(_, all) => start += all,
                Next::Broken(why) => panic!("{why}"),
            }
            found.push(next);
        }
        let expected = [
            Next::Packet(0..snap),
            Next::Snapshot(0..body, end - snap),
            Next::Packet(0..bytes.len() - end),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn lengths_that_no_server_sends_are_refused_before_the_bytes_arrive() {
        let mut bytes = Vec::new();
        put(Kind::Proposal, Zxid(5), None, &mut bytes);
        bytes.truncate(12);
        bytes.extend(0x7fff_ffff_i32.to_be_bytes());
        assert!(matches!(Reader::default().next(&bytes), Next::Broken(_)));
        let mut bytes = Vec::new();
        put(Kind::Proposal, Zxid(5), None, &mut bytes);
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&0x7fff_ffff_i32.to_be_bytes());
        assert!(matches!(Reader::default().next(&bytes), Next::Broken(_)));
        assert!(matches!(Reader::default().next(b"GET / HTTP/1.1"), Next::Broken(_)));
    }
}
