//! Four-letter words: both servers answer them in the same shape and with the same keys.

use std::collections::BTreeSet;

use crate::drive::Driver;
use crate::link::Link;

/// Words whose whole shape is compared, in this order: the two that reset come last but two.
const WORDS: [&str; 15] = [
    "ruok", "ruok\n", "isro", "srvr", "stat", "cons", "conf", "dirs", "dump", "wchs", "wchc",
    "wchp", "gtmk", "crst", "srst",
];

/// What a word is answered with while a session has a few nodes and watches.
pub(crate) fn answers(address: &str, root: &str) -> Vec<String> {
    let session = Driver::with_watches(address, root);
    let mut answers: Vec<String> = WORDS
        .iter()
        .map(|word| format!("{word:?}\n{}", shape(&ask(address, word.as_bytes()))))
        .collect();
    let after = ["srvr", "cons"].map(|word| shape(&ask(address, word.as_bytes())));
    answers.extend(after);
    answers.push(ask(address, b"stmk\0\0\0\0\0\0\x01\x32"));
    answers.push(keys(&ask(address, b"envi"), '='));
    answers.push(keys(&ask(address, b"mntr"), '\t'));
    session.end();
    answers
}

fn ask(address: &str, word: &[u8]) -> String {
    let mut link = Link::open(address);
    link.send(word);
    String::from_utf8(link.receive_all()).unwrap()
}

/// The keys alone, without those that are named after nodes.
fn keys(answer: &str, separator: char) -> String {
    let keys = answer.lines().map(|line| line.split(separator).next().unwrap_or_default());
    let keys: BTreeSet<&str> = keys.filter(|key| !key.ends_with("_per_namespace")).collect();
    keys.into_iter().collect::<Vec<_>>().join("\n")
}

/// The answer with every number, time and place made the same. Connections come in no order.
fn shape(answer: &str) -> String {
    let lines = answer.split('\n').filter(|line| !line.starts_with("0 expire at"));
    let mut lines: Vec<String> = lines.map(line_shape).collect();
    lines.sort();
    lines.join("\n")
}

fn line_shape(line: &str) -> String {
    for cut in ["Zookeeper version: ", "dataDir=", "dataLogDir=", "dirSize: "] {
        if line.starts_with(cut) {
            return cut.to_owned();
        }
    }
    if let Some((_, "")) = line.split_once(':')
        && line.contains(" expire at ")
    {
        return "# expire at".to_owned();
    }
    let line = line.split(" expire at ").next().unwrap_or_default();
    let mut shape = String::new();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let hex = shape.ends_with("0x");
        if c == '0' && rest.peek() == Some(&'x') {
            shape.push('0');
        } else if c.is_ascii_digit() || hex && c.is_ascii_hexdigit() {
            shape.push('#');
            while rest
                .next_if(|c| c.is_ascii_digit() || *c == '.' || hex && c.is_ascii_hexdigit())
                .is_some()
            {}
        } else {
            shape.push(c);
        }
    }
    shape
}
