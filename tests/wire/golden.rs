//! What went over the wire between Apache ZooKeeper and a client, byte by byte.
//!
//! `golden.txt` is written by `capture.py`, which speaks to a real server and shares no line with
//! our codec. Every frame is held against it twice: what we decode, told in its notation, is what
//! it says above the frame; and what we encode again is the frame.

use znode::proto::{ErrorCode, Xid};

use crate::frames::{Conversation, Reading};

const GOLDEN: &str = include_str!("golden.txt");

/// Cases that are about more than the frames of one operation and its reply.
const APART: [&str; 1] = [
    // The reply is a second handshake, which only a server that is asked for it would send.
    "create_session_from_a_client",
];

/// Cases in which reading is meant to lose something.
const LOSSY: [&str; 2] = [
    // Bytes that are no text are replaced.
    "create_invalid_utf8",
    // A count below -1 reads as none.
    "unreasonable_lengths",
];

#[derive(Debug)]
struct Case {
    name: &'static str,
    lines: Vec<Line>,
}

/// A frame with what `capture.py` says of it, or the end of a connection.
#[derive(Debug)]
enum Line {
    Client(&'static str, Vec<u8>),
    Server(&'static str, Vec<u8>),
    /// The server has hung up.
    Closed,
    /// The client has hung up.
    Hangup,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut comment = "";
    for line in GOLDEN.lines() {
        if let Some(said) = line.strip_prefix('#') {
            comment = said.trim();
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').expect("a name is in brackets");
            let lines = Vec::new();
            cases.push(Case { name, lines });
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let case = cases.last_mut().expect("a name comes first");
        case.lines.push(match line.split_at(2) {
            ("> ", hex) => Line::Client(comment, bytes(hex)),
            ("< ", hex) => Line::Server(comment, bytes(hex)),
            ("= ", "closed") => Line::Closed,
            ("= ", "hangup") => Line::Hangup,
            _ => panic!("{line:?} is no line of a golden file"),
        });
    }
    cases.retain(|case| !APART.contains(&case.name));
    cases
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

impl Case {
    fn conversation(&self) -> Conversation {
        if self.name.starts_with("handshake_") {
            Conversation::default()
        } else {
            Conversation::after_handshake()
        }
    }

    /// Decodes every frame and hands each with its comment to `judge`, which says what is wrong.
    /// A frame of the client that cannot be decoded is judged elsewhere; one of the server must.
    fn judge(&self, mut judge: impl FnMut(&str, &[u8], Reading) -> Option<String>) -> Vec<String> {
        let mut conversation = self.conversation();
        let mut faults = Vec::new();
        for line in &self.lines {
            let fault = match line {
                Line::Client(said, frame) => match conversation.client(frame) {
                    Ok(reading) => judge(said, frame, reading),
                    Err(_) => None,
                },
                Line::Server(said, frame) => match conversation.server(frame) {
                    Ok(reading) => judge(said, frame, reading),
                    Err(error) => Some(format!("cannot read {said:?}: {error}")),
                },
                Line::Closed | Line::Hangup => {
                    conversation = self.conversation();
                    None
                }
            };
            faults.extend(fault.map(|fault| format!("{}: {fault}", self.name)));
        }
        faults
    }
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// What `capture.py` says of a frame, without the number of the request, and that number.
fn without_xid(said: &str) -> (String, Option<i32>) {
    let is_xid = |word: &&str| word.starts_with("xid=");
    let xid = said.split(' ').find(is_xid);
    let rest: Vec<&str> = said.split(' ').filter(|word| !is_xid(word)).collect();
    let xid = xid.map(|word| word["xid=".len()..].parse().unwrap());
    (rest.join(" "), xid)
}

#[test]
fn every_frame_says_to_us_what_it_says_to_the_recorder() {
    let mut faults = Vec::new();
    for case in cases() {
        faults.extend(case.judge(|said, _, reading| {
            let mut told = reading.told;
            if reading.left > 0 {
                told = format!("{told} and {} more bytes", reading.left);
            }
            let (said, xid) = without_xid(said);
            if told != said {
                return Some(format!("{told:?} is {said:?} to the recorder"));
            }
            let differs = xid.is_some_and(|xid| reading.xid != Some(Xid(xid)));
            differs.then(|| format!("{said:?} has {:?}", reading.xid))
        }));
    }
    assert_none(&faults);
}

#[test]
fn every_frame_is_encoded_as_it_was() {
    let mut faults = Vec::new();
    for case in cases() {
        if LOSSY.contains(&case.name) {
            continue;
        }
        faults.extend(case.judge(|said, frame, reading| {
            let (frame, _) = frame.split_at(frame.len() - reading.left);
            (reading.bytes != frame).then(|| format!("{said:?} is encoded as {:?}", reading.bytes))
        }));
    }
    assert_none(&faults);
}

#[test]
fn what_we_cannot_read_the_server_could_not_read_either() {
    for case in cases() {
        let mut conversation = case.conversation();
        // The numbers of requests that we could not read, up to their replies.
        let mut unread: Vec<Option<Xid>> = Vec::new();
        for line in &case.lines {
            match line {
                Line::Client(_, frame) => {
                    if conversation.client(frame).is_err() {
                        let xid = frame.first_chunk().map(|xid| Xid(i32::from_be_bytes(*xid)));
                        unread.push(xid);
                    }
                }
                Line::Server(said, frame) => {
                    let Ok(reading) = conversation.server(frame) else {
                        continue;
                    };
                    let Some(at) = unread.iter().position(|xid| *xid == reading.xid) else {
                        continue;
                    };
                    unread.remove(at);
                    let code = reading.error;
                    assert_eq!(code, ErrorCode::MarshallingError, "{}: {said}", case.name);
                }
                Line::Closed | Line::Hangup => {
                    conversation = case.conversation();
                    unread.clear();
                }
            }
        }
        assert!(unread.is_empty(), "{}: {unread:?}", case.name);
    }
}

#[test]
fn the_recording_is_as_rich_as_we_think() {
    let cases = cases();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let frames: usize = cases.iter().map(|case| case.lines.len()).sum();
    assert!(frames >= 500, "{frames} frames");
    for telling in [
        "handshake_resume",
        "multi_failed",
        "events_of_one_multi",
        "set_watches_all_missed",
        "who_am_i",
        "check_outside_multi",
    ] {
        assert!(cases.iter().any(|case| case.name == telling), "{telling}");
    }
}
