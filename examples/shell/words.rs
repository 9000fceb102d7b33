//! What a line says: a command, its flags, and the rest.

use std::collections::BTreeMap;

use znode::{Acl, Perms, Version};
use znode_examples::Error;

/// A line, taken apart.
pub(crate) struct Words {
    pub(crate) command: String,
    usage: &'static str,
    flags: BTreeMap<char, String>,
    rest: Vec<String>,
}

impl Words {
    /// Takes a line apart: words may stand in quotes, and behind a flag stands a value if the
    /// command's usage says so, as in `[-v version]`.
    pub(crate) fn parse(line: &str, commands: &[(&str, &'static str)]) -> Result<Self, Error> {
        let mut words = split(line)?.into_iter();
        let command = words.next().unwrap_or_default();
        let known = commands.iter().find(|(name, _)| *name == command);
        let usage = known.map_or("", |(_, usage)| *usage);
        let (mut flags, mut rest) = (BTreeMap::new(), Vec::new());
        while let Some(word) = words.next() {
            let mut letters = word.chars();
            match (letters.next(), letters.next(), letters.next()) {
                (Some('-'), Some(flag), None) if flag.is_ascii_alphabetic() && known.is_some() => {
                    let value = if usage.contains(&format!("[-{flag} ")) {
                        words.next().ok_or_else(|| format!("-{flag} needs a value"))?
                    } else if usage.contains(&format!("[-{flag}]")) {
                        String::new()
                    } else {
                        return Err(format!("there is no -{flag} in: {command} {usage}").into());
                    };
                    flags.insert(flag, value);
                }
                _ => rest.push(word),
            }
        }
        Ok(Self { command, usage, flags, rest })
    }

    pub(crate) fn has(&self, flag: char) -> bool {
        self.flags.contains_key(&flag)
    }

    /// The number behind a flag.
    pub(crate) fn number(&self, flag: char) -> Result<Option<u64>, Error> {
        let number = |value: &String| {
            let parsed = value.parse().map_err(|_| format!("-{flag} {value}: this is no number"));
            parsed.map_err(Error::from)
        };
        self.flags.get(&flag).map(number).transpose()
    }

    /// The version behind `-v`; any, without.
    pub(crate) fn version(&self) -> Result<Version, Error> {
        match self.number('v')? {
            Some(number) => Ok(Version(i32::try_from(number)?)),
            None => Ok(Version::ANY),
        }
    }

    /// A word that must be there, by its place.
    pub(crate) fn word(&self, place: usize) -> Result<&str, Error> {
        let missing = || format!("a word is missing: {} {}", self.command, self.usage);
        Ok(self.rest.get(place).map(String::as_str).ok_or_else(missing)?)
    }

    pub(crate) fn any(&self, place: usize) -> Option<&str> {
        self.rest.get(place).map(String::as_str)
    }

    pub(crate) fn path(&self) -> Result<&str, Error> {
        self.word(0)
    }
}

/// Words, at spaces that stand in no quotes.
fn split(line: &str) -> Result<Vec<String>, Error> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match quote {
            Some(end) if letter == end => quote = None,
            None if letter == '"' || letter == '\'' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("there is no second {quote}").into());
    }
    words.extend(word);
    Ok(words)
}

/// `scheme:id:perms[,…]`, as zkCli writes it; the id may have colons.
pub(crate) fn acl(text: &str) -> Result<Vec<Acl>, Error> {
    text.split(',')
        .map(|entry| {
            let parts = entry.split_once(':').zip(entry.rsplit_once(':'));
            let wrong = || format!("{entry}: an entry is scheme:id:perms");
            let ((scheme, _), (before, letters)) = parts.ok_or_else(wrong)?;
            let id = before.strip_prefix(scheme).and_then(|id| id.strip_prefix(':'));
            let mut perms = Perms::NONE;
            for letter in letters.chars() {
                perms = perms
                    | match letter {
                        'c' => Perms::CREATE,
                        'd' => Perms::DELETE,
                        'r' => Perms::READ,
                        'w' => Perms::WRITE,
                        'a' => Perms::ADMIN,
                        _ => {
                            return Err(Error::from(format!("{letter}: permissions are of cdrwa")));
                        }
                    };
            }
            Ok(Acl::new(perms, scheme, id.ok_or_else(wrong)?)?)
        })
        .collect()
}
