//! What Apache ZooKeeper answered, answered again: every conversation that `capture.py` recorded
//! with version 3.9.5 is held once more, and every frame compared byte by byte.

use super::*;

/// The recording; it belongs to the repository and not to the published crate.
const GOLDEN: &str = include_str!("../../../../tests/wire/golden.txt");

/// When the recorded server was started, as its session ids tell: ours are the same then, and so
/// are the passwords.
const RECORDED_START_MS: u64 = 0x1f_db41;

/// Where we differ on purpose: these operations are not for clients.
const REFUSED: [&str; 2] = ["delete_container_from_a_client", "create_session_from_a_client"];

/// Replies with lists in an order of Java's hash tables.
const UNORDERED: [&str; 8] = [
    "fresh_tree",
    "create_sequential",
    "get_children",
    "auth_digest",
    "auth_super",
    "auth_twice",
    "auth_digest_without_colon",
    "multi_success",
];

/// Blanks the times out: they are in every `Stat`.
fn timeless(frame: &[u8]) -> Vec<u8> {
    let is_time = |word: &[u8]| {
        let ms = u64::from_be_bytes(word.try_into().unwrap());
        // 2026, in the recording; the start of the clock, here.
        (1_767_225_600_000..1_798_761_600_000).contains(&ms) || ms == RECORDED_START_MS
    };
    let mut blank = frame.to_vec();
    for at in 0..frame.len().saturating_sub(7) {
        if is_time(&frame[at..at + 8]) {
            blank[at..at + 8].fill(0xaa);
        }
    }
    blank
}

fn sorted(mut frame: Vec<u8>) -> Vec<u8> {
    frame.sort_unstable();
    frame
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

impl World {
    /// Holds one recorded conversation; returns the frames that came out otherwise.
    fn hold(&mut self, name: &str, lines: &str) -> Vec<String> {
        let recorded_handshake = name.starts_with("handshake_");
        let mut conn = if recorded_handshake { self.accept() } else { self.connect_for(30_000).0 };
        let (mut said, mut faults) = ("", Vec::new());
        let mut over = false;
        for line in lines.lines().filter(|line| !line.is_empty()) {
            if over {
                conn = self.accept();
                over = false;
            }
            match line.split_at(2) {
                ("> ", hex) => self.frame(conn, &bytes(hex)),
                ("< ", hex) => {
                    let (theirs, ours) = (timeless(&bytes(hex)), self.take_frame(conn));
                    let ours = timeless(&ours.unwrap_or_default());
                    let unordered = UNORDERED.contains(&name);
                    if theirs != ours && !(unordered && sorted(theirs) == sorted(ours.clone())) {
                        faults.push(format!("{name}: {said}\n  ours {ours:02x?}"));
                    }
                }
                ("= ", "closed") => {
                    over = true;
                    if !self.is_closed(conn) {
                        faults.push(format!("{name}: not closed"));
                    }
                }
                ("= ", _) => {
                    over = true;
                    self.step(Input::Closed { conn });
                }
                _ => said = line,
            }
        }
        if let Some(frame) = self.take_frame(conn) {
            faults.push(format!("{name}: one frame too many, {frame:02x?}"));
        }
        // As the recorder does: every session that is left is closed, oldest first.
        for session in self.node.session_views() {
            self.step(Input::Expire(session.id));
        }
        faults
    }
}

#[test]
fn every_recorded_conversation_comes_out_as_with_apache() {
    let mut world = World::with(Settings { origin_ms: RECORDED_START_MS, ..Settings::fixed() });
    let (_, cases) = GOLDEN.split_once("\n[").expect("there are cases");
    let mut faults = Vec::new();
    let mut held = 0;
    for case in cases.split("\n[") {
        let (name, lines) = case.split_once("]\n").expect("a name is in brackets");
        if !REFUSED.contains(&name) {
            faults.extend(world.hold(name, lines));
            held += 1;
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(held > 100, "{held}");
}
