//! Cuts the bytes of a link into packets, and finds the end of a snapshot that follows one.

use std::ops::Range;

use znode::proto::{AclRecord, DecodeError, Decoder, FRAME_LEN_MAX, SessionId};

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

/// How many identities a request may be made for, and how many bytes they may take together: as
/// much as a client may send, since nobody can say more about itself.
const IDENTITIES_MAX: usize = 1024;
const IDENTITIES_LEN_MAX: usize = FRAME_LEN_MAX;

/// How long data, and identities, may be in the first packet of a connection, in which a learner
/// says who it is, and a leader what it leads. Until then it may be anybody.
const FIRST_LEN_MAX: usize = 256;

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
    /// Whether the first packet was there.
    has_begun: bool,
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
            return match packet(bytes, !self.has_begun) {
                Ok(Some((range, kind))) => {
                    self.has_begun = true;
                    self.snapshot = (kind == Kind::Snap).then(Scan::default);
                    Next::Packet(range)
                }
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

/// The length and the kind of a packet, if all of it is there. What is too long is refused as soon
/// as it says so.
fn packet(bytes: &[u8], is_first: bool) -> Result<Option<(Range<usize>, Kind)>, String> {
    let mut from = Decoder::new(bytes);
    match pass_packet(&mut from, is_first) {
        Ok(kind) => Ok(Some((0..bytes.len() - from.remaining(), kind))),
        Err(DecodeError::Truncated { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn pass_packet(from: &mut Decoder<'_>, is_first: bool) -> Result<Kind, DecodeError> {
    let room = |max| if is_first { FIRST_LEN_MAX } else { max };
    let kind = from.read()?;
    from.read::<i64>()?;
    pass_buffer(from, &mut room(DATA_MAX))?;
    let mut room = room(IDENTITIES_LEN_MAX);
    let identities = from.read::<i32>()?;
    let count = usize::try_from(identities).unwrap_or(0);
    if count > IDENTITIES_MAX || count * 8 > room {
        let value = identities.into();
        return Err(DecodeError::UnknownValue { what: "count of identities", value });
    }
    for _ in 0..count {
        pass_buffer(from, &mut room)?;
        pass_buffer(from, &mut room)?;
    }
    Ok(kind)
}

/// Passes over data or a word, for which there is so much room.
fn pass_buffer(from: &mut Decoder<'_>, room: &mut usize) -> Result<(), DecodeError> {
    let len: i32 = from.clone().read()?;
    let left = room.checked_sub(usize::try_from(len).unwrap_or(0));
    let too_long = DecodeError::UnknownValue { what: "length", value: len.into() };
    *room = left.ok_or(too_long)?;
    from.buffer().map(drop)
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
    use std::borrow::Cow;

    use znode::proto::{JutePut, Xid, Zxid};

    use super::*;
    use crate::zab::packet::{Forwarded, RequestInfo, put};

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

    fn request(words: &[&str]) -> Vec<u8> {
        let info = RequestInfo { session: SessionId(1), cxid: Xid(1), op: 1 };
        let word = |word: &&str| (Cow::Borrowed("digest"), Cow::Owned((*word).to_owned()));
        let authinfo = words.iter().map(word).collect();
        let mut bytes = Vec::new();
        Forwarded { info, body: b"", authinfo }.put(&mut bytes);
        bytes
    }

    /// Feeds a connection that has begun, in pieces or as a whole.
    fn outcome(bytes: &[u8], piece: usize) -> Next {
        let mut reader = Reader { has_begun: true, snapshot: None };
        let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]);
        ends.map(|end| reader.next(&bytes[..end]))
            .find(|next| *next != Next::Incomplete)
            .unwrap_or(Next::Incomplete)
    }

    #[test]
    fn many_long_words_do_not_make_a_long_packet() {
        let word = "w".repeat(FRAME_LEN_MAX / 4);
        for (words, fits) in [(&[&*word; 3][..], true), (&[&*word; 5], false)] {
            let bytes = request(words);
            for piece in [bytes.len(), 100_000] {
                let next = outcome(&bytes, piece);
                assert_eq!(matches!(next, Next::Packet(_)), fits, "{piece}");
                assert_eq!(matches!(next, Next::Broken(_)), !fits, "{piece}");
            }
        }
        // Nor does data that has arrived before its length was looked at.
        let mut bytes = Vec::new();
        put(Kind::Proposal, Zxid(5), Some(&vec![0; DATA_MAX + 1]), &mut bytes);
        assert!(matches!(outcome(&bytes, bytes.len()), Next::Broken(_)));
    }

    #[test]
    fn whoever_has_not_said_who_it_is_has_little_to_say() {
        let mut long = Vec::new();
        put(Kind::FollowerInfo, Zxid(0), Some(&[0; FIRST_LEN_MAX + 1]), &mut long);
        // Its length alone is enough.
        assert!(matches!(Reader::default().next(&long[..16]), Next::Broken(_)));
        assert!(matches!(Reader::default().next(&request(&["w"; 100])), Next::Broken(_)));
        let mut reader = Reader::default();
        let mut short = Vec::new();
        put(Kind::FollowerInfo, Zxid(0), Some(&[0; 20]), &mut short);
        assert!(matches!(reader.next(&short), Next::Packet(_)));
        assert!(matches!(reader.next(&long), Next::Packet(_)));
    }
}
