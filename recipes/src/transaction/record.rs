//! What stands in the nodes of a transaction: lines that an operator can read, then the payload.
//!
//! Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::decision::{AbortReason, Decision, Party, Vote};

/// What such a node begins with, and its version.
const FIRST: &str = "znode-transaction-1";

/// What a transaction is about, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charter {
    /// What tells this transaction from one of the same id that was there before: it ends the names
    /// of the children.
    pub(super) guid: String,
    /// For how long one waits for the decision before one aborts it, in whole milliseconds.
    pub(super) patience: Duration,
    /// None of them twice, and at least one.
    pub(super) participants: Vec<String>,
    pub(super) payload: Vec<u8>,
}

/// The data of a transaction's node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) charter: Charter,
    pub(super) decision: Option<Decision>,
}

impl Charter {
    /// The name of a participant's node.
    pub(super) fn node_of(&self, participant: &str) -> String {
        format!("{participant}-{}", self.guid)
    }
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Charter { guid, patience, participants, payload } = &self.charter;
        let mut lines = vec![FIRST.to_owned(), format!("guid {guid}")];
        lines.push(format!("patience-ms {}", patience.as_millis()));
        lines.extend(participants.iter().map(|name| format!("participant {name}")));
        if let Some(decision) = &self.decision {
            let word = if decision.is_committed() { "committed" } else { "aborted" };
            lines.push(format!("decision {word}"));
            lines.push(match decision.by() {
                Party::Coordinator => "by-coordinator".to_owned(),
                Party::Participant(name) => format!("by-participant {name}"),
            });
            if let Decision::Aborted { reason, .. } = decision {
                lines.extend(reason_lines(reason));
            }
        }
        let mut data = lines.join("\n").into_bytes();
        data.extend_from_slice(b"\n\n");
        data.extend_from_slice(payload);
        data
    }

    /// What stands there; `None` if it is nothing of this recipe.
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let end = data.windows(2).position(|two| two == b"\n\n")?;
        let (head, payload) = (std::str::from_utf8(&data[..end]).ok()?, &data[end + 2..]);
        let mut lines = Lines(head.split('\n').collect());
        if lines.next()? != FIRST {
            return None;
        }
        let guid = lines.value("guid").filter(|guid| is_name(guid))?.to_owned();
        let ms = lines.value("patience-ms")?.parse().ok()?;
        let participants = lines.values("participant");
        let once: BTreeSet<_> = participants.iter().collect();
        let are_names = participants.iter().all(|name| is_name(name));
        if participants.is_empty() || !are_names || once.len() != participants.len() {
            return None;
        }
        let decision = match lines.value("decision") {
            None => None,
            Some(word) => Some(lines.decision(word, &participants)?),
        };
        let (patience, payload) = (Duration::from_millis(ms), payload.to_vec());
        let charter = Charter { guid, patience, participants, payload };
        lines.0.is_empty().then_some(Self { charter, decision })
    }
}

/// A participant's node: nothing before it has voted.
pub(super) fn encode_vote(vote: Option<Vote>) -> &'static str {
    match vote {
        None => "",
        Some(Vote::Yes) => "yes",
        Some(Vote::No) => "no",
    }
}

/// What a participant has voted, if it has; `None` if something else stands there.
pub(super) fn decode_vote(data: &[u8]) -> Option<Option<Vote>> {
    [None, Some(Vote::Yes), Some(Vote::No)]
        .into_iter()
        .find(|vote| encode_vote(*vote).as_bytes() == data)
}

/// Whether a part of a node's name can stand in a line.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '/' || c.is_control())
}

fn reason_lines(reason: &AbortReason) -> Vec<String> {
    match reason {
        AbortReason::Refused => vec!["reason refused".to_owned()],
        AbortReason::Withdrawn => vec!["reason withdrawn".to_owned()],
        AbortReason::Late { missing } => {
            let missing = missing.iter().map(|name| format!("missing {name}"));
            std::iter::once("reason late".to_owned()).chain(missing).collect()
        }
    }
}

