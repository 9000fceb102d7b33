//! What operators ask: four-letter words, typed into a bare connection, and the commands of the
//! admin server.
//!
//! [`words`] and [`commands`] have the answers, [`monitor`] the longest of them, [`figures`] the
//! ways to tell that, [`stats`] what is counted, [`json`] and [`text`] what Java makes of values.

#[cfg(feature = "admin")]
pub(crate) mod commands;
#[cfg_attr(not(feature = "admin"), allow(dead_code, reason = "told by words alone"))]
pub(crate) mod figures;
#[cfg_attr(not(feature = "admin"), allow(dead_code, reason = "told by words alone"))]
pub(crate) mod json;
mod members;
pub(crate) mod monitor;
pub(crate) mod stats;
mod text;
pub(crate) mod words;

/// A word that the server recognises in place of the length of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    name: [u8; 4],
    /// What `stmk` brings along; of any other word, nothing.
    argument: i64,
}

/// The words of ZooKeeper 3.9.
const WORDS: [&[u8; 4]; 18] = [
    b"conf", b"cons", b"crst", b"dirs", b"dump", b"envi", b"gtmk", b"hash", b"isro", b"mntr",
    b"ruok", b"srst", b"srvr", b"stat", b"stmk", b"wchc", b"wchp", b"wchs",
];

/// How many bytes `stmk` brings along.
pub(crate) const ARGUMENT_LEN: usize = 8;

impl Word {
    /// Reads the first four bytes of a connection; they may also be the length of a frame.
    pub(crate) fn recognise(bytes: [u8; 4]) -> Option<Self> {
        WORDS.contains(&&bytes).then_some(Self { name: bytes, argument: 0 })
    }

    /// Whether more bytes belong to the word.
    pub(crate) fn has_argument(self) -> bool {
        &self.name == b"stmk"
    }

    /// Whether its answer tells how much room files take.
    pub(crate) fn wants_sizes(self) -> bool {
        matches!(&self.name, b"conf" | b"dirs")
    }

    /// The word with what it brought along.
    pub(crate) fn with_argument(self, bytes: [u8; ARGUMENT_LEN]) -> Self {
        Self { argument: i64::from_be_bytes(bytes), ..self }
    }

    /// The word as text.
    fn name(&self) -> &str {
        str::from_utf8(&self.name).expect("the words are ASCII")
    }
}

/// Which words are answered: `4lw.commands.whitelist`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whitelist {
    all: bool,
    words: Vec<Box<str>>,
}

impl Whitelist {
    /// Reads a list with commas, or `*` for every word. `srvr` is always in it.
    pub(crate) fn parse(list: &str) -> Self {
        let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
        let words: Vec<Box<str>> = words.map(Into::into).collect();
        Self { all: words.iter().any(|word| &**word == "*"), words }
    }

    fn allows(&self, word: Word) -> bool {
        let name = word.name();
        self.all || name == "srvr" || self.words.iter().any(|allowed| &**allowed == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(name: &[u8; 4]) -> Word {
        Word::recognise(*name).unwrap()
    }

    #[test]
    fn a_length_is_no_word() {
        assert!(Word::recognise(44_i32.to_be_bytes()).is_none());
        assert!(Word::recognise(*b"GET ").is_none());
        assert_eq!(word(b"ruok").name(), "ruok");
    }

    #[test]
    fn srvr_is_always_allowed_and_anything_else_if_it_is_listed() {
        let list = Whitelist::parse(" ruok , mntr,");
        assert!(list.allows(word(b"ruok")) && list.allows(word(b"mntr")));
        assert!(list.allows(word(b"srvr")));
        assert!(!list.allows(word(b"wchs")));
        assert!(Whitelist::parse("srvr, *").allows(word(b"wchs")));
        assert!(!Whitelist::parse("").allows(word(b"ruok")));
    }
}