/// The lines that are yet to be read.
struct Lines<'a>(std::collections::VecDeque<&'a str>);

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.0.pop_front()
    }

    /// What stands behind this word, if the next line begins with it.
    fn value(&mut self, word: &str) -> Option<&'a str> {
        let value = self.0.front()?.strip_prefix(word)?.strip_prefix(' ')?;
        self.0.pop_front();
        Some(value)
    }

    fn values(&mut self, word: &str) -> Vec<String> {
        std::iter::from_fn(|| self.value(word)).map(str::to_owned).collect()
    }

    fn decision(&mut self, word: &str, participants: &[String]) -> Option<Decision> {
        let is_one = |name: &String| participants.contains(name);
        let by = match self.value("by-participant").map(str::to_owned) {
            Some(name) => Party::Participant(Some(name).filter(is_one)?),
            None => (self.next()? == "by-coordinator").then_some(Party::Coordinator)?,
        };
        match word {
            "committed" => Some(Decision::Committed { by }),
            "aborted" => {
                let reason = match self.value("reason")? {
                    "refused" => AbortReason::Refused,
                    "withdrawn" => AbortReason::Withdrawn,
                    "late" => {
                        let missing = self.values("missing");
                        missing.iter().all(is_one).then_some(AbortReason::Late { missing })?
                    }
                    _ => return None,
                };
                Some(Decision::Aborted { by, reason })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn record(names: Vec<String>, what: u8, ms: u64, payload: Vec<u8>) -> Record {
        let by = match what % 2 {
            0 => Party::Coordinator,
            _ => Party::Participant(names[0].clone()),
        };
        let aborted = |reason| Some(Decision::Aborted { by: by.clone(), reason });
        let decision = match what / 2 {
            0 => None,
            1 => Some(Decision::Committed { by }),
            2 => aborted(AbortReason::Refused),
            3 => aborted(AbortReason::Withdrawn),
            _ => aborted(AbortReason::Late { missing: names[..names.len() / 2].to_vec() }),
        };
        let (guid, patience) = ("0-1".to_owned(), Duration::from_millis(ms));
        Record { charter: Charter { guid, patience, participants: names, payload }, decision }
    }

    #[test]
    fn an_operator_can_read_it() {
        let names = vec!["payments".to_owned(), "stock".to_owned()];
        let text = String::from_utf8(record(names, 8, 30_000, b"17".to_vec()).encode()).unwrap();
        let expected = "znode-transaction-1\nguid 0-1\npatience-ms 30000\nparticipant payments\n\
                        participant stock\ndecision aborted\nby-coordinator\nreason late\n\
                        missing payments\n\n17";
        assert_eq!(text, expected);
        assert_eq!([None, Some(Vote::Yes), Some(Vote::No)].map(encode_vote), ["", "yes", "no"]);
        assert_eq!(decode_vote(b"maybe"), None);
    }

    #[test]
    fn what_contradicts_itself_is_foreign() {
        let head = "znode-transaction-1\nguid g\npatience-ms 1\n";
        for rest in [
            "\n",
            "participant a\nparticipant a\n\n",
            "participant a/b\n\n",
            "participant a\ndecision committed\nby-participant b\n\n",
            "participant a\ndecision aborted\nby-coordinator\nreason late\nmissing b\n\n",
            "participant a\ndecision aborted\nby-coordinator\n\n",
            "participant a\ndecision perhaps\nby-coordinator\n\n",
            "participant a\nmore\n\n",
        ] {
            assert_eq!(Record::decode(format!("{head}{rest}").as_bytes()), None, "{rest}");
        }
        assert!(Record::decode(format!("{head}participant a\n\n").as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            names in btree_set("[a-z ü:-]{1,5}", 1..5), what in 0_u8..10, ms: u64,
            payload in vec(any::<u8>(), 0..20),
        ) {
            let record = record(names.into_iter().collect(), what, ms, payload);
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn whatever_it_is_it_is_read_or_refused(
            mut data in vec(any::<u8>(), 0..60), at in 0_usize..90, byte: u8, is_garbled: bool,
        ) {
            if is_garbled {
                data = record(vec!["a".to_owned(), "b".to_owned()], 9, 5, data).encode();
                let at = at % data.len();
                data[at] = byte;
            }
            if let Some(read) = Record::decode(&data) {
                prop_assert!(read.encode().len() <= data.len() + 1);
                prop_assert!(!read.charter.participants.is_empty());
            }
        }
    }
}
